"""What could lead git elsewhere or make it run a program, and whether it is as it was.

A mark is a digest of one such thing: the files that tie a worktree to its repository, the hooks,
and each setting of the repository that names a program. Two sets of marks are compared by name.
Nothing is followed: what is no plain file of a sane size is a word, not a content. A change is
found, not prevented, and it is not said who made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Mapping
from typing import Final

from attractor.digest import sha256
from attractor.git import Git

_WHOLE: Final = "settings"
_HOOK: Final = "hook"
_SHARED: Final = (_WHOLE, _HOOK)
_MOST_BYTES: Final = 1024 * 1024
_MOST_HOOKS: Final = 200
# Each of these names a program, or a place from which more settings come.
_PROGRAMS: Final = re.compile(
    r"alias\..*|credential\..*|diff\.external|diff\..*\.(command|textconv)|filter\..*"
    r"|gpg\..*|include\..*|includeif\..*|merge\..*\.driver|pager\..*|remote\..*\.(vcs|.*pack)"
    r"|core\.(fsmonitor|hookspath|sshcommand|pager|editor|askpass|gitproxy|attributesfile"
    r"|worktree|alternaterefscommand)|sequence\.editor|interactive\.difffilter|submodule\..*"
    r"|trailer\..*|url\..*|extensions\..*|uploadpack\..*"
)


def marks(
    git: Git, path: str, admin: str, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the marks of a worktree at `path` whose folder in the repository is `admin`."""
    found = {".git of the worktree": digest_of(os.path.join(path, ".git"))}
    for name in ("gitdir", "commondir", "config.worktree"):
        found[f"{name} in {os.path.basename(admin)}"] = digest_of(os.path.join(admin, name))
    hooks = os.path.join(git.common, "hooks")
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(hooks))[:_MOST_HOOKS]:
            if not name.endswith(".sample"):
                found[f"{_HOOK} {shown(os.fsencode(name))}"] = digest_of(os.path.join(hooks, name))
    return found | _settings(git, known or {})


def renewed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the worktree's own marks as they were, and those of the repository as they are."""
    shared = {name: mark for name, mark in now.items() if name.startswith(_SHARED)}
    return {name: mark for name, mark in before.items() if not name.startswith(_SHARED)} | shared


def what_changed(git: Git, path: str, admin: str, known: Mapping[str, str]) -> list[str]:
    """Return the names of the marks that are not what they were."""
    now = marks(git, path, admin, known)
    names = {name for name in now.keys() | known if now.get(name) != known.get(name)}
    return sorted(names - {_WHOLE})  # of the settings only those that name a program count


def _settings(git: Git, known: Mapping[str, str]) -> dict[str, str]:
    path = os.path.join(git.common, "config")
    whole = digest_of(path)
    if known.get(_WHOLE) == whole:
        return {name: mark for name, mark in known.items() if name.startswith(_WHOLE)}
    found = {_WHOLE: whole}
    for line in git.ask("config", "--file", path, "--no-includes", "--list", "-z").split(b"\0"):
        key = line.partition(b"\n")[0]
        name = f"{_WHOLE} {shown(key)}"
        if _PROGRAMS.fullmatch(key.decode("utf-8", "replace").lower()):
            found[name] = sha256(found.get(name, "").encode() + line).hexdigest()
    return found


def shown(name: bytes) -> str:
    """Return a file's name so that it can be shown on a terminal and on one line."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)[:200]


def digest_of(path: str) -> str:
    """Return a word for what is there now: a plain file's hash, or what it is instead."""
    data = _plain(path)
    return data if isinstance(data, str) else sha256(data).hexdigest()


def text_of(path: str) -> str:
    """Return a short file without the end of its line; empty for anything that is none."""
    data = _plain(path)
    return "" if isinstance(data, str) else os.fsdecode(data).removesuffix("\n")


def _plain(path: str) -> bytes | str:
    """Return what is in a plain file; for anything else the word that says what it is."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return {errno.ENOENT: "absent", errno.ELOOP: "a link"}.get(error.errno or 0, "unreadable")
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return "a folder" if stat.S_ISDIR(mode) else "no plain file"
        data = os.read(fd, _MOST_BYTES + 1)
    finally:
        os.close(fd)
    return data if len(data) <= _MOST_BYTES else "large"
