"""`attractor rehearse node`: a real Runner with commands for an agent, and with the real Claude."""

from __future__ import annotations

import json
import os
import shutil
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from attractor import tools
from attractor.rehearsal.stage import Stage
from attractor.run import watched
from attractor.run.locate import find
from signals.owner import Liveness

Cli = Callable[..., Any]
SECONDS = 100
DONE = "echo; echo '<promise>NODE_COMPLETE</promise>'"
COMMIT = "echo x >> a.txt; git add -A; git commit -qm x"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The verb runs in our process, and sets handlers."""
    numbers = (posix_signals.SIGTERM, posix_signals.SIGHUP)
    before = [posix_signals.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        posix_signals.signal(number, handler)


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[[str], Path]:
    """`pipeline(command)`: one node, carried out by a line of shell."""

    def make(command: str, **attributes: str) -> Path:
        path = tmp_path / "p.dot"
        said = {"agent": "command", "command": f"cat > /dev/null; {command}", **attributes}
        attrs = ", ".join(f"{key}={json.dumps(value)}" for key, value in said.items())
        path.write_text(f"digraph p {{ start -> work -> exit; work [shape=box, {attrs}] }}")
        return path

    return make


def types(said: Any) -> list[str]:
    lines = [json.loads(line) for line in said.out.splitlines()]
    return [
        (line.get("signal") or line.get("answer"))["signal_type"] for line in lines if "at" in line
    ]


def test_a_node_is_rehearsed_to_its_end_and_nothing_is_left(
    cli: Cli, pipeline: Callable[[str], Path], temporary: Path
) -> None:
    said = cli("rehearse", "node", pipeline(f"{COMMIT}; {DONE}"))
    assert said.status == 0, said.out
    first, *signals, reason, blindness, tokens, left = said.out.splitlines()
    assert first.startswith(f"rehearsing work in {temporary}")
    assert [line[12:].split()[0] for line in signals] == [
        "AGENT_REGISTERED",
        "NEEDS_REVIEW",
        "VALIDATION_PASSED",
        "AGENT_TERMINATED",
        "RUNNER_EXITED",
    ]
    assert reason.startswith("COMPLETE after ")
    assert blindness in ("blindness: bwrap", "blindness: policy", "blindness: sandbox-exec")
    assert tokens == "tokens: 0 in, 0 out, 0 requests, 1 turn"
    assert left == "nothing is left of it; --keep keeps project and logs"
    assert os.listdir(temporary) == []


def test_json_gives_one_object_a_line_and_the_result_last(
    cli: Cli, pipeline: Callable[[str], Path]
) -> None:
    said = cli("rehearse", "node", pipeline(f"{COMMIT}; {DONE}"), "work", "--json")
    assert said.status == 0, said.out
    assert types(said)[-1] == "RUNNER_EXITED"
    last = json.loads(said.out.splitlines()[-1])
    assert (last["status"], last["mode"], last["kept"]) == ("ok", "COMPLETE", False)
    assert (last["node"], last["rubric_seen"], last["usage"]["turns"]) == ("work", False, 1)


def test_what_is_handed_in_gets_the_verdicts_that_were_asked_for(
    cli: Cli, pipeline: Callable[[str], Path]
) -> None:
    path = pipeline(f"{COMMIT}; {DONE}")
    answers = ["--answer", "fail=write more", "--answer", "pass"]
    said = cli("rehearse", "node", path, *answers, "--json", "--seconds", SECONDS)
    assert said.status == 0, said.out
    verdicts = [each for each in types(said) if each.startswith("VALIDATION")]
    assert verdicts == ["VALIDATION_FAILED", "VALIDATION_PASSED"]
    assert '"feedback": "write more"' in said.out


def test_a_node_that_fails_exits_with_1_and_is_kept(
    cli: Cli, pipeline: Callable[[str], Path], temporary: Path
) -> None:
    said = cli("rehearse", "node", pipeline("exit 7"))
    assert said.status == 1
    assert "ORCHESTRATOR_CRASHED" in said.out
    assert "FAILED after " in said.out
    (kept,) = os.listdir(temporary)
    assert f"kept: {temporary}/{kept}, which may be removed" in said.out
    run = said.out.partition("--run ")[2].split()[0]
    logs = cli("logs", "work", "--run", run)
    assert logs.status == 0
    assert "RUNNER_EXITED" in logs.out
    assert watched.runner(find("work", run, str(temporary)))[1] is Liveness.DEAD


def test_one_that_does_not_end_in_time_is_ended(cli: Cli, pipeline: Callable[[str], Path]) -> None:
    said = cli("rehearse", "node", pipeline("tail -f /dev/null"), "--seconds", "2", "--json")
    assert said.status == 1
    last = json.loads(said.out.splitlines()[-1])
    assert (last["status"], last["reason"]) == ("failed", "it has not ended within 2 seconds")
    found = find("work", last["run"], "/")
    assert watched.runner(found)[1] is Liveness.DEAD
    assert watched.state(found)["phase"] == "ended"


def test_it_says_how_the_session_can_be_watched(cli: Cli, pipeline: Callable[[str], Path]) -> None:
    path = pipeline(f"{COMMIT}; {DONE}")
    said = cli("rehearse", "node", path, "--attach-hint", "--keep")
    assert "watch it with: attractor attach --run /" in said.err
    assert "logs: attractor logs --run /" in said.out


def test_a_project_of_the_users_gets_a_branch_and_nothing_else(
    cli: Cli, pipeline: Callable[[str], Path], tmp_path: Path
) -> None:
    project = tmp_path / "mine"
    project.mkdir()
    who = ["-c", "user.name=Me", "-c", "user.email=me@localhost"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run(["git", "-C", str(project), *words], check=True, timeout=60)
    commit = COMMIT.replace("git commit", f"git {' '.join(who)} commit")
    said = cli("rehearse", "node", pipeline(f"{commit}; {DONE}"), "--project", project)
    assert said.status == 0, said.out
    assert f"worktree: {project}/.claude/worktrees/rehearsal-" in said.out
    assert "branch: attractor/rehearsal-" in said.out
    assert sorted(os.listdir(project)) == [".claude", ".git"]
    remove = said.out.splitlines()[-1].removeprefix("to remove both: ")
    subprocess.run(["/bin/sh", "-c", remove], check=True, timeout=60)
    assert os.listdir(project / ".claude" / "worktrees") == []


def test_a_runner_that_dies_is_quoted_in_lines(
    cli: Cli, pipeline: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dead:
        def poll(self) -> int:
            return 7

        wait = poll
        kill = poll

    def dead(stage: Stage) -> None:
        stage.runner = cast("Any", Dead())

    def wait(*_: object) -> int:
        return 7

    monkeypatch.setattr(Dead, "wait", wait)
    monkeypatch.setattr(Stage, "start_runner", dead)
    monkeypatch.setattr(Stage, "last_words", lambda _: "one\n  two")
    said = cli("rehearse", "node", pipeline(DONE))
    assert "without a word: one\n  two\n" in said.out
    assert "\\n" not in said.out


def test_what_is_broken_off_says_what_stays_in_a_project(
    cli: Cli, pipeline: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "mine"
    project.mkdir()
    who = ["-c", "user.name=Me", "-c", "user.email=me@localhost"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run(["git", "-C", str(project), *words], check=True, timeout=60)
    (project / "new.txt").write_text("x")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stage, "next", interrupted)
    monkeypatch.setattr(Stage, "start_runner", lambda _: None)
    said = cli("rehearse", "node", pipeline(DONE), "--project", project, "--set", "sandbox=off")
    assert said.status == 130
    assert "new.txt has never been committed" in said.err
    assert f"to remove the run and its logs: rm -r {project}/.claude/attractor/runs/" in said.err
    assert "worktree: " not in said.err
    assert "to remove both" not in said.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["bild"], "there is no node 'bild' with work for an agent"),
        (["--fault", "fire@work"], "there is no fault 'fire@work'"),
        (["--fault", "lie@start"], "there is no node 'start' with work to do"),
        (["--answer", "maybe"], "'maybe' is no verdict"),
        (["--answer", "fail="], "'fail=' is no verdict"),
        (["--set", "sandbx=off"], "there is no setting 'sandbx'"),
        (["--scenario", "nowhere.yaml"], "cannot be read"),
    ],
)
def test_a_mistake_is_refused_before_anything_starts(
    words: list[str],
    problem: str,
    cli: Cli,
    pipeline: Callable[[str], Path],
    temporary: Path,
) -> None:
    said = cli("rehearse", "node", pipeline("true"), *words)
    assert (said.status, said.out) == (1, "")
    assert problem in said.err
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("number", [posix_signals.SIGTERM, posix_signals.SIGHUP])
def test_a_termination_strikes_the_stage(
    number: posix_signals.Signals, pipeline: Callable[[str], Path], temporary: Path
) -> None:
    argv = [sys.executable, "-I", "-m", "attractor", "rehearse", "node"]
    with subprocess.Popen(
        [*argv, str(pipeline("tail -f /dev/null"))], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline().startswith("rehearsing work")
        assert "AGENT_REGISTERED" in child.stdout.readline()
        child.send_signal(number)
        assert child.wait(SECONDS) == 128 + number
    assert os.listdir(temporary) == []


# With the real Claude Code


@pytest.fixture
def hello(root: Path) -> Path:
    if tools.find_claude() is None or shutil.which("tmux") is None:
        pytest.skip("there is no claude, or no tmux, here")
    return root / "pipelines" / "hello.dot"


def test_the_real_claude_hands_in_a_node(cli: Cli, hello: Path) -> None:
    said = cli("rehearse", "node", hello, "--json", "--seconds", SECONDS)
    assert said.status == 0, said.out
    last = json.loads(said.out.splitlines()[-1])
    assert last["usage"]["requests"] >= 3
    assert last["rubric_seen"] is False


def test_work_that_is_to_be_rejected_is_done_again(cli: Cli, hello: Path) -> None:
    words = ["--fault", "reject@impl_hello", "--seconds", SECONDS, "--json"]
    said = cli("rehearse", "node", hello, *words)
    assert said.status == 0, said.out
    assert [each for each in types(said) if each.startswith(("NEEDS", "VALID"))] == [
        "NEEDS_REVIEW",
        "VALIDATION_FAILED",
        "NEEDS_REVIEW",
        "VALIDATION_PASSED",
    ]


def test_who_lies_to_the_end_is_handed_back_and_ended(cli: Cli, hello: Path) -> None:
    words = ["--fault", "lie@impl_hello", "--seconds", SECONDS, "--json"]
    said = cli("rehearse", "node", hello, *words)
    assert said.status == 1
    assert "NEEDS_REVIEW" not in types(said)
    assert [each for each in types(said) if not each.startswith("AGENT")] == [
        "ORCHESTRATOR_STUCK",
        "GUIDANCE",
        "ORCHESTRATOR_STUCK",
        "KILL_ORCHESTRATOR",
        "RUNNER_EXITED",
    ]


def test_a_real_session_can_be_watched_nudged_and_stopped(cli: Cli, hello: Path) -> None:
    from attractor.rehearsal.play import Play
    from attractor.rehearsal.stage import Stage

    play = Play(
        pipeline=str(hello), faults=["stuck@impl_hello"], settings=["stuck_after=1h"], keep=True
    )
    with Stage(play) as stage:
        stage.expect("AGENT_REGISTERED", SECONDS)
        asked = stage.server.await_request(lambda each: each.role == "orchestrator", SECONDS)
        assert asked
        place = ["--run", stage.layout.root, "impl_hello"]

        argv = cli("attach", *place, "--json").json()["argv"]
        listed = subprocess.run(
            [*argv[:5], "list-sessions", "-F", "#{session_name}"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        assert listed.stdout.strip() == argv[-2].removeprefix("=")

        nudged = cli("nudge", *place, "Look again.", "--wait", SECONDS, "--json")
        assert (nudged.status, nudged.json()["runner"]) == (0, "alive")

        stopped = cli("stop", *place, "--reason", "enough", "--json")
        assert stopped.status == 0, stopped.err
        assert os.path.isdir(stopped.json()["worktree"])
        ended = stage.expect("RUNNER_EXITED", SECONDS)
        assert ended.payload.reason == "enough"  # type: ignore[union-attr]
        assert cli("attach", *place).status == 1

        logs = cli("logs", *place, "-f")
        assert logs.err == "the Runner has ended\n"
        kinds = {line[14:24].strip() for line in logs.out.splitlines()[1:]}
        assert {"decision", "effect", "event", "pane", "signal"} <= kinds
    shutil.rmtree(stage.folder)
