"""The gates between `met` and `verified`, in order; each either lets pass or says why not.

1. Every criterion is met. 2. Every criterion has a stored validation that says PASS or PARTIAL.
3. Evidence that can be checked is checked again. The original's third gate, a model's opinion, is
not among them: a pass that nobody gave would be worse than none, and judging is the Guardian's.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attractor.errors import AttractorError, DamageError, InputError
from attractor.promise import model
from attractor.promise.files import read_json
from attractor.promise.model import Promise
from attractor.promise.store import Store


def all_met(promise: Promise) -> None:
    """Refuse a promise with unmet criteria, and name them."""
    missing = model.unmet(promise)
    if not missing:
        return
    total = len(model.criteria(promise))
    name, first = promise["id"], missing[0]["id"]
    listed = "".join(f"\n  [PENDING] {each['id']}: {each['description']}" for each in missing)
    raise InputError(
        f"cannot verify {name}: {len(missing)} of {total} criteria are not met{listed}",
        fix=f'attach evidence: cs-promise --meet {name} --ac-id {first} --evidence "..." '
        "--type test",
        pending=[each["id"] for each in missing],
    )


def validated(promise: Promise, store: Store) -> None:
    """Refuse a promise of which a criterion has no validation that lets it pass."""
    refused = {}
    for each in model.criteria(promise):
        if reason := _refusal(promise["id"], each, store):
            refused[each["id"]] = reason
    if not refused:
        return
    listed = "".join(f"\n  {ac_id}: {reason}" for ac_id, reason in refused.items())
    raise InputError(
        f"gate 2: {len(refused)} criteria of {promise['id']} are not validated{listed}",
        fix=f"store a verdict: cs-store-validation --promise {promise['id']} --ac-id "
        f"{next(iter(refused))} --response JSON; or do without, on the record: "
        "--skip-validation-check",
        refused=refused,
    )


def fingerprint(criterion: dict[str, Any]) -> str:
    """Return what tells a criterion's evidence from any other that it had or will have."""
    check = criterion.get("check")
    content = check.get("sha256") if isinstance(check, dict) else None
    keys = ("evidence", "evidence_type", "met_at")
    seen = [*(criterion.get(key) for key in keys), content]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _refusal(name: str, criterion: dict[str, Any], store: Store) -> str:
    ac_id = criterion["id"]
    path = store.path("validations", name, f"{ac_id}-validation.json")
    try:
        found = read_json(path)
    except FileNotFoundError:
        return f"no validation ({path})"
    except DamageError as error:
        return f"{error.problem} ({error.where})"
    found = found if isinstance(found, dict) else {}
    verdict, about = found.get("verdict"), found.get("_metadata")
    # The original's files do not say of which evidence they speak.
    of = about.get("evidence_sha256") if isinstance(about, dict) else None
    if of not in (None, fingerprint(criterion)):
        return f"the validation is of other evidence ({path})"
    if verdict in model.MET_VERDICTS:
        return ""
    said = found.get("reasoning")
    return f"the verdict is {verdict}" + (f": {said}" if isinstance(said, str) and said else "")


def checked(promise: Promise, store: Store, at: str, seconds: float | None) -> dict[str, Any]:
    """Check evidence again, and return the new records; says of each that fails why."""
    from attractor.promise import evidence

    found: dict[str, Any] = {}
    refused: dict[str, AttractorError] = {}
    for each in model.criteria(promise):
        if each.get("evidence_type") not in model.CHECKED:
            continue
        try:
            found[each["id"]] = evidence.again(each, store, at, seconds)
        except AttractorError as error:
            refused[each["id"]] = error
    if refused:
        listed = "".join(
            f"\n  {ac_id}: {error.problem} ({error.where})" for ac_id, error in refused.items()
        )
        raise InputError(
            f"not verified: evidence of {promise['id']} does not hold{listed}",
            fix="mend what is wrong, or attach other evidence with `cs-promise --meet`",
            refused={ac_id: error.as_json() for ac_id, error in refused.items()},
        )
    return found
