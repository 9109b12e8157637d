"""From the options of `attractor run` to a run that may begin: read and checked, nothing made.

A mistake in what the person typed is an InputError at once; what is wrong with pipeline, project or
machine is collected, so that a person sees all of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final, final

from attractor import git, tools
from attractor.agents import registry
from attractor.errors import AttractorError, InputError
from attractor.pipeline.document import Document
from attractor.pipeline.facts import gather
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load, read
from attractor.plan.write import of_plan
from attractor.rehearsal import environment, script, whole
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.project import head, make_project
from attractor.rehearsal.turn import ORCHESTRATOR
from attractor.rubric import locate, prd
from attractor.run import begin, commit_hooks, config, preflight, skill_files
from attractor.run.config import Settings
from attractor.run.layout import run_layout
from attractor.run.locate import rehearsed_project
from attractor.run.not_there import not_there
from attractor.run.port import free_address
from attractor.run.preflight import Finding
from attractor.run.request import Request
from attractor.run.run_preflight import agents_work, plan_of_run, unknown_agents, work_settings
from signals.clock import Clock

ORDINARY: Final = "default"
"""The scenario in which everything goes well."""
_FIRST: Final = ("rehearse", "project", "persistent")
"""What a command begins with; behind a flag that may have a value stands another option."""
_NO_OPTION: Final = ("pipeline", "name")
_WORDS: Final = {"faults": "fault", "settings": "set"}
_ANYWHERE: Final = "http://127.0.0.1:9"  # the real address is known only later


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options, as they were typed."""

    pipeline: str
    rehearse: str | None = None
    """A scenario's file, or ORDINARY; None for a real run."""
    faults: tuple[str, ...] = ()
    max_parallel: int = 4
    target_dir: str = ""
    require_sandbox: bool = False
    auto_approve: bool = False
    budget_usd: float | None = None
    budget_tokens: int | None = None
    budget_usd_per_hour: float | None = None
    budget_tokens_per_hour: int | None = None
    node_budget_usd: float | None = None
    node_budget_tokens: int | None = None
    persistent: bool = False
    retrospectives: int | None = None
    """None for as many as there usually are."""
    review: str | None = None
    free: bool = False
    name: str = ""
    """The run's, where its caller has chosen one that nobody has."""
    project: str = ""
    prd: str = ""
    rubric: str = ""
    settings: tuple[str, ...] = ()
    on_end: str = ""
    allow_dirty: bool = False

    def command(self, *, detach: bool) -> str:
        """Return the line of a shell that asks for the same, from any folder."""
        words = ["attractor", "run", self.pipeline]
        usual = {each.name: each.default for each in fields(self)}
        names = dict.fromkeys((*_FIRST, *usual))
        for name in names:
            value = getattr(self, name)
            if name not in _NO_OPTION and value != usual[name]:
                words += _option(name, value)
        return shlex.join([*words, *(["--detach"] if detach else [])])


def _option(name: str, value: object) -> list[str]:
    word = f"--{_WORDS.get(name, name).replace('_', '-')}"
    if value is True or (name == "rehearse" and value == ORDINARY):
        return [word]
    values = value if isinstance(value, tuple) else (value,)
    return [each for one in values for each in (word, str(one))]


@final
@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that may begin, unless a finding is fatal."""

    request: Request
    document: Document
    graph: Graph
    findings: list[Finding]
    scenario: str = ""
    """The text of a scenario's file."""
    skills: Mapping[str, bytes] = field(default_factory=dict)
    """How the work of nodes is to be done, by their ids."""
    make_project: Callable[[], str] | None = field(default=None)
    """Makes the repository that is worked in, and returns its commit; None where it is there."""

    def begin(self, clock: Clock) -> Request:
        """Make the run, and in a rehearsal what it works in; returns the request as it counts."""
        request = self.request
        if self.make_project is not None:
            request = replace(request, base_commit=self.make_project())
        if request.rehearsed:
            request = replace(request, base_url=free_address())
        text = self.document.source.text
        begin.begin(request, text, clock, scenario=self.scenario, skills=self.skills)
        return request


def prepare(
    asked: Asked, environ: Mapping[str, str], clock: Clock, random: Callable[[int], bytes]
) -> Prepared:
    """Read what is asked for, and look at everything that must hold."""
    document, graph = load(asked.pipeline)
    graph.attrs |= {"target_dir": asked.target_dir} if asked.target_dir else {}
    scenario = _scenario(asked, graph)
    made = asked.rehearse is not None and not asked.project
    project = "" if made else _project(asked.project or os.getcwd())

    def is_taken(name: str) -> bool:
        folder = project or rehearsed_project(name, environ)
        return (made and os.path.lexists(folder)) or begin.is_run(folder)(name)

    run_id = asked.name or begin.name_run(asked.pipeline, clock, random, is_taken)
    project = project or rehearsed_project(run_id, environ)
    known = config.load(project, environ, settings_of(asked))
    request = _request(asked, graph, run_id, project, environ)
    resolved = config.resolve({}, graph.attrs, known)
    request = replace(request, claude=claude_of(resolved, rehearsed=request.rehearsed))
    skills, unread = skill_files.read(asked.pipeline, graph)
    own = [*unread, *unknown_agents(graph, known, registry.names())]
    own += not_there(work_settings(graph, known), rehearsed=request.rehearsed, environ=environ)
    own += [] if made else commit_hooks.refusing(project)
    own += [*_about_rubric(request, graph, environ, made=made), *_about_rehearsal(request)]
    facts = gather(asked.pipeline, graph)
    writes = bool(request.prd) and not locate.is_rubric(request.rubric)
    plan = plan_of_run(
        document,
        graph,
        request,
        known,
        facts=facts,
        more=own,
        writes_rubric=writes,
    )
    where = "" if made else project
    plan = replace(plan, project=where, place=project, dirty_allowed=asked.allow_dirty)

    def make() -> str:
        folder = make_project(project, asked.pipeline, document.source.text, graph)
        return head(folder)

    return Prepared(
        request=request,
        document=document,
        graph=graph,
        findings=preflight.examine(plan, environ),
        scenario=scenario,
        skills=skills,
        make_project=make if made else None,
    )


def _project(start: str) -> str:
    """Return the checkout around a folder."""
    found = config.find_project(start)
    if found is None:
        fix = "make it one (git init; git add -A; git commit), or name one with --project"
        raise InputError("this is not a git repository", where=os.path.abspath(start), fix=fix)
    return found


def _request(
    asked: Asked, graph: Graph, run_id: str, project: str, environ: Mapping[str, str]
) -> Request:
    pipeline, rehearsed = os.path.abspath(asked.pipeline), asked.rehearse is not None
    root = run_layout(project, run_id).root
    name = prd.name_of(graph, asked.prd)
    place = locate.find(name, pipeline, project, environ, asked.rubric)
    planned = of_plan(pipeline)
    folder = place.folder
    if rehearsed and not asked.project and name and not (place.exists or asked.rubric):
        # Nothing of what is only rehearsed goes to where the person's own rubrics are.
        folder = os.path.join(os.path.dirname(project), "rubric", name)
    return Request(
        run_id=run_id,
        project=project,
        run_root=root,
        pipeline=pipeline,
        base_commit=_base(project),
        target_dir=graph.attrs.get("target_dir", ""),
        prd=prd.find(name, pipeline, project, asked.prd),
        rubric=folder,
        max_parallel=asked.max_parallel,
        sandbox="required" if asked.require_sandbox else "",
        auto_approve=asked.auto_approve,
        budget_usd=asked.budget_usd,
        budget_tokens=asked.budget_tokens,
        budget_usd_per_hour=asked.budget_usd_per_hour,
        budget_tokens_per_hour=asked.budget_tokens_per_hour,
        node_budget_usd=asked.node_budget_usd,
        node_budget_tokens=asked.node_budget_tokens,
        persistent=asked.persistent,
        retrospectives=_retrospectives(asked),
        on_end=asked.on_end,
        settings=settings_of(asked),
        plan=planned.folder,
        goal=planned.goal,
        rehearsed=rehearsed,
        base_url=_ANYWHERE if rehearsed else "",
        scenario=os.path.join(root, begin.SCENARIO)
        if asked.rehearse not in (None, ORDINARY)
        else "",
        faults=asked.faults,
    )


def _retrospectives(asked: Asked) -> int:
    if asked.retrospectives is not None:
        return asked.retrospectives
    return 2 if asked.persistent else 1


def settings_of(asked: Asked) -> tuple[str, ...]:
    """Return the settings of the command line; an option is a short way to say one."""
    review = () if asked.review is None else (f"review={asked.review}",)
    free = ("agent=opencode", "model=free") if asked.free else ()
    return (*review, *free, *asked.settings)


def claude_of(settings: Settings, *, rehearsed: bool) -> str:
    """Return the program that is meant for the whole run, for judges too; else the usual one."""
    if word := settings.word("claude"):
        return shutil.which(word) or word
    return (tools.find_claude() or "") if rehearsed else ""


def _base(project: str) -> str:
    try:
        return git.repository(project).commit("HEAD")
    except AttractorError:
        return ""  # preflight says what is wrong there


def _scenario(asked: Asked, graph: Graph) -> str:
    """Return the text of the scenario's file, which can be played; empty for the ordinary one."""
    if asked.rehearse is None:
        if asked.faults:
            raise InputError("faults are for rehearsals", where="--fault", fix="add --rehearse")
        return ""
    given = "" if asked.rehearse == ORDINARY else asked.rehearse
    whole.check(graph, given, asked.faults)
    if not given:
        return ""
    text = read(given)
    written = script.parse(text, given, {*map(str, graph.nodes)})
    for node in agents_work(graph):
        if not written.has(ORCHESTRATOR, node.id):
            problem = f"the scenario has no turns of the role {ORCHESTRATOR!r} for {node.id!r}"
            fix = f"give it roles.{ORCHESTRATOR}, or nodes.{node.id}.{ORCHESTRATOR}"
            raise InputError(problem, where=given, fix=fix)
    return text


def _about_rubric(
    request: Request, graph: Graph, environ: Mapping[str, str], *, made: bool
) -> list[Finding]:
    """Return what is wrong with the place of the rubric, or with what it is made from."""
    name = prd.name_of(graph, request.prd)
    if not request.rubric and not request.prd:
        problem = "there is no document of requirements: only each node's acceptance is judged"
        fix = "name one with prd_ref in the graph, or with --prd"
        return [Finding(problem, request.pipeline, fix, fatal=False)]
    place = locate.Place(request.rubric, locate.is_rubric(request.rubric))
    if not place.exists and not request.prd:
        problem = f"neither a rubric nor the document of the requirements {name!r:.80} is there"
        fix = f"write it (docs/{name}.md), or name it with --prd, or a rubric with --rubric"
        return [Finding(problem, request.pipeline, fix)]
    return [] if made else locate.findings(place, name, request.project, environ)


def _about_rehearsal(request: Request) -> list[Finding]:
    """Return what could lead a rehearsal to a real API."""
    if not request.rehearsed:
        return []
    asker = Asker(ORCHESTRATOR, request.run_id, "", 1)
    layout = request.layout
    around = environment.rehearsal_environment(
        _ANYWHERE, layout.home("any"), layout.config("any"), asker=asker
    )
    try:
        given = environment.settings(_ANYWHERE, asker)
        environment.refuse_real(around, given, (request.project,))
    except InputError as error:
        return [Finding(error.problem, error.where, error.fix)]
    return []
