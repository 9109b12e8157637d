"""A plan as its checks look at it: its order, worked out once. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import final

from attractor.plan.model import Plan, PlannedNode, Project, Scope
from attractor.plan.sizes import SIZES, Size

_MOST_SHOWN = 60


@final
class View:
    """One plan, with the scope and the project that it is for."""

    def __init__(self, plan: Plan, scope: Scope, project: Project) -> None:
        self.plan = plan
        self.nodes = plan.nodes
        self.scope = scope
        self.size: Size = SIZES[scope]
        self.project = project

    @cached_property
    def ids(self) -> frozenset[str]:
        """All ids of nodes."""
        return frozenset(each.id for each in self.nodes)

    @cached_property
    def before(self) -> dict[str, frozenset[str]]:
        """By id, all that it comes after, also by way of others; itself where in a circle."""
        direct = _direct(self.nodes)
        return {node: _reached(node, direct) for node in direct}


def order(plan: Plan) -> list[str]:
    """Return the ids, each after those it is after, else in the plan's order.

    Ids that nothing has are left out; of a circle each comes where the plan has it.
    """
    direct = _direct(plan.nodes)
    left, done = list(direct), list[str]()
    while left:
        met = set(done)
        ready = [node for node in left if direct[node] <= met] or left[:1]
        done.append(ready[0])
        left.remove(ready[0])
    return done


def levels(plan: Plan) -> dict[str, int]:
    """Return by id how many must come before it, one after another; 0 starts at once."""
    direct, level = _direct(plan.nodes), dict[str, int]()
    for node in order(plan):
        level[node] = max((level[each] + 1 for each in direct[node] if each in level), default=0)
    return level


def shown(text: str) -> str:
    """Return a name from outside as it can stand in a message."""
    return repr(text[:_MOST_SHOWN])


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return the first of these names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(map(shown, every[:most])) + more


def _direct(nodes: tuple[PlannedNode, ...]) -> dict[str, frozenset[str]]:
    ids = {each.id for each in nodes}
    direct: dict[str, frozenset[str]] = {}
    for each in nodes:
        direct[each.id] = direct.get(each.id, frozenset()) | ids.intersection(each.after)
    return direct


def _reached(node: str, direct: dict[str, frozenset[str]]) -> frozenset[str]:
    left, met = list(direct[node]), set[str]()
    while left:
        each = left.pop()
        if each not in met:
            met.add(each)
            left += direct[each]
    return frozenset(met)
