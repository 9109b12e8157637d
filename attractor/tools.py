"""The programs of others that we need: which version is here, and whether a sandbox can be made.

Each answer comes from running the program once, with a deadline; one that is missing, late or
broken is a ToolError that says which. Nothing is installed or changed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Final

from attractor.errors import ToolError
from attractor.spawn import run_tool

SECONDS: Final = 20.0
TMUX_OLDEST: Final = (3, 2)
"""Since then a pane's end can start a command, and a session can be given an environment."""
CLAUDE_OLDEST: Final = (2, 1, 295)
"""Since then a PreToolUse hook that cannot run can deny the call, instead of letting it pass."""
_VERSION: Final = re.compile(
    r"(?:version|tmux|bubblewrap) ((?:next-|openbsd-)?\d[\w.]*|master)|^(\d+\.\d[\w.]*)"
)
_NUMBER: Final = re.compile(r"\d+")


def version(
    *argv: str,
    stdin: bytes = b"",
    seconds: float = SECONDS,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return the version that a program says it has; empty if it works and says none."""
    said = run_tool(argv, timeout_seconds=seconds, stdin=stdin, cwd="/", env=env)
    match = _VERSION.search(said.decode("utf-8", "replace"))
    return (match[1] or match[2]) if match else ""


def older(version: str, oldest: tuple[int, ...]) -> bool:
    """Say whether a version is older; one that has no number is not known to be."""
    numbers = tuple(map(int, _NUMBER.findall(version)))[: len(oldest)]
    return bool(numbers) and numbers < oldest


def written(version: tuple[int, ...]) -> str:
    """Return a version as it is usually written."""
    return ".".join(map(str, version))


def try_sandbox(seconds: float = SECONDS) -> str:
    """Make a sandbox once, and return the version of the program that does; ToolError if not."""
    if sys.platform == "darwin":
        argv = ("sandbox-exec", "-p", "(version 1)(allow default)", "/usr/bin/true")
        return version(*argv, seconds=seconds)
    found = version("bwrap", "--version", seconds=seconds)
    try:
        # Installed is not enough: the kernel may refuse user namespaces.
        run_tool(["bwrap", "--ro-bind", "/", "/", "true"], timeout_seconds=seconds)
    except ToolError as error:
        fix = "allow unprivileged user namespaces on this machine"
        raise ToolError(f"it cannot make a sandbox here ({error.problem})", fix=fix) from error
    return found


def find_agent(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the program of an agent: the one on PATH, else the one beside our Python, else none.

    An empty or relative entry of PATH would take it from the working directory, and is passed over.
    """
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    ours = os.path.join(sys.prefix, "agents", "node_modules", ".bin")
    known = [*filter(os.path.isabs, folders), ours]
    return shutil.which(name, path=os.pathsep.join(known))


def find_claude() -> str | None:
    """Return the Claude Code inside claude-agent-sdk, else the one on PATH, else nothing.

    The bundled one comes first, because its version is known. The SDK is not imported.
    """
    spec = importlib.util.find_spec("claude_agent_sdk")
    if spec and spec.origin:
        bundled = os.path.join(os.path.dirname(spec.origin), "_bundled", "claude")
        if os.access(bundled, os.X_OK):
            return bundled
    return shutil.which("claude")
