"""The agents that can be asked: entry points of the group `attractor.agents`, ours among them.

An entry point is a function `ask(question, clock) -> answer` that returns before the question's
deadline and leaves no process behind. It raises an AttractorError only for a question that it
cannot ask at all.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from attractor.agents.answer import Answer, NotInstalledError
from attractor.agents.question import Question
from attractor.errors import InputError
from signals.clock import Clock

GROUP: Final = "attractor.agents"
Ask = Callable[[Question, Clock], Answer]


def names() -> list[str]:
    """Return the agents that are known here."""
    return sorted({each.name for each in entry_points(group=GROUP)})


def find(name: str) -> Ask:
    """Return the agent of this name; InputError names those that there are."""
    found = [each for each in entry_points(group=GROUP) if each.name == name]
    if len(found) > 1:
        makers = ", ".join(sorted(str(each.value) for each in found))
        fix = "uninstall all but one of the packages that bring it"
        raise InputError(f"there are several agents {name!r}: {makers}", fix=fix)
    if not found:
        known = ", ".join(names()) or "none: install attractor again"
        raise NotInstalledError(f"there is no agent {name!r}", fix=f"there is {known}")
    ask: Ask = found[0].load()
    return ask
