"""Decide about a tool call before it happens, and store what was decided.

Started as `python -I -S guard.py EVENTS PLACES`, for PreToolUse and ConfigChange. A call that is
allowed is stored as the event it is; one that is not, in an envelope: `denied` where a rule of the
session's role was broken, `refused` where it was not. The answer is exit 2 with the reason: as
JSON, because Claude Code shows the command line of a hook that says it on stderr alone, and there.

It fails closed: what cannot be decided (an event that is no JSON, PLACES that cannot be read, an
error of ours) is denied with a sentence that says so. An event that cannot be stored changes no
decision.
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.hooks.guard_decision import Denial
    from runner.hooks.guard_places import Places

PLACES_BYTES = 1 << 20
DENIED = 2


def find_neighbours() -> None:
    """Let `runner.hooks.NAME` be imported from this file's folder, and from nowhere else."""
    folder = __file__.rpartition("/")[0] or "."
    for name, path in (("runner", f"{folder}/.."), ("runner.hooks", folder)):
        package = type(sys)(name)
        package.__path__ = [path]
        sys.modules.setdefault(name, package)


def decided(data: bytes, said: int, places: str) -> tuple[bytes, Denial | None]:
    """Return what to store, and why the call is denied, if it is."""
    from runner.hooks import envelope, guard_decision
    from runner.hooks.store import RAW_BYTES

    try:
        event = envelope.parsed(data) if len(data) == said else None
        denial = guard_decision.judge(event, read_places(places), variables())
    except Exception as error:  # noqa: BLE001 - whatever it is must not let the call through
        denial = guard_decision.undecided(error)
    if denial is None:
        return data if said <= RAW_BYTES else envelope.cut(data, said), None
    word = "denied" if denial.is_violation else "refused"
    fields = {"rule": denial.rule, "reason": denial.problem}
    return envelope.around(word, fields, data, said), denial


def read_places(path: str) -> Places:
    """Return the session's places; an error says that they cannot be known."""
    from runner.hooks import guard_places
    from runner.hooks.envelope import parsed

    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        said = parsed(posix.read(fd, PLACES_BYTES))
    finally:
        posix.close(fd)
    hooks = __file__.rpartition("/")[0]
    home = variables().get("HOME", "")
    return guard_places.Places(said["worktree"], said["hidden"], said["visible"], [hooks], home)


def variables() -> dict[str, str]:
    """Return the environment, as the session's shell has it."""
    encoding = sys.getfilesystemencoding()
    return {
        name.decode(encoding, "surrogateescape"): value.decode(encoding, "surrogateescape")
        for name, value in posix.environ.items()
    }


def answer() -> str:
    """Store the event, and return what to print if the call is denied."""
    from runner.hooks.store import read_stdin, store

    data, said = read_stdin()
    kept, denial = decided(data, said, sys.argv[2])
    try:
        store(sys.argv[1], kept)
    except OSError as error:
        posix.write(2, f"attractor: the event was not stored: {error!r:.500}\n".encode())
    if denial is None:
        return ""
    posix.write(2, denial.text.encode("utf-8", "replace"))
    return denial.answer


def main() -> int:
    """Answer one event; never raises."""
    try:
        find_neighbours()
        said = answer()
        if said:
            posix.write(1, said.encode())
    except Exception as error:  # noqa: BLE001 - whatever it is must not let the call through
        posix.write(2, f"Denied: the guard itself failed: {error!r:.500}\n".encode())
        return DENIED
    return DENIED if said else 0


if __name__ == "__main__":
    status = main()
    # The end of an interpreter costs a millisecond, and there is nothing left to do.
    posix._exit(status)  # noqa: SLF001 - `os` has the public name, and is not imported
