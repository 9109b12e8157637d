"""Tells the project's beads and promise what the run has done.

Whatever was told before, and wherever a task before this one was killed: afterwards both say what
is wanted, and once they do nothing is written any more. What somebody else has decided stays: a
bead that another closed, another's claim, a plan's own bead that was changed, a promise that is
verified or cancelled. Of such, and of what there is not (`.beads`, a bead, a criterion), an
answer's notes tell; a run never fails for it.
`ok` is false where trying again may help: somebody holds a lock, or the disk refuses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attractor.beads import edit, graph, store
from attractor.beads.edit import Act
from attractor.beads.issue import CLAIMED_BY_SESSION, GONE
from attractor.beads.lines import Lines
from attractor.errors import AttractorError, BusyError, StorageError
from attractor.pipeline import load
from attractor.plan.model import REF
from attractor.promise import audit, evidence, gates, model, session
from attractor.promise.files import read_json, to_bytes
from attractor.promise.model import Evidence, Promise, Step
from attractor.promise.store import Store
from attractor.run import journal, story
from attractor.run.layout import RunLayout
from guardian import books
from signals import atomic
from signals.clock import Clock

_ACTOR: Final = "attractor"
_HASH_SECONDS: Final = 60.0
_MOST_NAMED: Final = 5


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Tell what the journal says by now, or `beads` and `promise`; answer {ok, notes}."""
    request = spec["request"]
    project, run_id = str(request["project"]), str(request["run_id"])
    said = spec if "graph" not in spec else _wanted(spec)
    beads, epic, promise = (said.get(each) or {} for each in ("beads", "epic", "promise"))
    act = Act(_ACTOR, clock.wall_ns(), books.owner(run_id))
    notes: list[str] = []
    done = [
        _tried(lambda: _tell_beads(project, beads, epic, run_id, act, clock, notes), notes),
        _tried(lambda: _tell_promise(project, promise, run_id, clock, notes), notes),
    ]
    ok = all(done)
    if ok:
        told = {"beads": dict(beads), "epic": dict(epic), "promise": dict(promise)}
        path = RunLayout(str(request["run_root"])).books
        atomic.sweep_drafts(path)
        atomic.replace(path, json.dumps(told, indent=2, ensure_ascii=True).encode() + b"\n")
    return {"ok": ok, "notes": notes}


def _wanted(spec: Mapping[str, Any]) -> dict[str, Any]:
    _, pipeline = load.load(str(spec["graph"]))
    found = journal.read(RunLayout(str(spec["request"]["run_root"])).journal)
    return books.wanted(story.read(found.entries), pipeline, str(spec.get("result") or ""))


def _tried(tell: Callable[[], None], notes: list[str]) -> bool:
    try:
        tell()
    except AttractorError as error:
        where = f" ({error.where})" if error.where else ""
        notes.append(error.problem.partition("\n")[0] + where)
        return not isinstance(error, BusyError | StorageError)
    return True


# Beads.


def _tell_beads(
    project: str,
    wanted: Mapping[str, Mapping[str, str]],
    epic: Mapping[str, str],
    run_id: str,
    act: Act,
    clock: Clock,
    notes: list[str],
) -> None:
    if not wanted:
        return
    # Nothing of the environment: the project's own beads are meant, whoever started the run.
    found = store.find(project, {})
    with found.change(clock) as lines:
        for name, said in wanted.items():
            if name not in lines.issues:
                notes.append(f"there is no bead {name}")
                continue
            _BEADS[said["status"]](lines, name, _said(said["reason"], run_id), act, notes)
        if epic:
            _close_epics(lines, wanted, _said(epic["reason"], run_id), act, notes)


def _close_epics(
    lines: Lines, told: Iterable[str], reason: str, act: Act, notes: list[str]
) -> None:
    """Close the bead that a plan has put above these, unless somebody has taken it up."""
    for name in dict.fromkeys(graph.parent_of(lines.issues[e]) for e in told if e in lines.issues):
        epic = lines.issues.get(name, {})
        if not _is_of_plan(epic) or epic.get("status") in GONE:
            continue
        below = graph.descendants(lines.issues, name)
        if left := sorted(each for each in below if lines.issues[each].get("status") not in GONE):
            notes.append(f"the bead {name} stays open, as {', '.join(left[:_MOST_NAMED])} are")
        elif epic.get("status") != books.OPEN or epic["updated_at"] != epic["created_at"]:
            notes.append(f"the bead {name} was changed by somebody, and stays as it is")
        else:
            edit.close(lines, name, reason, act)


def _is_of_plan(issue: Mapping[str, Any]) -> bool:
    return issue.get("issue_type") == "epic" and str(issue.get("external_ref")).startswith(REF)


def _said(reason: str, run_id: str) -> str:
    return f"{reason} (run {run_id})" if reason else ""


def _begin(lines: Lines, name: str, reason: str, act: Act, notes: list[str]) -> None:
    if _is_gone(lines, name, act, notes):
        return
    edit.reopen(lines, name, reason, act)  # closed by this run, whose graph led back to it
    if lines.issues[name].get("status") != books.IN_PROGRESS:
        fields = {"status": books.IN_PROGRESS, CLAIMED_BY_SESSION: act.session}
        edit.update(lines, name, fields, act)


def _close(lines: Lines, name: str, reason: str, act: Act, notes: list[str]) -> None:
    if not _is_gone(lines, name, act, notes):
        edit.close(lines, name, reason, act)


def _give_back(lines: Lines, name: str, reason: str, act: Act, notes: list[str]) -> None:
    if _is_gone(lines, name, act, notes):
        return
    edit.reopen(lines, name, "", act)
    if lines.issues[name].get(CLAIMED_BY_SESSION) == act.session:
        edit.update(lines, name, {"status": books.OPEN}, act)
    told = lines.issues[name].get("comments") or ()
    if not any((each.get("author"), each.get("text")) == (act.actor, reason) for each in told):
        edit.comment(lines, name, reason, act.actor, act)


def _is_gone(lines: Lines, name: str, act: Act, notes: list[str]) -> bool:
    """Say whether somebody else has closed a bead; then it stays so."""
    issue = lines.issues[name]
    if issue.get("status") not in GONE or issue.get("closed_by_session") == act.session:
        return False
    notes.append(f"the bead {name} was closed by somebody else, and stays so")
    return True


_BEADS: Final[Mapping[str, Callable[[Lines, str, str, Act, list[str]], None]]] = {
    books.IN_PROGRESS: _begin,
    books.CLOSED: _close,
    books.OPEN: _give_back,
}


# The promise.


def _tell_promise(
    project: str, wanted: Mapping[str, Any], run_id: str, clock: Clock, notes: list[str]
) -> None:
    if not wanted:
        return
    name = str(wanted["id"])
    if not model.is_name(name):
        notes.append(f"{name!r:.80} cannot be the id of a promise; none was made")
        return
    kept = Store(project, clock)
    with kept.locked():
        _Told(kept, wanted, run_id, notes).all()


class _Told:
    """One promise, brought to what is wanted under the lock, one durable step after the other."""

    def __init__(
        self, kept: Store, wanted: Mapping[str, Any], run_id: str, notes: list[str]
    ) -> None:
        self._store = kept
        self._wanted = wanted
        self._run_id = run_id
        self._me = books.owner(run_id)
        self._notes = notes
        self._promise: Promise = {}

    def all(self) -> None:
        """Do what is still to do."""
        name = self._wanted["id"]
        known = {*self._store.names("promises"), *self._store.names("history")}
        if name in known:
            self._promise = self._store.load(name)
        else:
            self._save(_created(self._wanted, self._me, self._store.now()))
        there = {each["id"] for each in model.criteria(self._promise)}
        missing = [each for each in self._wanted["criteria"] if each not in there]
        self._notes += [f"{name} has no criterion {each!r:.80}" for each in missing]
        if self._promise["status"] in model.CLOSED:
            if self._promise.get("verification", {}).get("verified_by") != self._me:
                self._notes.append(f"{name} is {self._promise['status']} already")
            return
        self._own()
        for each in model.criteria(self._promise):
            if (said := self._wanted["criteria"].get(each["id"])) and said["met_by"]:
                self._criterion(each, said)
        if self._wanted.get("verify"):
            self._verify()

    def _save(self, step: Step) -> None:
        self._promise = self._store.save(step, self._me)

    def _own(self) -> None:
        """Hold the promise while the run lasts; one that another session holds stays its."""
        mine = model.owner(self._promise) == self._me
        if self._wanted.get("release"):
            if mine:
                self._save(model.release(self._promise))
            return
        if not mine and session.is_orphan(self._promise, self._store):
            self._save(model.adopt(self._promise, self._me, self._store.now()))
            mine = True
        if mine and self._promise["status"] == model.PENDING:
            self._save(model.start(self._promise))

    def _criterion(self, criterion: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        ac_id = str(criterion["id"])
        now = self._evidence(said)
        if not _is_met(criterion, now, self._me):
            self._save(model.meet(self._promise, ac_id, now, self._me, self._store.now()))
        self._validated(model.criterion(self._promise, ac_id), said)

    def _evidence(self, said: Mapping[str, Any]) -> Evidence:
        """Return the report as evidence that is checked; where there is none, a claim."""
        path = str(said["evidence"])
        if os.path.isfile(path):
            inside = os.path.relpath(path, self._store.project)
            text = path if inside.startswith(os.pardir) else inside
            check = evidence.check("file", text, self._store, self._store.now(), _HASH_SECONDS)
            return Evidence(text, "file", check)
        score = f", score {said['score']:.2f}" if said["score"] is not None else ""
        return Evidence(f"run {self._run_id}: {said['met_by']} is validated{score}", "review")

    def _validated(self, criterion: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """Store the verdict that cs-verify asks for; it names the evidence of which it speaks."""
        name, ac_id = self._promise["id"], str(criterion["id"])
        about = {"promise_id": name, "ac_id": ac_id, "stored_at": criterion["met_at"]}
        about["evidence_sha256"] = gates.fingerprint(dict(criterion))
        verdict = {
            "task_id": str(said["met_by"]),
            "verdict": "PASS",
            "criteria_results": [],
            "timestamp": criterion["met_at"],
            "reasoning": f"judged by the run {self._run_id}",
            "score": said["score"],
            "_metadata": about,
        }
        path = os.path.join(self._store.folder("validations", name), f"{ac_id}-validation.json")
        try:
            if read_json(path) == verdict:
                return
        except FileNotFoundError:
            pass
        line = {"what": f"validation of {ac_id}", "from": None, "to": "PASS"}
        audit.append(self._store.folder("audit"), name, self._me, [line], self._store.clock)
        atomic.sweep_drafts(path)
        atomic.replace(path, to_bytes(verdict))

    def _verify(self) -> None:
        """Pass the gates of cs-verify, but run no command: the work is not merged here yet."""
        name = self._promise["id"]
        criteria = model.criteria(self._promise)
        if any(each.get("evidence_type") == "command" for each in criteria):
            fix = f"cs-verify --promise {name}"
            self._notes.append(f"{name} has evidence that is a command, not run here: {fix}")
            return
        gates.all_met(self._promise)
        gates.validated(self._promise, self._store)
        checks = gates.checked(self._promise, self._store, self._store.now(), None)
        passed = {
            "validation": "passed",
            "evidence_checked": len(checks),
            "evidence_claimed": len(criteria) - len(checks),
        }
        proof = f"the run {self._run_id} ended validated"
        record = {"type": "e2e", "proof": proof, "gates": passed}
        self._save(model.verify(self._promise, checks, record, self._me, self._store.now()))


def _is_met(criterion: Mapping[str, Any], now: Evidence, me: str) -> bool:
    """Say whether this evidence is attached already, whenever it was looked at."""
    if criterion["status"] != model.MET or criterion.get("met_by") != me:
        return False
    before = criterion.get("check") or {}
    same = before.get("sha256") == (now.check or {}).get("sha256")
    return same and (criterion["evidence"], criterion["evidence_type"]) == (now.text, now.kind)


def _created(wanted: Mapping[str, Any], me: str, at: str) -> Step:
    """Return a new promise, whose criteria are called as the graph calls them, where they can."""
    named = {ac_id: said for ac_id, said in wanted["criteria"].items() if model.is_name(ac_id)}
    texts = [str(said["description"]) for said in named.values()]
    step = model.create(str(wanted["id"]), str(wanted["title"]), texts, me, at)
    made = model.criteria(step.promise)
    ids = {each["id"]: ac_id for each, ac_id in zip(made, named, strict=True)}
    found = [each | {"id": ids[each["id"]]} for each in made]
    changes = [each | {"what": ids.get(each["what"], each["what"])} for each in step.changes]
    return Step(step.promise | {"acceptance_criteria": found}, changes)
