"""Many writers, a full disk, a read-only folder: nothing lost, nothing doubled, nothing half."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from attractor.pipeline.load import load
from attractor.run.fold import fold
from attractor.run.journal import read
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

PROCESSES = 8
ROUNDS = 12
DEADLINE_SECONDS = 100

HAMMER = """
import json, sys
from attractor.run.states import IllegalTransition, NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

path, mine, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
cycle = ["active", "failed", "pending"]
print("ready", flush=True)
sys.stdin.readline()
for turn in range(rounds):
    for node in (mine, "shared"):
        try:
            request = Request(node, NodeState(cycle[turn % 3]), by=mine)
            moved = transition_node(path, request, SystemClock(), timeout_seconds=90)
        except IllegalTransition:
            assert node == "shared", node
        else:
            print(json.dumps([moved.seq, node, moved.source.value, moved.target.value]))
"""


def child(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown(dot: Path) -> dict[str, str]:
    return {n: node.attrs.get("status", "pending") for n, node in load(dot)[1].nodes.items()}


def folded(dot: Path) -> dict[str, str]:
    entries = read(f"{dot}.journal.jsonl").entries
    return {node: state.value for node, state in fold(entries).statuses.items()}


@pytest.mark.stress
def test_every_successful_move_of_eight_processes_is_recorded_once(tmp_path: Path) -> None:
    dot = tmp_path / "p.dot"
    nodes = [f"n{at}" for at in range(PROCESSES)]
    dot.write_text("digraph p { // kept\n" + "\n".join([*nodes, "shared"]) + "\n}\n")
    running = [child(HAMMER, dot, node, ROUNDS) for node in nodes]
    try:
        for each in running:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in running:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        said = [each.communicate(timeout=DEADLINE_SECONDS) for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait(DEADLINE_SECONDS)
    assert [err for _, err in said if err] == []
    assert [each.returncode for each in running] == [0] * PROCESSES
    told = [tuple(json.loads(line)) for out, _ in said for line in out.splitlines()]
    recorded = [
        (each.seq, each.data["node"], each.data["from"], each.data["to"])
        for each in read(f"{dot}.journal.jsonl").entries
        if each.event == "NodeMoved"
    ]
    assert Counter(told) == Counter(recorded)
    assert Counter(node for _, node, _, _ in told if node != "shared") == dict.fromkeys(
        nodes, ROUNDS
    )
    assert sum(node == "shared" for _, node, _, _ in told) > 1
    assert shown(dot) == folded(dot)
    assert "// kept" in dot.read_text()


# Runs one transition whose journal entry does not fit, and prints how that was refused.
REFUSED = """
import json, resource, sys
from attractor.errors import AttractorError
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    transition_node(path, Request("a", NodeState("failed"), reason="x" * 20_000), SystemClock())
except AttractorError as error:
    print(json.dumps(error.as_json()))
"""


def a_pipeline(folder: Path) -> Path:
    dot = folder / "p.dot"
    dot.write_text("digraph p { a; b }\n")
    transition_node(str(dot), Request("a", NodeState.ACTIVE), SystemClock())
    return dot


def contents(folder: Path) -> dict[str, bytes]:
    """What must not change; the lock is empty and may come."""
    names = ("p.dot", "p.dot.journal.jsonl")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def test_an_append_that_does_not_fit_leaves_everything_as_it_was(tmp_path: Path) -> None:
    dot = a_pipeline(tmp_path)
    before = contents(tmp_path)
    limit = os.path.getsize(f"{dot}.journal.jsonl") + 10_000
    out, err = child(REFUSED, dot, limit).communicate(timeout=DEADLINE_SECONDS)
    assert err == ""
    said = json.loads(out)
    assert said["code"] == "storage"
    assert "The previous state is intact" in said["message"]
    assert contents(tmp_path) == before
    assert transition_node(str(dot), Request("a", NodeState.FAILED), SystemClock()).seq == 3


# One whole story inside a small filesystem, in a mount namespace that ends with this process.
FULL_DISK = """
import errno, json, os, sys
from attractor.errors import AttractorError
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

folder = sys.argv[1]
os.chdir(folder)
with open("p.dot", "w") as file:
    file.write("digraph p { a; b }")

def move(state, reason):
    request = Request("a", NodeState(state), reason=reason)
    return transition_node("p.dot", request, SystemClock()).seq

def contents():
    return [open(name, "rb").read().decode() for name in ("p.dot", "p.dot.journal.jsonl")]

move("active", "")
with open("filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
    # The lease's own record fits into this page; the journal's entry does not.
    os.ftruncate(filler.fileno(), filler.tell() - 4096)
before = contents()
try:
    move("failed", "x" * 20_000)
except AttractorError as error:
    said = error.as_json()
same = contents() == before
os.unlink("filler")
print(json.dumps({"said": said, "same": same, "again": move("failed", "x" * 20_000)}))
"""


def test_a_full_disk_is_named_and_leaves_everything_as_it_was(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a filesystem that is full")
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", os.fspath(tmp_path)]
    script = f'{" ".join(mount)} || exit 77; exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            "-I",
            "-c",
            FULL_DISK,
            os.fspath(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"this machine does not let us mount: {done.stderr}")
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["said"]["message"] == (
        "cannot append to the journal: the disk is full. The previous state is intact"
    )
    assert (told["same"], told["again"]) == (True, 3)


# Everything is imported before the rights are given up: a nobody may not read our interpreter.
POWERLESS = """
import json, os, sys
from attractor.errors import AttractorError
from attractor.run.checkpoint import save
from attractor.run.states import NodeState
from attractor.run.transition import Request, transition_node
from signals.clock import SystemClock

path = sys.argv[1]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for run in (
    lambda: transition_node(path, Request("b", NodeState.ACTIVE), SystemClock()),
    lambda: save(path, SystemClock()),
):
    try:
        run()
    except AttractorError as error:
        print(json.dumps(error.as_json()))
"""


@pytest.mark.parametrize("used_before", [False, True])
def test_a_folder_that_cannot_be_written_is_named_and_stays_as_it_was(used_before: bool) -> None:
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if used_before:
            a_pipeline(folder)
        else:
            (folder / "p.dot").write_text("digraph p { a; b }\n")
        before, names = contents(folder), sorted(os.listdir(folder))
        folder.chmod(0o555)
        try:
            dot = folder / "p.dot"
            out, err = child(POWERLESS, dot).communicate(timeout=DEADLINE_SECONDS)
            assert err == ""
            for line in out.splitlines():
                said = json.loads(line)
                assert (said["code"], "permission denied" in said["message"]) == ("storage", True)
            assert len(out.splitlines()) == 2
            assert (contents(folder), sorted(os.listdir(folder))) == (before, names)
        finally:
            folder.chmod(0o755)
