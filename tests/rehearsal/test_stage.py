"""The stage: prepared, played on, and struck. Here something small stands for the Runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.rehearsal import stage as stages
from attractor.rehearsal.play import Play
from attractor.rehearsal.stage import NotHeardError, Stage
from attractor.run import assignment as assignments
from attractor.run import watched
from attractor.run.limits import Limits
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.owner import Liveness

SECONDS = 60.0
PIPELINE = """\
digraph p {
    prd_ref="PRD-X";
    start [shape=Mdiamond];
    gate [shape=hexagon];
    build [shape=box, prompt="build it", worker_type="backend-solutions-engineer",
           sd_path="designs/x.md", target_dir="lib", files="a.py, b.py", agent="command",
           command="true", stuck_after="10m", cooldown_min="2s"];
    test [shape=box, prompt="obey", agent="command", command="true"];
    exit [shape=Msquare];
    start -> build -> test -> gate -> exit;
}
"""
# What stands for the Runner: it does what the node's prompt says.
RUNNER = """
import json, os, sys, subprocess
from attractor.run import assignment
from signals import kinds, sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.owner import Owner
from signals.watch import Watch
from attractor.rehearsal import stage

given = assignment.load(sys.argv[1])
layout, node = given.layout, given.node_id
key = sign.read_key(layout.key)
out = Mailbox(layout.guardian_mailbox, key=key, clock=SystemClock())
inbox = Mailbox(layout.runner_mailbox(node), key=key, clock=SystemClock())

def send(kind, **payload):
    said = kinds.payload_of(kind, {"node_id": node, **payload})
    out.send(kinds.compose("runner", "guardian", said, run_id=given.run_id, attempt=given.attempt))

def order():
    with Watch([inbox.folder], slow_seconds=0.2) as watch:
        while True:
            for name, signal in inbox.drain():
                inbox.acknowledge(name)
                return signal
            watch.wait()

def replace(path, value):
    with open(path, "w") as file:
        json.dump(value, file)

replace(layout.runner_owner(node), Owner.current().as_json())
print("env", json.dumps(dict(os.environ)), flush=True)
if given.prompt == "die":
    sys.exit("no idea")
if given.prompt == "session":
    socket = os.path.join(os.environ["XDG_RUNTIME_DIR"], "attractor", "s")
    if not os.path.exists(layout.session(node)):
        os.makedirs(os.path.dirname(socket))
        words = ["new-session", "-d", "-s", "attractor", "cat"]
        subprocess.run(["tmux", "-S", socket, "-f", os.devnull, *words], check=True)
        replace(layout.session(node), {"kind": "claude", "socket": socket, "launch": 1})
send("NEEDS_REVIEW", summary="first")
if given.prompt == "deaf":
    order()
    order()
got = order()
send("NEEDS_INPUT", question=got.signal_type)
if got.signal_type != "KILL_ORCHESTRATOR":
    order()
send("RUNNER_EXITED", mode="COMPLETE", reason="enough")
replace(layout.runner_state(node), {"phase": "ended"})
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "sources" / "p.dot"
    (path.parent / "designs").mkdir(parents=True)
    (path.parent / "designs" / "x.md").write_text("The design.\n")
    (path.parent / "prd").mkdir()
    (path.parent / "prd" / "PRD-X.md").write_text("The requirements.\n")
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def saying(pipeline: Path) -> Callable[[str], Path]:
    """`saying("die")`: the pipeline, with another prompt of the node `test`."""

    def make(prompt: str) -> Path:
        pipeline.write_text(PIPELINE.replace('"obey"', json.dumps(prompt)))
        return pipeline

    return make


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stages are built."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Has every Runner that was started; each is the one above."""
    program = tmp_path / "runner.py"
    program.write_text(RUNNER)
    started: list[Any] = []
    real = stages.start_own

    def start(module: str, *arguments: str, **others: Any) -> Any:
        assert module == "runner"
        monkeypatch.setattr(
            "attractor.spawn.own_command",
            lambda _, *words: [sys.executable, "-I", str(program), *words],
        )
        started.append(real("runner", *arguments, **others))
        return started[-1]

    monkeypatch.setattr(stages, "start_own", start)
    yield started
    for child in started:
        assert child.poll() is not None
        child.kill()
        child.wait()


def test_a_play_is_a_run_in_a_repository_of_its_own(pipeline: Path) -> None:
    with Stage(Play(pipeline=str(pipeline), node="build")) as stage:
        project = Path(stage.assignment.project)
        assert stage.layout.root.startswith(f"{project}/.claude/attractor/runs/rehearsal-")
        given = assignments.load(stage.layout.assignment("build"))
        assert given == stage.assignment
        said = git(project, "log", "--format=%H %an", "HEAD")
        assert said == f"{given.base_commit} Rehearsal"
        assert Path(stage.layout.dot).read_text() == PIPELINE
        assert os.stat(stage.layout.key).st_mode & 0o777 == 0o600
        for folder in (stage.layout.terminal_mailbox, stage.layout.runner_mailbox("build")):
            assert (Path(folder) / "processed").is_dir()
        stage.expect("NEEDS_REVIEW", SECONDS)
    assert not os.path.exists(stage.folder)


def test_what_the_node_says_is_in_its_assignment(pipeline: Path) -> None:
    play = Play(pipeline=str(pipeline), node="build", attempt=2, feedback="again")
    with Stage(play) as stage:
        given = stage.assignment
    assert (given.node_id, given.attempt, given.feedback) == ("build", 2, "again")
    assert (given.prompt, given.worker_type) == ("build it", "backend-solutions-engineer")
    assert (given.prd_ref, given.sd_path, given.target_dir) == ("PRD-X", "designs/x.md", "lib")
    assert (given.files, given.agent, given.command) == (("a.py", "b.py"), "command", "true")
    assert given.base_url == stage.server.base_url
    assert given.worktree == f"{given.project}/.claude/worktrees/{given.run_id}-build"


def test_the_repository_has_what_the_pipeline_names(pipeline: Path) -> None:
    with Stage(Play(pipeline=str(pipeline))) as stage:
        project = stage.assignment.project
        files = git(Path(project), "ls-files").splitlines()
        assert files == [
            ".gitignore",
            "README.md",
            "designs/x.md",
            "lib/.gitkeep",
            "pipelines/p.dot",
            "pipelines/prd/PRD-X.md",
        ]
        assert git(Path(project), "config", "user.email") == "rehearsal@localhost"


def test_without_a_node_it_is_the_first_that_has_work(pipeline: Path) -> None:
    with Stage(Play(pipeline=str(pipeline))) as stage:
        assert stage.node_id == "build"


def test_waits_for_the_world_are_shortened_but_not_what_is_asked_for(pipeline: Path) -> None:
    asked = ("cooldown_max=7m", "sandbox=off")
    with Stage(Play(pipeline=str(pipeline), node="build", settings=asked)) as stage:
        limits = stage.assignment.limits
    assert (limits.stuck_after, limits.cooldown_min, limits.cooldown_max) == (6.0, 1.0, 420.0)
    assert limits.receipt_within == Limits().receipt_within
    assert stage.assignment.sandbox == "off"


def test_a_rubric_lies_where_nobody_on_stage_may_look(pipeline: Path) -> None:
    with Stage(Play(pipeline=str(pipeline))) as stage:
        (hidden,) = stage.assignment.hidden
        assert stage.secret in (Path(hidden) / "manifest.yaml").read_text()
        assert stage.secret in (Path(hidden) / "secret.feature").read_text()
        assert not hidden.startswith(stage.assignment.project)
        assert stage.secret not in Path(stage.layout.assignment("build")).read_text()


def test_the_runner_has_an_environment_from_a_list(
    saying: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with Stage(Play(pipeline=str(saying("obey")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        log = Path(stage.layout.runner_log("test")).read_text()
        env = json.loads(log.removeprefix("env "))
        assert not {"ANTHROPIC_API_KEY", "HTTPS_PROXY"} & env.keys()
        assert env["LC_ALL"] == "C.UTF-8"
        assert os.stat(env["XDG_RUNTIME_DIR"]).st_mode & 0o777 == 0o700
        assert len(env["XDG_RUNTIME_DIR"]) < 70


# Signals


def test_signals_are_heard_in_order_and_answered(saying: Callable[[str], Path]) -> None:
    with Stage(Play(pipeline=str(saying("obey")), node="test")) as stage:
        first = stage.next(SECONDS)
        assert first
        assert (first.signal_type, first.attempt) == ("NEEDS_REVIEW", 1)
        stage.answer("VALIDATION_FAILED", feedback="no")
        second = stage.expect("NEEDS_INPUT", SECONDS)
        assert second.payload.question == "VALIDATION_FAILED"  # type: ignore[union-attr]
        stage.answer("INPUT_RESPONSE", response="42")
        stage.expect("RUNNER_EXITED", SECONDS)
        assert stage.await_runner(SECONDS) == 0
        assert stage.next(SECONDS) is None
    assert [signal.signal_type for signal in stage.heard] == [
        "NEEDS_REVIEW",
        "NEEDS_INPUT",
        "RUNNER_EXITED",
    ]
    assert Mailbox(stage.layout.guardian_mailbox, clock=SystemClock()).folder


def test_what_does_not_come_is_an_error_that_says_what_came(
    saying: Callable[[str], Path],
) -> None:
    with Stage(Play(pipeline=str(saying("obey")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        with pytest.raises(NotHeardError, match=r"no VIOLATION .*: NEEDS_REVIEW"):
            stage.expect("VIOLATION", 0)
        with pytest.raises(NotHeardError, match="the Runner has not ended within 0 seconds"):
            stage.await_runner(0)


def test_a_runner_that_dies_is_noticed_at_once_with_what_it_said(
    saying: Callable[[str], Path],
) -> None:
    with (
        Stage(Play(pipeline=str(saying("die")), node="test")) as stage,
        pytest.raises(
            NotHeardError, match="heard so far: nothing; the Runner has ended with 1"
        ) as e,
    ):
        stage.expect("NEEDS_REVIEW", 3600.0)
    assert e.value.fix.splitlines()[-1].strip() == "no idea"


def test_a_forged_signal_is_not_heard(saying: Callable[[str], Path]) -> None:
    with Stage(Play(pipeline=str(saying("obey")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        box = Mailbox(stage.layout.guardian_mailbox, key=sign.new_key(), clock=SystemClock())
        from signals import kinds

        said = kinds.payload_of("NODE_COMPLETE", {"node_id": "test"})
        box.send(kinds.compose("runner", "guardian", said))
        assert stage.next(0) is None
        assert len(box.quarantined()) == 1


# The Runner and its session


def test_the_runner_can_be_killed_and_started_again(
    saying: Callable[[str], Path], runner: list[Any]
) -> None:
    with Stage(Play(pipeline=str(saying("obey")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        stage.kill_runner()
        assert watched.runner(stage.found)[1] is Liveness.DEAD
        stage.start_runner()
        stage.expect("NEEDS_REVIEW", SECONDS)
    assert [child.returncode for child in runner] == [-9, 0]


def test_the_sessions_terminal_can_be_asked(saying: Callable[[str], Path]) -> None:
    with Stage(Play(pipeline=str(saying("session")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        assert stage.tmux("display-message", "-p", "#{session_name}") == "attractor\n"
        reached = watched.session(stage.found)
        assert reached
    assert not watched.lives(reached)


def test_a_session_without_a_terminal_says_so(saying: Callable[[str], Path]) -> None:
    with (
        Stage(Play(pipeline=str(saying("obey")), node="test")) as stage,
        pytest.raises(InputError, match="this session has no terminal"),
    ):
        stage.tmux("list-sessions")


def test_at_the_end_the_runner_is_asked_to_end_and_does(
    saying: Callable[[str], Path], runner: list[Any]
) -> None:
    with Stage(Play(pipeline=str(saying("obey")), node="test", keep=True)) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
    (child,) = runner
    assert child.returncode == 0
    mailbox = Mailbox(stage.layout.runner_mailbox("test"), clock=SystemClock())
    assert [name.split("-")[-1] for name in mailbox.processed()] == ["KILL_ORCHESTRATOR.json"]


def test_at_the_end_a_session_whose_runner_was_killed_is_ended_by_another(
    saying: Callable[[str], Path], runner: list[Any]
) -> None:
    with Stage(Play(pipeline=str(saying("session")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
        stage.kill_runner()
        reached = watched.session(stage.found)
        assert reached
        assert watched.lives(reached)
    assert len(runner) == 2
    assert not watched.lives(reached)


def test_at_the_end_a_runner_that_does_not_obey_is_killed(
    saying: Callable[[str], Path], runner: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_END_SECONDS", 0.2)
    with Stage(Play(pipeline=str(saying("deaf")), node="test")) as stage:
        stage.expect("NEEDS_REVIEW", SECONDS)
    assert [child.returncode for child in runner] == [-9]


def test_an_error_on_stage_strikes_it_as_well(
    saying: Callable[[str], Path], runner: list[Any]
) -> None:
    with (
        pytest.raises(NotHeardError),
        Stage(Play(pipeline=str(saying("session")), node="test")) as stage,
    ):
        stage.expect("VIOLATION", 2.0)
    assert runner[0].poll() is not None
    assert not os.path.exists(stage.folder)


# What is kept


def test_what_failed_and_what_is_wanted_is_kept(pipeline: Path) -> None:
    with Stage(Play(pipeline=str(pipeline), keep=True)) as wanted:
        assert wanted.kept
    with Stage(Play(pipeline=str(pipeline))) as failed:
        assert not failed.kept
        failed.failed = True
    for stage in (wanted, failed):
        assert os.path.exists(stage.layout.requests)
        assert not os.path.exists(stage._runtime)


def test_a_project_of_the_users_keeps_the_run_and_is_not_touched_else(
    pipeline: Path, project: Path
) -> None:
    before = git(project, "status", "--porcelain", "--ignored")
    head = git(project, "rev-parse", "HEAD")
    with Stage(Play(pipeline=str(pipeline), project=str(project))) as stage:
        assert stage.assignment.project == str(project.resolve())
        assert stage.assignment.base_commit == head
        run = os.path.basename(stage.layout.root)
        assert stage.assignment.worktree == f"{project}/.claude/worktrees/{run}-build"
        assert stage.kept
    assert os.path.exists(stage.layout.requests)
    assert not os.path.exists(stage.folder)
    shown = git(project, "status", "--porcelain", "--ignored").splitlines()
    assert [line for line in shown if line not in before.splitlines()] == ["?? .claude/"]
    assert git(project, "rev-parse", "HEAD") == head


# What is refused before anything starts


@pytest.mark.parametrize(
    ("play", "problem", "fix"),
    [
        ({"node": "bild"}, "there is no node 'bild' with work", "there are build, test"),
        ({"node": "gate"}, "there is no node 'gate' with work", "there are build, test"),
        ({"faults": ["crash"]}, "there is no fault 'crash'", "crash@NODE"),
        ({"faults": ["fire@build"]}, "there is no fault 'fire@build'", "lie@NODE"),
        ({"faults": ["lie@gate"]}, "no node 'gate' with work to do", "build"),
        ({"settings": ["sandbx=off"]}, "there is no setting 'sandbx'", "sandbox"),
        ({"settings": ["stuck_after=soon"]}, "stuck_after cannot be 'soon'", "a length of time"),
        ({"scenario": "nowhere.yaml"}, "cannot be read", "check the path"),
        ({"project": "EMPTY"}, "this is not a git repository", "git init"),
    ],
)
def test_a_mistake_is_refused_before_anything_starts(
    play: dict[str, Any],
    problem: str,
    fix: str,
    pipeline: Path,
    tmp_path: Path,
    runner: list[Any],
    temporary: Path,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    play = {key: str(empty) if given == "EMPTY" else given for key, given in play.items()}
    with pytest.raises(InputError) as error, Stage(Play(pipeline=str(pipeline), **play)):
        pass
    assert problem in str(error.value)
    assert fix in error.value.fix
    assert runner == []
    assert os.listdir(temporary) == []
    assert os.listdir(empty) == []


def test_a_scenario_about_another_node_is_refused_with_its_place(
    pipeline: Path, tmp_path: Path
) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("version: 1\nnodes:\n  bild:\n    orchestrator: [say: hello]\n")
    play = Play(pipeline=str(pipeline), scenario=str(scenario))
    with pytest.raises(InputError, match="no node 'bild'") as error, Stage(play):
        pass
    assert error.value.where == f"{scenario}:3:3"


def test_a_pipeline_without_work_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.dot"
    path.write_text("digraph p { start -> exit }")
    with pytest.raises(InputError, match="no node of this pipeline has work"):
        Stage(Play(pipeline=str(path))).__enter__()


def test_a_missing_tmux_is_named_with_what_to_do(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.write_text(PIPELINE.replace('agent="command", command="true"', 'agent="claude"'))
    found = subprocess.run(["which", "git"], capture_output=True, text=True, check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(found.stdout.strip())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError) as error:
        Stage(Play(pipeline=str(pipeline), node="test")).__enter__()
    assert "tmux is not installed" in str(error.value)
    assert "install it: " in str(error.value)


def test_a_project_that_could_lead_to_a_real_api_is_refused(
    pipeline: Path, project: Path, runner: list[Any]
) -> None:
    pipeline.write_text(PIPELINE.replace('agent="command", command="true"', 'agent="claude"'))
    (project / ".claude").mkdir()
    elsewhere = {"env": {"NODE_OPTIONS": "--require=/elsewhere.js"}}
    (project / ".claude" / "settings.json").write_text(json.dumps(elsewhere))
    play = Play(pipeline=str(pipeline), node="test", project=str(project))
    with pytest.raises(InputError, match="could lead a rehearsal away"), Stage(play):
        pass
    assert runner == []
    assert not (project / ".claude" / "attractor").exists()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of the user's, with one commit."""
    path = tmp_path / "mine"
    path.mkdir()
    git(path, "init", "-q")
    (path / "a.txt").write_text("a\n")
    git(path, "add", "-A")
    who = ("-c", "user.name=Me", "-c", "user.email=me@localhost", "-c", "commit.gpgsign=false")
    git(path, *who, "commit", "-q", "-m", "Start")
    return path


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_a_scenario_in_which_the_session_says_nothing_is_refused(
    tmp_path: Path, runner: list[Any]
) -> None:
    path, scenario = tmp_path / "p.dot", tmp_path / "s.yaml"
    path.write_text("digraph p { start -> work -> exit; work [shape=box] }")
    scenario.write_text("version: 1\nroles:\n  judge: [say: hello]\n")
    play = Play(pipeline=str(path), scenario=str(scenario), settings=["agent=claude-headless"])
    with (
        pytest.raises(InputError, match="no turns of the role 'orchestrator'") as error,
        Stage(play),
    ):
        pass
    assert "nodes.work.orchestrator" in error.value.fix
    assert runner == []


def test_a_pipeline_of_tools_is_told_which_handler_has_work(tmp_path: Path) -> None:
    path = tmp_path / "tool.dot"
    path.write_text('digraph p { start -> a -> exit; a [shape=box, handler="tool"] }')
    with pytest.raises(InputError) as error:
        Stage(Play(pipeline=str(path))).__enter__()
    assert "where no handler is named" in error.value.fix
