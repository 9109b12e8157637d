"""The rules about a plan as a whole: its requirements, its order, and who writes what. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from attractor.plan import paths, sizes
from attractor.plan.model import PlannedNode
from attractor.plan.view import View, listed, shown

Said = Iterator[tuple[str, str, str]]

_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{sizes.MOST_NAME - 1}}}")
_CRITERION: Final = re.compile(r"AC-[1-9][0-9]{0,3}")
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FEWEST_WORDS: Final = 3

Lists = Iterator[tuple[str, str, Sequence[str], int]]
"""Node, what it is, its texts, and how long each may be."""


def too_long(view: View) -> Said:
    """Ask that no text and no list is longer than any may be."""
    if len(view.nodes) > sizes.MOST_ITEMS or len(view.plan.prd.criteria) > sizes.MOST_ITEMS:
        yield "", f"there are more than {sizes.MOST_ITEMS} nodes or criteria", "plan less at once"
        return
    for node, what, texts, most in _texts(view):
        of = f"{what} of {shown(node)}" if node else what
        if len(texts) > sizes.MOST_ITEMS:
            problem = f"{of}: {len(texts)} items, and at most {sizes.MOST_ITEMS} are possible"
            yield node, problem, "keep those that matter"
        if (longest := max(map(len, texts), default=0)) > most:
            problem = f"{of}: {longest} characters, and at most {most} are possible"
            yield node, problem, "say it shorter"


def text(view: View) -> Said:
    """Ask that texts can be written into files and shown."""
    for node, what, texts, _ in _texts(view):
        if any(map(_UNFIT.search, texts)):
            of = f"{what} of {shown(node)}" if node else what
            problem = f"{of}: there is a control character, or half of a character"
            yield node, problem, "write plain text"


def _texts(view: View) -> Lists:
    plan, prd = view.plan, view.plan.prd
    yield "", "name", (plan.name,), sizes.MOST_LINE
    yield "", "title", (plan.title,), sizes.MOST_LINE
    yield "", "structure", (plan.structure,), sizes.MOST_STRUCTURE
    yield "", "summary", (prd.summary,), sizes.MOST_TEXT
    yield "", "requirements", prd.requirements, sizes.MOST_LINE
    yield "", "ids of criteria", [each.id for each in prd.criteria], sizes.MOST_LINE
    yield "", "criteria", [each.text for each in prd.criteria], sizes.MOST_LINE
    yield "", "out_of_scope", prd.out_of_scope, sizes.MOST_LINE
    yield "", "risks", prd.risks, sizes.MOST_LINE
    for node in view.nodes:
        yield from _texts_of(node)


def _texts_of(node: PlannedNode) -> Lists:
    of = node.id[: sizes.MOST_ID]
    yield of, "id", (node.id, node.worker_type), sizes.MOST_LINE
    yield of, "label", (node.label,), sizes.MOST_LABEL
    yield of, "goal", (node.goal,), sizes.MOST_TEXT
    yield of, "reference_style", (node.reference_style,), sizes.MOST_TEXT
    yield of, "outline", (node.outline,), sizes.MOST_TEXT
    yield of, "acceptance", (node.acceptance,), sizes.MOST_TEXT
    yield of, "steps", node.steps, sizes.MOST_LINE
    yield of, "safety", node.safety, sizes.MOST_LINE
    yield of, "criteria", node.criteria, sizes.MOST_LINE
    yield of, "files", node.files, sizes.MOST_PATH
    yield of, "checks", node.checks, sizes.MOST_CHECK
    yield of, "after", node.after, sizes.MOST_LINE


def name(view: View) -> Said:
    """Ask that the plan has a name that files and branches can have, and a title."""
    if not _NAME.fullmatch(view.plan.name):
        fix = f"use letters, digits, `_` and `-`, at most {sizes.MOST_NAME}, a letter first"
        yield "", f"{shown(view.plan.name)} is no name for a plan", fix
    if len(view.plan.title.strip().splitlines()) != 1:
        yield "", "the plan has no title of one line", "say on one line what it is about"


def prd(view: View) -> Said:
    """Ask that the requirements say what is wanted, and how it is known to be there."""
    if len(view.plan.prd.summary.split()) < _FEWEST_WORDS:
        yield "", "the requirements have no summary", "say in a few sentences what is wanted"
    if not any(each.strip() for each in view.plan.prd.requirements):
        yield "", "there are no requirements", "list what is wanted, one sentence each"
    if not view.plan.prd.criteria:
        fix = "add criteria AC-1, AC-2, ..., each something that can be observed"
        yield "", "the requirements have no acceptance criteria", fix


def criterion_id(view: View) -> Said:
    """Ask that criteria are called AC-1, AC-2, ..."""
    for each in view.plan.prd.criteria:
        if not _CRITERION.fullmatch(each.id):
            yield "", f"{shown(each.id)} is no id of a criterion", "call them AC-1, AC-2, ..."


def criterion_twice(view: View) -> Said:
    """Ask that each criterion has an id of its own."""
    for each, count in Counter(each.id for each in view.plan.prd.criteria).items():
        if count > 1:
            yield "", f"{count} criteria are called {shown(each)}", "number them one after another"


def criterion_text(view: View) -> Said:
    """Ask that each criterion says something."""
    for each in view.plan.prd.criteria:
        if len(each.text.split()) < _FEWEST_WORDS:
            fix = "say what can be observed when it is met"
            yield "", f"the criterion {shown(each.id)} says nothing", fix


def criterion_carried(view: View) -> Said:
    """Ask that each criterion is somebody's work."""
    carried = {each for node in view.nodes for each in node.criteria}
    for each in view.plan.prd.criteria:
        if each.id not in carried:
            fix = f"add {each.id[:20]} to the criteria of the node that makes it true, or add one"
            yield "", f"no node carries the criterion {shown(each.id)}", fix


def criterion_known(view: View) -> Said:
    """Ask that a node carries criteria of the requirements."""
    known = {each.id for each in view.plan.prd.criteria}
    for node in view.nodes:
        if unknown := [each for each in node.criteria if each not in known]:
            problem = f"{shown(node.id)} carries {listed(unknown)}, not among the requirements"
            yield node.id, problem, "correct the id, or add the criterion to the requirements"


def plan_size(view: View) -> Said:
    """Ask that there is work, and no more of it than the scope allows."""
    if not view.nodes:
        yield "", "the plan has no nodes", "add at least one"
    elif len(view.nodes) > view.size.nodes:
        problem = f"the plan has {len(view.nodes)} nodes"
        fix = "leave out what the goal does not ask for, or join what is tested together"
        yield "", f"{problem}; the scope {view.scope.value} allows {view.size.nodes}", fix


def cycle(view: View) -> Said:
    """Ask that no node waits for itself."""
    if circle := sorted(node for node, before in view.before.items() if node in before):
        problem = f"these wait for each other, and none could begin: {listed(circle)}"
        yield circle[0], problem, "take one id out of an `after`"


def same_file(view: View) -> Said:
    """Ask that nodes that may run side by side do not write the same file."""
    for one, other in combinations(view.nodes, 2):
        if one.id in view.before[other.id] or other.id in view.before[one.id]:
            continue
        both = [(a, b) for a in one.files for b in other.files if paths.may_meet(a, b)]
        if both:
            a, b = both[0]
            same = shown(a) if a == b else f"{shown(a)} and {shown(b)}"
            problem = f"{shown(one.id)} and {shown(other.id)} may run at once and both write {same}"
            fix = "put one `after` the other, or let one of them write it for both"
            yield one.id, problem, fix
