"""Reads the arguments of the cs-* commands as the originals do, from a table.

An option takes as many words as the table says, whatever they begin with; only the exact name of
another option is not taken for a value. Unknown options, missing
words and leftover words are errors before anything is done. argparse would cost more than the
whole command, and refuses evidence that begins with a dash.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple, NoReturn, TextIO

from attractor.errors import AttractorError, InputError, UsageError


class Given(NamedTuple):
    """The options of one call."""

    values: dict[str, list[str]]
    """Every option that was given, with its words in order."""

    def has(self, option: str) -> bool:
        return option in self.values

    def one(self, option: str, default: str = "") -> str:
        """Return the option's last word, as the original does."""
        return self.values[option][-1] if self.values.get(option) else default

    def seconds(self, option: str) -> float | None:
        """Return a number of seconds above zero; None if the option was not given."""
        if not self.has(option):
            return None
        try:
            found = float(self.one(option))
        except ValueError:
            found = 0.0
        if not 0 < found <= 86_400:  # noqa: PLR2004  # a day; also refuses inf and nan
            raise InputError(
                f"{option} {self.one(option)!r} is not a number of seconds",
                fix="give a number above 0 and up to 86400",
            )
        return found


ALIASES = {"-v": "--verbose", "-h": "--help", "--task_id": "--task-id"}


def parse(table: dict[str, int], words: list[str]) -> Given:
    """Return the options; `table` says how many words each takes."""
    values: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        joined = bool(name in table and table[name] and equals)
        if joined:
            rest.insert(0, value)
        elif equals or ALIASES.get(word, word) not in table:
            raise _unknown(table, word)
        else:
            name = ALIASES.get(word, word)
        taken = rest[: table[name]]
        if len(taken) < table[name] or any(each in table for each in taken[joined:]):
            fix = f"see --help; a value that is itself an option's name is given as {name}=VALUE"
            raise UsageError(f"{name} needs {_words(table[name])}", fix=fix)
        values.setdefault(name, []).extend(taken)
        del rest[: table[name]]
    for given in values.values():
        for text in given:
            if any("\ud800" <= each <= "\udfff" for each in text):
                raise InputError(f"not UTF-8: {text!r}", fix="write it in UTF-8")
    return Given(values)


def _words(count: int) -> str:
    return "a word after it" if count == 1 else f"{count} words after it"


def _unknown(table: dict[str, int], word: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(word.partition("=")[0], table, n=1)
    fix = f"did you mean {near[0]}?" if near else "see --help"
    kind = "unknown option" if word.startswith("-") else "unexpected word"
    return UsageError(f"{kind} {word!r}", fix=fix)


def one_of(given: Given, modes: tuple[str, ...]) -> str:
    """Return which of several options was given; none or two is wrong usage."""
    found = [mode for mode in modes if given.has(mode)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError("nothing was asked for", fix=f"give one of {', '.join(modes)}")
    raise UsageError(f"{' and '.join(found)} cannot be asked for at once", fix="give one of them")


def say(given: Given, value: object, lines: list[str]) -> None:
    """Print a result: one JSON document under `--json`, else the lines."""
    if given.has("--json"):
        print_json(value)
    elif lines:
        print("\n".join(lines).rstrip("\n"))  # noqa: T201  # the result, for a person


def print_json(value: object) -> None:
    """Print one JSON document to stdout."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201  # the result


def note(text: str) -> None:
    """Tell something that is not the result, on stderr."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # stderr is for notes
    except OSError:
        drop(sys.stderr)


def fail(error: AttractorError, words: list[str]) -> NoReturn:
    """End with this error. Every error is status 1, as in the original; 2 is `--check`'s no."""
    note(f"error: {error}")
    try:
        if "--json" in words:
            print_json(error.as_json())
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)
    sys.exit(1)


def drop(stream: TextIO) -> None:
    """Give up a stream that nobody can read: what is still buffered must not fail once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
