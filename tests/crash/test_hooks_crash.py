"""Killed at every file operation: an event is there whole or not at all, guidance goes out once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import events

pytestmark = pytest.mark.crash

# The hooks call `posix` directly; the sweep counts what goes through `os`.
PROGRAM = """
import json, os, posix, sys
posix.write = os.write
from runner.hooks import envelope, store, turn_end
turn_end.find_neighbours()

EVENT = json.dumps({"hook_event_name": "Stop", "session_id": "s", "x": "x" * 1000}).encode()

def main(state, hook):
    store.read_stdin = lambda: (EVENT, len(EVENT))
    if hook == "store":
        store.store(f"{state}/events", EVENT)
        tell("stored")
    else:
        sys.argv = [hook, f"{state}/events", f"{state}/inbox"]
        written = store.write_all
        def write_all(fd, data):
            if fd != 1:
                return written(fd, data)
            tell(json.loads(data)["reason"])
        store.write_all = write_all
        turn_end.main()

def again(state, hook):
    main(state, hook)
"""


def fresh(state: Path) -> None:
    for name in ("events", "inbox"):
        (state / name).mkdir()
    guidance = {"id": "g-1", "text": "go on"}
    (state / "inbox" / "g-1.json").write_text(json.dumps(guidance))


def read(state: Path) -> list[events.Event]:
    folder = str(state / "events")
    found = [events.read(folder, name) for name in events.waiting(folder).names]
    assert all(isinstance(each, events.Event) for each in found), found
    return [each for each in found if isinstance(each, events.Event)]


def test_an_event_is_whole_or_absent(sweep: Callable[..., Any]) -> None:
    def check(state: Path, death: Any) -> None:
        kinds = [each.kind for each in read(state)]
        assert kinds == ["Stop"] * len(kinds)
        assert len(kinds) in ((1, 2) if death.told else (0, 1, 2))
        assert death.recovered == ("stored",)
        assert not events.waiting(str(state / "events")).litter

    swept = sweep(
        "hook, store", PROGRAM, fresh=fresh, check=check, recover="again", arguments=("store",)
    )
    assert swept.points >= 4


def test_guidance_goes_out_at_most_once_and_is_never_recorded_before(
    sweep: Callable[..., Any],
) -> None:
    def check(state: Path, death: Any) -> None:
        given = (*death.told, *death.recovered)
        assert given in ((), ("go on",))
        recorded = [each for each in read(state) if each.kind == "attractor:delivered"]
        assert len(recorded) <= len(given)
        if death.finished:
            assert (len(given), len(recorded)) == (1, 1)

    swept = sweep(
        "hook, turn end",
        PROGRAM,
        fresh=fresh,
        check=check,
        recover="again",
        arguments=("turn_end",),
    )
    assert swept.points >= 5
