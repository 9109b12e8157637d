"""The one way to start processes: our own isolated, outside tools with a deadline.

Our own always run as `[sys.executable, "-I", "-m", NAME, ...]`: a Runner's working directory is a
tree written by the agent being judged, and without `-I` Python would import from it. Module names
appear as strings here only, so that `attractor.cli` never imports `guardian` or `runner`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from attractor.errors import ToolError

OwnModule = Literal["attractor", "guardian", "runner"]

_TAIL_CHARACTERS = 2_000
_INSTALL = {"dot": "graphviz", "bwrap": "bubblewrap"}


def own_command(module: OwnModule, *arguments: str) -> list[str]:
    """Return the argv that starts one of our own processes, safe from the working directory."""
    return [sys.executable, "-I", "-m", module, *arguments]


def install_hint(tool: str) -> str:
    """Return the one command that installs a tool on this system."""
    package = _INSTALL.get(tool, tool)
    if sys.platform == "darwin":
        return f"brew install {package}"
    return f"sudo apt-get install -y {package}"


def run_tool(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run an outside program and return its stdout; missing, late or failed is a ToolError."""
    tool = argv[0]
    path = shutil.which(tool)
    if path is None:
        raise ToolError(f"{tool} is not installed", fix=f"install it: {install_hint(tool)}")
    try:
        done = subprocess.run(
            [path, *argv[1:]],
            input=stdin,
            capture_output=True,
            timeout=timeout_seconds,
            cwd=cwd,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ToolError(
            f"{tool} did not end within {timeout_seconds:g} seconds and was stopped",
            fix=f"the command was: {' '.join(argv)}",
        ) from late
    if done.returncode != 0:
        tail = done.stderr.decode("utf-8", "replace").strip()[-_TAIL_CHARACTERS:]
        raise ToolError(
            f"{tool} ended with status {done.returncode}: {tail or 'it said nothing'}",
            fix=f"the command was: {' '.join(argv)}",
        )
    return done.stdout
