"""A question to an agent: one JSON document, written before the asking process is started.

A question that loads is complete, of the right types and within its bounds; anything else is an
InputError that names the key. Not checked: whether the schema is one (that costs more than all the
rest, so it is done when the question is asked), whether the program exists. Read without pydantic,
because the asking process waits for minutes with what it has imported.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, final

from attractor.errors import InputError

SCHEMA_VERSION: Final = 1
READ_ONLY: Final = ("Read", "Grep", "Glob")
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_PROMPT: Final = 8 * 1024 * 1024
# These travel as one argument of a program, and Linux allows 128 KiB for one.
_MOST_ARGUMENT: Final = 100_000
_MOST_SECONDS: Final = 24 * 3600.0
_MOST_TURNS: Final = 1_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TOOL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,199}")
_FIX: Final = "correct the question: docs/reference/agents.md has its keys"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, of whom, and within which bounds."""

    prompt: str
    """Delivered as it is written: nothing in it names a file or a command to the agent."""
    schema: Mapping[str, Any]
    """The JSON schema of the answer."""
    cwd: str
    """The folder that the agent looks at. Nothing in it configures the agent."""
    agent: str = "claude"
    model: str = ""
    tools: tuple[str, ...] = READ_ONLY
    """All that the agent may use; nobody is there to permit more."""
    system: str = ""
    """Added to the agent's own system prompt."""
    timeout_seconds: float = 120.0
    max_turns: int = 20
    env: Mapping[str, str] | None = None
    """The agent's whole environment; None for the person's own, without a session's leftovers."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the agent. They can be seen in the list of processes: no secrets."""
    program: str = ""
    """The agent's program; empty for the one that is found."""

    def as_json(self) -> dict[str, Any]:
        """Return what `load` reads."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def dump(question: Question) -> bytes:
    """Return the document. It may hold an environment: keep it where only its owner reads it."""
    return json.dumps(question.as_json(), indent=2).encode() + b"\n"


def load(path: str) -> Question:
    """Read a question; InputError says what is wrong with it."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _error(f"cannot be read: {error.strerror}", path) from error
    if len(data) > _MOST_BYTES:
        raise _error(f"is larger than {_MOST_BYTES} bytes", path)
    return parse(data, path)


def parse(data: bytes, where: str) -> Question:
    """Return the question that these bytes are."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _error("is not JSON", where) from error
    if not isinstance(value, dict):
        raise _error("is not a JSON object", where)
    return from_json(value, where)


def from_json(value: Mapping[str, Any], where: str) -> Question:
    """Return the question that a JSON object describes."""
    said = dict(value)
    if said.pop("schema_version", None) != SCHEMA_VERSION:
        raise _error(f"has not schema_version {SCHEMA_VERSION}", where)
    if unknown := sorted(said.keys() - {each.name for each in fields(Question)}):
        raise _error(f"has an unknown key {unknown[0]!r:.60}", where)
    for key in ("prompt", "schema", "cwd"):
        if key not in said:
            raise _error(f"has no {key!r}", where)
    for key, (fits, what) in _LEGAL.items():
        if key in said and not fits(said[key]):
            raise _error(f"{key!r} is not {what}", where)
    if "tools" in said:
        said["tools"] = tuple(said["tools"])
    return Question(**said)


def _error(problem: str, where: str) -> InputError:
    return InputError(f"the question {problem}", where=where, fix=_FIX)


def _text(most: int) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        return isinstance(value, str) and "\0" not in value and len(value.encode(*_LAX)) <= most

    return fits


_LAX: Final = ("utf-8", "surrogatepass")


def _is_prompt(value: object) -> bool:
    return (
        isinstance(value, str) and bool(value.strip()) and len(value.encode(*_LAX)) <= _MOST_PROMPT
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and len(json.dumps(value)) <= _MOST_ARGUMENT


def _is_folder(value: object) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and "\0" not in value


def _is_tools(value: object) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return all(isinstance(each, str) and _TOOL.fullmatch(each) for each in value)


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= _MOST_SECONDS


def _is_env(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(each, str) and "\0" not in each and not (at == 0 and (not each or "=" in each))
        for pair in value.items()
        for at, each in enumerate(pair)
    )


_LEGAL: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "prompt": (_is_prompt, f"text of at most {_MOST_PROMPT} bytes"),
    "schema": (_is_object, f"a JSON object of at most {_MOST_ARGUMENT} bytes"),
    "cwd": (_is_folder, "an absolute path"),
    "agent": (
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "the name of an agent",
    ),
    "model": (_text(200), "the name of a model"),
    "tools": (_is_tools, "a list of names of tools"),
    "system": (_text(_MOST_ARGUMENT), f"text of at most {_MOST_ARGUMENT} bytes"),
    "timeout_seconds": (_is_seconds, f"a number of seconds above 0, at most {_MOST_SECONDS:g}"),
    "max_turns": (
        lambda value: type(value) is int and 0 < value <= _MOST_TURNS,
        f"a number from 1 to {_MOST_TURNS}",
    ),
    "env": (_is_env, "a JSON object of texts, or null"),
    "settings": (_is_object, f"a JSON object of at most {_MOST_ARGUMENT} bytes"),
    "program": (lambda value: value == "" or _is_folder(value), "an absolute path, or empty"),
}
