"""Runs checks in a clean tree: in a process of their own, behind a fence, gone with this one.

The tree is one of `guardian.trees`. What runs there was written by the agent that is being judged,
so it has the fence of `runner.judged`; an answer that is not green, red or error is an error.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor.project.found_checks import Found, found_checks
from attractor.spawn import own_command, run_leashed
from guardian import before
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

CHECK_SECONDS: Final = 1800.0
_SLACK_SECONDS: Final = 60.0
_MOST_BYTES: Final = 1024 * 1024


def known(spec: Mapping[str, Any], tree: str, commit: str) -> Found:
    """Return the checks that the task is told of, or else those that the commit in the tree has.

    Where the task knows a `base`, a check that was there is missed when it is gone.
    """
    if spec.get("checks"):
        return Found(tuple(map(str, spec["checks"])))
    if spec.get("base"):
        return before.checks_since(spec, commit)
    return found_checks(os.path.join(tree, str(spec.get("target_dir") or "")))


def missed(found: Found) -> str:
    """Return what is told of checks that are gone; empty where all are there."""
    return "\n".join(
        f"the check `{each}` was there before, and the tests that it ran are gone"
        for each in found.gone
    )


def run_checks(
    spec: Mapping[str, Any],
    tree: str,
    commands: Sequence[str],
    timeout_seconds: float,
    clock: Clock,
) -> dict[str, Any]:
    """Run shell lines in a clean tree, one after another until one fails; `spec` is the task's.

    Returns {status: green | red | error, command, exit, tail, seconds, blindness}. No commands are
    green without having been run.
    """
    if not commands:
        return _answer("green", "")
    began = clock.monotonic()
    folder = os.path.dirname(tree)
    path, out = os.path.join(folder, "checks.spec"), os.path.join(folder, "checks.json")
    _unlink(out)  # an answer of a dead predecessor's, to another question
    atomic.replace(path, json.dumps(_question(spec, tree, commands, timeout_seconds, out)).encode())
    ended = run_leashed(
        own_command("runner.judged", path),
        timeout_seconds=timeout_seconds + _SLACK_SECONDS,
        cwd="/",
        max_output_bytes=_MOST_BYTES,
    )
    said = _read(out)
    _unlink(path)
    _unlink(out)
    if said is not None:
        return said
    how = "did not end" if ended.status is None else f"ended with status {ended.status}"
    said = _answer("error", f"what runs the checks {how} and gave no answer\n{ended.stderr}")
    return {**said, "seconds": round(clock.monotonic() - began, 3)}


def _question(
    spec: Mapping[str, Any],
    tree: str,
    commands: Sequence[str],
    timeout_seconds: float,
    out: str,
) -> dict[str, Any]:
    """Return what `runner.judged` reads."""
    request = spec["request"]
    return {
        "project": request["project"],
        "run_id": request["run_id"],
        "run_root": request["run_root"],
        "node": spec["node"],
        "attempt": spec["attempt"],
        "tree": tree,
        "target_dir": spec.get("target_dir", ""),
        "hidden": _hidden(spec),
        "sandbox": request.get("sandbox") or spec.get("sandbox") or "auto",
        "commands": list(commands),
        "timeout": timeout_seconds,
        "base_url": request.get("base_url", ""),
        "out": out,
    }


def _hidden(spec: Mapping[str, Any]) -> list[str]:
    """Return where rubrics are: the one that was asked for, and the one that is judged by."""
    rubric = spec.get("rubric") or {}
    folders = {spec["request"].get("rubric"), rubric.get("folder"), *spec.get("hidden", ())}
    return sorted(filter(None, folders))


def _read(out: str) -> dict[str, Any] | None:
    try:
        with open(out, "rb") as file:
            said: dict[str, Any] = json.loads(file.read(_MOST_BYTES))
        return said if said["status"] in ("green", "red", "error") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answer(status: str, tail: str) -> dict[str, Any]:
    return {
        "status": status,
        "command": "",
        "exit": None,
        "tail": tail.strip(),
        "seconds": 0.0,
        "blindness": "",
    }


def _unlink(path: str) -> None:
    with storage_errors("remove", path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)
