"""What an approved plan leaves behind: beads, the promise, and a line in the project's memory.

All names are made from the plan's own, so that doing it again finds what was done: a process that
was killed in between is completed by the next one, and what is there stays as it is. Last of all
`approved.json` is written, in the plan's folder. Where there is no `.beads`, or a name in it is
somebody else's, a note says so; a plan never fails for it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor import draft as drafts
from attractor.beads import config as beads_config
from attractor.beads import edit, store
from attractor.beads.edit import Act, Draft
from attractor.beads.lines import Lines
from attractor.errors import AttractorError, InputError
from attractor.memory.places import home
from attractor.memory.planning import planned as remember
from attractor.plan import checks, drawn, write
from attractor.plan.model import REF, Plan, PlannedNode
from attractor.plan.pipeline_text import Names
from attractor.promise import model
from attractor.promise.model import Step
from attractor.promise.store import Store
from attractor.rubric import locate
from signals import atomic
from signals.clock import Clock, iso

APPROVED: Final = "approved.json"
_ACTOR: Final = "attractor"
_SESSION: Final = "attractor-plan"
_BLOCKS: Final = "blocks"
_MOST_ENTRY: Final = 300


def names(project: str, name: str, ids: Sequence[str]) -> Names:
    """Return what belongs to the plan with this name."""
    folder = os.path.join(project, store.FOLDER)
    with contextlib.suppress(InputError):
        folder = store.find(project, {}).folder
    prefix = beads_config.prefix_of(folder, {})
    with contextlib.suppress(AttractorError):  # what is wrong with it, bd says
        prefix = beads_config.prefix_of(folder, beads_config.read(folder))
    epic = f"{prefix}-{name}"
    beads = {each: f"{epic}.{number}" for number, each in enumerate(ids, start=1)}
    return Names(name, f"PRD-{name.upper()}", f"plan-{name}", epic, beads)


def is_taken(project: str, name: str, environ: Mapping[str, str]) -> bool:
    """Say whether something of the project's goes by this plan's names already."""
    found = names(project, name, ())
    folder = write.plan_folder(project, name)
    if os.path.lexists(folder) or os.path.lexists(drafts.draft_of(folder)):
        return True
    # Of a plan that was removed, the rubric may still be there; it must not judge another's work.
    if locate.find(found.prd, os.path.join(folder, "p.dot"), project, environ).exists:
        return True
    kept = os.path.join(project, ".claude", "completion-state")
    promises = (os.path.join(kept, each, f"{found.promise}.json") for each in _PROMISES)
    if any(map(os.path.lexists, promises)):
        return True
    with contextlib.suppress(AttractorError):
        return found.epic in store.find(project, {}).read().issues
    return False


_PROMISES: Final = ("promises", "history")


def approve(folder: str, project: str, clock: Clock, *, by: str, keep: bool = True) -> list[str]:
    """Take a plan as approved; return what a person should know of it.

    Without `keep` nothing is written but that it is approved: for what is only rehearsed.
    """
    path = os.path.join(folder, APPROVED)
    if os.path.isfile(path):
        return []
    known = write.load(folder)
    plan, called, *_ = drawn.read(folder, project, known)
    notes: list[str] = []
    if keep:
        for do in (_beads, _promise):
            try:
                do(plan, called, project, clock, notes)
            except AttractorError as error:
                where = f" ({error.where})" if error.where else ""
                notes.append(error.problem.partition("\n")[0] + where)
        where = home(project, rehearsed=known.get("rehearsed") is True)
        notes += remember(where, plan.structure, _entry(known, plan, called), clock)
    said = {"at": iso(clock.wall_ns()), "by": by, "kept": keep, "notes": notes}
    atomic.replace(path, json.dumps(said, indent=2, ensure_ascii=False).encode() + b"\n")
    return notes


def _entry(known: Mapping[str, Any], plan: Plan, called: Names) -> str:
    goal = " ".join(str(known["goal"]).split())[:_MOST_ENTRY]
    nodes = ", ".join(each.id for each in plan.nodes)
    return f"Plan {called.plan}: {goal} ({len(plan.nodes)} nodes: {nodes})"[: 2 * _MOST_ENTRY]


# Beads.


def _beads(plan: Plan, called: Names, project: str, clock: Clock, notes: list[str]) -> None:
    try:
        found = store.find(project, {})
    except InputError:
        notes.append("there is no .beads here, so the plan has no beads: attractor init makes it")
        return
    act = Act(_ACTOR, clock.wall_ns())
    mine = {"external_ref": f"{REF}{called.plan}", "labels": ["plan"]}
    by_id = {each.id: each for each in plan.nodes}
    with found.change(clock) as lines:
        epic = {"title": plan.title, "description": plan.prd.summary, "issue_type": "epic", **mine}
        _bead(lines, Draft(epic, name=called.epic), act, notes)
        for each in checks.order(plan):
            _bead(lines, _draft(by_id[each], called, mine), act, notes)


def _draft(node: PlannedNode, called: Names, mine: Mapping[str, Any]) -> Draft:
    fields = {
        "title": node.label,
        "description": node.goal,
        "acceptance_criteria": node.acceptance,
        **mine,
    }
    needs = [(called.beads[each], _BLOCKS) for each in node.after]
    return Draft(fields, parent=called.epic, needs=needs, name=called.beads[node.id])


def _bead(lines: Lines, draft: Draft, act: Act, notes: list[str]) -> None:
    there = lines.issues.get(draft.name)
    if there is None:
        edit.create(lines, draft, "", act)
    elif there.get("external_ref") != draft.fields["external_ref"]:
        notes.append(f"the bead {draft.name} is not this plan's, and stays as it is")


# The promise.


def _promise(plan: Plan, called: Names, project: str, clock: Clock, notes: list[str]) -> None:
    del notes
    kept = Store(project, clock)
    with kept.locked():
        if called.promise in {*kept.names("promises"), *kept.names("history")}:
            return
        kept.save(_made(plan, called, kept.now()), _SESSION)


def _made(plan: Plan, called: Names, at: str) -> Step:
    """Return the promise with the criteria's own names, and without an owner: a run adopts it."""
    criteria = plan.prd.criteria
    texts = [each.text for each in criteria]
    step = model.create(called.promise, plan.title, texts, _SESSION, at)
    made = model.criteria(step.promise)
    ids = {old["id"]: each.id for old, each in zip(made, criteria, strict=True)}
    promise = step.promise | {
        "acceptance_criteria": [each | {"id": ids[each["id"]]} for each in made]
    }
    changes = [each | {"what": ids.get(each["what"], each["what"])} for each in step.changes]
    free = model.release(promise)
    return Step(free.promise, [*changes, *free.changes])
