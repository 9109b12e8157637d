"""One model, several APIs: what a request says in each, and how the same answer is given in each.

A script, its turns and what is remembered of them know the Messages API only. A dialect makes of
its own request the body that would be sent there, and of the answer's parts its own. What an
agent's tools are called differs, too: a scripted call becomes the agent's own where it has such a
tool, an answer to a schema becomes its last text, and any other call is said in words.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from attractor.rehearsal.reply import MESSAGES, Form
from attractor.rehearsal.turn import Block, Text, Thinking, ToolCall, Turn

STRUCTURED: Final = "StructuredOutput"

Body = dict[str, Any]
Call = tuple[str, Mapping[str, Any]]
Vocabulary = Mapping[str, Callable[[Mapping[str, Any]], Call]]
"""For each tool of Claude Code what is called instead of it."""


@final
@dataclass(frozen=True)
class Dialect:
    """How one API says what the Messages API says otherwise."""

    form: Form
    body: Callable[[str, Body], Body]
    """The path, and what was sent, as the Messages API would have got it."""
    session: Callable[[Mapping[str, str], Body], str]
    vocabulary: Vocabulary | None = None
    """None where the agent has Claude Code's own tools."""
    thinks: bool = True

    def adapted(self, turn: Turn, offered: Sequence[str]) -> Turn:
        """Return the turn in the words of an agent that is offered these tools."""
        if self.vocabulary is None:
            return turn
        said = [_said(block, self.vocabulary, offered) for block in turn.blocks]
        kept = [each for each in said if self.thinks or not isinstance(each, Thinking)]
        return replace(turn, blocks=tuple(kept))


def _said(block: Block, vocabulary: Vocabulary, offered: Sequence[str]) -> Block:
    if not isinstance(block, ToolCall):
        return block
    if block.name == STRUCTURED:
        return Text(json.dumps(dict(block.input)))
    if block.name in vocabulary:
        name, given = vocabulary[block.name](block.input)
        if name in offered:
            return ToolCall(name, given)
    if block.name in offered:
        return block
    return Text(f"There is no tool here for {block.name} {json.dumps(dict(block.input))}")


def renamed(name: str, **keys: str) -> Callable[[Mapping[str, Any]], Call]:
    """Return a call of another tool, with these arguments taken from those of ours."""

    def call(given: Mapping[str, Any]) -> Call:
        return name, {new: given[old] for new, old in keys.items() if old in given}

    return call


def writing(given: Mapping[str, Any]) -> str:
    """Return the line of shell that does what Write does."""
    path, text = str(given.get("file_path", "")), str(given.get("content", ""))
    there = f'mkdir -p -- "$(dirname -- {shlex.quote(path)})"'
    return f"{there} && printf %s {shlex.quote(text)} > {shlex.quote(path)}"


def reading(given: Mapping[str, Any]) -> str:
    """Return the line of shell that does what Read does."""
    return f"cat -- {shlex.quote(str(given.get('file_path', '')))}"


def objects(value: object) -> list[Body]:
    """Return the objects of a list, and nothing of anything else."""
    each = value if isinstance(value, list) else []
    return [one for one in each if isinstance(one, dict)]


CLAUDE: Final = Dialect(
    form=MESSAGES,
    body=lambda _, content: content,
    session=lambda headers, _: headers.get("x-claude-code-session-id", ""),
)
OPENCODE: Final = Dialect(
    form=MESSAGES,
    body=lambda _, content: content,
    session=lambda headers, _: headers.get("x-session-id", ""),
    vocabulary={
        "Bash": renamed("bash", command="command", description="description"),
        "Write": renamed("write", filePath="file_path", content="content"),
        "Edit": renamed(
            "edit", filePath="file_path", oldString="old_string", newString="new_string"
        ),
        "Read": renamed("read", filePath="file_path"),
    },
)
