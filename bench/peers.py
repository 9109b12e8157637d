"""Other engines, to compare with: each in an environment and a process of its own.

They are installed once, from the package index that pip is configured for, into the user's cache
folder; removing `attractor/bench-peers` there has them installed anew. What cannot be had is left
out, and said so. The environment that these benchmarks run in is never touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from measure import Taken

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES: Final = {
    "langgraph": ("langgraph", "langgraph-checkpoint-sqlite"),
    "dbos": ("dbos",),
    "prefect": ("prefect", "fastapi<0.116"),
}
_INSTALL_SECONDS: Final = 900
_ANSWER_SECONDS: Final = 240
_WHOLE: Final = "installed"


@dataclass
class Peer:
    """One engine that is running: it is told a shape, and answers how long that took."""

    name: str
    version: str
    process: subprocess.Popen[str]

    def run(self, widths: Sequence[int]) -> Taken:
        """Return what it took to carry out layers of these widths, one after another."""
        said = self._ask({"widths": list(widths)})
        return Taken(float(said["seconds"]), float(said["processor"]))

    def memory(self) -> dict[str, int]:
        """Return what it and its children hold of the memory, in KiB, by what they are."""
        found: dict[str, int] = self._ask({"memory": True})["memory"]
        return found

    def _ask(self, said: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return answer_of(self.process)


@contextlib.contextmanager
def running(folder: str) -> Iterator[list[Peer]]:
    """Have every engine that can be had run, with its files in this folder; all are ended."""
    with contextlib.ExitStack() as held:
        found = []
        for name in PACKAGES:
            try:
                found.append(held.enter_context(_started(name, os.path.join(folder, name))))
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                print(f"{name} is left out: {error}", flush=True)
        yield found


@contextlib.contextmanager
def _started(name: str, folder: str) -> Iterator[Peer]:
    python = _installed(name)
    os.mkdir(folder)
    log = os.path.join(folder, "log")
    kept = {"HOME": folder, "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [python, "-I", os.path.join(HERE, f"peer_{name}.py"), HERE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            cwd=folder,
            env=kept,
            text=True,
        )
    try:
        peer = Peer(name, str(answer_of(process)["version"]), process)
        peer.run([1])  # it starts what it needs, and shows that it can
        print(f"{name} {peer.version}", flush=True)
        yield peer
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line that it says; RuntimeError when there is none in time."""
    assert process.stdout
    if not select.select([process.stdout], [], [], _ANSWER_SECONDS)[0]:
        raise RuntimeError(f"no answer within {_ANSWER_SECONDS} seconds")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"it ended with {process.wait()}")
    said: dict[str, Any] = json.loads(line)
    return said


def _installed(name: str) -> str:
    """Return the Python of this engine's environment, which is made where it is missing."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "attractor", "bench-peers", name)
    python = os.path.join(folder, "bin", "python")
    whole = os.path.join(folder, _WHOLE)
    if os.path.exists(whole) and os.path.exists(python):
        return python
    print(f"installing {name} in {folder}", flush=True)
    _pip([sys.executable, "-I", "-m", "venv", "--clear", folder])
    _pip([python, "-I", "-m", "pip", "install", "--quiet", *PACKAGES[name]])
    with open(whole, "wb"):
        pass
    return python


def _pip(words: Sequence[str]) -> None:
    ran = subprocess.run(
        words, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no word"])[-1]
        raise RuntimeError(f"{words[-1]} could not be installed: {last}")
