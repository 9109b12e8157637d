"""What a session did, for the prompt of the next attempt: files, commands, failures, last words.

A fold over the records of its transcripts, main thread and workers alike. What a command's output
said of failing tests counts until the same command is run again. All texts together stay within a
bound; the newest are kept. Nothing here is proved: a session's transcript is its own word.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from runner.usage import SYNTHETIC, message_of, texts_of, time_of

_WRITING: Final = ("Write", "Edit", "MultiEdit", "NotebookEdit")
_MOST_OF_A_KIND: Final = 200
_MOST_TEXT: Final = 400
_MOST_OUTPUT: Final = 200_000
_MOST_FAILURES: Final = 20  # of one command
_FAILURE: Final = re.compile(
    r"^(?:FAILED|ERROR) +\S*\.py\b.*"  # pytest
    r"|^(?:FAIL|ERROR): \w+ \(.*\)"  # unittest
    r"|^E {3,}\S.*"  # pytest's reason
    r"|^ *--- FAIL: .*"  # go
    r"|^test \S+ \.\.\. FAILED"  # cargo
    r"|^ *(?:FAIL|✕|✗|\u00d7|●) +\S.*"  # jest, vitest, mocha
    r"|^not ok \d+.*"  # TAP
    r"|^rspec \S+:\d+.*"
    r"|^\[ERROR\] +\S.*"  # maven
    r"|^\w*(?:Error|Exception): .*"  # the last line of a traceback
    r"|^error(?:\[\w+\])?: .*",  # compilers
    re.MULTILINE,
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The newest last, each once."""

    files_written: tuple[str, ...] = ()
    files_read: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    last_message: str = ""
    """What the main thread said last."""


@final
class Digesting:
    """Takes the records of one file after another, each file's in its order."""

    def __init__(self) -> None:
        self._done: list[tuple[float, str, str]] = []  # when, which kind, what
        self._outputs: dict[str, tuple[float, list[str]]] = {}  # of the newest run of a command
        self._called: dict[str, str] = {}  # the command of a call that has no result yet
        self._said = ""

    def add(self, line: Mapping[str, Any], *, main: bool) -> None:
        """Take one record."""
        message = message_of(line)
        if message is None or message.get("model") == SYNTHETIC:
            return
        at = time_of(line)
        for block in _blocks(message):
            if block.get("type") == "tool_use":
                self._call(at, block)
            elif block.get("type") == "tool_result":
                self._result(at, block)
        if main and line.get("type") == "assistant" and (texts := texts_of(message)):
            self._said = texts[-1]

    def _call(self, at: float, block: Mapping[str, Any]) -> None:
        name, given = block.get("name"), block.get("input")
        if not isinstance(given, Mapping):
            return
        path = given.get("file_path") or given.get("notebook_path")
        if name in _WRITING and isinstance(path, str):
            self._do(at, "written", path)
        elif name == "Read" and isinstance(path, str):
            self._do(at, "read", path)
        elif name == "Bash" and isinstance(given.get("command"), str):
            self._do(at, "ran", given["command"])
            self._called[str(block.get("id"))] = _cut(given["command"])

    def _do(self, at: float, kind: str, what: str) -> None:
        self._done.append((at, kind, _cut(what)))
        if len(self._done) > 8 * _MOST_OF_A_KIND:
            del self._done[: 4 * _MOST_OF_A_KIND]

    def _result(self, at: float, block: Mapping[str, Any]) -> None:
        command = self._called.pop(str(block.get("tool_use_id")), None)
        if command is not None:
            output = "\n".join(texts_of(block))[-_MOST_OUTPUT:]
            found = [_cut(each[0].strip()) for each in _FAILURE.finditer(output)]
            self._outputs[command] = (at, found[-_MOST_FAILURES:])

    def digest(self, max_bytes: int) -> Digest:
        """Return what was taken, within the bound."""
        done = sorted(self._done, key=lambda each: each[0])
        kinds = {kind: [what for _, each, what in done if each == kind] for kind in _KINDS}
        outputs = sorted(self._outputs.values(), key=lambda each: each[0])
        failures = [text for _, found in outputs for text in found]
        # In this order: what is most worth knowing takes its share of the bound first.
        left = max_bytes
        message = _tail(self._said, max_bytes // 4)
        left -= len(message.encode())
        kept: dict[str, tuple[str, ...]] = {}
        texts = {"failures": failures, **kinds}
        for place, (kind, each) in enumerate(texts.items()):
            kept[kind] = tuple(_newest(each, left // (len(texts) - place)))
            left -= sum(_size(text) for text in kept[kind])
        return Digest(
            files_written=kept["written"],
            files_read=kept["read"],
            commands=kept["ran"],
            failures=kept["failures"],
            last_message=message,
        )


_KINDS: Final = ("written", "ran", "read")


def _blocks(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content = message.get("content")
    for each in content if isinstance(content, list) else ():
        if isinstance(each, Mapping):
            yield each


def _newest(texts: Iterable[str], most_bytes: int) -> list[str]:
    """Return the newest of them, each once, as many as fit."""
    once: OrderedDict[str, None] = OrderedDict()
    for each in texts:
        once.pop(each, None)
        once[each] = None
    kept: list[str] = []
    for each in reversed(once):
        most_bytes -= _size(each)
        if most_bytes < 0 or len(kept) == _MOST_OF_A_KIND:
            break
        kept.append(each)
    return kept[::-1]


def _size(text: str) -> int:
    return len(text.encode()) + 1


def _cut(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= _MOST_TEXT else f"{clean[:_MOST_TEXT]} ..."


def _tail(text: str, most_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    return data[max(0, len(data) - most_bytes) :].decode("utf-8", "ignore")
