"""The terminal: one contract for the real tmux and for the one that pretends, then tmux alone."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal as posix_signals
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError, ToolError
from runner import pane_died, tmux
from runner.tmux import Tmux
from signals.owner import owner_of

Until = Callable[[Callable[[], bool]], None]
Stage = Any  # conftest.Stage; tests is no package

HARD = 'it\'s "quoted" $(touch pwned) `id` #{pane_id} #(touch pwned) \\ é 😀;\nsecond line;'


def _died(stage: Stage) -> bool:
    return _ended(stage.terminal, stage.events)


def _ended(terminal: tmux.Terminal, events: Path) -> bool:
    pane = terminal.pane()
    said = [name for name in os.listdir(events) if name.endswith(".json")]
    return pane is not None and pane.dead and bool(said)


# -- the contract -----------------------------------------------------------------------------


def test_before_the_start_every_question_has_an_answer(stage: Stage) -> None:
    terminal = stage.terminal
    assert terminal.pane() is None
    assert terminal.capture() == ""
    assert terminal.paste("text") is False
    assert terminal.keys("Enter") is False
    terminal.kill()
    terminal.kill()


def test_a_running_program_is_seen(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    pane = stage.terminal.pane()
    assert (pane.dead, pane.status, pane.signal) == (False, None, None)
    assert pane.pid > 1
    assert os.listdir(stage.events) == []


def test_a_program_that_ends_at_once_leaves_its_status_and_its_last_words(
    stage: Stage, until: Until
) -> None:
    stage.terminal.start(stage.ends("I cannot start", status=7), events=str(stage.events))
    until(lambda: _died(stage))
    pane = stage.terminal.pane()
    assert (pane.dead, pane.status, pane.signal) == (True, 7, None)
    assert "I cannot start" in stage.terminal.capture()


def test_a_program_that_a_signal_ended_leaves_its_number(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.ends("", signal=9), events=str(stage.events))
    until(lambda: _died(stage))
    pane = stage.terminal.pane()
    assert (pane.dead, pane.status, pane.signal) == (True, None, 9)


def test_the_end_of_a_program_is_one_event(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.ends("", status=0), events=str(stage.events))
    until(lambda: _died(stage))
    (name,) = os.listdir(stage.events)
    assert json.loads((stage.events / name).read_bytes()) == {"attractor": "pane-died"}
    at, _, rest = name.partition("-")
    assert len(at) == 20
    assert at.isdigit()
    assert rest.removesuffix(".json").isdigit()


@pytest.mark.parametrize("first", ["running", "ended"])
def test_the_next_start_takes_the_place_of_the_program_before(
    stage: Stage, until: Until, first: str
) -> None:
    events = str(stage.events)
    if first == "ended":
        stage.terminal.start(stage.ends("words of the first", status=1), events=events)
        until(lambda: _died(stage))
    else:
        stage.terminal.start(stage.reader(), events=events)
        until(stage.ready)
    before = stage.terminal.pane()
    stage.terminal.start(stage.reader(), events=events)
    pane = stage.terminal.pane()
    assert not pane.dead
    assert pane.pid != before.pid
    assert "words of the first" not in stage.terminal.capture()


def test_a_text_arrives_whole_and_is_no_command_to_anybody(
    stage: Stage, until: Until, tmp_path: Path
) -> None:
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    assert stage.terminal.paste(HARD) is True
    assert stage.terminal.keys("Enter") is True
    until(lambda: stage.typed().endswith("\r"))
    assert stage.typed() == f"{HARD}\r"
    assert not list(tmp_path.rglob("pwned"))


def test_a_text_of_100_kb_arrives_whole(stage: Stage, until: Until) -> None:
    text = "".join(f"{number:09d}\n" for number in range(10_000))
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    assert stage.terminal.paste(text) is True
    until(lambda: len(stage.typed()) >= len(text))
    assert stage.typed() == text


def test_no_control_character_of_a_text_becomes_a_key(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    stage.terminal.paste("a\x1b[201~\x03\rb\r\nc\td\x9b\x7f\x00e")
    stage.terminal.paste(" end")
    until(lambda: stage.typed().endswith("end"))
    assert stage.typed() == "a[201~\nb\nc\tde end"


def test_a_program_that_ended_takes_neither_text_nor_keys(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.ends("", status=0), events=str(stage.events))
    until(lambda: _died(stage))
    assert stage.terminal.paste("text") is False
    assert stage.terminal.keys("Enter") is False


def test_of_a_flood_the_last_lines_are_kept(stage: Stage, until: Until) -> None:
    text = "\n".join(f"line {number}" for number in range(5_000))
    stage.terminal.start(stage.shows(text), events=str(stage.events))
    until(lambda: "line 4999" in stage.terminal.capture(1))
    said = stage.terminal.capture(50).split("\n")
    assert len(said) == 50
    assert "line 4900" not in said


def test_what_is_killed_is_gone_and_can_be_started_again(stage: Stage, until: Until) -> None:
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    stage.terminal.kill()
    assert stage.terminal.pane() is None
    assert stage.terminal.capture() == ""
    stage.terminal.start(stage.ends("again", status=0), events=str(stage.events))
    until(lambda: _died(stage))
    assert "again" in stage.terminal.capture()


def test_who_attaches_only_watches_unless_told(stage: Stage) -> None:
    assert stage.terminal.attach()[-1] == "-r"
    assert "-r" not in stage.terminal.attach(write=True)


# -- tmux alone -------------------------------------------------------------------------------


@pytest.fixture
def real(socket: str) -> Tmux:
    return Tmux(socket, timeout_seconds=10)


def test_a_server_that_was_killed_is_no_server(real: Tmux, events: Path, until: Until) -> None:
    real.start(["/bin/cat"], events=str(events))
    pid = real.server_pid()
    assert pid
    os.kill(pid, posix_signals.SIGKILL)
    until(lambda: real.server_pid() is None)
    assert real.pane() is None
    assert real.capture() == ""
    assert real.paste("text") is False
    real.start(["/bin/cat"], events=str(events))
    pane = real.pane()
    assert pane
    assert not pane.dead


def test_a_server_that_dies_while_it_is_asked_is_no_server(socket: str, tmp_path: Path) -> None:
    for said in ("server exited unexpectedly", "lost server", "no server running on /x"):
        program = tmp_path / "tmux"
        program.write_text(f"#!/bin/sh\necho {said} >&2\nexit 1\n")
        program.chmod(0o755)
        assert Tmux(socket, program=str(program)).pane() is None


def test_a_server_that_missed_the_end_of_its_program_is_made_to_look(
    socket: str, tmp_path: Path, until: Until
) -> None:
    nudged = tmp_path / "nudged"
    program = tmp_path / "tmux"
    line = f"[ -e {nudged} ] && echo '%0 123 1,7,' || echo '%0 123 1,,'"
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
    code = """if True:
        import signal, socket, sys
        signal.signal(signal.SIGCHLD, lambda *_: open(sys.argv[2], "w").close())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(sys.argv[1])
            listening.listen(8)
            print(flush=True)
            while True:
                signal.pause()
    """
    argv = [sys.executable, "-I", "-S", "-c", code, socket, str(nudged)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        terminal = Tmux(socket, program=str(program))
        until(lambda: terminal.pane() == (True, 7, None, 123))
        server.kill()


def test_what_tmux_says_and_nobody_understands_is_an_error(socket: str, tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\necho out of memory >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match="out of memory"):
        Tmux(socket, program=str(program)).pane()


def test_a_socket_folder_that_is_gone_is_no_server(real: Tmux, events: Path) -> None:
    real.start(["/bin/cat"], events=str(events))
    pid = real.server_pid()
    assert pid
    try:
        os.rename(os.path.dirname(real.socket), f"{os.path.dirname(real.socket)}-moved")
        assert real.pane() is None
        assert real.keys("Enter") is False
    finally:
        os.rename(f"{os.path.dirname(real.socket)}-moved", os.path.dirname(real.socket))
    assert real.pane() is not None


def test_a_server_that_does_not_answer_is_an_error_in_time_and_can_be_killed(
    real: Tmux, events: Path, until: Until
) -> None:
    real.start(["/bin/cat"], events=str(events))
    pid = real.server_pid()
    assert pid
    os.kill(pid, posix_signals.SIGSTOP)
    deaf = Tmux(real.socket, timeout_seconds=0.2)
    with pytest.raises(ToolError, match="did not end within"):
        deaf.pane()
    deaf.kill()
    until(lambda: owner_of(pid) is None)
    assert not os.path.exists(real.socket)


def test_a_pane_that_somebody_closed_is_made_again(real: Tmux, events: Path) -> None:
    real.start(["/bin/cat"], events=str(events))
    server = real.server_pid()
    base = ["tmux", "-S", real.socket, "-f", os.devnull]
    subprocess.run([*base, "new-window", "-d", "cat"], check=True, timeout=30)
    subprocess.run([*base, "kill-pane", "-t", "%0"], check=True, timeout=30)
    assert real.pane() is None
    assert real.paste("text") is False
    real.start(["/bin/cat"], events=str(events))
    assert real.pane() is not None
    assert real.server_pid() != server


def test_a_pane_that_somebody_added_is_not_taken_for_ours(real: Tmux, events: Path) -> None:
    real.start(["/bin/cat"], events=str(events))
    before = real.pane()
    split = ["tmux", "-S", real.socket, "split-window", "-b", "-t", "%0", "cat"]
    subprocess.run(split, check=True, timeout=30)
    assert real.pane() == before


def test_tmux_runs_nothing_that_stands_in_a_path(
    real: Tmux, events: Path, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "p #(touch pwned) #{pane_id};"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    real.start([str(program), "#(touch pwned)", ";", "last;"], events=str(events))
    until(lambda: _ended(real, events))
    pane = real.pane()
    assert pane
    assert pane.status == 3
    assert not list(tmp_path.rglob("pwned"))


def test_nothing_of_the_users_tmux_or_environment_reaches_the_server(
    socket: str, events: Path, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".tmux.conf").write_text("set -g history-limit 7\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("TMUX", "/tmp/other,1,0")
    real = Tmux(socket)
    out = tmp_path / "env"
    real.start(["/bin/sh", "-c", f"env >'{out}'"], events=str(events))
    until(lambda: _ended(real, events))
    assert "A_SECRET" not in out.read_text()
    asked = ["tmux", "-S", socket, "show-options", "-gv", "history-limit"]
    assert subprocess.check_output(asked, timeout=30, text=True).strip() == "2000"


def test_a_flood_of_10_mb_neither_blocks_nor_grows_the_capture(
    real: Tmux, events: Path, until: Until
) -> None:
    line = "head -c 10000000 /dev/zero | tr '\\0' x | fold -w 150; echo; echo the end; exec cat"
    real.start(["/bin/sh", "-c", line], events=str(events))
    until(lambda: "the end" in real.capture(1))
    said = real.capture(10_000)
    assert len(said) < 2_100 * 200


def test_colours_and_titles_of_a_program_are_not_in_the_capture(
    real: Tmux, events: Path, until: Until
) -> None:
    line = r"printf '\033[31mred\033[0m \033]0;title\007\033]52;c;AAAA\007 text\n'"
    real.start(["/bin/sh", "-c", line], events=str(events))
    until(lambda: _ended(real, events))
    assert "red  text" in real.capture()
    assert "\x1b" not in real.capture()


@pytest.mark.parametrize("write", [False, True])
def test_keys_of_who_only_watches_go_nowhere(stage: Stage, until: Until, write: bool) -> None:
    if not isinstance(stage.terminal, Tmux):
        pytest.skip("there is nothing to attach to")
    stage.terminal.start(stage.reader(), events=str(stage.events))
    until(stage.ready)
    ours, theirs = pty.openpty()
    client = subprocess.Popen(
        stage.terminal.attach(write=write),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"TERM": "xterm-256color", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        os.read(ours, 1)  # it has drawn
        asked = ["tmux", "-S", stage.terminal.socket, "list-clients", "-F", "#{client_readonly}"]
        until(lambda: subprocess.check_output(asked, timeout=30).strip() == b"01"[write ^ 1 :][:1])
        os.write(ours, b"typed by a person")
        stage.terminal.keys("Enter")
        until(lambda: "\r" in stage.typed())
        if write:
            until(lambda: "typed by a person" in stage.typed())
        else:
            assert stage.typed() == "\r"
    finally:
        client.kill()
        client.wait(30)
        os.close(ours)
        os.close(theirs)


def test_without_tmux_the_error_says_how_to_install_it(socket: str) -> None:
    with pytest.raises(ToolError) as caught:
        Tmux(socket, program="no-such-tmux").pane()
    assert "not installed" in caught.value.problem


def test_a_tmux_that_is_too_old_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\necho tmux 2.9a\n")
    program.chmod(0o755)
    with pytest.raises(ToolError, match=r"tmux 3\.2 or later is needed, this is 'tmux 2\.9a'"):
        tmux.version(str(program))


# -- where it listens -------------------------------------------------------------------------


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[dict[str, str]]:
    folder = Path("/tmp") / f"attractor-test-{os.getpid()}-{id(tmp_path):x}"
    folder.mkdir(mode=0o700)
    yield {"XDG_RUNTIME_DIR": str(folder)}
    shutil.rmtree(folder)


def test_a_node_has_one_short_socket_of_its_own(runtime: dict[str, str]) -> None:
    long = "/a/very/long/path" * 20
    path = tmux.socket_path(long, "node", runtime)
    assert path == tmux.socket_path(long, "node", runtime)
    assert path != tmux.socket_path(long, "other", runtime)
    assert path != tmux.socket_path(long + "x", "node", runtime)
    assert path.startswith(runtime["XDG_RUNTIME_DIR"])
    assert len(os.fsencode(path)) < 100
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_a_runtime_folder_that_is_too_deep_or_not_ours_alone_is_not_used(
    runtime: dict[str, str],
) -> None:
    base = Path(runtime["XDG_RUNTIME_DIR"])
    deep = base / ("x" * 90)
    deep.mkdir(mode=0o700)
    shared = base / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for folder in (deep, shared, base / "missing", "relative"):
        path = tmux.socket_path("/run", "node", {"XDG_RUNTIME_DIR": str(folder)})
        assert os.path.dirname(path) == f"/tmp/attractor-{os.getuid()}"


@pytest.mark.parametrize("trap", ["link", "open", "file"])
def test_a_socket_folder_that_is_a_trap_is_refused(runtime: dict[str, str], trap: str) -> None:
    folder = Path(runtime["XDG_RUNTIME_DIR"]) / "attractor"
    if trap == "link":
        (folder.parent / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(folder.parent / "elsewhere")
    elif trap == "open":
        folder.mkdir()
        folder.chmod(0o755)
    else:
        folder.touch()
        folder.chmod(0o600)
    with pytest.raises(InputError) as caught:
        tmux.socket_path("/run", "node", runtime)
    assert caught.value.where == str(folder)


# -- the event --------------------------------------------------------------------------------


def test_the_event_follows_no_link_and_leaves_no_draft(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    with pytest.raises(OSError, match="link"):
        pane_died.main(str(link))
    assert os.listdir(real) == []
    pane_died.main(str(real))
    (name,) = os.listdir(real)
    assert not name.startswith(".")
