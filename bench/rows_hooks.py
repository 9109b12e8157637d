"""What hooks cost, and `cs-verify --check`, in whole processes.

The Stop hook of promises runs at every end of a turn; those of a Runner's session at every event.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from measure import Row, paired

from attractor.promise import stop_hook
from runner.hooks import settings

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
    with tempfile.TemporaryDirectory() as node:
        yield from _session_hooks(node)


def _session_hooks(node: str) -> Iterator[Row]:
    """Yield what a Runner's session pays at its events."""
    settings.compile_hooks()  # as the Runner does
    events, inbox, places = (os.path.join(node, each) for each in ("events", "inbox", "places"))
    for folder in (events, inbox, os.path.join(node, "hidden")):
        os.mkdir(folder)
    with open(places, "w", encoding="utf-8") as file:
        hidden = [os.path.join(node, "hidden")]
        json.dump({"worktree": node, "hidden": hidden, "visible": [events]}, file)
    run = "cd src && python -m pytest -q tests/run 2>&1 | tail -20"
    calls = {
        "a tool that ended, stored": ("store.py", [events], _call("Read"), "<= 1.3x"),
        "a turn that ended, stored": ("turn_end.py", [events, inbox], EVENT, "<= 1.3x"),
        "a tool, allowed": ("guard.py", [events, places], _call("Read", file_path="x"), "<= 2.5x"),
        "a line of shell, allowed": ("guard.py", [events, places], _call(command=run), "<= 2.5x"),
        "a line of shell, denied": ("guard.py", [events, places], _call(command=">x"), "<= 2.5x"),
    }
    for what, (file, arguments, event, budget) in calls.items():
        words = ["-I", "-S", os.path.join(os.path.dirname(settings.__file__), file), *arguments]
        yield _against_bare(what, words, event, budget)
    for name in os.listdir(events):
        os.unlink(os.path.join(events, name))
    yield _after_guidance(events, inbox)
    big = json.dumps({"hook_event_name": "PostToolUse", "tool_response": "x" * 10_000_000})
    store = ["-I", "-S", os.path.join(os.path.dirname(settings.__file__), "store.py"), events]
    reading = ["-I", "-S", "-c", "import posix\nwhile posix.read(0, 65536): pass"]
    yield paired(
        "an event of 10 MB, shortened and stored",
        lambda: _start(store, big),
        "python -I -S, reading it",
        lambda: _start(reading, big),
        pairs=PAIRS,
    )


def _after_guidance(events: str, inbox: str) -> Row:
    """Return the row of a turn that ends with guidance waiting, each time another."""
    file = os.path.join(os.path.dirname(settings.__file__), "turn_end.py")
    numbers = iter(range(10_000))

    def stop() -> None:
        with open(os.path.join(inbox, "g.json"), "w", encoding="utf-8") as guidance:
            json.dump({"id": f"g-{next(numbers)}", "text": "Look at the failing test."}, guidance)
        _start(["-I", "-S", file, events, inbox], EVENT)

    return paired(
        "session hook: a turn that ended, guidance handed over",
        stop,
        "python -I -S -c pass",
        lambda: _start([*BARE], EVENT),
        budget="<= 2.5x",
        pairs=PAIRS,
    )


def _against_bare(what: str, words: list[str], event: str, budget: str) -> Row:
    return paired(
        f"session hook: {what}",
        lambda: _start(words, event),
        "python -I -S -c pass",
        lambda: _start([*BARE], event),
        budget=budget,
        pairs=PAIRS,
    )


def _call(tool: str = "Bash", **given: str) -> str:
    said = {"session_id": SESSION, "cwd": "/", "hook_event_name": "PreToolUse", "tool_name": tool}
    return json.dumps(said | {"tool_input": given, "tool_use_id": "toolu_0"})


def _start(words: list[str], event: str) -> None:
    subprocess.run(
        [sys.executable, *words],
        input=event.encode(),
        env={"PATH": os.environ["PATH"], "HOME": "/"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # a denial is a status
    )


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
