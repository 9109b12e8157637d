"""The document of the requirements: where it is, and which criteria it has.

Looked for by the pipeline's `prd_ref`, which is one name and never a path: beside the pipeline, and
in the `docs/` of the project. A document is plain text of bounded size, read as UTF-8.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from attractor.errors import InputError
from attractor.pipeline.graph import Graph
from attractor.rubric.model import criteria_in

MOST_BYTES: Final = 512 * 1024
_ENDINGS: Final = (".md", ".txt")
_NAME: Final = re.compile(r"\w[\w .()+-]{0,99}")  # of one file or folder, and no way out of it


class Prd(NamedTuple):
    """A document that was read."""

    path: str
    text: str
    criteria: tuple[str, ...]


def name_of(graph: Graph, given: str = "") -> str:
    """Return by which name the requirements go: the `prd_ref`, or that of the given document.

    Empty where that is no name for a file.
    """
    said = graph.attrs.get("prd_ref", "").strip()
    name = said or os.path.splitext(os.path.basename(given))[0]
    return name if _NAME.fullmatch(name) else ""


def find(name: str, pipeline: str, project: str, given: str = "") -> str:
    """Return the path of the document; empty where there is none.

    One that is given must be there.
    """
    if given:
        if not os.path.isfile(given):
            raise InputError("there is no such document", where=given, fix="check --prd")
        return os.path.abspath(given)
    places = _places(name, os.path.dirname(os.path.abspath(pipeline)), project) if name else ()
    return next(filter(os.path.isfile, places), "")


def _places(name: str, folder: str, project: str) -> Iterator[str]:
    docs = os.path.join(project, "docs")
    for place in (folder, os.path.join(folder, "prd"), docs, os.path.join(docs, "prd")):
        for ending in _ENDINGS:
            yield os.path.join(place, f"{name}{ending}")


def read(path: str) -> Prd:
    """Return the document; InputError says why it cannot be one."""
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(MOST_BYTES + 1) if plain else b"\0"
    except OSError as error:
        raise _error(f"cannot be read: {error.strerror}", path) from None
    if len(data) > MOST_BYTES:
        raise _error(f"is larger than {MOST_BYTES // 1024} KiB", path)
    if b"\0" in data:
        raise _error("is no plain text", path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(f"is not UTF-8: byte {error.start + 1}", path) from None
    if not text.strip():
        raise _error("is empty", path)
    return Prd(path, text, criteria_in(text))


def _error(problem: str, path: str) -> InputError:
    fix = "name a document of plain text, such as Markdown, with --prd"
    return InputError(f"the document of the requirements {problem}", where=path, fix=fix)
