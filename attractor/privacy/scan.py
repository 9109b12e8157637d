"""What must not be in a repository, or in a memory: secrets and private data, found by patterns.

The same text gives the same findings; nothing is asked, started or sent. A finding says of which
kind it is and where it stands, and never what it says: `mark` are eight digits of its SHA-256, by
which two of the same value can be recognised. Found are the forms that are known, so a text
without findings may still hold a secret; what is found in tests and documents is only what cannot
well be an example.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from attractor.privacy import personal, places, secret_kinds

MOST: Final = 200
"""How many findings there are at most, of one call."""
_PIECE: Final = 2_000
_OVERLAP: Final = 300
_MARK: Final = 8
_SPACES: Final = re.compile(r"\s{2,}")

Line = tuple[int, str]


@final
@dataclass(frozen=True, slots=True)
class Found:
    """One thing that should not be there."""

    kind: str
    """A word for programs, such as `token` or `email`."""
    what: str
    """The same for people: "a GitHub token"."""
    path: str
    line: int
    mark: str

    @property
    def problem(self) -> str:
        """Say what it is, without saying it."""
        return f"{self.what} stands here (not shown; its mark is {self.mark})"


def findings(text: str, path: str = "", known: Collection[str] = ()) -> list[Found]:
    """Return what stands in a text; `path` is the file that it is, for what is usual there.

    `known` are e-mail addresses that everybody may see, such as those of a project's authors.
    """
    return scan_files([(path, list(enumerate(text.split("\n"), 1)))], known)


def scan_files(
    files: Iterable[tuple[str, Sequence[Line]]], known: Collection[str] = ()
) -> list[Found]:
    """Return what stands in these lines of these files, in their order, each thing once a line."""
    public = frozenset(each.casefold() for each in known)
    found: dict[Found, None] = {}
    for path, lines in files:
        for number, text in lines:
            for kind, what, value in _in_line(text, path, public):
                found[Found(kind, what, path, number, _mark(value))] = None
                if len(found) >= MOST:
                    return list(found)
    return list(found)


def _in_line(text: str, path: str, public: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    usual = places.of(path)
    # A pattern may take very long on a very long line, and on a run of spaces; what lies across a
    # cut is in the overlap.
    text = _SPACES.sub(" ", text)
    for at in range(0, max(len(text), 1), _PIECE - _OVERLAP):
        piece = text[at : at + _PIECE]
        yield from secret_kinds.in_text(piece, path, usual)
        yield from personal.in_text(piece, usual, public)
        if at + _PIECE >= len(text):
            return


def _mark(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
