"""How the nodes of a pipeline are to be done, where it says so: `skill_file`, read beside it.

Such a file is named from the pipeline's folder and lies inside it: plain text of bounded size. What
is none of that is told as a finding, and the run is refused. Nothing is written.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from attractor.pipeline.graph import Graph
from attractor.run.preflight import Finding

ATTRIBUTE: Final = "skill_file"
MOST_BYTES: Final = 64 * 1024


def read(pipeline: str, graph: Graph) -> tuple[dict[str, bytes], list[Finding]]:
    """Return the files by the id of their node, and what is wrong with the others."""
    folder = os.path.dirname(os.path.abspath(pipeline))
    found: dict[str, bytes] = {}
    findings: list[Finding] = []
    for node in graph.nodes.values():
        if name := node.attrs.get(ATTRIBUTE, "").strip():
            said = _read(folder, name)
            if isinstance(said, bytes):
                found[str(node.id)] = said
            else:
                fix = f"correct the {ATTRIBUTE}, or take it away"
                problem = f"the {ATTRIBUTE} of {node.id} {said}"
                findings.append(Finding(problem, os.path.join(folder, name), fix))
    return found, findings


def _read(folder: str, name: str) -> bytes | str:
    """Return what is in the file, or why it does not count."""
    if "\0" in name or os.path.isabs(name) or not _is_inside(folder, name):
        return "leads out of the pipeline's folder"
    try:
        data = _bytes(os.path.join(folder, name))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if data is None:
        return "is no plain file"
    if len(data) > MOST_BYTES:
        return f"is larger than {MOST_BYTES // 1024} KiB"
    return data if _is_text(data) else "is no plain text"


def _bytes(path: str) -> bytes | None:
    """Return what is in a file, one byte more than may be at most; None for what is no file."""
    # Not blocking: a named pipe without a writer must not hang us.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(MOST_BYTES + 1)
    finally:
        os.close(fd)


def _is_inside(folder: str, name: str) -> bool:
    real, root = os.path.realpath(os.path.join(folder, name)), os.path.realpath(folder)
    return os.path.commonpath([real, root]) == root


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
