"""`python -I -m attractor.promise NAME ARGUMENTS`: a cs-* command, without its script."""

from __future__ import annotations

import sys

from attractor.promise.entry import COMMANDS, run

if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:  # noqa: PLR2004  # its own name and one word
    sys.exit(f"error: give one of {', '.join(COMMANDS)}")
run(sys.argv[1], sys.argv[2:])
