"""Sessions with the real Claude Code, in real tmux and git, behind the real fence."""

from __future__ import annotations

import json
import os
import select
import signal as posix_signals
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.rehearsal import environment
from attractor.rehearsal.server import ScriptedServer
from attractor.run.assignment import Assignment
from attractor.run.branch import node_branch
from attractor.run.layout import run_layout
from attractor.run.limits import Limits
from runner import sandbox, worktree
from runner.git import Worktree
from runner.sandbox import Level
from runner.session import Launch, Session
from runner.sessions.opening import open_session
from runner.sessions.stage import Stage
from runner.transcript import transcript_path
from signals.clock import SystemClock

DEADLINE_SECONDS = 30.0
HOSTILE = "Quotes \"'` and $(touch /tmp/never) and \U0001f980 and %s {} \\ \n\n  -- \ttabs\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@t", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


@dataclass
class Node:
    """One node with its scripted model, and whatever is open of its session."""

    assignment: Assignment
    worktree: Worktree
    server: ScriptedServer
    opened: list[Session]
    environ: dict[str, str]
    level: Level | None = None

    def open(self, wanted: str = sandbox.BWRAP) -> Session:
        """The session, as a Runner that is started now opens it."""
        level = sandbox.probe(os.environ)
        level = Level(sandbox.POLICY, "off") if wanted == sandbox.POLICY else level
        if level.name != wanted:
            pytest.skip(level.reason)
        self.level = level
        session = open_session(self.assignment, self.worktree, level, SystemClock(), self.environ)
        self.opened.append(session)
        return session

    @property
    def folder(self) -> Path:
        return Path(self.assignment.layout.events(self.assignment.node_id))

    def events(self, kind: str) -> list[dict[str, Any]]:
        said = [json.loads(each.read_bytes()) for each in sorted(self.folder.glob("*.json"))]
        return [each for each in said if each.get("hook_event_name") == kind]

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"it did not happen in time; the screen:\n{self.opened[-1].screen()}")
            os.sched_yield()

    def turns(self, count: int) -> None:
        """Wait until so many turns have ended."""
        self.until(lambda: len(self.events("Stop")) >= count)

    def transcript(self, session_id: str) -> str:
        config = self.assignment.layout.config(self.assignment.node_id)
        path = Path(transcript_path(config, self.assignment.work_folder, session_id))
        return path.read_text() if path.exists() else ""

    def prompts(self, session_id: str) -> list[str]:
        """Every prompt as the session took it."""
        written = self.transcript(session_id)
        whole = written[: written.rfind("\n") + 1]  # the last line may be half written
        lines = [json.loads(line) for line in whole.splitlines()]
        said = [each["message"]["content"] for each in lines if each["type"] == "user"]
        return [each for each in said if isinstance(each, str)]

    def process(self) -> int:
        path = self.assignment.layout.session(self.assignment.node_id)
        owner: dict[str, Any] = json.loads(Path(path).read_text())["owner"]
        return int(owner["pid"])


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a short name, for sockets; `tmp_path` can be too long."""
    with tempfile.TemporaryDirectory(prefix="atr-") as folder:
        yield Path(folder)


@pytest.fixture
def node(
    tmp_path: Path,
    scripted: Callable[[str], ScriptedServer],
    claude_binary: str,
    project: Path,
    sockets: Path,
) -> Iterator[Callable[..., Node]]:
    """`node(yaml, **fields)`: a node that is ready to be started. Ended after the test."""
    made: list[Node] = []

    def make(text: str, **fields: Any) -> Node:
        git(project, "commit", "-q", "--allow-empty", "-m", "base")
        server = scripted(text)
        assignment = Assignment(
            run_id="r1",
            node_id="build",
            attempt=1,
            project=str(project),
            run_root=run_layout(str(project), "r1").root,
            base_commit=git(project, "rev-parse", "HEAD"),
            branch=node_branch("r1", "build"),
            worktree=str(project / ".claude" / "worktrees" / "build"),
            base_url=server.base_url,
            claude=claude_binary,
            limits=replace(Limits(), kill_grace=1.0),
        )
        assignment = replace(assignment, **fields)
        os.makedirs(assignment.run_root)
        place = worktree.ensure(assignment, SystemClock())
        environ = {**os.environ, "XDG_RUNTIME_DIR": str(sockets)}
        made.append(Node(assignment, place, server, [], environ))
        return made[-1]

    yield make
    for each in made:
        for session in each.opened:
            session.end()


def launch(prompt: str, **said: Any) -> Launch:
    given = {"number": 1, "session_id": str(uuid.uuid4()), "resume": False}
    return Launch(prompt=prompt, **(given | said))


def left(node: Node) -> list[str]:
    """Processes that work in the node's worktree or carry its name."""
    wanted = node.assignment.worktree.encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            cwd = os.readlink(f"/proc/{pid}/cwd").encode()
        except OSError:
            continue
        if wanted in line or cwd.startswith(wanted):
            found.append(f"{pid} {line!r:.200}")
    return found


TWO_TURNS = """
version: 1
roles:
  orchestrator:
    - say: "First."
    - say: "Second."
    - say: "Third."
"""


def test_a_session_starts_without_a_dialog_takes_any_prompt_and_is_adopted_resumed_and_ended(
    node: Callable[..., Node],
) -> None:
    one = node(TWO_TURNS)
    first = one.open()
    begin = launch((HOSTILE * 2000)[:90_000])
    first.start(begin)
    one.turns(1)
    one.until(lambda: one.prompts(begin.session_id) == [begin.prompt])
    assert first.look().alive is True

    # A second Runner, after the first was killed.
    second = one.open()
    assert second.look().alive is True
    assert len(second.fds()) == 1
    second.deliver("Message [say-1] from your supervisor: go on\nand on.\n\nEnd of the message.")
    one.turns(2)
    assert any("[say-1]" in each["prompt"] for each in one.events("UserPromptSubmit"))
    one.until(lambda: "Second." in second.screen())

    # The session's process is killed; its conversation is not lost.
    one.until(lambda: '"Second."' in one.transcript(begin.session_id))
    os.kill(one.process(), posix_signals.SIGKILL)
    one.until(lambda: second.look().alive is False)
    assert second.look().lost is False
    third = one.open()
    third.start(replace(begin, number=2, resume=True, prompt="Your session was lost."))
    one.turns(3)
    assert [each.turn for each in one.server.requests if each.tools] == [0, 1, 2]

    third.end()
    assert third.look().alive is False
    one.until(lambda: not left(one))  # a process that is killed takes a moment to be gone


def test_what_was_typed_and_never_submitted_is_not_submitted_with_the_next(
    node: Callable[..., Node],
) -> None:
    one = node(TWO_TURNS)
    session = one.open()
    session.start(launch("Begin."))
    one.turns(1)
    typed = (("one line", "one line"), ("three\nlines\nlong", "long"), ("x" * 3000, "Pasted"))
    for number, (lost, shown) in enumerate(typed, 2):
        session._terminal.paste(lost)  # type: ignore[attr-defined]
        one.until(lambda shown=shown: shown in session.screen())
        text = f"Message {number} from your supervisor."
        session.deliver(text)
        one.turns(number)
        assert one.events("UserPromptSubmit")[-1]["prompt"] == text


def is_over(session: Session) -> bool:
    """Say whether no process of the session runs."""
    fds = session.fds()
    return not fds or bool(select.select(fds, (), (), 0)[0])


def test_a_headless_session_has_a_process_for_each_turn_and_the_same_events(
    node: Callable[..., Node],
) -> None:
    one = node(TWO_TURNS, agent="claude-headless")
    first = one.open()
    begin = launch(HOSTILE)
    first.start(begin)
    one.turns(1)
    one.until(lambda: is_over(first))
    assert first.look().alive is True  # between turns nobody lives, and that is no death
    assert one.prompts(begin.session_id) == [begin.prompt]

    second = one.open()
    second.deliver("Message [say-1] from your supervisor.")
    one.turns(2)
    assert "[say-1]" in one.events("UserPromptSubmit")[-1]["prompt"]
    one.until(lambda: is_over(second))
    assert "Second." in second.screen()
    assert [each.turn for each in one.server.requests if each.tools] == [0, 1]
    second.end()
    one.until(lambda: not left(one))


AT_WORK = """
version: 1
roles:
  orchestrator:
    - run: "setsid tail -f /dev/null & setsid nohup tail -f /dev/null & tail -f /dev/null"
    - say: "After."
"""


@pytest.mark.parametrize("agent", ["claude", "claude-headless"])
def test_an_interrupted_turn_is_no_death_and_the_next_prompt_goes_on(
    node: Callable[..., Node], agent: str
) -> None:
    one = node(AT_WORK, agent=agent)
    session = one.open()
    session.start(launch("Begin."))
    one.until(lambda: one.events("PreToolUse"))
    session.interrupt()
    assert session.look().alive is True
    session.deliver("Message [say-1] from your supervisor.")
    one.turns(1)
    session.end()
    one.until(lambda: not left(one))


@pytest.mark.parametrize("level", ["bwrap", "policy"])
def test_what_a_tool_left_running_ends_with_the_session(
    node: Callable[..., Node], level: str
) -> None:
    one = node(AT_WORK)
    session = one.open(level)
    session.start(launch("Begin."))
    one.until(lambda: sum("tail" in each for each in left(one)) >= 3)
    os.kill(one.process(), posix_signals.SIGKILL)
    session.end()
    one.until(lambda: not left(one))


DELEGATED = """
version: 1
roles:
  orchestrator:
    - tool: {name: Agent, input: {description: d, prompt: "Do it.", subagent_type: worker%s}}
    - say: "I wait."
    - say: "It is done."
  agent:worker:
    - run: "echo x > f.txt && git add f.txt && git commit -qm 'Add f' && git log --format=%%s"
    - say: "Committed."
"""
FORBIDDEN = {
    "AskUserQuestion",
    "CronCreate",
    "EnterWorktree",
    "ScheduleWakeup",
    "WebFetch",
    "Workflow",
}


@pytest.mark.parametrize("workers", ["subagent", "team"])
def test_a_worker_of_ours_writes_and_commits_and_the_session_has_no_tool_that_waits(
    node: Callable[..., Node], workers: str
) -> None:
    team = workers == "team"
    one = node(DELEGATED % (", name: alice" if team else ""), workers=workers)
    session = one.open()
    session.start(launch("Begin."))
    one.turns(2)
    assert git(Path(one.assignment.worktree), "log", "--format=%s") == "base"  # not published yet
    own_ref = Path(one.worktree.own_ref).read_text().strip()
    assert git(Path(one.assignment.project), "log", "-1", "--format=%s", own_ref) == "Add f"
    offered = {each.role: set(each.tools) for each in one.server.requests if each.tools}
    assert not FORBIDDEN & offered["orchestrator"]
    assert "Agent" not in offered["agent:worker"]
    assert ("SendMessage" in offered["agent:worker"]) is team
    assert bool(one.events("TeammateIdle")) is team


OF_A_PERSON = """
version: 1
roles:
  main:
    - say: "First."
    - say: "Second."
"""


@pytest.mark.parametrize("level", ["bwrap", "policy"])
def test_a_real_run_has_the_person_s_login_and_changes_nothing_of_theirs(
    node: Callable[..., Node], tmp_path: Path, level: str
) -> None:
    one = node(OF_A_PERSON, base_url="")
    home = tmp_path / "person"
    environment.seed_config(str(home / ".claude"), one.assignment.project)
    # A person's own state lies beside that folder, not in it.
    (home / ".claude" / ".claude.json").rename(home / ".claude.json")
    one.environ = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "ANTHROPIC_BASE_URL": one.server.base_url,
        "ANTHROPIC_AUTH_TOKEN": "the person's",
        "GITHUB_TOKEN": "not for a session",
        "XDG_RUNTIME_DIR": one.environ["XDG_RUNTIME_DIR"],
    }
    before = {each: each.read_bytes() for each in home.rglob("*") if each.is_file()}
    session = one.open(level)
    begin = launch("Begin.")
    session.start(begin)
    one.turns(1)
    session.deliver("Message [say-1] from your supervisor.")
    one.turns(2)
    assert {each.role for each in one.server.requests} == {"main"}
    session.end()
    if level == sandbox.BWRAP:
        assert {each: each.read_bytes() for each in home.rglob("*") if each.is_file()} == before
    assert one.level is not None
    config = Stage(one.assignment, one.worktree, one.level, SystemClock(), one.environ).config
    path = transcript_path(config, one.assignment.work_folder, begin.session_id)
    assert "Second." in Path(path).read_text()
