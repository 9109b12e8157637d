"""`attractor signal wait` and `tail`: what waits for signals that come later."""

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

DEADLINE_SECONDS = 60


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
    cli: Callable[..., Any],
    send: Callable[..., str],
    run_dir: Path,
    by_harness: Callable[[Path], Path],
    as_json: tuple[str, ...],
) -> None:
    bad = by_harness(Path(RunLayout(os.fspath(run_dir)).guardian_mailbox))
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
