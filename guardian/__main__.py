"""A Guardian: `python -I -m guardian RUN_ROOT`.

Exits with 0 when the run has ended and all that follows was done; with 75 when another Guardian
guards it; with 1 when it gave up, which it has told the terminal. Started again, it goes on.
"""

from __future__ import annotations

import os
import signal as posix_signals
import sys
import traceback
from typing import Final

from attractor.errors import AttractorError, BusyError
from attractor.tripwire import check_start
from signals.clock import SystemClock

_BUSY: Final = 75
_LEASE_SECONDS: Final = 5.0


def main(arguments: list[str]) -> int:
    """Guard the run in this folder."""
    check_start()
    if len(arguments) != 1:
        sys.stderr.write("usage: python -I -m guardian RUN_ROOT\n")
        return 2
    posix_signals.signal(posix_signals.SIGTERM, posix_signals.SIG_DFL)
    root = os.path.realpath(arguments[0])
    try:
        _guard(root)
    except BusyError as error:
        sys.stderr.write(f"{error}\n")
        return _BUSY
    except AttractorError as error:
        sys.stderr.write(f"{error}\n")
        _tell(root, str(error), "")
        return 1
    except Exception as error:  # noqa: BLE001  # the reason must reach the person, whatever it is
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        _tell(root, f"a mistake in the Guardian: {type(error).__name__}: {error}", trace)
        return 1
    return 0


def _guard(root: str) -> None:
    from attractor.run.alone import alone
    from attractor.run.layout import RunLayout
    from guardian.assemble import assemble

    clock = SystemClock()
    layout = RunLayout(root)
    with alone(layout, clock, _LEASE_SECONDS):
        guarding = assemble(layout, clock)
        guarding.loop.run()
        guarding.end()


def _tell(root: str, error: str, trace: str) -> None:
    """Tell the terminal that the Guardian cannot go on; what is wrong may forbid that, too."""
    from attractor.run.layout import RunLayout
    from signals import kinds
    from signals.mailbox import Mailbox
    from signals.sign import read_key

    layout = RunLayout(root)
    run_id = os.path.basename(root)
    said = {"pipeline_id": run_id, "error": error, "stack_trace": trace or None}
    try:
        box = Mailbox(layout.terminal_mailbox, key=read_key(layout.key), clock=SystemClock())
        payload = kinds.payload_of("GUARDIAN_ERROR", {k: v for k, v in said.items() if v})
        box.send(kinds.compose("guardian", "terminal", payload, run_id=run_id))
    except AttractorError as failure:
        sys.stderr.write(f"the terminal could not be told: {failure}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
