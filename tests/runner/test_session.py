"""Sessions without a model: programs as sessions, adoption, and what the interactive kind asks of
its terminal.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import signal as posix_signals
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import ToolError
from attractor.process import Process
from attractor.run.assignment import Assignment
from attractor.run.branch import node_branch
from attractor.run.layout import run_layout
from attractor.run.limits import Limits
from runner import environment, sandbox, worktree
from runner.git import Worktree
from runner.sandbox import Level
from runner.session import Launch, Session
from runner.sessions import claude, record
from runner.sessions.headless import Headless, shown
from runner.sessions.interactive import InteractiveSession, dialog
from runner.sessions.opening import open_session
from runner.sessions.record import Record
from runner.sessions.stage import Stage
from runner.sessions.turn_session import TurnSession
from runner.tmux import Pane
from runner.transcript import transcript_path
from signals.clock import SystemClock
from signals.owner import Owner, owner_of

Until = Callable[[Callable[[], bool]], None]
POLICY = Level(sandbox.POLICY, "off")
TASK = "Quotes \"'` and $(false) and \U0001f980\n\nand lines"


def git(folder: Path, *words: str) -> str:
    known = ["-c", "user.name=T", "-c", "user.email=t@t"]
    argv = ["git", "-C", str(folder), *known, *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@dataclass
class Node:
    """A node that is ready to be started."""

    assignment: Assignment
    worktree: Worktree
    environ: dict[str, str]
    opened: list[Session] = field(default_factory=list)

    def stage(self, level: Level = POLICY) -> Stage:
        return Stage(self.assignment, self.worktree, level, SystemClock(), self.environ)

    def open(self, level: Level = POLICY) -> Session:
        made = open_session(self.assignment, self.worktree, level, SystemClock(), self.environ)
        self.opened.append(made)
        return made

    def events(self) -> list[dict[str, Any]]:
        folder = Path(self.assignment.layout.events(self.assignment.node_id))
        return [json.loads(each.read_bytes()) for each in sorted(folder.glob("*.json"))]

    def kinds(self) -> list[str]:
        return [each["hook_event_name"] for each in self.events()]

    def marked(self) -> list[int]:
        """The living processes that carry the session's mark."""
        mark = f"ATTRACTOR_SESSION={environment.marker(self.assignment)}".encode()
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    found.append(int(name))
            except OSError:
                continue
        return found


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a short name, for sockets; `tmp_path` can be too long."""
    with tempfile.TemporaryDirectory(prefix="atr-") as folder:
        yield Path(folder)


@pytest.fixture
def node(tmp_path: Path, sockets: Path) -> Iterator[Callable[..., Node]]:
    """`node(**fields)`: a node in a project of its own; its sessions are ended after the test."""
    made: list[Node] = []

    def make(**fields: Any) -> Node:
        project = tmp_path / "project"
        project.mkdir()
        git(project, "init", "-q")
        git(project, "commit", "-q", "--allow-empty", "-m", "base")
        home = tmp_path / "home"
        home.mkdir()
        assignment = Assignment(
            run_id="r1",
            node_id="build",
            attempt=1,
            project=str(project),
            run_root=run_layout(str(project), "r1").root,
            base_commit=git(project, "rev-parse", "HEAD"),
            branch=node_branch("r1", "build"),
            worktree=str(project / ".claude" / "worktrees" / "build"),
            agent="command",
            command="true",
            limits=replace(Limits(), kill_grace=1.0),
        )
        assignment = replace(assignment, **fields)
        os.makedirs(assignment.run_root)
        environ = {"HOME": str(home), "PATH": os.environ["PATH"]}
        environ["XDG_RUNTIME_DIR"] = str(sockets)
        place = worktree.ensure(assignment, SystemClock())
        made.append(Node(assignment, place, environ))
        return made[-1]

    yield make
    for each in made:
        for session in each.opened:
            session.end()


def launch(prompt: str = TASK, **said: Any) -> Launch:
    return Launch(**({"number": 1, "session_id": "s-1", "resume": False, "prompt": prompt} | said))


def real_fence() -> Level:
    level = sandbox.probe(os.environ)
    if level.name != sandbox.BWRAP:
        pytest.skip(level.reason)
    return level


def any_readable(fds: tuple[int, ...]) -> bool:
    return bool(select.select(fds, (), (), 0)[0])


def wait_for_end(session: Session, until: Until) -> None:
    until(lambda: session.fds() == () or any_readable(session.fds()))


# A program as a session


@pytest.mark.parametrize("fenced", [False, True])
def test_a_program_gets_the_prompt_on_stdin_and_its_end_is_the_end_of_a_turn(
    node: Callable[..., Node], until: Until, fenced: bool
) -> None:
    one = node(command="cat > got.txt; echo said; echo ended")
    session = one.open(real_fence() if fenced else POLICY)
    session.start(launch())
    wait_for_end(session, until)
    assert session.look().alive is True
    assert (Path(one.assignment.worktree) / "got.txt").read_text() == TASK
    submitted, called, stopped = one.events()
    assert one.kinds() == ["UserPromptSubmit", "PreToolUse", "Stop"]
    assert submitted["prompt"] == TASK
    assert called["tool_name"] == "command"
    assert stopped["last_assistant_message"] == "said\nended"
    assert {each["source"] for each in one.events()} == {"attractor"}
    session.look()
    assert len(one.events()) == 3  # said once


def test_a_program_that_fails_has_crashed_with_its_status_and_last_lines(
    node: Callable[..., Node], until: Until
) -> None:
    one = node(command="echo before; echo why >&2; exit 7")
    session = one.open()
    session.start(launch())
    wait_for_end(session, until)
    look = session.look()
    assert (look.alive, look.exit_status, look.lost) == (False, 7, False)
    assert look.last_lines == "before\nwhy\n"
    assert "Stop" not in one.kinds()


def test_what_is_said_to_a_program_runs_it_again_with_the_text(
    node: Callable[..., Node], until: Until
) -> None:
    one = node(command="cat > got-$ATTRACTOR_TURN.txt")
    session = one.open()
    session.start(launch())
    wait_for_end(session, until)
    session.deliver("Message [say-1]")
    wait_for_end(session, until)
    assert (Path(one.assignment.worktree) / "got-2.txt").read_text() == "Message [say-1]"
    session.look()
    assert one.kinds().count("Stop") == 1  # that of the first turn was never looked for


def test_what_is_said_to_a_program_at_work_is_said_when_it_has_ended(
    node: Callable[..., Node], until: Until, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    one = node(command=f"cat > got-$ATTRACTOR_TURN.txt; test $ATTRACTOR_TURN = 2 || cat {gate}")
    session = one.open()
    session.start(launch())
    with pytest.raises(ToolError, match="still at work"):
        session.deliver("Message [say-1]")
    session.submit()
    assert one.kinds().count("UserPromptSubmit") == 1
    gate.write_text("")
    wait_for_end(session, until)
    session.submit()
    wait_for_end(session, until)
    assert (Path(one.assignment.worktree) / "got-2.txt").read_text() == "Message [say-1]"
    session.submit()
    assert one.kinds().count("UserPromptSubmit") == 2


def test_a_program_that_is_started_again_is_told_its_task_again(
    node: Callable[..., Node], until: Until
) -> None:
    one = node(command="cat")
    session = one.open()
    session.start(launch("The task."))
    wait_for_end(session, until)
    session.start(launch("Go on.", number=2, resume=True))
    wait_for_end(session, until)
    session.look()
    assert one.events()[-1]["last_assistant_message"] == "The task.\n\nGo on."


@pytest.mark.parametrize("fenced", [False, True])
def test_the_next_runner_adopts_the_turn_that_is_under_way_and_can_end_it(
    node: Callable[..., Node], until: Until, fenced: bool
) -> None:
    level = real_fence() if fenced else POLICY
    one = node(command="setsid tail -f /dev/null & echo began; tail -f /dev/null")
    one.open(level).start(launch())
    adopted = one.open(level)
    until(lambda: "began" in adopted.screen())
    assert adopted.look().alive is True
    assert len(adopted.fds()) == 1
    adopted.interrupt()
    assert adopted.look().alive is True  # we ended the turn, so it did not crash
    adopted.end()
    adopted.end()
    assert one.marked() == []
    known = record.load(one.assignment.layout.session("build"))
    assert known is not None
    assert known.launch == 0  # so nobody takes it for the first launch of the next attempt


def test_a_turn_whose_watcher_was_killed_is_lost_and_not_crashed(
    node: Callable[..., Node], until: Until
) -> None:
    one = node(command="setsid tail -f /dev/null & tail -f /dev/null")
    session = one.open()
    session.start(launch())
    known = record.load(one.assignment.layout.session("build"))
    assert known is not None
    assert known.owner is not None
    os.kill(known.owner.pid, posix_signals.SIGKILL)
    wait_for_end(session, until)
    look = session.look()
    assert (look.alive, look.lost) == (False, True)
    session.end()
    assert one.marked() == []


def test_the_launch_file_with_its_logins_is_for_nobody_else(node: Callable[..., Node]) -> None:
    one = node()
    one.open().start(launch())
    path = one.assignment.layout.launch("build")
    assert os.stat(path).st_mode & 0o777 == 0o600


# The record


def test_a_record_that_was_written_is_read_and_one_that_is_damaged_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "session.json")
    assert record.load(path) is None
    known = Record(
        kind="claude",
        session_id="s",
        worktree="/w",
        launch=3,
        owner=Owner(7, "8", "b:1"),
        attach=("tmux", "-r"),
    )
    record.save(path, known)
    assert record.load(path) == known
    no_number = json.dumps({"kind": "x", "session_id": "s", "worktree": "/w", "launch": "3"})
    for damaged in ("", "[]", "{}", '{"kind": "x"}', no_number, "[" * 10_000, "\udc80"):
        Path(path).write_text(damaged, errors="surrogateescape")
        assert record.load(path) is None


# The process


def test_a_process_is_known_by_its_identity_and_not_by_its_pid() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        found = owner_of(child.pid)
        assert found is not None
        known, stranger = Process(found), Process(found._replace(start="1"))
        assert (known.alive, stranger.alive) == (True, False)
        assert len(known.fds()) == 1
        assert stranger.fds() == ()
        stranger.kill()
        assert known.alive is True
        known.kill()
        assert known.alive is False
        assert known.fds() == ()


def test_an_end_wakes_whoever_sleeps_until_it_was_seen() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        watched, unwatched = Process(owner_of(child.pid)), Process(owner_of(child.pid))
        assert watched.alive is unwatched.alive is True
        assert not any_readable(watched.fds())
        child.kill()
        assert child.wait() == -posix_signals.SIGKILL
    for each in (watched, unwatched):  # the second has no process left that it could watch
        assert any_readable(each.fds())
        assert any_readable(each.fds())
        held = each.fds()[0]
        each.signal(posix_signals.SIGTERM)
        assert (each.alive, each.fds()) == (False, ())
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(held)


def test_no_process_is_dead_and_wakes_nobody() -> None:
    nobody = Process(None)
    assert (nobody.alive, nobody.fds(), nobody.wait(0)) == (False, (), True)


# The interactive kind and its terminal


class Terminal:
    """What the session asks of its terminal, and what it is shown."""

    def __init__(self) -> None:
        self.shown = "\u23f5\u23f5 bypass permissions on"
        self.at: Pane | None = Pane(False, None, None, os.getpid())
        self.asked: list[object] = []

    def start(self, argv: Sequence[str], *, events: str) -> None:
        self.asked.append(("start", argv, events))
        self.at = Pane(False, None, None, os.getpid())

    def pane(self) -> Pane | None:
        return self.at

    def capture(self, lines: int = 100) -> str:
        return "\n".join(self.shown.splitlines()[-lines:])

    def paste(self, text: str) -> bool:
        self.asked.append(("paste", text))
        return self.at is not None

    def keys(self, *names: str) -> bool:
        self.asked.append(names)
        return self.at is not None

    def kill(self) -> None:
        self.asked.append("kill")
        self.at = None

    def attach(self, *, write: bool = False) -> list[str]:
        return ["tmux", "attach"] if write else ["tmux", "attach", "-r"]


@pytest.fixture
def shown_one(node: Callable[..., Node]) -> tuple[InteractiveSession, Terminal]:
    terminal = Terminal()
    one = node(agent="claude")
    return InteractiveSession(one.stage(), terminal), terminal


TRUST = """
 Accessing workspace:
\u276f No, exit
  Yes, I trust this folder

 Enter to confirm · Esc to cancel
"""


def test_what_is_said_is_pasted_into_an_empty_box_and_entered(
    shown_one: tuple[InteractiveSession, Terminal],
) -> None:
    session, terminal = shown_one
    session.deliver("Message [say-1]")
    cleared, pasted, entered = terminal.asked
    assert isinstance(cleared, tuple)
    assert set(cleared) == {"C-u"}
    assert (pasted, entered) == (("paste", "Message [say-1]"), ("Enter",))


def test_nothing_is_typed_into_a_dialog_and_the_dialog_is_named(
    shown_one: tuple[InteractiveSession, Terminal],
) -> None:
    session, terminal = shown_one
    terminal.shown = TRUST
    assert "Yes, I trust this folder" in session.look().dialog
    with pytest.raises(ToolError, match="Yes, I trust this folder"):
        session.deliver("Message [say-1]")
    session.submit()
    assert terminal.asked == []


def test_a_message_that_looks_like_a_dialog_above_the_input_box_is_none() -> None:
    assert dialog(TRUST)
    box = "\u2500" * 80 + "\n\u276f \n" + "\u2500" * 80 + "\n  \u23f5\u23f5 bypass permissions on\n"
    assert dialog(f"{TRUST}{box}") == ""
    assert dialog(f"{TRUST}{box}\n \u25cf main\n \u25ef alice  idle\n") == ""
    assert dialog("") == ""


def test_a_terminal_that_is_gone_takes_nothing(
    shown_one: tuple[InteractiveSession, Terminal],
) -> None:
    session, terminal = shown_one
    terminal.at = None
    with pytest.raises(ToolError, match="gone"):
        session.deliver("Message [say-1]")


def test_a_pane_that_died_is_a_crash_and_a_server_that_is_gone_a_loss(
    node: Callable[..., Node],
) -> None:
    terminal = Terminal()
    terminal.at = None
    session = InteractiveSession(node(agent="claude").stage(), terminal)
    look = session.look()
    assert (look.alive, look.lost) == (False, True)
    terminal.at = Pane(True, 7, None, 1)
    terminal.shown = "why\n"
    look = session.look()
    assert (look.alive, look.lost, look.exit_status, look.last_lines) == (False, False, 7, "why")
    terminal.at = Pane(True, None, 9, 1)
    assert session.look().exit_status == -9


def test_a_process_that_lives_without_its_terminal_is_neither_alive_nor_dead(
    shown_one: tuple[InteractiveSession, Terminal],
) -> None:
    session, terminal = shown_one  # its process is the test's own
    terminal.at = None
    look = session.look()
    assert (look.alive, look.lost) == (None, False)


def test_a_person_watches_unless_writing_is_asked_for(
    shown_one: tuple[InteractiveSession, Terminal],
) -> None:
    session, _ = shown_one
    assert session.attach(write=False)[-1] == "-r"
    assert session.attach(write=True)[-1] != "-r"


# Claude Code's command line


def words(one: Node, said: Launch, **how: Any) -> list[str]:
    stage = one.stage()
    return claude.command_line(stage, said, stage.prepare(), **how)


def after(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_the_first_prompt_is_the_last_word_whatever_it_is(node: Callable[..., Node]) -> None:
    one = node(agent="claude", claude="/bin/claude", model="opus")
    argv = words(one, launch(f"--help {TASK}"))
    assert argv[-2:] == ["--", f"--help {TASK}"]
    assert (argv[0], after(argv, "--session-id"), after(argv, "--model")) == (
        "/bin/claude",
        "s-1",
        "opus",
    )
    assert "--dangerously-skip-permissions" in argv
    assert "--teammate-mode" not in argv
    settings = json.loads(Path(after(argv, "--settings")).read_text())
    assert settings["disableAllHooks"] is False
    assert settings["hooks"]["Stop"]
    assert "orchestrator" in Path(after(argv, "--append-system-prompt-file")).read_text()
    assert "worker" in json.loads(after(argv, "--agents"))


def test_a_prompt_that_is_too_long_for_an_argument_is_read_from_the_brief(
    node: Callable[..., Node],
) -> None:
    limits = replace(Limits(), max_prompt_bytes=10_000_000)
    one = node(agent="claude", claude="/bin/claude", limits=limits)
    said = "\U0001f980" * 40_000
    argv = words(one, launch(said))
    path = Path(one.assignment.layout.brief("build")) / "prompt.md"
    assert str(path) in argv[-1]
    assert path.read_text() == said
    short = node_limits(one, 1_000)
    assert "prompt.md" in words(short, launch("x" * 1_001))[-1]
    assert words(short, launch("x" * 1_000))[-1] == "x" * 1_000


def node_limits(one: Node, most: int) -> Node:
    limits = replace(Limits(), max_prompt_bytes=most)
    return replace(one, assignment=replace(one.assignment, limits=limits))


def lines(*said: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in said)


def begun(one: Node, session_id: str) -> None:
    """Put a transcript where Claude Code would."""
    folder = one.stage().config
    path = Path(transcript_path(folder, one.assignment.work_folder, session_id))
    path.parent.mkdir(parents=True)
    path.write_text(lines({"type": "mode", "mode": "normal"}, {"type": "user", "message": {}}))


def test_a_start_that_is_repeated_resumes_what_the_first_has_begun(
    node: Callable[..., Node],
) -> None:
    one = node(agent="claude", claude="/bin/claude")
    words(one, launch())
    begun(one, "s-1")
    argv = words(one, launch())
    assert after(argv, "--resume") == "s-1"
    assert "--session-id" not in argv


def test_a_conversation_that_never_began_is_begun_with_its_task(node: Callable[..., Node]) -> None:
    one = node(agent="claude", claude="/bin/claude")
    words(one, launch("The task."))
    argv = words(one, launch("Your session was lost.", resume=True))
    assert after(argv, "--session-id") == "s-1"
    assert argv[-1] == "The task."
    begun(one, "s-1")
    argv = words(one, launch("Your session was lost.", resume=True))
    assert after(argv, "--resume") == "s-1"
    assert argv[-1] == "Your session was lost."
    assert (Path(one.assignment.layout.brief("build")) / "prompt.md").read_text() == "The task."


def test_a_transcript_in_which_nothing_was_said_is_no_conversation(
    node: Callable[..., Node],
) -> None:
    one = node(agent="claude", claude="/bin/claude")
    words(one, launch("The task."))
    begun(one, "s-1")
    folder = one.stage().config
    path = Path(transcript_path(folder, one.assignment.work_folder, "s-1"))
    empty = lines({"type": "mode", "mode": "user"}, {"type": "permission-mode"}, {"type": "latch"})
    path.write_text(empty)
    argv = words(one, launch("Your session was lost.", resume=True))
    assert after(argv, "--session-id") == "s-1"
    assert argv[-1] == "The task."
    assert not os.path.lexists(path)  # or Claude Code would say that the id is in use
    assert path.with_name("s-1.jsonl.aside").read_text() == empty


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_no_transcript_is_neither_read_nor_left_in_the_way(
    node: Callable[..., Node], tmp_path: Path, kind: str
) -> None:
    one = node(agent="claude", claude="/bin/claude")
    begun(one, "s-1")
    folder = one.stage().config
    path = Path(transcript_path(folder, one.assignment.work_folder, "s-1"))
    elsewhere = path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(elsewhere)
    else:
        os.mkfifo(path)
    assert after(words(one, launch()), "--session-id") == "s-1"
    assert not os.path.lexists(path)
    assert elsewhere.exists()


def test_teammates_are_asked_for_in_the_same_process(node: Callable[..., Node]) -> None:
    one = node(agent="claude", claude="/bin/claude", workers="team")
    assert after(words(one, launch()), "--teammate-mode") == "in-process"


def test_claude_that_is_nowhere_is_named_and_none_is_taken_from_where_we_are(
    node: Callable[..., Node], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = node(agent="claude")
    player(tmp_path, "exit 0")
    monkeypatch.chdir(tmp_path)
    one.environ["PATH"] = "/nowhere:relative:"
    with pytest.raises(ToolError, match="Claude Code is not installed"):
        claude.program(one.stage())


# A headless Claude Code, played by a shell


def line(**said: Any) -> str:
    return shlex.quote(json.dumps(said))


def player(tmp_path: Path, script: str) -> str:
    path = tmp_path / "claude"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "alive", "status"),
    [
        (f"echo {line(type='result', subtype='success')}", True, None),
        (f"echo {line(type='result', subtype='success', is_error=True)}; exit 1", True, None),
        (f"echo {line(type='result', subtype='error_during_execution')}; exit 1", False, 1),
        ('echo \'{"type":"system"}\'', False, 0),
        ("echo nothing; exit 3", False, 3),
        ("kill -9 $$", False, -9),
    ],
)
def test_a_headless_turn_has_ended_only_with_a_result(
    node: Callable[..., Node],
    tmp_path: Path,
    until: Until,
    script: str,
    alive: bool,
    status: int | None,
) -> None:
    one = node(agent="claude-headless", claude=player(tmp_path, script))
    session = one.open()
    session.start(launch())
    wait_for_end(session, until)
    look = session.look()
    assert (look.alive, look.exit_status, look.lost) == (alive, status, False)


def test_what_a_headless_turn_prints_is_shown_as_a_person_would_want_it() -> None:
    said = [
        {"type": "system", "subtype": "init"},
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "I look."}]}},
        {
            "type": "assistant",
            "message": {
                "content": [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]
            },
        },
        {"type": "user", "message": {"content": [{"type": "tool_result", "content": "a b"}]}},
        {"type": "user", "message": {"content": "text"}},
        {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 529"},
    ]
    out = "\n".join([*map(json.dumps, said), "not json", "[1]", '{"torn'])
    assert shown(out) == ["I look.", '* Bash {"command": "ls"}', "  a b", "! API Error: 529"]


def test_each_kind_of_agent_has_its_session(node: Callable[..., Node]) -> None:
    one = node(agent="claude-headless")
    session = one.open()
    assert isinstance(session, TurnSession)
    assert isinstance(session.program, Headless)
    assert session.attach(write=True) == []


def test_a_death_that_the_terminal_does_not_know_yet_is_waited_for(
    node: Callable[..., Node],
) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        terminal = Terminal()
        terminal.at = Pane(False, None, None, child.pid)
        session = InteractiveSession(node(agent="claude").stage(), terminal)
        assert session.look().alive is True
        child.kill()
        child.wait()
        panes = iter([Pane(False, None, None, child.pid), Pane(True, None, 9, child.pid)])
        terminal.pane = lambda: next(panes)  # type: ignore[method-assign]
        assert session.look().exit_status == -9
