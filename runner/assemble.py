"""Puts one Runner together from its assignment: the only module that knows all the parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from attractor.run.assignment import Assignment
from runner import carry, crew, environment, git, kept, opinion, prompt, refs, sandbox, transcript
from runner.children import Children
from runner.fence import GitFolders
from runner.git import Worktree
from runner.loop import Loop
from runner.perform import Performer
from runner.post import Post
from runner.sessions.opening import open_session
from runner.sessions.stage import Stage
from runner.state import State
from runner.timeline import Timeline
from runner.worktree import ensure
from signals.clock import Clock

_JUDGE: Final = "claude"
_SLOW_SECONDS: Final = 60.0  # a rehearsal would give it a fifth of that
_MOST_READINGS: Final = 50  # of a transcript at once


def assemble(assignment: Assignment, level: sandbox.Level, clock: Clock) -> Loop:
    """Return the loop of this node, with its worktree made or taken over."""
    assignment = _patient(assignment)
    layout, node = assignment.layout, assignment.node_id
    sandbox.prepare(assignment, os.environ)
    worktree = ensure(assignment, clock)
    timeline = Timeline(layout.timeline(node), layout.pane_log(node), clock)
    session = open_session(assignment, worktree, level, clock)
    post = Post(assignment, clock)
    children = _children(assignment, worktree, level, clock)
    return Loop(
        assignment,
        session=session,
        look_at_tree=_looking(worktree, timeline, clock),
        promise=lambda session_id: kept.promise(assignment.worktree, session_id),
        usage=_counting(Stage(assignment, worktree, level, clock, os.environ)),
        first_prompt=lambda: _first_prompt(assignment, worktree, clock),
        post=post,
        children=children,
        performer=Performer(assignment, session, post, children, timeline, clock),
        timeline=timeline,
        blindness=level.name,
        clock=clock,
    )


def _patient(assignment: Assignment) -> Assignment:
    """Return an assignment whose agent has the time that its program needs to start, each turn."""
    if not (assignment.rehearsed and assignment.alone):
        return assignment
    limits = assignment.limits
    least = max(limits.tool_stuck_after, _SLOW_SECONDS)
    return replace(assignment, limits=replace(limits, tool_stuck_after=least))


def _looking(worktree: Worktree, timeline: Timeline, clock: Clock) -> Callable[[], git.TreeFacts]:
    """Return how the worktree is looked at: first the branch follows what the session did."""

    def look() -> git.TreeFacts:
        published = refs.publish_branch(worktree, clock)
        if published.refused:
            timeline.add("note", "the branch stays where it is", {"why": published.refused})
        found = git.look(worktree, clock)
        if found.tampered:
            timeline.add("note", "the worktree was tampered with", {"what": found.tampered})
        return found

    return look


def _counting(stage: Stage) -> Callable[[State], State]:
    """Return how usage is counted: what the transcripts gained since the last time.

    Where they lie is known from here; what a hook says of it is the session's word. An agent
    that works alone has none that we read: what its turns printed is counted.
    """
    if stage.assignment.alone:
        return lambda state: _count_turns(stage, state)

    def count(state: State) -> State:
        folder = stage.assignment.work_folder
        path = transcript.transcript_path(stage.config, folder, state.session_id)
        for _ in range(_MOST_READINGS):
            reading = transcript.read(stage.config, path, state.usage_mark)
            told = [each.retry_at for each in reading.errors if each.final and each.retry_at]
            state = replace(
                state,
                usage=state.usage + reading.added,
                usage_mark=reading.mark,
                retry_at=told[-1] if told else state.retry_at,
            )
            if not reading.behind:
                break
        return state

    return count


def _count_turns(stage: Stage, state: State) -> State:
    from runner.sessions import turn_usage

    added, mark = turn_usage.count(stage, state.usage_mark)
    return replace(state, usage=state.usage + added, usage_mark=mark)


def _first_prompt(assignment: Assignment, worktree: Worktree, clock: Clock) -> str:
    carried = carry.carry(assignment, worktree, clock)
    return prompt.first_prompt(assignment, carried, missing_skills=crew.missing_skills(assignment))


def _children(
    assignment: Assignment, worktree: Worktree, level: sandbox.Level, clock: Clock
) -> Children:
    session_env = environment.for_session(assignment, sandbox.git_environment(), os.environ)

    def check_spec(head: str, out: str) -> Mapping[str, Any]:
        folders = GitFolders(worktree.common, worktree.admin)
        fence = sandbox.fence_of(assignment, folders, os.environ, level)
        folder = assignment.work_folder
        wrapped = sandbox.wrap(level, fence, [], folder, report=True)
        return {
            "commands": list(assignment.checks),
            "cwd": folder,
            "timeout": assignment.limits.check_timeout,
            "head": head,
            "env": session_env,
            "fence": {"argv": wrapped.argv, "options": wrapped.options},
            "out": out,
        }

    def question(turn: int, message: str, screen: str) -> Mapping[str, Any]:
        del turn
        found = git.look(worktree, clock)
        return {
            "schema_version": 1,
            "agent": assignment.agent if assignment.alone else _JUDGE,
            "prompt": opinion.text(message, screen, found.commits, found.stat),
            "schema": opinion.SCHEMA,
            "cwd": assignment.layout.results(assignment.node_id),
            "tools": [],
            "model": assignment.model,
            "timeout_seconds": assignment.limits.ask_timeout,
            "max_turns": 3,
            "env": _question_environment(assignment),
            "program": "" if assignment.alone else assignment.claude,
        }

    # The whole: in a real run a question needs the person's login.
    return Children(assignment, check_spec, question, dict(os.environ), clock)


def _question_environment(assignment: Assignment) -> Mapping[str, str] | None:
    """Return the environment of a question: in a rehearsal it goes to the scripted model, too."""
    if not assignment.rehearsed:
        return None
    from attractor.rehearsal.environment import agent_environment, rehearsal_environment
    from attractor.rehearsal.headers import Asker

    layout, node = assignment.layout, assignment.node_id
    asker = Asker(opinion.ROLE, assignment.run_id, node, assignment.attempt)
    results = layout.results(node)
    home = os.path.join(results, "home")
    os.makedirs(home, mode=0o700, exist_ok=True)
    if assignment.alone:
        return agent_environment(assignment.agent, assignment.base_url, home, asker=asker)
    return rehearsal_environment(assignment.base_url, home, home, asker=asker)
