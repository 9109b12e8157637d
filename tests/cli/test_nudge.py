"""`attractor nudge`: a person's word to a session, through its Runner."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals.owner import Owner

Cli = Callable[..., Any]


def test_a_nudge_is_signed_guidance_from_the_terminal(cli: Cli, made_run: Any) -> None:
    said = cli("nudge", made_run.node, "Look at the tests first.")
    assert said.status == 0, said.err
    (delivery,) = made_run.mailbox().drain()
    signal = delivery.signal
    assert (signal.source, signal.target, signal.signal_type) == ("terminal", "runner", "GUIDANCE")
    assert (signal.run_id, signal.node_id) == ("r1", "build it")
    assert signal.payload.message == "Look at the tests first."
    assert f"sent GUIDANCE to the Runner of build it: {made_run.layout.root}" in said.out


def test_it_says_that_nobody_is_alive_to_read_it(
    cli: Cli, made_run: Any, dead_owner: Owner
) -> None:
    made_run.owned_by(dead_owner)
    said = cli("nudge", made_run.node, "hello")
    assert said.status == 0
    assert "note: no Runner is alive for this node" in said.err
    assert cli("nudge", made_run.node, "hello", "--json").json()["runner"] == "dead"


def test_it_says_nothing_of_the_kind_where_one_is(cli: Cli, made_run: Any) -> None:
    made_run.owned_by(Owner.current())
    assert cli("nudge", made_run.node, "hello").err == ""
    assert cli("nudge", made_run.node, "hello", "--json").json()["runner"] == "alive"


def test_with_wait_it_comes_back_when_the_runner_has_it(
    cli: Cli, made_run: Any, obeying: Callable[[], Any]
) -> None:
    child = obeying()
    said = cli("nudge", made_run.node, "hello", "--wait", "60")
    assert (said.status, said.out.splitlines()[-1]) == (0, "the Runner has it")
    assert '"message": "hello"' in child.stdout.readline()


def test_with_wait_it_says_when_nobody_took_it_in_time(cli: Cli, made_run: Any) -> None:
    said = cli("nudge", made_run.node, "hello", "--wait", "0", "--json")
    assert (said.status, said.json()["code"]) == (1, "timeout")
    assert "no Runner has taken it within 0 seconds" in said.json()["message"]
    assert len(made_run.mailbox().waiting()) == 1


def test_with_wait_it_says_that_the_runner_could_not_read_it(
    cli: Cli, made_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from signals.watch import Watch

    def put_aside(*_: object) -> bool:
        mailbox = made_run.mailbox()
        for name in mailbox.waiting():
            mailbox.quarantine(name, "it is ill")
        return True

    monkeypatch.setattr(Watch, "wait", put_aside)
    said = cli("nudge", made_run.node, "hello", "--wait", "60")
    assert said.status == 1
    assert "the Runner could not read it: it is ill" in said.err


def test_a_dash_reads_the_message_from_standard_input(
    cli: Cli, made_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("zwölf\nlines".encode())))
    assert cli("nudge", made_run.node, "-").status == 0
    (delivery,) = made_run.mailbox().drain()
    assert delivery.signal.payload.message == "zwölf\nlines"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (b" \n", "there is nothing to say"),
        (b"a\xff", "byte 1 is not UTF-8"),
        (b"x" * (512 * 1024 + 1), "the message is longer than 524288 bytes"),
    ],
)
def test_what_cannot_be_said_is_refused_and_nothing_is_sent(
    given: bytes, problem: str, cli: Cli, made_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    said = cli("nudge", made_run.node, "-")
    assert said.status == 1
    assert problem in said.err
    assert made_run.mailbox().waiting() == []


def test_a_node_that_was_never_dispatched_has_no_mailbox(cli: Cli, made_run: Any) -> None:
    os.makedirs(made_run.layout.node("later"))
    said = cli("nudge", "later", "hello")
    assert said.status == 1
    assert "this node's Runner has no mailbox" in said.err


# Which node, which run


def test_a_node_that_is_not_there_is_refused_with_those_that_are(cli: Cli, made_run: Any) -> None:
    said = cli("nudge", "bild it", "hello", "--json")
    assert said.status == 1
    assert said.json()["message"] == "there is no node 'bild it' in this run"
    assert said.json()["fix"] == "the nodes of this run are build it"


def test_a_node_whose_name_needs_escapes_is_named_as_its_assignment_does(
    cli: Cli, made_run: Any
) -> None:
    layout = made_run.layout
    os.makedirs(layout.node("A/b"))
    made_run.write(layout.assignment("A/b"), {"node_id": "A/b"})
    os.makedirs(layout.node("c"))
    made_run.write(layout.assignment("c"), {"node_id": "somebody else"})
    fix = cli("nudge", "nobody", "hello", "--json").json()["fix"]
    assert fix == "the nodes of this run are A/b, build it, c"


def test_the_project_is_found_from_a_folder_inside(
    cli: Cli, made_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = made_run.project / "src" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert cli("nudge", made_run.node, "hello").status == 0


def test_a_run_that_an_agent_planted_in_its_worktree_is_passed_by(
    cli: Cli, made_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worktree = made_run.project / ".claude/worktrees/build-it"
    planted = worktree / ".claude/attractor/runs/evil/nodes/build it"
    planted.mkdir(parents=True)
    monkeypatch.chdir(worktree)
    said = cli("nudge", made_run.node, "hello", "--json")
    assert said.status == 0, said.err
    assert said.json()["signal_file"].startswith(made_run.layout.root)


def test_a_run_without_a_key_that_only_its_owner_can_read_is_refused(
    cli: Cli, made_run: Any
) -> None:
    os.chmod(made_run.layout.key, 0o644)
    said = cli("nudge", made_run.node, "hello")
    assert said.status == 1
    assert "others may read it" in said.err


def another_run(made_run: Any, name: str, node: str, *, older: bool) -> str:
    """A second run, begun before or after the first one."""
    from attractor.run.layout import run_layout
    from signals import sign

    layout = run_layout(str(made_run.project), name)
    os.makedirs(layout.node(node))
    sign.write_key(layout.key, sign.new_key())
    began = os.stat(made_run.layout.key).st_mtime_ns + (-1 if older else 1) * 10**9
    os.utime(layout.key, ns=(began, began))
    return layout.root


@pytest.mark.parametrize("given", ["r2", ".claude/attractor/runs/r2"])
def test_a_run_is_given_by_name_or_by_folder(given: str, cli: Cli, made_run: Any) -> None:
    another_run(made_run, "r2", "other", older=True)
    said = cli("nudge", "nobody", "hello", "--run", given, "--json")
    assert said.json()["fix"] == "the nodes of this run are other"


def test_without_a_current_run_it_is_the_one_that_began_last(cli: Cli, made_run: Any) -> None:
    os.unlink(made_run.project / ".claude/attractor/current")
    another_run(made_run, "r0", "old", older=True)
    another_run(made_run, "a-newer", "new", older=False)
    fix = cli("nudge", "nobody", "hello", "--json").json()["fix"]
    assert fix == "the nodes of this run are new"


def test_the_current_run_comes_before_a_newer_one(cli: Cli, made_run: Any) -> None:
    another_run(made_run, "newer", "new", older=False)
    assert cli("nudge", made_run.node, "hello").status == 0


@pytest.mark.parametrize("given", ["r9", "./r9"])
def test_a_run_that_is_not_there_is_refused(given: str, cli: Cli, made_run: Any) -> None:
    said = cli("nudge", made_run.node, "hello", "--run", given)
    assert said.status == 1
    assert "there is no" in said.err
    assert "run" in said.err
    if given == "r9":
        assert "the runs are r1" in said.err


def test_a_run_without_any_node_says_so(cli: Cli, made_run: Any) -> None:
    os.rename(made_run.layout.node(made_run.node), made_run.project / "away")
    assert "none was dispatched yet" in cli("nudge", made_run.node, "hello").err


def test_a_project_with_no_run_says_how_one_is_made(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".claude/attractor/runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    said = cli("nudge", "a", "hello")
    assert said.status == 1
    assert "this project has no run yet" in said.err


def test_outside_of_any_project_it_says_where_it_looked(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("nudge", "a", "hello")
    assert said.status == 1
    assert f"{tmp_path}: no run of Attractor is here, or above" in said.err
