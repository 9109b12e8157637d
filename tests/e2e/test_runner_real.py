"""A real Runner with the real Claude Code, tmux, git and bubblewrap, against the scripted model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal as posix_signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.rehearsal.play import Play
from attractor.rehearsal.stage import Stage
from attractor.run import watched
from attractor.tools import find_claude
from runner.sandbox import probe
from signals.watch import Watch

# The whole is real and the machine may be busy; no wait is meant to be waited out.
SECONDS = 150
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.skipif(find_claude() is None, reason="there is no claude here"),
]
PIPELINE = """digraph p {
    start [shape=Mdiamond];
    work [shape=box, label="Work", worker_type="backend-solutions-engineer", files="made.txt",
          prompt="Make it."];
    exit [shape=Msquare];
    start -> work -> exit;
}"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stage]]:
    """`stage("crash", settings=[...])`: the node `work`, on stage; struck after the test."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"att-{os.getpid()}-{id(tmp_path):x}"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    open_stages = []

    def begin(*faults: str, text: str = PIPELINE, scenario: str = "", **how: Any) -> Stage:
        pipeline = tmp_path / "p.dot"
        pipeline.write_text(text, encoding="utf-8")
        if scenario:
            (tmp_path / "s.yaml").write_text(scenario)
            how["scenario"] = str(tmp_path / "s.yaml")
        named = [f"{fault}@work" for fault in faults]
        made = Stage(Play(pipeline=str(pipeline), node="work", faults=named, **how))
        made.__enter__()
        open_stages.append(made)
        return made

    yield begin
    for each in open_stages:
        each.__exit__(None, None, None)
    shutil.rmtree(folder, ignore_errors=True)


def git(stage: Stage, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", stage.assignment.project, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def types(stage: Stage) -> list[str]:
    return [signal.signal_type for signal in stage.heard]


def state(stage: Stage) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(Path(stage.layout.runner_state("work")).read_bytes())
    return said


def await_in_timeline(stage: Stage, what: str, times: int = 1) -> None:
    """Wait until the timeline says this; the Runner's state is published after each change."""
    deadline = time.monotonic() + SECONDS
    with Watch([stage.layout.node("work")]) as watch:
        while sum(what in piece.what for piece in stage.timeline()) < times:
            assert time.monotonic() < deadline, [piece.what for piece in stage.timeline()]
            watch.wait(1.0)


def finish(stage: Stage) -> None:
    stage.answer("VALIDATION_PASSED")
    exited = stage.expect("RUNNER_EXITED", SECONDS)
    assert (exited.payload.mode, exited.payload.reason) == ("COMPLETE", "validated")
    assert stage.await_runner(SECONDS) == 0


def test_from_assignment_to_review_without_one_call_of_a_model_by_the_runner(stage: Any) -> None:
    one = stage()
    before = git(one, "rev-parse", "HEAD")
    registered = one.expect("AGENT_REGISTERED", SECONDS)
    # What this machine really gives, and what is on the record, is the same.
    assert registered.payload.blindness == probe(os.environ).name
    review = one.expect("NEEDS_REVIEW", SECONDS)
    head = git(one, "rev-parse", one.assignment.branch)
    assert review.payload.commit_hash == head
    assert review.attempt == 1
    assert git(one, "show", "--stat", "--format=", head).startswith("made.txt")
    assert review.payload.usage.output_tokens > 0
    assert review.payload.usage.requests >= 3
    # The user's own checkout is as it was.
    assert (git(one, "rev-parse", "HEAD"), git(one, "status", "--porcelain")) == (before, "")
    asked = [json.loads(line) for line in Path(one.layout.requests).read_text().splitlines()]
    assert {each["role"] for each in asked if each["path"].startswith("/v1/messages")} <= {
        "orchestrator",
        "worker:backend-solutions-engineer",
        "agent:backend-solutions-engineer",
        "subagent",
    }
    finish(one)
    assert types(one) == ["AGENT_REGISTERED", "NEEDS_REVIEW", "AGENT_TERMINATED", "RUNNER_EXITED"]
    assert not one.leaked
    assert os.path.isdir(one.assignment.worktree)


def test_a_crash_is_reported_with_the_last_lines(stage: Any) -> None:
    one = stage("crash")
    crashed = one.expect("ORCHESTRATOR_CRASHED", SECONDS)
    # Behind a fence bwrap reports its end, without one tmux does.
    assert re.search(r"ended with status (137|-9)", crashed.payload.last_output)
    exited = one.expect("RUNNER_EXITED", SECONDS)
    assert exited.payload.mode == "FAILED"
    assert one.await_runner(SECONDS) == 0


def test_a_stuck_session_is_asked_interrupted_and_restarted_with_its_context(stage: Any) -> None:
    one = stage("stuck")
    rungs = [one.expect("ORCHESTRATOR_STUCK", SECONDS).payload.rung]
    while (signal := one.next(SECONDS)).signal_type == "ORCHESTRATOR_STUCK":
        rungs.append(signal.payload.rung)
    assert rungs == ["ask", "interrupt", "restart"][: len(rungs)]
    assert signal.signal_type == "NEEDS_REVIEW"
    finish(one)


def test_a_rate_limit_is_waited_out_and_costs_no_attempt(stage: Any) -> None:
    one = stage("ratelimit")
    review = one.expect("NEEDS_REVIEW", SECONDS)
    assert types(one) == ["AGENT_REGISTERED", "NEEDS_REVIEW"]
    assert review.payload.usage.cooldowns >= 1
    assert review.payload.usage.cooldown_seconds > 0
    assert review.attempt == 1
    finish(one)


def test_a_claim_with_nothing_done_is_never_signalled_as_review(stage: Any) -> None:
    one = stage("lie")
    stuck = one.expect("ORCHESTRATOR_STUCK", SECONDS)
    assert stuck.payload.rung == "hand back"
    assert "nothing done" in stuck.payload.last_output
    assert "NEEDS_REVIEW" not in types(one)


def test_an_orchestrator_that_writes_itself_is_denied_and_reported(stage: Any) -> None:
    one = stage("violate")
    assert "Write" in one.expect("VIOLATION", SECONDS).payload.reason
    assert "violation" in one.expect("VIOLATION", SECONDS).payload.reason
    review = one.expect("NEEDS_REVIEW", SECONDS)
    names = git(one, "ls-tree", "-r", "--name-only", review.payload.commit_hash)
    assert "violation" not in names


def test_one_that_looks_for_the_rubric_finds_nothing_and_is_reported(stage: Any) -> None:
    one = stage("peek")
    one.expect("VIOLATION", SECONDS)
    one.expect("NEEDS_REVIEW", SECONDS)
    finish(one)
    assert not one.leaked


def test_feedback_of_the_judge_reaches_the_same_session(stage: Any) -> None:
    one = stage(scenario=REWORK)
    first = one.expect("NEEDS_REVIEW", SECONDS)
    one.answer("VALIDATION_FAILED", feedback='It lacks "quotes", $(echo x) and\n\nlines. \N{DUCK}')
    second = one.expect("NEEDS_REVIEW", SECONDS)
    assert second.payload.commit_hash != first.payload.commit_hash
    said = Path(one.layout.requests).read_text(encoding="utf-8")
    told = [text for line in said.splitlines() for text in json.loads(line)["said"]]
    assert any('"quotes", $(echo x) and\n\nlines. \N{DUCK}' in text for text in told)
    assert state(one)["launch"] == 1
    finish(one)


def test_an_open_promise_of_the_session_holds_its_review_back(stage: Any) -> None:
    one = stage(scenario=PROMISED)
    review = one.expect("NEEDS_REVIEW", SECONDS)
    assert "Now it is." in review.payload.summary
    said = Path(one.layout.requests).read_text(encoding="utf-8")
    assert "criteria of your completion promise are open" in said
    finish(one)


PROMISED = """version: 1
nodes:
  work:
    orchestrator:
      - run: "cs-promise --create 'A file' --ac 'It is there'"
      - spawn: {worker: backend-solutions-engineer, prompt: "Do it.", turns: [
          {run: "echo one > made.txt && git add -A && git commit -qm one"}, {say: "Made."}]}
      - say: "The worker is at work."
      - say: "Made.\n\n<promise>NODE_COMPLETE</promise>"
      - run: "ID=$(cs-promise --list | grep -o 'promise-[0-9a-f]*'); cs-promise --start $ID;
          cs-promise --meet $ID --ac-id AC-1 --evidence made.txt;
          cs-verify --promise $ID --skip-validation-check"
      - say: "Now it is.\n\n<promise>NODE_COMPLETE</promise>"
"""
REWORK = """version: 1
nodes:
  work:
    orchestrator:
      - spawn: {worker: backend-solutions-engineer, prompt: "First part.", turns: [
          {run: "echo one > made.txt && git add -A && git commit -qm one"}, {say: "Made."}]}
      - say: "The worker is at work."
      - say: "Made.\\n\\n<promise>NODE_COMPLETE</promise>"
      - spawn: {worker: backend-solutions-engineer, prompt: "Second part.", turns: [
          {run: "echo two > made.txt && git add -A && git commit -qm two"}, {say: "Made again."}]}
      - say: "The worker is at work again."
      - say: "Mended.\\n\\n<promise>NODE_COMPLETE</promise>"
"""


def test_where_facts_do_not_decide_a_model_is_asked_but_never_without_a_commit(
    stage: Any,
) -> None:
    one = stage(scenario=UNCLEAR)
    review = one.expect("NEEDS_REVIEW", SECONDS)
    asked = [json.loads(line) for line in Path(one.layout.requests).read_text().splitlines()]
    # Not after the first turn: without a commit there is nothing that an opinion could decide.
    turns = [each["turn"] for each in asked if each["role"] == "orchestrator"]
    assert sum(each["role"] == "supervisor" for each in asked) == 1
    assert len(turns) > 1
    assert git(one, "rev-list", "--count", f"HEAD..{review.payload.commit_hash}") == "1"
    finish(one)


UNCLEAR = """version: 1
roles:
  supervisor:
    - structured: {state: done, text: ""}
nodes:
  work:
    orchestrator:
      - say: "I have looked around, and all is well."
      - spawn: {worker: backend-solutions-engineer, prompt: "Do it.", turns: [
          {run: "echo one > made.txt && git add -A && git commit -qm one"}, {say: "Made."}]}
      - say: "The worker is at work."
      - say: "That should be all."
"""


@pytest.mark.parametrize("when", ["registered", "busy", "review"])
def test_a_runner_that_is_killed_and_started_again_watches_the_same_session(
    stage: Any, when: str
) -> None:
    one = stage()
    one.expect("AGENT_REGISTERED", SECONDS)
    if when == "busy":
        await_in_timeline(one, "PreToolUse")
    elif when == "review":
        one.expect("NEEDS_REVIEW", SECONDS)
    one.kill_runner()
    session = state(one)["session_id"]
    if when == "review":
        one.answer("VALIDATION_PASSED")  # while nobody is there to hear it
        one.start_runner()
    else:
        one.start_runner()
        one.expect("NEEDS_REVIEW", SECONDS)
        one.answer("VALIDATION_PASSED")
    assert one.expect("RUNNER_EXITED", SECONDS).payload.mode == "COMPLETE"
    assert (state(one)["session_id"], state(one)["launch"]) == (session, 1)
    # A signal may come twice when its sender is killed; its id says that it is the same.
    kinds = [kind for _, kind in sorted({(each.id, each.signal_type) for each in one.heard})]
    assert (kinds.count("NEEDS_REVIEW"), kinds.count("AGENT_REGISTERED")) == (1, 1)


def test_a_cooldown_survives_the_runner_and_only_its_rest_is_waited(stage: Any) -> None:
    one = stage("ratelimit", settings=["cooldown_min=600", "cooldown_max=600", "reset_max=600"])
    await_in_timeline(one, "cooldown")
    one.kill_runner()
    began = state(one)["cooldown"]
    one.start_runner()
    await_in_timeline(one, "a Runner took over")
    one.answer("KILL_ORCHESTRATOR", reason="seen enough")
    one.expect("RUNNER_EXITED", SECONDS)
    assert state(one)["cooldown"] == began
    assert began["length"] >= 600


def test_a_session_whose_tmux_server_is_killed_is_resumed_with_its_context(stage: Any) -> None:
    one = stage()
    one.expect("AGENT_REGISTERED", SECONDS)
    await_in_timeline(one, "UserPromptSubmit")
    session = state(one)["session_id"]
    one.tmux("kill-server")
    one.expect("NEEDS_REVIEW", SECONDS)
    assert (state(one)["session_id"], state(one)["launch"]) == (session, 2)
    assert "ORCHESTRATOR_CRASHED" not in types(one)
    finish(one)


def test_a_claude_that_is_killed_is_a_crash_and_leaves_no_process(stage: Any) -> None:
    one = stage()
    one.expect("AGENT_REGISTERED", SECONDS)
    await_in_timeline(one, "UserPromptSubmit")
    pid = int(one.tmux("list-panes", "-F", "#{pane_pid}"))
    os.kill(pid, posix_signals.SIGKILL)
    one.expect("ORCHESTRATOR_CRASHED", SECONDS)
    one.expect("RUNNER_EXITED", SECONDS)
    assert one.await_runner(SECONDS) == 0
    assert watched.session(one.found) is None or not watched.lives(watched.session(one.found))


def test_a_second_runner_for_the_node_is_refused_and_changes_nothing(stage: Any) -> None:
    one = stage()
    one.expect("AGENT_REGISTERED", SECONDS)
    argv = [sys.executable, "-I", "-m", "runner", one.layout.assignment("work")]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert second.returncode == 1
    assert f"process {one.runner.pid}" in second.stderr
    one.expect("NEEDS_REVIEW", SECONDS)
    assert types(one) == ["AGENT_REGISTERED", "NEEDS_REVIEW"]
    finish(one)


def test_what_a_frozen_session_does_not_receive_is_typed_until_it_does(stage: Any) -> None:
    one = stage(scenario=REWORK, settings=["receipt_within=1s", "stuck_after=60s"])
    one.expect("NEEDS_REVIEW", SECONDS)
    claude = claude_of(one)
    os.kill(claude, posix_signals.SIGSTOP)
    try:
        one.answer("VALIDATION_FAILED", feedback="Again.")
        await_in_timeline(one, "typed into the session", times=1)
    finally:
        os.kill(claude, posix_signals.SIGCONT)
    one.expect("NEEDS_REVIEW", SECONDS)
    assert state(one)["launch"] == 1
    finish(one)


def claude_of(stage: Stage) -> int:
    """The pid of the session's own Claude Code, outside of its fence."""
    node = os.path.dirname(stage.layout.launch("work")).encode()
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/claude") and any(word.startswith(node) for word in words):
            return int(each)
    raise LookupError("the session's Claude Code is not there")


def test_ten_megabytes_on_the_pane_neither_stop_nor_bloat_anything(stage: Any) -> None:
    one = stage()
    one.expect("AGENT_REGISTERED", SECONDS)
    await_in_timeline(one, "UserPromptSubmit")
    tty = one.tmux("list-panes", "-F", "#{pane_tty}").strip()
    line = b"flood \x1b[31m" + b"x" * 200 + b"\r\n"
    fd = os.open(tty, os.O_WRONLY | os.O_NOCTTY)
    with open(fd, "wb", buffering=0) as pane:
        pane.writelines(line for _ in range(10_000_000 // len(line)))
    one.expect("NEEDS_REVIEW", SECONDS)
    finish(one)
    logged = sum(path.stat().st_size for path in Path(one.layout.node("work")).glob("*.log*"))
    assert logged < 1_000_000


def test_a_prompt_of_100_kilobytes_arrives_as_it_was_written(stage: Any) -> None:
    hard = "quotes ' \" \\` $(touch /tmp/no) ${HOME} \N{DUCK} \\n -- !x /y <b> %s\n"
    prompt = (hard * (99_000 // len(hard.encode())))[:99_000]
    text = PIPELINE.replace('"Make it."', json.dumps(prompt, ensure_ascii=False))
    one = stage(text=text, settings=["max_prompt_bytes=130000"])
    review = one.expect("NEEDS_REVIEW", SECONDS)
    assert review.payload.commit_hash
    asked = [json.loads(line) for line in Path(one.layout.requests).read_text().splitlines()]
    first = next(each for each in asked if each["role"] == "orchestrator" and each["said"])
    told = "\n".join(first["said"])
    assert re.sub(r"\s+", " ", hard * 50).strip() in re.sub(r"\s+", " ", told)
    finish(one)
