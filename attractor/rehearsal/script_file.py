"""The shape of a script's YAML: which keys stand where, and what a mistake is called.

What has this shape still has to be checked for turns that say nothing, or two things at once.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from attractor.rehearsal.turn import Block, Text, Thinking, ToolCall

REFERENCE: Final = "docs/reference/rehearsal-script.md"
MOST_SECONDS: Final = 3600
_MOST_TOKENS: Final = 1_000_000_000


def _finite(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    json.dumps(value, allow_nan=False)  # JSON has no infinity
    return value


_Object = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
_Words = Annotated[str, Field(min_length=1)]
_Tokens = Annotated[int, Field(ge=0, le=_MOST_TOKENS)]
_Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]
_Times = Annotated[int, Field(ge=1, le=1000)]
_Characters = Annotated[int, Field(ge=0, le=1_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Write(_Strict):
    """Call Write."""

    path: _Words
    text: str


class Edit(_Strict):
    """Call Edit."""

    path: _Words
    old: _Words
    new: str


class Tool(_Strict):
    """Call any tool."""

    name: _Words
    input: _Object = {}


class Promise(_Strict):
    """Attach evidence to a criterion of the session's newest promise."""

    meet: _Words
    evidence: _Words
    type: Literal["test", "manual", "api", "browser", "log", "review", "e2e", "file", "command"] = (
        "manual"
    )

    def command(self) -> str:
        """Return the line of shell that does it."""
        program = shlex.join([sys.executable, "-I", "-m", "attractor.promise", "cs-promise"])
        its_id = r"""sed -n 's/^ *"id": "\(promise-[0-9a-f]*\)".*/\1/p'"""
        newest = f"{program} --mine --json | {its_id} | tail -n 1"
        given = ["--ac-id", self.meet, "--evidence", self.evidence, "--type", self.type]
        return f'{program} --meet "$({newest})" {shlex.join(given)}'


class Spawn(_Strict):
    """Call Agent; the turns are the worker's own."""

    worker: _Words
    prompt: Annotated[str, Field(pattern=r"\S")]
    name: _Words | None = None
    description: _Words | None = None
    background: bool = False
    turns: list[TurnShape] | None = None

    def input(self) -> dict[str, JsonValue]:
        """Return what the tool is given."""
        made: dict[str, JsonValue] = {
            "description": self.description or f"Work for {self.worker}",
            "prompt": self.prompt,
            "subagent_type": self.worker,
            "run_in_background": self.background,
        }
        return made | ({"name": self.name} if self.name else {})


class Fail(_Strict):
    """Answer with an error."""

    status: Literal[400, 401, 402, 403, 404, 413, 429, 500, 503, 504, 529]
    retry_after: Annotated[int, Field(ge=0, le=MOST_SECONDS)] | None = None
    reset: Annotated[int, Field(ge=0, le=7 * 86_400)] | None = None
    retry: bool = True
    times: _Times = 1
    after: _Characters | None = None
    message: str = ""


class CutShape(_Strict):
    """Break the answer off."""

    after: _Characters
    times: _Times = 1


class Slow(_Strict):
    """Stream slowly."""

    seconds: _Seconds
    characters: Annotated[int, Field(ge=1, le=10_000)] = 20


class Usage(_Strict):
    """Say what was used."""

    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None


class AnswerShape(_Strict):
    """What is said or called, and what is thought before."""

    say: _Words | None = None
    run: _Words | None = None
    write: Write | None = None
    edit: Edit | None = None
    tool: Tool | None = None
    structured: _Object | None = None
    spawn: Spawn | None = None
    promise: Promise | None = None
    think: _Words | None = None


class TurnShape(AnswerShape):
    """One item of a list of turns."""

    do: Annotated[list[AnswerShape], Field(min_length=1)] | None = None
    fail: Fail | None = None
    cut: CutShape | None = None
    wait: _Seconds | None = None
    stuck: _Seconds | None = None
    repeat: Annotated[int, Field(ge=1, le=10_000)] | None = None
    slow: Slow | None = None
    usage: Usage | None = None
    sessions: Annotated[int, Field(ge=1, le=1000)] | None = None
    when: _Words | None = None


Turns = list[TurnShape]
Spawn.model_rebuild()


class NodeShape(BaseModel):
    """The roles of one node, each a key; `attempts` is none."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Turns]
    attempts: dict[Annotated[int, Field(ge=1)], dict[str, Turns]] = {}

    @property
    def roles(self) -> dict[str, Turns]:
        """The turns that hold for every attempt."""
        return self.__pydantic_extra__


class FileShape(_Strict):
    """The whole script."""

    version: Literal[1]
    roles: Annotated[dict[str, Turns], Field(min_length=1)] | None = None
    nodes: dict[str, NodeShape] | None = None
    after: AnswerShape = AnswerShape(say="Nothing is left to do.")


ANSWERS: Final = ("say", "run", "write", "edit", "tool", "structured", "spawn", "promise")
TURNS: Final = (*ANSWERS, "do", "fail", "cut", "wait", "stuck")
BESIDE: Final = ("think", "repeat", "slow", "usage", "sessions", "when")


def blocks_of(answer: AnswerShape) -> list[Block]:
    """Return the content of an answer without the turns of a worker that it spawns."""
    thought: list[Block] = [] if answer.think is None else [Thinking(answer.think)]
    if answer.say is not None:
        return [*thought, Text(answer.say)]
    call = _call(answer)
    return [*thought, call] if call else thought


def _call(answer: AnswerShape) -> ToolCall | None:
    if answer.run is not None:
        return ToolCall("Bash", {"command": answer.run, "description": "Scripted command"})
    if answer.promise:
        command = answer.promise.command()
        return ToolCall("Bash", {"command": command, "description": "Attach evidence"})
    if answer.write:
        return ToolCall("Write", {"file_path": answer.write.path, "content": answer.write.text})
    if answer.edit:
        change = {"old_string": answer.edit.old, "new_string": answer.edit.new}
        return ToolCall("Edit", {"file_path": answer.edit.path, **change})
    return _other_call(answer)


def _other_call(answer: AnswerShape) -> ToolCall | None:
    if answer.tool:
        return ToolCall(answer.tool.name, answer.tool.input)
    if answer.spawn:
        return ToolCall("Agent", answer.spawn.input())
    return None if answer.structured is None else ToolCall("StructuredOutput", answer.structured)


def in_words(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return a pydantic finding as problem and fix."""
    place, kind = error["loc"], error["type"]
    if place[-1:] == ("[key]",):
        return _KEYS[kind.startswith(("int", "greater"))]
    last = place[-1] if place else "the script"
    key = f"item {last + 1}" if isinstance(last, int) else f"{last!r}" if place else last
    if kind == "extra_forbidden":
        return f"there is no key {key} here", f"what may stand here: {_legal(place)}"
    if kind in _KINDS:
        said, fix = _KINDS[kind]
        return f"{key} {said}", fix
    return f"{key} {error['msg'].removeprefix('Input ')}", f"what is legal: {REFERENCE}"


_KEYS: Final = {
    False: ("the name of a role or node must be text", "put it in quotes"),
    True: ("an attempt must be a whole number, from 1", "write 1: for the first"),
}
_KINDS: Final = {
    "missing": ("is missing", f"what is legal: {REFERENCE}"),
    "string_type": ("must be text", "put the value in quotes"),
    "list_type": ("must be a list", "write one line with `- ` for each"),
    "model_type": ("must be a mapping", "write `key: value`"),
    "dict_type": ("must be a mapping", "write `key: value`"),
    "too_short": ("must not be empty", f"what is legal: {REFERENCE}"),
    "string_too_short": ("must not be empty", f"what is legal: {REFERENCE}"),
    "string_pattern_mismatch": ("must not be empty", f"what is legal: {REFERENCE}"),
    "invalid-json-value": ("must be JSON", "put a date in quotes"),
    "value_error": ("must be JSON", "leave infinity and NaN out"),
}
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "write": Write,
    "edit": Edit,
    "tool": Tool,
    "promise": Promise,
    "spawn": Spawn,
    "fail": Fail,
    "cut": CutShape,
    "slow": Slow,
    "usage": Usage,
    "after": AnswerShape,
}


def _legal(place: Sequence[str | int]) -> str:
    """Return which keys may stand where an unknown one was found."""
    above = place[-2] if len(place) > 1 else None
    model: type[BaseModel] = TurnShape
    if above is None:
        model = FileShape
    elif isinstance(above, str):
        model = _MODELS[above]
    elif place[-3] == "do" and isinstance(place[-4], int):
        model = AnswerShape
    return ", ".join(model.model_fields)
