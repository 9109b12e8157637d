"""How an attempt ends without success: once, with what follows from it. Pure."""

from __future__ import annotations

from typing import Any, Final

from attractor.run.roles import Role
from attractor.run.states import NodeEvent, NodeState
from attractor.run.story import StoryEvent
from guardian.core import Core

MOST_GUIDED: Final = 2
"""How often a session that is stuck is told what to do, before its attempt is over."""
_KILL: Final = "KILL_ORCHESTRATOR"
_MOST_FREE: Final = 10
_MOST_REASON: Final = 1_000


def fail(
    core: Core,
    name: str,
    reason: str,
    *,
    told: bool = True,
    free: bool = False,
    final: bool = False,
    **more: Any,
) -> None:
    """End the present attempt of a node; whether another follows is told by its outcome.

    `told` says that its Runner is there, and is to end the session. A `free` one is not charged.
    """
    node, terms = core.story.node(name), core.terms[name]
    current = core.attempt(name)
    uncharged = sum(each.free for each in node.attempts)
    last = uncharged >= _MOST_FREE if free else node.charged >= terms.limits.max_attempts
    # One that has left nothing behind may be planned again; that is known when it is closed.
    nothing = not node.replanned and not any(each.commit for each in node.attempts)
    over = final or (last and (free or not (terms.replan and nothing)))
    reason = reason[:_MOST_REASON]
    data: dict[str, Any] = {"attempt": current.number, "reason": reason, **more}
    if terms.role is not Role.WORK or current.closed:
        data["closed"] = True
    elif told:
        data["orders"] = [core.order(name, _KILL, reason=reason)]
    if free:
        data["free"] = True
    if over:
        data.setdefault("outcome", "fail")
        if terms.role is Role.WORK:
            data["notices"] = [core.escalation(f"node {name} has failed: {reason}")]
    if dropped := [each.id for each in core.busy(name) if each.id != more.get("task")]:
        data["dropped"] = dropped
    if asked := [each.id for each in core.story.open_decisions() if each.node == name]:
        data["withdrawn"] = asked
    core.move(name, NodeEvent.FAILED, **data)


def keep(core: Core, name: str, reason: str) -> None:
    """End the session of an attempt, once, and keep what it has handed in for when the run goes on.

    Tasks about it that are under way answer nobody, and are begun anew; questions stay.
    """
    current = core.attempt(name)
    told = [each.type for each in core.story.orders if each.node == name]
    if current.closed or _KILL in told:
        return
    what = f"{name} has handed in its work, which is judged when the run goes on"
    said: dict[str, Any] = {"node": name, "attempt": current.number, "what": what}
    said["orders"] = [core.order(name, _KILL, reason=reason)]
    if dropped := [each.id for each in core.busy(name)]:
        said["dropped"] = dropped
    core.add(StoryEvent.NOTED, said)


def overdone(core: Core, name: str) -> bool:
    """End an attempt that did too often what it may not, or that no guidance helped."""
    current, limits = core.attempt(name), core.terms[name].limits
    if core.tasks(name, "merge"):
        return False  # what is being merged was judged good
    if current.violations >= limits.max_violations:
        fail(core, name, f"it went on doing what only workers may do: {current.violation}")
    elif current.handed_back > MOST_GUIDED:
        fail(core, name, "it was stuck, and guidance did not help")
    else:
        return False
    return True


def lost(core: Core, name: str, why: str) -> None:
    """Give up an attempt whose Runner cannot be kept alive; its session was ended."""
    if core.story.state(name) is NodeState.ACTIVE:
        why = f"{why}; {core.short}" if core.short else why
        fail(core, name, why, told=False, free=True, closed=True)
        return
    # What was handed in is judged all the same.
    said = {"node": name, "attempt": core.attempt(name).number, "why": why}
    core.add(StoryEvent.ATTEMPT_CLOSED, said)


def give_again(core: Core) -> None:
    """Give each node that has failed for good another chance, as a person asks who resumes."""
    for name in core.terms:
        node = core.story.node(name)
        if core.story.state(name) is NodeState.FAILED and node.attempts and name not in core.again:
            core.move(name, NodeEvent.REQUEUED, reason="resumed")
