"""What a plan is, as the planner gives it, and what may be wrong with one. Values only.

A plan that can be made need not be a good one: `checks` says what is wrong with it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, final

from attractor.project.model import Project

__all__ = ["REF", "Criterion", "Fault", "Plan", "PlannedNode", "Prd", "Project", "Scope"]

REF: Final = "plan:"
"""How the `external_ref` of a plan's beads begins; its name follows."""


@final
class Scope(enum.Enum):
    """How large the work is, and so how large one node of it may be."""

    SIMPLE = "simple"
    STANDARD = "standard"
    COMPLEX = "complex"


@final
@dataclass(frozen=True, slots=True)
class Criterion:
    """One acceptance criterion of the requirements."""

    id: str
    text: str


@final
@dataclass(frozen=True, slots=True)
class Prd:
    """The requirements."""

    summary: str
    requirements: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class PlannedNode:
    """One node: what is to be done, where, after what, and how it is known to be done."""

    id: str
    label: str
    goal: str
    reference_style: str = ""
    outline: str = ""
    steps: tuple[str, ...] = ()
    safety: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    acceptance: str = ""
    after: tuple[str, ...] = ()
    worker_type: str = ""


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan."""

    name: str
    title: str
    structure: str
    """What the project is made of, for its memory."""
    prd: Prd
    nodes: tuple[PlannedNode, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a plan, told so that the planner can put it right."""

    rule: str
    node: str
    """Empty where it is about the plan as a whole."""
    problem: str
    fix: str
