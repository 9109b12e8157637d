"""One whole rehearsal of `hello`: how long it takes, where the time goes, and what it holds.

The real Claude Code, git, hooks, judge and merge; only the model's answers are scripted, and come
at once. Files are in a folder of its own; afterwards nothing is left of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from measure import Line, human
from processes import megabytes, memory

from attractor.run.fold import RunEvent
from attractor.run.journal import Entry
from attractor.run.journal import read as read_journal
from attractor.run.layout import RunLayout
from attractor.run.locate import read_object
from attractor.run.states import NodeEvent
from attractor.run.story import StoryEvent
from guardian.core import seconds_of
from signals.clock import SystemClock

HERE = os.path.dirname(os.path.abspath(__file__))
HELLO = os.path.join(os.path.dirname(HERE), "pipelines", "hello.dot")
NODE = "impl_hello"
BUDGETS = {"keeper": "", "Guardian": "<= 30 MB", "Runner": "<= 20 MB"}
_SECONDS = 300.0
_LOOK_SECONDS = 0.1
_WORDS = {
    "rubric": "sealing the rubric",
    "validate": "judging, three times",
    "merge": "merging",
    "books": "beads and promise",
}


def rows() -> Iterator[Line]:
    """Yield the rows of this file."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        out = os.path.join(folder, "out")
        start = SystemClock().wall_ns() / 1e9
        with open(out, "wb") as file:
            screen = subprocess.Popen(
                [sys.executable, "-I", "-m", "attractor", "run", HELLO, "--rehearse", "--json"],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        layout, held = _followed(screen, out)
        if screen.wait():
            with open(out, encoding="utf-8") as said:
                raise AssertionError(said.read())
        done = os.stat(layout.success).st_mtime
        entries = read_journal(layout.journal).entries
    yield Line("hello, rehearsed: from the command to SUCCESS.md", human(done - start), "", "")
    for what, seconds in _split(entries, start, done):
        yield Line(f"   {what}", human(seconds), "", "")
    for what, kibibytes in held.items():
        yield Line(f"{what}, the most memory", megabytes(kibibytes), "", "", BUDGETS[what])


def _environment(folder: str) -> dict[str, str]:
    keys = ("PATH", "LANG", "HOME", "TMPDIR")
    kept = {key: os.environ[key] for key in keys if key in os.environ}
    places = ("CONFIG", "DATA", "STATE", "CACHE")
    return kept | {f"XDG_{each}_HOME": os.path.join(folder, each.lower()) for each in places}


def _followed(screen: subprocess.Popen[bytes], out: str) -> tuple[RunLayout, dict[str, int]]:
    """Look on until the run's screen ends; return the run, and what its processes held at most."""
    deadline = time.monotonic() + _SECONDS
    held = dict.fromkeys(BUDGETS, 0)
    layout: RunLayout | None = None
    while screen.poll() is None:
        if time.monotonic() > deadline:
            screen.kill()
            raise TimeoutError("the rehearsal did not end in time; see `attractor runs`")
        if layout is None:
            layout = _begun(out)
        else:
            for what, kibibytes in _resident(layout).items():
                held[what] = max(held[what], kibibytes)
        time.sleep(_LOOK_SECONDS)
    layout = layout or _begun(out)
    assert layout is not None
    return layout, held


def _begun(out: str) -> RunLayout | None:
    with open(out, "rb") as file:
        line = file.readline()
    try:
        return RunLayout(str(json.loads(line)["root"]))
    except (ValueError, KeyError):
        return None


def _resident(layout: RunLayout) -> dict[str, int]:
    records = {
        "keeper": layout.keeper,
        "Guardian": layout.owner,
        "Runner": layout.runner_owner(NODE),
    }
    found = {}
    for what, path in records.items():
        try:
            found[what] = memory(int(str(read_object(path)["pid"])), "VmHWM")
        except (OSError, KeyError, ValueError, StopIteration):
            continue
    return found


def _split(entries: Sequence[Entry], start: float, done: float) -> Iterator[tuple[str, float]]:
    """Yield where the time has gone, by the journal; tasks may overlap with each other."""
    begun: dict[str, tuple[str, float]] = {}
    spent: dict[str, float] = {}
    session = 0.0
    for entry in entries:
        at = seconds_of(entry.at)
        task = str(entry.data.get("task", ""))
        if entry.event == StoryEvent.TASK_BEGUN:
            begun[task] = (str(entry.data["kind"]), at)
        elif task in begun:
            kind, since = begun.pop(task)
            spent[kind] = spent.get(kind, 0.0) + at - since
        if entry.event == RunEvent.NODE_MOVED and entry.data["node"] == NODE:
            if entry.data["event"] == NodeEvent.DISPATCHED.value:
                session -= at
            elif entry.data["event"] == NodeEvent.REVIEW_REQUESTED.value:
                session += at
    yield "until the Guardian's first word", seconds_of(entries[0].at) - start
    yield "the session, from dispatched to handed in", session
    for kind, seconds in spent.items():
        yield _WORDS.get(kind, kind), seconds
    yield "from the last word of the journal to SUCCESS.md", done - seconds_of(entries[-1].at)
