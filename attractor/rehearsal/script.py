"""What the scripted model says: a YAML file with one list of turns for each role.

A script that loads can be played: every mistake is refused with its line and column. A turn that
answers is counted; `fail` and `wait` are not, they happen before the next answer. Which answer is
due depends on the conversation alone, so that a request that is sent twice is answered the same.
Not guaranteed: that the tools the script calls exist in the session, or succeed there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from attractor.errors import InputError
from attractor.rehearsal.turn import Block, Failure, Script, Text, ToolCall, Turn
from attractor.rehearsal.yaml_source import YamlSource, read_source

REFERENCE: Final = "docs/reference/rehearsal-script.md"
_MOST_SECONDS: Final = 3600
_ANSWERS: Final = ("say", "run", "write", "edit", "tool", "structured")
_TURNS: Final = (*_ANSWERS, "do", "fail", "wait")


def _finite(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    json.dumps(value, allow_nan=False)  # JSON has no infinity
    return value


_Object = Annotated[dict[str, JsonValue], AfterValidator(_finite)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Write(_Strict):
    path: Annotated[str, Field(min_length=1)]
    text: str


class _Edit(_Strict):
    path: Annotated[str, Field(min_length=1)]
    old: Annotated[str, Field(min_length=1)]
    new: str


class _Tool(_Strict):
    name: Annotated[str, Field(min_length=1)]
    input: _Object = {}


class _Fail(_Strict):
    status: Literal[400, 401, 402, 403, 404, 413, 429, 500, 503, 504, 529]
    retry_after: Annotated[int, Field(ge=0, le=_MOST_SECONDS)] | None = None
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    message: str = ""


class _Answer(_Strict):
    say: Annotated[str, Field(min_length=1)] | None = None
    run: Annotated[str, Field(min_length=1)] | None = None
    write: _Write | None = None
    edit: _Edit | None = None
    tool: _Tool | None = None
    structured: _Object | None = None

    def block(self) -> Block | None:
        """Return what is said or called, if anything is."""
        if self.say is not None:
            return Text(self.say)
        return self._call()

    def _call(self) -> ToolCall | None:
        if self.run is not None:
            return ToolCall("Bash", {"command": self.run, "description": "Scripted command"})
        if self.write:
            return ToolCall("Write", {"file_path": self.write.path, "content": self.write.text})
        if self.edit:
            change = {"old_string": self.edit.old, "new_string": self.edit.new}
            return ToolCall("Edit", {"file_path": self.edit.path, **change})
        if self.tool:
            return ToolCall(self.tool.name, self.tool.input)
        if self.structured is not None:
            return ToolCall("StructuredOutput", self.structured)
        return None


class _Turn(_Answer):
    do: Annotated[list[_Answer], Field(min_length=1)] | None = None
    fail: _Fail | None = None
    wait: Annotated[float, Field(ge=0, le=_MOST_SECONDS, allow_inf_nan=False)] | None = None
    repeat: Annotated[int, Field(ge=1, le=10_000)] | None = None

    def blocks(self) -> tuple[Block, ...]:
        """Return the content of the answer; nothing where the turn only fails or waits."""
        each = self.do if self.do is not None else [self]
        return tuple(block for answer in each if (block := answer.block()))


class _File(_Strict):
    version: Literal[1]
    roles: Annotated[dict[str, list[_Turn]], Field(min_length=1)]
    after: _Answer = _Answer(say="Nothing is left to do.")


def load(path: str) -> Script:
    """Read the script in this file; InputError names line and column of what is wrong."""
    return _checked(read_source(path))


def parse(text: str, name: str = "<script>") -> Script:
    """Read the script in this text; InputError names line and column of what is wrong."""
    return _checked(YamlSource(text, name))


def _checked(source: YamlSource) -> Script:
    try:
        file = _File.model_validate(source.value())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem, fix = _in_words(first)
        place, of_key = first["loc"], first["type"] == "extra_forbidden"
        if place[-1:] == ("[key]",):
            place, of_key = place[:-1], True
        where = source.where(place, key=of_key)
        raise InputError(problem, where=where, fix=fix) from None
    _one_each(file, source)
    last = file.after.block()
    assert last
    after = Turn((last,))
    return Script({role: _compile(turns, after) for role, turns in file.roles.items()}, after)


def _one_each(file: _File, source: YamlSource) -> None:
    """Refuse a turn that says no thing, or more than one."""
    for role, turns in file.roles.items():
        for at, turn in enumerate(turns):
            _one(turn, _TURNS, source, ("roles", role, at))
            if turn.repeat is not None and (turn.fail or turn.wait is not None):
                where = source.where(("roles", role, at, "repeat"), key=True)
                fix = "give `fail` its `times`, or a longer `wait`"
                raise InputError("only an answer can be repeated", where=where, fix=fix)
            for inner, answer in enumerate(turn.do or ()):
                _one(answer, _ANSWERS, source, ("roles", role, at, "do", inner))
    _one(file.after, _ANSWERS, source, ("after",))


def _one(
    turn: _Answer, legal: Sequence[str], source: YamlSource, place: tuple[str | int, ...]
) -> None:
    said = [key for key in legal if getattr(turn, key, None) is not None]
    if len(said) != 1:
        problem = f"has {' and '.join(said)} at once" if said else "says nothing"
        fix = f"give it exactly one of {', '.join(legal)}"
        if said and "do" in legal:
            fix += "; several blocks of one answer are a list under `do`"
        raise InputError(f"this turn {problem}", where=source.where(place), fix=fix)


def _compile(turns: Sequence[_Turn], after: Turn) -> list[Turn]:
    """Hang each `fail` and `wait` on the answer that it delays; the last ones on what comes after.

    The wait before a failure is the failure's own, the rest is the answer's.
    """
    made: list[Turn] = []
    failures: list[Failure] = []
    wait = 0.0
    for turn in turns:
        if turn.fail:
            fail = Failure(turn.fail.status, turn.fail.retry_after, turn.fail.message)
            failures += [replace(fail, wait_seconds=wait), *[fail] * (turn.fail.times - 1)]
            wait = 0.0
        elif turn.wait is not None:
            wait += turn.wait
        else:
            blocks = turn.blocks()
            made.append(Turn(blocks, tuple(failures), wait))
            made += [Turn(blocks)] * ((turn.repeat or 1) - 1)
            failures, wait = [], 0.0
    if failures or wait:
        made.append(Turn(after.blocks, tuple(failures), wait))
    return made


def _in_words(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return a pydantic finding as problem and fix."""
    place, kind = error["loc"], error["type"]
    last = place[-1] if place else "the script"
    key = f"item {last + 1}" if isinstance(last, int) else f"{last!r}" if place else last
    if place[-1:] == ("[key]",):
        return "the name of a role must be text", "put it in quotes"
    if kind == "extra_forbidden":
        return f"there is no key {key} here", f"what may stand here: {_legal(place)}"
    if kind in _KINDS:
        said, fix = _KINDS[kind]
        return f"{key} {said}", fix
    return f"{key} {error['msg'].removeprefix('Input ')}", f"what is legal: {REFERENCE}"


_KINDS: Final = {
    "missing": ("is missing", f"what is legal: {REFERENCE}"),
    "string_type": ("must be text", "put the value in quotes"),
    "list_type": ("must be a list", "write one line with `- ` for each"),
    "model_type": ("must be a mapping", "write `key: value`"),
    "dict_type": ("must be a mapping", "write `key: value`"),
    "too_short": ("must not be empty", f"what is legal: {REFERENCE}"),
    "string_too_short": ("must not be empty", f"what is legal: {REFERENCE}"),
    "invalid-json-value": ("must be JSON", "put a date in quotes"),
    "value_error": ("must be JSON", "leave infinity and NaN out"),
}
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "write": _Write,
    "edit": _Edit,
    "tool": _Tool,
    "fail": _Fail,
    "after": _Answer,
}


def _legal(place: Sequence[str | int]) -> str:
    """Return which keys may stand where an unknown one was found."""
    above = place[-2] if len(place) > 1 else None
    model: type[BaseModel] = _Turn
    if above is None:
        model = _File
    elif isinstance(above, str):
        model = _MODELS[above]
    elif place[3:4] == ("do",):
        model = _Answer
    return ", ".join(model.model_fields)
