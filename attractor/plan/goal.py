"""What a person wants, in their own words, and the documents that they give with it.

A goal is at least two words; one that is not given is taken from the documents: what stands below
the first `## Goal`, else `## Objective`, else `## Requirements`. A document is plain text in UTF-8.
What is named and cannot be read is an InputError; what is larger than its bound is cut, and a note
says how much was taken. Of a folder the text files are taken in order, hidden ones and what is no
text left out. Nothing is written.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import InputError, UsageError

GOAL_VARIABLE: Final = "ATTRACTOR_GOAL"
CONTEXT_VARIABLE: Final = "ATTRACTOR_CONTEXT"
HEADINGS: Final = ("goal", "objective", "requirements")
MOST_GOAL: Final = 32_000
MOST_OF_FILE: Final = 128 * 1024
MOST_BYTES: Final = 512 * 1024
MOST_FILES: Final = 100
_MOST_SEEN: Final = 10_000
_FEWEST_WORDS: Final = 2
_FEWEST_SIGNS: Final = 4
_SIGNS: Final = re.compile(r"[\u2e80-\U0003ffff]")  # of scripts that put no spaces between words
_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*")
_FENCE: Final = re.compile(r"\s{0,3}(```|~~~)")
_PASSED_BY: Final = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})

Ask = Callable[[str], str]
"""Asks a person one question on the terminal, and returns what they said."""


@final
@dataclass(frozen=True, slots=True)
class Document:
    """One file of the context, as far as it is taken."""

    name: str
    text: str
    size: int
    """Of the whole file, in bytes."""
    taken: int


@final
@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached, and what was given with it."""

    text: str
    documents: tuple[Document, ...] = ()
    notes: tuple[str, ...] = ()
    """What of the context was left out, or cut."""


def read(
    text: str, context: Sequence[str], environ: Mapping[str, str], ask: Ask | None = None
) -> Goal:
    """Return the goal; `ask` is for one that is too short, and None where nobody can be asked."""
    given = text if text.strip() else environ.get(GOAL_VARIABLE, "")
    paths = list(context) or _paths(environ)
    documents, notes = _documents(paths)
    said = given.strip() or _from(documents)
    if len(said) > MOST_GOAL:
        problem = f"the goal has {len(said)} characters, more than {MOST_GOAL}"
        raise InputError(problem, fix="put it into a file, and name that with --context")
    said = _clear(said, ask)
    if "\0" in said:
        raise InputError("the goal has a NUL character in it", fix="give it as plain text")
    if _shown(said) != said:
        raise InputError("the goal is not UTF-8", fix="give it as plain text in UTF-8")
    return Goal(said, documents, tuple(notes))


def is_vague(text: str) -> bool:
    """Say whether this is too short to be a goal: empty, or one word."""
    words = re.findall(r"\w+", text)
    return len(words) < _FEWEST_WORDS and len(_SIGNS.findall(text)) < _FEWEST_SIGNS


def _clear(said: str, ask: Ask | None) -> str:
    if not is_vague(said):
        return said
    if ask is not None:
        about = f" of {said!r:.80}" if said else ""
        answer = ask(f"What does done look like{about}?").strip()
        said = "\n\n".join(filter(None, (said, answer)))
        if answer and not is_vague(said):
            return said
    problem = f"{said!r:.80} does not say what done looks like" if said else "there is no goal"
    fix = 'say it in a sentence: attractor plan --goal "A command that greets by name"'
    raise UsageError(problem, where="--goal", fix=fix)


# A goal in a document.


def _from(documents: Sequence[Document]) -> str:
    for heading in HEADINGS:
        for each in documents:
            if found := _section(each.text, heading):
                return found
    return ""


def _section(text: str, wanted: str) -> str:
    """Return what stands below `## WANTED`, up to the next heading that is not deeper."""
    lines: list[str] = []
    inside = fenced = False
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading and len(heading[1]) <= len("##"):
            if inside and any(each.strip() for each in lines):
                break
            inside, lines = heading[1] == "##" and heading[2].lower() == wanted, []
        elif inside:
            lines.append(line)
    return "\n".join(lines).strip() if inside else ""


# Documents.


def _paths(environ: Mapping[str, str]) -> list[str]:
    said = environ.get(CONTEXT_VARIABLE, "")
    return [each for each in said.split(os.pathsep) if each]


def _documents(paths: Sequence[str]) -> tuple[tuple[Document, ...], list[str]]:
    found: list[Document] = []
    notes: list[str] = []
    seen: set[str] = set()
    left = MOST_BYTES
    for path, is_named in _files(paths, notes):
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        if left <= 0 or len(found) == MOST_FILES:
            bound = f"{MOST_FILES} files or {MOST_BYTES // 1024} KiB"
            notes.append(f"{path}: left out, as is all behind it: more than {bound} are not taken")
            break
        document = _document(path, min(left, MOST_OF_FILE), notes, is_named=is_named)
        if document is not None:
            found.append(document)
            left -= document.taken
    return tuple(found), [*map(_shown, notes)]


def _shown(text: str) -> str:
    """Return a text that can be written, whatever bytes a name or an argument holds."""
    return text.encode(errors="backslashreplace").decode()


def _files(paths: Sequence[str], notes: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield each file, and whether a person named it themselves."""
    for path in paths:
        if not os.path.isdir(path):
            yield path, True
            continue
        count = 0
        for found in _below(path, notes):
            count += 1
            yield found, False
        if not count:
            notes.append(f"{path}: there is no file in it")


def _below(folder: str, notes: list[str]) -> Iterator[str]:
    seen = 0

    def refused(error: OSError) -> None:
        notes.append(f"{error.filename}: cannot be read: {error.strerror}")

    for at, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(n for n in folders if n[0] != "." and n not in _PASSED_BY)
        for name in sorted(names):
            seen += 1
            if seen > _MOST_SEEN:
                notes.append(f"{folder}: of more than {_MOST_SEEN} files the rest is left out")
                return
            path = os.path.join(at, name)
            if name[0] != "." and stat.S_ISREG(os.lstat(path).st_mode):
                yield path


def _document(path: str, most: int, notes: list[str], *, is_named: bool) -> Document | None:
    try:
        data, size = _data(path, most)
        text = _text(data, path, cut=size > len(data))
    except InputError as error:
        if is_named:
            raise
        notes.append(f"{path}: left out: {error.problem}")
        return None
    if not text.strip():
        notes.append(f"{path}: left out: it is empty")
        return None
    if size > len(data):
        notes.append(f"{path}: its first {len(data)} bytes of {size} are taken")
    return Document(_shown(path), text, size, len(data))


def _data(path: str, most: int) -> tuple[bytes, int]:
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                fix = "give a file of plain text, or a folder with such files"
                raise InputError("this is no plain file", where=path, fix=fix)
            data = file.read(most)
    except OSError as error:
        problem = f"the context cannot be read: {error.strerror}"
        fix = "check the path after --context"
        raise InputError(problem, where=path or "--context", fix=fix) from None
    return data, max(facts.st_size, len(data))


def _text(data: bytes, path: str, *, cut: bool) -> str:
    fix = "give a file of plain text, such as Markdown"
    if b"\0" in data:
        raise InputError("this is no plain text", where=path, fix=fix)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The cut may have gone through a character, of four bytes at most.
        if cut and error.start >= len(data) - 3:
            return data[: error.start].decode("utf-8-sig")
        problem = f"this is not UTF-8: byte {error.start + 1}"
        raise InputError(problem, where=path, fix=fix) from None
