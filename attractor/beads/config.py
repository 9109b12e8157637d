"""The settings of a `.beads/` folder: `config.yaml`, read whole, changed one line at a time.

A change replaces or adds one top-level line; comments and all else stay. What such a line cannot
express is refused, and the file is untouched.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Final

from attractor.beads import ids
from attractor.beads.store import read_regular
from attractor.errors import DamageError, InputError
from signals.atomic import replace, storage_errors

FILE: Final = "config.yaml"
PREFIX: Final = "issue-prefix"
_NAMES: Final = {"issue_prefix": PREFIX, "prefix": PREFIX}
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def canonical(key: str) -> str:
    """Return the name under which a setting is stored."""
    if not _KEY.fullmatch(key):
        raise InputError(f"{key!r} cannot be the name of a setting", fix="use letters, ., - and _")
    return _NAMES.get(key, key)


def _text(folder: str) -> str:
    path = os.path.join(folder, FILE)
    try:
        with storage_errors("read", path):
            return read_regular(path).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise DamageError("it is not UTF-8", where=path, fix="save it as UTF-8") from None


def _load(text: str, path: str) -> dict[str, Any]:
    import yaml  # 20 ms, only for commands that need a setting

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = str(error).replace("\n", " ")
        fix = "correct it; `attractor bd doctor` checks it again"
        raise DamageError(f"it is not YAML: {problem}", where=path, fix=fix) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise DamageError(
            "it is not a list of settings", where=path, fix="write `key: value` lines"
        )
    return found


def read(folder: str) -> dict[str, Any]:
    """Return all settings of a `.beads/` folder; none if it has no file."""
    if not os.path.exists(os.path.join(folder, FILE)):
        return {}
    return _load(_text(folder), os.path.join(folder, FILE))


def shown(value: object) -> str:
    """Return a setting as text, as bd prints it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def prefix_of(folder: str, settings: dict[str, Any]) -> str:
    """Return what ids begin with: the setting, else the name of the project's folder."""
    chosen = settings.get(PREFIX)
    if isinstance(chosen, str) and chosen:
        return ids.check_prefix(chosen)
    name = os.path.basename(os.path.dirname(os.path.abspath(folder)))
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_").lower()[:40] or "bd"


def custom(settings: dict[str, Any], key: str) -> list[str]:
    """Return the words of `status.custom` or `types.custom`, without bd's `:category`."""
    value = settings.get(key) or ""
    words = value if isinstance(value, list) else str(value).split(",")
    return [name for word in words if (name := str(word).partition(":")[0].strip())]


def change(folder: str, key: str, value: str | None) -> None:
    """Set a setting, or take it away (None). Hold the store's lock."""
    path = os.path.join(folder, FILE)
    text = _text(folder) if os.path.exists(path) else ""
    before = _load(text, path)
    line = None if value is None else f"{key}: {_scalar(key, value, path)}"
    new = _with_line(text, key, line)
    expected = {name: each for name, each in before.items() if name != key}
    after = _load(new, path)
    if {name: each for name, each in after.items() if name != key} != expected or (
        line is None and key in after
    ):
        fix = f"edit {path} by hand"
        raise InputError(f"{key} is not a single line of {FILE}", where=path, fix=fix)
    if new != text:
        replace(path, new.encode())


def _scalar(key: str, value: str, path: str) -> str:
    try:
        plain = _load(f"{key}: {value}\n", path).get(key)
    except DamageError:
        plain = None
    if plain == value or (type(plain) in (bool, int) and shown(plain) == value):
        return value
    return json.dumps(value)


def _with_line(text: str, key: str, line: str | None) -> str:
    lines = text.splitlines()
    start = re.compile(rf"""["']?{re.escape(key)}["']?\s*:""")
    found = [number for number, each in enumerate(lines) if start.match(each)]
    if found and line is not None:
        lines[found[0]] = line
    elif found:
        del lines[found[0]]
    elif line is not None:
        lines.append(line)
    return "".join(f"{each}\n" for each in lines)
