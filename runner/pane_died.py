"""What tmux runs when the program in a pane has ended: says so in the session's events folder.

Standard library only, run with `-I -S` by its path. It runs outside the sandbox and writes where
the session may write: no link is followed, and nothing that exists is overwritten.
"""

from __future__ import annotations

import os
import sys
import time


def main(folder: str) -> None:
    """Publish the event; a folder that is gone is nobody's loss."""
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    name = f"{time.time_ns():020d}-{os.getpid()}.json"
    draft = f".{name}.{os.urandom(4).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fd = os.open(draft, flags, 0o600, dir_fd=parent)
    try:
        os.write(fd, b'{"attractor":"pane-died"}')
        os.link(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
    finally:
        os.close(fd)
        os.unlink(draft, dir_fd=parent)


if __name__ == "__main__":
    main(sys.argv[1])
