from __future__ import annotations

import os
import signal as posix_signals
import sys
from pathlib import Path

import pytest

from attractor.errors import ToolError
from attractor.spawn import install_hint, own_command, run_tool

PYTHON = sys.executable


def python(code: str, *arguments: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", code, *arguments]


def test_our_own_processes_are_isolated_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "attractor.py").write_text("raise SystemExit('taken over')")
    argv = own_command("attractor", "--version")
    said = run_tool(argv, timeout_seconds=30, cwd=str(tmp_path))
    assert said.startswith(b"attractor, version")


def test_stdin_goes_in_while_stdout_comes_back_however_large() -> None:
    code = "import os\nwhile chunk := os.read(0, 1000): os.write(1, chunk)"
    data = os.urandom(300_000)
    assert run_tool(python(code), timeout_seconds=30, stdin=data) == data


def test_a_tool_that_does_not_read_its_stdin_is_no_error() -> None:
    assert run_tool(python("print('done')"), timeout_seconds=30, stdin=b"x" * 300_000) == b"done\n"


def test_a_missing_tool_says_how_to_install_it() -> None:
    with pytest.raises(ToolError) as caught:
        run_tool(["no-such-tool-here"], timeout_seconds=5)
    assert caught.value.problem == "no-such-tool-here is not installed"
    assert install_hint("no-such-tool-here") in caught.value.fix


@pytest.mark.parametrize(
    ("platform", "hint"),
    [("linux", "sudo apt-get install -y graphviz"), ("darwin", "brew install graphviz")],
)
def test_the_hint_names_the_package_not_the_tool(
    monkeypatch: pytest.MonkeyPatch, platform: str, hint: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert install_hint("dot") == hint


@pytest.mark.parametrize("entry", ["", "."])
def test_a_tool_is_never_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    planted = tmp_path / "planted-tool"
    planted.write_text("#!/bin/sh\necho planted\n")
    planted.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}/usr/bin")
    with pytest.raises(ToolError, match="planted-tool is not installed"):
        run_tool(["planted-tool"], timeout_seconds=5)


def test_the_path_of_a_given_environment_is_the_one_that_counts(tmp_path: Path) -> None:
    tool = tmp_path / "given-tool"
    tool.write_text("#!/bin/sh\necho $GREETING\n")
    tool.chmod(0o755)
    env = {"PATH": str(tmp_path), "GREETING": "hello"}
    assert run_tool(["given-tool"], timeout_seconds=30, env=env) == b"hello\n"


def test_a_failing_tool_is_quoted_by_its_last_words_and_its_command() -> None:
    code = "import sys; sys.stderr.write('x' * 100_000 + 'the reason'); sys.exit(3)"
    with pytest.raises(ToolError) as caught:
        run_tool(python(code, "an argument"), timeout_seconds=30)
    assert "ended with status 3" in caught.value.problem
    assert caught.value.problem.endswith("the reason")
    assert len(caught.value.problem) < 2_200
    assert "'an argument'" in caught.value.fix


def test_a_silent_failure_says_so_and_a_long_command_is_cut() -> None:
    with pytest.raises(ToolError, match="status 1: it said nothing") as caught:
        run_tool(python("raise SystemExit(1)", "y" * 5_000), timeout_seconds=30)
    assert len(caught.value.fix) < 600


def test_a_program_that_cannot_be_started_is_a_tool_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(ToolError, match="could not be started"):
        run_tool([str(broken)], timeout_seconds=5)


def test_a_missing_working_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="gone"):
        run_tool([PYTHON, "--version"], timeout_seconds=5, cwd=str(tmp_path / "gone"))


def test_a_late_tool_is_stopped() -> None:
    with pytest.raises(ToolError, match=r"did not end within 0\.5 seconds and was stopped"):
        run_tool(python("import signal; signal.pause()"), timeout_seconds=0.5)


def test_a_stopped_tool_takes_its_whole_group_with_it(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    code = (
        "import os, signal, sys\n"
        "end = os.open(sys.argv[1], os.O_WRONLY)\n"
        "os.write(end, b'started')\n"
        "if os.fork() == 0: signal.pause()\n"
        "while True: sys.stdout.write('y' * 4096)"
    )
    with pytest.raises(ToolError, match="was stopped"):
        run_tool(python(code, str(fifo)), timeout_seconds=60, max_output_bytes=100_000)
    # End of file on the fifo proves that nobody, the grandchild included, holds its other end.
    os.set_blocking(reader, True)
    assert [os.read(reader, 100), os.read(reader, 100)] == [b"started", b""]
    os.close(reader)


def test_a_tool_that_closed_its_streams_but_does_not_end_is_late_too() -> None:
    code = "import os, signal\nfor fd in (0, 1, 2): os.close(fd)\nsignal.pause()"
    with pytest.raises(ToolError, match="did not end within"):
        run_tool(python(code), timeout_seconds=0.5)


def test_a_tool_that_talks_without_end_is_stopped_at_the_limit() -> None:
    code = "import sys\nwhile True: sys.stdout.write('y' * 4096)"
    with pytest.raises(ToolError, match="wrote more than 100000 bytes and was stopped"):
        run_tool(python(code), timeout_seconds=60, max_output_bytes=100_000)


def test_the_child_is_killed_when_we_are_interrupted(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import os, signal, sys\n"
        "sys.stdin.read(1)\n"  # comes only once run_tool waits for us
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGUSR1)\n"
        "signal.pause()\n"
    )

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = posix_signals.signal(posix_signals.SIGUSR1, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_tool(python(code, str(note)), timeout_seconds=60, stdin=b"go")
    finally:
        posix_signals.signal(posix_signals.SIGUSR1, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_tool_that_ended_leaves_nobody_of_its_group_behind(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    code = (
        "import os, signal, sys\n"
        "os.write(os.open(sys.argv[1], os.O_WRONLY), b'started')\n"
        "if os.fork() == 0:\n"
        "    for fd in (0, 1, 2): os.close(fd)\n"
        "    signal.pause()\n"
    )
    assert run_tool(python(code, str(fifo)), timeout_seconds=60) == b""
    os.set_blocking(reader, True)
    assert [os.read(reader, 100), os.read(reader, 100)] == [b"started", b""]
    os.close(reader)


def test_a_termination_ends_the_child_first(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import os, signal, sys\n"
        "sys.stdin.read(1)\n"  # comes only once run_tool waits for us
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    assert posix_signals.getsignal(posix_signals.SIGTERM) is posix_signals.SIG_DFL
    with pytest.raises(SystemExit) as caught:
        run_tool(python(code, str(note)), timeout_seconds=60, stdin=b"go")
    assert caught.value.code == 143
    assert posix_signals.getsignal(posix_signals.SIGTERM) is posix_signals.SIG_DFL
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_termination_that_somebody_handles_is_left_to_him() -> None:
    seen = []
    before = posix_signals.signal(posix_signals.SIGTERM, lambda *_: seen.append(1))
    try:
        code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); print('done')"
        assert run_tool(python(code), timeout_seconds=60) == b"done\n"
    finally:
        posix_signals.signal(posix_signals.SIGTERM, before)
    assert seen == [1]


def test_a_tool_cannot_ask_on_our_terminal() -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    assert run_tool(python(code), timeout_seconds=30) == b"True\n"


def test_a_claude_that_is_missing_is_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError) as caught:
        run_tool(["claude"], timeout_seconds=5)
    assert "apt-get" not in caught.value.fix
    assert "attractor[sdk]" in caught.value.fix


def test_a_path_that_is_no_program_is_not_to_be_installed(tmp_path: Path) -> None:
    path = tmp_path / "claude"
    with pytest.raises(ToolError, match="there is no program") as missing:
        run_tool([str(path)], timeout_seconds=5)
    path.write_text("")
    with pytest.raises(ToolError, match="is not executable") as plain:
        run_tool([str(path)], timeout_seconds=5)
    assert "install" not in missing.value.fix + plain.value.fix
