"""Where the console script starts: isolation first, everything else after.

`PYTHONPATH` can put a stranger's `signals/` before ours, so the script starts itself again with
`-I` when it is set. Nothing heavy is imported before that decision.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys


def main() -> None:
    """Run the command line; never returns."""
    if os.environ.get("PYTHONPATH") and not sys.flags.isolated:
        # The words of spawn.own_command, written out: importing it here would cost 11 ms.
        argv = [sys.executable, "-I", "-m", "attractor", *sys.argv[1:]]
        os.execv(sys.executable, argv)
    # The system takes all memory back at once; the collector's last walk would cost 10 ms.
    atexit.register(gc.freeze)
    try:
        from attractor.cli.main import cli  # only after the decision above

        cli()
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C before `guard` could answer it, or after


def bd() -> None:
    """Run `attractor bd`: the console script `attractor-bd`; never returns."""
    sys.argv.insert(1, "bd")
    main()
