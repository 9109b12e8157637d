"""`attractor stop`: a session and its Runner end, and nothing of the work is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from signals.owner import Owner, owner_of

Cli = Callable[..., Any]


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[bytes]]:
    """A process that never ends by itself."""
    argv = [sys.executable, "-I", "-S", "-c", "input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as child:
        yield child
        child.kill()


def test_the_runner_is_told_and_waited_for(
    cli: Cli, made_run: Any, obeying: Callable[[], Any]
) -> None:
    child = obeying()
    said = cli("stop", made_run.node, "--reason", "going home", "--timeout", "60")
    assert said.status == 0, said.err
    told = json.loads(child.stdout.readline())
    assert (told["signal_type"], told["source"]) == ("KILL_ORCHESTRATOR", "terminal")
    assert told["payload"] == {"node_id": "build it", "reason": "going home"}
    assert child.wait(60) == 0


def test_it_says_what_is_left(cli: Cli, made_run: Any, obeying: Callable[[], Any]) -> None:
    obeying()
    worktree = made_run.project / ".claude/worktrees/build-it"
    assert cli("stop", made_run.node).out.splitlines() == [
        "build it: the Runner has ended its session and itself",
        f"worktree: {worktree}",
        "branch: attractor/r1/build-it",
        "commits: 2",
        "uncommitted: kept, in the worktree",
    ]


def test_json_says_the_same(cli: Cli, made_run: Any, obeying: Callable[[], Any]) -> None:
    obeying()
    said = cli("stop", made_run.node, "--json").json()
    assert (said["status"], said["run"], said["node"]) == ("ok", "r1", "build it")
    assert said["branch"] == "attractor/r1/build-it"


def test_a_runner_that_does_not_end_in_time_is_an_error_and_the_order_stays(
    cli: Cli, made_run: Any, deaf: Any
) -> None:
    made_run.owned_by(owner_of(deaf.pid))
    said = cli("stop", made_run.node, "--timeout", "0", "--json")
    assert (said.status, said.json()["code"]) == (1, "timeout")
    assert f"(pid {deaf.pid}) has not ended within 0 seconds" in said.json()["message"]
    assert f"kill -9 {deaf.pid}" in said.json()["fix"]
    assert len(made_run.mailbox().waiting()) == 1
    assert deaf.poll() is None


def test_a_runner_that_cannot_be_told_dead_from_alive_is_not_taken_for_dead(
    cli: Cli, made_run: Any
) -> None:
    made_run.write(made_run.layout.runner_owner(made_run.node), {"pid": "?"})
    said = cli("stop", made_run.node, "--timeout", "0")
    assert said.status == 1
    assert "the Runner has not ended within 0 seconds" in said.err


def test_without_a_runner_and_a_session_there_is_nothing_to_stop(
    cli: Cli, made_run: Any, dead_owner: Owner
) -> None:
    made_run.owned_by(dead_owner)
    said = cli("stop", made_run.node)
    assert (said.status, said.err) == (0, "")
    assert "no Runner was alive, and no session is left" in said.out
    assert "branch: attractor/r1/build-it" in said.out


def test_the_order_waits_for_a_runner_that_is_started_later(cli: Cli, made_run: Any) -> None:
    assert cli("stop", made_run.node).status == 0
    (delivery,) = made_run.mailbox().drain()
    assert delivery.signal.signal_type == "KILL_ORCHESTRATOR"


def test_a_node_that_has_ended_already_gets_no_order(cli: Cli, made_run: Any) -> None:
    made_run.state(phase="ended")
    assert cli("stop", made_run.node).status == 0
    assert made_run.mailbox().waiting() == []


def test_a_session_without_a_runner_is_named_with_how_to_end_it(
    cli: Cli, made_run: Any, pane: Callable[[str], str], dead_owner: Owner
) -> None:
    socket = pane("cat")
    made_run.owned_by(dead_owner)
    said = cli("stop", made_run.node)
    assert said.status == 1
    assert "no Runner is alive, but its session is" in said.err
    assert "attractor stop 'build it' --now" in said.err
    assert answers(socket)


def test_with_now_a_session_without_a_runner_is_ended_from_here(
    cli: Cli, made_run: Any, pane: Callable[[str], str], dead_owner: Owner
) -> None:
    socket = pane("cat")
    made_run.owned_by(dead_owner)
    said = cli("stop", made_run.node, "--now")
    assert said.status == 0, said.err
    assert "no Runner was alive; the session was ended from here" in said.out
    assert not answers(socket)


def test_with_now_a_session_without_a_terminal_is_ended_by_its_process(
    cli: Cli, made_run: Any, deaf: Any
) -> None:
    owner = owner_of(deaf.pid)
    assert owner
    made_run.session(kind="command", owner=owner.as_json())
    assert cli("stop", made_run.node).status == 1
    assert cli("stop", made_run.node, "--now").status == 0
    assert deaf.wait(60) != 0


def test_now_does_not_go_behind_the_back_of_a_living_runner(
    cli: Cli, made_run: Any, pane: Callable[[str], str], deaf: Any
) -> None:
    socket = pane("cat")
    made_run.owned_by(owner_of(deaf.pid))
    assert cli("stop", made_run.node, "--now", "--timeout", "0").status == 1
    assert answers(socket)


def test_a_process_that_got_the_pid_of_the_session_later_is_left_alone(
    cli: Cli, made_run: Any, pane: Callable[[str], str], deaf: Any
) -> None:
    owner = owner_of(deaf.pid)
    assert owner
    other = owner._replace(start="1").as_json()
    made_run.session(kind="command", owner=other)
    assert "no session is left" in cli("stop", made_run.node, "--now").out
    made_run.session(kind="claude", socket=pane("cat"), owner=other)
    assert "was ended from here" in cli("stop", made_run.node, "--now").out
    assert deaf.poll() is None


def answers(socket: str) -> bool:
    argv = ["tmux", "-S", socket, "-f", "/dev/null", "list-sessions"]
    env = {"PATH": os.environ["PATH"]}
    return (
        subprocess.run(argv, env=env, capture_output=True, timeout=30, check=False).returncode == 0
    )


@pytest.mark.parametrize("words", [(), ("--run", "auth-1")])
def test_a_node_without_a_session_is_said_to_have_none(
    cli: Cli, night_run: Any, words: tuple[str, ...]
) -> None:
    night_run("DecisionAnswered")
    said = cli("stop", "ask", *words)
    assert said.status == 1
    assert "ask: it has no session: its handler is wait.human" in said.err
    assert "attractor stop auth-1" in said.err
    assert "no session was started for it yet" in cli("stop", "jwt", *words).err


def test_what_is_neither_a_run_nor_a_node_is_said_to_be_neither(
    cli: Cli, night_run: Any, made_run: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made_run.node == "build it"
    assert "there is no run and no node 'other'" in cli("stop", "other").err
    assert "the nodes of this run are build it" in cli("stop", "other").err
    monkeypatch.chdir(night_run(project=tmp_path / "another").project)
    said = cli("stop", "other").err
    assert "there is no run and no node 'other'" in said
    assert "`attractor runs` lists the runs, `attractor status auth-1` the nodes" in said
    assert "there is no node 'other' in this run" in cli("stop", "other", "--run", "auth-1").err
    monkeypatch.chdir(tmp_path)
    assert "there is no run and no node 'other'" in cli("stop", "other").err
    assert "there is no run 'r9'" in cli("stop", "other", "--run", "r9").err
