"""The papers say what is: links lead somewhere, examples run, made pages are fresh."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from attractor.cli.main import VERBS
from attractor.cli.run import run
from attractor.errors import AttractorError
from attractor.promise import stop_hook
from attractor.rehearsal import script
from attractor.run.fold import RunEvent
from attractor.run.request import Request
from attractor.run.story import StoryEvent

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
TOOLS = ("git", "tmux")  # what a session in a terminal needs beside Claude Code, which is in .venv
EXAMPLE_SECONDS = 300  # the tutorial rehearses a whole run, and a night
# What of the caller's would change what an example prints, or where it writes.
CALLERS = ("ATTRACTOR_", "BD_", "BEADS_", "CLAUDE", "GIT_", "PYTHON", "XDG_")
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
    "session",
    "criterion",
    "claim",
    "verified",
    "release",
    "orphan",
    "escalation",
    "ready",
    "merge driver",
    "script",
    "role",
    "turn",
    "budget",
    "clean tree",
    "decision",
    "feature",
    "feedback",
    "integration branch",
    "judge",
    "keeper",
    "report",
    "scope",
    "seal",
    "task",
    "wants",
    "way back",
    "addition",
    "cross-review",
    "finding",
    "lesson",
    "memory",
    "night",
    "pause",
    "recall",
    "replan",
    "reservation",
    "retrospective",
    "review",
    "reviewer",
    "scan",
    "stand-in",
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


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


def test_every_event_of_a_journal_is_in_the_reference() -> None:
    of_a_run = (ROOT / "docs" / "reference" / "journal.md").read_text()
    of_any = (ROOT / "docs" / "reference" / "files.md").read_text()
    missing = [each.value for each in StoryEvent if f"\n| `{each.value}` |" not in of_a_run]
    missing += [each.value for each in RunEvent if f"`{each.value}`" not in of_any]
    assert missing == []


def test_every_key_of_a_request_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "files.md").read_text()
    part = text.split("### run.json")[1].split("\n### ")[0]
    assert [each.name for each in fields(Request) if f"`{each.name}`" not in part] == []


def test_every_option_of_a_run_is_in_its_guide() -> None:
    text = (ROOT / "docs" / "how-to" / "run.md").read_text()
    options = [word for each in run.params for word in each.opts if word.startswith("--")]
    assert options
    assert [option for option in options if not re.search(rf"`{option}\b", text)] == []


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


@pytest.mark.parametrize(
    "words", [[], ["node"], ["signal", "wait"], ["bd", "dep", "add"], ["rehearse", "serve"]]
)
def test_the_command_reference_says_what_the_command_says(
    words: list[str], attractor: Callable[..., Any]
) -> None:
    env = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    said = attractor(*words, "--help", env=env).out
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert f"```text\n{said}```\n" in page


def test_every_console_script_is_in_the_command_reference_with_what_it_says() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for name in project()["project"]["scripts"]:
        assert f"\n## {name}\n" in page
        if name.startswith("cs-"):
            said = run_shell(f"{name} --help", ROOT, environment(ROOT)).stdout
            assert f"## {name}\n\n```text\n{said}```\n" in page


def test_every_dependency_has_its_reason() -> None:
    listed = project()
    wanted = listed["project"]["dependencies"] + listed["dependency-groups"]["dev"]
    for extra in listed["project"]["optional-dependencies"].values():
        wanted += extra
    text = (ROOT / "docs" / "libraries.md").read_text().lower()
    names = [re.split(r"[<>=~! ]", line)[0].lower() for line in wanted]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_every_rehearsal_script_of_a_page_can_be_read() -> None:
    found = [
        (page, text)
        for page in PAGES
        for language, name, text in BLOCK.findall(page.read_text())
        if language == "yaml" and "roles:" in text and not name.startswith("broken")
    ]
    assert found
    for page, text in found:
        script.parse(text, named(page))


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Split a console block into each command and what it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected.rstrip("\n")


def matches(expected: str, said: str) -> bool:
    pattern = re.escape(expected).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, said.rstrip("\n"), re.DOTALL) is not None


def environment(folder: Path) -> dict[str, str]:
    """What an example is run with: our scripts first on PATH, nothing of a session around us."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith(CALLERS)}
    return mine | {
        "HOME": str(folder / "home"),
        "PATH": f"{Path(sys.executable).parent}:{mine['PATH']}",
        "TERM": "dumb",
    }


def run_shell(
    command: str, folder: Path, env: dict[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        input=stdin,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )


def play(page: Path, here: Path, env: dict[str, str]) -> None:
    """Write the files of a page and run its commands; each must print what is said."""
    for language, name, text in BLOCK.findall(page.read_text()):
        if name:
            (here / name).write_text(text)
        if language != "console":
            continue
        for command, expected in commands(text):
            done = run_shell(command, here, env)
            if expected:
                assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}"
            assert done.returncode == 0 or "error: " in expected, f"$ {command}\n{done.stdout}"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The folder in which the examples of a page are run; a run that is left there is ended."""
    folder = tmp_path / "here"
    folder.mkdir()
    yield folder
    for kept in folder.glob(".claude/attractor/runs/*/keeper.json"):
        run_shell(f"attractor stop {kept.parent.name} --kill", folder, environment(tmp_path))


@pytest.mark.timeout(2 * EXAMPLE_SECONDS)
@pytest.mark.parametrize("page", RUN, ids=named)
def test_every_example_of_a_page_runs_as_it_says(page: Path, here: Path) -> None:
    if page.name == "tutorial.md" and (missing := [each for each in TOOLS if not which(each)]):
        pytest.skip(f"a run is rehearsed there, and {missing[0]} is not installed")
    faulthandler.cancel_dump_traceback_later()  # the deadline is the mark's, which is longer
    play(page, here, environment(here.parent) | {"CLAUDE_PROJECT_DIR": str(here)})


def test_the_readme_shows_what_the_stop_hook_says_after_its_example(here: Path) -> None:
    env = environment(here.parent) | {"CLAUDE_PROJECT_DIR": str(here)}
    page = ROOT / "README.md"
    blocks = [text for language, _, text in BLOCK.findall(page.read_text()) if language == "text"]
    (shown,) = [text for text in blocks if text.startswith("This session")]
    play(page, here, env)
    event = {"hook_event_name": "Stop", "session_id": "demo"}
    hook = f"{sys.executable} -I -S {stop_hook.__file__}"
    said = json.loads(run_shell(hook, here, env, json.dumps(event)).stdout)
    assert said["decision"] == "block"
    assert matches(shown.rstrip("\n"), said["reason"]), said["reason"]


def test_an_example_that_prints_something_else_is_noticed() -> None:
    assert matches("a ... c", "a b c\n")
    assert not matches("a ... c", "a b d\n")
    assert list(commands("$ one\nsaid\nmore\n$ two\n")) == [("one", "said\nmore"), ("two", "")]
