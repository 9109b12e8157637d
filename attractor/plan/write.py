"""A plan on disk: a whole folder, or none, and never in the place of another.

`.claude/attractor/plans/NAME/` has the pipeline, the requirements, each node's instructions, and
`plan.json`. It is written into a draft beside it and gets its name in one step; a draft that a
killed process left is removed by the next one, an hour later. What was refused lies in
`.claude/attractor/plan.rejected/`, each draft in a folder of its own, with the reasons.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, final

from attractor import draft as drafts
from attractor.errors import InputError
from attractor.plan.model import Fault
from attractor.plan.question import line
from attractor.run.layout import state_folder
from signals import atomic
from signals.atomic import fsync_folder, storage_errors
from signals.clock import Clock

PLAN_FILE: Final = "plan.json"
REASONS: Final = "faults.txt"
_MOST_NAMES: Final = 1_000
_LONGEST: Final = 40
_UNFIT: Final = re.compile(r"[^a-z0-9]+")
_MOST_BYTES: Final = 4 * 1024 * 1024


def plans_folder(project: str) -> str:
    """Return the folder with a project's plans."""
    return os.path.join(state_folder(project), "plans")


def plan_folder(project: str, name: str) -> str:
    """Return the folder of one plan."""
    return os.path.join(plans_folder(project), name)


def project_of_plan(folder: str) -> str:
    """Return the project in which a plan's folder lies; empty where that is no such folder."""
    folder = os.path.realpath(folder)
    project = folder
    while (above := os.path.dirname(project)) != project:
        project = above
        if plan_folder(project, os.path.basename(folder)) == folder:
            return project
    return ""


def rejected_folder(project: str) -> str:
    """Return the folder with what was refused."""
    return os.path.join(state_folder(project), "plan.rejected")


def plain_name(text: str) -> str:
    """Return a name for files, made of a text: small letters, digits and hyphens."""
    name = _UNFIT.sub("-", text.lower()).strip("-")[:_LONGEST].strip("-")
    return name if name[:1].isalpha() else f"plan-{name}".strip("-")[:_LONGEST]


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """Return this name, or the first free one of those with a number behind it."""
    names = (name, *(f"{name}-{number}" for number in range(2, _MOST_NAMES)))
    found = next((each for each in names if not is_taken(each)), "")
    if not found:
        fix = "remove old plans that were never run, or give another name with --name"
        raise InputError(f"there are too many plans called {name}", fix=fix)
    return found


@final
class TakenError(InputError):
    """Something has the name of the plan by now; another name is free."""


def check_place(project: str) -> None:
    """Raise StorageError where no plan could be written; nothing is made for it."""
    for folder in (plans_folder(project), rejected_folder(project)):
        place = folder
        while not os.path.lexists(place):
            place = os.path.dirname(place)
        with storage_errors("write a plan", place):
            if not os.path.isdir(place):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def publish(folder: str, files: Mapping[str, str], known: Mapping[str, Any], clock: Clock) -> None:
    """Make the plan's folder with these files, and what is known of it; TakenError if it exists."""
    with storage_errors("write the plan", folder):
        os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
        try:
            draft = drafts.claim(folder, clock)
        except FileExistsError:
            raise _taken(drafts.draft_of(folder)) from None
    try:
        _fill(draft, {**files, PLAN_FILE: json.dumps(known, indent=2, ensure_ascii=False) + "\n"})
        with storage_errors("write the plan", folder):
            drafts.publish(draft, folder)
    except FileExistsError:
        shutil.rmtree(draft, ignore_errors=True)
        raise _taken(folder) from None
    except BaseException:  # no draft stays behind, and the error goes on
        shutil.rmtree(draft, ignore_errors=True)
        raise


def put_aside(project: str, said: str, files: Mapping[str, str], faults: Sequence[Fault]) -> str:
    """Keep a draft that was refused, under the first number that is free; return its folder."""
    above = rejected_folder(project)
    with storage_errors("keep a refused plan", above):
        os.makedirs(above, mode=0o700, exist_ok=True)
        number = 1
        while os.path.lexists(folder := os.path.join(above, str(number))):
            number += 1
        os.mkdir(folder, mode=0o700)
    reasons = "".join(f"{line(each)}\n" for each in faults)
    _fill(folder, {**files, "draft.json": said, REASONS: reasons})
    return folder


def load(folder: str) -> dict[str, Any]:
    """Return what is known of a plan; InputError where there is none."""
    path = os.path.join(folder, PLAN_FILE)
    fix = "`attractor plan` makes one; give its name, or its folder"
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise InputError(f"there is no plan: {error.strerror}", where=path, fix=fix) from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("plan"), dict):
        raise InputError("this is no plan that was made here", where=path, fix=fix)
    return value


class Origin(NamedTuple):
    """What a pipeline was made from; empty where a person drew it."""

    folder: str = ""
    goal: str = ""


def of_plan(pipeline: str) -> Origin:
    """Return the plan that a pipeline's file belongs to, where it is one's."""
    folder = os.path.dirname(os.path.abspath(pipeline))
    with contextlib.suppress(InputError):
        known = load(folder)
        name = known.get("names", {}).get("plan")
        if os.path.basename(pipeline) == f"{name}.dot":
            return Origin(folder, str(known.get("goal") or ""))
    return Origin()


def _fill(folder: str, files: Mapping[str, str]) -> None:
    with storage_errors("write the plan", folder):
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            atomic.replace(path, text.encode())
        for each in {os.path.dirname(os.path.join(folder, name)) for name in files} | {folder}:
            fsync_folder(each)
            fsync_folder(os.path.dirname(each))


def _taken(where: str) -> TakenError:
    fix = "do the same again: it gets another name"
    return TakenError("a plan of this name is there already", where=where, fix=fix)
