"""One question of a task to an agent, in a process of its own that dies with the task.

What comes back is an answer in every case; where the asking itself failed it says so. In a
rehearsal the question goes to the scripted model, from a home that is made for it; in a real run
it has the person's login. The question may hold an environment: it lies in the run's own folder,
and is removed with all that was made for it. What a killed task left is removed by the next
question of the same task. Several threads of one task may ask at the same time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attractor.agents import asking
from attractor.agents.answer import Answer
from attractor.agents.question import READ_ONLY, Question
from attractor.agents.usage import Usage
from attractor.run import request as requests
from attractor.run.layout import escape
from attractor.run.request import Request


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
) -> Answer:
    """Ask, and wait for the answer. `spec` is the task's; without `attempt`, its own counts."""
    request = requests.from_json(spec["request"], "the task's request")
    said = spec.get("attempt") or 0 if attempt is None else attempt
    folder = _folder(request, spec)
    try:
        environment = _environment(request, role, str(spec.get("node") or ""), said, folder)
        question = Question(
            prompt=prompt,
            schema=schema,
            cwd=cwd,
            model=model,
            tools=tuple(tools),
            system=system,
            timeout_seconds=timeout_seconds,
            max_turns=max_turns,
            env=environment,
            program=request.claude,
        )
        return asking.ask(question, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def usage_of(asked: Iterable[Answer]) -> dict[str, Any]:
    """Return what these answers used, together, as a task's answer says it."""
    return sum((each.usage for each in asked), Usage()).as_json()


def failure(answer: Answer) -> dict[str, Any]:
    """Return what a task's answer says of a question without a verdict."""
    said: dict[str, Any] = {"error": answer.error, "error_class": answer.error_class.value}
    if answer.retry_at is not None:
        said["retry_at"] = answer.retry_at
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


def _environment(
    request: Request, role: str, node: str, attempt: int, folder: str
) -> Mapping[str, str] | None:
    if not request.rehearsed:
        return None
    from attractor.rehearsal.environment import rehearsal_environment
    from attractor.rehearsal.headers import Asker

    home = os.path.join(folder, "home")
    os.mkdir(home, mode=0o700)
    asker = Asker(role, request.run_id, node, attempt)
    return rehearsal_environment(request.base_url, home, home, asker=asker)
