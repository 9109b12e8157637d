"""Whether a person's Claude Code trusts a project, and, on request only, that it does.

Trust lives in `.claude.json`, in the person's home or in $CLAUDE_CONFIG_DIR, under the main
checkout of the project: a linked worktree has the trust of its main checkout. `accept` is the one
thing that Attractor ever writes there. It changes one value and leaves every other byte; the file
is replaced in one step, and not at all if somebody changed it meanwhile. Claude Code itself takes
no notice of that: if it writes in the same instant, the later of the two counts.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

from attractor import git
from attractor.errors import AttractorError, BusyError, InputError, StorageError
from signals.atomic import replace, storage_errors, sweep_drafts

_MOST_BYTES: Final = 256 * 1024 * 1024
_ACCEPTED: Final = "hasTrustDialogAccepted"
_SPACE: Final = " \t\r\n"
_BY_HAND: Final = "run `claude` in the project once and accept"


def state_file(environ: Mapping[str, str]) -> str:
    """Return the file in which Claude Code keeps what it knows."""
    folder = environ.get("CLAUDE_CONFIG_DIR") or environ.get("HOME", "")
    return os.path.join(folder, ".claude.json")


def read_state(path: str) -> dict[str, Any]:
    """Return what a file of the person's configuration says; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            state = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def is_trusted(project: str, state: Mapping[str, Any]) -> bool:
    """Say whether Claude Code will start in the project without asking."""
    projects = state.get("projects")
    if not isinstance(projects, dict):
        return False
    roots = {project, os.path.realpath(project), main_checkout(project)}
    keys = roots | {unicodedata.normalize("NFC", root) for root in roots}
    said = [projects.get(key) for key in keys]
    return any(isinstance(one, dict) and one.get(_ACCEPTED) is True for one in said)


def main_checkout(project: str) -> str:
    """Return the folder by which Claude Code remembers the trust of a linked worktree."""
    try:
        return os.path.dirname(git.repository(project).common)
    except AttractorError:
        return os.path.realpath(project)


def accept(project: str, environ: Mapping[str, str]) -> bool:
    """Have Claude Code trust the project; false if it did already."""
    path = state_file(environ)
    before = _bytes(path)
    after = _wanted(project, before, path)
    if after is None:
        return False

    def unchanged() -> None:
        if _bytes(path) != before:
            problem = "somebody else, perhaps Claude Code, has changed it just now"
            raise BusyError(problem, where=path, fix="do the same again")

    sweep_drafts(os.path.realpath(path))
    replace(path, after, check=unchanged)
    return True


def check(project: str, environ: Mapping[str, str]) -> None:
    """Raise the error with which `accept` would end now; nothing is written."""
    path = state_file(environ)
    _wanted(project, _bytes(path), path)


def ways(path: str, command: str) -> str:
    """Return how a person has Claude Code trust a project; this command needs a configuration."""
    by_hand = "run `claude` here once and accept"
    return f"{command}; or {by_hand}" if os.path.lexists(path) else by_hand


def _wanted(project: str, before: bytes, path: str) -> bytes | None:
    """Return the configuration in which the project is trusted; None where it is already."""
    text = _text(before, path)
    if is_trusted(project, json.loads(text)):
        return None
    key = unicodedata.normalize("NFC", main_checkout(project))
    return _accepted(text, key, path).encode()


def _bytes(path: str) -> bytes:
    try:
        with storage_errors("read", path), open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except StorageError as error:
        if not os.path.lexists(path):
            problem = "Claude Code has never been started here"
            raise InputError(problem, where=path, fix=_BY_HAND) from error
        raise
    if len(data) > _MOST_BYTES:
        raise InputError("it is too large to be read", where=path, fix=_BY_HAND)
    return data


def _text(data: bytes, path: str) -> str:
    try:
        text = data.decode()
        if isinstance(json.loads(text), dict):
            return text
    except (ValueError, RecursionError) as error:
        raise InputError("this is not JSON", where=path, fix=_BY_HAND) from error
    raise InputError("this is not a JSON object", where=path, fix=_BY_HAND)


@final
class _Object(NamedTuple):
    """Where a JSON object of the text has its first word, and each value its first and its end."""

    start: int
    members: dict[str, tuple[int, int]]


def _object(text: str, start: int) -> _Object:
    """Look at the object that begins here; the text is known to be JSON."""
    first = at = _after_space(text, start + 1)
    decoder = json.JSONDecoder()
    found: dict[str, tuple[int, int]] = {}
    while text[at] != "}":
        if text[at] == ",":
            at = _after_space(text, at + 1)
        key, at = decoder.raw_decode(text, at)
        begin = _after_space(text, text.index(":", at) + 1)
        _, end = decoder.raw_decode(text, begin)
        found[key] = (begin, end)
        at = _after_space(text, end)
    return _Object(first, found)


def _after_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _accepted(text: str, key: str, path: str) -> str:
    """Return the text with the one value; as little as possible is put in."""
    said: Any = {"projects": {key: {_ACCEPTED: True}}}
    at = _after_space(text, 0)
    for word in ("projects", key, _ACCEPTED):
        if text[at] != "{":
            problem = f"what should hold {word!r:.200} is no JSON object"
            raise InputError(problem, where=path, fix=_BY_HAND)
        found = _object(text, at)
        said = said[word]
        if word not in found.members:
            return _put_in(text, at, found, f"{_dumped(word)}: {_dumped(said)}")
        at, end = found.members[word]
    return f"{text[:at]}true{text[end:]}"


def _put_in(text: str, at: int, found: _Object, member: str) -> str:
    space = text[at + 1 : found.start]
    more = f",{space or ' '}" if found.members else ""
    # In front of the others, in their own manner; an empty object keeps what it had inside.
    return f"{text[: found.start]}{member}{more}{text[found.start :]}"


def _dumped(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
