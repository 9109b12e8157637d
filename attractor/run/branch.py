"""What the branches of a run are called.

A node's work is on `attractor/RUN/NODE`, and what was validated is merged into
`attractor/RUN/integration`. (A plain `attractor/RUN` cannot exist beside them: to git a branch is a
file, and the folder of the nodes' branches has that name.) A name from outside becomes exactly one
part that git accepts, different names become different parts even where case is ignored, and no
node's branch is the integration branch. Pure: no branch need exist.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from attractor.run.layout import escape

HOME: Final = "attractor"
"""The folder of all our branches; no branch can have this name."""
_INTEGRATION: Final = "integration"
# A ref is a file too, and git writes `NAME.lock` beside it.
_LONGEST: Final = 200


def integration_branch(run_id: str) -> str:
    """Return the branch that collects the run's validated work."""
    return f"{run_folder(run_id)}/{_INTEGRATION}"


def node_branch(run_id: str, node_id: str) -> str:
    """Return the branch of one node's work."""
    return f"{run_folder(run_id)}/{_part(node_id)}"


def kept_ref(run_id: str, node_id: str, attempt: int) -> str:
    """Return the ref that keeps what a tool node's command has committed; it is no branch.

    It is one level deeper than branches are: to git `attractor/RUN/NAME` never means this one.
    """
    return f"refs/{run_folder(run_id)}/{_part(node_id)}/{attempt}"


def run_folder(run_id: str) -> str:
    """Return what all branches of a run begin with, before the last slash."""
    return f"{HOME}/{_part(run_id)}"


def taken(branch: str, base: str, commit_of: Callable[[str], str]) -> tuple[str, str] | None:
    """Return why this branch cannot be made at the base, and what to do; None if it can.

    `commit_of` says where a branch stands, and nothing for one that there is not.
    """
    for name in (HOME, os.path.dirname(branch)):
        if commit_of(name):
            return f"the branch {name} leaves no room for {branch}", f"git branch -m {name} NAME"
    if commit_of(branch) not in ("", base):
        fix = f"rename it, if it is worth keeping: git branch -m {branch} NAME"
        return f"the branch {branch} is there, and is not ours", fix
    return None


def _part(name: str) -> str:
    # Git refuses `..`, a dot at the end and `.lock`; a `%` in a name became `%25` already.
    text = escape(name).replace(".", "%2e")
    if text == _INTEGRATION:
        return f"%{ord(text[0]):02x}{text[1:]}"
    if len(text) > _LONGEST:
        import hashlib  # for such names only, as in `escape`

        return f"{text[:100]}%%{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return text
