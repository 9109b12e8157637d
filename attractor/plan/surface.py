"""In which parts of the project a node writes. Pure.

A part is the component that a path lies in, the innermost one; without one, the top folder. What
goes with work anywhere is no part of its own: files at the top, documents, and tests, wherever
these are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from attractor.plan.paths import normal
from attractor.project.model import Project

_GOES_WITH: Final = frozenset({"test", "tests", "spec", "specs", "__tests__", "doc", "docs"})


_TEST: Final = re.compile(
    r"test_.*|.*_(?:test|spec)\.\w+|.*\.(?:test|spec)\.\w+|.*Tests?\.(?:java|kt|cs|scala)"
)
_OPEN: Final = re.compile(r"[*?]")


def of(files: Iterable[str], project: Project) -> list[str]:
    """Return the parts that these paths are in, in the order of their names."""
    components = sorted((each.path for each in project.components if each.path != "."), key=len)
    return sorted({part for path in files if (part := _part(path, components))})


def _part(path: str, components: list[str]) -> str:
    whole = normal(path)
    inside = [each for each in components if whole == each or whole.startswith(f"{each}/")]
    if inside:
        return inside[-1]
    *folders, name = whole.split("/")
    if path.endswith("/"):
        folders.append(name)
    fixed = [each.lower() for each in folders if not _OPEN.search(each)]
    if not fixed or _TEST.fullmatch(name) or not _GOES_WITH.isdisjoint(fixed):
        return ""
    return folders[0]
