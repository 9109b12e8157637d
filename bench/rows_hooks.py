"""What the Stop hook costs at every end of a turn, and `cs-verify --check`, in whole processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from measure import Row, paired

from attractor.promise import stop_hook

SESSION = "001b9028-8fd6-4169-844b-faf3ce17d4d6"
EVENT = json.dumps({"session_id": SESSION, "hook_event_name": "Stop", "background_tasks": []})
FOREIGN = 10_000
BARE = ("-I", "-S", "-c", "pass")
PAIRS = 21


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory() as project:
        yield _hook("no promise", project, "<= 1.3x")
        _keep(project, "promise-mine", SESSION)
        yield _hook("one unmet promise, blocks", project, "<= 2.5x")
        yield paired(
            "cs-verify --check, one unmet promise",
            lambda: _run(project, "-I", "-m", "attractor.promise", "cs-verify", "--check"),
            "python -I -c pass",
            lambda: _run(project, "-I", "-c", "pass"),
            budget="<= 3x",
            pairs=PAIRS,
        )
        for number in range(FOREIGN):
            _keep(project, f"promise-{number:08x}", f"session-{number}")
        yield _hook(f"the same among {FOREIGN:,} of others", project, "")


def _hook(what: str, project: str, budget: str) -> Row:
    return paired(
        f"stop hook, {what}",
        lambda: _run(project, "-I", "-S", stop_hook.__file__),
        "python -I -S -c pass",
        lambda: _run(project, *BARE),
        budget=budget,
        pairs=PAIRS,
    )


def _run(project: str, *arguments: str) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "CLAUDE_PROJECT_DIR": project,
        "CLAUDE_CODE_SESSION_ID": SESSION,
        "ATTRACTOR_STOP_BLOCKS_MAX": "999999",
    }
    subprocess.run(
        [sys.executable, *arguments],
        input=EVENT.encode(),
        env=env,
        stdout=subprocess.DEVNULL,
        check=False,  # cs-verify --check answers with its status
    )


def _keep(project: str, name: str, owner: str) -> None:
    folder = os.path.join(project, ".claude", "completion-state", "promises")
    os.makedirs(folder, exist_ok=True)
    criterion = {
        "id": "AC-1",
        "description": "it works",
        "status": "pending",
        "evidence": None,
        "evidence_type": None,
        "met_at": None,
        "met_by": None,
    }
    promise = {
        "id": name,
        "title": "Make it work",
        "summary": "Make it work",
        "acceptance_criteria": [criterion],
        "ownership": {"created_by": owner, "owned_by": owner},
        "status": "in_progress",
        "verification": {"verified_at": None, "verified_by": None},
        "structure": {"epics": [], "goals": []},
    }
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(promise, file, indent=2)
