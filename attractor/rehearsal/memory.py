"""What a scripted model remembers beyond the conversation: what went wrong, and whose turn it was.

A scripted failure happens so often for a session, and some turns are for few sessions. Each change
is a note; the server logs it with the request that caused it, before the answer is given. Recalled
in their order, the notes make the same memory again, as long as the script is the same, or has only
got more nodes. Not thread safe: the caller holds a lock.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple, final

from attractor.errors import StorageError
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.turn import NodeScript, Roles, Script, ToolCall, Trouble, Turn, due

_FAILED: Final = "failed"
_GIVEN: Final = "given"
_LOST: Final = "lost"
_DIGITS: Final = 16
_PLACE_DIGITS: Final = 12

_Place = tuple[str | int, ...]
Note = tuple[str, int, int | str]
"""What happened, the number of the turn, and where it stood or what was said before it."""


class Who(NamedTuple):
    """One session, or one subagent of it."""

    asker: Asker
    session: str
    agent: str


class Due(NamedTuple):
    """The answer that is due, what comes instead of it this time, and what is to be kept."""

    turn: Turn
    trouble: Trouble | None
    notes: tuple[Note, ...]


@final
class Memory:
    """What one server remembers of one script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        # Each turn with its number: held, so that no later one has its identity.
        self._numbers: dict[int, tuple[Turn, int]] = {}
        self._learn(("after",), [script.after])
        self._learn_roles(("roles",), script.roles)
        for node in script.nodes:
            self._learn_node(node)
        self._failed: Counter[tuple[Who, int, int]] = Counter()
        # For each turn that few sessions have: those, and what was said before it was given.
        self._given: defaultdict[int, dict[tuple[str, str], str]] = defaultdict(dict)
        self._lost: set[tuple[int, tuple[str, str]]] = set()

    def due(self, who: Who, turns: Sequence[Turn], news: Sequence[str]) -> Due:
        """Return what is due in this conversation, and remember that."""
        notes: list[Note] = []
        turn, index = self._turn(who, turns, news, notes)
        number = self._number(who, turn)
        at = self._failed[who, number, index]
        if at < len(turn.failures):
            self._note(who, (_FAILED, number, index), notes)
            return Due(turn, turn.failures[at], tuple(notes))
        if turn.sessions is not None:
            self._note(who, (_GIVEN, number, _digest(news[-1])), notes)
        return Due(turn, None, tuple(notes))

    def recall(self, log: str) -> int:
        """Take in the notes of a log, and return how many lines it has; others' are passed by."""
        lines = 0
        try:
            with open(log, "rb") as file:
                for line in file:
                    self._recall(line)
                    lines += 1
        except FileNotFoundError:
            return 0
        except OSError as error:
            fix = "choose another file for the log"
            problem = f"cannot be read: {error.strerror}"
            raise StorageError(problem, where=log, fix=fix) from error
        return lines

    def _recall(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            asker = Asker(entry["role"], entry["run"], entry["node"], entry["attempt"])
            who = Who(asker, entry["session"], entry["agent"])
            for kind, number, what in entry["notes"]:
                self._apply(who, (kind, number, what))
        except (ValueError, RecursionError, LookupError, TypeError):
            return  # a line that was cut off, or of another version

    def _note(self, who: Who, note: Note, notes: list[Note]) -> None:
        self._apply(who, note)
        notes.append(note)

    def _apply(self, who: Who, note: Note) -> None:
        kind, number, what = note
        session = (who.session, who.agent)
        if kind == _FAILED and isinstance(what, int):
            self._failed[who, number, what] += 1
        elif kind == _GIVEN and isinstance(what, str):
            self._given[number][session] = what
        elif kind == _LOST:
            self._lost.add((number, session))

    def _turn(
        self, who: Who, turns: Sequence[Turn], news: Sequence[str], notes: list[Note]
    ) -> tuple[Turn, int]:
        session = (who.session, who.agent)
        theirs = [turn for turn in turns if self._is_for(who, session, turn)]
        index = due(theirs, news)
        turn = theirs[index] if index < len(theirs) else self._script.after
        if turn.sessions is not None:
            number = self._number(who, turn)
            given = self._given[number].get(session)
            if given is None:
                self._note(who, (_GIVEN, number, ""), notes)
            elif given and given != _digest(news[-1]):
                # It was given, and the session died before it had it on disk.
                self._note(who, (_LOST, number, ""), notes)
                return self._turn(who, turns, news, notes)
        return turn, index

    def _is_for(self, who: Who, session: tuple[str, str], turn: Turn) -> bool:
        if turn.sessions is None:
            return True
        number = self._number(who, turn)
        given = self._given[number]
        return (number, session) not in self._lost and (
            session in given or len(given) < turn.sessions
        )

    def _number(self, who: Who, turn: Turn) -> int:
        """Return a turn's number: where it stands, so that a script that grows changes none."""
        if id(turn) not in self._numbers:
            self._learn_node(who.asker.node)
        if id(turn) not in self._numbers:
            # The node was told anew since its turns were looked up.
            self._numbers[id(turn)] = (turn, _place_number((who.asker.node, repr(turn))))
        return self._numbers[id(turn)][1]

    def _learn_node(self, node: str) -> None:
        own = self._script.nodes.get(node, NodeScript())
        self._learn_roles(("nodes", node), own.roles)
        for attempt, roles in own.attempts.items():
            self._learn_roles(("nodes", node, attempt), roles)

    def _learn_roles(self, place: _Place, roles: Roles) -> None:
        for role, turns in roles.items():
            self._learn((*place, role), turns)

    def _learn(self, place: _Place, turns: Sequence[Turn]) -> None:
        for at, turn in enumerate(turns):
            here = (*place, at)
            self._numbers.setdefault(id(turn), (turn, _place_number(here)))
            for block, call in enumerate(turn.blocks):
                if isinstance(call, ToolCall) and call.turns:
                    self._learn((*here, block), call.turns)


def _place_number(place: _Place) -> int:
    return int(_digest(json.dumps(place))[:_PLACE_DIGITS], 16)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
