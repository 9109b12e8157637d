"""What is to be rehearsed, read and checked as a whole before anything starts.

A mistake in it is an InputError: a pipeline that cannot be read, a node without work, a scenario or
a fault about another node, a setting, a missing program, an environment that could reach a real
API. Reading and checking changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from attractor import tools
from attractor.errors import InputError
from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.pipeline.load import load
from attractor.rehearsal import default, environment, faults, script
from attractor.rehearsal.faults import Terms
from attractor.rehearsal.headers import Asker
from attractor.rehearsal.turn import ORCHESTRATOR, Script
from attractor.run import config, preflight
from attractor.run.assign import Dispatch, assign, worked_on
from attractor.run.assignment import Assignment
from attractor.run.preflight import Finding

_ANYWHERE: Final = "http://127.0.0.1:9"  # the real address is known only later
_MOST_NAMED: Final = 20


@final
@dataclass(frozen=True, kw_only=True)
class Play:
    """What a person, or a test, asks for."""

    pipeline: str
    node: str = ""
    """Empty for the first that an agent works on."""
    scenario: str = ""
    """A script's file; empty for one in which everything goes well."""
    faults: Sequence[str] = ()
    project: str = ""
    """A repository of the user's; empty for one that is made, and gone afterwards."""
    settings: Sequence[str] = ()
    """`NAME=VALUE`, beside those of pipeline and project. Limits among them are not shortened."""
    keep: bool = False
    attempt: int = 1
    feedback: str = ""


@final
class ReadPlay:
    """A play that was read, and is about what is there."""

    def __init__(self, play: Play) -> None:
        document, self.graph = load(play.pipeline)
        self.text = document.source.text
        self.play = play
        self.node = _chosen(self.graph, play.node, play.pipeline)
        self._faults = faults.parse(play.faults, worked_on(self.graph))
        self._script: Script = (
            script.load(play.scenario, {*map(str, self.graph.nodes)})
            if play.scenario
            else default.scenario_for(self.graph)
        )
        self.script(())
        self.notes: list[Finding] = []
        """What is worth knowing, once the assignment is made."""

    def script(self, hidden: Sequence[str]) -> Script:
        """Return what the model says; who peeks tries to read what is hidden."""
        return faults.apply(self._script, self._faults, Terms(peek=tuple(hidden)))

    def assignment(self, place: Dispatch, hidden: Sequence[str]) -> Assignment:
        """Return what the Runner is told, but for the model's address; checks it."""
        known = config.load(place.project, os.environ, self.play.settings)
        settings = config.resolve(self.node.attrs, self.graph.attrs, known)
        made = assign(self.graph, self.node, settings, place)
        made = replace(
            made,
            feedback=self.play.feedback,
            hidden=tuple(hidden),
            limits=config.rehearsed(settings),
            claude=made.claude or tools.find_claude() or "",
        )
        plan = replace(preflight.plan_of(made), rehearsed=True, disk=True)
        findings = preflight.examine(plan, os.environ)
        preflight.refuse(findings)
        self.notes = [each for each in findings if not each.fatal]
        self._refuse_silence(made)
        _refuse_real(made)
        return made

    def _refuse_silence(self, made: Assignment) -> None:
        """Refuse a scenario in which the session would be answered by an error, and wait."""
        if made.agent == "command" or self._script.has(ORCHESTRATOR, made.node_id, made.attempt):
            return
        problem = f"the scenario has no turns of the role {ORCHESTRATOR!r} for {made.node_id!r}"
        fix = f"give it roles.{ORCHESTRATOR}, or nodes.{made.node_id}.{ORCHESTRATOR}"
        raise InputError(problem, where=self.play.scenario, fix=fix)


def _chosen(graph: Graph, node_id: str, pipeline: str) -> Node:
    known = worked_on(graph)
    if not known:
        fix = 'give one handler="codergen"; shape=box means that where no handler is named'
        raise InputError("no node of this pipeline has work for an agent", where=pipeline, fix=fix)
    if node_id and node_id not in known:
        problem = f"there is no node {node_id!r:.80} with work for an agent"
        fix = f"there are {', '.join(known[:_MOST_NAMED])}"
        raise InputError(problem, where=pipeline, fix=fix)
    return graph.nodes[NodeId(node_id or known[0])]


def _refuse_real(made: Assignment) -> None:
    if made.agent == "command":
        return  # no program that knows of an API is started
    asker = Asker(ORCHESTRATOR, made.run_id, made.node_id, made.attempt)
    home, private = made.layout.home(made.node_id), made.layout.config(made.node_id)
    around = environment.rehearsal_environment(_ANYWHERE, home, private, asker=asker)
    given = environment.settings(_ANYWHERE, asker)
    environment.refuse_real(around, given, (made.project, made.worktree))
