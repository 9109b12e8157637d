"""Asking the model `free`: one free model after the other, until one answers.

A rate limit, or a failing provider, moves on to the next at once, and costs the asker nothing but
time; a model that does not exist is left out. Each gets its share of the question's time, because
OpenCode waits out a rate limit by itself. When none is left, or the list cannot be had, OpenCode's
default model is asked. What was learned outlives this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from attractor.agents import free_models
from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.free_list import address, fetch
from attractor.agents.free_models import FreeModel, Learned
from attractor.agents.opencode_events import says_no_model
from attractor.agents.question import Question
from attractor.agents.usage import Usage
from attractor.errors import AttractorError
from signals.clock import Clock

PROVIDER: Final = "openrouter"
_SETTING: Final = "openrouter_url"
_LIST_SECONDS: Final = 10.0
_LEAST_SECONDS: Final = 30.0
_SHARES: Final = 3
_API_RESTS: Final = 120.0

Ask = Callable[[Question, Clock], Answer]


def ask_free(question: Question, clock: Clock, ask: Ask) -> Answer:
    """Ask the free models in turn, then the default one; the usage is that of all of them."""
    environ = dict(os.environ if question.env is None else question.env)
    settings = dict(question.settings)
    base = address(environ, str(settings.pop(_SETTING, "") or ""))
    asked = replace(question, settings=settings)
    deadline = clock.monotonic() + question.timeout_seconds
    path, used = free_models.path_of(environ), Usage()
    learned = free_models.load(path)
    models = _listed(base, clock, min(_LIST_SECONDS, question.timeout_seconds / 4))
    while (left := deadline - clock.monotonic()) > 0:
        model = free_models.next_model(models, learned, clock.wall_ns() / 1e9)
        if model is None:
            break
        share = min(max(left / _SHARES, _LEAST_SECONDS), left)
        name = f"{PROVIDER}/{model.id}"
        answer = ask(replace(asked, model=name, timeout_seconds=share), clock)
        used += answer.usage
        after = _after(learned, model, answer, clock.wall_ns() / 1e9)
        if after is None:
            return replace(answer, usage=used)
        learned = after
        _keep(path, learned)
    left = max(deadline - clock.monotonic(), 1.0)
    answer = ask(replace(asked, model="", timeout_seconds=left), clock)
    return replace(answer, usage=used + answer.usage)


def _after(learned: Learned, model: FreeModel, answer: Answer, now: float) -> Learned | None:
    """Return what is known now, if the next one is to be asked; None if this is the answer."""
    if says_no_model(answer):
        return free_models.dropped(learned, model.id, now)
    if answer.error_class is ErrorClass.RATE_LIMIT:
        return free_models.cooled(learned, model.id, answer.retry_at, now)
    if answer.error_class in (ErrorClass.API, ErrorClass.TIMEOUT):
        return free_models.cooled(learned, model.id, now + _API_RESTS, now)
    return None


def _listed(base: str, clock: Clock, seconds: float) -> list[FreeModel]:
    try:
        return fetch(base, clock, seconds)
    except AttractorError:
        return []


def _keep(path: str, learned: Learned) -> None:
    try:
        free_models.save(path, learned)
    except AttractorError:
        return  # it is learned again by the next who asks
