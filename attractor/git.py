"""Git, as our processes ask it: no program of a judged tree runs, and nothing asks or waits.

Which repository is meant is always said (`GIT_DIR`, `GIT_WORK_TREE`) and never found by looking at
the tree that an agent writes. The environment is made from nothing. Hooks, file system monitors
and pagers are off, replaced objects and grafts are not followed, and nothing is fetched. What one
command alone could start (external diffs, text converters, a git inside a submodule), its caller
switches off. Every call has a deadline and bounded output.

Trusted are the user's own settings: the system's, the user's and the repository's. A filter that
they name (such as that of Git LFS) runs when a file is written or compared, on files that an agent
wrote. A named pipe with the name of an attributes or ignore file holds git up until the deadline.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import InputError, ToolError
from attractor.spawn import Ended, run_to_end

OLDEST: Final = (2, 32)
"""Since then git follows no link that is called `.gitattributes` or `.gitignore`."""

SECONDS: Final = 15.0
MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_SHOWN: Final = 500
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_SETTINGS: Final = (
    "advice.graftFileDeprecated=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.pager=cat",
    "core.askPass=",
    "core.bigFileThreshold=16m",
    "core.quotePath=true",
    "credential.helper=",
    "gc.auto=0",
    "log.showSignature=false",
    "maintenance.auto=false",
    "status.submoduleSummary=false",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
)
_ARGV: Final = ["git", "--no-pager", *(word for each in _SETTINGS for word in ("-c", each))]
_FIXED: Final = {
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_ASKPASS": "",
    "GIT_COMMITTER_EMAIL": "attractor@localhost",  # for the log of a branch that is moved
    "GIT_COMMITTER_NAME": "Attractor",
    "GIT_EDITOR": "false",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_KEPT: Final = ("HOME", "XDG_CONFIG_HOME", "DEVELOPER_DIR")


def is_commit_id(text: str) -> bool:
    """Say whether this is a whole id, as git writes it."""
    return _COMMIT.fullmatch(text) is not None


@final
@dataclass(frozen=True, slots=True)
class Git:
    """One repository, seen from one of its git folders; with a tree, that tree's files as well."""

    git_dir: str
    common: str
    """The folder that all worktrees share."""
    work_tree: str = ""
    lock: int | None = None
    """A locked file that each call inherits."""
    seconds: float = SECONDS

    def ask(self, *words: str, stdin: bytes = b"") -> bytes:
        """Return what git says; ToolError where it does not succeed, with its own words."""
        return _checked(self.answer(*words, stdin=stdin), words, self.seconds)

    def text(self, *words: str) -> str:
        """Return one answer without the end of its line."""
        return os.fsdecode(self.ask(*words)).removesuffix("\n")

    def answer(self, *words: str, stdin: bytes = b"") -> Ended:
        """Return how git ended; for questions to which failing is an answer."""
        places = {"GIT_DIR": self.git_dir, "GIT_COMMON_DIR": self.common}
        if self.work_tree:
            places["GIT_WORK_TREE"] = self.work_tree
        env = _environment() | places
        return _run(words, env, "/", self.seconds, stdin, self.lock)

    def commit(self, name: str) -> str:
        """Return the id of the commit that this name or id stands for; empty if there is none."""
        if not name or any(each in name for each in "\n\0"):
            return ""
        said = self.ask("cat-file", "--batch-check", stdin=os.fsencode(f"{name}^{{commit}}\n"))
        found = said.split(b" ", 1)[0].decode("ascii", "replace")
        return found if is_commit_id(found) else ""

    def branch(self, name: str) -> str:
        """Return the commit of a branch; empty if there is no such branch."""
        return self.commit(f"refs/heads/{name}")

    def count(self, of: str, without: str) -> int:
        """Return how many commits one has that the other has not."""
        return int(self.ask("rev-list", "--count", of, f"^{without}", "--"))

    def holds(self, commit: str, base: str) -> bool:
        """Say whether a commit has the base in its past, or is the base."""
        return self.ask("rev-list", "--max-count=1", base, f"^{commit}", "--") == b""


def repository(project: str, lock: int | None = None) -> Git:
    """Return the repository whose main files are in `project`; InputError where there is none.

    Asked from inside the project, which is trusted; afterwards nothing is looked for any more.
    """
    if not os.path.isdir(project):
        raise InputError("there is no such folder", where=project, fix="check the path")
    kind, _, common = _found(project, "--is-bare-repository", "--git-common-dir").partition("\n")
    common = os.path.realpath(os.path.join(project, common))
    git_dir = os.path.realpath(os.path.join(project, _found(project, "--git-dir")))
    if kind == "true":
        fix = f"make a checkout of it and start there: git -C {project} worktree add FOLDER BRANCH"
        raise InputError("this is a bare repository, without files", where=project, fix=fix)
    top = _found(project, "--show-toplevel")
    if not (os.path.isdir(top) and os.path.samefile(top, project)):
        raise InputError("this is not the top of its checkout", where=project, fix=f"use {top}")
    return Git(git_dir, common, os.path.realpath(project), lock)


def _found(project: str, *words: str) -> str:
    ended = _run(("rev-parse", *words), _environment(), project, SECONDS, b"", None)
    if ended.status == 0:
        return os.fsdecode(ended.stdout).removesuffix("\n")
    if "not a git repository" in ended.stderr:
        fix = "make it one (git init; git add -A; git commit), or start in the folder that is one"
        raise InputError("this is not a git repository", where=project, fix=fix)
    if "must be run in a work tree" in ended.stderr:
        fix = "start in the folder above, where the files are"
        raise InputError("this is inside of a .git folder", where=project, fix=fix)
    raise _failure(ended, words, SECONDS, project)


def _environment() -> dict[str, str]:
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": os.pathsep.join(folders), **kept, **_FIXED}


def _run(
    words: tuple[str, ...],
    env: dict[str, str],
    cwd: str,
    seconds: float,
    stdin: bytes,
    lock: int | None,
) -> Ended:
    return run_to_end(
        [*_ARGV, *words],
        timeout_seconds=seconds,
        stdin=stdin,
        cwd=cwd,
        env=env,
        max_output_bytes=MOST_BYTES,
        lock=lock,
    )


def _checked(ended: Ended, words: tuple[str, ...], seconds: float) -> bytes:
    if ended.status == 0 and not ended.overflowed:
        return ended.stdout
    raise _failure(ended, words, seconds)


def _failure(ended: Ended, words: tuple[str, ...], seconds: float, where: str = "") -> ToolError:
    if ended.overflowed:
        how = f"wrote more than {MOST_BYTES} bytes"
    elif ended.status is None:
        how = f"did not end within {seconds:g} seconds"
    else:
        how = f"ended with status {ended.status}: {ended.stderr or 'it said nothing'}"
    fix = f"the command was: {shlex.join(['git', *words])[:_MOST_SHOWN]}"
    return ToolError(f"git {words[0]} {how}", where=where, fix=fix)
