"""The Claude Code SessionStart hook: tells a session's Bash commands which project is theirs.

Hooks are given $CLAUDE_PROJECT_DIR, Bash commands are not. What this appends to $CLAUDE_ENV_FILE
gives it to them, so that the cs-* commands and the Stop hook mean the same folder, wherever the
agent goes. Started as `python -I -S FILE`; prints nothing and always exits with 0: where it cannot
write, a session works as without it. It needs the standard library and `stop_hook.py` beside it.
"""

from __future__ import annotations

import posix
import sys


def main() -> None:
    """Append the project's folder to the file that Claude Code names."""
    sys.path.insert(0, __file__.rpartition("/attractor/promise/")[0] or "/")
    from attractor.promise.stop_hook import project_folder, write_all

    file = posix.environ.get(b"CLAUDE_ENV_FILE")
    if not (file and posix.environ.get(b"CLAUDE_PROJECT_DIR")):
        return
    flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_NONBLOCK | posix.O_CLOEXEC
    fd = posix.open(file, flags, 0o600)
    try:
        # One write, for other hooks append to the same file at the same time.
        folder = project_folder().replace("'", "'\\''")
        line = f"\nexport CLAUDE_PROJECT_DIR='{folder}'\n"
        write_all(fd, line.encode(sys.getfilesystemencoding(), "surrogateescape"))
    finally:
        posix.close(fd)


if __name__ == "__main__":
    try:  # noqa: SIM105 - contextlib costs a millisecond
        main()
    except Exception:  # noqa: BLE001, S110 - a session must start, whatever is wrong here
        pass
