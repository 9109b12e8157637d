"""The code stays small enough to read, and says nothing that it does not mean."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("attractor", "guardian", "runner", "signals")
MODULE_LINES = 500
FUNCTION_LINES = 60
# Written in two parts, so that this file may be searched too.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|NotImplemented" r"Error)\b")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

ROOT = Path(__file__).resolve().parents[2]


def ours(*folders: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_a_module_has_at_most_500_lines() -> None:
    long = {name: text.count("\n") for name, text in ours(*PACKAGES, "bench")}
    assert {name: lines for name, lines in long.items() if lines > MODULE_LINES} == {}


def test_a_function_has_at_most_60_lines() -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for name, text in ours(*PACKAGES, "bench")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [name for name, text in ours(*PACKAGES) if not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [name for name, _ in ours(*PACKAGES) if Path(name).stem in EMPTY_NAMES] == []


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in ours(*PACKAGES, "bench", "docs")
        for match in UNFINISHED.finditer(text)
    ]
    assert found == []


def test_a_broad_except_says_why_or_raises_again() -> None:
    assert [place for name, text in ours(*PACKAGES) for place in _broad(name, text)] == []


def test_the_search_for_broad_excepts_finds_one() -> None:
    bare = "try:\n    f()\nexcept Exception:\n    pass\n"
    assert list(_broad("x", bare)) == ["x:3"]
    assert list(_broad("x", bare.replace("n:", "n:  # f runs other people's code"))) == []
    assert list(_broad("x", bare.replace("pass", "raise"))) == []


def _broad(name: str, text: str) -> Iterator[str]:
    explained = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "BaseException"
        again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if caught in ("Exception", "BaseException") and not again and node.lineno not in explained:
            yield f"{name}:{node.lineno}"


def test_no_test_sleeps() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, text in ours("tests")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]
    assert found == []


def test_no_file_of_ours_asks_for_a_noqa_without_a_reason() -> None:
    bare = re.compile(r"#\s*(?:ruff:\s*)?noqa(?::\s*[A-Z0-9, ]+)?\s*$", re.MULTILINE)
    found = [name for name, text in ours(*PACKAGES, "bench", "tests", "docs") if bare.search(text)]
    assert found == []
