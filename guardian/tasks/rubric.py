"""The task `rubric`: what a run's work is judged by, found or written, and sealed.

A rubric that is there is used as it is, if lint has nothing fatal to say. Where there is none, the
agent writes one from the document of the requirements; without such a document, work is judged by
its nodes' acceptance texts. Started again, the task finds what it wrote before and seals that.

What a rehearsal writes is no rubric for real work, so it stays in the run's own folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor.agents.answer import Answer
from attractor.errors import AttractorError
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rubric import locate, manifest, prd, question, seal
from attractor.rubric.lint import lint
from attractor.rubric.model import Rubric
from attractor.rubric.prd import Prd
from attractor.rubric.scope import scope
from attractor.rubric.write import Order, Writing, write
from attractor.run import request as requests
from attractor.run.layout import escape
from attractor.run.preflight import Finding
from attractor.run.request import Request
from guardian import asking
from guardian.reminding import remembered
from signals.clock import Clock

SECONDS: Final = 900.0
_MOST_TURNS: Final = 8
_MOST_QUERY: Final = 10_000


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Return the seal and the scope, or why there is no rubric to judge by."""
    request = requests.from_json(spec["request"], "the task's request")
    _, graph = load(spec["graph"])
    document = prd.read(request.prd) if request.prd else None
    if request.rubric and locate.is_rubric(request.rubric):
        return _sealed(request.rubric, request, graph, document)
    if document is None or not request.rubric:
        return _answer("acceptance", "", {}, graph, None)
    if not request.rehearsed:
        return _written(spec, request.rubric, request, graph, document, clock)
    folder = os.path.join(request.layout.tasks, "rubric", os.path.basename(request.rubric))
    if locate.is_rubric(folder):
        return _sealed(folder, request, graph, document)
    return _written(spec, folder, request, graph, document, clock)


def _sealed(
    folder: str,
    request: Request,
    graph: Graph,
    document: Prd | None,
    asked: Sequence[Answer] = (),
) -> dict[str, Any]:
    try:
        files = seal.read(folder)
        rubric = manifest.parse(files, folder)
    except AttractorError as error:
        wrong = Finding(error.problem, error.where, error.fix)
        return _refused(folder, [wrong], asked)
    criteria = document.criteria if document else ()
    nodes = frozenset(map(str, graph.nodes))
    name = prd.name_of(graph, request.prd)
    found = lint(rubric, criteria=criteria, nodes=nodes, prd_id=name)
    if fatal := [each for each in found if each.fatal]:
        return _refused(folder, fatal, asked)
    by = "agent" if rubric.written_by == request.run_id else "hand"
    return _answer(by, folder, seal.hashes(files), graph, rubric, asked, found)


def _written(
    spec: Mapping[str, Any],
    folder: str,
    request: Request,
    graph: Graph,
    document: Prd,
    clock: Clock,
) -> dict[str, Any]:
    tasks = request.layout.tasks
    known = remembered(spec, document.text[:_MOST_QUERY], question.ROLE, clock)

    def ask(prompt: str) -> Answer:
        return asking.ask(
            spec,
            role=question.ROLE,
            prompt=f"{prompt}\n\n{known}" if known else prompt,
            schema=question.SCHEMA,
            cwd=tasks,
            tools=(),
            system=question.SYSTEM,
            model=str(spec.get("model") or ""),
            timeout_seconds=float(spec.get("ask_timeout") or SECONDS),
            max_turns=_MOST_TURNS,
        )

    order = Order(
        folder=folder,
        prd_id=prd.name_of(graph, request.prd) or os.path.basename(folder),
        prd=document,
        graph=graph,
        session=request.run_id,
        tag=escape(request.run_id),
        aside=os.path.join(tasks, f"{escape(str(spec['task']))}.refused"),
    )
    done = write(order, ask, clock)
    if done.rubric is None:
        return _failed(folder, done)
    return _sealed(folder, request, graph, document, done.answers)


def _failed(folder: str, done: Writing) -> dict[str, Any]:
    last = done.answers[-1]
    if last.ok:
        said = _refused(folder, [each for each in done.findings if each.fatal], done.answers)
        problem = f"the agent wrote no rubric to judge by in {len(done.answers)} rounds"
        return {**said, "error": f"{problem}; its drafts are in {os.path.dirname(done.refused[0])}"}
    return {**asking.failure(last), "findings": [], "usage": asking.usage_of(done.answers)}


def _refused(folder: str, findings: Sequence[Finding], asked: Sequence[Answer]) -> dict[str, Any]:
    return {
        "error": f"work cannot be judged by the rubric in {folder}",
        "findings": [_line(each) for each in findings],
        "usage": asking.usage_of(asked),
    }


def _answer(
    by: str,
    folder: str,
    files: Mapping[str, str],
    graph: Graph,
    rubric: Rubric | None,
    asked: Sequence[Answer] = (),
    findings: Sequence[Finding] = (),
) -> dict[str, Any]:
    found = scope(graph, rubric)
    return {
        "ok": True,
        "folder": folder,
        "by": by,
        "files": dict(files),
        "scope": found.features,
        "acceptance": found.acceptance,
        "unjudged": found.unjudged(rubric) if rubric else [],
        "findings": [_line(each) for each in findings],
        "usage": asking.usage_of(asked),
    }


def _line(finding: Finding) -> str:
    return f"{finding.where}: {finding.problem}; {finding.fix}"
