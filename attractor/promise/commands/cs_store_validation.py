"""cs-store-validation: store a validator's verdict on a criterion, for gate 2 of cs-verify."""

from __future__ import annotations

import json
import os
from typing import Any, Final

from attractor.errors import InputError, UsageError
from attractor.promise import model, session
from attractor.promise.arguments import Given, note, parse, say
from attractor.promise.files import parse_json, read_json, to_bytes
from attractor.promise.store import Store
from signals.clock import SystemClock

HELP: Final = """\
cs-store-validation - store a validator's verdict on a criterion

  cs-store-validation --promise ID --ac-id AC-1 --response JSON
  cs-store-validation --promise ID --ac-id AC-1 --response-file FILE

The response is a JSON object with at least
  task_id            the bead that was validated
  verdict            PASS, PARTIAL, FAIL or BLOCKED
  criteria_results   a list of results
  timestamp          when
It is a verdict on the evidence that the criterion has now: after other evidence is attached,
cs-verify asks for a new one. It is stored, with `_metadata`, as
  .claude/completion-state/validations/ID/AC-1-validation.json

--json prints what was stored. Errors have exit status 1.
"""
TABLE: Final = {
    **dict.fromkeys(("--promise", "--ac-id", "--response", "--response-file"), 1),
    "--json": 0,
    "--help": 0,
}
REQUIRED: Final = ("task_id", "verdict", "criteria_results", "timestamp")


def run(words: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    given = parse(TABLE, words)
    if given.has("--help"):
        say(given, {"help": HELP}, [HELP.rstrip()])
        return 0
    for option in ("--promise", "--ac-id"):
        if not given.one(option).strip():
            raise UsageError(f"{option} is required", fix="see `cs-store-validation --help`")
    store = Store(session.project(), SystemClock())
    response = _response(given)
    path, stored = _store(store, given.one("--promise"), given.one("--ac-id"), response)
    say(given, stored, _said(given, path, stored))
    return 0


def _response(given: Given) -> dict[str, Any]:
    if given.has("--response") == given.has("--response-file"):
        raise UsageError(
            "give either --response or --response-file", fix="see `cs-store-validation --help`"
        )
    if given.has("--response-file"):
        name = given.one("--response-file")
        try:
            found = read_json(name)
        except FileNotFoundError as error:
            raise InputError("there is no such file", where=name, fix="check the path") from error
    else:
        found = parse_json(given.one("--response").encode(), "--response")
    return _valid(found)


def _valid(found: object) -> dict[str, Any]:
    wanted = f"it needs {', '.join(REQUIRED)}"
    if not isinstance(found, dict):
        raise InputError("the response is not a JSON object", fix=wanted)
    missing = [key for key in REQUIRED if key not in found]
    if missing:
        raise InputError(f"the response lacks {', '.join(missing)}", fix=wanted, missing=missing)
    if found["verdict"] not in model.VERDICTS:
        raise InputError(
            f"there is no verdict {found['verdict']!r}",
            fix=f"give one of {', '.join(model.VERDICTS)}",
        )
    if not isinstance(found["criteria_results"], list):
        raise InputError("`criteria_results` is not a list", fix="give a list, which may be empty")
    try:
        json.dumps(found, allow_nan=False)
    except ValueError as error:
        fix = "JSON has neither NaN nor Infinity"
        raise InputError("the response holds a number that is none", fix=fix) from error
    return found


def _store(
    store: Store, name: str, ac_id: str, response: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    from attractor.promise import audit, gates
    from signals.atomic import replace, sweep_drafts

    if not model.is_name(ac_id):
        raise InputError(
            f"{ac_id!r} cannot be the id of a criterion", fix=f"see `cs-promise --show {name}`"
        )
    with store.locked():
        promise = store.load(name)
        about = {"promise_id": name, "ac_id": ac_id, "stored_at": store.now()}
        if model.criteria(promise):
            about["evidence_sha256"] = gates.fingerprint(model.criterion(promise, ac_id))
        if promise["status"] in model.CLOSED:
            note(f"warning: {name} is already {promise['status']}; stored all the same")
        stored = response | {"_metadata": about}
        path = os.path.join(store.folder("validations", name), f"{ac_id}-validation.json")
        line = {"what": f"validation of {ac_id}", "from": None, "to": response["verdict"]}
        by = (session.current().own or ("",))[0]
        audit.append(store.folder("audit"), name, by, [line], store.clock)
        sweep_drafts(path)
        replace(path, to_bytes(stored))
    return path, stored


def _said(given: Given, path: str, stored: dict[str, Any]) -> list[str]:
    results = [each for each in stored["criteria_results"] if isinstance(each, dict)]
    passed = sum(each.get("status") == "PASS" for each in results)
    lines = [
        f"STORED: Validation response for {given.one('--promise')} / {given.one('--ac-id')}",
        "",
        f"  Task:       {stored['task_id']}",
        f"  Verdict:    {stored['verdict']}",
        f"  Criteria:   {passed}/{len(stored['criteria_results'])} passed",
        f"  Stored at:  {path}",
    ]
    failed = [each for each in results if each.get("status") == "FAIL"]
    lines += ["", "FAILURES:"] if failed else []
    for each in failed:
        why = each.get("evidence") or each.get("reason") or "no details"
        lines.append(f"  [{each.get('criterion_id', '?')}]: {why}")
    if stored["verdict"] == "BLOCKED":
        lines += ["", f"BLOCKED: {stored.get('reasoning') or 'no reason was given'}"]
    return lines
