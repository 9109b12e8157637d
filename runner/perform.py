"""Carries out what was decided: the only module that acts on a session and on other processes.

Each effect may be carried out twice, and the second time does no harm: a signal has the same id, a
session that runs already is not started again, a child that runs already is not run beside itself.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from attractor.run.assignment import Assignment
from runner import effects
from runner.children import Children
from runner.effects import Effect
from runner.post import Post
from runner.session import Launch, Session
from runner.speech import spoken
from runner.timeline import Timeline
from signals import atomic
from signals.clock import Clock, iso
from signals.errors import AttractorError

_SHOWN: Final = 300
# The key that says when.
_OF_AN_AGENT: Final = {
    "AGENT_REGISTERED": "",
    "AGENT_CRASHED": "crashed_at",
    "AGENT_TERMINATED": "terminated_at",
}


@final
class Performer:
    """One Runner's hands."""

    def __init__(
        self,
        assignment: Assignment,
        session: Session,
        post: Post,
        children: Children,
        timeline: Timeline,
        clock: Clock,
    ) -> None:
        self._assignment = assignment
        self._layout = assignment.layout
        self._session = session
        self._post = post
        self._children = children
        self._timeline = timeline
        self._clock = clock
        self._acts: Mapping[type[Any], Callable[[Any], None]] = {
            effects.Signal: self._signal,
            effects.Start: self._start,
            effects.Inbox: self._inbox,
            effects.Paste: self._paste,
            effects.Enter: lambda _: self._session.submit(),
            effects.Interrupt: lambda _: self._session.interrupt(),
            effects.Check: lambda check: self._children.check(check.head),
            effects.Ask: self._ask,
            effects.Snapshot: self._snapshot,
            effects.End: self._end,
            effects.Note: lambda note: self._timeline.add("note", note.what, note.detail),
        }

    def perform(self, effect: Effect) -> None:
        """Carry out one effect."""
        self._acts[type(effect)](effect)

    def _signal(self, signal: effects.Signal) -> None:
        payload = dict(signal.payload)
        if signal.type in _OF_AN_AGENT:
            payload |= {"name": self._assignment.node_id, "worktree": self._assignment.worktree}
        else:
            payload["node_id"] = self._assignment.node_id
        if moment := _OF_AN_AGENT.get(signal.type):
            payload[moment] = iso(self._clock.wall_ns())
        if signal.type == "RUNNER_EXITED" and self._assignment.prd_ref:
            payload["prd_ref"] = self._assignment.prd_ref
        self._post.send(effects.Signal(type=signal.type, payload=payload, number=signal.number))
        self._timeline.add("signal", signal.type, signal.payload)

    def _start(self, start: effects.Start) -> None:
        if self._is_running(start):
            return
        self._clear_inbox()
        self._session.start(
            Launch(
                number=start.launch,
                session_id=start.session_id,
                resume=start.resume,
                prompt=start.prompt,
            )
        )
        detail = {"launch": start.launch, "session_id": start.session_id, "resume": start.resume}
        self._timeline.add("effect", "session started", detail)

    def _is_running(self, start: effects.Start) -> bool:
        """Say whether this very launch happened already, before its Runner was killed."""
        try:
            with open(self._layout.session(self._assignment.node_id), "rb") as file:
                known = json.load(file)
        except (OSError, ValueError):
            return False
        # A number alone could be that of another conversation, if our own state was damaged.
        if not isinstance(known, dict) or known.get("session_id") != start.session_id:
            return False
        return known.get("launch") == start.launch and self._session.look().alive is True

    def _inbox(self, inbox: effects.Inbox) -> None:
        said = {"id": inbox.id, "text": inbox.text}
        atomic.replace(self._waiting(inbox.id), json.dumps(said).encode())
        self._timeline.add("effect", "guidance waits for the end of the turn", {"id": inbox.id})

    def _paste(self, paste: effects.Paste) -> None:
        # Out of the inbox first: it must not be said by the Stop hook as well.
        self.withdraw(paste.id)
        try:
            self._session.deliver(paste.text)
        except AttractorError as error:
            # Without a receipt it is tried again, and reported in the end.
            self._timeline.add("note", "nothing could be typed", {"why": str(error)})
            return
        detail = {"id": paste.id, "text": paste.text[:_SHOWN]}
        self._timeline.add("effect", "typed into the session", detail)

    def withdraw(self, saying_id: str) -> None:
        """Take one thing out of the inbox, with the mark that the Stop hook may have left."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._waiting(saying_id))
        with contextlib.suppress(OSError):
            os.unlink(
                os.path.join(
                    self._layout.events(self._assignment.node_id), f".delivered-{saying_id}"
                )
            )

    def _clear_inbox(self) -> None:
        folder = self._layout.inbox(self._assignment.node_id)
        for name in os.listdir(folder):
            self.withdraw(name.removesuffix(".json"))

    def _waiting(self, saying_id: str) -> str:
        return os.path.join(self._layout.inbox(self._assignment.node_id), f"{saying_id}.json")

    def _ask(self, ask: effects.Ask) -> None:
        self._children.ask(ask.turn, ask.message, self._session.screen())

    def _snapshot(self, snapshot: effects.Snapshot) -> None:
        with contextlib.suppress(AttractorError):
            self._timeline.screen(snapshot.why, self._session.screen())

    def _end(self, end: effects.End) -> None:
        del end
        self._children.end()
        self._session.end()
        self._timeline.add("effect", "session ended")


def saying(saying_id: str, text: str, why: str, *, inbox: bool) -> Effect:
    """Return the effect that says something, by one way or the other."""
    said = spoken(saying_id, text, why)
    if inbox:
        return effects.Inbox(id=saying_id, text=said)
    return effects.Paste(id=saying_id, text=said)
