"""Waking when a signal may have come, and never later than the slow listing."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signals import watch as module
from signals.atomic import publish
from signals.watch import Watch

# A wait that should be woken gets this long before the test fails; none is ever waited out.
DEADLINE = 30.0

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into inotify")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return make_box(tmp_path, "box")


def make_box(parent: Path, name: str) -> Path:
    (parent / name / "tmp").mkdir(parents=True)
    return parent / name


@pytest.fixture(params=["inotify", "observer"])
def watched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the test with each source of events that this machine has, leaving no thread behind."""
    threads = set(threading.enumerate())
    if request.param == "observer":
        monkeypatch.setattr(module, "_open_source", module._Observed)
    elif not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux")
    yield
    assert set(threading.enumerate()) <= threads


def watch(*folders: Path, slow_seconds: float = DEADLINE) -> Watch:
    return Watch(folders, slow_seconds=slow_seconds)


def inotify_fds() -> set[str]:
    """The inotify instances of this process."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        # One is the descriptor of the listing itself.
        with contextlib.suppress(OSError):
            if "inotify" in os.readlink(f"/proc/self/fd/{fd}"):
                found.add(fd)
    return found


def test_a_published_signal_wakes(watched: None, box: Path) -> None:
    with watch(box) as sleeping:
        assert sleeping.degraded == ""
        publish(box, "a.json", b"{}")
        assert sleeping.wait() is True
        assert sleeping.wait(0) is False


def test_a_sleeper_is_woken_by_another_process(watched: None, box: Path) -> None:
    program = (
        "import sys; from signals.atomic import publish\n"
        "sys.stdin.read(); publish(sys.argv[1], 'a.json', b'')"
    )
    argv = [sys.executable, "-I", "-c", program, os.fspath(box)]
    with watch(box) as sleeping, subprocess.Popen(argv, stdin=subprocess.PIPE) as other:
        assert other.stdin is not None
        other.stdin.close()
        assert sleeping.wait() is True
        assert os.path.exists(box / "a.json")
        assert other.wait(DEADLINE) == 0


def test_a_signal_moved_in_by_others_wakes(watched: None, box: Path, tmp_path: Path) -> None:
    with watch(box) as sleeping:
        (tmp_path / "a.tmp").write_bytes(b"{}")
        (tmp_path / "a.tmp").rename(box / "a.json")
        assert sleeping.wait() is True
        (box / "b.tmp").write_bytes(b"{}")
        (box / "b.tmp").rename(box / "b.json")
        assert sleeping.wait() is True


def test_an_event_between_two_waits_is_not_lost(watched: None, box: Path) -> None:
    seen: set[str] = set()
    with watch(box) as sleeping:
        for number in range(20):
            publish(box, f"{number}.json", b"")
            assert sleeping.wait() is True
            # Published after the wait has returned, while the caller lists: the next wait returns.
            publish(box, f"{number}-during.json", b"")
            seen |= set(os.listdir(box))
        assert sleeping.wait() is True
        seen |= set(os.listdir(box))
    assert len(seen) == 41


@linux
def test_what_is_no_new_signal_does_not_wake(box: Path) -> None:
    (box / "old.json").write_bytes(b"{}")
    (box / "processed").mkdir()
    with watch(box) as sleeping:
        (box / "tmp" / "draft.json").write_bytes(b"")
        (box / "note.txt").write_bytes(b"")
        (box / "old.json").read_bytes()
        (box / "old.json").write_bytes(b"{ }")
        os.link(box / "old.json", box / "processed" / "old.json")
        (box / "old.json").unlink()
        assert sleeping.wait(0) is False


@linux
def test_many_folders_are_one_inotify_instance_and_no_thread(tmp_path: Path) -> None:
    boxes = [make_box(tmp_path, str(number)) for number in range(20)]
    # What an earlier test has left may end meanwhile.
    before, threads = inotify_fds(), set(threading.enumerate())
    with Watch(boxes[:10]) as sleeping:
        for box in boxes[10:]:
            sleeping.add(box)
        assert len(inotify_fds() - before) == 1
        assert set(threading.enumerate()) <= threads
        for box in boxes:
            publish(box, "a.json", b"")
            assert sleeping.wait() is True
    assert inotify_fds() <= before


def test_a_folder_that_is_added_wakes_too(watched: None, box: Path, tmp_path: Path) -> None:
    with watch() as sleeping:
        sleeping.add(box)
        publish(box, "a.json", b"")
        assert sleeping.wait() is True


def test_nothing_happens_until_the_timeout_or_the_slow_tick(watched: None, box: Path) -> None:
    with watch(box, slow_seconds=0.05) as sleeping:
        assert sleeping.wait() is False
        assert sleeping.wait(DEADLINE) is False
        source: Any = sleeping._source
        assert source.gone() == set()
    with watch(box) as sleeping:
        assert sleeping.wait(0.05) is False
        assert sleeping.wait(-1) is False


def test_a_folder_that_does_not_exist_yet_is_watched_from_a_slow_tick_on(
    watched: None, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    with watch(late) as sleeping:
        assert sleeping.degraded == (
            f"listing every 30 s instead of watching {late}: the folder does not exist"
        )
        make_box(tmp_path, "late")
        assert sleeping.wait(0) is False
        assert sleeping.degraded == ""
        publish(late, "a.json", b"")
        assert sleeping.wait() is True


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_folder_that_vanishes_is_said_to_be_gone_and_watched_when_it_is_back(
    watched: None, box: Path, tmp_path: Path, how: str
) -> None:
    other = make_box(tmp_path, "other")
    with watch(box, other) as sleeping:
        if how == "removed":
            (box / "tmp").rmdir()
            box.rmdir()
        else:
            box.rename(tmp_path / "elsewhere")
        sleeping.wait(0)
        assert f"{box}: the folder" in sleeping.degraded
        if how == "moved":
            publish(tmp_path / "elsewhere", "a.json", b"")
            assert sleeping.wait(0) is False
        assert os.fspath(other) not in sleeping.degraded
        publish(other, "a.json", b"")
        assert sleeping.wait() is True
        make_box(tmp_path, "box")
        sleeping.wait(0)
        assert sleeping.degraded == ""
        publish(box, "a.json", b"")
        assert sleeping.wait() is True


def test_a_folder_that_was_exchanged_between_two_waits_is_watched_again(
    watched: None, box: Path, tmp_path: Path
) -> None:
    with watch(box) as sleeping:
        box.rename(tmp_path / "elsewhere")
        make_box(tmp_path, "box")
        sleeping.wait(0)
        sleeping.wait(0)
        assert sleeping.degraded == ""
        publish(box, "a.json", b"")
        assert sleeping.wait() is True


Refuse = Callable[..., int]


def refusing(number: int) -> Refuse:
    def refuse(*_: object) -> int:
        ctypes.set_errno(number)
        return -1

    return refuse


@linux
@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        ("inotify_init", errno.EMFILE, "max_user_instances"),
        ("inotify_init", errno.ENOSYS, os.strerror(errno.ENOSYS)),
        ("inotify_add_watch", errno.ENOSPC, "max_user_watches"),
        ("inotify_add_watch", errno.EACCES, os.strerror(errno.EACCES)),
    ],
)
def test_where_inotify_refuses_it_lists_slowly_and_recovers(
    box: Path, call: str, number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers import inotify_c

    with monkeypatch.context() as patch:
        patch.setattr(inotify_c, call, refusing(number))
        sleeping = Watch([box], slow_seconds=0.02)
        with sleeping:
            publish(box, "a.json", b"")
            assert sleeping.wait() is False
            assert sleeping.degraded.startswith("listing every 0.02 s")
            assert said in sleeping.degraded
            patch.undo()
            assert sleeping.wait() is False
            assert sleeping.degraded == ""
            publish(box, "b.json", b"")
            assert sleeping.wait() is True


def test_where_the_observer_refuses_it_lists_slowly(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers import Observer

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(module, "_open_source", module._Observed)
    monkeypatch.setattr(Observer, "schedule", refuse)
    with watch(box, slow_seconds=0.02) as sleeping:
        publish(box, "a.json", b"")
        assert sleeping.wait() is False
        assert "max_user_watches" in sleeping.degraded


_WITHOUT_DESCRIPTORS = """
import os, resource, sys
from signals.watch import Watch
import watchdog.observers.inotify_c
limit = os.open("/dev/null", os.O_RDONLY) + 1
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
with Watch([sys.argv[1]], slow_seconds=0.01) as sleeping:
    print(sleeping.wait(), sleeping.degraded)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    print(sleeping.wait(), sleeping.degraded)
    os.close(os.open(sys.argv[1] + "/a.json", os.O_CREAT))
    print(sleeping.wait(), sleeping.degraded)
"""


@linux
def test_when_descriptors_really_run_out_it_lists_slowly_until_there_are_some(box: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _WITHOUT_DESCRIPTORS, os.fspath(box)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[1:] == ["False ", "True "], done.stderr
    assert lines[0].startswith(f"False listing every 0.01 s instead of watching {box}: the limit")


@linux
def test_an_overflow_of_the_kernels_queue_wakes(box: Path) -> None:
    from watchdog.observers.inotify_c import InotifyConstants

    with watch(box) as sleeping:
        source: Any = sleeping._source
        overflow = struct.pack("iIII", -1, InotifyConstants.IN_Q_OVERFLOW, 0, 0)
        assert source._understand(overflow) is True
        assert sleeping.degraded == ""


@linux
def test_a_burst_beyond_the_kernels_queue_ends_in_one_more_listing(box: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip("the queue of this machine is too long to fill")
    (box / "tmp" / "draft").write_bytes(b"")
    with watch(box) as sleeping:
        for number in range(most + 100):
            name = os.fspath(box / f"{number}.txt")
            os.link(box / "tmp" / "draft", name)
            os.unlink(name)
        publish(box, "lost.json", b"")
        assert sleeping.wait() is True
        assert "lost.json" in os.listdir(box)


@linux
def test_uninteresting_events_do_not_lengthen_the_wait(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        """Every look at it takes a second."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 1.0
            return self.now

        def wall_ns(self) -> int:
            raise AssertionError("a wait must not depend on wall time")

    waits, real = [], module._Inotify.wait

    def spy(source: Any, seconds: float, also: Any) -> bool | None:
        waits.append(seconds)
        return real(source, seconds, also)

    monkeypatch.setattr(module._Inotify, "wait", spy)
    with Watch([box], slow_seconds=1.5, clock=Clock()) as sleeping:
        (box / "note.txt").write_bytes(b"")
        assert sleeping.wait() is False
    assert waits == [1.5, 0.5]


def test_a_watch_that_ended_has_nothing_left_open(box: Path) -> None:
    before = set(os.listdir("/dev/fd"))
    sleeping = watch(box)
    for _ in range(3):
        with sleeping:
            assert sleeping.degraded == ""
            publish(box, f"{os.urandom(4).hex()}.json", b"")
            assert sleeping.wait() is True
        assert "the watch has ended" in sleeping.degraded
    assert set(os.listdir("/dev/fd")) <= before


@linux
def test_a_readable_descriptor_wakes_and_an_unreadable_one_does_not(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with Watch([tmp_path], slow_seconds=30) as watch:
        assert watch.wait(0.01, also=[reader]) is False
        os.write(writer, b"x")
        assert watch.wait(30, also=[reader]) is True
        # It is watched for one wait only.
        assert watch.wait(0.01) is False
    os.close(reader)
    os.close(writer)
