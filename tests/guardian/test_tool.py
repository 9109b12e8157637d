"""A tool node's command: run as the person's own, its output bounded, its tree kept."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run import watched
from attractor.run.layout import RunLayout, run_layout
from attractor.spawn import own_command
from guardian.tasks import tool
from signals.clock import SystemClock
from signals.owner import owner_of


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().rstrip("\n")


class Tool:
    """A project, and one tool node in a run of it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder
        (folder / "part").mkdir(parents=True)
        (folder / "part" / "file").write_text("committed\n")
        git("init", "-q", "-b", "main", cwd=folder)
        git("add", "-A", cwd=folder)
        git("commit", "-q", "-m", "first", cwd=folder)
        self.head = git("rev-parse", "HEAD", cwd=folder)
        (folder / "part" / "file").write_text("the person is at work\n")
        self.layout: RunLayout = run_layout(str(folder), "r")

    def __call__(self, command: str, **said: Any) -> dict[str, Any]:
        request = {
            "project": str(self.project),
            "run_id": "r",
            "run_root": self.layout.root,
            "base_commit": self.head,
        }
        spec = {"request": request, "node": "pack", "attempt": 1, "command": command}
        return tool.run({**spec, "timeout": 30, "branch": "b", **said}, SystemClock())


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], subprocess.Popen[bytes]]]:
    """Start a task as the Guardian does; it is ended with the test."""
    started = []

    def start(spec: dict[str, Any]) -> subprocess.Popen[bytes]:
        (tmp_path / "spec").write_text(json.dumps(spec))
        argv = own_command("guardian.task", str(tmp_path / "spec"), str(tmp_path / "answer"))
        process = subprocess.Popen(argv, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(20)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[user]\nname = P\nemail = p@example.org\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Tool(tmp_path / "project")


def test_a_command_runs_in_a_clean_tree_that_is_kept(run: Tool) -> None:
    answer = run("cat part/file; echo oops >&2; echo made > made.txt; exit 3", head=run.head)
    assert answer.pop("seconds") >= 0
    tree = Path(answer["tree"])
    assert tree.parent.parent == Path(run.layout.trees)
    assert (tree / "made.txt").read_text() == "made\n"
    log = Path(run.layout.evidence("pack", 1), "output.log")
    assert log.read_text() == "committed\noops\n"
    assert answer == {
        "exit": 3,
        "tail": "committed\noops\n",
        "commit": run.head,
        "tree": str(tree),
        "log": str(log),
    }
    assert (run.project / "part" / "file").read_text() == "the person is at work\n"


def test_what_it_commits_is_the_nodes_work_and_moves_no_branch(run: Tool) -> None:
    answer = run("echo x > x && git add x && git commit -qm packed")
    assert answer["exit"] == 0, answer
    said = git("log", "-1", "--format=%s %P", answer["commit"], cwd=run.project)
    assert said == f"packed {run.head}"
    names = git("for-each-ref", "--format=%(refname)", cwd=run.project).split()
    assert [each for each in names if not each.startswith("refs/attractor/")] == ["refs/heads/main"]
    assert git("rev-parse", "HEAD", cwd=run.project) == run.head


def test_what_it_commits_survives_a_collection_of_garbage(run: Tool) -> None:
    commit = "echo x > $ATTRACTOR_ATTEMPT && git add . && git commit -qm packed"
    first = run(commit, node="pack.lock")["commit"]
    second = run(commit, node="pack.lock", attempt=2)["commit"]
    run("true", node="pack.lock", attempt=3)
    git("gc", "-q", "--prune=now", cwd=run.project)
    kept = git(
        "for-each-ref", "--format=%(refname) %(objectname)", "refs/attractor", cwd=run.project
    )
    assert kept.splitlines() == [
        f"refs/attractor/r/pack%2elock/1 {first}",
        f"refs/attractor/r/pack%2elock/2 {second}",
    ]
    for each in (first, second):
        assert git("cat-file", "-t", each, cwd=run.project) == "commit"


def test_it_has_the_persons_environment_and_is_told_who_it_is(
    run: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIRS", "their value")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    answer = run(
        'echo "$THEIRS,$GIT_DIR,$ATTRACTOR_RUN_ID,$ATTRACTOR_NODE_ID,$ATTRACTOR_ATTEMPT"; pwd',
        target_dir="part",
    )
    assert answer["tail"] == f"their value,,r,pack,1\n{answer['tree']}/part\n"


def test_a_command_that_does_not_end_is_stopped_with_all_that_it_started(
    run: Tool, tmp_path: Path, deadline: Any
) -> None:
    deadline.when_said("begun\n")
    answer = run(f"sleep 300 & echo $! > {tmp_path}/pid; echo begun; sleep 300", timeout=0.5)
    assert answer["exit"] is None
    assert answer["tail"] == "begun\n\nit did not end within 0.5 seconds and was stopped"
    assert answer["commit"] == run.head
    left = owner_of(int((tmp_path / "pid").read_text()))  # killed, and perhaps not yet dead
    assert left is None or watched.ended(left, 60, SystemClock())


def test_of_much_output_the_beginning_is_kept_on_disk_and_the_end_is_told(
    run: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "MOST_LOG_BYTES", 1000)
    answer = run("seq 1 200000; echo the end")
    assert answer["exit"] == 0
    assert answer["tail"].endswith("200000\nthe end\n")
    assert len(answer["tail"]) == 4000
    kept = Path(answer["log"]).read_bytes()
    assert kept.startswith(b"1\n2\n3\n")
    assert kept.endswith(b"\n[the rest was not kept]\n")
    assert len(kept) == 1000 + len(b"\n[the rest was not kept]\n")


def test_started_again_it_begins_in_a_new_tree_with_a_new_log(run: Tool) -> None:
    first = run("echo one > made; echo one")
    second = run("test -e made; echo $?")
    assert second["tree"] == first["tree"]
    assert second["tail"] == "1\n"
    assert Path(second["log"]).read_text() == "1\n"


def test_a_folder_or_a_commit_that_is_not_there_is_named(run: Tool) -> None:
    assert run("true", target_dir="gone") == {"error": "the folder 'gone' is not in the tree"}
    with pytest.raises(InputError, match="there is no commit 'gone'"):
        run("true", head="gone")


def test_the_command_dies_with_the_task_that_runs_it(
    run: Tool, tmp_path: Path, task: Callable[..., subprocess.Popen[bytes]]
) -> None:
    request = {"project": str(run.project), "run_id": "r", "run_root": run.layout.root}
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    command = f"exec 5>{fifo}; echo begun >&5; sleep 300 & sleep 300"
    spec = {"kind": "tool", "node": "pack", "attempt": 1, "command": command, "head": run.head}
    process = task({**spec, "request": request})
    with fifo.open("rb") as alive:
        assert alive.readline() == b"begun\n"
        process.kill()
        assert alive.read() == b""  # ends when nobody is left who could write


@pytest.mark.parametrize("target_dir", ["..", "../../..", "link", "/"])
def test_a_command_does_not_run_outside_of_its_tree(
    run: Tool, tmp_path: Path, target_dir: str
) -> None:
    (run.project / "link").symlink_to(tmp_path)
    git("add", "link", cwd=run.project)
    git("commit", "-q", "-m", "link", cwd=run.project)
    head = git("rev-parse", "HEAD", cwd=run.project)
    said = run(f"touch {tmp_path}/ran", target_dir=target_dir, head=head)
    assert "is not in the tree" in said["error"]
    assert not (tmp_path / "ran").exists()
