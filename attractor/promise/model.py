"""What may happen to a promise, as pure functions from one promise to the next.

A promise is the JSON object of its file, in the original harness's shape. Nothing here reads a
clock, a disk or the environment: time, session and the results of checks come in as arguments.
Each function leaves its argument alone and returns a `Step`: the promise as it shall be, and the
changes of status that the audit log must hold before the file does. Keys that we do not know are
kept. `met` is a claim; only `verified` makes it more.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from attractor.errors import InputError

Promise = dict[str, Any]
Change = dict[str, Any]

PENDING: Final = "pending"
IN_PROGRESS: Final = "in_progress"
VERIFIED: Final = "verified"
CANCELLED: Final = "cancelled"
MET: Final = "met"
OPEN: Final = frozenset({PENDING, IN_PROGRESS})
CLOSED: Final = frozenset({VERIFIED, CANCELLED})
CLAIMS: Final = ("test", "manual", "api", "browser", "log", "review", "e2e")
"""Kinds of evidence that are recorded as the agent says."""
CHECKED: Final = ("file", "command")
"""Kinds of evidence that are checked when they are attached and again by cs-verify."""
VERIFICATIONS: Final = ("test", "browser", "api", "manual", "e2e")
MET_VERDICTS: Final = ("PASS", "PARTIAL")
VERDICTS: Final = ("PASS", "FAIL", "PARTIAL", "BLOCKED")

_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LONGEST: Final = 128
_DIGITS: Final = 10


class Step(NamedTuple):
    """A promise after one change, and what changed."""

    promise: Promise
    changes: list[Change]


def is_name(text: str) -> bool:
    """Say whether an id from outside may become part of a file name."""
    return 0 < len(text) <= _LONGEST and text[0] != "." and _LETTERS.issuperset(text)


def shape_fault(value: object, name: str) -> str:
    """Return why this cannot be the promise of this id; "" if it can."""
    if not isinstance(value, dict):
        return "not a JSON object"
    if value.get("id") != name:
        return f"the id in it is {json.dumps(value.get('id'))}, not its file's name"
    status = value.get("status")
    if not isinstance(status, str) or status not in OPEN | CLOSED:
        return f"`status` is {json.dumps(status)}"
    if not isinstance(value.get("verification", {}), dict):
        return "`verification` is not an object"
    return _owner_fault(value.get("ownership")) or _criteria_fault(value.get("acceptance_criteria"))


def _owner_fault(found: object) -> str:
    if not (isinstance(found, dict) and "owned_by" in found):
        return "`ownership` is not an object with `owned_by`"
    if not (found["owned_by"] is None or isinstance(found["owned_by"], str)):
        return "`owned_by` is neither text nor null"
    return ""


def _criteria_fault(found: object) -> str:
    if found is None:
        return ""
    if not isinstance(found, list):
        return "`acceptance_criteria` is not a list"
    if fault := next(filter(None, map(_criterion_fault, found)), ""):
        return fault
    if len({each["id"] for each in found}) < len(found):
        return "two acceptance criteria have the same id"
    return ""


def _criterion_fault(found: object) -> str:
    if not isinstance(found, dict):
        return "an acceptance criterion is not an object"
    if not all(isinstance(found.get(key), str) for key in ("id", "description", "status")):
        return "an acceptance criterion lacks its id, description or status"
    if not is_name(found["id"]):
        return f"{json.dumps(found['id'])} cannot be the id of a criterion"
    return ""


def criteria(promise: Promise) -> list[dict[str, Any]]:
    """Return the acceptance criteria; a legacy promise has none."""
    found: list[dict[str, Any]] = promise.get("acceptance_criteria") or []
    return found


def unmet(promise: Promise) -> list[dict[str, Any]]:
    """Return the criteria without evidence."""
    return [each for each in criteria(promise) if each["status"] != MET]


def owner(promise: Promise) -> str | None:
    """Return the session that owns the promise; None when it was released."""
    found: str | None = promise.get("ownership", {}).get("owned_by")
    return found or None


def title(promise: Promise) -> str:
    """Return the title on one line."""
    return " ".join(str(promise.get("title") or promise.get("summary") or "").split())


def stops_check(promise: Promise) -> bool:
    """Say whether `cs-verify --check` holds the owner's session back for this promise.

    The original's rule: pending holds, in_progress holds until all criteria are met. In addition
    evidence that can be checked holds until cs-verify has checked it.
    """
    if promise["status"] not in OPEN:
        return False
    found = criteria(promise)
    if promise["status"] == PENDING or not found or unmet(promise):
        return True
    return any(each.get("evidence_type") in CHECKED for each in found)


def next_command(promise: Promise) -> str:
    """Return the command that brings an open promise forward."""
    name, missing = promise["id"], unmet(promise)
    if missing:
        return (
            f'cs-promise --meet {name} --ac-id {missing[0]["id"]} --evidence "..." --type test'
            if promise["status"] != PENDING
            else f"cs-promise --start {name}"
        )
    return f"cs-verify --promise {name}" + ("" if criteria(promise) else ' --proof "..."')


def criterion(promise: Promise, ac_id: str) -> dict[str, Any]:
    """Return one criterion; one that does not exist is an error that lists the real ones."""
    for each in criteria(promise):
        if each["id"] == ac_id:
            return each
    real = "; ".join(f"{each['id']}: {each['description']}" for each in criteria(promise))
    raise InputError(
        f"{promise['id']} has no acceptance criterion {ac_id!r}",
        fix=f"it has: {real}" if real else "it has none; add one with `cs-promise --add-ac`",
        available=[each["id"] for each in criteria(promise)],
    )


def require_own(promise: Promise, own: tuple[str, ...]) -> None:
    """Refuse a session that does not own the promise."""
    holder = owner(promise)
    if holder in own:
        return
    raise InputError(
        f"this session does not own {promise['id']}; {holder or 'nobody'} does",
        fix=f"take it over, if its owner is gone: `cs-promise --adopt {promise['id']}`",
        owner=holder,
    )


def require_open(promise: Promise) -> None:
    """Refuse a promise that is verified or cancelled."""
    if promise["status"] in CLOSED:
        raise InputError(
            f"{promise['id']} is already {promise['status']}",
            fix='make a new promise with `cs-promise --create "..." --ac "..."`',
        )


def _new_criterion(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"AC-{number}",
        "description": text,
        "status": PENDING,
        "evidence": None,
        "evidence_type": None,
        "met_at": None,
        "met_by": None,
    }


def create(name: str, text: str, wanted: list[str], session: str, at: str) -> Step:
    """Make a promise, owned by the session that makes it."""
    found = [_new_criterion(number, each) for number, each in enumerate(wanted, 1)]
    promise: Promise = {
        "id": name,
        "title": text,
        "summary": text,
        "acceptance_criteria": found,
        "ownership": {
            "created_by": session,
            "created_at": at,
            "owned_by": session,
            "owned_since": at,
        },
        "status": PENDING,
        "verification": {"verified_at": None, "verified_by": None},
        "structure": {"epics": [], "goals": []},
    }
    moves = [_change(each["id"], None, PENDING) for each in found]
    return Step(promise, [_change("promise", None, PENDING), *moves])


def _change(what: str, before: str | None, after: str | None, **more: Any) -> Change:
    return {"what": what, "from": before, "to": after, **more}


def _with_owner(promise: Promise, **changed: Any) -> Promise:
    return promise | {"ownership": {**promise.get("ownership", {}), **changed}}


def owned_through(promise: Promise, process: dict[str, Any] | None) -> Promise:
    """Record the process through which the owner lives; without one the record is removed."""
    ownership = {k: v for k, v in promise.get("ownership", {}).items() if k != "process"}
    return promise | {"ownership": ownership | ({"process": process} if process else {})}


def add_criterion(promise: Promise, text: str) -> Step:
    """Add a criterion, numbered after the highest."""
    require_open(promise)
    found = criteria(promise)
    new = _new_criterion(max(map(_number, found), default=0) + 1, text)
    return Step(
        promise | {"acceptance_criteria": [*found, new]}, [_change(new["id"], None, PENDING)]
    )


def _number(criterion: dict[str, Any]) -> int:
    digits = str(criterion["id"]).removeprefix("AC-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < _DIGITS else 0


class Evidence(NamedTuple):
    """What an agent gives for a criterion; `check` says what was found for a checked kind."""

    text: str
    kind: str
    check: dict[str, Any] | None = None


def meet(promise: Promise, ac_id: str, evidence: Evidence, session: str, at: str) -> Step:
    """Record the claim that a criterion is met; a later claim takes the place of an earlier."""
    require_open(promise)
    before = criterion(promise, ac_id)
    after = {k: v for k, v in before.items() if k not in ("check", "verified_at", "verified_by")}
    after |= {
        "status": MET,
        "evidence": evidence.text,
        "evidence_type": evidence.kind,
        "met_at": at,
        "met_by": session,
    }
    if evidence.check is not None:
        after["check"] = evidence.check
    said: Change = {"evidence": evidence.text, "evidence_type": evidence.kind}
    said |= {"check": evidence.check} if evidence.check is not None else {}
    return Step(_replaced(promise, {ac_id: after}), [_change(ac_id, before["status"], MET, **said)])


def _replaced(promise: Promise, new: dict[str, dict[str, Any]]) -> Promise:
    found = [new.get(each["id"], each) for each in criteria(promise)]
    return promise | {"acceptance_criteria": found}


def start(promise: Promise) -> Step:
    """Begin work; only from pending."""
    require_open(promise)
    if promise["status"] != PENDING:
        raise InputError(
            f"{promise['id']} is {promise['status']}; only a pending promise can be started",
            fix=f"go on with it: `{next_command(promise)}`",
        )
    return Step(
        promise | {"status": IN_PROGRESS}, [_change("promise", promise["status"], IN_PROGRESS)]
    )


def adopt(promise: Promise, session: str, at: str) -> Step:
    """Give the promise a new owner; whether it is an orphan is the caller's question."""
    require_open(promise)
    return Step(
        _with_owner(promise, owned_by=session, owned_since=at),
        [_change("owner", owner(promise), session)],
    )


def release(promise: Promise) -> Step:
    """Leave the promise without an owner."""
    require_open(promise)
    released = _with_owner(promise, owned_by=None, owned_since=None)
    return Step(owned_through(released, None), [_change("owner", owner(promise), None)])


def cancel(promise: Promise, at: str) -> Step:
    """Give the promise up; as in the original, `verified_at` then says when."""
    require_open(promise)
    verification = {**promise.get("verification", {}), "verified_at": at}
    return Step(
        promise | {"status": CANCELLED, "verification": verification},
        [_change("promise", promise["status"], CANCELLED)],
    )


def verify(
    promise: Promise,
    checks: dict[str, dict[str, Any]],
    record: dict[str, Any],
    session: str,
    at: str,
) -> Step:
    """Close the promise as verified: `checks` are the fresh results for checked evidence."""
    require_open(promise)
    if unmet(promise):
        raise InputError(f"{promise['id']} has unmet criteria")
    mark = {"verified_at": at, "verified_by": session}
    new, changes = {}, []
    for each in criteria(promise):
        check = checks.get(each["id"])
        new[each["id"]] = each | ({"check": check} if check else {}) | mark
        how = each.get("evidence_type") if check else "claim"
        changes.append(_change(each["id"], each["status"], VERIFIED, how=how))
    verification = {**promise.get("verification", {}), **mark, **record}
    changes.append(_change("promise", promise["status"], VERIFIED, **record))
    closed = promise | {"status": VERIFIED, "verification": verification}
    return Step(_replaced(closed, new) if new else closed, changes)
