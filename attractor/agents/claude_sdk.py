"""Asks Claude Code through claude-agent-sdk, in a child process that alone imports it.

The child (`python -I -m attractor.agents.claude_sdk`) reads the prepared question from stdin and
prints the library's messages as the events that Claude Code itself prints, so that both ways of
asking are read by the same code, and held to the same deadline.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attractor.agents.answer import Answer, NotInstalledError
from attractor.agents.claude_program import MOST_BYTES, SDK, Prepared, ask_claude
from attractor.agents.question import Question
from attractor.spawn import own_command
from signals.clock import Clock

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions, Message


def ask(question: Question, clock: Clock) -> Answer:
    """Ask the question; nothing of the program is left when this returns."""
    if importlib.util.find_spec(SDK) is None:
        fix = "`pip install 'attractor[sdk]'`, or ask the agent `claude`, which needs no library"
        raise NotInstalledError("claude-agent-sdk is not installed", fix=fix)
    return ask_claude(question, clock, _start)


def _start(prepared: Prepared) -> tuple[list[str], bytes]:
    said = {
        "question": prepared.question.as_json() | {"env": None},  # it is the child's own already
        "program": prepared.program,
        "settings": dict(prepared.settings),
    }
    return own_command("attractor.agents.claude_sdk"), json.dumps(said).encode()


def main() -> None:
    """Be the child."""
    import asyncio

    from claude_agent_sdk import ResultError, query

    said = json.loads(sys.stdin.buffer.read())

    async def run() -> None:
        messages = query(prompt=said["question"]["prompt"], options=_options(said))
        async for message in messages:
            if event := _event(message):
                sys.stdout.write(json.dumps(event, default=str) + "\n")
                sys.stdout.flush()

    try:
        asyncio.run(run())
    except ResultError:
        return  # the result was printed, and says more


def _options(said: dict[str, Any]) -> ClaudeAgentOptions:
    from claude_agent_sdk import ClaudeAgentOptions

    question = said["question"]
    preset: Any = {"type": "preset", "preset": "claude_code"}
    if question["system"]:
        preset["append"] = question["system"]
    return ClaudeAgentOptions(
        cli_path=said["program"],
        cwd=question["cwd"],
        settings=json.dumps(said["settings"]),
        setting_sources=[],
        strict_mcp_config=True,
        extra_args={"no-session-persistence": None},
        permission_mode="dontAsk",
        tools=question["tools"],
        allowed_tools=question["tools"],
        max_turns=question["max_turns"],
        model=question["model"] or None,
        system_prompt=preset,
        output_format={"type": "json_schema", "schema": question["schema"]},
        verbatim_prompts=True,
        max_buffer_size=MOST_BYTES,
    )


def _event(message: Message) -> dict[str, Any] | None:
    """Return the event of Claude Code that a message was made from, as far as it is read."""
    from claude_agent_sdk import AssistantMessage, RateLimitEvent, ResultMessage, SystemMessage

    if isinstance(message, ResultMessage):
        return {"type": "result", **asdict(message), "modelUsage": message.model_usage}
    if isinstance(message, AssistantMessage):
        inner = {"id": message.message_id, "model": message.model, "usage": message.usage}
        session = {"session_id": message.session_id, "error": message.error}
        return {"type": "assistant", "message": inner, **session}
    if isinstance(message, RateLimitEvent):
        return {"type": "rate_limit_event", "rate_limit_info": message.rate_limit_info.raw}
    return dict(message.data) if isinstance(message, SystemMessage) else None


if __name__ == "__main__":
    main()
