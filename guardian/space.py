"""What follows where the disk has no room for what would begin: a rest, then another. Pure.

Nothing is dispatched and no model is asked meanwhile, so no attempt is lost; what is under way goes
on, and may make room. Where nothing is, and there is no room after all the rests, the run ends: it
goes on when it is resumed, with what was handed in.
"""

from __future__ import annotations

from typing import Final

from attractor.run.roles import Role
from attractor.run.states import NodeState
from attractor.run.story import StoryEvent
from guardian import answers
from guardian.core import Core

_RESTS: Final = (10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0)
"""In seconds: five minutes in all."""


def rest(core: Core) -> None:
    """Have the run rest for want of room, or end."""
    rested = core.story.rests_for_room
    if rested >= len(_RESTS) and not _under_way(core):
        answers.stop(core, core.short)
        return
    until = core.now + _RESTS[min(rested, len(_RESTS) - 1)]
    said = {"until": core.iso(until), "why": core.short, "room": True}
    told = {"notices": [core.escalation(f"rests: {core.short}")]} if not rested else {}
    core.add(StoryEvent.PAUSED, said | told)


def _under_way(core: Core) -> bool:
    at_work = any(
        core.terms[name].role is Role.WORK and core.story.state(name) is NodeState.ACTIVE
        for name in core.running
    )
    return at_work or bool(core.story.tasks)
