"""Which hooks of a project git runs at the commits of a session, and may refuse them.

A session commits as a person does, hooks and all; what it cannot get past fails its attempts. Only
looked for: no hook is run, so nobody knows whether it would refuse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from attractor.errors import AttractorError
from attractor.git import Git, repository
from attractor.run.preflight import Finding

_REFUSE: Final = ("pre-commit", "prepare-commit-msg", "commit-msg")


def refusing(project: str) -> Iterator[Finding]:
    """Yield a note where there are some; a project that cannot be asked has none."""
    try:
        folder = _folder(repository(project), project)
    except AttractorError:
        return  # what is wrong there is said where the repository is looked at
    found = [name for name in _REFUSE if _runs(os.path.join(folder, name))]
    if found:
        problem = f"git runs {' and '.join(found)} at the commits of sessions, too"
        fix = "see that it passes on what is committed, without network or terminal: an attempt"
        fix += " whose commits it refuses fails"
        yield Finding(problem, folder, fix, fatal=False)


def _folder(git: Git, project: str) -> str:
    said = git.answer("config", "--type=path", "--get-all", "core.hooksPath")
    # The last value is the one by which we switch hooks off for ourselves.
    *named, _ = said.stdout.decode("utf-8", "surrogateescape").splitlines() or [""]
    return os.path.join(project, named[-1]) if named else os.path.join(git.common, "hooks")


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
