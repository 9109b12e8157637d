"""The launcher: becomes a program, or sees one through to its end with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import signal as posix_signals
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.owner import Liveness, Owner, liveness, owner_of

Until = Callable[[Callable[[], bool]], None]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")


class Launched:
    """A program in the background."""

    def __init__(self, folder: Path, watcher: Owner | None) -> None:
        self._folder = folder
        self.watcher = watcher

    def has_ended(self) -> bool:
        return (self._folder / "status.json").exists()

    def status(self) -> Any:
        return json.loads((self._folder / "status.json").read_bytes())

    def out(self) -> bytes:
        return (self._folder / "out").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "launch it"
    made.mkdir()
    return made


@pytest.fixture
def launch(folder: Path, launcher: list[str]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """`launch(mode="exec", argv=...)`: call the launcher and wait until it has returned."""

    def call(**said: Any) -> subprocess.CompletedProcess[bytes]:
        whole = {"env": {"PATH": os.environ["PATH"]}, "cwd": str(folder), **said}
        (folder / "launch.json").write_text(json.dumps(whole))
        argv = [*launcher, str(folder / "launch.json")]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False)

    return call


@pytest.fixture
def wait(
    folder: Path, launch: Callable[..., subprocess.CompletedProcess[bytes]]
) -> Iterator[Callable[..., Launched]]:
    """`wait("a line of shell")`: start it in the background. It is ended after the test."""
    started: list[Owner] = []

    def call(line: str, **said: Any) -> Launched:
        given = {"stdout": str(folder / "out"), "status": str(folder / "status.json"), **said}
        done = launch(mode="wait", argv=["/bin/sh", "-c", line], **given)
        assert done.returncode == 0, done.stderr
        watcher = owner_of(int(done.stdout))
        started.extend(filter(None, [watcher]))
        return Launched(folder, watcher)

    yield call
    for owner in started:
        # It may end by itself between the two.
        with contextlib.suppress(ProcessLookupError):
            if liveness(owner) is Liveness.ALIVE:
                os.kill(owner.pid, posix_signals.SIGTERM)


def _pid_in(path: Path) -> Owner:
    found = owner_of(int(path.read_text()))
    assert found
    return found


def _is_written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


# -- mode "exec" ------------------------------------------------------------------------------


def test_the_program_has_the_given_environment_and_no_other(
    launch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("TERM", "the-terminals")
    argv = [sys.executable, "-I", "-S", "-c", "import os; print(sorted(os.environ.items()))"]
    done = launch(mode="exec", argv=argv, env={"ONLY": "this é", "TERM": "another"})
    said = done.stdout.decode()
    assert "('ONLY', 'this é')" in said
    assert "('TERM', 'the-terminals')" in said
    assert "A_SECRET" not in said


def test_the_program_gets_its_arguments_as_they_are(launch: Callable[..., Any]) -> None:
    words = ["it's", '"', "$(id)", "two\nlines", "😀", "", "x" * 100_000]
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    done = launch(mode="exec", argv=[sys.executable, "-I", "-S", "-c", code, *words])
    assert json.loads(done.stdout) == words


def test_a_program_that_cannot_be_started_is_named_with_status_127(
    launch: Callable[..., Any], folder: Path
) -> None:
    done = launch(mode="exec", argv=["/no/such/program"])
    assert done.returncode == 127
    assert b"cannot start the program" in done.stderr
    assert b"/no/such/program" in done.stderr
    done = launch(mode="exec", argv=["/bin/true"], cwd=str(folder / "gone"))
    assert done.returncode == 127
    assert b"gone" in done.stderr


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"mode": "exec"}', '{"mode": 1, "argv": 2}'])
def test_a_file_that_is_no_launch_is_refused_without_a_traceback(
    launcher: list[str], folder: Path, said: str
) -> None:
    (folder / "launch.json").write_text(said)
    argv = [*launcher, str(folder / "launch.json")]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert done.returncode == 127
    assert b"Traceback" not in done.stderr


@LINUX
def test_the_program_can_die_of_a_broken_pipe_as_any_other(launch: Callable[..., Any]) -> None:
    status = launch(mode="exec", argv=["/bin/cat", "/proc/self/status"]).stdout.decode()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn"))
    assert int(ignored.split()[1], 16) & (1 << (posix_signals.SIGPIPE - 1)) == 0


def test_options_reach_the_program_by_a_descriptor_and_stand_in_no_command_line(
    launch: Callable[..., Any],
) -> None:
    line = 'cat <&"$1"; tr "\\0" " " </proc/$$/cmdline'
    argv = ["/bin/sh", "-c", line, "sh", "{options}"]
    said = launch(mode="exec", argv=argv, options=["--hide", "/the secret place"]).stdout
    assert said.startswith(b"--hide\0/the secret place\0")
    assert said.count(b"secret") == 1


def test_a_report_is_written_where_it_was_asked_for(
    launch: Callable[..., Any], folder: Path
) -> None:
    argv = ["/bin/sh", "-c", 'echo said >&"$1"', "sh", "{report}"]
    (folder / "report").write_text("what was said before, much longer")
    launch(mode="exec", argv=argv, report=str(folder / "report"))
    assert (folder / "report").read_text() == "said\n"


def test_a_report_follows_no_link(launch: Callable[..., Any], folder: Path) -> None:
    (folder / "victim").write_text("precious")
    (folder / "report").symlink_to(folder / "victim")
    done = launch(mode="exec", argv=["/bin/true", "{report}"], report=str(folder / "report"))
    assert done.returncode == 127
    assert (folder / "victim").read_text() == "precious"


# -- mode "wait" ------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
def test_the_status_says_how_the_program_ended(
    wait: Callable[..., Launched], until: Until, line: str, status: int
) -> None:
    launched = wait(line)
    until(launched.has_ended)
    assert launched.status() == {"exit": status}


def test_output_is_appended_and_kept_to_the_last_byte(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    (folder / "out").write_bytes(b"before\n")
    (folder / "in").write_text("the prompt")
    launched = wait("cat; echo; echo aloud >&2; seq 100000", stdin=str(folder / "in"))
    until(launched.has_ended)
    numbers = b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert launched.out() == b"before\nthe prompt\naloud\n" + numbers
    assert stat.S_IMODE((folder / "status.json").stat().st_mode) == 0o600


@LINUX
def test_what_is_still_in_the_pipe_when_the_program_ends_is_kept(
    launch: Callable[..., Any], until: Until, folder: Path
) -> None:
    code = "import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, b'x' * (1 << 20))"
    said = {"stdout": str(folder / "out"), "status": str(folder / "status.json")}
    launch(mode="wait", argv=[sys.executable, "-I", "-S", "-c", code], **said)
    until((folder / "status.json").exists)
    assert (folder / "out").stat().st_size == 1 << 20


def test_stderr_can_have_a_file_of_its_own(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("echo out; echo err >&2", stderr=str(folder / "err"))
    until(launched.has_ended)
    assert (launched.out(), (folder / "err").read_bytes()) == (b"out\n", b"err\n")


def test_output_beyond_the_limit_is_thrown_away_and_blocks_nobody(
    wait: Callable[..., Launched], until: Until
) -> None:
    launched = wait("head -c 3000000 /dev/zero; exit 4", most=1000)
    until(launched.has_ended)
    assert launched.status() == {"exit": 4, "cut": True}
    assert launched.out() == b"\0" * 1000


def test_a_full_disk_stops_the_output_not_the_program(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    launched = wait(f"echo lost; echo >{shlex.quote(str(folder / 'went-on'))}", stdout="/dev/full")
    until(launched.has_ended)
    assert launched.status() == {"exit": 0, "cut": True}
    assert (folder / "went-on").exists()


def test_a_program_that_cannot_be_started_is_told_to_the_caller(
    launch: Callable[..., Any], folder: Path
) -> None:
    status = folder / "status.json"
    for said in ({"argv": ["/no/such"]}, {"argv": ["/bin/true"], "cwd": "/no/such"}):
        done = launch(mode="wait", status=str(status), **said)
        assert done.returncode == 127
        assert b"/no/such" in done.stderr
        assert not status.exists()


def test_the_program_is_apart_from_who_started_it(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("ps -o sid=,pgid=,pid= -p $$ >ids; exec sleep 1000")
    until(lambda: _is_written(folder / "ids"))
    session, group, pid = map(int, (folder / "ids").read_text().split())
    assert session == group == pid
    assert session != os.getsid(0)
    watcher = launched.watcher
    assert watcher
    assert os.getsid(watcher.pid) not in (session, os.getsid(0))


def test_a_sigterm_goes_to_the_whole_group_and_its_answer_is_the_status(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("trap 'echo told >told; exit 3' TERM; echo >ready; while :; do sleep 1; done")
    until(lambda: _is_written(folder / "ready"))
    assert launched.watcher
    os.kill(launched.watcher.pid, posix_signals.SIGTERM)
    until(launched.has_ended)
    assert launched.status() == {"exit": 3}
    assert (folder / "told").exists()


def test_a_program_deaf_to_sigterm_is_killed_after_the_grace(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("trap '' TERM; echo >ready; while :; do sleep 1; done", grace=0.1)
    until(lambda: _is_written(folder / "ready"))
    assert launched.watcher
    os.kill(launched.watcher.pid, posix_signals.SIGTERM)
    until(launched.has_ended)
    assert launched.status() == {"exit": -9}


@LINUX
@pytest.mark.parametrize("how", ["its own end", "SIGTERM"])
def test_nothing_that_the_program_started_outlives_it(
    wait: Callable[..., Launched], until: Until, folder: Path, how: str
) -> None:
    # The second hides as well as it can: a session of its own, no environment, parents dead.
    hidden = "setsid env -i /bin/sh -c \"trap '' TERM HUP; echo \\$\\$ >two; exec sleep 1000\""
    line = f"sleep 1000 & echo $! >one; ({hidden} &) & until [ -e go ]; do :; done"
    launched = wait(line, grace=0.1)
    until(lambda: _is_written(folder / "one") and _is_written(folder / "two"))
    left = [_pid_in(folder / "one"), _pid_in(folder / "two")]
    assert launched.watcher
    if how == "SIGTERM":
        os.kill(launched.watcher.pid, posix_signals.SIGTERM)
    else:
        (folder / "go").touch()
    until(launched.has_ended)
    assert [liveness(owner) for owner in left] == [Liveness.DEAD, Liveness.DEAD]
    assert launched.status() == {"exit": -15 if how == "SIGTERM" else 0}


@LINUX
def test_who_holds_the_output_open_delays_nothing(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("(trap '' TERM HUP; setsid sleep 1000) & echo last words")
    until(launched.has_ended)
    assert launched.out() == b"last words\n"


@LINUX
def test_the_program_dies_when_its_watcher_is_killed(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("echo $$ >pid; exec sleep 1000")
    until(lambda: _is_written(folder / "pid"))
    program = _pid_in(folder / "pid")
    assert launched.watcher
    os.kill(launched.watcher.pid, posix_signals.SIGKILL)
    until(lambda: liveness(program) is Liveness.DEAD)
    assert not launched.has_ended()


def test_the_status_appears_whole_or_not_at_all(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("exit 0")
    until(launched.has_ended)
    assert sorted(os.listdir(folder)) == ["launch.json", "out", "status.json"]


def test_the_output_follows_no_link(launch: Callable[..., Any], folder: Path) -> None:
    (folder / "victim").write_text("precious")
    (folder / "out").symlink_to(folder / "victim")
    done = launch(mode="wait", argv=["/bin/echo", "x"], stdout=str(folder / "out"))
    assert done.returncode == 127
    assert (folder / "victim").read_text() == "precious"


def test_who_waits_takes_little_memory(
    wait: Callable[..., Launched], until: Until, folder: Path
) -> None:
    launched = wait("echo >ready; exec sleep 1000")
    until(lambda: _is_written(folder / "ready"))
    assert launched.watcher
    try:
        with open(f"/proc/{launched.watcher.pid}/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        pytest.skip("there is no /proc here")
    assert pages * resource.getpagesize() < 20_000_000
