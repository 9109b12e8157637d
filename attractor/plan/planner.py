"""Asking the planner: an agent that reads the project, and dies with the one who waits.

In a real run it has the person's login; in a rehearsal a scripted model answers it, from a home
that is made for it. Question and answer lie in a private folder that is removed in the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

from attractor import tools
from attractor.agents import asking
from attractor.agents.answer import Answer
from attractor.agents.question import READ_ONLY, Question
from attractor.plan import question
from attractor.plan.goal import Goal
from attractor.run.config import Settings
from attractor.scratch import scratch
from signals.clock import Clock, stamp

SECONDS: Final = 1800.0
_MOST_TURNS: Final = 80

Ask = Callable[[str, int], Answer]
"""Asks the planner: takes the prompt and the number of the round, returns its answer."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the planner works, and as whom."""

    project: str
    goal: Goal
    rehearsed: bool
    base_url: str
    """Of the scripted model, where there is one already."""
    broken: int = 0
    """How many answers of a scripted model of its own cannot pass the checks."""
    log: str = ""
    """Where a scripted model of its own writes what it is asked."""


@contextlib.contextmanager
def planner(
    desk: Desk, settings: Settings, clock: Clock, environ: Mapping[str, str]
) -> Iterator[Ask]:
    """Return what asks the agent; in a rehearsal a scripted model answers it."""
    plan_id = f"plan-{stamp(clock.wall_ns())}"
    with contextlib.ExitStack() as stack:
        private = stack.enter_context(scratch("plan"))
        base_url = stack.enter_context(_model(desk)) if desk.rehearsed else ""

        def ask(prompt: str, number: int) -> Answer:
            folder = tempfile.mkdtemp(dir=private)
            asks = Question(
                prompt=prompt,
                schema=question.SCHEMA,
                cwd=desk.project,
                model=settings.word("plan_model"),
                tools=READ_ONLY,
                system=question.SYSTEM,
                timeout_seconds=SECONDS,
                max_turns=_MOST_TURNS,
                env=_environment(base_url, folder, plan_id, number),
                program=_program(settings, environ, rehearsed=desk.rehearsed),
            )
            return asking.ask(asks, folder)

        yield ask


@contextlib.contextmanager
def _model(desk: Desk) -> Iterator[str]:
    """Return the address of the scripted model."""
    if desk.base_url:
        yield desk.base_url
        return
    from attractor.rehearsal import whole
    from attractor.rehearsal.server import ScriptedServer

    context = "\n\n".join(each.text for each in desk.goal.documents)
    script = whole.planning_script(desk.goal.text, desk.broken, context)
    with ScriptedServer(script, log=desk.log or None) as server:
        yield server.base_url


def _environment(base_url: str, folder: str, plan_id: str, number: int) -> Mapping[str, str] | None:
    if not base_url:
        return None
    from attractor.rehearsal.environment import rehearsal_environment
    from attractor.rehearsal.headers import Asker

    home = os.path.join(folder, "home")
    os.mkdir(home, mode=0o700)
    asker = Asker(question.ROLE, plan_id, "", number)
    return rehearsal_environment(base_url, home, home, asker=asker)


def _program(settings: Settings, environ: Mapping[str, str], *, rehearsed: bool) -> str:
    if word := settings.word("claude"):
        return shutil.which(word, path=environ.get("PATH")) or word
    return (tools.find_claude() or "") if rehearsed else ""
