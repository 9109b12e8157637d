"""What a script says, once it has been read: values without I/O.

Which answer is due depends on the number of answers before it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

MAIN: Final = "main"
SUBAGENT: Final = "subagent"


@final
@dataclass(frozen=True)
class Text:
    """The model says something."""

    text: str


@final
@dataclass(frozen=True)
class ToolCall:
    """The model calls a tool."""

    name: str
    input: Mapping[str, Any]


Block = Text | ToolCall


@final
@dataclass(frozen=True)
class Failure:
    """An HTTP error instead of an answer."""

    status: int
    retry_after: int | None = None
    message: str = ""
    wait_seconds: float = 0.0


@final
@dataclass(frozen=True)
class Turn:
    """One answer, and what happens before it is given."""

    blocks: tuple[Block, ...]
    failures: tuple[Failure, ...] = ()
    wait_seconds: float = 0.0


@final
@dataclass(frozen=True)
class Script:
    """The turns of every role."""

    roles: Mapping[str, Sequence[Turn]]
    after: Turn  # what is answered when the turns are used up

    def turn(self, role: str, index: int) -> Turn:
        """Return the answer that is due after `index` answers; KeyError for an unknown role."""
        turns = self.roles[role]
        return turns[index] if index < len(turns) else self.after

    def subagent_role(self, prompt: str) -> str:
        """Return the role of a subagent, told by the longest prompt of our calls that is in its."""
        calls = [call for turns in self.roles.values() for turn in turns for call in turn.blocks]
        spawned = [found for call in calls if (found := _spawned(call)) and found[0] in prompt]
        role = f"agent:{max(spawned, key=lambda found: len(found[0]))[1]}" if spawned else SUBAGENT
        return role if role in self.roles else SUBAGENT


def _spawned(block: Block) -> tuple[str, str] | None:
    """Return prompt and type of the subagent, when this is a call that spawns one."""
    if isinstance(block, Text):
        return None
    prompt, kind = block.input.get("prompt"), block.input.get("subagent_type")
    if isinstance(prompt, str) and prompt.strip() and isinstance(kind, str):
        return prompt.strip(), kind
    return None
