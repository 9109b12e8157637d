"""Runs the command of a tool node, in a tree of its own that is kept.

The command stands in the person's own pipeline, so it runs as if the person had typed it: with the
whole environment, the login, the network, and no fence. It finds a clean tree at the commit that it
was given, and what it commits there is the node's work, which gets a ref of its own; what it leaves
uncommitted stays in the tree. Killed at any moment, the command has died with us, and starts again
in a new tree: what it does outside of that, it may do twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, Any, Final, final

from attractor.run.branch import kept_ref
from attractor.run.layout import RunLayout, escape
from attractor.spawn import run_leashed_shell
from guardian import trees
from guardian.trees import Tree
from signals.atomic import storage_errors
from signals.clock import Clock

SECONDS: Final = 1800.0
MOST_LOG_BYTES: Final = 16 * 1024 * 1024
_TAIL_CHARACTERS: Final = 4_000
_ELSEWHERE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
_CUT: Final = b"\n[the rest was not kept]\n"


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Run the command and answer {exit, tail, seconds, commit, tree, log}.

    `exit` is null for a command that was stopped at its deadline, `commit` where HEAD stands then.
    """
    request = spec["request"]
    layout = RunLayout(request["run_root"])
    folder = os.path.join(layout.trees, f"tool-{escape(spec['node'])}-{int(spec['attempt'])}")
    log = os.path.join(layout.evidence(spec["node"], spec["attempt"]), "output.log")
    with storage_errors("make", log):
        os.makedirs(os.path.dirname(log), mode=0o700, exist_ok=True)
    head = spec.get("head") or request["base_commit"]
    with trees.keep(request["project"], folder, head, clock) as tree:
        place = os.path.join(tree.path, spec.get("target_dir", ""))
        # Also not through a link: what runs there commits, and must not do so in another checkout.
        top, real = os.path.realpath(tree.path), os.path.realpath(place)
        if not os.path.isdir(real) or os.path.commonpath([top, real]) != top:
            return {"error": f"the folder {spec['target_dir']!r:.200} is not in the tree"}
        return _run(spec, tree, place, log, clock)


def _run(spec: Mapping[str, Any], tree: Tree, place: str, log: str, clock: Clock) -> dict[str, Any]:
    head = tree.git.commit("HEAD")
    began = clock.monotonic()
    timeout = float(spec.get("timeout") or SECONDS)
    with storage_errors("write", log), open(log, "wb", buffering=0) as file:
        ran = run_leashed_shell(
            spec["command"],
            timeout_seconds=timeout,
            cwd=place,
            tail_characters=_TAIL_CHARACTERS,
            env=_environment(spec),
            heard=_Log(file).add,
        )
    late = f"\nit did not end within {timeout:g} seconds and was stopped"
    return {
        "exit": ran.status,
        "tail": ran.tail if ran.status is not None else (ran.tail + late).lstrip(),
        "seconds": round(clock.monotonic() - began, 3),
        "commit": _committed(spec, tree, head),
        "tree": tree.path,
        "log": log,
    }


def _committed(spec: Mapping[str, Any], tree: Tree, head: str) -> str:
    """Return where HEAD stands; what is new there gets a name, so that `git gc` leaves it alone."""
    commit = tree.git.commit("HEAD")
    if commit and commit != head:
        ref = kept_ref(spec["request"]["run_id"], spec["node"], int(spec["attempt"]))
        tree.git.ask("update-ref", "-m", f"attractor: tool {spec['node']}", ref, commit)
    return commit


def _environment(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the person's own, with what a command may want to know, and no other repository."""
    theirs = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return theirs | {
        "ATTRACTOR_RUN_ID": spec["request"]["run_id"],
        "ATTRACTOR_NODE_ID": spec["node"],
        "ATTRACTOR_ATTEMPT": str(spec["attempt"]),
        "ATTRACTOR_BRANCH": spec.get("branch", ""),
    }


@final
class _Log:
    """Keeps what is said, as far as there is room; what is more is thrown away."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._room = MOST_LOG_BYTES

    def add(self, said: bytes) -> None:
        """Keep this."""
        if self._room <= 0:
            return
        kept = said if len(said) <= self._room else said[: self._room] + _CUT
        self._room -= len(kept)
        while kept:
            kept = kept[self._file.write(kept) :]
