"""What the next attempt is told about the one before, taken from disk and bounded in size.

How it ended, what failed, its last words, what is on the branch, and what it wrote, ran and read.
All of it was written by a session or by programs that it ran, so it is quoted, never said: each
text stands in a block that nothing in it can close. The most useful comes first, each part has its
share, and the whole stays within `max_carry_bytes`. What cannot be read is left out: a retry must
not fail for want of its history. What the judge said is not here; the assignment brings it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple, final

from attractor.apart import apart
from attractor.errors import AttractorError
from attractor.run.assignment import Assignment
from runner.digest import Digest
from runner.facts import Checks
from runner.git import Worktree, alone, facts
from runner.prompt import fenced
from runner.state import State, load
from runner.transcript import digest, transcript_path
from signals.clock import Clock

_DIGEST_SECONDS: Final = 60.0
_MOST_COMMITS: Final = "30"
_MOST_STATE: Final = 16 * 1024 * 1024
_LEFT_OUT: Final = "[...]"
_SMALLEST: Final = 60


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The attempt before."""

    attempt: int
    reason: str = ""
    checks: str = ""
    """What a red check said."""
    log: str = ""
    stat: str = ""
    digest: Digest = field(default_factory=Digest)


class _Part(NamedTuple):
    title: str
    text: str
    share: float
    """Of the whole, at most."""
    keep_end: bool = False


def carry(assignment: Assignment, worktree: Worktree, clock: Clock) -> str:
    """Return what the first prompt of this attempt says about the one before; empty if nothing."""
    known = _state(assignment)
    if known is None or known.attempt >= assignment.attempt:
        return ""
    log, stat = _branch(worktree, clock)
    before = Before(
        attempt=known.attempt,
        reason=known.reason,
        checks=known.checks_text if known.checks is Checks.RED else "",
        log=log,
        stat=stat,
        digest=_digest(assignment, known, clock),
    )
    return told(before, assignment.limits.max_carry_bytes)


def told(before: Before, most_bytes: int) -> str:
    """Return the text, in at most so many bytes."""
    did = before.digest
    parts = (
        _Part(f"Attempt {before.attempt} ended like this", before.reason, 0.05),
        _Part("The check that failed said", before.checks, 0.3, keep_end=True),
        _Part("Failures seen in its commands", _lines(did.failures), 0.2, keep_end=True),
        _Part("Its last words", did.last_message, 0.2, keep_end=True),
        _Part("Its commits, which are on the branch", before.log, 0.15),
        _Part("What differs from the base", before.stat, 0.2),
        _Part(
            "Files that it wrote, the newest last", _lines(did.files_written), 0.2, keep_end=True
        ),
        _Part("Commands that it ran, newest last", _lines(did.commands), 0.3, keep_end=True),
        _Part("Files that it read, newest last", _lines(did.files_read), 0.2, keep_end=True),
    )
    told, left = [], most_bytes
    for part in parts:
        if text := _quoted(part, min(left, int(part.share * most_bytes))):
            told.append(text)
            left -= len(text.encode()) + len("\n\n")
    return "\n\n".join(told)


def _lines(texts: Sequence[str]) -> str:
    return "\n".join(texts)


def _quoted(part: _Part, room: int) -> str:
    """Return the part with its title, in at most so many bytes; empty if nothing of it fits."""
    text = part.text.encode("utf-8", "replace").decode().strip()
    if not text:
        return ""
    whole = f"{part.title}:\n\n{fenced(text)}"
    if len(whole.encode()) <= room:
        return whole
    # The fence may be longer than usual, if the text has one of its own.
    keep = room - (len(whole.encode()) - len(text.encode())) - len(_LEFT_OUT) - 1
    if keep < _SMALLEST:
        return ""
    data = text.encode()
    if part.keep_end:
        cut = f"{_LEFT_OUT}\n{data[-keep:].decode('utf-8', 'ignore')}"
    else:
        cut = f"{data[:keep].decode('utf-8', 'ignore')}\n{_LEFT_OUT}"
    return f"{part.title}:\n\n{fenced(cut)}"


def _state(assignment: Assignment) -> State | None:
    path = assignment.layout.runner_state(assignment.node_id)
    with contextlib.suppress(OSError, AttractorError), open(path, "rb") as file:
        return load(file.read(_MOST_STATE), path)
    return None


def _branch(worktree: Worktree, clock: Clock) -> tuple[str, str]:
    """Return the commits on top of the base, and what differs from it."""
    with contextlib.suppress(OSError, AttractorError), alone(worktree.lock, clock) as lock:
        git = worktree.seen(lock)
        found = facts(worktree, git)
        if not found.commits:
            return "", found.stat
        words = ("log", "--no-show-signature", "--no-color", "--format=%h %s")
        span = (f"--max-count={_MOST_COMMITS}", found.head, f"^{worktree.base}", "--")
        log = git.ask(*words, *span)
        return log.decode("utf-8", "replace"), found.stat
    return "", ""


def _digest(assignment: Assignment, known: State, clock: Clock) -> Digest:
    """Return what the transcript says; where it lies we know ourselves, and do not let us tell."""
    for config in _configs(assignment):
        path = transcript_path(config, assignment.work_folder, known.session_id)
        if os.path.lexists(path):
            with contextlib.suppress(AttractorError):
                return _digested(config, path, assignment.limits.max_carry_bytes, clock)
    return Digest()


def _digested(config: str, path: str, most_bytes: int, clock: Clock) -> Digest:
    # In a child, because what reads a long transcript would stay in memory for the whole night.
    said: dict[str, Any] = apart(
        lambda: asdict(digest(config, path, most_bytes)), clock, _DIGEST_SECONDS
    )
    return Digest(**{key: _frozen(value) for key, value in said.items()})


def _configs(assignment: Assignment) -> list[str]:
    """Return where the session before may have kept its transcripts, behind a fence or not."""
    theirs = os.path.join(os.environ.get("HOME", ""), ".claude")
    own = assignment.layout.config(assignment.node_id)
    return [own, os.environ.get("CLAUDE_CONFIG_DIR") or theirs]


def _frozen(value: Any) -> Any:  # noqa: ANN401  # it came as JSON
    return tuple(value) if isinstance(value, list) else value
