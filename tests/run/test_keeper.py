"""Layer 0: the Guardian is started again when it dies, and ended with everything else."""

from __future__ import annotations

import fcntl
import json
import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attractor.keeper import MOST_RESTARTS, hold, may_start_again
from attractor.run import request as requests
from attractor.run import watched
from attractor.run.journal import Journal
from attractor.run.layout import RunLayout
from attractor.run.request import Request
from attractor.spawn import own_command
from signals import sign
from signals.clock import SystemClock
from signals.errors import BusyError
from signals.mailbox import Mailbox
from signals.owner import Owner, owner_of

DEADLINE = 60.0
# A keeper whose children are small programs: what is a Guardian is told by the test.
DRIVER = """
import os, subprocess, sys
from attractor import keeper
root, programs = sys.argv[1], {"guardian": sys.argv[2], "attractor.rehearsal": sys.argv[3]}
def start(module, *arguments, log, cwd, env):
    assert (cwd, arguments, log) == ("/", (root,), os.path.join(root, "guardian.log"))
    argv = [sys.executable, "-I", "-S", "-c", programs[module], root]
    return subprocess.Popen(argv, env=env, start_new_session=True)
keeper.start_own = start
sys.exit(keeper.main([root]))
"""
# Notes that it was started, in a file and where the test reads, and then does what is asked.
STARTED = """
import os, signal, sys
root = sys.argv[1]
def note(name):
    fd = os.open(os.path.join(root, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d\\n" % os.getpid())
    os.write(1, b"%s begun\\n" % name.encode())
"""
ENDS = STARTED + "note('guardian'); sys.exit(0)"
DIES = STARTED + "note('guardian'); sys.exit(3)"
STAYS = STARTED + "note('guardian'); signal.pause()"
MODEL = STARTED + "note('model'); signal.pause()"


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    made = RunLayout(str(tmp_path / "run"))
    os.makedirs(made.root)
    Mailbox(made.terminal_mailbox, clock=SystemClock()).create()
    sign.write_key(made.key, sign.new_key())
    write_request(made)
    return made


def write_request(layout: RunLayout, **more: Any) -> None:
    asked = Request(
        run_id="r1",
        project="/p",
        run_root=layout.root,
        pipeline="/p/a.dot",
        base_commit="0" * 40,
        **more,
    )
    Path(layout.request).write_bytes(requests.dump(asked))


@pytest.fixture
def keeper(layout: RunLayout) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(guardian: str, model: str = MODEL) -> subprocess.Popen[str]:
        argv = [sys.executable, "-I", "-c", DRIVER, layout.root, guardian, model]
        started.append(
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield start
    for child in started:
        with child:
            child.kill()
    for name in ("guardian", "model"):
        for pid in pids(layout, name):
            end(pid)


def pids(layout: RunLayout, name: str) -> list[int]:
    path = Path(layout.root, name)
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def end(pid: int) -> None:
    try:
        os.kill(pid, posix_signals.SIGKILL)
    except ProcessLookupError:
        return


def heard(child: subprocess.Popen[str], *words: str) -> None:
    """Read what keeper and children say, to the line in which each of these stands."""
    assert child.stdout
    left = [*words]
    while left:
        line = child.stdout.readline()
        assert line, left
        left = [each for each in left if each not in line]


BEGUN = ("guardian begun", "model begun")


def said(child: subprocess.Popen[str]) -> str:
    text, _ = child.communicate(timeout=DEADLINE)
    return text


# -- the rule


def test_five_restarts_within_a_minute_are_the_most() -> None:
    assert may_start_again([], 0.0)
    assert may_start_again([0.0] * (MOST_RESTARTS - 1), 59.0)
    assert not may_start_again([0.0] * MOST_RESTARTS, 59.0)
    assert may_start_again([0.0] * MOST_RESTARTS, 60.0)


# -- the loop


def test_it_ends_when_the_guardian_has_ended_in_order(layout: RunLayout, keeper: Any) -> None:
    child = keeper(ENDS)
    assert "has ended with 0" in said(child)
    assert child.returncode == 0
    assert len(pids(layout, "guardian")) == 1
    assert not os.path.exists(layout.keeper)


def test_a_guardian_that_dies_is_started_again(layout: RunLayout, keeper: Any) -> None:
    twice = STARTED + "sys.exit(0 if len(open(root + '/guardian').read().split()) == 3 else 1)"
    child = keeper(twice.replace("sys.exit(0", "note('guardian'); sys.exit(0"))
    said(child)
    assert child.returncode == 0
    assert len(pids(layout, "guardian")) == 3


def test_a_guardian_that_is_killed_is_started_again(layout: RunLayout, keeper: Any) -> None:
    child = keeper(STAYS)
    heard(child, "guardian begun")
    os.kill(pids(layout, "guardian")[0], posix_signals.SIGKILL)
    heard(child, "guardian begun")
    assert len(pids(layout, "guardian")) == 2


def test_it_gives_up_loudly_on_one_that_always_dies(layout: RunLayout, keeper: Any) -> None:
    child = keeper(DIES)
    text = said(child)
    assert child.returncode == 1
    assert len(pids(layout, "guardian")) == 1 + MOST_RESTARTS
    assert "guardian was started again 5 times within 60 seconds" in text
    box = Mailbox(layout.terminal_mailbox, key=sign.read_key(layout.key), clock=SystemClock())
    (delivery,) = box.drain()
    assert delivery.signal.signal_type == "GUARDIAN_ERROR"
    payload = delivery.signal.as_body()["payload"]
    assert payload["pipeline_id"] == "r1"
    assert layout.log in payload["error"]
    assert not os.path.exists(layout.keeper)


def test_told_to_end_it_ends_its_children_first(layout: RunLayout, keeper: Any) -> None:
    write_request(layout, rehearsed=True)
    child = keeper(STAYS)
    heard(child, *BEGUN)
    child.send_signal(posix_signals.SIGTERM)
    text = said(child)
    assert child.returncode == 0
    assert text.index("guardian (pid") < text.index("attractor.rehearsal (pid")
    for name in ("guardian", "model"):
        assert owner_of(pids(layout, name)[0]) is None


def test_a_rehearsal_has_its_model_as_long_as_its_guardian(layout: RunLayout, keeper: Any) -> None:
    write_request(layout, rehearsed=True)
    os.mkfifo(os.path.join(layout.root, "end"))
    child = keeper(STAYS.replace("signal.pause()", "open(root + '/end').read(); sys.exit(0)"))
    heard(child, *BEGUN)  # or the model is ended before it has said who it is
    with open(os.path.join(layout.root, "end"), "wb"):
        pass
    assert said(child)
    assert child.returncode == 0
    assert owner_of(pids(layout, "model")[0]) is None


def test_a_model_that_dies_is_started_again_and_the_guardian_is_left_alone(
    layout: RunLayout, keeper: Any
) -> None:
    write_request(layout, rehearsed=True)
    child = keeper(STAYS)
    heard(child, *BEGUN)
    os.kill(pids(layout, "model")[0], posix_signals.SIGKILL)
    heard(child, "model begun")
    assert len(pids(layout, "guardian")) == 1


def test_a_real_run_has_no_model(layout: RunLayout, keeper: Any) -> None:
    said(keeper(ENDS))
    assert pids(layout, "model") == []


def test_a_second_keeper_refuses(layout: RunLayout, keeper: Any) -> None:
    first = keeper(STAYS)
    heard(first, "guardian begun")
    second = keeper(STAYS)
    assert f"has a keeper already, process {first.pid}" in said(second)
    assert second.returncode == os.EX_TEMPFAIL
    assert len(pids(layout, "guardian")) == 1


@pytest.fixture
def locked(layout: RunLayout) -> Iterator[int]:
    """The run's lock, held by one who has not said who it is."""
    fd = os.open(layout.keeper_lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield fd
    os.close(fd)


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Have this happen whenever a keeper sleeps because another has the lock."""
    monkeypatch.setattr("attractor.keeper.time", SimpleNamespace(sleep=lambda _: what()))


def test_one_that_has_the_lock_and_has_not_said_so_yet_is_waited_for(
    layout: RunLayout, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.dumps(Owner.current().as_json())
    meanwhile(monkeypatch, lambda: Path(layout.keeper).write_text(record))
    with (
        pytest.raises(BusyError, match=f"process {os.getpid()}"),
        hold(layout, SystemClock()),
    ):
        pytest.fail("two keepers have one run")


def test_one_that_is_about_to_go_leaves_the_run_to_the_next(
    layout: RunLayout, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: fcntl.flock(locked, fcntl.LOCK_UN))
    with hold(layout, SystemClock()):
        assert Owner.from_json(json.loads(Path(layout.keeper).read_text())) == Owner.current()


def test_one_that_never_says_who_it_is_is_not_waited_for_without_end(
    layout: RunLayout, locked: int, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: clock.advance(1))
    with pytest.raises(BusyError, match="process unknown"), hold(layout, clock):
        pytest.fail("two keepers have one run")


def test_it_says_who_it_is_and_who_its_children_are(layout: RunLayout, keeper: Any) -> None:
    write_request(layout, rehearsed=True)
    child = keeper(STAYS)
    heard(child, *BEGUN)
    record = json.loads(Path(layout.keeper).read_text())
    assert Owner.from_json(record) == owner_of(child.pid)
    # It is written down before the next one is started.
    assert Owner.from_json(record["attractor.rehearsal"]) == owner_of(pids(layout, "model")[0])


def test_the_model_of_a_dead_keeper_is_ended_before_there_is_another(
    layout: RunLayout, keeper: Any
) -> None:
    write_request(layout, rehearsed=True)
    first = keeper(STAYS)
    heard(first, *BEGUN)
    first.kill()
    first.wait(DEADLINE)
    left = owner_of(pids(layout, "model")[0])
    assert left
    heard(keeper(STAYS), "model begun")
    assert watched.ended(left, DEADLINE, SystemClock())


# The first one has the run; whoever comes later finds it busy, until it is gone.
BUSY = (
    STARTED
    + """
sys.path[:0] = {path!r}
import json
from signals.owner import Liveness, Owner, liveness
with open(root + "/owner.json") as file:
    other = Owner.from_json(json.load(file))
note("guardian")
if liveness(other) is Liveness.ALIVE:
    sys.exit(75)
signal.pause()
"""
)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=-1) as child:
        yield child
        child.kill()


def test_a_guardian_that_is_there_already_is_waited_for(
    layout: RunLayout, keeper: Any, other: subprocess.Popen[bytes]
) -> None:
    owner = owner_of(other.pid)
    assert owner
    Path(layout.owner).write_text(json.dumps(owner.as_json()))
    child = keeper(BUSY.format(path=sys.path))
    heard(child, "is alive already")
    other.kill()
    other.wait(DEADLINE)
    heard(child, "guardian begun")
    assert len(pids(layout, "guardian")) == 2


def test_when_the_other_guardian_has_ended_the_run_nothing_is_left_to_do(
    layout: RunLayout, keeper: Any, other: subprocess.Popen[bytes]
) -> None:
    owner = owner_of(other.pid)
    assert owner
    Path(layout.owner).write_text(json.dumps(owner.as_json()))
    with Journal.open(layout.journal, SystemClock()) as journal:
        journal.append("RunEnded", {"result": "validated", "exit": 0})
    child = keeper(BUSY.format(path=sys.path))
    heard(child, "is alive already")
    other.kill()
    said(child)
    assert child.returncode == 0
    assert len(pids(layout, "guardian")) == 1


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["/nowhere"], 1)])
def test_what_is_no_run_is_refused(arguments: list[str], status: int) -> None:
    argv = own_command("attractor.keeper", *arguments)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_it_is_light() -> None:
    program = "import attractor.keeper, sys, json; print(json.dumps(sorted(sys.modules)))"
    argv = [sys.executable, "-I", "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert not {"click", "filelock", "pydantic", "rich", "watchdog", "yaml"} & {
        name.partition(".")[0] for name in json.loads(done.stdout)
    }
