"""The parser: the text of one pipeline in, a Document out, or a DotError that points at the fault.

Reads the harness's dialect, the Attractor specification's and Graphviz's own. No recursion: open
subgraphs are a list, so depth costs nothing. Refuses what the specification refuses: `strict`,
`graph`, `--`, a second graph, text before or after the graph. What a pipeline *means* (defaults,
redeclared nodes, chains) is left to `graph.build`.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn, cast, final

from attractor.pipeline.attrlist import (
    joined,
    read_fast,
    read_slow,
    read_value,
)
from attractor.pipeline.document import (
    Attribute,
    Defaults,
    Document,
    DotError,
    EdgeStatement,
    Group,
    Mention,
    NodeStatement,
    Ref,
    Remark,
    Span,
    Statement,
    Subgraph,
    SubgraphEnd,
)
from attractor.pipeline.lex import scan, unescape
from attractor.pipeline.refusals import (
    refuse_beginning,
    refuse_rest,
    refuse_statement,
    refuse_token,
    runaway_string,
    short,
)
from attractor.pipeline.source import Source

__all__ = [
    "Attribute",
    "Defaults",
    "Document",
    "DotError",
    "EdgeStatement",
    "Mention",
    "NodeStatement",
    "Ref",
    "Remark",
    "Statement",
    "Subgraph",
    "SubgraphEnd",
    "parse",
    "paused_collector",
]

_identifier = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_portable = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*").fullmatch
_needs_quotes = re.compile(r"[.\-]").search

KEYWORDS: Final = frozenset({"strict", "graph", "digraph", "subgraph", "node", "edge"})
_LONGEST_KEYWORD: Final = 8


@contextmanager
def paused_collector() -> Iterator[None]:
    """Hold the cyclic collector while many small objects are made; none of them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(text: str, name: str = "<pipeline>") -> Document:
    """Return the Document of this text. Raises DotError, and nothing else, for any bad text."""
    source = Source(text, name)
    with paused_collector():
        try:
            return _Parser(source).graph()
        except DotError as error:
            raise runaway_string(source, error) from None


@final
@dataclass(slots=True)
class _Operands:
    """An edge statement being read: `groups` so far, of which `told` are among the statements."""

    start: int
    groups: list[Group] = field(default_factory=list)
    told: int = 0


class _Parser:
    """One pass over one text. `kind`, `start`, `end` are the token that is looked at."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.statements: list[Statement] = []
        self.warnings: list[Remark] = []
        self.odd_ids: set[str] = set()
        # The subgraphs that are open, each with the edge statement that it is part of.
        self.opened: list[tuple[Subgraph, _Operands]] = []
        self.kind, self.start, self.end = scan(self.text, 0)

    def advance(self) -> None:
        self.kind, self.start, self.end = scan(self.text, self.end)

    def word(self) -> str:
        """Return the token that is looked at, as it is written."""
        return self.text[self.start : self.end]

    def keyword(self) -> str:
        """Return the keyword that is looked at, in lower case, or nothing."""
        if self.kind != "bare" or self.end - self.start > _LONGEST_KEYWORD:
            return ""
        word = self.text[self.start : self.end].lower()
        return word if word in KEYWORDS else ""

    def fail(self, at: int, problem: str, fix: str) -> NoReturn:
        raise DotError.at(self.source, at, problem, fix)

    def refuse(self, expected: str) -> NoReturn:
        refuse_token(self.source, self.kind, self.start, expected)

    # -- the graph -----------------------------------------------------------------------------

    def graph(self) -> Document:
        if self.keyword() != "digraph":
            refuse_beginning(self.source, self.kind, self.start, self.keyword())
        self.advance()
        name = ""
        if self.kind in {"bare", "quoted"}:
            name, _ = self._read_id()
        if self.kind != "{":
            self.refuse("After `digraph` comes a name, if any, and then `{`.")
        opening = self.start
        self.advance()
        closing = self._read_body(opening)
        if self.kind != "end":
            refuse_rest(self.source, self.kind, self.start, self.keyword())
        return Document(self.source, name, self.statements, (opening, closing), self.warnings)

    # -- statements ----------------------------------------------------------------------------

    def _read_body(self, opening: int) -> int:
        """Read statements up to the graph's own `}` and return where that ends."""
        while True:
            if self.kind in {"bare", "quoted"}:
                self._read_statement()
            elif self.kind == "{":
                self._open_subgraph(_Operands(self.start))
            elif self.kind == "}":
                closing = self.end
                self.advance()
                if not self.opened:
                    return closing
                self._close_subgraph(closing)
            elif self.kind == ";":
                self.advance()
            else:
                brace = self.opened[-1][0].brace if self.opened else opening
                refuse_statement(self.source, self.kind, self.start, brace)

    def _read_statement(self) -> None:
        word = self.keyword()
        if not word:
            self._read_node_or_assignment()
        elif word == "subgraph":
            self._open_subgraph(_Operands(self.start))
        elif word in {"node", "edge", "graph"}:
            self._read_defaults(cast("Literal['graph', 'node', 'edge']", word))
        elif word == "digraph":
            self.fail(
                self.start,
                "A second graph begins here, inside the first.",
                "Write `}` before it and move it to a file of its own, or write `subgraph`.",
            )
        else:
            self._refuse_keyword()

    def _refuse_keyword(self) -> NoReturn:
        self.fail(
            self.start,
            f"`{self.word()}` is a word of the DOT language.",
            f'A node of this name needs quotes: "{self.word()}"',
        )

    def _read_defaults(self, target: Literal["graph", "node", "edge"]) -> None:
        start, end = self.start, self.end
        kind, _, _ = scan(self.text, end)
        if kind != "[":
            self._refuse_keyword()
        self.advance()
        attrs, lists, end = self._read_lists()
        self.statements.append(Defaults(start, end, target, attrs, lists))

    def _read_node_or_assignment(self) -> None:
        start = self.start
        kind, _, after = scan(self.text, self.end)
        if kind == "=":
            self._read_assignment(start, after)
            return
        operands = _Operands(start)
        operands.groups.append(self._read_refs())
        self._read_operands(operands)

    def _read_assignment(self, start: int, after: int) -> None:
        raw = self.word()
        if self.kind == "bare" and "-" in raw:
            name = short(raw)
            self.fail(start, f"The attribute name `{name}` needs quotes.", f'Write "{name}".')
        key = unescape(raw[1:-1]) if self.kind == "quoted" else raw
        value, _, end = read_value(self.source, after)
        self.statements.append(Defaults(start, end, "graph", {key: value}, ()))
        self.end = end
        self.advance()

    def _read_operands(self, operands: _Operands) -> None:
        """Go on after an operand: read what the arrows point at, up to the statement's end."""
        while self.kind == "->":
            self.advance()
            if self.kind == "{" or self.keyword() == "subgraph":
                self._tell(operands)
                self._open_subgraph(operands)
                return
            if self.kind not in {"bare", "quoted"}:
                self._refuse_target()
            operands.groups.append(self._read_refs())
        if self.kind == "--":
            fix = "Write `->`; a pipeline has directions."
            self.fail(self.start, "This is an undirected edge.", fix)
        self._finish(operands)

    def _refuse_target(self) -> NoReturn:
        if self.kind in {"stray", "unclosed string", "unclosed comment"}:
            self.refuse("")
        fix = "Write the node that it leads to, or delete the arrow."
        self.fail(self.start, "The arrow before this leads nowhere.", fix)

    def _finish(self, operands: _Operands) -> None:
        groups = operands.groups
        last = groups[-1]
        end = last.end if isinstance(last, Subgraph) else last[-1].end
        attrs: dict[str, str] = {}
        lists: tuple[Span, ...] = ()
        if self.kind == "[":
            if len(groups) == 1 and isinstance(last, Subgraph):
                fix = "Write `graph [...]` inside the subgraph's braces."
                self.fail(self.start, "A subgraph takes no attribute list.", fix)
            attrs, lists, end = self._read_lists()
        if len(groups) > 1:
            self.statements.append(EdgeStatement(operands.start, end, groups, attrs, lists))
        elif not isinstance(last, Subgraph):
            self.statements.append(NodeStatement(operands.start, end, last, attrs, lists))
        if self.kind == ";":
            self.advance()

    def _tell(self, operands: _Operands) -> None:
        """Note the nodes named so far: what follows is inside a subgraph, and comes after them."""
        fresh = operands.groups[operands.told :]
        refs = [ref for group in fresh if not isinstance(group, Subgraph) for ref in group]
        operands.told = len(operands.groups)
        if refs:
            self.statements.append(Mention(tuple(refs)))

    def _open_subgraph(self, operands: _Operands) -> None:
        start, name = self.start, None
        if self.kind != "{":
            self.advance()
            if self.kind in {"bare", "quoted"}:
                name, _ = self._read_id()
            if self.kind != "{":
                self.refuse("After `subgraph` comes a name, if any, and then `{`.")
        subgraph = Subgraph(start, -1, name, self.start)
        self.statements.append(subgraph)
        self.opened.append((subgraph, operands))
        self.advance()

    def _close_subgraph(self, closing: int) -> None:
        subgraph, operands = self.opened.pop()
        subgraph.end = closing
        self.statements.append(SubgraphEnd(subgraph))
        operands.groups.append(subgraph)
        operands.told = len(operands.groups)
        self._read_operands(operands)

    # -- words ---------------------------------------------------------------------------------

    def _read_lists(self) -> tuple[dict[str, str], tuple[Span, ...], int]:
        """Read every `[...]` that follows one another; the last of equal keys wins."""
        lists: list[Span] = []
        attrs: dict[str, str] = {}
        while self.kind == "[":
            listed = read_fast(self.text, self.start) or read_slow(self.source, self.start)
            attrs.update(listed.attrs)
            lists.append((self.start, listed.end))
            if listed.uncomma >= 0:
                self._remark_comma(listed.uncomma)
            self.end = listed.end
            self.advance()
        return attrs, tuple(lists), lists[-1][1]

    def _read_refs(self) -> tuple[Ref, ...]:
        first = self._read_ref()
        if self.kind != ",":
            return (first,)
        refs = [first]
        while self.kind == ",":
            self.advance()
            if self.kind not in {"bare", "quoted"}:
                self.refuse("After the comma comes another node.")
            refs.append(self._read_ref())
        return tuple(refs)

    def _read_ref(self) -> Ref:
        start = self.start
        node, end = self._read_id()
        if self.kind != ":":
            return Ref(node, start, end, "")
        ports: list[str] = []
        while self.kind == ":" and len(ports) < 2:  # noqa: PLR2004 - node:port:compass
            self.advance()
            if self.kind not in {"bare", "quoted"}:
                self.refuse("After `:` comes the name of a port.")
            port, end = self._read_word()
            ports.append(port)
        return Ref(node, start, end, ":".join(ports))

    def _read_word(self) -> tuple[str, int]:
        """Return the word that is looked at and its end, and look at what follows it."""
        start, end = self.start, self.end
        if self.kind == "bare":
            word = self.text[start:end]
        else:
            word, _, end = joined(self.source, start, end)
        self.end = end
        self.advance()
        return word, end

    def _read_id(self) -> tuple[str, int]:
        """Return the id that is looked at and its end, and look at what follows it."""
        if self.keyword():
            self._refuse_keyword()
        start = self.start
        node, end = self._read_word()
        if not _identifier(node):
            self._check_id(node, start)
        return node, end

    def _check_id(self, node: str, start: int) -> None:
        if self.text[start] != '"' and _needs_quotes(node) and not _number(node):
            name = short(node)
            self.fail(start, f"The name `{name}` needs quotes.", f'Write "{name}".')
        if _portable(node) or node in self.odd_ids:
            return
        self.odd_ids.add(node)
        self.warnings.append(
            Remark(
                "node_id_portable",
                f"The name {short(node)!r} is more than letters, digits, `_`, `.` and `-`.",
                start,
                "Choose a plain name and put the words for people into `label`.",
            )
        )

    def _remark_comma(self, at: int) -> None:
        self.warnings.append(
            Remark(
                "missing_comma",
                "A comma is missing between two attributes of this list.",
                at,
                "Write `,` between attributes; other tools insist on it.",
            )
        )


_number = re.compile(r"-?(?:\.\d+|\d+(?:\.\d*)?)").fullmatch
