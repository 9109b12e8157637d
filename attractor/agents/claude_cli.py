"""Asks Claude Code through its command line: `claude -p`, stream-json in and out.

Plain text on stdin would not do: Claude Code puts the file into the prompt that an `@path` in it
names, and takes a text that begins with `/` as a command, while much of a prompt is what an agent
wrote. A message that is marked as composed by a client is delivered as it is (Claude Code 2.1.248
or later). And only stream-json tells of rate limits and when they end.
"""

from __future__ import annotations

import json

from attractor.agents.answer import Answer
from attractor.agents.claude_program import Prepared, ask_claude
from attractor.agents.question import Question
from signals.clock import Clock


def ask(question: Question, clock: Clock) -> Answer:
    """Ask the question; nothing of the program is left when this returns."""
    return ask_claude(question, clock, _start)


def _start(prepared: Prepared) -> tuple[list[str], bytes]:
    question = prepared.question
    tools = ",".join(question.tools)
    argv = [
        prepared.program,
        "-p",
        "--input-format=stream-json",
        "--output-format=stream-json",
        "--verbose",
        f"--json-schema={json.dumps(question.schema)}",
        f"--settings={json.dumps(prepared.settings)}",
        "--setting-sources=",
        "--strict-mcp-config",
        "--no-session-persistence",
        "--permission-mode=dontAsk",
        f"--tools={tools}",
        f"--max-turns={question.max_turns}",
    ]
    if tools:
        argv.append(f"--allowedTools={tools}")
    if question.model:
        argv.append(f"--model={question.model}")
    if question.system:
        argv.append(f"--append-system-prompt={question.system}")
    message = {
        "type": "user",
        "session_id": "",
        "message": {"role": "user", "content": question.prompt},
        "parent_tool_use_id": None,
        "client_composed": True,
    }
    return argv, json.dumps(message).encode() + b"\n"
