"""Whether a check says nothing, because it ends well whatever the work is like. Pure.

It reads a line of shell roughly: what is said here to be empty is, and what only looks full is not
noticed. A judge looks at the work besides.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

_FINE: Final = frozenset(
    {"true", "/bin/true", "/usr/bin/true", ":", "echo", "printf", "sleep", "pwd", "cd", "date"}
    | {"export", "set", "unset", "clear", "whoami", "env", "hostname", "umask"}
)
"""Programs that end well whatever the work is like."""
_FINE_ALONE: Final = frozenset({"ls", "ps", "df", "id", "uname", "uptime", "free", "wait"})
"""Programs that end well where they are asked about nothing."""
_PASSES_ON: Final = frozenset({"cat", "tee", "head", "tail", "less", "more", "sort", "wc", "nl"})
"""Programs that hide how what they read from ended."""
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash"})
_BARE: Final = ("time", "command", "exec", "nohup", "setsid", "then", "else")
_PREFIXES: Final = MappingProxyType(
    dict[str, tuple[str, ...]].fromkeys(_BARE, ())
    | {"env": ("-u", "-C"), "nice": ("-n",), "timeout": ("-k", "-s"), "sudo": ("-u", "-g")}
    | {"stdbuf": ("-i", "-o", "-e")}
)
"""Words in front of a command, with those of their options that have a value."""
_DURATION: Final = re.compile(r"\d+(?:\.\d+)?[smhd]?")
_ASKS: Final = frozenset({"--version", "--help"})
_PYTHON: Final = re.compile(r"(?:.*/)?python[0-9.]*")
_NOTHING: Final = re.compile(r"\s*(?:pass|None|0|\d+)?\s*;?\s*")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_REDIRECTED: Final = re.compile(r"\b[0-9]?>&[0-9-]")
_SIGNS: Final = re.compile(r"[;&|()]+")
_SIGN: Final = re.compile(r"&&|\|\||\|&|;;|[;&|()]")
_MOST_DEEP: Final = 4
_MOST_CHARACTERS: Final = 4000


def readable(command: str) -> bool:
    """Say whether its quotes are closed, and it is one line."""
    return _words(command) is not None and len(command.splitlines()) == 1


def is_vacuous(command: str, depth: int = 0) -> bool:
    """Say whether the command ends well whatever the work is like."""
    words = _words(command)
    if words is None or depth > _MOST_DEEP:
        return False
    lists = list(_split(words, {";", "&", ";;", "\n"}))
    for each in lists[:-1]:
        if each in (["exit"], ["exit", "0"]):
            return True
    if not lists or words[-1] == "&":  # nobody waits for it
        return True
    if lists[-1] == ["fi"]:
        return _branches_are_fine(lists, depth)
    return _list_is_fine(lists[-1], depth)


def _branches_are_fine(lists: list[list[str]], depth: int) -> bool:
    """Say whether all that an `if` at the end may do is fine; without `else`, to do nothing is.

    One within another counts as one that can fail.
    """
    begin = max((at for at, each in enumerate(lists) if each[0] == "if"), default=-1)
    if begin < 0 or sum(each == ["fi"] for each in lists[begin:]) > 1:
        return False
    ends: list[list[str]] = []
    for each in lists[begin + 1 : -1]:
        if each[0] in {"then", "else"}:
            ends.append(each)
        elif each[0] == "elif":
            ends.append(["true"])  # what follows until the next `then` is a condition
        elif ends:
            ends[-1] = each
    return all(_list_is_fine(each, depth) for each in ends)


def _words(command: str) -> list[str] | None:
    if len(command) > _MOST_CHARACTERS:
        return None
    reader = shlex.shlex(_REDIRECTED.sub("", command), posix=True, punctuation_chars=";&|()")
    reader.whitespace_split = True
    try:
        words = [each for word in reader for each in _apart(word)]
    except ValueError:
        return None
    return [each for each in words if each not in {"(", ")"}]


def _apart(word: str) -> list[str]:
    return _SIGN.findall(word) if _SIGNS.fullmatch(word) else [word]


def _split(words: list[str], at: set[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for each in words:
        if each in at:
            if part:
                yield part
            part = []
        else:
            part.append(each)
    if part:
        yield part


def _list_is_fine(words: list[str], depth: int) -> bool:
    """Say so of pipelines that are joined by `&&` and `||`, from the left."""
    fine, pipeline, joint = True, list[str](), "&&"
    for each in [*words, "&&"]:
        if each not in {"&&", "||"}:
            pipeline.append(each)
            continue
        this = _pipeline_is_fine(pipeline, depth)
        fine = (fine and this) if joint == "&&" else (fine or this)
        pipeline, joint = [], each
    return fine


def _pipeline_is_fine(words: list[str], depth: int) -> bool:
    commands = list(_split(words, {"|", "|&"}))
    if not commands:
        return True
    last = commands[-1]
    if len(commands) > 1 and last[0] in _PASSES_ON:
        return True
    return _command_is_fine(last, depth)


def _command_is_fine(words: list[str], depth: int) -> bool:
    words = _without_prefixes(words)
    if not words:
        return True
    program, arguments = words[0], words[1:]
    if program == "!":
        return arguments in (["false"], ["/bin/false"])
    alone = all(each.startswith("-") for each in arguments)
    if program in _FINE or (program in _FINE_ALONE and alone) or not _ASKS.isdisjoint(arguments):
        return True
    if program in {"exit", "return"}:
        return arguments in ([], ["0"])
    if program in {"test", "["}:
        return _is_constant([each for each in arguments if each != "]"])
    return _code_is_fine(program, arguments, depth)


def _without_prefixes(words: list[str]) -> list[str]:
    left = list(words)
    while left and (_ASSIGNMENT.fullmatch(left[0]) or left[0] in _PREFIXES):
        prefix = left.pop(0)
        valued = _PREFIXES.get(prefix, ())
        while prefix in _PREFIXES and left and left[0].startswith("-"):
            option = left.pop(0)
            del left[: option in valued]
        if prefix == "timeout" and left and _DURATION.fullmatch(left[0]):
            del left[0]
    return left


def _is_constant(words: list[str]) -> bool:
    if any("$" in each or "`" in each for each in words):
        return False
    if len(words) == 1:
        return bool(words[0])
    return len(words) == 3 and words[1] in {"=", "==", "-eq"} and words[0] == words[2]  # noqa: PLR2004 - one, how, other


def _code_is_fine(program: str, arguments: list[str], depth: int) -> bool:
    if len(arguments) < 2 or arguments[0] != "-c":  # noqa: PLR2004 - the option and its value
        return False
    if program in _SHELLS:
        return is_vacuous(arguments[1], depth + 1)
    return bool(_PYTHON.fullmatch(program)) and bool(_NOTHING.fullmatch(arguments[1]))
