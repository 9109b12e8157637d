"""YAML text whose every value can be found again: line and column of what an error is about.

Refused, with their place: what is not YAML, a key that stands twice (YAML would silently keep the
last one), an alias (a small text could mean a huge value), and more than 1 MiB of text.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final, final

import yaml

from attractor.errors import InputError

_MOST_BYTES: Final = 1024 * 1024
Location = Sequence[str | int]


def read_source(path: str) -> YamlSource:
    """Read a file as UTF-8."""
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("is not a plain file", where=path, fix="give the path of a script")
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "check the path, and that you may read it"
        raise InputError(f"cannot be read: {reason}", where=path, fix=fix) from None
    if len(data) > _MOST_BYTES:
        fix = "split it: one script for each rehearsal"
        raise InputError("is larger than 1 MiB", where=path, fix=fix)
    try:
        return YamlSource(data.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
        raise InputError(problem, where=path, fix="save the file as UTF-8") from error


@final
class YamlSource:
    """A text with its tree of YAML nodes, which know their places."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._root = _composed(text, name)
        self._loader = yaml.SafeLoader("")
        if self._root is not None:
            _examine(self._root, name)

    def value(self) -> object:
        """Return the whole text as a value."""
        if self._root is None:
            return None
        try:
            made: object = self._loader.construct_document(self._root)
        except (yaml.MarkedYAMLError, ValueError, TypeError) as error:
            raise _not_yaml(error, self._name) from None
        return made

    def where(self, location: Location, *, key: bool = False) -> str:
        """Return file:line:column of a value, or of its key; where it is missing, of its parent."""
        node = self._root
        named = node
        for part in location:
            found = _child(node, part)
            if found is None:
                break
            named, node = found
        chosen = named if key else node
        return f"{self._name}:{_place(chosen)}" if chosen else self._name


def _place(node: yaml.Node) -> str:
    return f"{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node of a key (or of an item) and that of its value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    return None


def _composed(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _not_yaml(error, name) from None
    except RecursionError:
        raise InputError("is nested too deeply", where=name, fix="write it flatter") from None


def _not_yaml(error: Exception, name: str) -> InputError:
    where, problem = name, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        problem = error.problem or error.context or problem
        if mark := error.problem_mark or error.context_mark:
            where = f"{name}:{mark.line + 1}:{mark.column + 1}"
    fix = "put text with `: `, `#`, quotes or braces in it in quotes"
    return InputError(f"this is not YAML: {' '.join(problem.split())}", where=where, fix=fix)


def _examine(root: yaml.Node, name: str) -> None:
    """Refuse aliases and keys that stand twice."""
    met: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in met:
            where, fix = f"{name}:{_place(node)}", "write the value out where it is meant"
            raise InputError("this anchor has an alias", where=where, fix=fix)
        met.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            left += _unique(node, name)


def _unique(node: yaml.MappingNode, name: str) -> list[yaml.Node]:
    keys: set[str] = set()
    for key, _ in node.value:
        where = f"{name}:{_place(key)}"
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a key must be a word", where=where, fix="remove the brackets")
        if key.value in keys:
            raise InputError(f"the key {key.value!r} stands twice", where=where, fix="remove one")
        keys.add(key.value)
    return [child for pair in node.value for child in pair]
