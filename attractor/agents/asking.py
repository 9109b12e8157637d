"""Asking in a process of its own, by one who waits for the answer.

There is an answer in every case: where the asking process failed, it says so. Question and answer
are files in a folder that only the asker uses, since a question may hold an environment. What was
started does not outlive the one who waits.
"""

from __future__ import annotations

import os
from typing import Final

from attractor.agents import answer as answers
from attractor.agents import question as questions
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.question import Question
from attractor.errors import AttractorError
from attractor.spawn import own_command, run_leashed
from signals import atomic

_GRACE_SECONDS: Final = 15.0  # the asking process ends the agent at the deadline, then answers


def ask(question: Question, folder: str) -> Answer:
    """Ask, with files in this folder, and wait for the answer."""
    asked, answer = (os.path.join(folder, name) for name in ("question.json", "answer.json"))
    try:
        atomic.replace(asked, questions.dump(question))
        ended = run_leashed(
            own_command("attractor.agents", asked, answer),
            timeout_seconds=question.timeout_seconds + _GRACE_SECONDS,
            cwd="/",
        )
        if ended.status == 0:
            return answers.load(answer)
    except AttractorError as error:
        return Answer(error_class=ErrorClass.CRASHED, error=str(error))
    if ended.status is None:
        return Answer(error_class=ErrorClass.TIMEOUT, error="the asking process did not end")
    problem = f"the asking process ended with status {ended.status}"
    return Answer(
        error_class=ErrorClass.CRASHED, error=problem, exit_code=ended.status, tail=ended.stderr
    )
