"""`attractor answer`: an answer is sent once, counts once, and says what became of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from attractor.run import keeping
from signals.owner import Owner

Cli = Callable[..., Any]
Night = Callable[..., Any]
ASKS = "DecisionAnswered"
# Takes one signal as a Guardian does: what it causes is durable before the signal is put away.
OBEYS = """
import json, sys
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.watch import Watch
root, before, records = sys.argv[1:]
layout, clock = RunLayout(root), SystemClock()
mailbox = Mailbox(layout.guardian_mailbox, key=sign.read_key(layout.key), clock=clock)
with Watch([mailbox.folder], slow_seconds=0.2) as watch:
    print("ready", flush=True)
    while not mailbox.waiting():
        watch.wait(None)
for delivery in mailbox.drain():
    said = json.loads(delivery.signal.payload.response)
    entry = {"id": said["decision"], "option": said["option"], "note": said["note"]}
    entry |= {"node": "ask", "by": "terminal", "signal_id": delivery.signal.id}
    with Journal.open(layout.journal, clock) as journal:
        if before:
            journal.append("DecisionAnswered", json.loads(before))
        elif records:
            journal.append("DecisionAnswered", entry)
    mailbox.acknowledge(delivery.name)
"""


@pytest.fixture
def guardian() -> Iterator[Callable[..., None]]:
    """`guardian(run)`: a process that stands for the run's Guardian, and takes one signal."""
    started: list[subprocess.Popen[str]] = []

    def start(run: Any, *, before: str = "", records: str = "yes") -> None:
        argv = [sys.executable, "-I", "-c", OBEYS, run.layout.root, before, records]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(child)
        run.kept_by(Owner.current())
        assert child.stdout
        assert child.stdout.readline() == "ready\n"

    yield start
    for child in started:
        with child:
            child.kill()


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The keepers that were started, none of them really."""
    found: list[tuple[str, ...]] = []

    def start(module: str, *arguments: str, **_: Any) -> object:
        found.append((module, *arguments))
        return object()

    monkeypatch.setattr(keeping, "start_own", start)
    return found


def sent(run: Any) -> list[dict[str, Any]]:
    return [run.mailbox().read(name).as_body() for name in run.mailbox().waiting()]


def test_an_answer_is_a_signal_of_the_terminal(cli: Cli, night_run: Night) -> None:
    run = night_run(ASKS)
    run.kept_by(Owner.current())
    said = cli("answer", "d1", "reject", "--note", "not yet", "--wait", "0", "--json")
    assert said.status == 0, said.err
    (signal,) = sent(run)
    assert (signal["signal_type"], signal["source"], signal["target"], signal["run_id"]) == (
        "INPUT_RESPONSE",
        "terminal",
        "guardian",
        "auth-1",
    )
    assert signal["node_id"] == "ask"
    response = {"decision": "d1", "option": "reject", "note": "not yet"}
    assert json.loads(signal["payload"]["response"]) == response
    answer = said.json()
    assert os.path.isfile(answer.pop("signal_file"))
    assert answer == {
        "status": "ok",
        "run": "auth-1",
        "decision": "d1",
        "node": "ask",
        "option": "reject",
        "recorded": False,
        "started": False,
    }


def test_with_a_guardian_it_is_on_the_record_when_it_returns(
    cli: Cli, night_run: Night, guardian: Callable[..., None]
) -> None:
    run = night_run(ASKS)
    guardian(run)
    said = cli("answer", "d1", "approve", "--wait", "60")
    assert (said.status, said.out, said.err) == (0, "d1 of auth-1 (ask): approve\n", "")
    assert "answered by terminal" in cli("decisions", "--all").out


def test_whoever_was_faster_has_decided(
    cli: Cli, night_run: Night, guardian: Callable[..., None]
) -> None:
    run = night_run(ASKS)
    guardian(run, before=json.dumps({"id": "d1", "option": "reject", "note": "", "by": "deadline"}))
    said = cli("answer", "d1", "approve", "--wait", "60", "--json")
    assert (said.status, said.json()["code"]) == (1, "answered")
    assert "was answered by deadline at" in said.err


def test_an_answer_that_the_guardian_does_not_take_is_an_error(
    cli: Cli, night_run: Night, guardian: Callable[..., None]
) -> None:
    guardian(night_run(ASKS), records="")
    said = cli("answer", "d1", "approve", "--wait", "60")
    assert said.status == 1
    assert "the Guardian did not take the answer" in said.err


def test_where_nothing_is_alive_a_keeper_is_started(
    cli: Cli, night_run: Night, keepers: list[tuple[str, ...]], dead_owner: Owner
) -> None:
    run = night_run(ASKS)
    run.kept_by(dead_owner)
    said = cli("answer", "d1", "approve", "--wait", "0")
    assert said.status == 0
    assert keepers == [("attractor.keeper", run.layout.root)]
    assert "one was started, and the run goes on" in said.err
    assert "it waits, and counts when the run goes on" in said.err
    assert len(sent(run)) == 1


def test_a_keeper_that_lives_is_not_doubled(
    cli: Cli, night_run: Night, keepers: list[tuple[str, ...]]
) -> None:
    run = night_run(ASKS)
    run.kept_by(Owner.current())
    assert cli("answer", "d1", "approve", "--wait", "0").status == 0
    assert keepers == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["d1", "maybe"], "'maybe' is none of the options"),
        (["d1", "Approve"], "the options are approve, reject"),
        (["d2", "approve"], "there is no such decision\n  it could be d1"),
        (["", "approve"], "there is no such decision"),
        (["d1", "approve", "--note", "x" * 4_001], "longer than 4000 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_sent(
    cli: Cli,
    night_run: Night,
    keepers: list[tuple[str, ...]],
    words: list[str],
    problem: str,
) -> None:
    run = night_run(ASKS)
    said = cli("answer", *words)
    assert said.status == 1
    assert problem in said.err
    assert (sent(run), keepers) == ([], [])


def card(name: str) -> tuple[str, dict[str, Any]]:
    said = {"id": name, "node": "jwt", "attempt": 2, "kind": "input", "question": "?"}
    return ("DecisionAsked", {**said, "options": []})


def test_the_beginning_of_an_id_is_enough_where_it_is_clear(
    cli: Cli, night_run: Night, keepers: list[tuple[str, ...]]
) -> None:
    run = night_run(ASKS)
    assert cli("answer", "d", "approve", "--wait", "0", "--json").json()["decision"] == "d1"
    run.append(card("d10"))
    said = cli("answer", "d", "approve", "--wait", "0")
    assert said.status == 1
    assert "'d' could be several decisions" in said.err
    assert "d1, d10" in said.err
    # A whole id is itself, also where others begin with it.
    assert cli("answer", "d1", "approve", "--wait", "0", "--json").json()["decision"] == "d1"
    assert len(keepers) == 2


def test_a_question_without_options_takes_any_text_but_none(
    cli: Cli, night_run: Night, keepers: list[tuple[str, ...]]
) -> None:
    run = night_run(ASKS)
    run.append(card("d2"))
    assert cli("answer", "d2", "Take the left one.", "--wait", "0").status == 0
    assert cli("answer", "d2", " ", "--wait", "0").status == 1
    assert len(keepers) == len(sent(run)) == 1


def test_what_is_answered_stays(cli: Cli, night_run: Night, keepers: list[Any]) -> None:
    run = night_run("RunEnded")
    said = cli("answer", "d1", "reject", "--json")
    assert (said.status, said.json()["code"]) == (1, "answered")
    assert "d1 was answered by terminal at 2026-02-25T06:14:55.000000Z: approve" in said.err
    assert (sent(run), keepers) == ([], [])


def test_a_run_that_has_ended_takes_no_answer(
    cli: Cli, night_run: Night, keepers: list[Any]
) -> None:
    run = night_run(ASKS)
    run.append(("RunEnded", {"result": "stopped", "exit": 4, "reason": "", "head": ""}))
    said = cli("answer", "d1", "approve")
    assert said.status == 1
    assert "the run has ended: stopped" in said.err
    assert (sent(run), keepers) == ([], [])
