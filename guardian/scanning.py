"""The scan of what a commit adds for secrets and private data: no model, and the same each time.

What a person has allowed, in `.attractor-allow` of the main checkout, is listed and is no finding.
The work cannot allow anything itself: a line that it adds to that file is a finding. A file that is
too large to be scanned is one as well. No finding says what was found, only of which kind it is.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from attractor.git import Git
from attractor.privacy.scan import MOST, Found, scan_files
from guardian import additions
from guardian.additions import Added, shown

ALLOW: Final = ".attractor-allow"
TOO_LARGE: Final = "too-large"
MOST_FINDINGS: Final = 50
_MOST_ALLOW_BYTES: Final = 64 * 1024
_MOST_COMMITS: Final = 1_000
_FIX: Final = (
    "Take it out of the file and of the commit, and read it from the environment or from a file "
    "that git ignores; in an example use a value that is plainly made up."
)
_PRIVATE_FIX: Final = "Take it out of the commit; in an example use example.com or a made-up name."
_ALLOWED_BY_ITSELF: Final = (
    "the work itself allows what a scan finds, which only a person may, in the main checkout"
)
_SECRET: Final = frozenset({"token", "private-key", "password", "random-string"})


@final
class Allowance(NamedTuple):
    """One line of the file: which paths, and which kinds; none for all of them."""

    paths: str
    kinds: frozenset[str]


@final
@dataclass(slots=True)
class Scanned:
    """What a scan comes to."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    allowed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def scan(git: Git, project: str, base: str, commit: str) -> Scanned:
    """Scan what the commit adds to its base."""
    files = additions.added(git, base, commit)
    known, allowances = usual(git, project, base)
    found = scan_files(((each.path, each.lines) for each in files), known)
    scanned = Scanned()
    if len(found) >= MOST:
        scanned.notes.append(f"the scan ended after {MOST} places; there may be more")
    for each in _own_allowances(files):
        scanned.findings.append(each)
        scanned.notes.append(f"{ALLOW}:{each['line']}: {_ALLOWED_BY_ITSELF}")
    for path, line, kind, problem, fix in [*_large(files), *_said(found)]:
        place = {"file": shown(path), "line": line}
        if _is_allowed(allowances, path, kind):
            scanned.allowed.append({**place, "kind": kind})
        else:
            scanned.findings.append({**place, "problem": problem, "fix": fix})
    return _bounded(scanned)


@final
class Usual(NamedTuple):
    """What is no finding in a project."""

    known: frozenset[str]
    allowed: tuple[Allowance, ...]


def usual(git: Git, project: str, base: str) -> Usual:
    """Return which addresses the history shows anyway, and what a person has allowed."""
    return Usual(frozenset(_authors(git, base)), tuple(allowances_in(_allow_file(project))))


def kinds(git: Git, base: str, commit: str, usual: Usual) -> list[str]:
    """Return of which kinds is what a commit adds and its message says, without what is usual."""
    files = additions.added(git, base, commit)
    message = git.ask("show", "--no-patch", "--format=%B", commit, "--").decode("utf-8", "replace")
    said = ("", list(enumerate(message.split("\n"), 1)))
    found = scan_files([*((each.path, each.lines) for each in files), said], usual.known)
    rows = (*_large(files), *_said(found))
    return sorted({row[2] for row in rows if not _is_allowed(usual.allowed, row[0], row[2])})


def allowances_in(text: str) -> list[Allowance]:
    """Return what a file allows: a line is a pattern of paths and the kinds; `#` is a comment."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [Allowance(words[0], frozenset(words[1:])) for words in lines if words]


def _is_allowed(allowances: Sequence[Allowance], path: str, kind: str) -> bool:
    return any(_covers(each, path, kind) for each in allowances)


def _covers(allowance: Allowance, path: str, kind: str) -> bool:
    fits = fnmatch.fnmatchcase(path, allowance.paths)
    return fits and (not allowance.kinds or kind in allowance.kinds)


def _allow_file(project: str) -> str:
    """Return what the person's own checkout says; a session cannot write there."""
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        with open(os.open(os.path.join(project, ALLOW), flags), "rb") as file:
            return (file.read(_MOST_ALLOW_BYTES) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def _own_allowances(files: Iterable[Added]) -> Iterator[dict[str, Any]]:
    for each in files:
        for number, line in each.lines if each.path == ALLOW else ():
            if allowances_in(line):
                fix = "Take this line out of the commit; say that you need it, a person decides."
                yield {"file": ALLOW, "line": number, "problem": _ALLOWED_BY_ITSELF, "fix": fix}


_Row = tuple[str, int, str, str, str]


def _large(files: Sequence[Added]) -> Iterator[_Row]:
    for each in files:
        if each.too_large:
            problem = "this file is too large to be scanned for secrets and private data"
            fix = "Leave it out of the repository, or make it smaller."
            yield each.path, 0, TOO_LARGE, problem, fix


def _said(found: Iterable[Found]) -> Iterator[_Row]:
    for each in found:
        fix = _FIX if each.kind in _SECRET else _PRIVATE_FIX
        yield each.path, each.line, each.kind, each.problem, fix


def _authors(git: Git, base: str) -> set[str]:
    """Return the addresses that the history shows anyway."""
    said = git.answer("log", "--format=%ae%n%ce", f"--max-count={_MOST_COMMITS}", base, "--")
    return set(said.stdout.decode("utf-8", "replace").split("\n")) if said.status == 0 else set()


def _bounded(scanned: Scanned) -> Scanned:
    for name in ("findings", "allowed"):
        places = getattr(scanned, name)
        if len(places) > MOST_FINDINGS:
            more = len(places) - MOST_FINDINGS
            scanned.notes.append(f"{more} more {name} were left out here")
            del places[MOST_FINDINGS:]
    return scanned
