"""A parsed DOT file: statements in the order of the text, each with the span it stands in.

Nothing is applied or resolved here (that is `graph.build`), and nothing is lost: the text is the
source's, and every span points into it. A subgraph is no tree: it opens with a `Subgraph`, closes
with a `SubgraphEnd`, and what stands between is inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, final

from attractor.errors import InputError
from attractor.pipeline.source import Source

Span = tuple[int, int]


class DotError(InputError):
    """A text that is no pipeline; `line`, `column` and `excerpt` say where it stops being one."""

    code: ClassVar[str] = "dot"

    @classmethod
    def at(cls, source: Source, offset: int, problem: str, fix: str) -> DotError:
        """Return the error that points at this offset."""
        place = source.place(offset)
        return cls(
            problem,
            where=source.where(offset),
            fix=fix,
            line=place.line,
            column=place.column,
            excerpt=source.excerpt(offset),
        )

    def __str__(self) -> str:
        shown = "\n".join(f"    {line}" for line in self.excerpt.split("\n"))
        return f"{self.where}: {self.problem}\n{shown}\n  {self.fix}"

    @property
    def line(self) -> int:
        return int(self.details["line"])

    @property
    def column(self) -> int:
        return int(self.details["column"])

    @property
    def excerpt(self) -> str:
        said: Any = self.details["excerpt"]
        return str(said)


@final
@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was read, but is better written otherwise; lint makes a warning of it."""

    rule: str
    message: str
    offset: int
    fix: str


class Ref(NamedTuple):
    """A node named in a statement; the span holds the port too."""

    id: str
    start: int
    end: int
    port: str


class Attribute(NamedTuple):
    """One `key = value`, decoded, with the spans of its two sides."""

    key: str
    value: str
    key_start: int
    value_start: int
    value_end: int


@final
@dataclass(slots=True, eq=False)
class NodeStatement:
    """`a [x=1]`, or several at once: `a, b [x=1]`. `lists` are the spans of the brackets."""

    start: int
    end: int
    refs: tuple[Ref, ...]
    attrs: dict[str, str]
    lists: tuple[Span, ...]


@final
@dataclass(slots=True, eq=False)
class Subgraph:
    """`subgraph name {`; `end` is where its `}` ends."""

    start: int
    end: int
    name: str | None
    brace: int


@final
@dataclass(slots=True, eq=False)
class SubgraphEnd:
    """The `}` of a subgraph."""

    subgraph: Subgraph


Group = tuple[Ref, ...] | Subgraph


@final
@dataclass(slots=True, eq=False)
class EdgeStatement:
    """`a -> b, c -> {d e} [x=1]`. Its subgraphs stand before it among the statements."""

    start: int
    end: int
    groups: list[Group]
    attrs: dict[str, str]
    lists: tuple[Span, ...]


@final
@dataclass(slots=True, eq=False)
class Mention:
    """The nodes of an edge statement that stand before a subgraph of the same statement."""

    refs: tuple[Ref, ...]


@final
@dataclass(slots=True, eq=False)
class Defaults:
    """`node [x=1]`, `edge [...]`, `graph [...]`, or a bare `key = value` (no lists)."""

    start: int
    end: int
    target: Literal["graph", "node", "edge"]
    attrs: dict[str, str]
    lists: tuple[Span, ...]


Statement = NodeStatement | EdgeStatement | Defaults | Subgraph | SubgraphEnd | Mention


@final
@dataclass(eq=False)
class Document:
    """One file. `body` is the span between the graph's braces, both of them inside it."""

    source: Source
    name: str
    statements: list[Statement]
    body: Span
    warnings: list[Remark] = field(default_factory=list)
