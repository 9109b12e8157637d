"""What must hold before a whole run starts, beyond what one node needs. Pure.

`plan_of_run` looks at the pipeline, and at what each of its nodes would be told; what there is to
say goes into the plan as mistakes, and `preflight.examine` adds the machine, the repository and the
person. Where lint refuses the pipeline, its nodes are looked at all the same: there is one list.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from attractor.errors import InputError
from attractor.pipeline import finding
from attractor.pipeline.document import Document
from attractor.pipeline.finding import Facts, Severity
from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.pipeline.lint import lint
from attractor.run import config
from attractor.run.assign import Dispatch, assign
from attractor.run.assignment import PRICELESS, Assignment, inside
from attractor.run.branch import integration_branch
from attractor.run.config import Config, Settings
from attractor.run.limits import seconds
from attractor.run.preflight import Finding, Plan, mistakes
from attractor.run.request import Request
from attractor.run.reviews import SELF, reviewers
from attractor.run.roles import IMPOSSIBLE, Role, options, role

NOBODY_LOOKED: Final = Facts()
_ASKED: Final = "claude-headless"
_REQUIRED: Final = "required"
_OFF: Final = "off"


def plan_of_run(
    document: Document,
    graph: Graph,
    request: Request,
    known: Config,
    *,
    facts: Facts = NOBODY_LOOKED,
    more: Iterable[Finding] = (),
    writes_rubric: bool = False,
) -> Plan:
    """Return what a run is about to start; `more` are mistakes that others have found.

    The caller changes what only it knows: whether the project is there yet, and may be dirty.
    """
    found = [*more, *_linted(document, graph, facts), *_handlers(graph)]
    found += [*_attributes(graph), *_folders(graph, request)]
    told: list[Assignment] = []
    for node in agents_work(graph):
        try:
            told.append(_told(graph, node, request, known))
        except InputError as error:
            found.append(Finding(error.problem, error.where or f"node {node.id}", error.fix))
    for each in told:
        found += mistakes(each)
    found += _uncounted(graph, request, told)
    return Plan(
        project=request.project,
        base_commit=request.base_commit or "HEAD",
        branches=(integration_branch(request.run_id), *(each.branch for each in told)),
        agents=frozenset(each.agent for each in told) | _asked(graph, writes_rubric=writes_rubric),
        sandbox=_sandbox(request, told),
        rehearsed=request.rehearsed,
        claude=request.claude or next((each.claude for each in told if each.claude), ""),
        mistakes=tuple(dict.fromkeys(found)),
    )


def agents_work(graph: Graph) -> list[Node]:
    """Return the nodes that an agent carries out, in the order of the source."""
    return [node for node in graph.nodes.values() if role(graph, node) is Role.WORK]


def _asked(graph: Graph, *, writes_rubric: bool) -> frozenset[str]:
    """Return what answers questions, without a session: judges, and who writes the rubric."""
    judges = any(role(graph, node) in (Role.WORK, Role.JUDGE) for node in graph.nodes.values())
    return frozenset({_ASKED} if judges or writes_rubric else ())


def _linted(document: Document, graph: Graph, facts: Facts) -> Iterator[Finding]:
    for each in lint(graph, document.warnings, facts):
        if each.severity is Severity.ERROR:
            yield _as_finding(graph, each)


def _as_finding(graph: Graph, each: finding.Finding) -> Finding:
    return Finding(f"{each.rule}: {each.message}", graph.source.where(each.offset), each.fix)


def _handlers(graph: Graph) -> Iterator[Finding]:
    for node in graph.nodes.values():
        if said := IMPOSSIBLE.get(graph.handler(node)):
            problem = f"no run carries out the handler {graph.handler(node)}: {said[0]}"
            yield Finding(problem, graph.source.where(node.offset), said[1])


def _attributes(graph: Graph) -> Iterator[Finding]:
    """Yield what a Guardian could not read, or would not do, when it came to a node."""
    for node in graph.nodes.values():
        where = graph.source.where(node.offset)
        for name in ("deadline", "timeout"):
            try:
                seconds(name, node.attrs.get(name, ""))
            except InputError as error:
                yield Finding(error.problem, where, error.fix)
        default, offered = node.attrs.get("default", "").strip(), options(node)
        if role(graph, node) is Role.PERSON and default and default not in offered:
            problem = f"the default {default!r:.60} is none of the options"
            yield Finding(problem, where, f"choose one of {', '.join(offered)}")


def _folders(graph: Graph, request: Request) -> Iterator[Finding]:
    """Yield where a command or a check would run outside of the tree that it is given."""
    for node in graph.nodes.values():
        own = node.attrs.get("target_dir")
        where = f"node {node.id}" if own else "the run's target_dir"
        try:
            inside(own or request.target_dir, request.project, where)
        except InputError as error:
            yield Finding(error.problem, error.where or where, error.fix)


def _uncounted(graph: Graph, request: Request, told: Sequence[Assignment]) -> Iterator[Finding]:
    """Yield what a budget in money does not see."""
    whole = (request.budget_usd, request.budget_usd_per_hour, request.node_budget_usd)
    everywhere = any(each is not None for each in whole)
    for each in told:
        node = graph.nodes[NodeId(each.node_id)]
        if each.agent in PRICELESS and (everywhere or node.attrs.get("budget_usd", "").strip()):
            problem = f"{each.agent} names no cost: a budget in USD does not count what it uses"
            fix = "give a budget in tokens, too"
            yield Finding(problem, graph.source.where(node.offset), fix, fatal=False)


def unknown_agents(graph: Graph, known: Config, agents: Collection[str]) -> Iterator[Finding]:
    """Yield judges and reviewers that no agent has the name of: a slip costs a whole review."""
    yield from unknown_names(work_settings(graph, known), agents)


def work_settings(graph: Graph, known: Config) -> Iterator[Settings]:
    """Yield the settings of each node that an agent carries out."""
    for node in agents_work(graph):
        with contextlib.suppress(InputError):  # said where assignments are made
            yield config.resolve(node.attrs, graph.attrs, known)


def unknown_names(every: Iterable[Settings], agents: Collection[str]) -> Iterator[Finding]:
    """Yield the judges and reviewers in these settings that no agent has the name of."""
    named: dict[str, str] = {}
    for settings in every:
        names = {settings.word("judge_agent"): "judge_agent"}
        names |= dict.fromkeys(reviewers(settings.word("review")), "review")
        named = {**names, **named}
    for name, setting in named.items():
        if name != SELF and name not in agents:
            fix = f"name self, or one of {', '.join(agents)}"
            yield Finding(f"there is no agent {name!r:.60}", setting, fix)


def _told(graph: Graph, node: Node, request: Request, known: Config) -> Assignment:
    settings = config.resolve(node.attrs, graph.attrs, known)
    place = Dispatch(
        run_id=request.run_id,
        run_root=request.run_root,
        project=request.project,
        base_commit=request.base_commit,
    )
    return assign(graph, node, settings, place)


def _sandbox(request: Request, told: Sequence[Assignment]) -> str:
    """Return the strictest that is asked for."""
    asked = {request.sandbox or each.sandbox for each in told} or {request.sandbox or _OFF}
    if _REQUIRED in asked:
        return _REQUIRED
    return _OFF if asked == {_OFF} else "auto"
