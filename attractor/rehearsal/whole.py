"""What a whole run is rehearsed with: the script, made of what was asked for, and the faults in it.

The same request gives the same script whenever it is asked for, so that a model that was killed
goes on as the one before. A mistake in it is an InputError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

from attractor.errors import InputError
from attractor.git import Git, repository
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rehearsal import default, faults, script
from attractor.rehearsal.default import Quotation
from attractor.rehearsal.faults import Terms
from attractor.rehearsal.turn import Script
from attractor.run.assign import worked_on
from attractor.run.begin import SCENARIO
from attractor.run.request import Request

_SHORTEST: Final = 8
_LONGEST: Final = 200
_MOST_BYTES: Final = 64 * 1024
_MOST_FILES: Final = 200
_MOST_DOCUMENT: Final = 512 * 1024
_CRITERION: Final = re.compile(r"\bAC-\d+\b", re.IGNORECASE)
_RUBRICS: Final = "acceptance-tests"


def check(graph: Graph, scenario: str, faults_asked: Sequence[str]) -> None:
    """Raise InputError where this scenario's file, or a fault, does not fit the pipeline."""
    read = _read(graph, scenario) if scenario else default.scenario_for(graph)
    faults.apply(read, faults.parse(faults_asked, worked_on(graph)))


def script_of(request: Request) -> Script:
    """Return what the model says in this run."""
    _, graph = load(request.layout.dot)
    asked = faults.parse(request.faults, worked_on(graph))
    terms = Terms(peek=tuple(dict.fromkeys(_hidden(request))))
    return faults.apply(_chosen(request, graph), asked, terms)


def _chosen(request: Request, graph: Graph) -> Script:
    if request.scenario:
        copy = os.path.join(request.layout.root, SCENARIO)
        return _read(graph, copy if os.path.isfile(copy) else request.scenario)
    return default.scenario_for(
        graph,
        target_dir=request.target_dir,
        standing=_standing(request),
        criteria=_criteria(request.prd) if request.prd else (),
    )


def _read(graph: Graph, scenario: str) -> Script:
    return script.load(scenario, {*map(str, graph.nodes)})


def _criteria(document: str) -> list[str]:
    """Return the criteria of the requirements, which a rubric must cover."""
    try:
        with open(document, "rb") as file:
            text = file.read(_MOST_DOCUMENT).decode("utf-8", "replace")
    except OSError as error:
        fix = "put it back: the run was asked for with it"
        raise InputError(f"cannot be read: {error.strerror}", where=document, fix=fix) from error
    return [*dict.fromkeys(each.upper() for each in _CRITERION.findall(text))]


def _hidden(request: Request) -> Iterator[str]:
    """Yield what no session may read, by every name under which one could try."""
    if request.rubric:
        yield request.rubric
        yield os.path.join(request.rubric, "manifest.yaml")
        inside = os.path.relpath(request.rubric, request.project)
        if not inside.startswith(os.pardir):
            yield inside  # the worktree's own
    yield _RUBRICS
    yield request.layout.journal
    yield request.layout.root


def _standing(request: Request) -> list[Quotation]:
    """Return a line that stands in the tree before any work, for a judge of what nobody wrote."""
    git = repository(request.project)
    said = git.ask("ls-tree", "-r", "-z", "--full-tree", request.base_commit)
    entries = (each.partition(b"\t") for each in said.split(b"\0") if each)
    files = [name for about, _, name in entries if about.startswith(b"100")]
    # What a person would look at first; agents write elsewhere.
    files.sort(key=lambda name: (not name.lower().endswith((b".md", b".dot")), name))
    for name in files[:_MOST_FILES]:
        if quoted := _line_of(git, request.base_commit, os.fsdecode(name)):
            return [quoted]
    return []


def _line_of(git: Git, commit: str, name: str) -> Quotation | None:
    data = git.ask("cat-file", "blob", f"{commit}:{name}")[:_MOST_BYTES]
    if b"\0" in data:
        return None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        words = " ".join(line.split())
        if _SHORTEST <= len(words) <= _LONGEST and words.isascii():
            return {"file": name, "line": number, "quote": words}
    return None
