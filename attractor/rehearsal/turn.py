"""What a script says, once it has been read: values without I/O.

Which answer is due depends on who asks (role, node, attempt) and on the conversation before it.
Turns are looked for under the node's attempt, then under the node, then among the roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

MAIN: Final = "main"
ORCHESTRATOR: Final = "orchestrator"
JUDGE: Final = "judge"
SUPERVISOR: Final = "supervisor"
"""Who says what a turn means that facts do not decide."""
RUBRIC: Final = "rubric"
"""Who writes what is judged by."""
GUARDIAN: Final = "guardian"
"""Who answers a session's questions."""
PLANNER: Final = "planner"
"""Who makes a plan of a goal."""
REVIEWER: Final = "reviewer"
"""Who looks at a node's work once more, in a fresh session."""
CROSS_REVIEWER: Final = "cross-reviewer"
"""The same, of another vendor."""
RETROSPECTIVE: Final = "retrospective"
"""Who looks back at the whole, and may only add."""
REPLANNER: Final = "replanner"
"""Who rewrites or splits one node that goes nowhere."""
SUBAGENT: Final = "subagent"


@final
@dataclass(frozen=True)
class Text:
    """The model says something."""

    text: str


@final
@dataclass(frozen=True)
class Thinking:
    """The model thinks something."""

    text: str


@final
@dataclass(frozen=True)
class ToolCall:
    """The model calls a tool; a call that spawns a worker may bring that worker's turns."""

    name: str
    input: Mapping[str, Any]
    turns: Sequence[Turn] | None = None


Block = Text | Thinking | ToolCall


@final
@dataclass(frozen=True)
class Failure:
    """An HTTP error instead of an answer, or, after so many characters of it, in its stream."""

    status: int
    retry_after: int | None = None
    message: str = ""
    wait_seconds: float = 0.0
    reset_seconds: int | None = None
    retried: bool = True  # False: the client is told not to try again
    after: int | None = None


@final
@dataclass(frozen=True)
class Cut:
    """The connection ends after so many characters of the answer."""

    after: int
    wait_seconds: float = 0.0


@final
@dataclass(frozen=True)
class Hold:
    """No answer comes: the connection stays open as long as the client wants, but no longer."""

    wait_seconds: float


Trouble = Failure | Cut | Hold


@final
@dataclass(frozen=True)
class Pace:
    """How slowly an answer is streamed."""

    seconds: float
    characters: int


@final
@dataclass(frozen=True)
class Turn:
    """One answer, and what happens before it is given."""

    blocks: tuple[Block, ...]
    failures: tuple[Trouble, ...] = ()
    wait_seconds: float = 0.0
    pace: Pace | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    sessions: int | None = None  # so many sessions have this turn, later ones go without it
    when: str = ""  # left out unless this is found in what was said since the answer before


Roles = Mapping[str, Sequence[Turn]]


def structured(answer: Mapping[str, Any]) -> Turn:
    """Return the turn that answers with an object."""
    return Turn((ToolCall("StructuredOutput", answer),))


def due(turns: Sequence[Turn], news: Sequence[str]) -> int:
    """Return which turn is due, from what was said before each answer so far, and before this one.

    It is the number of turns where they are used up, or more.
    """
    at = 0
    for said in news[:-1]:
        at = _next(turns, at, said) + 1
    return _next(turns, at, news[-1])


def _next(turns: Sequence[Turn], at: int, said: str) -> int:
    while at < len(turns) and turns[at].when and not re.search(turns[at].when, said):
        at += 1
    return at


@final
@dataclass(frozen=True)
class NodeScript:
    """The turns of one node's roles, and those of single attempts."""

    roles: Roles = field(default_factory=dict)
    attempts: Mapping[int, Roles] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Script:
    """The turns of everybody."""

    roles: Roles
    after: Turn  # what is answered when the turns are used up
    nodes: Mapping[str, NodeScript] = field(default_factory=dict)

    def turns(self, role: str, node: str = "", attempt: int = 0) -> Sequence[Turn]:
        """Return the turns of a role; KeyError where there are none."""
        for roles in self._scopes(node, attempt):
            if role in roles:
                return roles[role]
        raise KeyError(role)

    def has(self, role: str, node: str = "", attempt: int = 0) -> bool:
        """Return whether there are turns of this role."""
        return any(role in roles for roles in self._scopes(node, attempt))

    def worker(self, prompt: str, node: str = "", attempt: int = 0) -> tuple[str, Sequence[Turn]]:
        """Return role and turns of a subagent, told by the longest prompt of ours that is in its.

        KeyError where there are none.
        """
        role = SUBAGENT
        for roles in self._scopes(node, attempt):
            found = [call for call in _spawning(roles) if call.input["prompt"].strip() in prompt]
            if found:
                call = max(found, key=lambda each: len(each.input["prompt"].strip()))
                role = f"agent:{call.input['subagent_type']}"
                if call.turns is not None:
                    return role, call.turns
                break
        if not self.has(role, node, attempt):
            role = SUBAGENT
        return role, self.turns(role, node, attempt)

    def known(self, node: str = "", attempt: int = 0) -> list[str]:
        """Return the names of the roles that have turns."""
        return sorted({role for roles in self._scopes(node, attempt) for role in roles})

    def _scopes(self, node: str, attempt: int) -> Iterator[Roles]:
        if node in self.nodes:
            yield self.nodes[node].attempts.get(attempt, {})
            yield self.nodes[node].roles
        yield self.roles


def _spawning(roles: Roles) -> Iterator[ToolCall]:
    """Yield every call that spawns a subagent, those of subagents among them."""
    left: list[Sequence[Turn]] = list(roles.values())
    while left:
        for call in (block for turn in left.pop() for block in turn.blocks):
            if isinstance(call, ToolCall):
                if call.turns:
                    left.append(call.turns)
                prompt, kind = call.input.get("prompt"), call.input.get("subagent_type")
                if isinstance(prompt, str) and prompt.strip() and isinstance(kind, str):
                    yield call
