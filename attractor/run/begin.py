"""A new run on disk: a whole one, or none.

Everything is written into a draft whose name no run can have, the request last; then the draft gets
the run's name in one step, and `current` is led there in another. Killed between the two, the run
is there and is not the current one. A draft that a killed process left behind is removed by the
next, an hour later. Nothing is started, and no branch or worktree is made.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Final

from attractor import draft as drafts
from attractor.errors import InputError
from attractor.git import repository
from attractor.run import request as requests
from attractor.run.hide import hide_ours
from attractor.run.layout import RunLayout, current_run, run_layout
from attractor.run.request import Request
from signals import atomic, sign
from signals.atomic import fsync_folder, storage_errors
from signals.clock import Clock, stamp
from signals.mailbox import Mailbox

SCENARIO: Final = "scenario.yaml"
_LONGEST: Final = 30
_UNFIT: Final = re.compile(r"[^a-z0-9_]+")


def name_run(
    pipeline: str,
    clock: Clock,
    random: Callable[[int], bytes],
    is_taken: Callable[[str], bool],
) -> str:
    """Return a name that no run has: `hello-20261121-140501`, in UTC, and more where it must be."""
    stem = os.path.splitext(os.path.basename(pipeline))[0].lower()
    stem = _UNFIT.sub("-", stem)[:_LONGEST].strip("-") or "run"
    name = f"{stem}-{stamp(clock.wall_ns())[:15].replace('T', '-')}"
    found = name
    while is_taken(found):
        found = f"{name}-{random(2).hex()}"
    return found


def is_run(project: str) -> Callable[[str], bool]:
    """Return what says whether a project has something with the name of a run, or makes it."""

    def taken(name: str) -> bool:
        root = run_layout(project, name).root
        return os.path.lexists(root) or os.path.lexists(drafts.draft_of(root))

    return taken


def begin(
    request: Request,
    text: str,
    clock: Clock,
    *,
    scenario: str = "",
    skills: Mapping[str, bytes] | None = None,
    current: bool = True,
) -> None:
    """Make the run that is asked for, of the pipeline with this text.

    `scenario` is a script's text, kept beside it; the request's own word on it is the caller's.
    `skills` say of nodes how their work is to be done.
    """
    layout = request.layout
    draft = RunLayout(drafts.draft_of(layout.root))
    hide_ours(repository(request.project).common)
    with storage_errors("make the run", layout.root):
        os.makedirs(os.path.dirname(layout.root), mode=0o700, exist_ok=True)
        try:
            drafts.claim(layout.root, clock)
        except FileExistsError:
            raise _taken(draft.root) from None
        os.mkdir(os.path.dirname(draft.node("any")), 0o700)
        os.mkdir(draft.tasks, 0o700)
    try:
        _fill(draft, request, text, scenario, clock)
        _add_skills(draft, skills or {})
        with storage_errors("make the run", layout.root):
            drafts.publish(draft.root, layout.root)
    except FileExistsError:
        shutil.rmtree(draft.root, ignore_errors=True)
        raise _taken(layout.root) from None
    except BaseException:  # no draft stays behind, and the error goes on
        shutil.rmtree(draft.root, ignore_errors=True)
        raise
    if current:
        lead(current_run(request.project), layout.root)


def lead(link: str, root: str) -> None:
    """Lead the symbolic link `current` to a run, in one step; what is no link is left alone."""
    folder, name = os.path.split(link)
    draft = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    if os.path.lexists(link) and not os.path.islink(link):
        return
    with storage_errors("lead `current` to the run", link):
        os.symlink(os.path.relpath(root, folder), draft)
        try:
            os.rename(draft, link)
        except OSError:
            os.unlink(draft)
            raise
        fsync_folder(folder)


def _fill(draft: RunLayout, request: Request, text: str, scenario: str, clock: Clock) -> None:
    atomic.replace(draft.dot, text.encode())
    sign.write_key(draft.key, sign.new_key())
    for folder in (draft.guardian_mailbox, draft.terminal_mailbox):
        Mailbox(folder, clock=clock).create()
    if scenario:
        atomic.replace(os.path.join(draft.root, SCENARIO), scenario.encode())
    atomic.replace(draft.request, requests.dump(request))


def _add_skills(draft: RunLayout, skills: Mapping[str, bytes]) -> None:
    for node, data in skills.items():
        path = draft.skill(node)
        with storage_errors("make the run", path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        atomic.replace(path, data)


def _taken(root: str) -> InputError:
    fix = "do the same again: it gets another name"
    return InputError("a run of this name is there already", where=root, fix=fix)
