"""A rubric's files as they are, and whether they still are what they were.

`read` takes all of a folder or nothing: what is no plain file, and what is too much, is an
InputError. Whoever is to judge by a sealed rubric reads it once, compares these bytes, and makes
the rubric from the same bytes; a file that is changed meanwhile then changes nothing. Names that
begin with a dot are passed by: no rubric has them, and systems and editors leave them anywhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Final

from attractor.digest import sha256
from attractor.errors import InputError

MOST_FILES: Final = 500
MOST_BYTES: Final = 16 * 1024 * 1024
_DEEPEST: Final = 4


def read(folder: str) -> dict[str, bytes]:
    """Return the content of every file below this folder, by its name from there."""
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    for name in _names(folder, "", _DEEPEST):
        path = os.path.join(folder, name)
        if len(found) == MOST_FILES:
            raise _too_much(folder, f"more than {MOST_FILES} files")
        found[name] = _content(path, left)
        left -= len(found[name])
        if left < 0:
            raise _too_much(folder, f"more than {MOST_BYTES // 2**20} MiB")
    return found


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the seal of these files: the SHA-256 of each."""
    return {name: sha256(files[name]).hexdigest() for name in sorted(files)}


def differences(sealed: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return what is not as it was sealed, one sentence a file; empty when all is."""
    said = [
        (name, "is missing" if name not in found else "was changed")
        for name in sealed
        if found.get(name) != sealed[name]
    ]
    said += [(name, "was added") for name in found if name not in sealed]
    return [f"{name} {what}" for name, what in sorted(said)]


def check(folder: str, sealed: Mapping[str, str]) -> list[str]:
    """Return what in this folder is not as it was sealed, also where it cannot be read."""
    try:
        return differences(sealed, hashes(read(folder)))
    except InputError as error:
        return [f"{error.where}: {error.problem}"]


def _names(folder: str, inside: str, depth: int) -> Iterator[str]:
    path = os.path.join(folder, inside)
    try:
        with os.scandir(path) as entries:
            kinds = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError as error:
        raise _unreadable(path.rstrip(os.sep), error) from None
    for name, is_folder in kinds:
        if not is_folder:
            yield os.path.join(inside, name)
        elif depth:
            yield from _names(folder, os.path.join(inside, name), depth - 1)
        else:
            raise _too_much(folder, "folders inside of folders")


def _content(path: str, most: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(most + 1)
    except OSError as error:
        if not os.path.islink(path):
            raise _unreadable(path, error) from None
    fix = "put the file itself there: a rubric stands alone"
    raise InputError("this is no plain file", where=path, fix=fix)


def _unreadable(path: str, error: OSError) -> InputError:
    fix = "check the path, and that you may read it"
    return InputError(f"cannot be read: {error.strerror}", where=path, fix=fix)


def _too_much(folder: str, what: str) -> InputError:
    fix = "name the folder that holds manifest.yaml, and only what belongs to it"
    return InputError(f"this is no rubric: it has {what}", where=folder, fix=fix)
