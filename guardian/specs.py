"""What each task is told: computed from the story, so that a task begun twice is told the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attractor.run import limits
from attractor.run.assignment import inside
from attractor.run.branch import integration_branch
from attractor.run.records import Task
from attractor.run.reviews import SELF
from attractor.run.roles import Role
from guardian.core import Core

OWN_AGENT: Final = "claude"
_BEFORE: Final = 20
_SLACK_SECONDS: Final = 120.0
_SCENARIOS: Final = 200
_QUESTIONS: Final = 3
_PREVIOUS: Final = 3
_RUBRIC_SECONDS: Final = 3_600.0
_MERGE_SECONDS: Final = 600.0
_BOOKS_SECONDS: Final = 120.0
_TOOL_SECONDS: Final = 120.0


def spec(core: Core, task: Task) -> dict[str, Any]:
    """Return the words for one task."""
    said = {
        "kind": task.kind,
        "task": task.id,
        "request": core.request.as_json(),
        "node": task.node,
        "attempt": task.attempt,
        "sandbox": core.terms[task.node].sandbox if task.node else "",
        "rubric": _rubric_of(core),
    }
    return {**said, **KINDS[task.kind](core, task)}


def _rubric_of(core: Core) -> dict[str, Any] | None:
    """Return where the rubric is, and what it must be: to be judged by, and to be hidden."""
    sealed = core.story.rubric
    # Where there are no requirements there is no rubric, and what was sealed says so.
    if not sealed or not sealed["folder"]:
        return None
    return {key: sealed[key] for key in ("folder", "files")}


def seconds(core: Core, task: Task) -> float:
    """Return after how long a task is given up: later than it would give up itself."""
    if not task.node:
        return _RUBRIC_SECONDS if task.kind == "rubric" else _BOOKS_SECONDS
    own = core.terms[task.node].limits
    checks, asks, reviews = own.check_timeout, own.ask_timeout, own.review_timeout
    known = {
        # Checks, and each scenario twice.
        "validate": checks + 2 * _SCENARIOS * asks + _SLACK_SECONDS,
        "merge": checks + _MERGE_SECONDS,
        "remember": _BOOKS_SECONDS,
        "replan": _QUESTIONS * reviews + _SLACK_SECONDS,
        "retrospect": checks + _QUESTIONS * reviews + _SLACK_SECONDS,
        "review": _QUESTIONS * reviews + _SLACK_SECONDS,
        "tool": _timeout(core, task.node) + _SLACK_SECONDS,
    }
    return known.get(task.kind, asks + _SLACK_SECONDS)


def _timeout(core: Core, node: str) -> float:
    return limits.seconds("timeout", core.node(node).attrs.get("timeout", "")) or _TOOL_SECONDS


def _rubric(core: Core, task: Task) -> dict[str, Any]:
    del task
    memory = any(each.memory for each in core.terms.values())
    return {"graph": core.request.layout.dot, "memory": memory}


def _validate(core: Core, task: Task) -> dict[str, Any]:
    terms, node, rubric = core.terms[task.node], core.node(task.node), core.story.rubric or {}
    made = terms.assignment
    story = core.story.node(task.node)
    return {
        "commit": task.about["commit"],
        "base": _base(core, task),
        "round": task.about["round"],
        "number": 1 + sum(each.get("outcome") != "investigate" for each in story.verdicts),
        "features": rubric.get("scope", {}).get(task.node, []),
        "acceptance": rubric.get("acceptance", {}).get(task.node, ""),
        "checks": list(terms.checks),
        "target_dir": made.target_dir if made else _folder(core, task.node),
        "label": node.attrs.get("label", ""),
        "prompt": node.attrs.get("prompt", ""),
        "model": terms.second_model if task.about["round"] else terms.model,
        "agent": terms.judge_agent,
        "previous": story.verdicts[-_PREVIOUS:],
        "gate": made is None,
        "judged": terms.role is not Role.CHECK,
        "timeout": terms.limits.check_timeout,
        "ask_timeout": terms.limits.ask_timeout,
    }


def _base(core: Core, task: Task) -> str:
    """Return the commit that what is judged began with: the attempt, or at a gate the run."""
    begun = ""
    if core.terms[task.node].role is Role.WORK:
        attempts = core.story.node(task.node).attempts
        begun = next((each.base for each in attempts if each.number == task.attempt), "")
    return begun or core.request.base_commit


def _merge(core: Core, task: Task) -> dict[str, Any]:
    terms, node = core.terms[task.node], core.node(task.node)
    label = node.attrs.get("label") or task.node
    made = terms.assignment
    return {
        "commit": task.about["commit"],
        "head": task.about["head"],
        "branch": integration_branch(core.request.run_id),
        "base_commit": core.request.base_commit,
        # What a merge may have been made of whose end nobody has seen.
        "handed_in": sorted({*core.story.unmerged.values()}),
        "checks": list(terms.checks),
        "target_dir": made.target_dir if made else _folder(core, task.node),
        "label": label,
        "message": f"Merge {task.node} (attempt {task.attempt}): {label}",
        "timeout": terms.limits.check_timeout,
    }


def _tool(core: Core, task: Task) -> dict[str, Any]:
    attrs = core.node(task.node).attrs
    return {
        "command": attrs.get("command") or attrs.get("tool_command", ""),
        "timeout": _timeout(core, task.node),
        "head": task.about["head"],
        "branch": integration_branch(core.request.run_id),
        "target_dir": _folder(core, task.node),
    }


def _folder(core: Core, name: str) -> str:
    """Return where in the tree a node without an agent is carried out."""
    folder = core.node(name).attrs.get("target_dir") or core.request.target_dir
    return inside(folder, core.request.project, name)


def _answer(core: Core, task: Task) -> dict[str, Any]:
    terms = core.terms[task.node]
    return {
        "question": task.about.get("question", ""),
        "options": task.about.get("options"),
        "about": _told(core, task.node),
        "model": terms.model,
        "memory": terms.memory,
        "ask_timeout": terms.limits.ask_timeout,
    }


def _told(core: Core, name: str) -> str:
    node = core.node(name)
    keys = ("label", "prompt", "acceptance", "files", "target_dir")
    lines = [f"{key}: {node.attrs[key]}" for key in keys if node.attrs.get(key)]
    return "\n".join([f"node: {name}", *lines])


def _books(core: Core, task: Task) -> dict[str, Any]:
    return {"graph": core.request.layout.dot, "result": task.about.get("result", "")}


def _review(core: Core, task: Task) -> dict[str, Any]:
    terms, node = core.terms[task.node], core.node(task.node)
    who, made = task.about["reviewer"], terms.assignment
    return {
        "reviewer": who,
        "commit": task.about["commit"],
        "base": _base(core, task),
        "number": task.about["number"],
        "label": node.attrs.get("label", ""),
        "prompt": node.attrs.get("prompt", ""),
        "acceptance": node.attrs.get("acceptance", ""),
        "target_dir": made.target_dir if made else "",
        # The model is one of the node's own agent; another agent has its own.
        "model": terms.review_model if who == SELF else "",
        "agent": OWN_AGENT if who == SELF else who,
        "before": [
            finding
            for each in core.story.node(task.node).reviews
            for finding in each.get("findings") or ()
        ][-_BEFORE:],
        "memory": terms.memory,
        "ask_timeout": terms.limits.review_timeout,
    }


def _retrospect(core: Core, task: Task) -> dict[str, Any]:
    terms = core.terms[task.node]
    return {
        "head": task.about["head"],
        "round": task.about["round"],
        "checks": list(terms.checks),
        "target_dir": core.request.target_dir,
        "model": terms.review_model,
        "prd": core.request.prd,
        "timeout": terms.limits.check_timeout,
        "memory": terms.memory,
        "ask_timeout": terms.limits.review_timeout,
    }


def _replan(core: Core, task: Task) -> dict[str, Any]:
    terms, node, story = core.terms[task.node], core.node(task.node), core.story.node(task.node)
    others = {
        str(each.id): [name.strip() for name in each.attrs["files"].split(",") if name.strip()]
        for each in core.graph.nodes.values()
        if each.id != node.id and each.attrs.get("files")
    }
    return {
        "graph": core.request.layout.dot,
        "prd": core.request.prd,
        "about": _told(core, task.node),
        "attrs": dict(node.attrs),
        "reasons": [each.how for each in story.attempts[story.forgiven :]],
        "files_of_others": others,
        "model": terms.plan_model,
        "memory": terms.memory,
        "ask_timeout": terms.limits.review_timeout,
    }


def _remember(core: Core, task: Task) -> dict[str, Any]:
    node, made = core.node(task.node), core.terms[task.node].assignment
    return {
        "outcome": task.about["outcome"],
        "feedback": task.about["feedback"],
        "score": task.about["score"],
        "label": node.attrs.get("label", ""),
        "worktree": made.worktree if made else "",
        "about": _told(core, task.node),
    }


KINDS: Final[Mapping[str, Callable[[Core, Task], dict[str, Any]]]] = {
    "answer": _answer,
    "books": _books,
    "merge": _merge,
    "remember": _remember,
    "replan": _replan,
    "retrospect": _retrospect,
    "review": _review,
    "rubric": _rubric,
    "tool": _tool,
    "validate": _validate,
}
