"""Evidence that is checked: a file is hashed, a command is run.

A file's path is taken from the project's folder and must stay inside it, or is absolute. A command
is a line for `/bin/sh -c`, run in the project's folder with no input. Both have a deadline. When a
command has ended, or is late, what is left of its process group is killed. The record of the check
says what was found. It proves what was so when it was made, not that it speaks for the criterion.
"""

from __future__ import annotations

import os
from typing import Any, Final

from attractor.errors import InputError
from attractor.promise.files import regular_file
from attractor.promise.store import Store

DEADLINE_SECONDS: Final = 120.0
MAX_SECONDS: Final = 86_400.0
TAIL_CHARACTERS: Final = 2_000
_CHUNK: Final = 1024 * 1024


def check(
    kind: str, text: str, store: Store, at: str, deadline_seconds: float = DEADLINE_SECONDS
) -> dict[str, Any]:
    """Return the record of a check; evidence that does not hold is an InputError."""
    if kind == "file":
        return _file(text, store, at, deadline_seconds)
    return _command(text, store.project, at, deadline_seconds)


def again(
    criterion: dict[str, Any], store: Store, at: str, seconds: float | None
) -> dict[str, Any]:
    """Check the evidence of a criterion once more; what changed since is an InputError."""
    before = criterion.get("check")
    before = before if isinstance(before, dict) else {}
    kind, text = criterion["evidence_type"], criterion.get("evidence")
    if not isinstance(text, str) or not text:
        raise InputError("the evidence is empty", fix="attach it again with `cs-promise --meet`")
    if seconds is None:
        agreed = before.get("timeout_seconds")
        seconds = DEADLINE_SECONDS
        if isinstance(agreed, int | float) and 0 < agreed <= MAX_SECONDS:
            seconds = float(agreed)
    now = check(kind, text, store, at, seconds)
    if kind == "file" and before.get("sha256") not in (None, now["sha256"]):
        raise InputError(
            "the file is not the one that was attached: its content has changed",
            where=now["path"],
            fix="attach it again with `cs-promise --meet`, if it still shows what it should",
            attached=before["sha256"],
            found=now["sha256"],
        )
    return now


def _file(text: str, store: Store, at: str, seconds: float) -> dict[str, Any]:
    path = _inside(text, store.project)
    import hashlib

    digest, size = hashlib.sha256(), 0
    deadline = store.clock.monotonic() + seconds
    try:
        with regular_file(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if store.clock.monotonic() > deadline:
                    raise InputError(
                        f"the file could not be hashed within {seconds:g} seconds",
                        where=path,
                        fix="give a smaller file, or more time: --timeout SECONDS",
                    )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "evidence of type file is the path of one file that exists"
        raise InputError(f"the evidence cannot be read: {reason}", where=path, fix=fix) from error
    found = {"sha256": digest.hexdigest(), "size": size}
    return {"kind": "file", "path": path, **found, "checked_at": at}


def _inside(text: str, project: str) -> str:
    path = os.path.normpath(os.path.join(project, text))
    if not os.path.isabs(text) and not path.startswith(os.path.join(project, "")):
        raise InputError(
            f"the evidence {text!r} is outside of the project",
            where=project,
            fix="give a path inside the project, or an absolute one",
        )
    return path


def _command(text: str, project: str, at: str, seconds: float) -> dict[str, Any]:
    from attractor.spawn import run_shell

    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise InputError("the command cannot be run: it is not text", fix="write it in UTF-8")
    ran = run_shell(text, timeout_seconds=seconds, cwd=project, tail_characters=TAIL_CHARACTERS)
    record = {
        "kind": "command",
        "exit_code": ran.status,
        "output_tail": ran.tail,
        "timeout_seconds": seconds,
        "checked_at": at,
    }
    if ran.status == 0:
        return record
    problem = (
        f"the command did not end within {seconds:g} seconds and was stopped"
        if ran.status is None
        else f"the command ended with status {ran.status}"
    )
    said = f"; it said last: {ran.tail[-500:].strip()}" if ran.tail.strip() else ""
    raise InputError(
        problem + said,
        where=text,
        fix="only a command that ends with status 0 is evidence; "
        "--timeout SECONDS gives it more time",
        exit_code=ran.status,
        output_tail=ran.tail,
    )
