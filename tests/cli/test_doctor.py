"""`attractor doctor` tells what is wrong, what that means, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor import tripwire
from attractor.cli import doctor
from attractor.errors import StorageError
from signals import atomic


@pytest.fixture
def ask(cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tripwire, "examine", list)  # tests/house asks it about the real thing

    def call() -> tuple[int, dict[str, Any]]:
        said = cli("doctor", "--json")
        return said.status, {check["name"]: check for check in said.json()["checks"]}

    return call


def test_it_leaves_the_folder_as_it_was(ask: Any, tmp_path: Path) -> None:
    status, checks = ask()
    assert (status, checks["filesystem"]["level"]) == (0, "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_tool_is_a_warning_that_says_what_will_not_work(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)  # as if it were not installed
    status, checks = ask()
    assert status == 0
    for name in ("git", "tmux", "dot", "claude"):
        assert checks[name]["level"] == "warn"
        assert "without it" in checks[name]["message"]
        assert "install" in checks[name]["fix"]


def test_a_tool_that_hangs_or_fails_is_a_warning(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, does in {"git": "exec /bin/sleep 60", "tmux": "exit 3"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(doctor, "_TOOL_SECONDS", 0.3)
    status, checks = ask()
    assert status == 0
    assert "did not end within 0.3 seconds" in checks["git"]["message"]
    assert "ended with status 3" in checks["tmux"]["message"]


def claude(folder: Path, does: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return program


def test_claude_is_found_on_path_and_asked_for_its_version_only(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = claude(tmp_path, f'echo "$@" > {tmp_path}/asked; echo "2.1.330 (Claude Code)"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _, checks = ask()
    found = checks["claude"]
    assert (found["level"], found["message"]) == ("ok", f"2.1.330 at {program}")
    assert (tmp_path / "asked").read_text() == "--version\n"


@pytest.mark.parametrize(
    ("does", "says", "fix"),
    [
        ("echo '2.1.2 (Claude Code)'", "2.1.2 is older than 2.1.295", "claude update"),
        ("exit 3", "ended with status 3", ""),
    ],
)
def test_a_claude_that_cannot_be_used_is_a_warning(
    does: str, says: str, fix: str, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude(tmp_path, does)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _, checks = ask()
    assert checks["claude"]["level"] == "warn"
    assert says in checks["claude"]["message"]
    assert fix in checks["claude"]["fix"]
    assert checks["claude"]["fix"]


def test_claude_is_found_inside_the_library(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / "claude_agent_sdk"
    bundled = claude(folder / "_bundled", "echo '2.1.330 (Claude Code)'")
    (folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PATH", "/nonexistent")
    status, checks = ask()
    assert (status, checks["claude"]["level"]) == (0, "ok")
    assert str(bundled) in checks["claude"]["message"]


def test_a_name_that_is_not_ours_alone_fails(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = tripwire.Problem("guardian", "the package `guardian` belongs to another too")
    monkeypatch.setattr(tripwire, "examine", lambda: [problem])
    status, checks = ask()
    assert status == 1
    assert checks["installation"]["level"] == "fail"
    assert "never into a project's environment" in checks["installation"]["fix"]


def test_an_old_python_fails(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_OLDEST_PYTHON", (99, 0))
    status, checks = ask()
    assert (status, checks["python"]["level"]) == (1, "fail")


def test_a_filesystem_that_cannot_link_fails(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise StorageError("cannot publish: Operation not supported")

    monkeypatch.setattr(atomic, "publish", refuse)
    status, checks = ask()
    assert (status, checks["filesystem"]["level"]) == (1, "fail")
    assert "local disk" in checks["filesystem"]["fix"]


def test_a_filesystem_whose_links_overwrite_fails(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(folder: str, name: str, data: bytes) -> str:
        path = Path(folder, name)
        path.write_bytes(data)
        return str(path)

    monkeypatch.setattr(atomic, "publish", overwrite)
    status, checks = ask()
    assert (status, checks["filesystem"]["level"]) == (1, "fail")
    assert "overwrite each other" in checks["filesystem"]["message"]


def test_a_folder_that_cannot_be_written_is_a_warning(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    status, checks = ask()
    assert (status, checks["filesystem"]["level"]) == (0, "warn")
    assert "Permission denied" in checks["filesystem"]["message"]


def test_a_clock_that_was_never_set_fails(
    ask: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now_ns = 0
    monkeypatch.setattr(doctor, "SystemClock", lambda: clock)
    status, checks = ask()
    assert (status, checks["clock"]["level"]) == (1, "fail")
    assert "1970-01-01" in checks["clock"]["message"]


def test_a_clock_that_differs_from_the_disk_is_a_warning(
    ask: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now_ns = 4_000_000_000_000_000_000
    monkeypatch.setattr(doctor, "SystemClock", lambda: clock)
    status, checks = ask()
    assert (status, checks["clock"]["level"]) == (0, "warn")


def test_a_signals_folder_that_does_not_exist_yet_is_fine(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTRACTOR_SIGNALS_DIR", str(tmp_path / "later"))
    status, checks = ask()
    assert (status, checks["signals"]["level"]) == (0, "ok")
    assert not (tmp_path / "later").exists()


def test_a_signals_folder_that_is_a_file_fails(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATTRACTOR_SIGNALS_DIR", str(tmp_path / "file"))
    status, checks = ask()
    assert (status, checks["signals"]["level"]) == (1, "fail")


def test_a_signals_folder_that_cannot_be_written_fails(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTRACTOR_SIGNALS_DIR", str(tmp_path))
    # Root may write everywhere, so the answer is given in place of the system.
    monkeypatch.setattr(os, "access", lambda *_: False)
    status, checks = ask()
    assert (status, checks["signals"]["level"]) == (1, "fail")


def test_bad_signals_in_quarantine_are_a_warning(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine = tmp_path / "flat" / "quarantine"
    quarantine.mkdir(parents=True)
    (quarantine / "x.json").write_text("broken")
    (quarantine / "x.json.reason").write_text("it is not JSON")
    monkeypatch.setenv("ATTRACTOR_SIGNALS_DIR", str(tmp_path / "flat"))
    status, checks = ask()
    assert (status, checks["signals"]["level"]) == (0, "warn")
    assert checks["signals"]["message"].startswith("1 bad ")


def test_few_free_inotify_instances_are_a_warning(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "limit"
    limit.write_text("10\n")
    monkeypatch.setattr(doctor, "_PROC_INOTIFY", str(limit))
    monkeypatch.setattr(doctor, "_inotify_used", lambda: 9)
    _, checks = ask()
    assert checks["inotify"]["level"] == "warn"
    assert checks["inotify"]["message"].startswith("9 of 10 ")
    assert "max_user_instances=512" in checks["inotify"]["fix"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="inotify is Linux's")
def test_inotify_instances_of_this_user_are_counted() -> None:
    import ctypes

    system = ctypes.CDLL(None)
    held = [system.inotify_init1(os.O_CLOEXEC) for _ in range(3)]
    try:
        assert all(fd >= 0 for fd in held)
        assert doctor._inotify_used() >= 3
    finally:
        for fd in held:
            os.close(fd)
