"""cs-status: where every promise stands, and what the stop hook gave up on."""

from __future__ import annotations

from typing import Any, Final

from attractor.errors import DamageError
from attractor.promise import model, session, views
from attractor.promise.arguments import Given, note, parse, say
from attractor.promise.files import Damaged, read_json
from attractor.promise.model import Promise
from attractor.promise.session import Session
from attractor.promise.store import Store
from signals.clock import SystemClock

HELP: Final = """\
cs-status - where every promise stands

  cs-status                every open promise
  cs-status --mine         those of this session
  cs-status --orphans      those that have lost their owner
  cs-status --history      those that are verified or cancelled

Sessions that the stop hook let go although their promises were open (escalations), and sessions
that were released from it, are always shown.

--json prints {session_id, promises[], history[], orphans[], escalations[], released[], damaged[]}.
"""
TABLE: Final = dict.fromkeys(("--mine", "--orphans", "--history", "--json", "--help"), 0)

_END: Final = ".released"


def run(words: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    given = parse(TABLE, words)
    if given.has("--help"):
        say(given, {"help": HELP}, [HELP.rstrip()])
        return 0
    store, who = Store(session.project(), SystemClock()), session.current()
    found, past = store.listing(), store.listing("history")
    damaged = [*found.damaged, *past.damaged]
    orphans = [each for each in found.promises if session.is_orphan(each, store)]
    escalations = _escalations(store, damaged)
    released = [name for each in store.names("hooks") if (name := each.removesuffix(_END)) != each]
    for line in views.damaged(damaged):
        note(line)
    shown, history = _selected(given, who, found.promises, orphans), past.promises
    if given.has("--mine"):
        history = [each for each in history if model.owner(each) in who.own]
    elif given.has("--orphans"):
        history = []
    said = {
        "session_id": who.own[0] if who.own else None,
        "promises": shown,
        "history": history,
        "orphans": [each["id"] for each in orphans],
        "escalations": escalations,
        "released": released,
        "damaged": [each.as_json() for each in damaged],
    }
    lines = [f"SESSION: {said['session_id'] or '(none)'}", ""]
    lines += _history(history) if given.has("--history") else _open(given, shown, orphans, history)
    say(given, said, [*lines, *_exceptions(escalations, released)])
    return 0


def _selected(
    given: Given, who: Session, promises: list[Promise], orphans: list[Promise]
) -> list[Promise]:
    if given.has("--mine"):
        who.require()
        return [each for each in promises if model.owner(each) in who.own]
    return orphans if given.has("--orphans") else promises


def _escalations(store: Store, damaged: list[Damaged]) -> list[dict[str, Any]]:
    found = []
    for name in store.names("escalations"):
        path = store.path("escalations", f"{name}.json")
        try:
            value = read_json(path)
        except FileNotFoundError:
            continue
        except DamageError as error:
            damaged.append(Damaged(error.where, error.problem))
            continue
        if isinstance(value, dict):
            found.append({"session": name, **value})
        else:
            damaged.append(Damaged(f"{path}:1", "not a JSON object"))
    return found


def _open(
    given: Given, shown: list[Promise], orphans: list[Promise], history: list[Promise]
) -> list[str]:
    kind = "orphans" if given.has("--orphans") else "promises"
    lines = [f"{kind.upper()} ({len(shown)}):" if shown else f"No open {kind}.", ""]
    for each in shown:
        lines += [*views.entry(each, orphan=each in orphans), *views.criteria(each, "      "), ""]
    if orphans and not given.has("--mine"):
        lines += [f"Adopt an orphan: cs-promise --adopt {orphans[0]['id']}", ""]
    if history:
        lines += [f"History: {len(history)} closed (cs-status --history)", ""]
    return lines


def _history(history: list[Promise]) -> list[str]:
    lines = [f"HISTORY ({len(history)}):" if history else "No closed promises.", ""]
    for each in history:
        at = each.get("verification", {}).get("verified_at")
        lines += [*views.entry(each, orphan=False), f"    {each['status']} at {at}", ""]
    return lines


def _name(promise: object) -> str:
    return str(promise.get("id") if isinstance(promise, dict) else promise)


def _exceptions(escalations: list[dict[str, Any]], released: list[str]) -> list[str]:
    lines = []
    if escalations:
        lines.append(f"ESCALATIONS ({len(escalations)}): the stop hook let these sessions go")
        for each in escalations:
            lines.append(
                f"  {each['session']} at {each.get('at')}, after {each.get('blocks')} blocks: "
                f"{each.get('reason')}"
            )
            names = each.get("promises")
            if isinstance(names, list) and names:
                lines.append(f"    promises: {', '.join(map(_name, names))}")
        lines.append("")
    lines += [f"RELEASED: {each} may stop, whatever it has promised" for each in released]
    return lines
