"""Our hooks in a Claude Code settings file: put in and taken out of its text.

They are two: Stop, and the SessionStart that tells the session's commands which project is theirs.

Guaranteed: what else is in the file keeps its content and order; the text keeps its indentation,
line ends, byte order mark and the way its numbers are written; the same text and hook always give
the same result, so that what was written can be recognised. Not kept: spacing inside a line.
Nothing is read or written here.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any, Final, NamedTuple

from attractor.errors import InputError

CAP: Final = "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP"
# Above every count of ours, so that only a foreign hook that never lets go is overridden.
CAP_VALUE: Final = "100"
TIMEOUT_SECONDS: Final = 60
EVENTS: Final = ("Stop", "SessionStart")
FIRST_EVENTS: Final = ("Stop",)
"""What the first installations had."""
_FOLDER: Final = "/attractor/promise/"
_FILES: Final = {"Stop": "stop_hook.py", "SessionStart": "session_start.py"}
_STATUS: Final = {"Stop": "checking promises", "SessionStart": "naming the project"}
_FLAGS: Final = ["-I", "-S"]
_BOM: Final = "\ufeff"
# A number that is not an integer travels as a string with this mark, and so keeps its text.
_NUMBER: Final = "\0number "
_NUMBER_IN_JSON: Final = re.compile(r'"\\u0000number ([-+.0-9eE]+)"')


class Hook(NamedTuple):
    """The program that Claude Code is to start, by the file of its Stop hook."""

    python: str
    file: str

    def handler(self, event: str = "Stop") -> dict[str, Any]:
        """Return the entry of a list of hooks; with `args` no shell is used."""
        return {
            "type": "command",
            "command": self.python,
            "args": [*_FLAGS, self.file.removesuffix(_FILES["Stop"]) + _FILES[event]],
            "timeout": TIMEOUT_SECONDS,
            "statusMessage": _STATUS[event],
        }


class Merged(NamedTuple):
    """A settings file with the hook in it."""

    text: str
    notes: list[str]


def for_session(hook: Hook, events: tuple[str, ...] = EVENTS) -> dict[str, Any]:
    """Return settings that hold our hooks alone, for `claude --settings`."""
    groups = {event: [{"hooks": [hook.handler(event)]}] for event in events}
    return {"env": {CAP: CAP_VALUE}, "hooks": groups}


def merged(text: str | None, hook: Hook, where: str, events: tuple[str, ...] = EVENTS) -> Merged:
    """Return the settings (None: there are none yet) with our hooks in, each once."""
    if text is None:
        return Merged(_dumped(for_session(hook, events), "{\n  \n}\n"), [])
    settings = parsed(text, where)
    notes = _set_cap(settings, where)
    for event in events:
        groups = _groups(settings, event, where)
        if not _replace_ours(groups, event, hook):
            groups.append({"hooks": [hook.handler(event)]})
    if settings.get("disableAllHooks"):
        notes.append("`disableAllHooks` is on in this file, so no hook runs")
    # An untouched file keeps even what a new dump would change.
    return Merged(text if settings == parsed(text, where) else _dumped(settings, text), notes)


def installed(text: str, where: str) -> Hook | None:
    """Return our hook as it stands in the settings, if one of its entries does."""
    settings = parsed(text, where)
    for event in EVENTS:
        for handler in [
            each for group in _groups(settings, event, where) for each in _handlers(group)
        ]:
            if _is_ours(handler, event):
                file = handler["args"][-1].removesuffix(_FILES[event]) + _FILES["Stop"]
                return Hook(str(handler.get("command")), file)
    return None


def removed(text: str, where: str, *, keep_cap: bool = False) -> str:
    """Return the settings without our entries, and without what is empty then."""
    settings = parsed(text, where)
    env = _object(settings, "env", where)
    for event in EVENTS:
        groups = _groups(settings, event, where)
        _replace_ours(groups, event, None)
        if not groups:
            del settings["hooks"][event]
    if not settings["hooks"]:
        del settings["hooks"]
    if env.get(CAP) == CAP_VALUE and not keep_cap:
        del env[CAP]
        if not env:
            del settings["env"]
    return _dumped(settings, text)


def has_cap(text: str, where: str) -> bool:
    """Say whether the settings set the cap."""
    return CAP in _object(parsed(text, where), "env", where)


def parsed(text: str, where: str) -> dict[str, Any]:
    """Return the settings; InputError names the line of what cannot be understood."""
    body = text.removeprefix(_BOM)
    try:
        value = json.loads(
            _unmarked(body),
            object_pairs_hook=_no_twins,
            parse_float=_NUMBER.__add__,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise _not_json(error, where) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"these settings cannot be kept as they are: {error}", where=where
        ) from error
    if not isinstance(value, dict):
        raise InputError("the settings are not a JSON object", where=f"{where}:1", fix=_BY_HAND)
    return value


_BY_HAND: Final = "nothing was changed; `attractor hooks settings` prints what to add by hand"


def _not_json(error: json.JSONDecodeError, where: str) -> InputError:
    place = f"{where}:{error.lineno}:{error.colno}"
    if re.match(r"\s*(//|/\*|#)", error.doc[error.pos :]):
        problem = "there is a comment, and a comment would be lost when the file is written"
        return InputError(problem, where=place, fix=_BY_HAND)
    return InputError(f"this is not JSON: {error.msg}", where=place, fix="repair it, then again")


def _unmarked(text: str) -> str:
    if _NUMBER_IN_JSON.search(text):
        raise ValueError("a text in it looks like our own mark for numbers")
    return text


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} occurs twice in one object")
    return found


def _object(settings: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = settings.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"`{key}` is not a JSON object", where=where, fix=_BY_HAND)
    return value


def _set_cap(settings: dict[str, Any], where: str) -> list[str]:
    env = _object(settings, "env", where)
    if CAP not in env:
        settings["env"] = env | {CAP: CAP_VALUE}
        return []
    said = str(env[CAP])
    if said.isdigit() and 0 < int(said) < int(CAP_VALUE):
        return [f"{CAP} is {said} in this file and stays so: more blocks in a row are overridden"]
    return []


def _groups(settings: dict[str, Any], event: str, where: str) -> list[Any]:
    """Return the list of hooks of an event, put into the settings if there was none."""
    hooks = settings.setdefault("hooks", {})
    _object(settings, "hooks", where)
    groups = hooks.setdefault(event, [])
    if not isinstance(groups, list):
        raise InputError(f"`hooks.{event}` is not a list", where=where, fix=_BY_HAND)
    return groups


def _handlers(group: object) -> list[Any]:
    found = group.get("hooks") if isinstance(group, dict) else None
    return found if isinstance(found, list) else []


def _is_ours(handler: object, event: str) -> bool:
    args = handler.get("args") if isinstance(handler, dict) else None
    ours = _FOLDER + _FILES[event]
    return isinstance(args, list) and args[:-1] == _FLAGS and str(args[-1]).endswith(ours)


def _replace_ours(groups: list[Any], event: str, hook: Hook | None) -> bool:
    """Put the hook in the place of our first entry, take out the others; say if there was one."""
    new = [hook.handler(event)] if hook else []
    found = False
    for group in list(groups):
        handlers = _handlers(group)
        for handler in [each for each in handlers if _is_ours(each, event)]:
            at = next(i for i, each in enumerate(handlers) if each is handler)
            handlers[at : at + 1] = [] if found else copy.deepcopy(new)
            found = True
            if not handlers:
                groups[:] = [each for each in groups if each is not group]
    return found


def _dumped(value: dict[str, Any], like: str) -> str:
    """Return JSON with the indentation, line ends and byte order mark of another text."""
    indent = re.search(r"^\{\s*\n([ \t]+)", like.removeprefix(_BOM))
    text = json.dumps(value, indent=indent[1] if indent else 2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which stays an escape
        text = json.dumps(value, indent=indent[1] if indent else 2)
    text = _NUMBER_IN_JSON.sub(r"\1", text)
    end = re.search(r"\s*$", like)
    text += end[0].replace("\r\n", "\n") if end else ""
    text = text.replace("\n", "\r\n") if "\r\n" in like else text
    return (_BOM if like.startswith(_BOM) else "") + text
