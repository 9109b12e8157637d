"""Who a process is: dead only on proof."""

from __future__ import annotations

import json
import os
import signal as posix_signals
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals import owner as module
from signals.errors import AttractorError
from signals.owner import Liveness, Owner, liveness, owner_of

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def wait_without_reaping(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_this_process_and_a_running_child_are_alive(child: subprocess.Popen[bytes]) -> None:
    me = Owner.current()
    assert (me.pid, liveness(me)) == (os.getpid(), Liveness.ALIVE)
    found = owner_of(child.pid)
    assert found is not None
    assert found != me
    assert liveness(found) is Liveness.ALIVE


def test_the_identity_of_a_process_never_changes(child: subprocess.Popen[bytes]) -> None:
    first = owner_of(child.pid)
    os.kill(child.pid, posix_signals.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert owner_of(child.pid) == first
    assert liveness(first) is Liveness.ALIVE


def test_a_process_that_was_killed_is_dead_as_a_zombie_and_after_it(
    child: subprocess.Popen[bytes],
) -> None:
    found = owner_of(child.pid)
    child.kill()
    wait_without_reaping(child.pid)
    assert (liveness(found), owner_of(child.pid)) == (Liveness.DEAD, None)
    child.wait()
    assert (liveness(found), owner_of(child.pid)) == (Liveness.DEAD, None)


def test_a_pid_that_was_given_to_another_process_is_not_the_owner(
    child: subprocess.Popen[bytes],
) -> None:
    found = owner_of(child.pid)
    assert found is not None
    assert liveness(found._replace(start="1")) is Liveness.DEAD


def test_a_process_of_another_boot_is_dead() -> None:
    me = Owner.current()
    _, colon, space = me.boot.partition(":")
    assert liveness(me._replace(boot=f"another-boot{colon}{space}")) is Liveness.DEAD


@linux
def test_a_pid_of_another_namespace_proves_nothing() -> None:
    me = Owner.current()
    elsewhere = me._replace(pid=2**22 + 1, boot=me.boot.partition(":")[0] + ":1")
    assert liveness(elsewhere) is Liveness.UNKNOWN


_RECORDS = [
    None,
    [],
    "pid",
    {},
    {"pid": 1, "start": "1"},
    {"pid": True, "start": "1", "boot": "b"},
    {"pid": 0, "start": "1", "boot": "b"},
    {"pid": -1, "start": "1", "boot": "b"},
    {"pid": 2**31, "start": "1", "boot": "b"},
    {"pid": 1.0, "start": "1", "boot": "b"},
    {"pid": "1", "start": "1", "boot": "b"},
    {"pid": 1, "start": "", "boot": "b"},
    {"pid": 1, "start": 1, "boot": "b"},
    {"pid": 1, "start": "1", "boot": None},
]


@pytest.mark.parametrize("record", _RECORDS)
def test_a_malformed_record_is_unknown(record: object) -> None:
    assert Owner.from_json(record) is None
    assert liveness(Owner.from_json(record)) is Liveness.UNKNOWN


@given(
    st.fixed_dictionaries(
        {"pid": st.integers(), "start": st.text(), "boot": st.text()},
        optional={"since": st.integers()},
    )
)
def test_no_record_raises(record: dict[str, object]) -> None:
    found = Owner.from_json(record)
    assert liveness(found) in Liveness
    if found is not None:
        assert found.as_json() == {key: record[key] for key in ("pid", "start", "boot")}


def test_a_record_goes_through_json_and_back() -> None:
    me = Owner.current()
    record = json.loads(json.dumps(me.as_json() | {"since": "now"}))
    assert Owner.from_json(record) == me
    assert list(me.as_json()) == ["pid", "start", "boot"]


def test_what_may_not_be_looked_at_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "not yours")

    me = Owner.current()
    monkeypatch.setattr(os, "kill", refuse)
    assert liveness(me) is Liveness.ALIVE
    monkeypatch.setattr(module, "_process", lambda _: None)
    assert liveness(me) is Liveness.UNKNOWN
    assert liveness(Owner(2**22 + 1, "1", me.boot)) is Liveness.UNKNOWN


@linux
def test_the_first_process_is_alive_whoever_owns_it() -> None:
    init = owner_of(1)
    assert init is not None
    assert liveness(init) is Liveness.ALIVE


def test_without_a_boot_id_nothing_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    me = Owner.current()
    monkeypatch.setattr(module, "_boot", lambda: "")
    assert liveness(me) is Liveness.UNKNOWN
    assert liveness(me._replace(boot="another")) is Liveness.UNKNOWN
    with pytest.raises(AttractorError, match="its own start time"):
        Owner.current()


@linux
def test_a_name_full_of_parentheses_does_not_confuse_the_start_time(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 0 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as process:
        found = owner_of(process.pid)
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        process.kill()
    assert f"({program.name})" in stat
    assert found is not None
    assert found.start == stat.rpartition(")")[2].split()[19]


@linux
@pytest.mark.parametrize("stat", [b"", b"1 (x", b"1 (x)", b"1 (x) S 1 2", b"1 (x) " + b"S " * 30])
def test_a_stat_that_cannot_be_understood_is_unknown(
    stat: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_bytes(stat)
    me, real = Owner.current(), open
    monkeypatch.setitem(
        vars(module),
        "open",
        lambda path, *mode, **named: real(
            tmp_path / "stat" if path.endswith("/stat") else path, *mode, **named
        ),
    )
    assert liveness(me) is Liveness.UNKNOWN


_MAIN_THREAD_LEAVES = """
import ctypes, os, threading
def work():
    with open(f"/proc/{os.getpid()}/stat") as file:
        while " Z " not in file.read():
            file.seek(0)
    print("left", flush=True)
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=work).start()
exit_thread = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
ctypes.CDLL(None).syscall(exit_thread, 0)
"""


@linux
@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="knows two numbers")
def test_a_process_whose_main_thread_left_is_alive() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-c", _MAIN_THREAD_LEAVES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        found = owner_of(process.pid)
        assert process.stdout is not None
        assert process.stdout.readline() == b"left\n"
        alive = liveness(found)
        process.kill()
    assert alive is Liveness.ALIVE


@pytest.fixture
def darwin(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The macOS half, fed with what its tools print; {} is a tool that fails."""
    answers: dict[str, str] = {}

    def ask(*argv: str) -> str:
        return answers.get(argv[0], "")

    monkeypatch.setattr(module, "_ask", ask)
    monkeypatch.setattr(module, "_process", module._darwin_process)
    monkeypatch.setattr(module, "_boot", module._darwin_boot)
    return answers


def test_macos_tools_are_understood(darwin: dict[str, str]) -> None:
    darwin |= {"ps": "Ss   Tue Feb 24 12:00:00 2026", "sysctl": "5E1D-77"}
    me = Owner.current()
    assert me == Owner(os.getpid(), "Tue Feb 24 12:00:00 2026", "5E1D-77")
    assert liveness(me) is Liveness.ALIVE
    darwin["ps"] = "Z    Tue Feb 24 12:00:00 2026"
    assert (liveness(me), owner_of(me.pid)) == (Liveness.DEAD, None)
    darwin["ps"] = "S    Wed Feb 25 12:00:00 2026"
    assert liveness(me) is Liveness.DEAD
    darwin["ps"] = ""
    assert liveness(me) is Liveness.UNKNOWN
    darwin |= {"sysctl": ""}
    assert liveness(me) is Liveness.UNKNOWN
    darwin |= {"sysctl": "another-boot"}
    assert liveness(me) is Liveness.DEAD


def test_a_tool_is_asked_with_a_deadline_and_its_exit_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module._ask("sh", "-c", "echo $TZ $LC_ALL") == "UTC C"
    assert module._ask("sh", "-c", "echo said; exit 3") == ""
    assert module._ask("no-such-tool-anywhere") == ""
    monkeypatch.setattr(module, "_TOOL_SECONDS", 0.01)
    assert module._ask("sleep", "600") == ""


def test_the_module_costs_little_to_import() -> None:
    check = "import sys, signals.owner; print({'dataclasses','subprocess','json'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", check], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
