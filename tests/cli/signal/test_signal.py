from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.run.layout import RunLayout
from signals import sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox

# send


def test_send_prints_what_the_harness_prints(cli: Callable[..., Any], flat: Path) -> None:
    said = cli(
        *("signal", "send", "--source", "runner", "--target", "guardian"),
        *("--type", "NEEDS_REVIEW", "--payload", '{"node_id": "n", "commit": "abc"}'),
        *("--dir", flat, "--json"),
    )
    assert (said.status, said.err) == (0, "")
    answer = said.json()
    assert list(answer) == ["status", "signal_file", "signal_type"]
    assert (answer["status"], answer["signal_type"]) == ("ok", "NEEDS_REVIEW")
    body = json.loads(Path(answer["signal_file"]).read_text())
    assert body["payload"] == {"node_id": "n", "commit_hash": "abc"}
    assert "mac" not in body


def test_send_tells_a_person_where_the_signal_went(attractor: Any, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    words = ("--source", "a", "--target", "b", "--type", "GUIDANCE", "--node", "n")
    said = attractor("signal", "send", *words, cwd=tmp_path / "deep" / "er", env={})
    folder = tmp_path / ".claude" / "attractor" / "signals"
    [file] = folder.glob("*.json")
    assert (said.status, said.out) == (0, f"sent GUIDANCE to b: {file}\n")


def test_the_variable_goes_before_the_repository(
    send: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTRACTOR_SIGNALS_DIR", os.fspath(tmp_path / "named"))
    assert Path(send()).parent == tmp_path / "named"


def test_without_a_repository_the_folder_is_at_home(
    send: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    monkeypatch.delenv("ATTRACTOR_SIGNALS_DIR", raising=False)
    assert Path(send()).parent == tmp_path / ".claude" / "attractor" / "signals"


def test_node_fills_in_the_payload_where_the_type_has_one(
    cli: Callable[..., Any], flat: Path
) -> None:
    words = ("--source", "guardian", "--target", "terminal", "--dir", flat, "--node", "n")
    payload = '{"pipeline_id": "p"}'
    for signal_type, given in (("PIPELINE_COMPLETE", payload), ("GUIDANCE", "{}")):
        said = cli("signal", "send", *words, "--type", signal_type, "--payload", given, "--json")
        body = json.loads(Path(said.json()["signal_file"]).read_text())
        assert body["node_id"] == "n"
        assert ("node_id" in body["payload"]) == (signal_type == "GUIDANCE")


def test_a_run_is_told_to_stop_without_naming_a_node(cli: Callable[..., Any], flat: Path) -> None:
    words = ("--source", "terminal", "--target", "guardian", "--dir", flat)
    payload = ("--payload", '{"reason": "enough"}')
    said = cli("signal", "send", *words, "--type", "STOP_RUN", *payload, "--json")
    body = json.loads(Path(said.json()["signal_file"]).read_text())
    assert body["payload"] == {"reason": "enough"}
    assert "node_id" not in body


GOOD = {"--source": "runner", "--target": "guardian", "--type": "NEEDS_REVIEW", "--node": "n"}


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"--type": "needs-reviews"}, 1, "did you mean NEEDS_REVIEW"),
        ({"--type": "xyz"}, 1, "the types are: AGENT_CRASHED"),
        ({"--payload": '{"node_id": "n" x}'}, 1, "line 1 column 17"),
        ({"--payload": "[]"}, 1, "not a JSON object"),
        ({"--payload": '{"summary": NaN}'}, 1, "NaN is not a JSON value"),
        ({"--payload": b"\xff"}, 1, "not UTF-8"),
        ({"--payload": "{}", "--node": None}, 1, "payload.node_id is missing"),
        ({"--payload": '{"colour": 1}'}, 1, "payload.colour is not a key"),
        ({"--payload": '{"summary": 1}'}, 1, "payload.summary: input should be a valid string"),
        ({"--payload": '{"node_id": "m"}'}, 1, "the envelope names node 'n', the payload 'm'"),
        ({"--source": "a-b"}, 1, "source may hold letters"),
        ({"--target": "../up"}, 1, "target may hold letters"),
        ({"--attempt": "0"}, 2, "attempt"),
        ({"--source": None}, 2, "--source"),
        ({"--type": None}, 2, "--type"),
        ({"--run": "."}, 2, "exclude each other"),
        ({"--dir": "/dev/null"}, 1, "not a folder"),
        ({"--dir": None, "--run": "/no/such/run"}, 1, "there is no such run"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_words_and_leaves_nothing(
    attractor: Any, flat: Path, change: dict[str, Any], status: int, says: str
) -> None:
    options = {**GOOD, "--dir": os.fspath(flat)} | change
    words = [os.fsdecode(w) for pair in options.items() if pair[1] is not None for w in pair]
    said = attractor("signal", "send", *words, "--json")
    assert (said.status, said.json()["status"]) == (status, "error")
    assert says in said.err
    assert "Traceback" not in said.err
    assert not flat.exists()


# In a run


def test_a_signal_of_a_run_is_signed_and_names_run_node_and_attempt(
    cli: Callable[..., Any], run_dir: Path
) -> None:
    words = [word for pair in GOOD.items() for word in pair]
    said = cli("signal", "send", *words, "--attempt", 3, "--run", run_dir, "--json")
    layout = RunLayout(os.fspath(run_dir))
    key = sign.read_key(layout.key)
    [found] = Mailbox(layout.guardian_mailbox, key=key, clock=SystemClock()).drain()
    assert said.json()["signal_file"] == os.path.join(layout.guardian_mailbox, found.name)
    assert (found.signal.run_id, found.signal.node_id, found.signal.attempt) == ("run-1", "n", 3)


def test_every_node_of_a_run_has_its_own_mailbox(
    cli: Callable[..., Any], send: Callable[..., str], run_dir: Path
) -> None:
    path = send("--run", run_dir, source="guardian", target="runner", signal_type="GUIDANCE")
    folder = RunLayout(os.fspath(run_dir)).runner_mailbox("build it")
    assert os.path.dirname(path) == folder
    said = cli("signal", "wait", "--target", "runner", "--node", "build it", "--run", run_dir)
    assert said.json()["signal_type"] == "GUIDANCE"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--target", "runner"], 2, "--node is needed"),
        (["--target", "runner", "--node", "never"], 1, "no such mailbox"),
        (["--target", "somebody"], 1, "nobody reads signals for 'somebody'"),
    ],
)
@pytest.mark.parametrize("verb", ["send", "wait"])
def test_a_signal_to_nobody_in_a_run_is_refused(
    cli: Callable[..., Any], run_dir: Path, verb: str, words: list[str], status: int, says: str
) -> None:
    more = ("--source", "a", "--type", "AGENT_CRASHED", "--payload", '{"agent_id": "a"}')
    said = cli("signal", verb, *words, *(more if verb == "send" else ()), "--run", run_dir)
    assert said.status == status
    assert says in said.err


def test_a_run_without_its_key_is_refused(cli: Callable[..., Any], run_dir: Path) -> None:
    (run_dir / "key").unlink()
    said = cli("signal", "wait", "--target", "guardian", "--run", run_dir, "--json")
    assert (said.status, said.json()["message"]) == (1, "there is no key")


def test_a_forged_signal_is_not_read_as_one_of_the_run(
    cli: Callable[..., Any], send: Callable[..., str], run_dir: Path, flat: Path
) -> None:
    genuine, forged = send("--run", run_dir), send("--dir", flat)
    assert cli("signal", "read", genuine, "--run", run_dir).status == 0
    assert cli("signal", "read", forged, "--dir", flat).status == 0
    said = cli("signal", "read", forged, "--run", run_dir)
    assert said.status == 1
    assert "forged" in said.err


# list


def test_list_shows_what_waits_for_whom(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    first = send("--dir", flat)
    second = send("--dir", flat, target="terminal", signal_type="VALIDATION_COMPLETE")
    assert cli("signal", "list", "--dir", flat).out == f"{first}\n{second}\n"
    said = cli("signal", "list", "--dir", flat, "--target", "terminal", "--json").json()
    [row] = said["signals"]
    assert said["folder"] == os.fspath(flat)
    assert row == {
        "file": second,
        "state": "waiting",
        "timestamp": os.path.basename(second).split("-")[0],
        "source": "runner",
        "target": "terminal",
        "signal_type": "VALIDATION_COMPLETE",
        "reason": None,
    }


def test_every_row_of_a_list_has_every_key_also_where_the_file_is_no_signal(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    send("--dir", flat)
    cli("signal", "wait", "--target", "guardian", "--dir", flat)
    bad = "20200101T000000Z-a-guardian-X.json"
    (flat / bad).write_text("{")
    cli("signal", "wait", "--target", "guardian", "--dir", flat, "--timeout", 0)
    (flat / "notes.json").write_text("{}")
    rows = cli("signal", "list", "--all", "--dir", flat, "--json").json()["signals"]
    assert {row["state"] for row in rows} == {"waiting", "processed", "quarantined"}
    keys = ["file", "state", "timestamp", "source", "target", "signal_type", "reason"]
    assert [list(row) for row in rows] == [keys] * 3
    no_signal = dict.fromkeys(keys[2:])
    assert {"file": os.fspath(flat / "notes.json"), "state": "waiting"} | no_signal in rows


def test_list_all_shows_the_three_states_with_the_reason(
    cli: Callable[..., Any], send: Callable[..., str], run_dir: Path
) -> None:
    guardian = RunLayout(os.fspath(run_dir)).guardian_mailbox
    Path(guardian, "20200101T000000Z-a-guardian-X.json").write_text("{")
    done = send("--run", run_dir)
    assert cli("signal", "wait", "--target", "guardian", "--run", run_dir).status == 0
    waiting = send("--run", run_dir, source="guardian", target="runner", signal_type="GUIDANCE")
    rows = cli("signal", "list", "--all", "--run", run_dir, "--json").json()["signals"]
    assert [row["state"] for row in rows] == ["quarantined", "processed", "waiting"]
    assert rows[0]["reason"].startswith("it is not JSON")
    assert os.path.basename(rows[1]["file"]) == os.path.basename(done)
    assert rows[2]["file"] == waiting
    lines = cli("signal", "list", "--all", "--run", run_dir).out.splitlines()
    assert lines[0].startswith("quarantined ")
    assert "(it is not JSON" in lines[0]


def test_list_of_a_folder_that_is_not_there_is_empty_and_makes_none(
    cli: Callable[..., Any], flat: Path
) -> None:
    said = cli("signal", "list", "--dir", flat, "--all", "--json")
    assert (said.status, said.json()["signals"], flat.exists()) == (0, [], False)


@pytest.mark.parametrize("verb", ["list", "tail"])
def test_looking_for_a_reader_that_no_run_has_is_refused(
    cli: Callable[..., Any], run_dir: Path, verb: str
) -> None:
    said = cli("signal", verb, "--target", "somebody", "--run", run_dir)
    assert said.status == 1
    assert "nobody reads signals for 'somebody'" in said.err


def test_list_shows_any_file_name_without_harm(attractor: Any, flat: Path) -> None:
    flat.mkdir()
    names = [b"\x1b[2J-a-b-\xc3\xa9.json", b"one\ntwo-a-b-c.json", b"\xff.json"]
    for name in names:
        (flat / os.fsdecode(name)).write_text("{}")
    shown = attractor("signal", "list", "--dir", flat)
    assert (shown.status, shown.out.splitlines()) == (
        0,
        [rf"{flat}/\u001b[2J-a-b-é.json", rf"{flat}/one\ntwo-a-b-c.json", rf"{flat}/\xff.json"],
    )
    rows = attractor("signal", "list", "--dir", flat, "--json").json()["signals"]
    assert [os.fsencode(os.path.basename(row["file"])) for row in rows] == names


# read


def test_read_prints_a_harness_signal_with_the_id_it_gets(
    cli: Callable[..., Any], flat: Path, by_harness: Callable[[Path], Path]
) -> None:
    flat.mkdir()
    path = by_harness(flat)
    for file in (path, path.name):
        said = cli("signal", "read", file, "--dir", flat).json()
        assert said["payload"] == {"node_id": "impl_auth", "commit_hash": "9e02049"}
        assert said["id"].startswith("harness-")


def test_read_finds_a_signal_by_name_after_it_was_processed(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    name = os.path.basename(send("--dir", flat))
    cli("signal", "wait", "--target", "guardian", "--dir", flat)
    assert cli("signal", "read", name, "--dir", flat).json()["signal_type"] == "NODE_COMPLETE"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "there is no such signal"), (b"{", "it is not JSON"), (b"\xff", "it is not UTF-8")],
)
def test_read_says_why_a_file_is_no_signal(
    cli: Callable[..., Any], tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    said = cli("signal", "read", path, "--json")
    assert said.status == 1
    assert says in said.json()["message"]


def test_read_does_not_hang_on_a_pipe(cli: Callable[..., Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    said = cli("signal", "read", tmp_path / "x.json")
    assert said.status == 1
    assert "not a regular file" in said.err
