"""Tells the person's own command that a run has ended, as `--on-end` asks."""

from __future__ import annotations

import json
import os

from attractor.run.request import Request
from attractor.run.story import Story
from attractor.spawn import own_command, run_tool
from signals import atomic
from signals.errors import AttractorError

_SECONDS = 600.0


def run_hook(request: Request, story: Story) -> None:
    """Run the command once; how it ended stands in `tasks/hook.json`, and changes nothing."""
    layout = request.layout
    spec, out = os.path.join(layout.tasks, "hook.spec"), os.path.join(layout.tasks, "hook.done")
    said = {"kind": "hook", "request": request.as_json(), "command": request.on_end}
    ended = story.ended or {}
    told = {key: ended.get(key, "") for key in ("result", "exit", "reason", "head")}
    report = layout.success if os.path.exists(layout.success) else layout.final
    event = {
        "run": request.run_id,
        "run_root": request.run_root,
        "branch": story.integration,
        "report": report,
        **told,
    }
    atomic.replace(spec, json.dumps({**said, "env": event}).encode())
    try:
        run_tool(own_command("guardian.task", spec, out), timeout_seconds=_SECONDS, cwd="/")
    except AttractorError as error:
        atomic.replace(out, json.dumps({"error": str(error)}).encode())
