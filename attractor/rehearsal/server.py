"""The scripted model's APIs: listens on 127.0.0.1 only, answers from a script, forwards nothing.

What is due follows from the conversation that a request carries, so a request that is sent twice
gets the same answer. Remembered is only how often a scripted failure has happened, by session,
agent and turn, and which sessions were given a turn that is for few. Every request is on the record
before it is answered, with what is to be remembered of it; a server that is started `again` reads
that. After `close` no thread, socket or file is left.
Not guaranteed: that the script still fits after the session compacts its conversation, because
that starts the counting again.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Self, final

from attractor.errors import InputError, StorageError
from attractor.rehearsal import reply, request
from attractor.rehearsal.dialect import CLAUDE, OPENCODE, Dialect
from attractor.rehearsal.dialect_gemini import GEMINI
from attractor.rehearsal.dialect_gemini import PLACE as GEMINI_PLACE
from attractor.rehearsal.dialect_openai import OPENAI
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.listener import LOOPBACK, Listener
from attractor.rehearsal.memory import Due, Memory, Note, Who
from attractor.rehearsal.reply import Reply
from attractor.rehearsal.request import Request
from attractor.rehearsal.turn import SUBAGENT, Failure, Hold, Script, Text, Turn
from signals import atomic
from signals.clock import Clock, SystemClock, iso

# Titles, summaries and other errands come without tools; they are no part of a script.
_ERRAND: Final = Turn((Text("Rehearsal"),))


@final
class ScriptedServer:
    """A running scripted model; a context manager that starts on entry and is gone on exit."""

    def __init__(
        self,
        script: Script,
        *,
        port: int = 0,
        log: str | None = None,
        again: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._script = script
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._memory = Memory(script)
        # So that no two requests of a run have the same id.
        self._ids = itertools.count(1 + (self._memory.recall(log) if log and again else 0))
        self._log_path = log or ""
        self._log = _opened(log, again=again) if log else -1
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
        asker, place = Asker.of_path(path.partition("?")[0])
        dialect = _dialect(place, headers)
        sent = _object(body) if method == "POST" else {}
        session = dialect.session(headers, sent or {}) if dialect else ""
        content = dialect.body(place, sent) if dialect and sent else sent
        who, turns = self._who(asker or Asker.of(headers), session, headers, content or {})
        told = Due(_ERRAND, None, ())
        if content is None:
            form = dialect.form if dialect else None
            made = reply.error(400, "The request body is not a JSON object.", name, form)
        elif method == "POST" and dialect:
            if turns is None and request.tool_names(content):
                made = reply.error(400, _unknown(self._script, who.asker), name, dialect.form)
            else:
                told = self._due(who, turns, content)
                made = self._message(told, content, body, name, dialect)
        else:
            made = _other(method, place, body, name)
        try:
            self._record(made.status, content or {}, who, method, path, told.notes)
        except StorageError as error:
            made = reply.error(500, f"The rehearsal {error.problem}.", name)
        return replace(made, headers={**made.headers, "request-id": name})

    def next_id(self) -> str:
        """Return the id of another request."""
        return f"req_{next(self._ids):08d}"

    def _who(
        self, asker: Asker, session: str, headers: Mapping[str, str], content: Mapping[str, Any]
    ) -> tuple[Who, Sequence[Turn] | None]:
        """Return who asks, and the turns of this role, where the script has any."""
        node, attempt = asker.node, asker.attempt
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
        return Who(asker, session, agent), turns

    def _due(self, who: Who, turns: Sequence[Turn] | None, content: Mapping[str, Any]) -> Due:
        if turns is None or not request.tool_names(content):
            return Due(_ERRAND, None, ())
        with self._changed:
            return self._memory.due(who, turns, request.news(content))

    def _message(
        self, told: Due, content: Mapping[str, Any], body: bytes, name: str, dialect: Dialect
    ) -> Reply:
        turn, trouble = dialect.adapted(told.turn, request.tool_names(content)), told.trouble
        if isinstance(trouble, Hold):
            return reply.nothing(trouble.wait_seconds)
        stream = content.get("stream") is True
        if isinstance(trouble, Failure) and (trouble.after is None or not stream):
            reset = trouble.reset_seconds or trouble.retry_after or 0
            at = self._clock.wall_ns() + reset * 1_000_000_000
            return reply.failure(trouble, name, resets_ns=at, form=dialect.form)
        model = str(content.get("model", ""))
        return reply.message(
            turn, model=model, body=body, stream=stream, broken=trouble, form=dialect.form
        )

    def _record(
        self,
        status: int,
        content: Mapping[str, Any],
        who: Who,
        method: str,
        path: str,
        notes: Sequence[Note],
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
                notes=tuple(notes),
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


def _dialect(place: str, headers: Mapping[str, str]) -> Dialect | None:
    """Return in which words a message is asked for; None where something else is."""
    if place == "/v1/messages":
        program = headers.get("user-agent", "").partition("/")[0]
        return OPENCODE if program == "opencode" else CLAUDE
    if place == "/v1/responses":
        return OPENAI
    return GEMINI if GEMINI_PLACE.fullmatch(place) else None


def _other(method: str, place: str, body: bytes, name: str) -> Reply:
    """Return the answer to a request that is not about a message."""
    if method == "POST" and place == "/v1/messages/count_tokens":
        return reply.count(body)
    if method in ("GET", "HEAD") and place == "/api/hello":
        return reply.as_json({"message": "hello"})
    if method in ("GET", "HEAD") and place == "/v1/models":
        return reply.models()
    return reply.error(404, "", name)


def _opened(path: str, *, again: bool) -> int:
    mode = os.O_RDWR if again else os.O_WRONLY
    try:
        log = os.open(path, mode | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        fix = "choose another file for the log"
        raise StorageError(f"cannot be written: {error.strerror}", where=path, fix=fix) from error
    size = os.fstat(log).st_size if again else 0
    if size and os.pread(log, 1, size - 1) != b"\n":
        # Its writer was killed in the middle of a line. The next one must begin anew.
        with atomic.storage_errors("write the log", path):
            atomic.write_all(log, b"\n")
    return log
