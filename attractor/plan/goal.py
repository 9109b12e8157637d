"""What a person wants, in their own words, and the documents that they give with it.

A goal is at least two words; one that is not given is taken from the documents: what stands below
the first heading Goal, else Objective, else Requirements, of any level. A document is plain text in
UTF-8. What is named and cannot be read is an InputError; what is larger than its bound is cut, and
a note says how much was taken. Of a folder the text files are taken in order; a note says what is
left out, but not of hidden files. Nothing is written.
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
HEADINGS: Final = ("Goal", "Objective", "Requirements")
MOST_GOAL: Final = 32_000
MOST_OF_FILE: Final = 128 * 1024
MOST_BYTES: Final = 512 * 1024
MOST_FILES: Final = 100
_MOST_SEEN: Final = 10_000
_FEWEST_WORDS: Final = 2
_FEWEST_SIGNS: Final = 4
_SIGNS: Final = re.compile(r"[\u2e80-\U0003ffff]")  # of scripts that put no spaces between words
_HEADING: Final = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*")
_UNDERLINE: Final = re.compile(r" {0,3}(={2,}|-{2,})\s*")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MOST_NOTES: Final = 100
_FENCE: Final = re.compile(r"\s{0,3}(```|~~~)")
_MADE: Final = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})

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
        file = "put it into a file, and name that with --context"
        raise _wrong(problem, file if given.strip() else "say it with --goal, in fewer words")
    said = _clear(said, ask, len(documents))
    if "\0" in said:
        raise _wrong("the goal has a NUL character in it", "give it as plain text")
    if _shown(said) != said:
        raise _wrong("the goal is not UTF-8", "give it as plain text in UTF-8")
    return Goal(said, documents, tuple(notes))


def is_vague(text: str) -> bool:
    """Say whether this is too short to be a goal: empty, or one word."""
    words = [each for each in text.split() if re.search(r"\w", each)]
    return len(words) < _FEWEST_WORDS and len(_SIGNS.findall(text)) < _FEWEST_SIGNS


def _wrong(problem: str, fix: str) -> UsageError:
    return UsageError(problem, where="--goal", fix=fix)


def _clear(said: str, ask: Ask | None, documents: int) -> str:
    if not is_vague(said):
        return said
    if ask is not None:
        when = f"{said!r:.80} is done" if said else "it is done"
        answer = ask(f"What does it look like when {when}?").strip()
        said = "\n\n".join(filter(None, (said, answer)))
        if answer and not is_vague(said):
            return said
    fix = 'say it in a sentence: attractor plan --goal "A command that greets by name"'
    if said:
        raise _wrong(f"{said!r:.80} does not say what done looks like", fix)
    if not documents:
        raise _wrong("there is no goal", fix)
    *most, last = HEADINGS
    headings = f"{', '.join(most)} or {last}"
    problem = f"there is no goal: in no document there is text below a heading {headings}"
    raise _wrong(f"{problem}; {documents} read", f"{fix}; or write it below `## {HEADINGS[0]}`")


# A goal in a document.


def _from(documents: Sequence[Document]) -> str:
    for heading in HEADINGS:
        for each in documents:
            if found := _section(each.text, heading):
                return found
    return ""


def _section(text: str, wanted: str) -> str:
    """Return what the first heading WANTED that has something below it, has below it.

    It ends with the next heading that is not deeper; comments of HTML are left out.
    """
    title = re.compile(
        rf"[*_]*{wanted.removesuffix('s')}s?[*_]*\s*(?::[*_]*\s*(.*))?", re.IGNORECASE
    )
    lines = text.splitlines()
    headings = [*_headings(lines), (len(lines), len(lines), 0, "")]
    for number, (_, below, level, said) in enumerate(headings):
        if found := title.fullmatch(said):
            end = next(at for at, _, deep, _ in headings[number + 1 :] if deep <= level)
            inside = [found[1] or "", *lines[below:end]]
            section = _COMMENT.sub("", "\n".join(inside)).strip()
            if any(each.strip() and not _HEADING.fullmatch(each) for each in section.splitlines()):
                return section
    return ""


def _headings(lines: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
    """Yield where each begins, where what is below it does, its level, and its text."""
    fenced = False
    for at, line in enumerate(lines):
        fenced ^= bool(_FENCE.match(line))
        if fenced:
            continue
        if heading := _HEADING.fullmatch(line):
            yield at, at + 1, len(heading[1]), heading[2]
        elif (under := _UNDERLINE.fullmatch(line)) and at and _is_alone(lines, at - 1):
            yield at - 1, at + 1, 1 if under[1][0] == "=" else 2, lines[at - 1].strip()


def _is_alone(lines: Sequence[str], at: int) -> bool:
    """Say whether a line is a paragraph of its own, which an underline makes a heading."""
    return bool(lines[at].strip()) and (at == 0 or not lines[at - 1].strip())


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
    more = [f"{len(notes) - _MOST_NOTES} more notes"] if len(notes) > _MOST_NOTES else []
    return tuple(found), [*map(_shown, notes[:_MOST_NOTES]), *more]


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
            notes.append(f"{path}: there is no file in it that is taken")


def _below(folder: str, notes: list[str]) -> Iterator[str]:
    seen = 0

    def refused(error: OSError) -> None:
        if error.filename == folder:
            raise _unreadable(error, folder)
        notes.append(f"{error.filename}: left out: it cannot be read: {error.strerror}")

    for at, folders, names in os.walk(folder, onerror=refused):
        folders[:] = [each for each in sorted(folders) if _is_taken(at, each, notes)]
        for name in sorted(names):
            seen += 1
            if seen > _MOST_SEEN:
                notes.append(f"{folder}: of more than {_MOST_SEEN} files the rest is left out")
                return
            if _is_taken(at, name, notes):
                yield os.path.join(at, name)


def _is_taken(at: str, name: str, notes: list[str]) -> bool:
    """Say whether this is looked at or into; what is left out is told, unless it is hidden."""
    path = os.path.join(at, name)
    if name[0] == ".":
        return False
    if os.path.islink(path):
        why = "it is a link"
    elif os.path.isdir(path):
        why = "by its name it is made, not written; name it to have it" if name in _MADE else ""
    else:
        why = "" if os.path.isfile(path) else "it is no plain file"
    if why:
        notes.append(f"{path}: left out: {why}")
    return not why


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
        raise _unreadable(error, path) from None
    return data, max(facts.st_size, len(data))


def _unreadable(error: OSError, path: str) -> InputError:
    problem = f"the context cannot be read: {error.strerror}"
    return InputError(problem, where=path or "--context", fix="check the path after --context")


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
