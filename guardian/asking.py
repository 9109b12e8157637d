"""One question of a task to an agent, in a process of its own that dies with the task.

What comes back is an answer in every case; where the asking itself failed it says so. In a
rehearsal the question goes to the scripted model, from a home that is made for it, and Claude Code
stands in for an agent whose program is not installed; in a real run it has the person's login. The
question may hold an environment: it lies in the run's own folder, and is removed with all that was
made for it. What a killed task left is removed by the next question of the same task. Several
threads of one task may ask at the same time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, final

from attractor.agents import asking
from attractor.agents.answer import Answer
from attractor.agents.question import READ_ONLY, Question
from attractor.agents.refusal import unheard
from attractor.agents.usage import Usage
from attractor.run import request as requests
from attractor.run.layout import escape
from attractor.run.request import Request

CLAUDE: Final = "claude"
_CLAUDES: Final = (CLAUDE, "claude-sdk")


def ask(  # noqa: PLR0913  # a question has as many parts, all by name
    spec: Mapping[str, Any],
    *,
    role: str,
    prompt: str,
    schema: Mapping[str, Any],
    cwd: str,
    tools: Sequence[str] = READ_ONLY,
    system: str = "",
    model: str = "",
    timeout_seconds: float = 300.0,
    max_turns: int = 20,
    attempt: int | None = None,
    agent: str = CLAUDE,
    settings: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask, and wait for the answer. `spec` is the task's; without `attempt`, its own counts.

    `settings` are Claude Code's; other agents have none of ours.
    """
    request = requests.from_json(spec["request"], "the task's request")
    asked = CLAUDE if stands_in(request, agent) else agent
    said = spec.get("attempt") or 0 if attempt is None else attempt
    folder = _folder(request, spec)
    try:
        environment = _environment(
            request, asked, _Asked(role, str(spec.get("node") or ""), said), folder
        )
        question = Question(
            prompt=prompt,
            schema=schema,
            cwd=cwd,
            agent=asked,
            # A model of its own is none of Claude's.
            model=model if asked == agent else "",
            tools=tuple(tools),
            system=system,
            timeout_seconds=timeout_seconds,
            max_turns=max_turns,
            env=environment,
            settings=settings or {} if asked in _CLAUDES else {},
            program=request.claude if asked in _CLAUDES else "",
        )
        return asking.ask(question, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stands_in(request: Request, agent: str) -> bool:
    """Say whether Claude Code answers for this agent: in a rehearsal, where it is not installed."""
    if agent in _CLAUDES or not request.rehearsed:
        return False
    from attractor.rehearsal.homes import HOMES

    if agent not in HOMES:
        return True
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    return shutil.which(agent, path=os.pathsep.join(folders)) is None


def out_of_reach(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of Claude Code, by which it reads nothing of the run but its clean trees.

    For those whose words go down to a session, and who must not know the rubric.
    """
    request = requests.from_json(spec["request"], "the task's request")
    layout = request.layout
    names = set(os.listdir(layout.root)) - {os.path.basename(layout.trees)}
    hidden = {os.path.join(layout.root, each) for each in names}
    rubric = spec.get("rubric") or {}
    hidden |= {each for each in (request.rubric, rubric.get("folder")) if each}
    # Both as a file and as a folder; `//` begins an absolute path there.
    deny = [f"Read(/{each}{end}" for each in sorted(hidden) for end in (")", "/**)")]
    return {"permissions": {"deny": deny}}


def usage_of(asked: Iterable[Answer]) -> dict[str, Any]:
    """Return what these answers used, together, as a task's answer says it."""
    return sum((each.usage for each in asked), Usage()).as_json()


def failure(answer: Answer) -> dict[str, Any]:
    """Return what a task's answer says of a question without a verdict."""
    said: dict[str, Any] = {"error": answer.error, "error_class": answer.error_class.value}
    if answer.retry_at is not None:
        said["retry_at"] = answer.retry_at
    if unheard(answer):
        said["free"] = True
    return said


def _folder(request: Request, spec: Mapping[str, Any]) -> str:
    """Return a new folder for this question; what another process left of the task goes."""
    ours = f"{os.getpid()}-"
    above = os.path.join(request.layout.tasks, f"{escape(str(spec['task']))}.asking")
    os.makedirs(above, mode=0o700, exist_ok=True)
    for name in os.listdir(above):
        if not name.startswith(ours):
            shutil.rmtree(os.path.join(above, name), ignore_errors=True)
    made = os.path.join(above, f"{ours}{os.urandom(4).hex()}")
    os.mkdir(made, mode=0o700)
    return made


@final
class _Asked(NamedTuple):
    """For whom a question is asked."""

    role: str
    node: str
    attempt: int


def _environment(
    request: Request, agent: str, asked: _Asked, folder: str
) -> Mapping[str, str] | None:
    if not request.rehearsed:
        return None
    from attractor.rehearsal.environment import agent_environment, rehearsal_environment
    from attractor.rehearsal.headers import Asker

    home = os.path.join(folder, "home")
    os.mkdir(home, mode=0o700)
    asker = Asker(asked.role, request.run_id, asked.node, asked.attempt)
    if agent not in _CLAUDES:
        return agent_environment(agent, request.base_url, home, asker=asker)
    return rehearsal_environment(request.base_url, home, home, asker=asker)
