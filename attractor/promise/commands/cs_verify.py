"""cs-verify: close a promise as verified, and say whether the session may stop."""

from __future__ import annotations

from typing import Any, Final

from attractor.errors import AttractorError, InputError
from attractor.promise import model, session, views
from attractor.promise.arguments import Given, note, one_of, parse, say
from attractor.promise.files import Damaged
from attractor.promise.model import Promise
from attractor.promise.session import Session
from attractor.promise.store import Store
from signals.clock import SystemClock

HELP: Final = """\
cs-verify - verify promises, and say whether the session may stop

  cs-verify --promise ID [--proof TEXT] [--type KIND] [--task-id BEAD]
            [--skip-validation-check] [--timeout SECONDS]
  cs-verify --check [--verbose | -v]

Verifying passes three gates: every criterion is met; every criterion has a validation that says
PASS or PARTIAL (cs-store-validation), unless --skip-validation-check; evidence of the types file
and command is checked again. Then the promise is verified and moves to the history.

  --proof TEXT      a note; needed for a legacy promise without criteria
  --type KIND       test, browser, api, manual (the default) or e2e
  --task-id BEAD    also add a comment to this bead
  --timeout SECONDS the deadline of each command, instead of the one that it was attached with

Exit status of --check: 0 the session may stop, 2 it may not (says why), 1 error. A promise of
this session holds it while it is pending, has unmet criteria, or has evidence of type file or
command that is not verified. So does a damaged promise file that mentions the session. A promise
with claims only counts as done when all of them are met; the stop hook asks for cs-verify even
then.

--json prints one JSON document. All other errors have exit status 1.
"""
TABLE: Final = {
    "--promise": 1,
    "--check": 0,
    "--proof": 1,
    "--type": 1,
    "--task-id": 1,
    "--timeout": 1,
    "--skip-validation-check": 0,
    "--verbose": 0,
    "--json": 0,
    "--help": 0,
}
MUST_GO_ON: Final = 2
_COMMENT_SECONDS: Final = 30.0


def run(words: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    given = parse(TABLE, words)
    if given.has("--help"):
        say(given, {"help": HELP}, [HELP.rstrip()])
        return 0
    mode = one_of(given, ("--promise", "--check"))
    store, who = Store(session.project(), SystemClock()), session.current()
    if mode == "--check":
        return _check(given, store, who)
    _verify(given, store, who)
    return 0


def _check(given: Given, store: Store, who: Session) -> int:
    who.require()
    found = store.listing(own=who.own)
    broken = [each for each in found.damaged if each.mentions]
    mine = [each for each in found.promises if model.owner(each) in who.own]
    holding = [each for each in mine if model.stops_check(each)]
    orphans = [
        each
        for each in found.promises
        if each["status"] == model.IN_PROGRESS
        and each not in mine
        and session.is_orphan(each, store)
    ]
    for line in views.damaged(found.damaged):
        note(line)
    if orphans and not given.has("--json"):
        _warn_of(orphans, given.has("--verbose"))
    said = {
        "may_stop": not (holding or broken),
        "session_id": who.name,
        "holding": holding,
        "next": model.next_command(_first(holding)) if holding else None,
        "orphans": [each["id"] for each in orphans],
        "damaged": [each.as_json() for each in found.damaged],
    }
    if not (holding or broken):
        say(given, said, _go(mine, given.has("--verbose")))
        return 0
    say(given, said, _stop(who, holding, broken))
    return MUST_GO_ON


def _first(holding: list[Promise]) -> Promise:
    """Return the promise that is told first: one that is being worked on, before a pending one."""
    return min(holding, key=lambda each: each["status"] != model.IN_PROGRESS)


def _warn_of(orphans: list[Promise], verbose: bool) -> None:
    note(f"warning: {len(orphans)} promises in progress have lost their owner")
    note("  see `cs-status --orphans`")
    for each in orphans if verbose else ():
        note(f'  {each["id"]}: "{model.title(each)}"')


def _go(mine: list[Promise], verbose: bool) -> list[str]:
    if not verbose:
        return []
    if not mine:
        return ["No promises owned by this session."]
    return [
        "Every criterion of this session's promises is met.",
        *(f"Not verified yet: {model.next_command(e)}" for e in mine if e["status"] in model.OPEN),
    ]


def _stop(who: Session, holding: list[Promise], broken: list[Damaged]) -> list[str]:
    lines = ["COMPLETION CRITERIA NOT MET", "", f"Session: {who.name}", ""]
    for status in (model.IN_PROGRESS, model.PENDING):
        some = [each for each in holding if each["status"] == status]
        if not some:
            continue
        lines.append(f"{status.upper()} PROMISES ({len(some)}):")
        for each in some:
            lines.append(f'  {each["id"]}: "{model.title(each)}" {views.progress(each)}'.rstrip())
            lines += views.criteria(each, "    ")
            if not model.unmet(each) and model.criteria(each):
                lines.append("    all met, not verified")
        lines.append("")
    if broken:
        lines.append(f"DAMAGED FILES THAT MENTION THIS SESSION ({len(broken)}):")
        lines += [*(f"  {each.path}: {each.reason}" for each in broken), ""]
    action = model.next_command(_first(holding)) if holding else "repair the damaged file"
    return [*lines, "NEXT ACTION:", f"  {action}"]


def _verify(given: Given, store: Store, who: Session) -> None:
    kind, name = given.one("--type", "manual"), given.one("--promise")
    seconds = given.seconds("--timeout")
    if kind not in model.VERIFICATIONS:
        raise InputError(
            f"there is no type of verification {kind!r}",
            fix=f"give one of {', '.join(model.VERIFICATIONS)}",
        )
    if store.load(name)["status"] in model.CLOSED:
        with store.locked():
            promise = store.load(name)
        if name in store.moved and promise["status"] == model.VERIFIED:
            # A death between the file and the move: the work was done, the answer was not given.
            said = f"Was verified already: {name}; moved to history only now."
            say(given, promise, [said])
            return
    promise = _open(store, name, who)
    if promise["status"] == model.PENDING:
        note(f"note: {name} was never started; it is verified from pending")
    record, checks = _gates(given, store, promise, seconds)
    with store.locked():
        now = _open(store, name, who)
        if model.criteria(now) != model.criteria(promise):
            raise InputError(
                f"{name} was changed while its evidence was checked", fix="verify it again"
            )
        promise = store.save(model.verify(now, checks, record, who.name, store.now()), who.name)
    lines = _said(promise, given, checks)
    if given.has("--task-id"):
        lines += _comment(given.one("--task-id"), promise, store)
    say(given, promise, lines)


def _open(store: Store, name: str, who: Session) -> Promise:
    who.require()
    promise = store.load(name)
    model.require_open(promise)
    model.require_own(promise, who.own)
    return promise


def _gates(
    given: Given, store: Store, promise: Promise, seconds: float | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pass the gates; return what `verification` records of them, and the new checks."""
    from attractor.promise import gates

    views.refuse_placeholder("--proof", given.one("--proof"))
    record: dict[str, Any] = {"type": given.one("--type", "manual")}
    if given.one("--proof").strip():
        record["proof"] = given.one("--proof")
    if not model.criteria(promise):
        if "proof" not in record:
            raise InputError(
                f"{promise['id']} has no acceptance criteria, so it needs --proof",
                fix=f'cs-verify --promise {promise["id"]} --proof "what shows that it is done"',
            )
        return record, {}
    gates.all_met(promise)
    skipped = given.has("--skip-validation-check")
    if skipped:
        note("warning: gate 2 was skipped (--skip-validation-check); the record says so")
    else:
        gates.validated(promise, store)
    checks = gates.checked(promise, store, store.now(), seconds)
    claims = len(model.criteria(promise)) - len(checks)
    passed = {
        "validation": "skipped" if skipped else "passed",
        "evidence_checked": len(checks),
        "evidence_claimed": claims,
    }
    return record | {"gates": passed}, checks


def _said(promise: Promise, given: Given, checks: dict[str, Any]) -> list[str]:
    verification, total = promise["verification"], len(model.criteria(promise))
    lines = [f"VERIFIED: {promise['id']}", "", f"Summary: {model.title(promise)}"]
    lines.append(f"Type: {verification['type']}")
    if "proof" in verification:
        lines.append(f"Proof: {given.one('--proof')}")
    if total:
        lines.append(f"Acceptance Criteria: {total}/{total} met")
        lines.append(f"Evidence: {len(checks)} checked again, {total - len(checks)} claimed")
    lines.append(f"Verified by: {verification['verified_by']}")
    lines.append(f"Verified at: {verification['verified_at']}")
    return [*lines, "", "Promise moved to history."]


def _comment(bead: str, promise: Promise, store: Store) -> list[str]:
    """Tell the bead; a promise stays verified where that fails."""
    from attractor.spawn import own_command, run_tool

    verification = promise["verification"]
    text = (
        f"[cs-verify] {promise['id']} verified | Type: {verification['type']} | "
        f"Session: {verification['verified_by']} | Time: {verification['verified_at']}"
    )
    if "proof" in verification:
        text += f" | Proof: {verification['proof']}"
    argv = own_command("attractor", "bd", "comments", "add", bead, text)
    try:
        run_tool(argv, timeout_seconds=_COMMENT_SECONDS, cwd=store.project)
    except AttractorError as error:
        note(f"warning: no comment was added to the bead {bead}: {error.problem}")
        return []
    return ["", f"Added verification comment to beads task: {bead}"]
