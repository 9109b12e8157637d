"""The papers say what is: links lead somewhere, examples run, made pages are fresh."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.cli.main import VERBS
from attractor.errors import AttractorError

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "signals/*.md")
    for path in ROOT.glob(pattern)
    if not path.is_symlink()
)
RUN = [
    page for page in PAGES if page.name in ("README.md", "tutorial.md") or "how-to" in page.parts
]
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FLOW = [
    "dot",
    "graph",
    "lint",
    "plan",
    "dispatch",
    "observe",
    "decide",
    "signal",
    "validate",
    "verdict",
    "state",
    "journal",
    "checkpoint",
    "promise",
]
WORDS = [
    "pipeline",
    "node",
    "run",
    "attempt",
    "dispatch",
    "signal",
    "mailbox",
    "owner",
    "lease",
    "rubric",
    "scenario",
    "verdict",
    "gate",
    "transition",
    "journal",
    "checkpoint",
    "promise",
    "bead",
    "evidence",
    "cooldown",
    "ladder",
    "rehearsal",
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(re.sub(BLOCK, "", page.read_text())):
        target, _, anchor = link.partition("#")
        if ":" in target:
            continue
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
            broken.append(link)
    assert broken == []


def test_the_pages_made_from_the_code_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_glossary_has_every_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    entries = re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)
    assert entries == sorted(entries, key=str.lower)
    assert len(entries) == len(set(entries))
    assert set(WORDS) | set(FLOW) <= set(entries)


def test_every_error_code_is_in_the_reference() -> None:
    import signals.errors  # the lowest layer's errors are among the subclasses

    assert signals.errors
    text = (ROOT / "docs" / "reference" / "json.md").read_text()
    for folder in ("attractor", "signals"):
        for path in (ROOT / folder).rglob("*.py"):
            for code in re.findall(
                r'^    code(?:: ClassVar\[str\])? = "(\w+)"$', path.read_text(), re.MULTILINE
            ):
                assert f"`{code}`" in text, f"{code} of {path.name}"
    assert f"`{AttractorError.code}`" in text


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert records
    assert records == {link for link in listed if link[0].isdigit()}
    for name in records:
        text = (folder / name).read_text()
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        wanted = ["Context", "Decision", "Consequences", "What would change our mind"]
        assert [heading for heading in headings if heading in wanted] == wanted, name


def test_the_page_for_agents_is_short_and_has_one_home() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 80
    assert os.readlink(ROOT / "CLAUDE.md") == "AGENTS.md"


def test_every_verb_is_in_the_command_reference() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for verb in VERBS:
        assert f"### attractor {verb}\n" in text


@pytest.mark.parametrize("words", [[], ["node"], ["signal", "wait"]])
def test_the_command_reference_says_what_the_command_says(
    words: list[str], attractor: Callable[..., Any]
) -> None:
    env = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    said = attractor(*words, "--help", env=env).out
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert f"```text\n{said}```\n" in page


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Split a console block into each command and what it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected.rstrip("\n")


def matches(expected: str, said: str) -> bool:
    pattern = re.escape(expected).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, said.rstrip("\n"), re.DOTALL) is not None


@pytest.mark.parametrize("page", RUN, ids=named)
def test_every_example_of_a_page_runs_as_it_says(page: Path, tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("ATTRACTOR_")}
    env |= {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
        "TERM": "dumb",
    }
    here = tmp_path / "here"
    here.mkdir()
    for language, name, text in BLOCK.findall(page.read_text()):
        if name:
            (here / name).write_text(text)
        if language != "console":
            continue
        for command, expected in commands(text):
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=here,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=60,
                check=False,
            )
            if expected:
                assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}"
            assert done.returncode == 0 or "error: " in expected, f"$ {command}\n{done.stdout}"


def test_an_example_that_prints_something_else_is_noticed() -> None:
    assert matches("a ... c", "a b c\n")
    assert not matches("a ... c", "a b d\n")
    assert list(commands("$ one\nsaid\nmore\n$ two\n")) == [("one", "said\nmore"), ("two", "")]
