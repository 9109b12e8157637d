"""Runs checks in a clean tree of the Guardian's: `python -I -m runner.judged SPEC.json`.

The tests that run here were written by the agent that is being judged. So they have a session's
fence, and less: of the run they see the tree alone; the repository can only be read; there is no
login, no configuration of Claude, no folder of the node's. Caches of package managers are empty
and private to this one call, so that nothing is left in them for the next judgement (macOS: they
are the person's, as for a session). Without a sandbox they run unfenced, and the answer's
`blindness` says "policy".

    {"project", "run_id", "run_root", "node", "attempt", "tree": a clean tree,
     "target_dir", "hidden": [...], "sandbox": "auto" | "required" | "off",
     "commands": [lines of shell], "timeout": seconds for all, "base_url", "out": file}

The answer: {"status": "green" | "red" | "error", "command", "exit", "tail", "seconds",
"blindness"}, written atomically, exactly one; on SIGTERM none. What was started is gone then, and
dies with this process as well (unfenced: what is left of its process group).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import attractor
from attractor.errors import AttractorError
from attractor.run.assignment import Assignment
from attractor.run.layout import escape
from runner import checks, environment, places, sandbox
from runner.disk import RealDisk
from runner.fence import Access, Fence, GitFolders, Rule, fence_for
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock, SystemClock

_ROOM: Final = "judged"
_GIT: Final = "git"
_NOBODY: Final = "http://127.0.0.1:9"
"""Of no login and no cache: how a rehearsal is fenced. Nothing is asked there."""
_LOGINS: Final = ("ANTHROPIC_", "CLAUDE")

# It leaves a child in the group, which kills that when the named pipe has no writer any more.
_LEASH: Final = """
import os, sys
end = os.open(sys.argv[1], os.O_RDONLY)
if os.fork() == 0:
    for stream in 0, 1, 2:
        os.close(stream)
    os.read(end, 1)
    os.killpg(0, 9)
os.close(end)
os.execv(sys.argv[2], sys.argv[2:])
"""


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Run the commands and return what is to be written."""
    folder = os.path.dirname(spec["tree"])
    room = os.path.join(folder, _ROOM)
    _clear(room)
    try:
        level = sandbox.check_level(sandbox.probe(os.environ), spec["sandbox"])
        told = _assignment(spec, room)
        sandbox.prepare(replace(told, base_url=_NOBODY), os.environ)
        with _fenced(told, spec, level, room) as (argv, options):
            said = checks.run(
                {
                    "commands": spec["commands"],
                    "cwd": told.work_folder,
                    "timeout": spec["timeout"],
                    "head": "",
                    "env": _environment(told),
                    "fence": {"argv": argv, "options": options},
                    "out": os.path.join(room, "check.json"),
                },
                clock,
            )
        del said["head"]
        return {**said, "blindness": level.name}
    finally:
        _clear(room)


def _assignment(spec: Mapping[str, Any], room: str) -> Assignment:
    """Return whose fence it is: a node's in a run of its own, which has nothing but this tree."""
    others = os.path.join(spec["project"], ".claude", "worktrees")
    return Assignment(
        run_id=spec["run_id"],
        node_id=spec["node"],
        attempt=spec["attempt"],
        project=spec["project"],
        run_root=room,
        base_commit="HEAD",
        branch=f"{escape(spec['run_id'])}/judged",
        worktree=spec["tree"],
        target_dir=spec["target_dir"],
        agent="command",
        command="true",
        hidden=(spec["run_root"], *filter(os.path.lexists, (others, *spec["hidden"]))),
        base_url=spec["base_url"],
    )


def _environment(told: Assignment) -> dict[str, str]:
    made = environment.for_session(told, sandbox.git_environment(), os.environ)
    return {name: value for name, value in made.items() if not name.startswith(_LOGINS)}


@contextlib.contextmanager
def _fenced(
    told: Assignment, spec: Mapping[str, Any], level: sandbox.Level, room: str
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Yield what stands before each command, and what bwrap reads."""
    if level.name == sandbox.BWRAP:
        wrapped = sandbox.wrap(level, _fence(told, spec, room), [], told.work_folder, report=True)
        yield wrapped.argv, wrapped.options
        return
    fence = Fence() if level.name == sandbox.POLICY else _fence(told, spec, room)
    wrapped = sandbox.wrap(level, fence, [], told.work_folder)
    pipe = os.path.join(room, "leash")
    with storage_errors("make", pipe):
        os.mkfifo(pipe, 0o600)
        held = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield [sys.executable, "-I", "-S", "-c", _LEASH, pipe, *wrapped.argv], ()
    finally:
        os.close(held)


def _fence(told: Assignment, spec: Mapping[str, Any], room: str) -> Fence:
    """Return a session's fence without what only a session needs."""
    disk = RealDisk()
    common = _common(spec["tree"])
    folders = GitFolders(common, os.path.join(os.path.dirname(spec["tree"]), _GIT))
    ours = (os.path.dirname(os.path.dirname(attractor.__file__)), sys.prefix, sys.base_prefix)
    # Without a cache or a login, as in a rehearsal, and without branches of its own.
    blank = replace(told, base_url=_NOBODY)
    fence = fence_for(blank, folders, os.environ, disk, needed=ours, private=False)
    rules = {
        path: Rule(Access.READ) if _is_in(path, (common, folders.own)) and _writes(rule) else rule
        for path, rule in fence.rules.items()
    }
    if not told.rehearsed and os.environ.get("HOME"):
        for number, (place, _) in enumerate(places.caches(told, os.environ, disk)):
            source = os.path.join(room, "caches", str(number))
            with storage_errors("make", source):
                os.makedirs(source, mode=0o700)
            rules[disk.real(place)] = Rule(Access.WRITE, source)
    return Fence(rules)


def _writes(rule: Rule) -> bool:
    return rule.access is Access.WRITE


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path == each or path.startswith(f"{each}{os.sep}") for each in folders)


def _common(tree: str) -> str:
    """Return the repository's own folder, as the tree's git folder of ours says."""
    with open(os.path.join(os.path.dirname(tree), _GIT, "commondir"), "rb") as file:
        return os.path.realpath(os.fsdecode(file.read()).removesuffix("\n"))


def _clear(room: str) -> None:
    if os.path.isdir(room) and not os.path.islink(room):
        shutil.rmtree(room, ignore_errors=True)  # what is left goes with the tree


def main(path: str) -> None:
    """Answer the question in a file."""
    with open(path, "rb") as file:
        spec = json.load(file)
    try:
        said = run(spec, SystemClock())
    except (AttractorError, OSError, KeyError, TypeError, ValueError) as error:
        answer = checks.Answer("error", tail=str(error))
        said = {**answer._asdict(), "seconds": 0.0, "blindness": ""}
    atomic.replace(spec["out"], json.dumps(said).encode())


if __name__ == "__main__":
    main(sys.argv[1])
