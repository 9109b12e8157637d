"""What a whole run is rehearsed with: the script, made of what was asked for, and the faults in it.

The same request gives the same script whenever it is asked for, so that a model that was killed
goes on as the one before. Nodes that a run gets later are played, too: what a scenario does not say
of the orchestrator of a node, or of the roles that look at work once more, is as where nobody wrote
one. A mistake is an InputError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from attractor.errors import InputError
from attractor.git import Git, repository
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rehearsal import default, faults, script
from attractor.rehearsal.by_itself import by_itself
from attractor.rehearsal.default import Quotation
from attractor.rehearsal.faults import Terms
from attractor.rehearsal.growing import Growing
from attractor.rehearsal.made_plan import plan_for
from attractor.rehearsal.turn import (
    CROSS_REVIEWER,
    JUDGE,
    ORCHESTRATOR,
    PLANNER,
    REPLANNER,
    RETROSPECTIVE,
    REVIEWER,
    NodeScript,
    Script,
    structured,
)
from attractor.run import config
from attractor.run.assign import worked_on
from attractor.run.assignment import ALONE
from attractor.run.begin import SCENARIO
from attractor.run.request import Request

_SHORTEST: Final = 8
_LONGEST: Final = 200
_MOST_BYTES: Final = 64 * 1024
_MOST_FILES: Final = 200
_MOST_DOCUMENT: Final = 512 * 1024
_CRITERION: Final = re.compile(r"\bAC-\d+\b", re.IGNORECASE)
_RUBRICS: Final = "acceptance-tests"
# How a run calls the nodes that it gets.
_MOST_ADDED: Final = 20
_MOST_PARTS: Final = 3
_ALWAYS_PLAYED: Final = (PLANNER, REVIEWER, CROSS_REVIEWER, RETROSPECTIVE, REPLANNER)


def check(graph: Graph, scenario: str, faults_asked: Sequence[str]) -> None:
    """Raise InputError where this scenario's file, or a fault, does not fit the pipeline."""
    made = default.scenario_for(graph)
    if scenario:
        made = filled(_read(graph, scenario), made)
    faults.apply(made, faults.parse(faults_asked, worked_on(graph)))


def script_of(request: Request) -> Script:
    """Return what the model says in this run."""
    _, graph = load(request.layout.dot)
    terms = Terms(peek=tuple(dict.fromkeys(_hidden(request))))
    written = _scenario(request, graph)
    standing = _standing(request)
    criteria = _criteria(request.prd) if request.prd else ()

    def make(graph: Graph) -> Script:
        made = default.scenario_for(
            graph, target_dir=request.target_dir, standing=standing, criteria=criteria
        )
        asked = faults.parse(request.faults, worked_on(graph))
        return faults.apply(filled(written, made) if written else made, asked, terms)

    def unknown(node: str) -> NodeScript:
        generic = default.unknown(node, target_dir=request.target_dir)
        return _with(written, node, generic) if written else generic

    def nodes(graph: Graph) -> dict[str, NodeScript]:
        made = make(graph).nodes
        alone = _alone(request, graph)
        # What a scenario says of a node that is not there yet, `unknown` knows.
        return {
            node: by_itself(own) if node in alone else own
            for node, own in made.items()
            if node in graph.nodes
        }

    return replace(make(graph), nodes=Growing(request.layout.dot, nodes, unknown))


def _alone(request: Request, graph: Graph) -> set[str]:
    """Return the nodes whose agent has no workers."""
    known = config.load(request.project, os.environ, request.settings)
    return {
        str(node.id)
        for node in graph.nodes.values()
        if config.resolve(node.attrs, graph.attrs, known).word("agent") in ALONE
    }


def planning_script(goal: str, broken: int = 0, context: str = "") -> Script:
    """Return what the model says while a plan is made.

    The first sessions, `broken` of them, get a plan that cannot pass the checks.
    """
    good = structured(plan_for(goal, context))
    bad = replace(structured(plan_for(goal, context, broken=True)), sessions=broken)
    return Script({PLANNER: [bad, good] if broken > 0 else [good]}, default.NOTHING_LEFT)


def filled(written: Script, made: Script) -> Script:
    """Return a scenario with what it leaves open, as it is in the script that is made."""
    names = dict.fromkeys([*written.nodes, *made.nodes])
    nodes = {each: _with(written, each, made.nodes.get(each, NodeScript())) for each in names}
    others = {each: made.roles[each] for each in _ALWAYS_PLAYED}
    return replace(written, roles={**others, **written.roles}, nodes=nodes)


def _with(written: Script, node: str, made: NodeScript) -> NodeScript:
    """Return a node's turns, with those that are made for whoever has none."""
    own = written.nodes.get(node, NodeScript())
    said = {*written.roles, *own.roles}
    open_roles = {REPLANNER}
    if ORCHESTRATOR in made.roles and ORCHESTRATOR not in said:
        open_roles |= {ORCHESTRATOR, JUDGE}
    added = {role: made.roles[role] for role in sorted(open_roles & {*made.roles} - said)}
    return replace(own, roles={**added, **own.roles})


def _scenario(request: Request, graph: Graph) -> Script | None:
    if not request.scenario:
        return None
    copy = os.path.join(request.layout.root, SCENARIO)
    return _read(graph, copy if os.path.isfile(copy) else request.scenario)


def _read(graph: Graph, scenario: str) -> Script:
    names = [*map(str, graph.nodes)]
    added = {f"R{number:02}" for number in range(1, _MOST_ADDED + 1)}
    parts = {f"{name}_{number}" for name in names for number in range(1, _MOST_PARTS + 1)}
    return script.load(scenario, {*names, *added, *parts})


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
