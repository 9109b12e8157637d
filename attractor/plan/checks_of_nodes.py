"""The rules about single nodes of a plan. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from attractor.plan import paths, surface, vacuous
from attractor.plan.model import PlannedNode
from attractor.plan.sizes import MOST_ID, OPEN_COUNTS
from attractor.plan.view import View, listed, shown
from attractor.rubric.empty_words import says_nothing

Said = Iterator[tuple[str, str, str]]

_ID: Final = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MOST_ID - 1}}}")
_DOT_WORDS: Final = frozenset({"node", "edge", "graph", "digraph", "subgraph", "strict"})
_OURS: Final = frozenset({"start", "finish", "exit", "end", "done"})
_LATER: Final = re.compile(r"R\d+", re.IGNORECASE)
_PART: Final = re.compile(r"(.+)_\d+")
_PASSES: Final = re.compile(
    r"(?:(?:all|the|its)\s+)*(?:unit\s+)?(?:tests?|checks?|criteria)\s+(?:should\s+|must\s+)?"
    r"(?:pass|passes|succeed|succeeds|are\s+green|is\s+green|are\s+met|run)\W*",
    re.IGNORECASE,
)
_FEWEST_WORDS: Final = 3


def node_id(view: View) -> Said:
    """Ask that ids are legal in DOT, and none that the pipeline itself uses, now or later."""
    folded = {each.casefold() for each in view.ids}
    for node in view.nodes:
        part = _PART.fullmatch(node.id)
        if not _ID.fullmatch(node.id):
            fix = f"use letters, digits and `_`, at most {MOST_ID}, such as parse_dates"
            yield node.id, f"the id {shown(node.id)} is none that a graph can have", fix
        elif node.id.casefold() in _DOT_WORDS | _OURS:
            yield node.id, f"the id {node.id} has a meaning of its own", "choose another one"
        elif _LATER.fullmatch(node.id):
            fix = "choose one that says what is done, such as parse_dates"
            yield node.id, f"{node.id} is the name of a node that a retrospective adds", fix
        elif part and part[1].casefold() in folded:
            problem = f"{node.id} is what a part of {part[1]} would be called, were it split"
            yield node.id, problem, "choose one that says what is done"


def node_twice(view: View) -> Said:
    """Ask that each id is there once, in any case of its letters: folders are named after it."""
    for each in _twice(node.id.casefold() for node in view.nodes):
        yield each, f"two nodes have the id {shown(each)}", "give each an id of its own"


def label(view: View) -> Said:
    """Ask that each node has a label of one line."""
    for node in view.nodes:
        if len(node.label.strip().splitlines()) != 1:
            fix = "say in a few words, on one line, what it does"
            yield node.id, f"{shown(node.id)} has no label of one line", fix


def label_twice(view: View) -> Said:
    """Ask that labels tell nodes apart."""
    for each in _twice(_plain(node.label) for node in view.nodes if node.label.strip()):
        fix = "say in each label what this one does"
        yield "", f"two nodes have the label {shown(each)}", fix


def goal(view: View) -> Said:
    """Ask that each node says what it is for."""
    for node in view.nodes:
        if len(node.goal.split()) < _FEWEST_WORDS:
            fix = "say in a sentence or two what is there when it is done"
            yield node.id, f"{shown(node.id)} has no goal", fix


def acceptance(view: View) -> Said:
    """Ask that each node says what can be seen when it is done."""
    for node in view.nodes:
        text = " ".join(node.acceptance.split())
        if len(text.split()) < _FEWEST_WORDS or says_nothing(text) or _PASSES.fullmatch(text):
            problem = f"the acceptance of {shown(node.id)} says nothing that can be observed"
            fix = "say what is printed, returned, stored or refused when it is done"
            yield node.id, problem, fix


def steps(view: View) -> Said:
    """Ask that each node says in which order it is done."""
    for node in view.nodes:
        if not any(each.strip() for each in node.steps):
            yield node.id, f"{shown(node.id)} has no steps", "list what is done, in order"


def files(view: View) -> Said:
    """Ask that each node names what it writes."""
    for node in view.nodes:
        if not node.files:
            fix = "list every file that it writes or changes, its tests among them"
            yield node.id, f"{shown(node.id)} names no files", fix


def path(view: View) -> Said:
    """Ask that a path says where."""
    fix = "write it relative to the repository, with `/`, naming at least one folder or file"
    yield from _paths(view, paths.malformed, "is no path, or could be anything", fix)


def path_outside(view: View) -> Said:
    """Ask that a path stays inside of the repository."""
    fix = "write it relative to the repository, without `..`"
    yield from _paths(view, paths.outside, "leads out of the repository", fix)


def path_reserved(view: View) -> Said:
    """Ask that a path is none of git's, of the supervisor's, or of the judge's."""
    fix = "leave it out: a node writes neither .git, .claude, .attractor nor acceptance-tests"
    yield from _paths(view, paths.reserved, "is not for a node to write", fix)


def checks(view: View) -> Said:
    """Ask that each node has a command that shows whether it is done."""
    for node in view.nodes:
        if not any(each.strip() for each in node.checks):
            known = [each.command for each in view.project.commands if each.purpose == "test"]
            fix = "name a command that fails until the work is done"
            yield node.id, f"{shown(node.id)} has no check", _with(fix, known)


def check_line(view: View) -> Said:
    """Ask that a check is one line of shell."""
    for node in view.nodes:
        for each in node.checks:
            if each.strip() and not vacuous.readable(each):
                problem = f"the check {shown(each)} of {shown(node.id)} is not one line of shell"
                fix = "write one line each, and close its quotes"
                yield node.id, problem, fix


def check_vacuous(view: View) -> Said:
    """Ask that a check can fail."""
    for node in view.nodes:
        for each in node.checks:
            if each.strip() and vacuous.is_vacuous(each):
                problem = f"the check {shown(each)} of {shown(node.id)} ends well whatever was done"
                fix = "name a command that runs the work, such as its tests"
                yield node.id, problem, fix


def after_known(view: View) -> Said:
    """Ask that a node comes after nodes of the plan."""
    for node in view.nodes:
        if unknown := [each for each in node.after if each not in view.ids]:
            problem = f"{shown(node.id)} is to come after {listed(unknown)}, which is not there"
            yield node.id, problem, f"name nodes of the plan: {listed(sorted(view.ids))}"


def node_files(view: View) -> Said:
    """Ask that a node writes no more files than the scope allows."""
    for node in view.nodes:
        count = sum(OPEN_COUNTS if paths.is_open(each) else 1 for each in set(node.files))
        if count > view.size.files:
            problem = f"{shown(node.id)} writes {count} files"
            fix = f"split it, or name fewer; each folder and `*` counts as {OPEN_COUNTS}"
            yield node.id, f"{problem}; {_most(view, view.size.files)}", fix


def node_surfaces(view: View) -> Said:
    """Ask that a node writes in no more parts of the project than the scope allows."""
    for node in view.nodes:
        parts = surface.of(node.files, view.project)
        if len(parts) > view.size.surfaces:
            problem = f"{shown(node.id)} writes in {len(parts)} parts: {listed(parts)}"
            fix = "make one node for each, with its own tests, and put them in order with `after`"
            yield node.id, f"{problem}; {_most(view, view.size.surfaces)}", fix


def node_steps(view: View) -> Said:
    """Ask that a node has no more steps than the scope allows."""
    for node in view.nodes:
        if len(node.steps) > view.size.steps:
            problem = f"{shown(node.id)} has {len(node.steps)} steps"
            fix = "split it where a part can be tested on its own"
            yield node.id, f"{problem}; {_most(view, view.size.steps)}", fix


def node_criteria(view: View) -> Said:
    """Ask that a node carries no more criteria than the scope allows."""
    for node in view.nodes:
        count = len(set(node.criteria))
        if count > view.size.criteria:
            problem = f"{shown(node.id)} carries {count} criteria"
            fix = "split it, and give each part the criteria that it makes true"
            yield node.id, f"{problem}; {_most(view, view.size.criteria)}", fix


def _most(view: View, count: int) -> str:
    return f"the scope {view.scope.value} allows {count}"


def _paths(view: View, bad: Callable[[str], bool], problem: str, fix: str) -> Said:
    for node in view.nodes:
        for each in _of(node, bad):
            yield node.id, f"the path {shown(each)} of {shown(node.id)} {problem}", fix


def _of(node: PlannedNode, bad: Callable[[str], bool]) -> list[str]:
    return [each for each in node.files if bad(each)]


def _with(fix: str, known: list[str]) -> str:
    return f"{fix}; the project has {listed(known)}" if known else fix


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _twice(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
