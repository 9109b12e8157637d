"""Which paths are the session's: what is hidden from it, what it may see, what it may not change.

Of the places that are listed, the nearest one on the way up from a path decides. Paths are looked
at as they are written and with all links followed. A guess stays: what a program opens by itself
is not asked about here, and what is written with unknown parts is taken to match.
"""

from __future__ import annotations

import sys
from os import path as paths

from runner.hooks.shell_words import PIPE, UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATH_CHARACTERS = 4_096
WILD = frozenset("*?[]{}")
BETWEEN = "=:,@"
ENDS = frozenset(" \t\n'\"`;|&<>()$*?[]{},:\\")


class Places:
    """The places of one session; `home` is what `~` stands for."""

    def __init__(
        self, worktree: str, hidden: list[str], visible: list[str], ours: list[str], home: str
    ) -> None:
        self.worktree = worktree
        self.worktrees = set(both(worktree))
        self.home = home
        self.seen = {each: True for one in (worktree, *visible) for each in both(one)}
        self.seen |= {each: False for one in hidden for each in both(one)}
        self.hidden = [each for each, seen in self.seen.items() if not seen]
        self.ours = {each for one in (*ours, *visible) for each in both(one)}

    def hides(self, path: str) -> bool:
        """Say whether this path, as written, is not the session's to read."""
        for each in upwards(folded(path)):
            if each in self.seen:
                return not self.seen[each]
        return False

    def holds_hidden(self, path: str) -> bool:
        """Say whether a walk down from here comes to what is hidden; in the worktree none does."""
        return not self.within(path) and self.is_above(path)

    def is_above(self, path: str) -> bool:
        """Say whether something hidden lies below this path."""
        start = folded(path).rstrip("/")
        return any(each.startswith(f"{start}/") for each in self.hidden)

    def within(self, path: str) -> bool:
        """Say whether this path lies in the session's worktree."""
        return not self.worktrees.isdisjoint(upwards(folded(path)))

    def protects(self, path: str) -> bool:
        """Say whether nobody in the session may change this path."""
        path = folded(path)
        parts = path.casefold().split("/")
        if ".git" in parts:
            return True
        if parts[-2:-1] == [".claude"] and parts[-1].startswith("settings"):
            return True
        return not self.ours.isdisjoint(upwards(path))

    def reaches(self, pattern: str) -> bool:
        """Say whether a path with globs may stand for something hidden."""
        parts = pattern.split("/")
        first = next(n for n, each in enumerate(parts) if not WILD.isdisjoint(each))
        start = "/".join(parts[:first]) or "/"
        if self.hides(start):
            return True
        if self.holds_hidden(start) and "**" in parts:
            return True
        return any(
            len(parts) >= len(each) and all(map(fits, parts, each))
            for each in (one.split("/") for one in self.hidden)
        ) and not self.is_open(start)

    def is_open(self, folder: str) -> bool:
        """Say whether the session may see this folder and everything in it."""
        near = next((each for each in upwards(folded(folder)) if each in self.seen), "")
        return bool(near) and self.seen[near] and not self.is_above(folder)

    def meant(self, text: str, folder: str) -> list[str]:
        """Return the absolute paths that a text may mean in a folder: as written, and followed."""
        if text == "~" or text.startswith("~/"):
            text = self.home + text[1:]
        path = paths.join(folder, text)
        try:
            return [paths.normpath(path), paths.realpath(path)]
        except ValueError:  # half of a character: no file is called so
            return [paths.normpath(path)]


def both(path: str) -> tuple[str, str]:
    """Return a path of ours as it is written, and with its links followed."""
    return folded(paths.normpath(path)), folded(paths.realpath(path))


def folded(path: str) -> str:
    """Return the path as the filesystem compares it."""
    return path.casefold() if sys.platform == "darwin" else path


def upwards(path: str) -> Iterator[str]:
    """Return the path, and every folder above it."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def fits(pattern: str, name: str) -> bool:
    """Say whether one part of a pattern may stand for this name."""
    wild = [at for at, each in enumerate(pattern) if each in WILD]
    if not wild:
        return pattern == name
    return name.startswith(pattern[: wild[0]]) and name.endswith(pattern[wild[-1] + 1 :])


def pieces(text: str) -> set[str]:
    """Return what in a word may be a path; what is unknown in it becomes a glob."""
    unknown = UNKNOWN in text
    text = text.replace(PIPE, "").replace(UNKNOWN, "*")[:PATH_CHARACTERS]
    parts = {text, text[text.find("/") :] if "/" in text else ""}
    for each in BETWEEN:
        text = text.replace(each, "\n")
    parts.update(text.split("\n"))
    return {each for each in parts if each and each[0] != "-" and (each != "*" or not unknown)}


def is_wild(text: str) -> bool:
    """Say whether a text has globs."""
    return not WILD.isdisjoint(text)


def mentioned(text: str, place: str) -> Iterator[str]:
    """Return the paths in a text that begin with this place."""
    at = text.find(place)
    while at >= 0:
        end = at + len(place)
        while end < len(text) and text[end] not in ENDS:
            end += 1
        if text[at + len(place) : at + len(place) + 1] in ("", "/") or end == at + len(place):
            yield paths.normpath(text[at:end])
        at = text.find(place, end)
