"""A plan is made: the planner is asked, what it says is checked, and the plan is published.

Guaranteed: what is published lints clean and has no faults that code can find; nothing is
overwritten; what was refused is kept with the reasons. The planner reads the project and writes
nothing. Nobody has approved the plan then: `attractor.plan.books` is for after that.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor import git
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.errors import AttractorError, InputError, ToolError
from attractor.memory.brief import brief
from attractor.memory.places import home
from attractor.plan import books, drawn, question, write
from attractor.plan.detect import detect
from attractor.plan.draft import SCHEMA_VERSION, Draft, as_text, draft
from attractor.plan.drawn import Gate
from attractor.plan.goal import Goal
from attractor.plan.model import Plan, Project, Scope
from attractor.plan.pipeline_text import Names
from attractor.plan.planner import Ask, Desk, planner
from attractor.project.model import project_in
from attractor.run import config
from attractor.run.config import Settings
from attractor.run.hide import hide_ours
from attractor.scratch import scratch
from signals.clock import Clock, iso

ROUNDS: Final = 3
REQUESTS: Final = "requests.jsonl"
_MEMORY_TOKENS: Final = 4_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be planned, and for which project."""

    project: str
    """The main checkout that is worked in: `project_of` finds it."""
    goal: Goal
    scope: Scope = Scope.STANDARD
    name: str = ""
    """Empty for the one that the planner gives."""
    settings: tuple[str, ...] = ()
    rehearsed: bool = False
    base_url: str = ""
    """Of the scripted model, in a rehearsal that has one already."""
    broken: int = 0
    """How many answers cannot pass the checks, in a rehearsal that has none yet."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan that is there."""

    project: str
    folder: str
    name: str
    dot: str
    prd: str
    plan: Plan
    """As the pipeline has it."""
    names: Names
    scope: Scope
    goal: str
    detected: Project
    gates: tuple[Gate, ...] = ()
    rehearsed: bool = False
    rounds: int = 1
    usage: Mapping[str, Any] = field(default_factory=dict)


def project_of(start: str) -> str:
    """Return the checkout around a folder; the folder itself where there is none."""
    if not os.path.isdir(start):
        raise InputError("there is no such folder", where=start, fix="check --project")
    return config.find_project(start) or os.path.realpath(start)


def found(project: str, name: str) -> Planned:
    """Return a plan of this project that is there already, by its name or its folder."""
    folder = name if os.sep in name else write.plan_folder(project, name)
    return found_in(os.path.realpath(folder), project)


def found_in(folder: str, project: str) -> Planned:
    """Return the plan in this folder, as its files have it; InputError where there is none."""
    known = write.load(folder)
    try:
        found = drawn.read(folder, project, known)
        return Planned(
            project=project,
            folder=folder,
            name=found.names.plan,
            dot=os.path.join(folder, f"{found.names.plan}.dot"),
            prd=found.prd,
            plan=found.plan,
            names=found.names,
            gates=found.gates,
            scope=Scope(known["scope"]),
            goal=known["goal"],
            detected=project_in(known["detected"]),
            rehearsed=known["rehearsed"],
            rounds=known["rounds"],
            usage=known["usage"],
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        fix = "have the plan made again: attractor plan"
        raise InputError("this is no plan that was made here", where=folder, fix=fix) from None


def plan(
    asked: Asked,
    clock: Clock,
    *,
    environ: Mapping[str, str] | None = None,
    ask: Ask | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Planned:
    """Have a plan made and publish it; InputError or ToolError where there is none to publish."""
    around = os.environ if environ is None else environ
    settings = config.resolve({}, {}, config.load(asked.project, around, asked.settings))
    write.check_place(asked.project)  # before anybody is asked, which costs
    project = detect(asked.project, clock)
    known = _memory(asked, settings, clock)
    with contextlib.ExitStack() as stack:
        log = os.path.join(stack.enter_context(scratch("asked")), REQUESTS)
        desk = Desk(
            project=asked.project,
            goal=asked.goal,
            rehearsed=asked.rehearsed,
            base_url=asked.base_url,
            broken=asked.broken,
            log=log,
        )
        asks = ask or stack.enter_context(planner(desk, settings, clock, around))
        making = _Making(asked, project, known, clock, around, tell, log)
        return making.publish(making.asked(asks))


class _Making:
    """One plan in the making."""

    def __init__(
        self,
        asked: Asked,
        project: Project,
        memory: str,
        clock: Clock,
        environ: Mapping[str, str],
        tell: Callable[[str], object],
        log: str,
    ) -> None:
        self._asked = asked
        self._log = log
        self._project = project
        self._memory = memory
        self._clock = clock
        self._environ = environ
        self._tell = tell
        self._answers: list[Answer] = []

    def asked(self, ask: Ask) -> Draft:
        """Return a draft without faults; an error says where there is none."""
        refused: Draft | None = None
        folders: list[str] = []
        while len(self._answers) < ROUNDS:
            number = len(self._answers) + 1
            self._tell(f"the planner is asked ({number} of {ROUNDS} at most)")
            said = as_text(self._answers[-1].structured) if refused else ""
            answer = ask(self._prompt(said, refused), number)
            self._answers.append(answer)
            if not answer.ok:
                raise _unanswered(answer, folders)
            found = self._draft(answer.structured)
            if not found.faults:
                return found
            refused = found
            _hide(self._asked.project)
            said = as_text(answer.structured)
            folders.append(write.put_aside(self._asked.project, said, found.files, found.faults))
            faults = f"{len(found.faults)} fault{'s' if len(found.faults) > 1 else ''}"
            self._tell(f"refused: {faults}, see {folders[-1]}")
        assert refused is not None
        raise _refused(refused, folders)

    def _prompt(self, said: str, refused: Draft | None) -> str:
        return question.prompt(
            self._asked.goal,
            self._asked.scope,
            memory=self._memory,
            project=self._project.as_text(),
            refused=said,
            faults=refused.faults if refused else (),
        )

    def _draft(self, said: Mapping[str, Any]) -> Draft:
        wanted = write.plain_name(self._asked.name or said["name"])
        project, environ = self._asked.project, self._environ
        name = write.free_name(wanted, lambda each: books.is_taken(project, each, environ))
        ids = [str(each["id"]) for each in said["nodes"]]
        return draft(said, books.names(project, name, ids), self._asked.scope, self._project)

    def publish(self, found: Draft) -> Planned:
        """Give the plan its folder, under a name that nobody has."""
        asked, names = self._asked, found.names
        folder = write.plan_folder(asked.project, names.plan)
        usage = sum((each.usage for each in self._answers), Usage()).as_json()
        _hide(asked.project)
        try:
            files = {**found.files, **self._requests()}
            write.publish(folder, files, self._known(found, usage), self._clock)
        except write.TakenError:
            # Another process was faster; what was paid for is published under the next name.
            if not books.is_taken(asked.project, names.plan, self._environ):
                raise
            return self.publish(self._draft(self._answers[-1].structured))
        return found_in(folder, asked.project)

    def _requests(self) -> dict[str, str]:
        """Return what the scripted model of a rehearsal was asked, as a file of the plan."""
        with contextlib.suppress(FileNotFoundError), open(self._log, encoding="utf-8") as file:
            return {REQUESTS: file.read()}
        return {}

    def _known(self, found: Draft, usage: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._asked
        given = [
            {"name": each.name, "bytes": each.size, "taken": each.taken}
            for each in asked.goal.documents
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "made_at": iso(self._clock.wall_ns()),
            "goal": asked.goal.text,
            "context": given,
            "notes": list(asked.goal.notes),
            "scope": asked.scope.value,
            "rehearsed": asked.rehearsed,
            "rounds": len(self._answers),
            "usage": usage,
            "names": found.names._asdict(),
            "detected": self._project.as_json(),
            "plan": self._answers[-1].structured,
        }


def _memory(asked: Asked, settings: Settings, clock: Clock) -> str:
    if "memory" in settings.values and settings.word("memory") == "off":
        return ""
    goal = asked.goal.text
    where = home(asked.project, rehearsed=asked.rehearsed)
    return brief(where, goal, tokens=_MEMORY_TOKENS, role=question.ROLE, clock=clock)


def _hide(project: str) -> None:
    """Let git ignore our folders, where the project is a repository."""
    if os.path.lexists(os.path.join(project, ".git")):
        hide_ours(git.repository(project).common)


# What went wrong.


def _unanswered(answer: Answer, folders: list[str]) -> AttractorError:
    kept: dict[str, Any] = {"refused": folders} if folders else {}
    if answer.error_class is ErrorClass.RATE_LIMIT:
        when = "" if answer.retry_at is None else f" until {iso(int(answer.retry_at * 1e9))[:19]}Z"
        details = kept if answer.retry_at is None else {"retry_at": answer.retry_at, **kept}
        fix = "do the same again then" if when else "do the same again later"
        return ToolError(f"the planner's model takes no questions{when}", fix=fix, **details)
    fix = "see that Claude Code works here: attractor doctor; then do the same again"
    return ToolError(f"the planner gave no plan: {answer.error}", fix=fix, **kept)


def _refused(found: Draft, folders: list[str]) -> InputError:
    told = "; ".join(
        f"{each.node}: {each.problem}" if each.node else each.problem for each in found.faults[:5]
    )
    return InputError(
        f"the planner made no plan that can be carried out in {ROUNDS} rounds; at last: {told}",
        where=os.path.dirname(folders[-1]),
        fix="read the drafts and the reasons there; say the goal more clearly, or another --scope",
        refused=folders,
        faults=[
            {"rule": each.rule, "node": each.node, "problem": each.problem, "fix": each.fix}
            for each in found.faults
        ],
    )
