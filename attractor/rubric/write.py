"""Has a rubric written by an agent: asked, made into files, linted; at most three times.

Guaranteed: in the end there is a whole rubric that passes lint in the folder, or nothing. It
appears in one step, and never in the place of anything: who comes second finds the first one's.
What was refused is kept with the reasons, in a folder of its own. After a crash the draft beside
the folder, `.NAME.TAG`, is left; the next call with the same tag removes it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.agents.answer import Answer
from attractor.errors import InputError
from attractor.pipeline.graph import Graph
from attractor.rubric import manifest, question, render
from attractor.rubric.lint import lint
from attractor.rubric.model import Rubric
from attractor.rubric.prd import Prd
from attractor.run.preflight import Finding
from signals import atomic
from signals.clock import Clock, iso

ROUNDS: Final = 3
_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})
_REASONS: Final = "reasons.txt"

Ask = Callable[[str], Answer]
"""Asks the agent: takes the prompt, returns its answer to `question.SCHEMA`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be written, and where."""

    folder: str
    """Of the rubric."""
    prd_id: str
    prd: Prd
    graph: Graph
    session: str
    """By whom: the manifest's `guardian_session`."""
    tag: str
    """Of the draft; no two who write at the same time have the same."""
    aside: str
    """The folder of what was refused."""


@final
@dataclass(slots=True)
class Writing:
    """What came of it. There is a rubric, or the last answer was none, or findings are left."""

    rubric: Rubric | None = None
    answers: list[Answer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """What is wrong with the last draft, or is worth knowing of the rubric."""
    refused: list[str] = field(default_factory=list)
    """The folders of the drafts that were refused."""


def write(order: Order, ask: Ask, clock: Clock) -> Writing:
    """Have it written; InputError where something else is in its place."""
    if os.path.lexists(order.folder) and os.listdir(order.folder):
        fix = "move it away, or name another folder"
        raise InputError("there is something here already", where=order.folder, fix=fix)
    done = Writing()
    draft = _draft(order)
    shutil.rmtree(draft, ignore_errors=True)
    while done.rubric is None and len(done.answers) < ROUNDS:
        before = _said(done.answers[-1]) if done.answers else ""
        answer = ask(question.prompt(order.prd, order.graph, before, done.findings))
        done.answers.append(answer)
        if not answer.ok:
            done.findings = []
            break
        files = _files(order, answer.structured, clock)
        rubric, done.findings = _examined(order, files)
        if rubric is None:
            done.refused.append(_put_aside(order.aside, files, done.findings))
        else:
            _publish(order.folder, draft, files)
            done.rubric = manifest.load(order.folder)
    return done


def _said(answer: Answer) -> str:
    return json.dumps(answer.structured, indent=1, ensure_ascii=False)


def _files(order: Order, said: Mapping[str, Any], clock: Clock) -> dict[str, bytes]:
    created = iso(clock.wall_ns())
    return render.files(said, prd_id=order.prd_id, created=created, session=order.session)


def _examined(order: Order, files: Mapping[str, bytes]) -> tuple[Rubric | None, list[Finding]]:
    """Return the rubric that these files are, if work can be judged by it, and what is wrong."""
    try:
        rubric = manifest.parse(files, order.folder)
    except InputError as error:
        return None, [Finding(error.problem, error.where, error.fix)]
    nodes = frozenset(map(str, order.graph.nodes))
    found = lint(rubric, criteria=order.prd.criteria, nodes=nodes, prd_id=order.prd_id)
    return (None if any(each.fatal for each in found) else rubric), found


def _draft(order: Order) -> str:
    above, name = os.path.split(order.folder)
    return os.path.join(above, f".{name}.{order.tag}")


def _publish(folder: str, draft: str, files: Mapping[str, bytes]) -> None:
    above = os.path.dirname(folder)
    with atomic.storage_errors("write the rubric", folder):
        os.makedirs(above, mode=0o700, exist_ok=True)
        os.mkdir(draft, mode=0o700)
    try:
        for name, data in files.items():
            atomic.replace(os.path.join(draft, name), data)
        with atomic.storage_errors("write the rubric", folder):
            try:
                os.rename(draft, folder)  # an empty folder would be replaced, nothing else
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
            atomic.fsync_folder(above)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_aside(above: str, files: Mapping[str, bytes], findings: Sequence[Finding]) -> str:
    """Keep what was refused, under the first number that is free."""
    with atomic.storage_errors("keep a refused rubric", above):
        os.makedirs(above, mode=0o700, exist_ok=True)
        number = 1
        while os.path.lexists(folder := os.path.join(above, str(number))):
            number += 1
        os.mkdir(folder, mode=0o700)
    reasons = "".join(f"{each.where}: {each.problem}\n  {each.fix}\n" for each in findings)
    for name, data in {**files, _REASONS: reasons.encode()}.items():
        atomic.replace(os.path.join(folder, name), data)
    return folder
