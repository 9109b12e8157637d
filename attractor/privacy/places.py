"""What is usual in a file, told by its path alone: lock files hold hashes, tests hold examples."""

from __future__ import annotations

import enum
import posixpath
import re
from typing import Final, final


@final
class Usual(enum.Enum):
    """What kind of text a file is likely to hold."""

    WORK = "work"
    EXAMPLES = "examples"  # tests, fixtures, documents: made-up values belong there
    HASHES = "hashes"  # lock files: each line looks random


_EXAMPLES: Final = re.compile(
    r"(^|/)(tests?|testing|spec|specs|__tests__|fixtures?|testdata|examples?|samples?|docs?|e2e)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|[^/]*\.(test|spec)|conftest)\.\w+$"
    r"|\.(md|rst|adoc)$",
    re.IGNORECASE,
)
_LOCKS: Final = frozenset(
    {
        "cargo.lock",
        "cartfile.resolved",
        "composer.lock",
        "flake.lock",
        "gemfile.lock",
        "go.sum",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "package.resolved",
        "packages.lock.json",
        "pdm.lock",
        "pipfile.lock",
        "pnpm-lock.yaml",
        "podfile.lock",
        "poetry.lock",
        "uv.lock",
        "yarn.lock",
    }
)


def of(path: str) -> Usual:
    """Return what is usual in the file of this name."""
    if posixpath.basename(path).lower() in _LOCKS:
        return Usual.HASHES
    return Usual.EXAMPLES if _EXAMPLES.search(path) else Usual.WORK
