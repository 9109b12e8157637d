"""cs-promise: make promises, attach evidence, hand them over, give them up."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from attractor.errors import InputError
from attractor.promise import model, session, views
from attractor.promise.arguments import Given, note, one_of, parse, say
from attractor.promise.model import Promise, Step
from attractor.promise.session import Session
from attractor.promise.store import Store
from signals.clock import SystemClock

HELP: Final = """\
cs-promise - manage completion promises

  cs-promise --create "Title" --ac "Criterion 1" [--ac "Criterion 2" ...]
  cs-promise --add-ac ID "Criterion"        add a criterion
  cs-promise --start ID                     begin work: pending -> in_progress
  cs-promise --meet ID --ac-id AC-1 --evidence "..." [--type KIND] [--timeout SECONDS]
                                            attach evidence to a criterion
  cs-promise --list                         every open promise
  cs-promise --mine                         those of this session
  cs-promise --show ID                      one promise, open or in the history
  cs-promise --release ID                   leave it without an owner
  cs-promise --adopt ID                     take over an orphan
  cs-promise --cancel ID                    give it up
  cs-promise --release-session [--session ID] [--reason TEXT]
                                            let the session stop, whatever it has promised
  cs-promise --hold-session [--session ID]  undo that

KIND is test, manual (the default), api, browser, log, review or e2e: recorded as you say;
or one of these, which are checked now and again by cs-verify:
  file      the evidence is the path of a file, which is hashed
  command   the evidence is a line of shell, run in the project's folder; only exit status 0
            is accepted
  --timeout SECONDS is the deadline of both, instead of 120

--json prints the promise, or a list of promises, as JSON. Errors have exit status 1.
The session is $CLAUDE_SESSION_ID, else $CLAUDE_CODE_SESSION_ID.
The project is $CLAUDE_PROJECT_DIR, else the nearest folder upwards with a .claude.
"""

MODES: Final = (
    "--create",
    "--add-ac",
    "--start",
    "--meet",
    "--list",
    "--mine",
    "--show",
    "--release",
    "--adopt",
    "--cancel",
    "--release-session",
    "--hold-session",
)
TABLE: Final = {
    **dict.fromkeys(MODES, 1),
    **dict.fromkeys(("--list", "--mine", "--release-session", "--hold-session"), 0),
    "--add-ac": 2,
    **dict.fromkeys(
        ("--ac", "--ac-id", "--evidence", "--type", "--timeout", "--reason", "--session"), 1
    ),
    "--json": 0,
    "--help": 0,
}


def run(words: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    given = parse(TABLE, words)
    if given.has("--help"):
        say(given, {"help": HELP}, [HELP.rstrip()])
        return 0
    mode = one_of(given, MODES)
    store = Store(session.project(), SystemClock())
    _DO[mode](given, store, session.current())
    return 0


def _create(given: Given, store: Store, who: Session) -> None:
    who.require()
    title, wanted = given.one("--create"), given.values.get("--ac", [])
    _need(title, "--create needs a title")
    if not wanted:
        raise InputError(
            "--create needs at least one --ac, an acceptance criterion",
            fix='cs-promise --create "Title" --ac "First criterion" --ac "Second criterion"',
        )
    for each in wanted:
        _need(each, "an acceptance criterion is empty")
    with store.locked():
        step = model.create(_new_name(store), title, wanted, who.name, store.now())
        promise = _save(store, step, who)
    lines = [
        f"Created promise: {promise['id']}",
        f"  Title: {title}",
        f"  Owner: {who.name}",
        "  Status: pending",
        f"  Acceptance Criteria: {len(wanted)}",
        *(f"    {each['id']}: {each['description']}" for each in model.criteria(promise)),
        "",
        f"Next: cs-promise --start {promise['id']}",
    ]
    say(given, promise, lines)


def _new_name(store: Store) -> str:
    taken = {*store.names("promises"), *store.names("history")}
    while True:
        name = f"promise-{os.urandom(4).hex()}"
        if name not in taken:
            return name


def _need(text: str, problem: str) -> None:
    if not text.strip():
        raise InputError(problem, fix="see `cs-promise --help`")


def _save(store: Store, step: Step, who: Session) -> Promise:
    """Save under the lock; the owner's process is recorded anew, for a session may be resumed."""
    owned = model.owned_through(step.promise, session.process())
    return store.save(Step(owned, step.changes), who.name)


def _own(store: Store, name: str, who: Session) -> Promise:
    """Return an open promise of this session."""
    who.require()
    promise = store.load(name)
    model.require_open(promise)
    model.require_own(promise, who.own)
    return promise


def _add_ac(given: Given, store: Store, who: Session) -> None:
    name, text = given.values["--add-ac"][-2:]
    _need(text, "--add-ac needs the criterion's text")
    with store.locked():
        promise = _save(store, model.add_criterion(_own(store, name, who), text), who)
    new = model.criteria(promise)[-1]["id"]
    say(given, promise, [f"Added criterion to promise: {name}", f"  {new}: {text}"])


def _start(given: Given, store: Store, who: Session) -> None:
    with store.locked():
        promise = _save(store, model.start(_own(store, given.one("--start"), who)), who)
    lines = [
        f"Started promise: {promise['id']}",
        "  Status: in_progress",
        "",
        f"Next: {model.next_command(promise)}",
    ]
    say(given, promise, lines)


def _meet(given: Given, store: Store, who: Session) -> None:
    name, ac_id, text = given.one("--meet"), given.one("--ac-id"), given.one("--evidence")
    kind, seconds = given.one("--type", "manual"), given.seconds("--timeout")
    _need(ac_id, "--meet needs --ac-id")
    _need(text, "--meet needs --evidence that is not empty")
    views.refuse_placeholder("--evidence", text)
    if kind not in (*model.CLAIMS, *model.CHECKED):
        raise InputError(
            f"there is no type of evidence {kind!r}",
            fix=f"give one of {', '.join((*model.CLAIMS, *model.CHECKED))}",
        )
    before = model.criterion(_own(store, name, who), ac_id)
    check = None
    if kind in model.CHECKED:
        # Outside of the lock: a command may take minutes, and may itself use these commands.
        from attractor.promise import evidence

        deadline = seconds or evidence.DEADLINE_SECONDS
        check = evidence.check(kind, text, store, store.now(), deadline)
    if before["status"] == model.MET:
        note(f"warning: {ac_id} is already met; its evidence is replaced")
    given_evidence = model.Evidence(text, kind, check)
    with store.locked():
        step = model.meet(_own(store, name, who), ac_id, given_evidence, who.name, store.now())
        promise = _save(store, step, who)
    lines = [f"Met criterion: {ac_id}", f"  Evidence: {text}", f"  Type: {kind}"]
    if check:
        lines.append(f"  Checked: {_found(check)}")
    lines += [f"  Progress: {views.progress(promise)}", "", f"Next: {model.next_command(promise)}"]
    say(given, promise, lines)


def _found(check: dict[str, object]) -> str:
    if check["kind"] == "file":
        return f"sha256 {check['sha256']}, {check['size']} bytes"
    return f"exit status {check['exit_code']}"


def _list(given: Given, store: Store, who: Session) -> None:
    mine = given.has("--mine")
    found = store.listing()
    for line in views.damaged(found.damaged):
        note(line)
    shown = found.promises
    heading = "PROMISES:"
    if mine:
        heading = f"MY PROMISES (session: {who.name}):"
        shown = [each for each in shown if model.owner(each) in who.own]
    lines = [heading, ""] if shown else ["No promises found."]
    for each in shown:
        lines += [*views.entry(each, orphan=session.is_orphan(each, store)), ""]
    say(given, shown, lines)


def _show(given: Given, store: Store, _: Session) -> None:
    promise = store.load(given.one("--show"))
    say(given, promise, views.whole(promise))


def _release(given: Given, store: Store, who: Session) -> None:
    with store.locked():
        step = model.release(_own(store, given.one("--release"), who))
        promise = store.save(step, who.name)
    lines = [
        f"Released promise: {promise['id']}",
        "  Status: orphaned (no owner)",
        f"  Another session can adopt it with: cs-promise --adopt {promise['id']}",
    ]
    say(given, promise, lines)


def _adopt(given: Given, store: Store, who: Session) -> None:
    name = given.one("--adopt")
    who.require()
    with store.locked():
        promise = store.load(name)
        model.require_open(promise)
        if not session.is_orphan(promise, store):
            raise InputError(
                f"{name} is not an orphan; {model.owner(promise)} owns it, "
                "and is not known to have ended",
                fix=f"ask its owner to release it: cs-promise --release {name}",
                owner=model.owner(promise),
            )
        promise = _save(store, model.adopt(promise, who.name, store.now()), who)
    lines = [f"Adopted promise: {name}", f"  New owner: {who.name}"]
    say(given, promise, [*lines, "", f"Next: {model.next_command(promise)}"])


def _cancel(given: Given, store: Store, who: Session) -> None:
    name = given.one("--cancel")
    with store.locked():
        if name in store.moved and (promise := store.load(name))["status"] == model.CANCELLED:
            say(given, promise, [f"Was cancelled already: {name}", "  Moved to history only now."])
            return
        promise = store.save(model.cancel(_own(store, name, who), store.now()), who.name)
    say(given, promise, [f"Cancelled promise: {promise['id']}", "  Moved to history."])


def _sessions(given: Given, who: Session) -> tuple[tuple[str, ...], str]:
    """Return the sessions that are meant, and who asks."""
    by = who.own[0] if who.own else f"user {os.environ.get('USER', '')}".strip()
    if not given.has("--session"):
        who.require()
        return who.own, by
    named = given.one("--session")
    if not model.is_name(named):
        raise InputError(f"{named!r} cannot be the id of a session", fix="see `cs-status`")
    return (named,), by


def _release_session(given: Given, store: Store, who: Session) -> None:
    from attractor.promise import release

    sessions, by = _sessions(given, who)
    found = release.release(store, sessions, given.one("--reason"), by)
    lines = [
        f"Released session: {' '.join(sessions)}",
        f"  The stop hook lets it go; {len(found)} of its promises stay open.",
        "  Undo: cs-promise --hold-session --session " + sessions[0],
    ]
    open_promises = [each["id"] for each in found]
    reason = given.one("--reason")
    said = {"released": list(sessions), "by": by, "reason": reason, "promises": open_promises}
    say(given, said, lines)


def _hold_session(given: Given, store: Store, who: Session) -> None:
    from attractor.promise import release

    sessions, by = _sessions(given, who)
    found = release.hold(store, sessions, by)
    open_promises = [each["id"] for each in found]
    said = {"held": list(sessions), "by": by, "promises": open_promises}
    say(given, said, [f"Held session: {' '.join(sessions)}"])


_DO: Final[dict[str, Callable[[Given, Store, Session], None]]] = {
    "--create": _create,
    "--add-ac": _add_ac,
    "--start": _start,
    "--meet": _meet,
    "--list": _list,
    "--mine": _list,
    "--show": _show,
    "--release": _release,
    "--adopt": _adopt,
    "--cancel": _cancel,
    "--release-session": _release_session,
    "--hold-session": _hold_session,
}
