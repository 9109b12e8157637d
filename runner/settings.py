"""What the session is given by `claude --settings`: hooks, environment, denials, and silence.

These settings beat those of the project and of the person, so nothing in the worktree can switch
our hooks off or lead requests elsewhere. Pure. The denials are the second wall: behind a sandbox
what they name is not there at all, and without one the hooks can fail and these cannot. They see
what the tools name openly (`cat FILE`), not what a program opens by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attractor.run.assignment import Assignment
from attractor.run.layout import RunLayout
from runner import environment

TOOLS: Final = (
    # wait for a person
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
    # leave the worktree, or come back when nobody watches
    "EnterWorktree",
    "ExitWorktree",
    "CronCreate",
    "RemoteTrigger",
    "ScheduleWakeup",
    # start workers that are not ours
    "Workflow",
)
"""What no session may use."""
_NETWORK: Final = ("WebFetch", "WebSearch")
_OURS: Final = (
    "checkpoints",
    "evidence",
    "final.json",
    "guardian.lock",
    "journal.jsonl",
    "key",
    "owner.json",
    "pipeline.dot",
    "requests.jsonl",
    "signals",
)
_OF_A_NODE: Final = (
    "assignment.json",
    "config/.credentials.json",
    "launch.json",
    "results",
    "runner.json",
    "session.json",
    "timeline.jsonl",
)
_QUIET: Final[Mapping[str, Any]] = {
    "askUserQuestionTimeout": "60s",
    "awaySummaryEnabled": False,
    "promptSuggestionEnabled": False,
    "skipDangerousModePermissionPrompt": True,
    "spinnerTipsEnabled": False,
    "tui": "default",
}


def for_session(
    assignment: Assignment,
    hooks: Mapping[str, Any],
    session_environment: Mapping[str, str],
    *,
    fenced: bool,
) -> dict[str, Any]:
    """Return the settings; `fenced` says that a sandbox hides what is not the session's."""
    env = environment.for_settings(session_environment)
    deny = [*TOOLS]
    if assignment.rehearsed:
        from attractor.rehearsal import environment as rehearsal

        # The address, the token and the headers; the token is no secret.
        env |= {
            name: session_environment[name]
            for name in rehearsal.settings(assignment.base_url)["env"]
        }
        deny += _NETWORK
    if not fenced:
        deny += _walls(assignment.layout, assignment.hidden)
    return {
        **_QUIET,
        "disableAllHooks": False,
        "env": env,
        "hooks": dict(hooks),
        "permissions": {"deny": deny},
    }


def _walls(layout: RunLayout, hidden: Iterable[str]) -> list[str]:
    """Return the denials of everything that a sandbox would hide.

    Not of the run folder as a whole: the session reads its own brief there, and a denial beats
    every permission.
    """
    nodes = os.path.join(os.path.dirname(layout.node("node")), "*")
    paths = [os.path.join(layout.root, each) for each in _OURS]
    paths += [os.path.join(nodes, each) for each in _OF_A_NODE]
    paths += hidden
    rules = []
    for path in paths:
        # Two slashes: from the root of the filesystem. Both forms, for a file and for a folder.
        rules += [f"Read(/{path})", f"Read(/{path}/**)"]
    return [*rules, f"Edit(/{layout.root}/**)", *(f"Edit(/{path}/**)" for path in hidden)]
