"""The node's worktree as seen from outside, by git, without believing anything in it.

An agent that is being judged writes the worktree, git's own folder for it (`.git/worktrees/NAME`),
and its branch. So git is never pointed at any of these: the Runner has a git folder of its own in
the run, with its own index and HEAD, whose files are the worktree's. What an agent puts into
`config.worktree`, `commondir`, the worktree's `.git`, or its index (such as marks that hide a
change) is not read. That it was put there is found by comparing with what was noted when the
worktree was made; then the files are not looked at, and the facts say so in `tampered`.

Not seen: changes in ignored files, and in submodules. More than some thousand changed files are
told apart by their names only. Setting GIT_COMMON_DIR alone would not do: git 2.39 reads branches
from where the file `commondir` leads, so our folder has that file, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

from attractor.digest import sha256
from attractor.errors import BusyError, ToolError
from attractor.git import Git, is_commit_id
from runner.marks import shown, text_of, what_changed
from signals import atomic
from signals.atomic import storage_errors
from signals.clock import Clock

LOOK_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.02
_LOCK_SECONDS: Final = 300.0
_MOST_LOOKED_AT: Final = 5_000
_MOST_NAMED: Final = 20
_MOST_STAT: Final = 6_000
_HUGE_BYTES: Final = 64 * 1024 * 1024
_STAT: Final = (
    "diff",
    "--stat=100",
    "--stat-count=40",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--ignore-submodules=all",
)
_STATUS: Final = (
    "status",
    "--porcelain=v1",
    "-z",
    "--no-renames",
    "--untracked-files=all",
    "--ignore-submodules=all",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """One node's worktree, and everything that is needed to look at it from outside."""

    path: str
    branch: str
    base: str
    common: str
    """The repository's `.git`, which all worktrees share."""
    admin: str
    """Git's own folder for this worktree, in `common`; the session writes there."""
    git: str
    """Our own git folder for it."""
    refs: str
    """What a fenced session sees in place of the run's branches; not there without a fence."""
    reflogs: str
    lock: str
    marks: Mapping[str, str]
    adopted: bool = False
    """It was there already."""
    notes: tuple[str, ...] = ()
    """What a person should know about how it was made."""

    @property
    def own_ref(self) -> str:
        """The file of the node's branch as a fenced session writes it."""
        return os.path.join(self.refs, os.path.basename(self.branch))

    @property
    def ref_folder(self) -> str:
        """The folder with the run's branches, which a fenced session must not write."""
        return os.path.join(self.common, "refs", "heads", os.path.dirname(self.branch))

    @property
    def log_folder(self) -> str:
        """The folder with the logs of the run's branches; likewise."""
        return os.path.join(self.common, "logs", "refs", "heads", os.path.dirname(self.branch))

    def seen(self, lock: int | None = None) -> Git:
        """Return the repository with this worktree's files, through our own git folder."""
        return Git(self.git, self.common, self.path, lock, LOOK_SECONDS)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFacts:
    """What a worktree holds."""

    head: str
    """The newest commit of the node's branch; empty if it has no branch any more."""
    commits: int
    """How many it has on top of the base."""
    dirty: bool
    """There are changes that no commit holds, or they cannot be looked at."""
    stat: str
    """What is different from the base, committed or not, in some lines for a reader."""
    fingerprint: str
    """Changes when a commit, a tracked file or a new file that is not ignored does."""
    branch_ok: bool
    """The worktree is on its own branch, and the branch holds the base."""
    tampered: str = ""
    """What leads git, or us, somewhere else; empty while nothing does."""


@contextlib.contextmanager
def alone(path: str, clock: Clock, seconds: float = _LOCK_SECONDS) -> Iterator[int]:
    """Hold the lock of a worktree; also a git that a dead Runner left behind holds it."""
    with storage_errors("take the lock", path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = clock.monotonic() + seconds
        while not _taken(fd):
            if clock.monotonic() >= deadline:
                problem = "another process works on this worktree, and does not end"
                raise BusyError(problem, where=path, fix=f"`fuser {path}` shows which one it is")
            time.sleep(_POLL_SECONDS)
        yield fd
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def opened(worktree: Worktree, clock: Clock) -> Iterator[Git]:
    """Yield the repository as `seen` says, alone."""
    with alone(worktree.lock, clock) as lock:
        git = worktree.seen(lock)
        for name in ("index.lock", "HEAD.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(git.git_dir, name))  # nobody who is alive holds it
        head = os.path.join(git.git_dir, "HEAD")
        atomic.sweep_drafts(head)
        if not is_commit_id(text_of(head)):
            atomic.replace(head, f"{worktree.base}\n".encode())  # else this is no git folder
        yield git


def look(worktree: Worktree, clock: Clock) -> TreeFacts:
    """Return what the worktree holds now; ToolError when git cannot say."""
    with opened(worktree, clock) as git:
        return facts(worktree, git)


def facts(worktree: Worktree, git: Git) -> TreeFacts:
    """Return the same, for who has opened it already."""
    hidden = tampered(worktree, git)
    head, wrong = head_of(worktree, git)
    commits, holds = _distance(git, worktree.base, head)
    branch_ok = holds and text_of(f"{worktree.admin}/HEAD") == f"ref: refs/heads/{worktree.branch}"
    names: list[bytes] = []
    stat = ""
    if not hidden:
        try:
            names = _changes(git, head)
            stat = _stat(git, worktree.base, head, names)
        except _SlowError as slow:
            hidden = str(slow)
    return TreeFacts(
        head=head,
        commits=commits,
        dirty=bool(names or hidden),
        stat=stat,
        fingerprint=_fingerprint(worktree.path, head, names),
        branch_ok=branch_ok,
        tampered="; ".join(filter(None, (hidden, wrong))),
    )


def head_of(worktree: Worktree, git: Git) -> tuple[str, str]:
    """Return the newest commit of the node's branch, and what is wrong with the branch."""
    if os.path.lexists(worktree.own_ref):
        said = text_of(worktree.own_ref)
        found = git.commit(said) if is_commit_id(said) else ""
        return found, "" if found else "the branch that the session writes is no commit"
    name = f"refs/heads/{worktree.branch}"
    head, _, target = git.text("for-each-ref", "--format=%(objectname) %(symref)", name).partition(
        " "
    )
    if target:
        return "", f"the branch {worktree.branch} stands for another one"
    return head, "" if head else f"the branch {worktree.branch} is gone"


def _distance(git: Git, base: str, head: str) -> tuple[int, bool]:
    """Return how many commits are on top of the base, and whether the base is below them."""
    if head in ("", base):
        return 0, bool(head)
    said = git.text("rev-list", "--left-right", "--count", f"{base}...{head}", "--")
    missing, commits = map(int, said.split())
    return commits, missing == 0


def _stand_at(git: Git, head: str) -> None:
    """Let our own index be of this commit; what it knows of files that stay is kept."""
    path = os.path.join(git.git_dir, "HEAD")
    if text_of(path) == head and os.path.exists(f"{git.git_dir}/index"):
        return
    sparse = os.path.exists(f"{git.git_dir}/info/sparse-checkout")
    left_out = git.ask("ls-files", "-t", "-z").split(b"\0") if sparse else []
    if git.answer("read-tree", "-m", head).status != 0:
        git.ask("read-tree", head)  # whatever the index was
    # What a sparse checkout leaves out would look deleted: read-tree does not keep that apart.
    names = b"\0".join(each[2:] for each in left_out if each.startswith(b"S "))
    if names:
        git.answer("update-index", "--skip-worktree", "-z", "--stdin", stdin=names)
    atomic.replace(path, f"{head}\n".encode())


class _SlowError(Exception):
    """Git did not answer in time."""


def _changes(git: Git, head: str) -> list[bytes]:
    """Return each file that is not as in the newest commit, as `XY name`; bounded."""
    if head:
        _stand_at(git, head)
    ended = git.answer(*_STATUS)
    if ended.status is None and not ended.overflowed:
        raise _SlowError(
            f"the files cannot be looked at: git did not answer within {git.seconds:g} seconds"
            " (a named pipe called .gitignore or .gitattributes does this)"
        )
    if ended.status != 0 and not ended.overflowed:
        raise ToolError(
            f"git status ended with status {ended.status}: {ended.stderr}",
            where=git.work_tree,
            fix=f"remove the folder {git.git_dir}, which is made again, then do the same again",
        )
    return ended.stdout.split(b"\0")[:-1]


def _stat(git: Git, base: str, head: str, names: list[bytes]) -> str:
    # Git reads a changed file whole to compare it, so a huge one is named only.
    huge = [each for each in names[:_MOST_LOOKED_AT] if _is_huge(git.work_tree, each)]
    ended = git.answer(*_STAT, base, *([head] if huge and head else []), "--")
    text = ended.stdout.decode("utf-8", "replace")[:_MOST_STAT] if ended.status == 0 else ""
    new = [each for each in names if each.startswith(b"??")]
    lines = [f" {shown(each[3:])} (huge)\n" for each in huge[:_MOST_NAMED]]
    lines += [f" {shown(each[3:])} (not tracked)\n" for each in new[:_MOST_NAMED]]
    if len(new) > _MOST_NAMED:
        lines.append(f" and {len(new) - _MOST_NAMED} more that are not tracked\n")
    return text + "".join(lines)


def _is_huge(folder: str, name: bytes) -> bool:
    try:
        size = os.lstat(os.path.join(os.fsencode(folder), name[3:])).st_size
    except OSError:
        return False
    return size > _HUGE_BYTES and not name.startswith(b"??")


def _fingerprint(path: str, head: str, names: list[bytes]) -> str:
    digest = sha256(head.encode())
    folder = os.fsencode(path)
    for name in names:
        digest.update(b"\0" + name)
    for name in names[:_MOST_LOOKED_AT]:
        try:
            seen = os.lstat(os.path.join(folder, name[3:]))
        except OSError:
            continue  # deleted, which its name says already
        digest.update(f"{seen.st_mode} {seen.st_size} {seen.st_mtime_ns}".encode())
    return digest.hexdigest()


def tampered(worktree: Worktree, git: Git) -> str:
    """Return what leads elsewhere and did not when the worktree was made; empty if nothing does."""
    if os.path.realpath(worktree.path) != worktree.path or not os.path.isdir(worktree.path):
        return "the worktree's folder is gone, or a link"
    names = what_changed(git, worktree.path, worktree.admin, worktree.marks)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    listed = ", ".join(names[:_MOST_NAMED])
    return f"changed since the worktree was made: {listed}{more}" if names else ""
