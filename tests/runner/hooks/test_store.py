from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.hooks import store as store_module
from runner.hooks.envelope import EVENT_BYTES, envelope, parsed, quoted

EVENT = {"session_id": "s", "hook_event_name": "PostToolUse", "tool_use_id": "t"}


def test_an_event_is_stored_byte_for_byte_as_one_file(node: Any) -> None:
    raw = b'{"hook_event_name":"Stop",  "x": "\xc3\xa9\\ud83d"}\n'
    answer = node.store(raw)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    (name,) = os.listdir(node.events)
    assert (node.events / name).read_bytes() == raw
    assert name.endswith(".json")
    assert (node.events / name).stat().st_mode & 0o777 == 0o600


def test_events_come_back_in_the_order_in_which_they_were_stored(node: Any) -> None:
    for number in range(5):
        node.store(EVENT | {"tool_use_id": str(number)})
    assert [each.data["tool_use_id"] for each in node.stored()] == list("01234")


def test_ten_megabytes_are_read_to_the_end_and_shortened(node: Any) -> None:
    text = "begin" + "x" * 10_000_000 + "end"
    response = {"stdout": text, "lines": ["l"] * 1_000, "ok": True}
    answer = node.store(EVENT | {"agent_id": "a", "tool_response": response, "n": 5})
    assert (answer.status, answer.err) == (0, "")
    (event,) = node.stored()
    assert (event.kind, event.agent_id, event.data["n"]) == ("PostToolUse", "a", 5)
    kept = event.data["tool_response"]
    assert kept["stdout"].startswith("beginxxx")
    assert kept["stdout"].endswith("xxxend")
    assert "10,000,008" not in kept["stdout"]
    assert "characters are left out" in kept["stdout"]
    assert (len(kept["lines"]), kept["ok"]) == (50, True)
    (name,) = node.names()
    stored = json.loads((node.events / name).read_bytes())
    assert stored["attractor"] == "cut"
    assert "10,0" in stored["reason"]


@pytest.mark.parametrize(
    "big",
    [
        {"many": [["x" * 300] * 50] * 50},
        {"x" * 300_000: 1},
        {f"key {number}": "x" * 20_000 for number in range(100)},
        {"deep": json.loads("[" * 500 + "]" * 500), "x": "x" * 300_000},
    ],
    ids=["lists", "key", "keys", "depth"],
)
def test_whatever_is_large_is_stored_in_a_size_that_is_read(node: Any, big: Any) -> None:
    node.store(EVENT | {"tool_input": big})
    (event,) = node.stored()
    assert (event.kind, event.data["tool_use_id"]) == ("PostToolUse", "t")
    (name,) = node.names()
    assert (node.events / name).stat().st_size <= store_module.RAW_BYTES + 1_000


def test_of_a_large_event_that_is_no_json_the_names_are_kept(node: Any) -> None:
    said = json.dumps(EVENT | {"agent_id": "a-1", "tool_input": {"agent_id": "no"}})
    node.store(said.encode()[:-1] + b"x" * 300_000)
    (event,) = node.stored()
    assert (event.kind, event.agent_id) == ("PostToolUse", "a-1")


def test_a_key_in_a_tools_own_input_names_nothing(node: Any) -> None:
    said = json.dumps(EVENT | {"tool_input": {"agent_id": "forged"}, "x": "x" * 300_000})
    node.store(said.encode()[:-1])
    (event,) = node.stored()
    assert event.agent_id == ""


def test_what_is_no_json_is_stored_and_reported_by_the_reader(node: Any) -> None:
    assert node.store(b"garbage").status == 0
    assert len(node.names()) == 1


def test_a_folder_that_is_not_there_stops_no_tool_call(node: Any) -> None:
    node.events.rmdir()
    answer = node.store(EVENT)
    assert (answer.status, answer.out) == (0, "")
    assert answer.err.startswith("attractor: the event was not stored: FileNotFoundError")
    assert len(answer.err.splitlines()) == 1


def test_a_call_without_a_folder_stops_no_tool_call(node: Any) -> None:
    answer = node.start("store.py", stdin=b"{}")
    assert (answer.status, answer.out) == (0, "")


def full() -> None:
    """A disk on which nothing fits: a write ends in an error, not in a signal."""
    import signal as posix_signals

    posix_signals.signal(posix_signals.SIGXFSZ, posix_signals.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))


def test_a_full_disk_stops_no_tool_call_and_leaves_nothing(node: Any) -> None:
    answer = node.store(EVENT, preexec_fn=full)
    assert (answer.status, answer.out) == (0, "")
    assert "the event was not stored: OSError" in answer.err
    assert os.listdir(node.events) == []


def test_a_link_in_the_place_of_the_draft_is_not_followed(
    node: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store_module.posix, "urandom", lambda _: b"\0\0\0\0")
    monkeypatch.setattr(store_module.time, "time_ns", lambda: 5)
    target = tmp_path / "target"
    target.write_text("theirs")
    draft = node.events / f".{5:020d}-{os.getpid()}.json.00000000"
    draft.symlink_to(target)
    with pytest.raises(FileExistsError):
        store_module.store(str(node.events), b"ours")
    assert target.read_text() == "theirs"


@pytest.mark.parametrize("hook", ["store.py", "guard.py", "turn_end.py"])
def test_a_hook_runs_nothing_that_lies_in_its_folder_or_on_pythonpath(node: Any, hook: str) -> None:
    hostile = "import os\nos._exit(66)\n"
    for name in ("json", "runner", "os", "posixpath", "_json", "envelope"):
        (node.worktree / f"{name}.py").write_text(hostile)
    node.advise("g-1", "go on")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(node.worktree), "HOME": "/"}
    call = node.call("Bash", command="ls") | {"x": "x" * 300_000}
    second = {"store.py": [], "guard.py": [node.places], "turn_end.py": [node.inbox]}[hook]
    answer = node.start(hook, node.events, *second, stdin=json.dumps(call).encode(), env=env)
    assert (answer.status, answer.err) == (0, "")
    assert len(node.names()) == 1


def test_the_hook_and_the_envelope_agree_on_what_is_long() -> None:
    assert store_module.RAW_BYTES == EVENT_BYTES


def test_an_envelope_is_json_whatever_is_in_it() -> None:
    word = 'q"\\\n\x00é\ud800'
    made = envelope(word, {"reason": word, "ids": [word, "b"], "none": []}, b'{"a":1}')
    expected = {
        "attractor": word,
        "reason": word,
        "ids": [word, "b"],
        "none": [],
        "event": {"a": 1},
    }
    assert json.loads(made) == expected
    assert parsed(made) == expected
    assert json.loads(quoted(word)) == word


def refused(parse: Callable[[Any], object], text: str | bytes) -> bool:
    try:
        parse(text)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("text", ["", " ", "x", "{} {}", '{"a"', "[1,]", "nul", '"\n"', "\ufeff{}"])
def test_what_json_refuses_is_refused(text: str) -> None:
    assert refused(json.loads, text)
    assert refused(parsed, text.encode())


def test_the_parser_without_the_c_scanner_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "_json", None)
    assert parsed(b' {"a": [1, 2.5, null, "x"]}\n') == {"a": [1, 2.5, None, "x"]}
    assert quoted('a"b') == '"a\\"b"'
    assert refused(parsed, b"{} x")
