"""Who calls, for which project, and which promises have lost their owner.

A promise is an orphan when nobody owns it, or when the process through which its owner lived is
proved dead and no other process is known for that session. An owner whose process was never
recorded (outside of Claude Code), or of whom nothing can be proved, is taken to be alive.
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

from attractor.errors import InputError
from attractor.promise import model
from attractor.promise.files import read_json
from attractor.promise.model import Promise
from attractor.promise.store import Store

_PID_DIGITS: Final = 11


class Session(NamedTuple):
    """The session that calls."""

    own: tuple[str, ...]
    """Every id by which it owns promises; the first is written into records."""

    @property
    def name(self) -> str:
        """Return the id that goes into records; without one the call is refused."""
        if not self.own:
            raise InputError(
                "no session: neither CLAUDE_SESSION_ID nor CLAUDE_CODE_SESSION_ID is set",
                fix='run: eval "$(cs-init)"',
            )
        return self.own[0]

    def require(self) -> None:
        """Refuse a call without a session."""
        assert self.name


def current() -> Session:
    """Return the calling session; inside Claude Code its own id is always among them."""
    own = []
    for variable in ("CLAUDE_SESSION_ID", "CLAUDE_CODE_SESSION_ID"):
        found = os.environ.get(variable, "")
        if found and not model.is_name(found):
            raise InputError(
                f"{variable} cannot be a session's id: {found!r}",
                fix="letters, digits, `.`, `_` and `-` only, at most 128",
            )
        if found and found not in own:
            own.append(found)
    return Session(tuple(own))


def project() -> str:
    """Return the project's folder.

    $CLAUDE_PROJECT_DIR; else the nearest folder upwards that has a `.claude`, looking no higher
    than the git work tree and never at the home folder, whose `.claude` is the user's own; else
    the current folder.
    """
    named = os.environ.get("CLAUDE_PROJECT_DIR", "")
    if named:
        if not os.path.isdir(named):
            raise InputError(
                "CLAUDE_PROJECT_DIR is not a folder that exists",
                where=os.path.abspath(named),
                fix="make the folder, or correct the variable",
            )
        return os.path.abspath(named)
    try:
        here = folder = os.getcwd()
    except FileNotFoundError as error:
        fix = "go to a folder that exists"
        raise InputError("the current folder was removed", fix=fix) from error
    home = os.path.realpath(os.path.expanduser("~"))
    while True:
        if os.path.isdir(os.path.join(folder, ".claude")):
            return folder
        parent = os.path.dirname(folder)
        top = parent == folder or os.path.exists(os.path.join(folder, ".git"))
        if top or os.path.realpath(parent) == home:
            return here
        folder = parent


def process() -> dict[str, Any] | None:
    """Return the identity of the Claude Code that runs this command, if there is one."""
    text = os.environ.get("CLAUDE_PID", "")
    if not (text.isascii() and text.isdigit() and len(text) < _PID_DIGITS):
        return None
    from signals.owner import owner_of

    found = owner_of(int(text))
    return found.as_json() if found else None


def is_orphan(promise: Promise, store: Store) -> bool:
    """Say whether an open promise has nobody who can keep it."""
    if promise["status"] not in model.OPEN:
        return False
    holder = model.owner(promise)
    if holder is None:
        return True
    record = promise.get("ownership", {}).get("process")
    if not isinstance(record, dict):
        return False
    from signals.owner import Liveness, Owner, liveness

    if liveness(Owner.from_json(record)) is not Liveness.DEAD:
        return False
    return not _runs_elsewhere(store, holder)


def _runs_elsewhere(store: Store, holder: str) -> bool:
    """Ask the stop hook's record: a resumed session has the old id and a new process."""
    if not model.is_name(holder):
        return False
    try:
        seen = read_json(store.path("hooks", f"{holder}.json"))
    except FileNotFoundError:
        return False
    except InputError:
        return True
    # A bare `claude_pid` proves nothing here: the pid may be somebody else's by now.
    record = seen.get("process") if isinstance(seen, dict) else None
    if not isinstance(record, dict):
        return False
    from signals.owner import Liveness, Owner, liveness

    return liveness(Owner.from_json(record)) is not Liveness.DEAD
