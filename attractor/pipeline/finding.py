"""What lint says, and what it is told: findings, and facts that only a caller with a disk has."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from attractor.pipeline.graph import Dialect, Edge, Node

if TYPE_CHECKING:
    from attractor.pipeline.survey import Survey


@final
class Severity(enum.Enum):
    """An ERROR stops a run before it starts; a WARNING does so under --strict only."""

    ERROR = "error"
    WARNING = "warning"


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that lint has to say, with its place and what to do about it."""

    rule: str
    severity: Severity
    message: str
    offset: int
    node: str = ""
    edge: tuple[str, str] | None = None
    fix: str = ""


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule has found; lint adds the rule's name and severity, and works out the place.

    `at` is a node, an edge, or None for the graph; with `attr` the place is that attribute.
    """

    message: str
    fix: str
    at: Node | Edge | None = None
    attr: str = ""


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table of rules. `harness` holds the original harness's numbers for it.

    Without a check it is the parser that applies it.
    """

    id: str
    severity: Severity
    title: str
    check: Callable[[Survey], Iterator[Fault]] | None
    harness: tuple[int, ...] = ()
    specified: bool = False
    dialects: frozenset[Dialect] = frozenset({"harness", "strongdm", "graphviz"})


@final
@dataclass(frozen=True, slots=True)
class Manifest:
    """The rubric of a PRD as far as lint asks: each feature's id and validation method."""

    path: str
    methods: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    exposed: bool = False  # it lies inside the pipeline's own target_dir


@final
@dataclass(frozen=True, slots=True)
class Facts:
    """What the caller found out. None means that nobody looked, and the rule stays silent."""

    beads: frozenset[str] | None = None
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    files: frozenset[str] | None = None  # of the paths that nodes name, those that exist
