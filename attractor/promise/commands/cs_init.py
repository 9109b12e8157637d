"""cs-init: begin a session, and print what the shell has to export."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Final

from attractor.errors import InputError
from attractor.promise import session, views
from attractor.promise.arguments import Given, note, one_of, parse, say
from attractor.promise.files import read_json, to_bytes
from attractor.promise.session import Session
from attractor.promise.store import Store
from signals.clock import SystemClock

HELP: Final = """\
cs-init - begin a session

  eval "$(cs-init [--initiative NAME])"    export CLAUDE_SESSION_ID and CLAUDE_SESSION_DIR
  cs-init --show                           the current session
  cs-init --check-orphans                  promises that have lost their owner

Inside Claude Code the session keeps the id that Claude Code gave it: exports end with the one
shell command that made them, and the stop hook knows the session by this id.

--json prints one JSON document. Errors have exit status 1.
"""
TABLE: Final = {
    "--initiative": 1,
    **dict.fromkeys(("--show", "--check-orphans", "--json", "--help"), 0),
}
MAX_ITERATIONS: Final = 25


def run(words: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    given = parse(TABLE, words)
    if given.has("--help"):
        say(given, {"help": HELP}, [HELP.rstrip()])
        return 0
    store, who = Store(session.project(), SystemClock()), session.current()
    if not (given.has("--show") or given.has("--check-orphans")):
        _begin(given, store)
    elif one_of(given, ("--show", "--check-orphans")) == "--show":
        _show(given, store, who)
    else:
        _check_orphans(given, store)
    return 0


def _begin(given: Given, store: Store) -> None:
    from signals.atomic import replace

    initiative = given.one("--initiative")
    if given.has("--initiative") and not initiative.strip():
        raise InputError("--initiative needs a name", fix="see `cs-init --help`")
    inside = os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    name = inside or _new_name()
    folder = name + (f"-{_as_file_name(initiative)}" if initiative else "")
    with store.locked():
        home = store.folder("sessions", folder)
        path = os.path.join(home, "session-state.json")
        if not os.path.exists(path):
            replace(path, to_bytes(_state(name, initiative, store.now())))
        _point(
            store.path("session-state.json"), os.path.join("sessions", folder, "session-state.json")
        )
    said = {"session_id": name, "session_dir": home, "initiative": initiative or None}
    exports = [
        f'export CLAUDE_SESSION_ID="{_quoted(name)}"',
        f'export CLAUDE_SESSION_DIR="{_quoted(home)}"',
    ]
    say(given, said, exports)


def _new_name() -> str:
    # Local time, as the original's names have it; the number is this process's.
    now = time.localtime(SystemClock().wall_ns() // 1_000_000_000)
    return f"session-{time.strftime('%Y%m%d-%H%M%S', now)}-{os.getpid()}"


def _as_file_name(text: str) -> str:
    safe = "".join(each if each.isascii() and each.isalnum() else "-" for each in text)
    return safe.strip("-")[:64] or "initiative"


def _quoted(text: str) -> str:
    """Return text that the shell takes as it is between double quotes."""
    return "".join("\\" + each if each in '\\"$`' else each for each in text)


def _state(name: str, initiative: str, at: str) -> dict[str, Any]:
    return {
        "version": "1.0",
        "session_id": name,
        "initiative": initiative or None,
        "started_at": at,
        "iteration": 1,
        "max_iterations": MAX_ITERATIONS,
        "completion_promise": {"raw_prompt": None, "summary": None, "extracted_at": None},
        "goals": [],
        "prd": {"source": None, "epics": []},
        "progress_log": [],
        "codebase_patterns": [],
    }


def _point(link: str, target: str) -> None:
    """Let the link lead to the new session in one step; a real file with its name stays."""
    from signals.atomic import storage_errors

    if os.path.lexists(link) and not os.path.islink(link):
        note(f"warning: {link} is a file, not a link; it is left as it is")
        return
    draft = f"{link}.{os.getpid()}"
    with storage_errors("link", link):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        os.symlink(target, draft)
        os.replace(draft, link)


def _show(given: Given, store: Store, who: Session) -> None:
    path = store.path("session-state.json")
    try:
        state = read_json(path)
    except FileNotFoundError as error:
        raise InputError(
            "no session was begun in this project", where=path, fix='run: eval "$(cs-init)"'
        ) from error
    if not isinstance(state, dict):
        raise InputError("not a JSON object", where=f"{path}:1", fix="begin anew with `cs-init`")
    lines = [
        f"Session: {state.get('session_id')}",
        f"  Initiative: {state.get('initiative') or '(none)'}",
        f"  Started at: {state.get('started_at')}",
        f"  Iteration: {state.get('iteration')} of {state.get('max_iterations')}",
        f"  This shell: {who.own[0] if who.own else '(no session)'}",
    ]
    say(given, state, lines)


def _check_orphans(given: Given, store: Store) -> None:
    found = store.listing()
    for line in views.damaged(found.damaged):
        note(line)
    orphans = [each for each in found.promises if session.is_orphan(each, store)]
    lines = [f"ORPHANS ({len(orphans)}):", ""] if orphans else ["No orphaned promises."]
    for each in orphans:
        lines += [*views.entry(each, orphan=True), f"    cs-promise --adopt {each['id']}", ""]
    say(given, {"orphans": orphans}, lines)
