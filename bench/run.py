"""`./dev bench [ROW...]`: the benchmarks, each a ratio against a floor or a peer in the same run.

A ROW is the name of a file here without `rows_`: pipeline, ready, signals, journal, start,
hooks, runner, guardian, idle, memory, hello. Other engines are installed for `guardian` and `idle`,
once.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = (
    "pipeline",
    "ready",
    "signals",
    "journal",
    "start",
    "hooks",
    "runner",
    "guardian",
    "idle",
    "memory",
    "hello",
)


def main() -> int:
    """Print every row that was asked for."""
    sys.path.insert(0, HERE)  # -I leaves it out, and these files are no package
    asked = sys.argv[1:] or list(ROWS)
    unknown = [name for name in asked if name not in ROWS]
    if unknown:
        print(f"there is no row {unknown[0]!r}; rows: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}")
    print("medians; the ratio is the median of ratios pair by pair\n")
    for name in asked:
        for row in importlib.import_module(f"rows_{name}").rows():
            print(row.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
