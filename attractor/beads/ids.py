"""The names of beads: how a new one is made, and which one a person means. Pure.

An id is `prefix-` and 3 to 8 characters of base36 from a hash; longer the more beads there are, so
that two worktrees rarely make the same one. A child is named after its parent: `at-x3f.1`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Final

from attractor.errors import InputError

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NONCES: Final = 10
_LENGTHS: Final = range(3, 9)
# Up to this many beads the hash has that many characters.
_ROOM: Final = ((50, 3), (500, 4), (1500, 5), (5000, 6), (15000, 7))
_MAX_DEPTH: Final = 3
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def check_prefix(prefix: str) -> str:
    """Return a prefix that ids can begin with."""
    prefix = prefix.rstrip("-")
    if not _PREFIX.fullmatch(prefix):
        raise InputError(
            f"{prefix!r} cannot be the prefix of ids",
            fix="use at most 40 letters, digits, - and _, beginning with a letter or digit",
        )
    return prefix


def check_id(word: str, prefix: str, *, force: bool = False) -> str:
    """Return an id that a person chose; bd refuses a file that mixes prefixes."""
    if not _NAME.fullmatch(word):
        raise InputError(f"{word!r} cannot be an id", fix="use letters, digits, -, _ and .")
    if not force and not word.startswith(f"{prefix}-"):
        raise InputError(
            f"the id {word!r} has not this project's prefix",
            fix=f"begin it with {prefix}- or add --force",
        )
    return word


def new_id(prefix: str, seed: str, taken: Collection[str]) -> str:
    """Return a free id; the same seed gives the same id. The seed should hold text and time."""
    wanted = next((length for room, length in _ROOM if len(taken) <= room), _LENGTHS[-1])
    for length in _LENGTHS[wanted - _LENGTHS[0] :]:
        for nonce in range(_NONCES):
            digest = hashlib.sha256(f"{seed}|{nonce}".encode()).digest()
            name = f"{prefix}-{_base36(int.from_bytes(digest[:8], 'big'), length)}"
            if name not in taken:
                return name
    raise InputError("no free id was found", fix="do the same again, or choose one with --id")


def _base36(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def child_id(parent: str, taken: Collection[str]) -> str:
    """Return the id after the highest child of this parent."""
    start = f"{parent}."
    tails = (each[len(start) :] for each in taken if each.startswith(start))
    numbers = [int(tail) for tail in tails if tail.isascii() and tail.isdigit()]
    name = f"{start}{max(numbers, default=0) + 1}"
    if depth(name) > _MAX_DEPTH:
        raise InputError(
            f"{parent} is already {_MAX_DEPTH} levels deep",
            fix="make it without --parent, and connect it with `dep add NEW PARENT`",
        )
    return name


def depth(name: str) -> int:
    """Return how many numbered levels an id has."""
    return len(re.findall(r"\.\d+(?=\.|$)", name))


def resolve(word: str, known: Collection[str]) -> str:
    """Return the one bead that a word means: its id, or an unmistakable beginning of it.

    The part after the prefix is enough. InputError: nothing, or more than one, is meant.
    """
    if word in known:
        return word
    found = [each for each in known if word and _begins(each, word)]
    exact = [each for each in found if each.rpartition("-")[2] == word]
    found = exact or found
    found = [each for each in found if not any(each.startswith(f"{top}.") for top in found)]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")  # noqa: PLR2004 - what fits a line
        raise InputError(f"{word!r} may mean {len(found)} issues: {shown}", fix="give more of it")
    raise _unknown(word, known)


def _begins(name: str, word: str) -> bool:
    return name.startswith(word) or name.rpartition("-")[2].startswith(word)


def _unknown(word: str, known: Collection[str]) -> InputError:
    import difflib  # only for a typing error

    near = difflib.get_close_matches(word, known, n=3)
    near = near or [each for each in known if each.endswith(f"-{word[-3:]}")][:3]
    fix = f"did you mean {' or '.join(near)}?" if near else "`attractor bd list --all` shows all"
    return InputError(f"issue not found: {word}", fix=fix)
