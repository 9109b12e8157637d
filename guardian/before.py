"""What work began with: the checks and tests of its base, and which files it changed since.

Read from git's objects alone: no checkout is made, and nothing of either commit is run. A link is
not followed, and each file is read up to a limit, all of them together as well.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, final

from attractor.git import Git, repository
from attractor.project.found_checks import (
    FILES,
    MOST_BYTES,
    MOST_FILES,
    Found,
    is_test_name,
    is_there,
    since,
)

_MOST_READ: Final = 4 * 1024 * 1024
_MOST_NAMED: Final = 200
_MOST_NAME: Final = 200
_PLACES: Final = tuple(f":(top,glob){each}" for each in (*FILES, "**/test_*.py", "**/*_test.py"))
_TREE: Final = ("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A")
_DIFF: Final = ("diff-tree", "-r", "-z", "--name-status", "--find-renames", "--no-ext-diff")
_LINKS: Final = ("120000", "160000")
_PAIRED: Final = ("R", "C")
_GONE: Final = "Tests that are no longer there, or no longer have the name of one:"
_ALL: Final = "All files, with A for added, M for modified, D for deleted, R for renamed:"


@final
class Change(NamedTuple):
    """One line of `git diff --name-status`."""

    status: str
    path: str
    to: str = ""
    """The new name, where there is one."""


def checks_since(spec: Mapping[str, Any], commit: str) -> Found:
    """Return the checks of a commit, and those that the base of the task's spec had besides."""
    git = repository(spec["request"]["project"])
    folder = str(spec.get("target_dir") or "")
    now = files_at(git, commit, folder)
    return since(files_at(git, str(spec["base"]), folder), now, is_there)


def files_at(git: Git, commit: str, folder: str) -> dict[str, str]:
    """Return what `found_checks.listing` would of a folder of a commit, and tests at any depth.

    No such commit or folder: nothing. Of too many or too large files the text is empty.
    """
    folder = posixpath.normpath(folder) if folder else "."
    place = f"{commit}^{{tree}}" if folder == "." else f"{commit}:{folder}"
    said = git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", place)
    if said.status != 0:
        return {}
    # What a tree has is what it adds to the empty one; so git looks for the names.
    empty = git.text("hash-object", "-t", "tree", "--stdin")
    tree = said.stdout.decode("ascii", "replace").strip()
    fields = os.fsdecode(git.ask(*_TREE, empty, tree, "--", *_PLACES)).split("\0")
    blobs = {}
    for about, name in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, blob, _ = about.split(" ")
        if mode not in _LINKS:
            blobs[name] = blob
    # What decides which checks there are is read first.
    names = sorted(blobs, key=lambda name: (name not in FILES, name.count("/"), name))
    texts = _texts(git, [blobs[name] for name in names[:MOST_FILES]])
    return {name: texts.get(blobs[name], "") for name in names}


def _texts(git: Git, blobs: list[str]) -> dict[str, str]:
    asked = "".join(f"{each}\n" for each in blobs).encode()
    wanted, room = [], _MOST_READ
    for line in git.ask("cat-file", "--batch-check", stdin=asked).decode().splitlines():
        blob, kind, size = (*line.split(" "), "", "")[:3]
        if kind == "blob" and int(size) <= min(MOST_BYTES, room):
            wanted.append(blob)
            room -= int(size)
    said = git.ask("cat-file", "--batch", stdin="".join(f"{each}\n" for each in wanted).encode())
    texts, at = {}, 0
    for blob in wanted:
        head, _, _ = said[at:].partition(b"\n")
        begin = at + len(head) + 1
        at = begin + int(head.rsplit(b" ", 1)[1])
        texts[blob] = said[begin:at].decode("utf-8", "replace")
        at += 1
    return texts


def told(spec: Mapping[str, Any], commit: str) -> str:
    """Return what a judge is told of the changes since the base of the task's spec."""
    base = str(spec.get("base") or "")
    if not base:
        return ""
    git = repository(spec["request"]["project"])
    said = git.answer(*_DIFF, base, commit, "--")
    if said.status != 0 or said.overflowed:
        return "It could not be listed which files were changed."
    return written(list(read(os.fsdecode(said.stdout))))


def read(listing: str) -> Iterator[Change]:
    """Yield what `git diff --name-status -z` says."""
    fields = iter(listing.split("\0"))
    for status in fields:
        if not status:
            return
        kind = status[:1]
        yield Change(kind, next(fields), next(fields) if kind in _PAIRED else "")


def written(changes: list[Change]) -> str:
    """Return the changes as text, no more than can be read: lost tests come first."""
    lost = [each for each in changes if _loses_a_test(each)]
    # Last, and so left out first, is what says least about the tests.
    ordered = sorted(changes, key=lambda each: (each.status != "D", not _is_about_tests(each)))
    parts = [_GONE, *_lines(lost)] if lost else []
    return "\n".join([*parts, _ALL, *_lines(ordered)]) if changes else ""


def _lines(changes: list[Change]) -> Iterator[str]:
    for each in changes[:_MOST_NAMED]:
        arrow = f" -> {_safe(each.to)}" if each.to else ""
        yield f"{each.status} {_safe(each.path)}{arrow}"
    if len(changes) > _MOST_NAMED:
        yield f"and {len(changes) - _MOST_NAMED} more"


def _safe(name: str) -> str:
    return ascii(name)[1:-1][:_MOST_NAME]


def _loses_a_test(change: Change) -> bool:
    return change.status in ("D", "R") and is_test_name(change.path) and not is_test_name(change.to)


def _is_about_tests(change: Change) -> bool:
    return "test" in change.path.lower()
