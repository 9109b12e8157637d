"""A program that cannot outlive the process that started it, not even when that is SIGKILLed.

What is started becomes the program, after it has left a child in its process group that waits for
the end of a pipe. Only the starting process holds the other end, so the kernel closes it whatever
happens, and the child kills the group, itself included. Not guaranteed: a descendant of the program
that left the group lives on, and so does the program while a fork of the starting process that has
not called exec still holds the pipe.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Final

_PROGRAM: Final = """
import os, sys
end = int(sys.argv[1])
if os.fork() == 0:
    for stream in 0, 1, 2:
        os.close(stream)
    os.read(end, 1)
    os.killpg(0, 9)
os.close(end)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]} could not be started: {error.strerror}")
"""


def on_leash(
    argv: Sequence[str], held: contextlib.ExitStack
) -> tuple[Sequence[str], tuple[int, ...]]:
    """Return the argv that starts a program on a leash, and what it must inherit.

    It must lead a process group of its own. The leash ends when `held` does: start it before.
    """
    end, ours = os.pipe()
    held.callback(os.close, ours)
    held.callback(os.close, end)
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, str(end), *argv], (end,)
