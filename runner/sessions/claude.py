"""How Claude Code is started for a node: its brief on disk, and its command line.

The brief (settings, role, workers, first prompt) lies where the session can read and not write. It
is written anew for every start, so that a session that is resumed has today's hooks and settings.
The first prompt is an argument, because nothing that is typed can be lost in a dialog; what is
longer than an argument may be is read from the brief instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Final

from attractor.errors import ToolError
from runner import crew, prompt, settings, transcript
from runner.hooks.settings import hook_settings
from runner.session import Launch
from runner.sessions.stage import Stage
from signals import atomic

_MOST_ARGUMENT: Final = 120_000  # the kernel's bound for one is 131,072 bytes
_ENCODING: Final = "utf-8"


def command_line(
    stage: Stage, launch: Launch, env: Mapping[str, str], *, first: tuple[str, ...] = ()
) -> list[str]:
    """Write the brief, and return the command that starts or resumes the session."""
    folder = stage.assignment.work_folder
    path = transcript.transcript_path(stage.config, folder, launch.session_id)
    known = transcript.has_begun(stage.config, path)
    if not known:
        # Claude Code refuses an id whose file is there, even if nothing was said in it.
        transcript.set_aside(stage.config, path)
    # Whoever was killed between a start and its record starts twice, and a conversation that was
    # never begun cannot be resumed: what is on disk says which it is.
    text = launch.prompt if known or not launch.resume else _first_prompt(stage) or launch.prompt
    brief = _write_brief(stage, env, "" if known else text)
    workers = crew.as_argument(crew.load(stage.assignment, stage.environ, stage.clock))
    words = [
        program(stage),
        *first,
        *(("--resume", launch.session_id) if known else ("--session-id", launch.session_id)),
        "--dangerously-skip-permissions",
        "--strict-mcp-config",
        *("--settings", brief["settings.json"]),
        *("--append-system-prompt-file", brief["system.md"]),
        *("--agents", workers),
    ]
    if stage.assignment.model:
        words += ["--model", stage.assignment.model]
    if stage.assignment.workers == "team":
        words += ["--teammate-mode", "in-process"]
    return [*words, "--", _argument(stage, text, brief["prompt.md"])]


def program(stage: Stage) -> str:
    """Return the path of Claude Code; ToolError when there is none."""
    if stage.assignment.claude:
        return stage.assignment.claude
    import shutil

    folders = stage.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which("claude", path=os.pathsep.join(filter(os.path.isabs, folders)))
    if found is None:
        raise ToolError("Claude Code is not installed", fix="install it, or put it on PATH")
    return found


def _write_brief(stage: Stage, env: Mapping[str, str], first_prompt: str) -> dict[str, str]:
    hooks = hook_settings(stage.assignment)
    made = settings.for_session(stage.assignment, hooks, env, fenced=stage.fenced)
    texts = {
        "settings.json": json.dumps(made, indent=2),
        "system.md": prompt.system_prompt(stage.assignment, crew.names(stage.assignment)),
    }
    if first_prompt:
        texts["prompt.md"] = first_prompt
    folder = stage.layout.brief(stage.node)
    for name, text in texts.items():
        atomic.replace(os.path.join(folder, name), text.encode(_ENCODING, "replace"))
    return {name: os.path.join(folder, name) for name in (*texts, "prompt.md")}


def _first_prompt(stage: Stage) -> str:
    try:
        path = os.path.join(stage.layout.brief(stage.node), "prompt.md")
        with open(path, encoding=_ENCODING, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _argument(stage: Stage, text: str, path: str) -> str:
    """Return the text as an argument, or where to find it."""
    data = text.replace("\0", "").encode(_ENCODING, "replace")
    if len(data) > min(stage.assignment.limits.max_prompt_bytes, _MOST_ARGUMENT):
        return prompt.in_file(path)
    return data.decode(_ENCODING)
