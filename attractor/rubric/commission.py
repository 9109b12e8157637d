"""Has a rubric written without a run: for a person, who waits for it.

In a rehearsal the scripted model answers, and the agent has a home that is made for it. Without a
folder what is written is shown while it is there, and gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from attractor import tools
from attractor.agents import asking
from attractor.agents.answer import Answer
from attractor.agents.question import Question
from attractor.agents.usage import Usage
from attractor.errors import InputError, ToolError
from attractor.pipeline.graph import Graph
from attractor.rubric import question
from attractor.rubric.model import Rubric
from attractor.rubric.prd import Prd
from attractor.rubric.scope import Scope, scope
from attractor.rubric.write import Order, Writing, write
from attractor.run.preflight import Finding
from signals.clock import SystemClock, stamp

SECONDS: Final = 900.0
MOST_TURNS: Final = 8
Tell = Callable[[Rubric, Scope, list[Finding], dict[str, Any], bool], object]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What is to be written."""

    folder: str
    """Empty: nowhere."""
    name: str
    """Of the PRD."""
    prd: Prd
    graph: Graph
    model: str = ""
    rehearsed: bool = False


def commission(given: Commission, tell: Tell) -> None:
    """Have it written, and tell; InputError or ToolError where nothing came of it."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="attractor-rubric-") as made:
        private = os.path.realpath(made)
        folder = given.folder or os.path.join(private, "acceptance-tests", given.name)
        order = Order(
            folder=folder,
            prd_id=given.name,
            prd=given.prd,
            graph=given.graph,
            session=f"attractor-rubric-write-{stamp(clock.wall_ns())}",
            tag=str(os.getpid()),
            aside=f"{folder}.refused",
        )
        with _environment(given, private) as env:
            done = write(order, lambda prompt: _ask(given, prompt, private, env), clock)
        if done.rubric is None:
            raise _failure(done, kept=bool(given.folder))
        where = scope(given.graph, done.rubric)
        used = sum((each.usage for each in done.answers), Usage()).as_json()
        tell(done.rubric, where, done.findings, used, bool(given.folder))


def _ask(given: Commission, prompt: str, private: str, env: Mapping[str, str] | None) -> Answer:
    folder = tempfile.mkdtemp(dir=private)
    asked = Question(
        prompt=prompt,
        schema=question.SCHEMA,
        cwd=folder,
        model=given.model,
        tools=(),
        system=question.SYSTEM,
        timeout_seconds=SECONDS,
        max_turns=MOST_TURNS,
        env=env,
        program=(tools.find_claude() or "") if given.rehearsed else "",
    )
    return asking.ask(asked, folder)


@contextlib.contextmanager
def _environment(given: Commission, private: str) -> Iterator[Mapping[str, str] | None]:
    """Return the agent's environment; None for the person's own."""
    if not given.rehearsed:
        yield None
        return
    from attractor.rehearsal.default import scenario_for
    from attractor.rehearsal.environment import rehearsal_environment
    from attractor.rehearsal.headers import Asker
    from attractor.rehearsal.server import ScriptedServer

    home = os.path.join(private, "home")
    os.mkdir(home, mode=0o700)
    with ScriptedServer(scenario_for(given.graph, criteria=given.prd.criteria)) as server:
        yield rehearsal_environment(server.base_url, home, home, asker=Asker(question.ROLE))


def _failure(done: Writing, *, kept: bool) -> InputError | ToolError:
    last = done.answers[-1]
    if not last.ok:
        fix = "see that Claude Code works here: attractor doctor; then do the same again"
        return ToolError(f"the agent gave no rubric: {last.error}", fix=fix)
    fatal = [each for each in done.findings if each.fatal]
    problem = f"the agent wrote no rubric to judge by in {len(done.answers)} rounds"
    by_hand = "correct one of these drafts by hand and name its folder, or make the PRD clearer"
    return InputError(
        f"{problem}; at last: {'; '.join(each.problem for each in fatal)}",
        where=os.path.dirname(done.refused[0]) if kept else "",
        fix=by_hand if kept else "make the PRD clearer",
        findings=[each.as_json() for each in fatal],
    )
