"""The scripted Messages API: listens on 127.0.0.1 only, answers from a script, forwards nothing.

What is due follows from the conversation that a request carries, so a request that is sent twice
gets the same answer. Kept here is only how often a scripted failure has happened, by session, agent
and turn, and which sessions were given a turn that is for few. Every request is on the record
before it is answered. After `close` no thread, socket or file is left.
Not guaranteed: that the script still fits after the session compacts its conversation, because
that starts the counting again.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, NamedTuple, Self, final

from attractor.errors import InputError, StorageError
from attractor.rehearsal import reply, request
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.listener import LOOPBACK, Listener
from attractor.rehearsal.reply import Reply
from attractor.rehearsal.request import Request
from attractor.rehearsal.turn import (
    SUBAGENT,
    Failure,
    Hold,
    Script,
    Text,
    Trouble,
    Turn,
    due,
)
from signals import atomic
from signals.clock import Clock, SystemClock, iso

# Titles, summaries and other errands come without tools; they are no part of a script.
_ERRAND: Final = Turn((Text("Rehearsal"),))


class _Who(NamedTuple):
    asker: Asker
    session: str
    agent: str


@final
class ScriptedServer:
    """A running scripted model; a context manager that starts on entry and is gone on exit."""

    def __init__(
        self, script: Script, *, port: int = 0, log: str | None = None, clock: Clock | None = None
    ) -> None:
        self._script = script
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._failed: Counter[tuple[_Who, int, int]] = Counter()
        # For each turn that few sessions have: those, and what was said before it was given.
        self._given: defaultdict[int, dict[tuple[str, str], str]] = defaultdict(dict)
        self._lost: set[tuple[int, tuple[str, str]]] = set()
        self._ids = itertools.count(1)
        self._log_path = log or ""
        self._log = _opened(log) if log else -1
        try:
            self._listener = Listener(port, self.answer, self._clock.monotonic)
        except (OSError, OverflowError) as error:
            self._close_log()
            fix = "choose a free port, or 0 for any"
            raise InputError(f"port {port} cannot be used: {error}", fix=fix) from error

    @property
    def base_url(self) -> str:
        """Where it listens, as ANTHROPIC_BASE_URL wants it."""
        return f"http://{LOOPBACK}:{self._listener.server_port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, in the order in which they came."""
        with self._changed:
            return tuple(self._requests)

    def await_request(
        self, fits: Callable[[Request], bool], timeout_seconds: float
    ) -> Request | None:
        """Return the first request that fits, waiting for it until the deadline."""
        found: list[Request] = []

        def look() -> bool:
            found.extend(each for each in self._requests if fits(each))
            return bool(found)

        with self._changed:
            self._changed.wait_for(look, timeout_seconds)
        return found[0] if found else None

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, end every connection, and wait until their threads are gone."""
        self._listener.close()
        self._close_log()

    def _close_log(self) -> None:
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the answer to one request, which is on the record then."""
        name = self.next_id()
        content = _object(body) if method == "POST" else {}
        who, turns = self._who(headers, content or {})
        if content is None:
            made = reply.error(400, "The request body is not a JSON object.", name)
        elif method == "POST" and _place(path) == "/v1/messages":
            made = self._message(who, turns, content, body, name)
        else:
            made = _other(method, _place(path), body, name)
        try:
            self._record(made.status, content or {}, who, method, path)
        except StorageError as error:
            made = reply.error(500, f"The rehearsal {error.problem}.", name)
        return replace(made, headers={**made.headers, "request-id": name})

    def next_id(self) -> str:
        """Return the id of another request."""
        return f"req_{next(self._ids):08d}"

    def _who(
        self, headers: Mapping[str, str], content: Mapping[str, Any]
    ) -> tuple[_Who, Sequence[Turn] | None]:
        """Return who asks, and the turns of this role, where the script has any."""
        asker = Asker.of(headers)
        node, attempt = asker.node, asker.attempt
        session = headers.get("x-claude-code-session-id") or ""
        agent = headers.get("x-claude-code-agent-id") or ""
        turns: Sequence[Turn] | None = None
        try:
            if agent:
                prompt = request.first_prompt(content)
                asker = replace(asker, role=SUBAGENT)
                role, turns = self._script.worker(prompt, node, attempt)
                asker = replace(asker, role=role)
            else:
                turns = self._script.turns(asker.role, node, attempt)
        except KeyError:
            pass  # said where the turns are wanted
        return _Who(asker, session, agent), turns

    def _message(
        self,
        who: _Who,
        turns: Sequence[Turn] | None,
        content: Mapping[str, Any],
        body: bytes,
        name: str,
    ) -> Reply:
        turn, trouble = _ERRAND, None
        if request.tool_names(content):
            if turns is None:
                return reply.error(400, _unknown(self._script, who.asker), name)
            turn, trouble = self._due(who, turns, request.news(content))
        if isinstance(trouble, Hold):
            return reply.nothing(trouble.wait_seconds)
        stream = content.get("stream") is True
        if isinstance(trouble, Failure) and (trouble.after is None or not stream):
            reset = trouble.reset_seconds or trouble.retry_after or 0
            at = iso(self._clock.wall_ns() + reset * 1_000_000_000)
            return reply.failure(trouble, name, reset=at)
        model = str(content.get("model", ""))
        return reply.message(turn, model=model, body=body, stream=stream, broken=trouble)

    def _due(
        self, who: _Who, turns: Sequence[Turn], news: Sequence[str]
    ) -> tuple[Turn, Trouble | None]:
        """Return the answer that is due, and what comes instead of it this time."""
        with self._changed:
            turn, index = self._turn(who, turns, news)
            at = self._failed[who, id(turn), index]
            if at < len(turn.failures):
                self._failed[who, id(turn), index] += 1
                return turn, turn.failures[at]
            if turn.sessions is not None:
                self._given[id(turn)][who.session, who.agent] = news[-1]
            return turn, None

    def _turn(self, who: _Who, turns: Sequence[Turn], news: Sequence[str]) -> tuple[Turn, int]:
        session = (who.session, who.agent)
        theirs = [turn for turn in turns if self._is_for(session, turn)]
        index = due(theirs, news)
        turn = theirs[index] if index < len(theirs) else self._script.after
        if turn.sessions is not None:
            given = self._given[id(turn)].setdefault(session, "")
            if given and given != news[-1]:
                # It was given, and the session died before it had it on disk.
                self._lost.add((id(turn), session))
                return self._turn(who, turns, news)
        return turn, index

    def _is_for(self, session: tuple[str, str], turn: Turn) -> bool:
        if turn.sessions is None:
            return True
        given = self._given[id(turn)]
        return (id(turn), session) not in self._lost and (
            session in given or len(given) < turn.sessions
        )

    def _record(
        self, status: int, content: Mapping[str, Any], who: _Who, method: str, path: str
    ) -> None:
        said = request.said_since(content)
        with self._changed:
            entry = Request(
                at=iso(self._clock.wall_ns()),
                method=method,
                path=path,
                **asdict(who.asker),
                session=who.session,
                agent=who.agent,
                model=str(content.get("model", "")),
                turn=request.turn_of(content),
                stream=content.get("stream") is True,
                tools=request.tool_names(content),
                said=said,
                reminders=request.reminders_since(content),
                results=request.results_since(content),
                stop_hook_feedback=request.stop_hook_feedback(said),
                status=status,
            )
            self._requests.append(entry)
            self._changed.notify_all()
            if self._log >= 0:
                with atomic.storage_errors("write the log", self._log_path):
                    atomic.write_all(self._log, json.dumps(entry.as_json()).encode() + b"\n")


def _object(body: bytes) -> dict[str, Any] | None:
    """Return the body of a request, if it is a JSON object."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _unknown(script: Script, asker: Asker) -> str:
    known = ", ".join(script.known(asker.node, asker.attempt))
    here = f" for node {asker.node!r}" if asker.node else ""
    return f"The rehearsal script has no role {asker.role!r}{here}; it has {known}."


def _place(path: str) -> str:
    return path.partition("?")[0]


def _other(method: str, place: str, body: bytes, name: str) -> Reply:
    """Return the answer to a request that is not about a message."""
    if method == "POST" and place == "/v1/messages/count_tokens":
        return reply.count(body)
    if method in ("GET", "HEAD") and place == "/api/hello":
        return reply.as_json({"message": "hello"})
    if method in ("GET", "HEAD") and place == "/v1/models":
        return reply.models()
    return reply.error(404, "", name)


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        fix = "choose another file for the log"
        raise StorageError(f"cannot be written: {error.strerror}", where=path, fix=fix) from error
