"""From what is known to the facts of one moment. Pure; the loop does the looking."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from attractor.run.assignment import Assignment
from runner import reset_time
from runner.facts import Checks, Facts, Opinion, Process, Promise, Turn
from runner.session import Look
from runner.state import State

SETTLED: Final = frozenset({Turn.ENDED, Turn.FAILED, Turn.INTERRUPTED})


class Tree(Protocol):
    """What is asked of a worktree."""

    @property
    def head(self) -> str:
        """Return its newest commit."""
        ...

    @property
    def commits(self) -> int:
        """Return how many it has on top of the base."""
        ...

    @property
    def dirty(self) -> bool:
        """Return whether it has changes that are not committed."""
        ...

    @property
    def branch_ok(self) -> bool:
        """Return whether it is on its own branch, and the branch holds the base."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return what changes when a file does."""
        ...


def process(look: Look) -> Process:
    """Return what is proved about the session's process."""
    if look.alive is None:
        return Process.UNKNOWN
    return Process.RUNNING if look.alive else Process.EXITED


def looked(state: State, tree: Tree, now: float) -> State:
    """Return the state after a look at the worktree; a change is progress."""
    before = (state.head, state.fingerprint)
    changed = bool(state.head) and before != (tree.head, tree.fingerprint)
    seen = replace(
        state,
        head=tree.head,
        commits=tree.commits,
        dirty=tree.dirty,
        astray=not tree.branch_ok,
        fingerprint=tree.fingerprint,
        wrote=state.wrote or tree.commits > 0 or tree.dirty,
    )
    if changed:
        view = replace(seen.view, progress_at=max(seen.view.progress_at, now))
        return replace(seen, view=view)
    return seen


def gather(state: State, assignment: Assignment, look: Look, promise: Promise, now: float) -> Facts:
    """Return the facts of this moment."""
    view = state.view
    has_opinion = state.opinion_turn == view.turns
    return Facts(
        now=now,
        limits=assignment.limits,
        process=process(look),
        exit_status=look.exit_status,
        last_lines=look.last_lines,
        turn=view.turn,
        launched_at=state.launched_at,
        last_event_at=view.last_event_at,
        progress_at=view.progress_at,
        turn_ended_at=view.turn_ended_at,
        tool_since=min(view.tools.values(), default=None),
        background=view.background if view.turn in SETTLED else 0,
        # Before the hooks speak, the screen is all there is.
        dialog=view.dialog or (look.dialog if view.turn is Turn.STARTING else ""),
        message=view.message,
        failure=view.failure,
        failure_text=view.failure_text,
        retry_at=_retry_at(state, now),
        violation=view.unsaid[0] if view.unsaid else "",
        violations=view.violations,
        commits=state.commits,
        new_commits=state.commits > 0 and state.head != state.reviewed,
        dirty=state.dirty,
        astray=state.astray,
        checks=_checks(state, assignment),
        promise=promise,
        refusals=state.refusals,
        delivering=bool(state.speech.queue and state.speech.queue[0].pastes),
        answered=not state.speech.queue,
        said_at=state.said_at,
        waiting=state.waiting,
        opinion=state.opinion if has_opinion else Opinion.NOT_ASKED,
        question=state.opinion_text if has_opinion else "",
    )


def _retry_at(state: State, now: float) -> float | None:
    if not state.view.failure:
        return None
    said = reset_time.reset_at(state.view.failure_text, now)
    if said is None and state.retry_at is not None and state.retry_at > now:
        return state.retry_at
    return said


def _checks(state: State, assignment: Assignment) -> Checks:
    if not assignment.checks:
        return Checks.NONE
    return state.checks if state.checked == state.head else Checks.DUE
