"""Following a folder: what the library that watches it has to say is nobody's to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WATCHED = """
import logging, sys
from attractor.run.following import Following
with Following(sys.argv[1], {"a"}):
    logging.getLogger("watchdog.observers.inotify").error("the thread is inactive")
"""


def test_what_the_watching_library_complains_about_is_not_on_the_terminal(tmp_path: Path) -> None:
    child = [sys.executable, "-I", "-c", _WATCHED, str(tmp_path)]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
