from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import StorageError
from runner import events
from runner.events import Event

AT = 1_772_000_000_500_000_000
NAME = f"{AT:020d}-7.json"
STOP = {"hook_event_name": "Stop", "session_id": "s"}


def put(folder: Path, content: Any, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def read(folder: Path, content: Any, name: str = NAME) -> Event | str:
    put(folder, content, name)
    return events.read(str(folder), name)


def test_an_event_says_when_what_and_who(tmp_path: Path) -> None:
    found = read(tmp_path, STOP | {"agent_id": "a-1"})
    assert found == Event(
        name=NAME, at=1_772_000_000.5, kind="Stop", data=STOP | {"agent_id": "a-1"}, agent_id="a-1"
    )


def test_an_envelope_is_an_event_of_ours_around_one_of_theirs(tmp_path: Path) -> None:
    said = {"attractor": "denied", "rule": "writes", "event": STOP | {"agent_id": "a"}}
    found = read(tmp_path, said)
    assert isinstance(found, Event)
    assert (found.kind, found.agent_id) == ("attractor:denied", "a")
    assert (found.data["rule"], found.data["session_id"]) == ("writes", "s")
    assert found.data["event"] == said["event"]


def test_an_envelope_without_an_event_is_one_as_well(tmp_path: Path) -> None:
    found = read(tmp_path, {"attractor": "pane-died"})
    assert isinstance(found, Event)
    assert (found.kind, found.agent_id) == ("attractor:pane-died", "")


def test_an_event_that_was_cut_is_read_as_what_it_was(tmp_path: Path) -> None:
    found = read(tmp_path, {"attractor": "cut", "reason": "long", "event": STOP})
    assert isinstance(found, Event)
    assert (found.kind, found.data) == ("Stop", STOP)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"hook_event_name": "Stop", "x": NaN}', "not JSON"),
        (b'{"hook_event_name": "Stop", "x": -Infinity}', "not JSON"),
        (b'{"hook_event_name": "Stop", "x": 1e999}', "not JSON"),
        (b'{"hook_event_name": "Stop", "x": %s}' % (b"9" * 10_000), "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"hook_event_name": "Stop", "x": %s}' % (b"[" * 60 + b"]" * 60), "deeper than 50"),
        (b'{"hook_event_name": "Stop", "x": %s}' % (b'{"a":' * 60 + b"1" + b"}" * 60), "deeper"),
        (b"[]", "not a JSON object"),
        (b'"Stop"', "not a JSON object"),
        (b"{}", "does not say what happened"),
        (b'{"hook_event_name": 5}', "does not say what happened"),
        (b'{"hook_event_name": ""}', "does not say what happened"),
        (b'{"attractor": ["x"]}', "does not say what happened"),
        (b'{"attractor": "cut", "event": 5}', "does not say what happened"),
        (b'{"hook_event_name": "Stop", "x": "%s"}' % (b"x" * 600_000), "larger than"),
    ],
)
def test_what_is_no_event_is_named_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    found = read(tmp_path, content)
    assert isinstance(found, str)
    assert why in found


@pytest.mark.parametrize(
    "name", ["x.json", "1-1.json", f"{AT:020d}.json", f"{AT:020d}-7.jsonx", f"{AT:020d}-7.json\n"]
)
def test_a_name_that_no_hook_gives_is_not_read(tmp_path: Path, name: str) -> None:
    assert "its name" in str(read(tmp_path, STOP, name))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, STOP, "target")
    (tmp_path / NAME).symlink_to(tmp_path / "target")
    assert "cannot be opened" in str(events.read(str(tmp_path), NAME))


def test_a_fifo_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert events.read(str(tmp_path), NAME) == "it is not a file"


def test_a_folder_and_nothing_are_no_events(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    assert events.read(str(tmp_path), NAME) == "it is not a file"
    (tmp_path / NAME).rmdir()
    assert "cannot be opened" in str(events.read(str(tmp_path), NAME))


@pytest.mark.parametrize(
    ("half", "read_as"), [("\\ud83d", "?"), ("\\uDE00", "?"), ("\\ud83d\\ude00", "😀")]
)
def test_what_is_returned_can_be_written_again(tmp_path: Path, half: str, read_as: str) -> None:
    found = read(tmp_path, f'{{"hook_event_name": "Stop", "{half}": ["a{half}"]}}'.encode())
    assert isinstance(found, Event)
    text = json.dumps(found.data, ensure_ascii=False).encode()
    assert json.loads(text) == {"hook_event_name": "Stop", read_as: [f"a{read_as}"]}


def test_no_event_is_later_than_its_file(tmp_path: Path) -> None:
    name = f"{10**20 - 1:020d}-1.json"
    found = read(tmp_path, STOP, name)
    assert isinstance(found, Event)
    assert abs(found.at - time.time()) < 60


def test_a_kind_and_an_agent_have_a_bound(tmp_path: Path) -> None:
    found = read(tmp_path, {"hook_event_name": "S" * 5_000, "agent_id": "a" * 5_000})
    assert isinstance(found, Event)
    assert (len(found.kind), len(found.agent_id)) == (100, 200)


def test_an_agent_that_is_no_text_is_none(tmp_path: Path) -> None:
    found = read(tmp_path, STOP | {"agent_id": {"a": 1}})
    assert isinstance(found, Event)
    assert found.agent_id == ""


# ---- the folder


def test_events_wait_oldest_first_and_what_is_none_is_litter(tmp_path: Path) -> None:
    names = [f"{AT + number:020d}-7.json" for number in (3, 1, 2)]
    for name in names:
        put(tmp_path, STOP, name)
    put(tmp_path, STOP, "z.json")
    put(tmp_path, b"", f".{names[0]}.0123abcd")
    put(tmp_path, b"", ".delivered-g")
    put(tmp_path, b"", "notes")
    put(tmp_path, b"", ".hidden.json")
    (tmp_path / "folder.json").mkdir()
    found = events.waiting(str(tmp_path))
    assert found.names == [*sorted(names), "z.json"]
    assert not found.flooded
    assert sorted(found.litter) == [".hidden.json", "notes"]


def test_a_folder_that_is_gone_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        events.waiting(str(tmp_path / "gone"))
    assert caught.value.where == str(tmp_path / "gone")


@pytest.mark.parametrize("name", ["{}.json", "{}", ".{}.json", f".{NAME}.{{:08x}}"])
def test_a_flood_is_bounded_said_and_can_be_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(events, "_MOST_NAMES", 20)
    monkeypatch.setattr(events, "_MOST_LISTED", 30)
    for number in range(100):
        (tmp_path / name.format(number)).touch()
    rounds = 0
    while (found := events.waiting(str(tmp_path))).flooded:
        rounds += 1
        assert 0 < len(found.names) + len(found.litter) <= 30
        events.consume(str(tmp_path), [*found.names, *found.litter])
    assert rounds >= 3
    put(tmp_path, STOP)
    assert NAME in events.waiting(str(tmp_path)).names


def test_what_was_read_is_removed_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.touch()
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "link.json").symlink_to(outside)
    os.mkfifo(folder / "fifo.json")
    (folder / "folder.json").mkdir()
    (folder / "kept.json").touch()
    names = ["link.json", "fifo.json", "folder.json", "gone.json", "../outside.json", ".."]
    events.consume(str(folder), names)
    assert sorted(os.listdir(folder)) == ["folder.json", "kept.json"]
    assert outside.exists()
