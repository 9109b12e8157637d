"""What the scripted model says: a YAML file with a list of turns for each role, node and attempt.

A script that loads can be played: every mistake is refused with its line and column. A turn that
answers is counted; `fail`, `cut`, `stuck` and `wait` are not, they happen before the next answer.
Which answer is due depends on the conversation alone, so that a request that is sent twice is
answered the same. Not guaranteed: that the tools the script calls exist in the session, or succeed
there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from pydantic import ValidationError

from attractor.errors import InputError
from attractor.rehearsal.script_file import (
    ANSWERS,
    BESIDE,
    REFERENCE,
    TURNS,
    AnswerShape,
    FileShape,
    TurnShape,
    blocks_of,
    in_words,
)
from attractor.rehearsal.turn import (
    Block,
    Cut,
    Failure,
    Hold,
    NodeScript,
    Pace,
    Script,
    ToolCall,
    Trouble,
    Turn,
)
from attractor.yaml_source import YamlSource, read_source

_Place = tuple[str | int, ...]


def load(path: str, nodes: AbstractSet[str] | None = None) -> Script:
    """Read the script in this file; InputError names line and column of what is wrong.

    With `nodes`, a node that is not among them is wrong, too.
    """
    return _checked(read_source(path), nodes)


def parse(text: str, name: str = "<script>", nodes: AbstractSet[str] | None = None) -> Script:
    """Read the script in this text, as `load` does."""
    return _checked(YamlSource(text, name), nodes)


def _checked(source: YamlSource, nodes: AbstractSet[str] | None) -> Script:
    try:
        file = FileShape.model_validate(source.value())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem, fix = in_words(first)
        place, of_key = first["loc"], first["type"] == "extra_forbidden"
        if place[-1:] == ("[key]",):
            place, of_key = place[:-1], True
        where = source.where(place, key=of_key)
        raise InputError(problem, where=where, fix=fix) from None
    if not file.roles and not file.nodes:
        fix = f"what is legal: {REFERENCE}"
        raise InputError("'roles' is missing", where=source.where(()), fix=fix)
    _known(file, source, nodes)
    for place, turns in _lists(file):
        _one_each(turns, source, place)
    _one(file.after, ANSWERS, source, ("after",))
    return _made(file)


def _made(file: FileShape) -> Script:
    after = Turn(_blocks(file.after, None))
    return Script(
        _compiled(file.roles or {}, after),
        after,
        {
            node: NodeScript(
                _compiled(shape.roles, after),
                {number: _compiled(roles, after) for number, roles in shape.attempts.items()},
            )
            for node, shape in (file.nodes or {}).items()
        },
    )


def _known(file: FileShape, source: YamlSource, nodes: AbstractSet[str] | None) -> None:
    """Refuse a node that the graph has not."""
    if nodes is None:
        return
    for node in file.nodes or ():
        if node not in nodes:
            near = difflib.get_close_matches(node, nodes, 3)
            fix = f"did you mean {' or '.join(near)}?" if near else "name a node of the graph"
            where = source.where(("nodes", node), key=True)
            raise InputError(f"the graph has no node {node!r}", where=where, fix=fix)


def _lists(file: FileShape) -> Iterator[tuple[_Place, Sequence[TurnShape]]]:
    """Yield every list of turns of a role, with its place."""
    for role, turns in (file.roles or {}).items():
        yield ("roles", role), turns
    for node, shape in (file.nodes or {}).items():
        for role, turns in shape.roles.items():
            yield ("nodes", node, role), turns
        for number, roles in shape.attempts.items():
            for role, turns in roles.items():
                yield ("nodes", node, "attempts", number, role), turns


def _one_each(turns: Sequence[TurnShape], source: YamlSource, place: _Place) -> None:
    """Refuse a turn that says no thing, or more than one."""
    for at, turn in enumerate(turns):
        here = (*place, at)
        _one(turn, TURNS, source, here)
        _answer_only(turn, source, here)
        _pattern(turn, source, here)
        for inner, answer in enumerate(turn.do or ()):
            _one(answer, ANSWERS, source, (*here, "do", inner))
            if answer.spawn and answer.spawn.turns:
                _one_each(answer.spawn.turns, source, (*here, "do", inner, "spawn", "turns"))
        if turn.spawn and turn.spawn.turns:
            _one_each(turn.spawn.turns, source, (*here, "spawn", "turns"))


def _pattern(turn: TurnShape, source: YamlSource, place: _Place) -> None:
    try:
        re.compile(turn.when or "")
    except (re.error, RecursionError) as error:
        fix = "put a backslash before . ( [ * + ? { that are meant as they are"
        where = source.where((*place, "when"))
        raise InputError(
            f"'when' is no regular expression: {error}", where=where, fix=fix
        ) from None


def _answer_only(turn: TurnShape, source: YamlSource, place: _Place) -> None:
    if turn.fail or turn.cut or turn.wait is not None or turn.stuck is not None:
        for key in BESIDE:
            if getattr(turn, key) is not None:
                where = source.where((*place, key), key=True)
                fix = "put it beside the answer that follows"
                if key == "repeat":
                    fix = "give `fail` or `cut` its `times`, or a longer `wait`"
                raise InputError(f"only an answer can have `{key}`", where=where, fix=fix)


def _one(answer: AnswerShape, legal: Sequence[str], source: YamlSource, place: _Place) -> None:
    said = [key for key in legal if getattr(answer, key, None) is not None]
    if len(said) != 1:
        problem = f"has {' and '.join(said)} at once" if said else "says nothing"
        fix = f"give it exactly one of {', '.join(legal)}"
        if said and "do" in legal:
            fix += "; several blocks of one answer are a list under `do`"
        raise InputError(f"this turn {problem}", where=source.where(place), fix=fix)


def _compiled(roles: Mapping[str, Sequence[TurnShape]], after: Turn) -> dict[str, list[Turn]]:
    return {role: _compile(turns, after) for role, turns in roles.items()}


def _compile(turns: Sequence[TurnShape], after: Turn) -> list[Turn]:
    """Hang what is no answer on the answer that it delays; the last ones on what comes after.

    The wait before a failure is the failure's own, the rest is the answer's.
    """
    made: list[Turn] = []
    troubles: list[Trouble] = []
    wait = 0.0
    for turn in turns:
        if turn.wait is not None:
            wait += turn.wait
        elif several := _troubles(turn, wait):
            troubles += several
            wait = 0.0
        else:
            answer = _turn(turn, after)
            made.append(replace(answer, failures=tuple(troubles), wait_seconds=wait))
            # Each is one of its own, because those that few sessions have are told apart.
            made += [replace(answer) for _ in range((turn.repeat or 1) - 1)]
            troubles, wait = [], 0.0
    if troubles or wait:
        made.append(Turn(after.blocks, tuple(troubles), wait))
    return made


def _troubles(turn: TurnShape, wait: float) -> list[Trouble]:
    if turn.stuck is not None:
        return [Hold(wait + turn.stuck)]
    if turn.cut:
        cut = Cut(turn.cut.after)
        return [replace(cut, wait_seconds=wait), *[cut] * (turn.cut.times - 1)]
    if turn.fail:
        told = turn.fail
        fail = Failure(
            told.status,
            told.retry_after,
            told.message,
            reset_seconds=told.reset,
            retried=told.retry,
            after=told.after,
        )
        return [replace(fail, wait_seconds=wait), *[fail] * (told.times - 1)]
    return []


def _turn(turn: TurnShape, after: Turn) -> Turn:
    thought = blocks_of(AnswerShape(think=turn.think)) if turn.do else []
    each: Sequence[AnswerShape] = turn.do or [turn]
    return Turn(
        (*thought, *(block for answer in each for block in _blocks(answer, after))),
        pace=Pace(turn.slow.seconds, turn.slow.characters) if turn.slow else None,
        usage=turn.usage.model_dump(exclude_none=True) if turn.usage else {},
        sessions=turn.sessions,
        when=turn.when or "",
    )


def _blocks(answer: AnswerShape, after: Turn | None) -> tuple[Block, ...]:
    blocks = blocks_of(answer)
    if answer.spawn and answer.spawn.turns is not None and after:
        *before, call = blocks
        assert isinstance(call, ToolCall)
        return (*before, replace(call, turns=_compile(answer.spawn.turns, after)))
    return tuple(blocks)
