"""Asks OpenCode through its command line: `opencode run --format json`, the prompt on stdin.

Read-only are the permissions of the agent that is defined for the question: every tool is denied
but the reading ones that it names, and only inside of its folder. That is OpenCode's own check and
no sandbox. No file of the folder configures it, no plugin takes part, and nothing of the
conversation is kept. The model `free` is the best free one that OpenRouter has at the moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attractor.agents.answer import Answer
from attractor.agents.headless import Call, Prepared, Program, ask_program
from attractor.agents.opencode_events import answer_of
from attractor.agents.question import Question
from signals.clock import Clock

INSTALL: Final = "install OpenCode: npm install -g opencode-ai@1.18.33"
FREE: Final = "free"
_AGENT: Final = "attractor"
_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "Read": ("read",),
    "Grep": ("grep",),
    "Glob": ("glob", "list"),
}
_USUAL: Final = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_TERMINAL_TITLE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}
_ALWAYS: Final = {
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DB": ":memory:",
}


def ask(question: Question, clock: Clock) -> Answer:
    """Ask the question; nothing of the program is left when this returns."""
    if question.model == FREE:
        from attractor.agents.free_asking import ask_free

        return ask_free(question, clock, ask)
    return ask_program(question, clock, PROGRAM)


def _call(prepared: Prepared) -> Call:
    question = prepared.question
    argv = [
        prepared.program,
        "run",
        "--format=json",
        "--pure",
        "--print-logs",
        "--log-level=ERROR",
        f"--agent={_AGENT}",
        f"--dir={question.cwd}",
        f"--title={_AGENT}",
    ]
    if question.model:
        argv.append(f"--model={question.model}")
    config = json.dumps(config_of(question))
    env = {**_USUAL, **prepared.env, **_ALWAYS, "OPENCODE_CONFIG_CONTENT": config}
    env.pop("OPENCODE_PERMISSION", None)
    return Call(argv, prepared.prompt.encode(), prepared.folder, env)


def config_of(question: Question) -> dict[str, Any]:
    """Return the configuration: what the question says, and the agent that may only read."""
    agent = {
        "description": "Answers one question.",
        "mode": "primary",
        "steps": question.max_turns,
        "permission": permissions(question.tools),
    }
    off = {"share": "disabled", "autoupdate": False, "snapshot": False}
    ours = {**off, "agent": {_AGENT: agent}}
    return {**question.settings, **ours}


def permissions(tools: tuple[str, ...]) -> dict[str, str]:
    """Return the rules; a later one beats an earlier one."""
    allowed = {name: "allow" for tool in tools for name in _TOOLS.get(tool, ())}
    return {"*": "deny", **allowed, "external_directory": "deny"}


PROGRAM: Final = Program("opencode", INSTALL, _call, answer_of)
