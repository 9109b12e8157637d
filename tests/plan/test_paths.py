"""Whether two paths of a plan could be the same file."""

from __future__ import annotations

import re
from itertools import product
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.plan import paths, surface
from attractor.project.model import Component, Project


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "./src//a.py", True),
        ("src/a.py", "src/x/../a.py", True),
        ("src/a.py", "SRC/A.py", True),
        ("src", "src/a.py", True),
        ("src/", "src/deep/a.py", True),
        ("src/a", "src/ab", False),
        ("src/a.py", "src/b.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.ts", False),
        ("src/*.py", "src/deep/a.py", False),
        ("src/*", "src/deep/a.py", True),
        ("src/**", "src/deep/a.py", True),
        ("**/a.py", "src/deep/a.py", True),
        ("**/a.py", "src/deep/b.py", False),
        ("src/**/a.py", "src/a.py", True),
        ("a*c", "ab*", True),
        ("a*c", "b*c", False),
        ("test_*.py", "*_test.py", True),
        ("*.py", "*.ts", False),
        ("?.py", "ab.py", False),
        ("app/[id]/page.tsx", "app/[slug]/page.tsx", False),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("src/[ab].py", "src/a.py", True),
        ("src/[ab].py", "src/c.py", False),
        ("src/[a-c].py", "src/b.py", True),
        ("", "src/a.py", False),
    ],
)
def test_two_paths_meet_where_both_could_be_one_file(one: str, other: str, meet: bool) -> None:
    assert paths.may_meet(one, other) is meet
    assert paths.may_meet(other, one) is meet


PATTERNS = st.lists(
    st.one_of(
        st.just("**"), st.text("ab*?", min_size=1, max_size=3).filter(lambda t: "**" not in t)
    ),
    min_size=1,
    max_size=3,
).map("/".join)
NAMES = ["".join(each) for n in (1, 2, 3) for each in product("ab", repeat=n)]
FILES = [*NAMES, *("/".join(each) for each in product(NAMES[:6], repeat=2))]


def matches(pattern: str, path: str) -> bool:
    """As git and bash read them, where a folder stands for what is in it."""
    expression = ""
    for part in pattern.split("/"):
        if part == "**":
            expression += "(?:[^/]+/)*"
        else:
            plain = part.replace("*", "[^/]*").replace("?", "[^/]")
            expression += f"(?=[^/]){plain}/"
    return re.match(expression, f"{path}/") is not None


@given(one=PATTERNS, other=PATTERNS)
@settings(max_examples=300)
def test_patterns_that_match_one_file_always_meet(one: str, other: str) -> None:
    common = [each for each in FILES if matches(one, each) and matches(other, each)]
    assert paths.may_meet(one, other) == paths.may_meet(other, one)
    if common:
        assert paths.may_meet(one, other), common[0]


@given(one=PATTERNS, other=PATTERNS)
@settings(max_examples=300)
def test_patterns_of_one_folder_that_meet_match_one_file(one: str, other: str) -> None:
    if "/" in one + other or "**" in (one, other):
        return
    longer = [*NAMES, *("".join(each) for n in (4, 5, 6) for each in product("ab", repeat=n))]
    common = any(matches(one, each) and matches(other, each) for each in longer)
    assert paths.may_meet(one, other) == common


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["src/a.py", "src/deep/b.py"], ["src"]),
        (["src/a.py", "lib/b.py"], ["lib", "src"]),
        (["src/a.py", "tests/test_a.py", "docs/a.md", "README.md"], ["src"]),
        (["cmd/a.go", "internal/a_test.go"], ["cmd"]),
        (["web/a.ts", "server/a.spec.ts"], ["web"]),
        (["api/a.py", "api/tests/test_a.py", "web/x.ts"], ["api", "web"]),
        (["api/worker/a.py"], ["api/worker"]),
        (["src/"], ["src"]),
        (["src/**"], ["src"]),
        (["*.py", "setup.py"], []),
        ([], []),
    ],
)
def test_a_part_is_a_component_or_else_a_top_folder(files: list[str], parts: list[str]) -> None:
    components = tuple(Component(each, each, "python") for each in (".", "api", "api/worker"))
    assert surface.of(files, Project("/p", components=components)) == parts


def test_a_hostile_pattern_is_compared_at_once(plans: SimpleNamespace) -> None:
    long = "*a" * 99 + "b"
    assert not paths.may_meet(long, "a" * 199)
    assert paths.may_meet("**/" * 60 + "x", "a/" * 90 + "x")
