from __future__ import annotations

import errno
import json
import os
import selectors
import shutil
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from attractor.run.layout import RunLayout
from attractor.tripwire import TripwireError
from signals import kinds, sign
from signals.clock import SystemClock
from signals.mailbox import Mailbox

HARNESS_NAME = "20260224T120000Z-runner-guardian-NEEDS_REVIEW.json"
HARNESS_BODY = """{
  "source": "runner",
  "target": "guardian",
  "signal_type": "NEEDS_REVIEW",
  "timestamp": "20260224T120000Z",
  "payload": {"node_id": "impl_auth", "commit_hash": "9e02049"}
}"""
DEADLINE_SECONDS = 60


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return tmp_path / "flat"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with its key, and mailboxes for all readers; one node was dispatched."""
    layout = RunLayout(os.fspath(tmp_path / "run-1"))
    os.mkdir(layout.root)
    sign.write_key(layout.key, sign.new_key())
    folders = [layout.guardian_mailbox, layout.terminal_mailbox, layout.runner_mailbox("build it")]
    for folder in folders:
        Mailbox(folder, clock=SystemClock()).create()
    return Path(layout.root)


@pytest.fixture
def send(cli: Callable[..., Any]) -> Callable[..., str]:
    """Send a signal to a place, and return the path of its file."""

    def call(
        *place: object,
        source: str = "runner",
        target: str = "guardian",
        signal_type: str = "NODE_COMPLETE",
        node: str = "build it",
    ) -> str:
        words = ("--source", source, "--target", target, "--type", signal_type, "--node", node)
        said = cli("signal", "send", *words, *place, "--json")
        assert said.status == 0, said.err
        path = said.json()["signal_file"]
        assert isinstance(path, str)
        return path

    return call


@pytest.fixture
def spawn() -> Any:
    """Start `attractor signal ARGUMENTS` as a process; it does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "attractor", "signal", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield call
    for child in started:
        child.kill()
        child.communicate(timeout=DEADLINE_SECONDS)


def line_of(child: subprocess.Popen[str]) -> str:
    """Return the next line that a child prints, or fail after the deadline."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        assert ready.select(DEADLINE_SECONDS), "the child said nothing"
    return child.stdout.readline()


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
    cli: Callable[..., Any], flat: Path
) -> None:
    flat.mkdir()
    (flat / HARNESS_NAME).write_text(HARNESS_BODY)
    for file in (flat / HARNESS_NAME, HARNESS_NAME):
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


# wait


def test_wait_takes_the_oldest_and_leaves_the_rest(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    names = [os.path.basename(send("--dir", flat, node=str(number))) for number in range(3)]
    said = cli("signal", "wait", "--target", "guardian", "--dir", flat, "--json")
    assert (said.status, said.json()["node_id"]) == (0, "0")
    box = Mailbox(flat, clock=SystemClock())
    assert (box.processed(), box.waiting()) == (names[:1], names[1:])


@pytest.mark.parametrize("wanted", [("--type", "NEEDS_INPUT"), ("--node", "other")])
def test_wait_leaves_what_does_not_match(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path, wanted: tuple[str, str]
) -> None:
    first = send("--dir", flat)
    send("--dir", flat, target="terminal", signal_type="NEEDS_INPUT", node="other")
    send("--dir", flat, signal_type="NEEDS_INPUT", node="other")
    said = cli("signal", "wait", "--target", "guardian", *wanted, "--dir", flat)
    assert (said.json()["target"], said.json()["node_id"]) == ("guardian", "other")
    assert Path(first).exists()
    assert len(Mailbox(flat, clock=SystemClock()).waiting()) == 2


def test_wait_is_not_starved_by_a_corrupt_file(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    send("--dir", flat)
    (flat / "20200101T000000Z-a-guardian-NEEDS_REVIEW.json").write_text("{")
    said = cli("signal", "wait", "--target", "guardian", "--dir", flat, "--timeout", 0)
    assert (said.status, said.json()["signal_type"]) == (0, "NODE_COMPLETE")
    assert len(list((flat / "quarantine").glob("*.reason"))) == 1


def test_wait_that_ends_without_a_signal_is_an_error(cli: Callable[..., Any], flat: Path) -> None:
    words = ("--target", "guardian", "--type", "GUIDANCE", "--node", "n", "--timeout", 0)
    said = cli("signal", "wait", *words, "--dir", flat, "--json")
    assert (said.status, said.json()["code"]) == (1, "timeout")
    assert said.json()["message"] == "no GUIDANCE for guardian about n came within 0 seconds"


@pytest.mark.parametrize("timeout", ["-1", "nan", "inf", "soon"])
def test_wait_refuses_a_timeout_that_is_none(
    cli: Callable[..., Any], flat: Path, timeout: str
) -> None:
    said = cli("signal", "wait", "--target", "guardian", "--dir", flat, "--timeout", timeout)
    assert said.status == 2
    assert "--timeout" in said.err


@pytest.mark.parametrize("target", ["a-b", "", "../up", ".hidden", "a\n", "x" * 65])
@pytest.mark.parametrize("verb", [("wait", "--timeout", 0), ("list",), ("tail", "--count", 1)])
def test_a_reader_whom_nobody_could_send_to_is_refused_at_once(
    cli: Callable[..., Any], flat: Path, verb: tuple[object, ...], target: str
) -> None:
    said = cli("signal", *verb, "--target", target, "--dir", flat, "--json")
    assert (said.status, said.json()["code"]) == (1, "input")
    assert said.json()["message"] == f"nobody can be called {target!r}"
    assert not flat.exists()


def test_wait_leaves_the_files_of_a_tmp_that_is_not_ours(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    for name in ("thesis.txt", ".thesis.txt.0123abcd"):
        (tmp_path / "tmp" / name).write_text("years of work")
        os.utime(tmp_path / "tmp" / name, ns=(0, 0))
    cli("signal", "wait", "--target", "guardian", "--dir", tmp_path, "--timeout", 0)
    assert sorted(os.listdir(tmp_path / "tmp")) == [".thesis.txt.0123abcd", "thesis.txt"]


@pytest.mark.parametrize("redirect", [">&-", ">/dev/full", "1</dev/null"])
def test_wait_takes_nothing_that_it_cannot_print(
    send: Callable[..., str], flat: Path, redirect: str
) -> None:
    path = send("--dir", flat)
    argv = [sys.executable, "-I", "-m", "attractor", "signal", "wait", "--dir", flat]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", *argv, "--target", "guardian", "--timeout=0"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: cannot print the result")
    assert "Traceback" not in done.stderr
    assert Mailbox(flat, clock=SystemClock()).waiting() == [os.path.basename(path)]


def test_wait_takes_nothing_when_its_reader_has_gone(send: Callable[..., str], flat: Path) -> None:
    path = send("--dir", flat)
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-I", "-m", "attractor", "signal", "wait", "--dir", flat]
    with open(writer, "wb") as stdout:
        done = subprocess.run(
            [*argv, "--target", "guardian", "--timeout=0"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert Mailbox(flat, clock=SystemClock()).waiting() == [os.path.basename(path)]


def test_wait_that_cannot_acknowledge_prints_the_error_alone(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = send("--dir", flat)
    monkeypatch.setattr(os, "link", refuse)
    said = cli("signal", "wait", "--target", "guardian", "--dir", flat, "--json")
    assert said.status == 1
    assert said.json()["code"] == "storage"
    assert Path(path).exists()


@pytest.mark.parametrize("verb", ["wait", "tail"])
def test_what_waits_long_first_checks_that_the_packages_are_ours(
    cli: Callable[..., Any], flat: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def not_ours() -> None:
        raise TripwireError("the package `signals` is not ours")

    monkeypatch.setattr("attractor.tripwire.check_start", not_ours)
    said = cli("signal", verb, "--target", "guardian", "--dir", flat, "--json")
    assert (said.status, said.json()["code"], flat.exists()) == (1, "tripwire", False)


def test_wait_refuses_a_type_that_could_never_come(cli: Callable[..., Any], flat: Path) -> None:
    said = cli("signal", "wait", "--target", "guardian", "--dir", flat, "--type", "GUIDE")
    assert said.status == 1
    assert "did you mean GUIDANCE" in said.err


class FakeWatch:
    """A watch in whose first moment, and in whose first sleep, something is published."""

    on_enter: Callable[[], object] = staticmethod(lambda: None)
    on_wait: Callable[[], object] = staticmethod(lambda: None)
    degraded = "listing every 5 s"

    def __init__(self, folders: list[str]) -> None:
        assert all(map(os.path.isdir, folders))

    def __enter__(self) -> Self:
        self.on_enter()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, folder: str) -> None:
        assert os.path.isdir(folder)

    def wait(self, _seconds: float | None) -> bool:
        self.on_wait()
        return True


@pytest.mark.parametrize("moment", ["on_enter", "on_wait"])
@pytest.mark.parametrize("verb", [("wait",), ("tail", "--count", "1")])
def test_what_comes_between_watch_and_listing_or_during_sleep_is_seen(
    cli: Callable[..., Any],
    flat: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: tuple[str, ...],
    moment: str,
) -> None:
    def publish() -> None:
        payload = kinds.NodeComplete(node_id="n")
        Mailbox(flat, clock=SystemClock()).send(kinds.compose("runner", "guardian", payload))

    monkeypatch.setattr(FakeWatch, moment, staticmethod(publish))
    monkeypatch.setattr("signals.watch.Watch", FakeWatch)
    said = cli("signal", *verb, "--target", "guardian", "--dir", flat)
    assert said.status == 0
    assert "NODE_COMPLETE" in said.out
    assert "listing every 5 s" in said.err


def test_a_waiting_process_is_woken(
    spawn: Callable[..., subprocess.Popen[str]], send: Callable[..., str], run_dir: Path
) -> None:
    words = ("--target", "guardian", "--run", run_dir, "--timeout", DEADLINE_SECONDS)
    child = spawn("wait", *words, "--json")
    path = send("--run", run_dir)
    out, err = child.communicate(timeout=DEADLINE_SECONDS)
    assert (child.returncode, err) == (0, "")
    assert json.loads(out)["node_id"] == "build it"
    assert not os.path.exists(path)


# tail


def test_tail_follows_without_taking_and_ends_well_at_ctrl_c(
    spawn: Callable[..., subprocess.Popen[str]], send: Callable[..., str], flat: Path
) -> None:
    first = send("--dir", flat)
    child = spawn("tail", "--dir", flat, "--json")
    assert json.loads(line_of(child))["file"] == os.path.basename(first)
    second = send("--dir", flat, target="terminal", signal_type="VALIDATION_COMPLETE")
    said = json.loads(line_of(child))
    assert said["signal"]["signal_type"] == "VALIDATION_COMPLETE"
    child.send_signal(posix_signals.SIGINT)
    assert child.communicate(timeout=DEADLINE_SECONDS) == ("", "")
    assert child.returncode == 0
    assert sorted(flat.glob("*.json")) == [Path(first), Path(second)]


def test_tail_shows_a_person_one_line_for_each_signal(
    cli: Callable[..., Any], send: Callable[..., str], flat: Path
) -> None:
    stamp = os.path.basename(send("--dir", flat)).split("-")[0]
    said = cli("signal", "tail", "--dir", flat, "--count", 1)
    line = f'{stamp} runner -> guardian NODE_COMPLETE {{"node_id": "build it"}}\n'
    assert (said.status, said.out) == (0, line)


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_tail_shows_a_bad_file_as_bad_and_goes_on(
    cli: Callable[..., Any], send: Callable[..., str], run_dir: Path, as_json: tuple[str, ...]
) -> None:
    guardian = RunLayout(os.fspath(run_dir)).guardian_mailbox
    bad = Path(guardian, HARNESS_NAME)
    bad.write_text(HARNESS_BODY)
    send("--run", run_dir)
    said = cli("signal", "tail", "--run", run_dir, "--count", 2, *as_json)
    first, second = said.out.splitlines()
    assert "forged" in first
    assert "NODE_COMPLETE" in second
    assert bad.exists()


def test_tail_shows_what_its_reader_takes_at_once_but_not_what_was_taken_before(
    cli: Callable[..., Any],
    send: Callable[..., str],
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guardian = Mailbox(RunLayout(os.fspath(run_dir)).guardian_mailbox, clock=SystemClock())
    send("--run", run_dir, node="before")
    guardian.acknowledge(*guardian.waiting())
    key = sign.read_key(run_dir / "key")

    def dispatch_and_take() -> None:
        # What happens during the sleep: a new mailbox, and a signal that is gone at once.
        folder = RunLayout(os.fspath(run_dir)).runner_mailbox("new")
        box = Mailbox(folder, key=key, clock=SystemClock())
        box.create()
        payload = kinds.Guidance(node_id="new")
        box.acknowledge(os.path.basename(box.send(kinds.compose("guardian", "runner", payload))))

    monkeypatch.setattr(FakeWatch, "on_wait", staticmethod(dispatch_and_take))
    monkeypatch.setattr("signals.watch.Watch", FakeWatch)
    said = cli("signal", "tail", "--run", run_dir, "--count", 1, "--json")
    assert json.loads(said.out)["signal"]["node_id"] == "new"


def test_tail_shows_each_signal_in_one_line_whatever_it_says(
    cli: Callable[..., Any], flat: Path
) -> None:
    payload = json.dumps({"node_id": "n", "message": "one\ntwo\x1b[2J\u202e\x9b é"})
    words = ("--source", "guardian", "--target", "runner", "--type", "GUIDANCE")
    assert cli("signal", "send", *words, "--payload", payload, "--dir", flat).status == 0
    [line] = cli("signal", "tail", "--dir", flat, "--count", 1).out.splitlines()
    assert line.endswith(r'"message": "one\ntwo\u001b[2J\u202e\u009b é"}')
    said = cli("signal", "tail", "--dir", flat, "--count", 1, "--json")
    assert len(said.out.splitlines()) == 1
    assert said.json()["signal"]["payload"] == json.loads(payload)


def test_an_error_of_a_tail_is_one_more_line(
    cli: Callable[..., Any],
    send: Callable[..., str],
    flat: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send("--dir", flat)
    monkeypatch.setattr(FakeWatch, "on_wait", staticmethod(lambda: shutil.rmtree(flat)))
    monkeypatch.setattr("signals.watch.Watch", FakeWatch)
    said = cli("signal", "tail", "--dir", flat, "--json")
    assert said.status == 1
    first, second = map(json.loads, said.out.splitlines())
    assert first["signal"]["signal_type"] == "NODE_COMPLETE"
    assert (second["status"], second["code"]) == ("error", "storage")


def test_tail_refuses_a_count_that_is_none(cli: Callable[..., Any], flat: Path) -> None:
    assert cli("signal", "tail", "--dir", flat, "--count", 0).status == 2
