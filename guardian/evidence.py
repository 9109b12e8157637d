"""What a verdict stands on: quotations that are looked up, and the files that keep them.

A quotation counts when its words occur, whatever the white space between them, in that file of the
tree; the line that was given is a hint only. Read are plain files inside of the tree, up to a
bound, never through a link and never git's own. Not checked: whether a quotation proves anything.

The files of one attempt hold the last round, and those before it as a list; each is replaced as a
whole, and bounded by leaving out the oldest.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from signals import atomic
from signals.atomic import storage_errors

CHECKS: Final = "checks"
"""The name under which the results of the checks are quoted."""
REPORT: Final = "validation-report.json"
SCORES: Final = "scenario-scores.json"
SNIPPETS: Final = "code-snippets.json"
SCHEMA_VERSION: Final = 1
MOST_QUOTES: Final = 20
_SHORTEST: Final = 3
_MOST_QUOTE: Final = 4_000
_MOST_KEPT: Final = 500
_MOST_PATH: Final = 1_000
_MOST_PLACES: Final = 1_000
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_RECORD: Final = 1024 * 1024
_MOST_READ: Final = 4 * _MOST_RECORD
_MOST_EARLIER: Final = 20


@final
@dataclass(frozen=True, slots=True)
class Quotation:
    """One quotation, looked up."""

    file: str
    """Its path in the tree, or as it was given where it is not there."""
    line: int
    quote: str
    why: str = ""
    """Why it does not count; empty where it was found."""

    @property
    def found(self) -> bool:
        """Whether it stands where it is said to stand."""
        return not self.why

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.file}:{self.line}"

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return asdict(self)


def look_up(tree: str, target_dir: str, checks: str, given: object) -> list[Quotation]:
    """Return each quotation of an answer with what was found; `checks` are the checks' results."""
    said = given if isinstance(given, list) else []
    return [_looked_up(tree, target_dir, checks, each) for each in said[:MOST_QUOTES]]


def _looked_up(tree: str, target_dir: str, checks: str, given: object) -> Quotation:
    said: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    name, quote, line = said.get("file"), said.get("quote"), said.get("line")
    hint = line if type(line) is int else 0
    if not isinstance(name, str) or not isinstance(quote, str):
        return Quotation("", 0, "", "it names no file, or quotes nothing")
    kept = Quotation(name[:_MOST_PATH], 0, quote[:_MOST_KEPT])
    if len([each for each in quote if each.isprintable() and not each.isspace()]) < _SHORTEST:
        return _refused(kept, "it is too short to be looked up")
    if len(quote) > _MOST_QUOTE or len(name) > _MOST_PATH:
        return _refused(kept, "it is too long to be looked up")
    if name == CHECKS and (at := _line(checks, quote, hint)):
        return Quotation(name, at, kept.quote)
    why = ""
    for path in _paths(tree, target_dir, name):
        text, why = _text(tree, path)
        if at := _line(text, quote, hint):
            return Quotation(path, at, kept.quote)
    return _refused(kept, why or "it does not stand there")


def _refused(quotation: Quotation, why: str) -> Quotation:
    return Quotation(quotation.file, quotation.line, quotation.quote, why)


def _paths(tree: str, target_dir: str, name: str) -> list[str]:
    """Return what a name may mean: from the folder of the work, or from the top of the tree."""
    if os.path.isabs(name):
        path = os.path.relpath(os.path.normpath(name), os.path.normpath(tree))
        return [path]
    found = [os.path.normpath(os.path.join(target_dir, name)), os.path.normpath(name)]
    return list(dict.fromkeys(found))


def _line(text: str, quote: str, hint: int) -> int:
    """Return the line where the quotation begins, the nearest to the hint; 0 if there is none."""
    pattern = r"\s+".join(map(re.escape, quote.split()))
    best = 0
    for count, match in enumerate(re.finditer(pattern, text)):
        at = text.count("\n", 0, match.start()) + 1
        if not best or abs(at - hint) < abs(best - hint):
            best = at
        if best == hint or count >= _MOST_PLACES:
            break
    return best


def _text(tree: str, path: str) -> tuple[str, str]:
    """Return what a plain file of the tree says, or nothing, and why."""
    parts = path.split(os.sep)
    if os.path.isabs(path) or "\0" in path or {"..", ".", ""} & set(parts):
        return "", "it is not a file of the tree"
    if any(each.casefold() == ".git" for each in parts):
        return "", "it is git's own, and no part of the work"
    try:
        data = _read(tree, parts)
    except (OSError, UnicodeError):
        return "", "there is no such plain file in the tree"
    if data is None:
        return "", "it is not a plain file"
    return data.decode("utf-8", "replace"), ""


def _read(tree: str, parts: Sequence[str]) -> bytes | None:
    """Open folder by folder: no link leads elsewhere, also not one that is put there meanwhile."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    folder = os.open(tree, flags | os.O_DIRECTORY)
    try:
        for name in parts[:-1]:
            below = os.open(name, flags | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        # Not blocking: a named pipe without a writer must not hang us.
        file = os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        return opened.read(_MOST_BYTES)


def record(folder: str, about: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Keep one round: what all files say of it, and what each says; return the report's path.

    A round that was kept before under the same `task` is replaced.
    """
    with storage_errors("make", folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    # The report last: where it is, the others are.
    for name in sorted(parts, key=lambda each: each == REPORT):
        path = os.path.join(folder, name)
        now = {"schema_version": SCHEMA_VERSION, **about, **parts[name]}
        earlier = [each for each in _kept(path) if each.get("task") != about["task"]]
        atomic.replace(path, _bounded(now, earlier[-_MOST_EARLIER:]))
    return os.path.join(folder, REPORT)


def _bounded(now: Mapping[str, Any], earlier: list[dict[str, Any]]) -> bytes:
    while True:
        value = {**now, "earlier": earlier}
        data = json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if len(data) <= _MOST_RECORD or not earlier:
            return data
        earlier = earlier[1:]


def _kept(path: str) -> list[dict[str, Any]]:
    """Return the rounds of a file, the oldest first; what cannot be read is begun anew."""
    try:
        with open(path, "rb") as file:
            last = json.loads(file.read(_MOST_READ))
        earlier = last.pop("earlier")
        return [each for each in [*earlier, last] if isinstance(each, dict)]
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return []
