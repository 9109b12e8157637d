"""What is merged of work in whose history stands what must not be in a repository.

A key that was committed and then taken out is in none of the files that are merged, and would be
in the history that a person pushes. So each commit that is new to the branch is scanned by itself,
with its message; where one holds what a scan finds, the last state is merged as one commit, on what
both sides have in common. The same work gives the same commit each time, so who was killed can ask
again. The node's own branch stays as it is, on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, final

from attractor.git import Git
from guardian import scanning

_MOST_COMMITS: Final = 200
_WHO: Final = "Attractor <attractor@localhost>"
_MESSAGE: Final = (
    "The work of a node, as one commit\n\n"
    "Its own commits are not merged: a scan finds in them what must not be in a repository."
)


@final
class Packed(NamedTuple):
    """What is merged instead of a commit, and why."""

    commit: str
    why: str
    """Where it is and of which kind, never what it is; empty where it is the commit itself."""


def packed(git: Git, project: str, start: str, commit: str) -> Packed:
    """Return the commit whose history may be merged into where the branch stands."""
    why = _why(git, project, start, commit)
    return Packed(pack(git, start, commit), why) if why else Packed(commit, "")


def pack(git: Git, start: str, commit: str) -> str:
    """Return the state of a commit as one commit, on what it has in common with the branch."""
    common = git.answer("merge-base", start, commit).stdout.decode("ascii", "replace").strip()
    if not common:
        return commit  # git itself says why such histories do not merge
    when = git.text("show", "--no-patch", "--format=%ct", commit, "--")
    tree = git.text("rev-parse", "--verify", f"{commit}^{{tree}}")
    lines = (f"tree {tree}", f"parent {common}")
    people = (f"author {_WHO} {when} +0000", f"committer {_WHO} {when} +0000")
    made = "\n".join((*lines, *people, "", _MESSAGE, ""))
    said = git.ask("hash-object", "-t", "commit", "-w", "--stdin", stdin=made.encode())
    return said.decode("ascii").strip()


def _why(git: Git, project: str, start: str, commit: str) -> str:
    words = ("rev-list", "--parents", f"--max-count={_MOST_COMMITS + 1}")
    lines = git.text(*words, commit, f"^{start}", "--").splitlines()
    if len(lines) > _MOST_COMMITS:
        return f"it has more than {_MOST_COMMITS} commits, which is too many to scan each of them"
    return next(_findings(git, project, start, lines), "")


def _findings(git: Git, project: str, start: str, lines: list[str]) -> Iterator[str]:
    """Say what stands in each of these commits, which are named with their parents."""
    usual = scanning.usual(git, project, start)
    empty = git.ask("hash-object", "-t", "tree", "--stdin").decode("ascii").strip()
    for line in lines:
        made, *parents = line.split()
        # Of a merge, what it adds to the node's own side: what came from the other was scanned.
        if kinds := scanning.kinds(git, parents[0] if parents else empty, made, usual):
            yield f"{', '.join(kinds)} in commit {made:.12}"
