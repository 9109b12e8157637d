"""A Runner that is driven by hand: events, worktree and clock are set, the session is a double."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attractor.run.assignment import Assignment
from attractor.run.limits import Limits
from runner.children import Result
from runner.facts import Promise
from runner.loop import Loop
from runner.perform import Performer
from runner.post import Post
from runner.session import Launch, Look
from runner.timeline import Timeline
from signals import kinds
from signals.mailbox import Mailbox
from signals.sign import new_key, write_key

HEAD, NEXT = "a" * 40, "b" * 40


@dataclass
class Tree:
    head: str = HEAD
    commits: int = 0
    dirty: bool = False
    branch_ok: bool = True
    fingerprint: str = "f"


@dataclass
class Double:
    """A session that does nothing and remembers everything."""

    seen: Look = field(default_factory=lambda: Look(alive=True))
    done: list[tuple[str, Any]] = field(default_factory=list)
    record: Path | None = None

    def start(self, launch: Launch) -> None:
        self.done.append(("start", launch))
        self.seen = Look(alive=True)
        assert self.record
        said = {"launch": launch.number, "session_id": launch.session_id}
        self.record.write_text(json.dumps(said))

    def look(self) -> Look:
        return self.seen

    def screen(self) -> str:
        return "the screen"

    def deliver(self, text: str) -> None:
        self.done.append(("deliver", text))

    def submit(self) -> None:
        self.done.append(("submit", None))

    def interrupt(self) -> None:
        self.done.append(("interrupt", None))

    def end(self) -> None:
        self.done.append(("end", None))

    def attach(self, *, write: bool) -> list[str]:
        del write
        return []

    def fds(self) -> tuple[int, ...]:
        return ()

    def words(self) -> list[str]:
        return [what for what, _ in self.done]


@dataclass
class Answers:
    """The children: what they were asked, and what they answer next."""

    folder: str
    asked: list[str] = field(default_factory=list)
    ready: list[Result] = field(default_factory=list)

    def check(self, head: str) -> None:
        self.asked.append(f"check-{head}")

    def ask(self, turn: int, message: str, screen: str) -> None:
        del message, screen
        self.asked.append(f"opinion-{turn}")

    def results(self) -> list[Result]:
        ready, self.ready = self.ready, []
        return ready

    def runs(self, name: str) -> bool:
        del name
        return False

    def deadline(self) -> float | None:
        return None

    def fds(self) -> tuple[int, ...]:
        return ()

    def end(self) -> None:
        self.asked.append("end")


class Night:
    """One node's Runner, driven by hand."""

    def __init__(self, folder: Path, clock: Any, **changes: Any) -> None:
        self.clock = clock
        project = folder / "project"
        limits = Limits(**changes.pop("limits", {}))
        self.assignment = Assignment(
            run_id="r1",
            node_id="build",
            attempt=1,
            project=str(project),
            run_root=str(folder / "run"),
            base_commit=HEAD,
            branch="attractor/r1/build",
            worktree=str(project / ".claude/worktrees/build"),
            limits=limits,
            **changes,
        )
        layout = self.layout = self.assignment.layout
        for each in (layout.events("build"), layout.inbox("build"), layout.results("build")):
            Path(each).mkdir(parents=True, exist_ok=True)
        self.key = new_key()
        write_key(layout.key, self.key)
        self.guardian = Mailbox(layout.guardian_mailbox, key=self.key, clock=clock)
        self.guardian.create()
        self.to_runner = Mailbox(layout.runner_mailbox("build"), key=self.key, clock=clock)
        self.to_runner.create()
        self.tree, self.promise = Tree(), Promise.NONE
        self.session = Double(record=Path(layout.session("build")))
        self.children: Any = Answers(layout.results("build"))
        self.events = 0
        self.all: dict[str, str] = {}  # every signal that the Guardian ever heard, by id
        self.loop = self.runner()
        self.loop.begin()
        self.loop.step()

    def runner(self) -> Loop:
        layout = self.layout
        timeline = Timeline(layout.timeline("build"), layout.pane_log("build"), self.clock)
        post = Post(self.assignment, self.clock)
        session, children = self.session, self.children
        return Loop(
            self.assignment,
            session=session,
            look_at_tree=lambda: replace(self.tree),
            promise=lambda _: self.promise,
            usage=lambda state: state,
            first_prompt=lambda: "Build it.",
            post=post,
            children=children,
            performer=Performer(self.assignment, session, post, children, timeline, self.clock),
            timeline=timeline,
            blindness="bwrap",
            clock=self.clock,
        )

    def crash(self) -> None:
        """Kill the Runner, and start another."""
        self.loop = self.runner()
        self.loop.begin()
        self.loop.step()

    def happen(self, kind: str, **data: Any) -> None:
        """One event of the session's hooks."""
        self.events += 1
        name = f"{self.clock.wall_ns() + self.events:020d}-7.json"
        body = data if "attractor" in data else {"hook_event_name": kind, **data}
        (Path(self.layout.events("build")) / name).write_text(json.dumps(body))

    def turn(self, message: str = "Done so far.", **data: Any) -> list[str]:
        """A whole turn that ends with this message; returns what the Guardian heard."""
        self.happen("UserPromptSubmit", prompt=self.typed())
        self.happen("Stop", last_assistant_message=message, **data)
        return self.step()

    def typed(self) -> str:
        texts = [what for how, what in self.session.done if how == "deliver"]
        return texts[-1] if texts else "Build it."

    def step(self, seconds: float = 0) -> list[str]:
        self.clock.advance(seconds)
        self.loop.step()
        return self.heard()

    def heard(self) -> list[str]:
        """What came to the Guardian since the last time."""
        folder = Path(self.guardian.folder)
        # The clock stands still, so names do not tell the order here.
        deliveries = sorted(
            self.guardian.drain(), key=lambda each: (folder / each.name).stat().st_ctime_ns
        )
        self.guardian.acknowledge(*(each.name for each in deliveries))
        self.signals = [each.signal for each in deliveries]
        self.all |= {each.id: each.signal_type for each in self.signals}
        return [each.signal_type for each in self.signals]

    def order(self, payload: kinds.AnyPayload, source: str = "guardian") -> list[str]:
        signal = kinds.compose(source, "runner", payload, run_id="r1", node_id="build", attempt=1)
        self.to_runner.send(signal)
        return self.step()

    def commit(self, head: str = NEXT, commits: int = 1) -> None:
        self.tree = Tree(head=head, commits=commits, fingerprint=head)


@pytest.fixture
def night(tmp_path: Path, clock: Any) -> Callable[..., Night]:
    """`night(checks=..., limits={...})`: a Runner whose session has just been started."""

    def begin(**changes: Any) -> Night:
        made = Night(tmp_path, clock, **changes)
        assert made.heard() == ["AGENT_REGISTERED"]
        return made

    return begin


@pytest.fixture
def unheard() -> type[Night]:
    """`unheard(folder, clock)`: the same, and nobody has heard of it yet."""
    return Night
