"""What can be done to beads, each as one change of the lines. Pure: who and when come in.

Every function checks all it can before it changes anything, so a caller that meets an InputError
has changed nothing. A change that changes nothing leaves the line, and its updated_at, alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

from attractor.beads import graph, ids
from attractor.beads.graph import EXTERNAL, PARENT
from attractor.beads.issue import (
    CLAIMED_BY_SESSION,
    GONE,
    IMPL_COMPLETE,
    IMPL_COMPLETE_LABEL,
    Issue,
    check_text,
    check_title,
    labels_of,
    status_of,
    with_status,
)
from attractor.beads.lines import Lines
from attractor.errors import AttractorError, InputError
from signals.clock import iso

_LABEL_CHARACTERS: Final = 255


class ClaimError(AttractorError):
    """Somebody else has it; `details` say who (`assignee`) and in which status it is."""

    code: ClassVar[str] = "claimed"


class CycleError(InputError):
    """The dependency would close a circle; `details` have it as `cycle`."""


@final
@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, and when."""

    actor: str
    now_ns: int
    session: str = ""

    @property
    def now(self) -> str:
        return iso(self.now_ns)


@final
@dataclass(frozen=True, slots=True)
class Draft:
    """A bead to be made. `fields` are those of the file, checked by the caller."""

    fields: Mapping[str, Any]
    parent: str = ""
    needs: Sequence[tuple[str, str]] = ()
    """Pairs of an issue (or `external:...`) and the kind of dependency on it."""
    name: str = ""


def create(lines: Lines, draft: Draft, prefix: str, act: Act) -> Issue:
    """Add a bead and return it."""
    fields = {key: value for key, value in draft.fields.items() if value not in (None, "", [])}
    fields["title"] = check_title(str(draft.fields.get("title", "")))
    parent = ids.resolve(draft.parent, lines.issues) if draft.parent else ""
    name = _free_name(lines, draft, fields, parent, prefix, act)
    issue: Issue = {
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        **fields,
        "id": name,
        "created_at": act.now,
        "created_by": act.actor,
        "updated_at": act.now,
    }
    if "labels" in fields:
        issue["labels"] = check_labels(fields["labels"])
    pairs = [(parent, PARENT)] if parent else []
    pairs += [(_target(lines, word), kind) for word, kind in draft.needs]
    issue["dependencies"] = [
        _record(name, target, kind, act) for target, kind in dict(pairs).items()
    ]
    lines.put(issue)
    return issue


def _free_name(
    lines: Lines, draft: Draft, fields: Issue, parent: str, prefix: str, act: Act
) -> str:
    if draft.name:
        if draft.name in lines.issues:
            fix = "choose another id, or `update` that issue"
            raise InputError(f"there is already an issue {draft.name}", fix=fix)
        return draft.name
    if parent:
        return ids.child_id(parent, lines.issues)
    words = (fields["title"], fields.get("description", ""), act.actor, str(act.now_ns))
    return ids.new_id(prefix, "|".join(words), lines.issues)


def _record(source: str, target: str, kind: str, act: Act) -> dict[str, Any]:
    return {
        "issue_id": source,
        "depends_on_id": target,
        "type": kind,
        "created_at": act.now,
        "created_by": act.actor,
    }


def _target(lines: Lines, word: str) -> str:
    return word if word.startswith(EXTERNAL) else ids.resolve(word, lines.issues)


def check_labels(labels: Iterable[str]) -> list[str]:
    """Return labels as they are stored: trimmed, each once, sorted."""
    found = sorted({check_text("label", label).strip() for label in labels} - {""})
    for label in found:
        if len(label) > _LABEL_CHARACTERS or any(ord(each) < ord(" ") for each in label):
            raise InputError(f"{label[:40]!r} cannot be a label", fix="use a short single line")
    return found


def update(lines: Lines, name: str, fields: Mapping[str, Any], act: Act) -> Issue:
    """Change fields of a bead; None or an empty text takes a field away."""
    issue = dict(lines.issues[name])
    fields = dict(fields)
    status = fields.pop("status", None)
    if status is not None and status != status_of(issue):
        issue = with_status(issue, status, act.now)
        if status == "closed" and act.session:
            issue["closed_by_session"] = act.session
    if "title" in fields:
        fields["title"] = check_title(fields["title"])
    for key, value in fields.items():
        if value in (None, ""):
            issue.pop(key, None)
        else:
            issue[key] = value
    if CLAIMED_BY_SESSION not in fields and _given_up(lines.issues[name], issue):
        issue.pop(CLAIMED_BY_SESSION, None)
    return _store(lines, issue, act)


def _given_up(was: Issue, issue: Issue) -> bool:
    return issue.get("assignee") != was.get("assignee") or issue.get("status") == "open"


def _store(lines: Lines, issue: Issue, act: Act) -> Issue:
    if issue != lines.issues[issue["id"]]:
        lines.put(issue | {"updated_at": act.now})
    return lines.issues[issue["id"]]


def claim(lines: Lines, name: str, act: Act) -> Issue:
    """Make the actor the one who works on a bead. ClaimError: it is somebody else's, or done."""
    issue = lines.issues[name]
    owner, status = issue.get("assignee") or "", status_of(issue)
    if status in GONE:
        fix = f"`attractor bd reopen {name}` if there is more to do"
        raise ClaimError(f"{name} is {status}", fix=fix, assignee=owner, issue_status=status)
    if owner and owner != act.actor:
        raise ClaimError(
            f"{name} is already claimed by {owner}",
            fix="`attractor bd ready --unassigned` shows what is free",
            assignee=owner,
            issue_status=status,
        )
    # Sessions of one person share the actor's name, and must not share a bead.
    session = issue.get(CLAIMED_BY_SESSION) or ""
    if session and act.session and session != act.session:
        raise ClaimError(
            f"{name} is already claimed by {owner}, in the session {session}",
            fix=f"once that session is over: `attractor bd update {name} --status open`",
            assignee=owner,
            issue_status=status,
        )
    if owner and status in {"in_progress", IMPL_COMPLETE}:
        return issue
    fields = {"assignee": act.actor, "status": "in_progress", CLAIMED_BY_SESSION: act.session}
    return update(lines, name, fields, act)


def close(lines: Lines, name: str, reason: str, act: Act) -> Issue:
    """Close a bead; one that is closed stays as it is."""
    issue = lines.issues[name]
    if issue.get("status") in GONE:
        return issue
    fields = {"status": "closed", "close_reason": check_text("reason", reason)}
    return update(lines, name, fields, act)


def reopen(lines: Lines, name: str, reason: str, act: Act) -> Issue:
    """Open a closed bead again; the reason becomes a comment. One that is open stays as it is."""
    if lines.issues[name].get("status") not in GONE:
        return lines.issues[name]
    issue = update(lines, name, {"status": "open"}, act)
    if reason:
        comment(lines, name, reason, act.actor, act)
        issue = lines.issues[name]
    return issue


def relabel(lines: Lines, name: str, add: Iterable[str], remove: Iterable[str], act: Act) -> Issue:
    """Add and take away labels."""
    issue = lines.issues[name]
    labels = (set(labels_of(issue)) | set(check_labels(add))) - {each.strip() for each in remove}
    if IMPL_COMPLETE_LABEL in labels and issue.get("status") != "in_progress":
        raise InputError(
            f"the label {IMPL_COMPLETE_LABEL} is how the status impl_complete is stored",
            fix=f"`attractor bd update {name} --status impl_complete`",
        )
    return _store(lines, issue | {"labels": sorted(labels)} if labels else _without(issue), act)


def _without(issue: Issue) -> Issue:
    return {key: value for key, value in issue.items() if key != "labels"}


def comment(lines: Lines, name: str, text: str, author: str, act: Act) -> dict[str, Any]:
    """Add a comment to a bead and return it. Its id counts within the bead."""
    if not check_text("comment", text).strip():
        raise InputError("the comment is empty", fix="give a text")
    issue = lines.issues[name]
    old = list(issue.get("comments") or ())
    numbers = [each["id"] for each in old if isinstance(each.get("id"), int)]
    new = {
        "id": max(numbers, default=0) + 1,
        "issue_id": name,
        "author": author,
        "text": text,
        "created_at": act.now,
    }
    _store(lines, issue | {"comments": [*old, new]}, act)
    return new


def note(lines: Lines, name: str, text: str, act: Act) -> Issue:
    """Append a line to the notes of a bead."""
    old = lines.issues[name].get("notes") or ""
    notes = f"{old}\n{check_text('note', text)}" if old else check_text("note", text)
    return update(lines, name, {"notes": notes}, act)


def depend(lines: Lines, name: str, target: str, kind: str, act: Act) -> bool:
    """Make one bead depend on another; false if it did already. CycleError: shown as a path."""
    for link in graph.links_of(lines.issues[name]):
        if link.target == target:
            if link.kind == kind:
                return False
            raise InputError(
                f"{name} already depends on {target}, as {link.kind}",
                fix=f"`attractor bd dep remove {name} {target}` first",
            )
    above = graph.parent_of(lines.issues[name])
    if kind == PARENT and above:
        fix = f"`attractor bd update {name} --parent {target}` moves it"
        raise InputError(f"{name} already has a parent, {above}", fix=fix)
    if way := graph.circle(lines.issues, name, target, kind):
        raise CycleError(
            f"this would make a cycle: {' -> '.join(way)}",
            fix=f"remove one of its steps first (`attractor bd dep remove {way[1]} {way[2]}`)"
            if len(way) > 2  # noqa: PLR2004 - more than the bead itself
            else "a bead cannot wait for itself",
            cycle=way,
        )
    issue = lines.issues[name]
    records = [*(issue.get("dependencies") or ()), _record(name, target, kind, act)]
    _store(lines, issue | {"dependencies": records}, act)
    return True


def independ(lines: Lines, name: str, target: str, act: Act) -> str:
    """Take a dependency away and return its kind."""
    issue = lines.issues[name]
    old = issue.get("dependencies") or []
    kept = [each for each in old if each["depends_on_id"] != target]
    if len(kept) == len(old):
        fix = f"`attractor bd dep list {name}` shows what it depends on"
        raise InputError(f"{name} does not depend on {target}", fix=fix)
    kind = next(link.kind for link in graph.links_of(issue) if link.target == target)
    _store(lines, issue | {"dependencies": kept}, act)
    return kind


def move(lines: Lines, name: str, parent: str, act: Act) -> Issue:
    """Give a bead another parent, or none; its id stays."""
    old = graph.parent_of(lines.issues[name])
    if old == parent:
        return lines.issues[name]
    before = lines.issues[name]
    if old:
        independ(lines, name, old, act)
    try:
        if parent:
            depend(lines, name, parent, PARENT, act)
    except InputError:
        lines.put(before)
        raise
    return lines.issues[name]


def repair(lines: Lines, act: Act) -> list[graph.Link]:
    """Take away every dependency on an issue that is not there, and return them."""
    found = graph.dangling(lines.issues)
    for link in found:
        independ(lines, link.source, link.target, act)
    return found
