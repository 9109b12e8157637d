"""What a Runner knows survives the disk."""

from __future__ import annotations

import json

import pytest

from attractor.agents.usage import Usage
from attractor.errors import DamageError
from runner.breaker import Breaker
from runner.cooldown import Cooldown
from runner.decide import Rung
from runner.effects import (
    Ask,
    Check,
    End,
    Enter,
    Inbox,
    Interrupt,
    Note,
    Paste,
    Signal,
    Snapshot,
    Start,
)
from runner.facts import Checks, Opinion, Turn
from runner.ladder import Ladder
from runner.speech import Saying, Speech
from runner.state import Phase, State, dump, load
from runner.view import View

FULL = State(
    attempt=2,
    phase=Phase.COOLING,
    launch=3,
    session_id="s",
    launched_at=1.5,
    view=View(turn=Turn.FAILED, tools={"a": 1.0}, receipts=("[x]",), unsaid=("wrote",)),
    speech=Speech(queue=(Saying(id="say-001-00001", text="é\n", why="w", pastes=1),)),
    ladder=Ladder(rung=Rung.RESTART, at=3.0, restarts=1),
    breaker=Breaker(no_progress=2),
    cooldown=Cooldown(length=60.0, count=1),
    usage=Usage(requests=4, cost_usd=0.5, models={"m": 7}),
    usage_mark={"offset": 9},
    checks=Checks.RED,
    opinion=Opinion.ASKED,
    todo=(
        Signal(type="VIOLATION", payload={"reason": "x"}, number=4),
        Start(launch=3, session_id="s", resume=True, prompt="p"),
        Inbox(id="i", text="t"),
        Paste(id="i", text="t"),
        Enter(),
        Interrupt(),
        Check(head="h"),
        Ask(turn=3, message="m"),
        Snapshot(why="w"),
        End(),
        Note(what="n", detail={"a": 1}),
    ),
    applied=("1.json",),
    heard=("id",),
)


@pytest.mark.parametrize("state", [State(attempt=1), FULL])
def test_what_is_written_is_read_again(state: State) -> None:
    assert load(dump(state), "runner.json") == state


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema_version": 2, "attempt": 1}',
        dump(FULL).replace(b'"cooling"', b'"dozing"'),
        dump(FULL).replace(b'"effect": "End"', b'"effect": "Explode"'),
        json.dumps({"schema_version": 1, "attempt": 1, "surprise": 1}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_state_is_named_and_says_what_to_do(damage: bytes) -> None:
    with pytest.raises(DamageError) as caught:
        load(damage, "/run/runner.json")
    assert caught.value.where == "/run/runner.json"
    assert "move the file away" in caught.value.fix
