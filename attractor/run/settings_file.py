"""A file of settings: YAML that holds words, numbers and lists of them, one name a line.

Values stay text, as they are written: `off` is a word, `010` no octal, and a length of time is read
by who knows the setting. Refused, with the place: what is not YAML, nesting, a name that stands
twice, more than 1 MiB. A file that is not there holds nothing; it may be a symbolic link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from attractor.errors import InputError

if TYPE_CHECKING:
    import yaml

_MOST_BYTES: Final = 1024 * 1024
_FORM: Final = "write one `name: value` a line; `attractor config show` lists the names"

Given = str | tuple[str, ...]


def read(path: str) -> Iterator[tuple[str, Given, str]]:
    """Give each name with what it is given and its place."""
    text = _text(path)
    if text is None:
        return
    import yaml  # 20 ms, only for those who have such a file

    root = _composed(text, path)
    if root is None or root.tag.endswith(":null"):
        return
    if not isinstance(root, yaml.MappingNode):
        raise InputError("it is not a list of settings", where=path, fix=_FORM)
    seen: set[str] = set()
    for key, value in root.value:
        where = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a name is one word", where=where, fix=_FORM)
        if key.value in seen:
            raise InputError(f"{key.value!r:.60} stands twice", where=where, fix="remove one")
        seen.add(key.value)
        yield key.value, _plain(value, key.value, where), where


def _composed(text: str, path: str) -> yaml.Node | None:
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        problem = getattr(error, "problem", None) or "it has a character that YAML does not have"
        raise InputError(f"this is not YAML: {problem}", where=where, fix=_FORM) from None
    except RecursionError:
        raise InputError("it is nested too deeply", where=path, fix=_FORM) from None


def _plain(value: yaml.Node, name: str, where: str) -> Given:
    import yaml

    listed = isinstance(value, yaml.SequenceNode)
    items = value.value if listed else [value]
    if not all(isinstance(each, yaml.ScalarNode) for each in items):
        problem = f"{name!r:.60} is neither a word nor a list of words"
        raise InputError(problem, where=where, fix=_FORM)
    texts = tuple("" if each.tag.endswith(":null") else str(each.value) for each in items)
    return texts if listed else texts[0]


def _text(path: str) -> str | None:
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("it is not a plain file", where=path, fix="move it away")
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        fix = "make it readable, or move it away"
        raise InputError(f"it cannot be read: {error.strerror}", where=path, fix=fix) from None
    if len(data) > _MOST_BYTES:
        raise InputError("it is larger than 1 MiB", where=path, fix="is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
        raise InputError(problem, where=path, fix="save the file as UTF-8") from None
