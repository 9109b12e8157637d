"""The model `free` of OpenCode, for a session: each turn has the best free one of that moment.

What is learned from a turn that was refused is kept for the next, of this node and of others: a
model that was rate limited rests, one that does not exist is left out. Where none is left, or the
list cannot be had, it is OpenCode's default model. Asked in a forked child.
"""

from __future__ import annotations

from typing import Final

from attractor.apart import apart
from attractor.errors import AttractorError
from runner.sessions.stage import Stage

FREE: Final = "free"
_PROVIDER: Final = "openrouter"
_LIST_SECONDS: Final = 10.0
_SECONDS: Final = 20.0
_NANOSECONDS: Final = 1_000_000_000


def choose(stage: Stage) -> str:
    """Return the model of the next turn, as OpenCode calls it; empty for its default."""

    def pick() -> str:
        from attractor.agents import free_list, free_models

        models = free_list.fetch(free_list.address(stage.environ, ""), stage.clock, _LIST_SECONDS)
        learned = free_models.load(free_models.path_of(stage.environ))
        found = free_models.next_model(models, learned, _now(stage))
        return f"{_PROVIDER}/{found.id}" if found else ""

    try:
        return str(apart(pick, stage.clock, _SECONDS))
    except AttractorError:
        return ""


def learn(stage: Stage, model: str, *, exists: bool) -> None:
    """Keep that this model was refused for now, or that there is no such model."""
    name = model.removeprefix(f"{_PROVIDER}/")

    def keep() -> str:
        from attractor.agents import free_models

        path, now = free_models.path_of(stage.environ), _now(stage)
        known = free_models.load(path)
        after = (
            free_models.cooled(known, name, None, now)
            if exists
            else free_models.dropped(known, name, now)
        )
        free_models.save(path, after)
        return ""

    try:
        apart(keep, stage.clock, _SECONDS)
    except AttractorError:
        return  # it is learned again by the next who asks


def _now(stage: Stage) -> float:
    return stage.clock.wall_ns() / _NANOSECONDS
