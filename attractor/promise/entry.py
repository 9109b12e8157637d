"""Where the scripts cs-init, cs-promise, cs-verify, cs-status and cs-store-validation start.

As in `attractor.entry`: isolation first when `PYTHONPATH` is set, everything else after.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

COMMANDS = ("cs-init", "cs-promise", "cs-verify", "cs-status", "cs-store-validation")


def cs_init() -> NoReturn:
    """Begin a session."""
    _script("cs-init")


def cs_promise() -> NoReturn:
    """Make and keep promises."""
    _script("cs-promise")


def cs_verify() -> NoReturn:
    """Verify promises, and say whether the session may stop."""
    _script("cs-verify")


def cs_status() -> NoReturn:
    """Show where every promise stands."""
    _script("cs-status")


def cs_store_validation() -> NoReturn:
    """Store a validator's verdict on a criterion."""
    _script("cs-store-validation")


def _script(name: str) -> NoReturn:
    if os.environ.get("PYTHONPATH") and not sys.flags.isolated:
        argv = [sys.executable, "-I", "-m", "attractor.promise", name, *sys.argv[1:]]
        os.execv(sys.executable, argv)
    run(name, sys.argv[1:])


def run(name: str, words: list[str]) -> NoReturn:
    """Run one command to its end, and answer every foreseeable failure in words."""
    from attractor.errors import AttractorError, StorageError  # only after the decision above
    from attractor.promise import arguments

    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file
    try:
        status = _main(name)(words)
        sys.stdout.flush()
    except AttractorError as error:
        arguments.fail(error, words)
    except KeyboardInterrupt:
        arguments.note("stopped")
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, say) has gone: not an error, but stdout must not be flushed again.
        arguments.drop(sys.stdout)
        sys.exit(0)
    except OSError as error:
        where = os.fsdecode(error.filename or "")
        problem = f"the system refused: {error.strerror or error}"
        arguments.fail(StorageError(problem, where=where, fix="see that the path is ours"), words)
    sys.exit(status)


def _open_closed_streams() -> None:
    """Put /dev/null where the caller closed a stream, or a file of ours would get its number."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for good
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for good


def _main(name: str) -> Callable[[list[str]], int]:
    # One import for each, written out: only what is asked for is loaded.
    if name == "cs-init":
        from attractor.promise.commands.cs_init import run as found
    elif name == "cs-promise":
        from attractor.promise.commands.cs_promise import run as found
    elif name == "cs-verify":
        from attractor.promise.commands.cs_verify import run as found
    elif name == "cs-status":
        from attractor.promise.commands.cs_status import run as found
    else:
        from attractor.promise.commands.cs_store_validation import run as found
    return found
