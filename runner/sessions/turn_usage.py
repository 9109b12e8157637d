"""What the turns of an agent that works alone have used, from what they printed.

Each turn that has ended is counted once. Where an agent's figures are sums over a conversation,
what the turns before had said of the same one is taken off. A turn that was killed says nothing,
and is counted with the next one only where figures are such sums.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from attractor.agents.usage import Usage
from runner.sessions import dialects
from runner.sessions.dialects import Reading
from runner.sessions.stage import Stage
from runner.sessions.streamed import take_lines


def count(stage: Stage, mark: Mapping[str, Any]) -> tuple[Usage, Mapping[str, Any]]:
    """Return what is new since the mark, and the next mark; `{}` is the beginning."""
    known = stage.record
    last = known.turn if known is not None and known.kind == stage.assignment.agent else 0
    added = Usage()
    for number in range(int(mark.get("turn", 0)) + 1, last + 1):
        path = os.path.join(stage.turns, str(number))
        if number == last and not os.path.exists(f"{path}.status"):
            break
        usage, mark = _counted(stage.assignment.agent, f"{path}.out", mark)
        added += usage
        mark = {**mark, "turn": number}
    model = stage.assignment.model
    if model and not added.models and added.output_tokens:
        added += Usage(models={model: added.output_tokens})
    return added, mark


def _counted(agent: str, path: str, mark: Mapping[str, Any]) -> tuple[Usage, Mapping[str, Any]]:
    reading = Reading(agent)
    try:
        with open(path, "rb") as file:
            take_lines(file, 0, reading)
    except FileNotFoundError:
        return Usage(), mark
    said = reading.usage
    if not dialects.dialect(agent).sums or said == Usage():
        return said, mark
    before = mark.get("sum", {}) if mark.get("thread") == reading.thread else {}
    return _less(said, Usage.from_json(before)), {"thread": reading.thread, "sum": said.as_json()}


def _less(said: Usage, before: Usage) -> Usage:
    names = [each.name for each in fields(Usage) if each.name.endswith("_tokens")]
    grown = {name: max(0, getattr(said, name) - getattr(before, name)) for name in names}
    return Usage(**grown)
