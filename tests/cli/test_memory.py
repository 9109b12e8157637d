"""`attractor memory`: searched, added to, and settled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout, which is the working directory."""
    (tmp_path / "project/src").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path / "project")], check=True, timeout=30)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def ids(said: Any) -> list[str]:
    return [each["id"] for each in said.json()["memories"]]


def test_what_is_added_is_found_and_listed(cli: Cli, project: Path) -> None:
    assert cli("memory", "add", "Use Redis for sessions").out == "m1 is remembered\n"
    cli("memory", "add", "Freeze time in tests", "--kind", "practice")
    assert cli("memory", "search", "session store?").out == "m1 decision: Use Redis for sessions\n"
    assert len(cli("memory", "list").out.splitlines()) == 2
    assert "Freeze time" in (project / "ARCHITECT.md").read_text()


def test_the_document_of_a_search_says_all(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    (found,) = cli("memory", "search", "redis", "--json").json()["memories"]
    assert set(found) == {
        *("id", "kind", "text", "node", "run", "attempt", "at"),
        *("state", "against", "shown", "helped", "score"),
    }
    assert found["score"]["relevance"] == 1.0


def test_reading_makes_no_files(cli: Cli, project: Path) -> None:
    assert cli("memory", "list").out == "nothing is remembered\n"
    assert cli("memory", "list", "--flagged").out == "nothing is flagged\n"
    assert cli("memory", "search", "x").out.startswith("nothing that is remembered")
    assert cli("memory", "search", "x", "--json").json() == {"status": "ok", "memories": []}
    assert sorted(each.name for each in project.iterdir()) == [".git", "src"]


def test_any_text_can_be_searched_for(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    for text in ('"', "a AND (", "NEAR(", "*", "", "redis OR", "\u202e"):
        assert cli("memory", "search", "--", text).status == 0


def test_the_same_again_is_known(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    said = cli("memory", "add", "use redis.", "--json").json()
    assert (said["outcome"], said["memory"]["id"]) == ("duplicate", "m1")


def test_a_secret_is_refused_without_being_repeated(cli: Cli, project: Path) -> None:
    secret = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    said = cli("memory", "add", f"the token is {secret}", "--json")
    assert (said.status, said.json()["code"]) == (1, "input")
    assert secret not in said.out + said.err
    assert not (project / "ARCHITECT.md").exists()


def test_a_contradiction_is_flagged_shown_and_settled(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    said = cli("memory", "add", "Never use Redis")
    assert "m2 does not count yet: it seems to contradict “Use Redis”" in said.out
    listed = cli("memory", "list", "--flagged").out
    assert "attractor memory settle m2 take|keep" in listed
    assert ids(cli("memory", "list", "--json")) == ["m1"]
    assert cli("memory", "settle", "m2", "take").out == "m2 counts, and “Use Redis” is forgotten\n"
    assert ids(cli("memory", "list", "--json")) == ["m2"]
    assert ids(cli("memory", "list", "--all", "--json")) == ["m1", "m2"]
    again = cli("memory", "settle", "m2", "keep", "--json")
    assert (again.status, again.json()["code"]) == (1, "input")


def test_the_older_one_can_be_kept(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    cli("memory", "add", "Never use Redis")
    said = cli("memory", "settle", "2", "keep")
    assert said.out == "“Use Redis” still counts, and m2 is forgotten\n"


def test_what_is_forgotten_is_not_found(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    said = cli("memory", "forget", "m1", "--json").json()
    assert (said["memory"]["state"], said["on_page"]) == ("forgotten", True)
    assert said["notes"] == []
    again = cli("memory", "forget", "m1").out
    assert again == "m1 is forgotten, and ARCHITECT.md calls it withdrawn\n"
    assert cli("memory", "search", "redis", "--json").json()["memories"] == []


def test_why_tells_the_score_the_source_and_who_was_told(cli: Cli, project: Path) -> None:
    from attractor.memory.brief import brief
    from signals.clock import SystemClock

    cli("memory", "add", "Use Redis")
    cli("memory", "add", "Use Postgres for orders, and for what belongs to them")
    root, clock = str(project), SystemClock()
    brief(root, "redis", tokens=500, role="x", run="r", node="n", attempt=2, clock=clock)
    said = cli("memory", "why", "m1", "--json").json()
    assert [each["node"] for each in said["showings"]] == ["n"]
    assert said["score"]["relevance"] == 1.0
    assert "r  n, attempt 2: not judged good" in cli("memory", "why", "m1").out
    other = cli("memory", "why", "m1", "--for", "orders", "--json").json()
    assert other["score"]["total"] == 0.0


@pytest.mark.parametrize("name", ["x", "m", "m99", "-1", "9" * 40, "m٣", "\x1b"])
@pytest.mark.parametrize("words", [("why",), ("forget",), ("settle",)])
def test_an_id_that_is_none_is_named(cli: Cli, words: tuple[str], name: str) -> None:
    cli("memory", "add", "Use Redis")
    more = ("take",) if words == ("settle",) else ()
    said = cli("memory", *words, "--json", "--", name, *more)
    assert (said.status, said.json()["code"]) == (1, "input")


def test_a_project_is_found_from_inside_or_named(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(project / "src")
    cli("memory", "add", "Use Redis")
    monkeypatch.chdir(tmp_path)
    assert ids(cli("memory", "list", "--project", project, "--json")) == ["m1"]
    said = cli("memory", "list", "--json")
    assert (said.status, said.json()["code"]) == (1, "input")


def test_two_lists_at_once_are_wrong_usage(cli: Cli) -> None:
    assert cli("memory", "list", "--all", "--flagged").status == 2


def test_a_page_that_is_nonsense_is_told_and_left(cli: Cli, project: Path) -> None:
    (project / "ARCHITECT.md").write_text("nonsense")
    said = cli("memory", "add", "Use Redis")
    assert "left alone" in said.err
    assert said.out == "m1 is remembered\n"
    assert (project / "ARCHITECT.md").read_text() == "nonsense"


def test_it_works_as_a_process_and_imports_the_store_only_where_it_is_asked(
    attractor: Cli, project: Path
) -> None:
    assert attractor("memory", "list", cwd=project).out == "nothing is remembered\n"
    text = "import sys, attractor.cli.memory; print({'sqlite3', 'filelock'} & {*sys.modules})"
    argv = [sys.executable, "-I", "-c", text]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=True, text=True)
    assert done.stdout == "set()\n"


def test_what_is_forgotten_is_told_so_when_it_is_added_and_can_be_taken_again(
    cli: Cli, project: Path
) -> None:
    cli("memory", "add", "Use Redis")
    cli("memory", "forget", "m1")
    told = cli("memory", "add", "Use Redis").out
    assert "m1, which is forgotten" in told
    assert "attractor memory settle m1 take" in told
    assert cli("memory", "settle", "m1", "keep").status == 1
    assert cli("memory", "settle", "m1", "take").out == "m1 counts\n"
    assert ids(cli("memory", "list", "--json")) == ["m1"]
    page = (project / "ARCHITECT.md").read_text()
    lines = [line.partition(" [")[0] for line in page.splitlines() if "Use Redis" in line]
    assert lines == ["- Use Redis", "- Withdrawn: Use Redis", "- Use Redis"]


def test_what_says_nothing_is_not_called_a_secret(cli: Cli) -> None:
    said = cli("memory", "add", " ", "--json").json()
    assert "says nothing" in said["message"]
    assert "secret" not in said["fix"]


@pytest.mark.parametrize("words", [("list",), ("search", "redis"), ("add", "Use tabs")])
def test_a_damaged_store_is_told_with_what_is_lost(
    cli: Cli, project: Path, words: tuple[str, ...]
) -> None:
    cli("memory", "add", "Use Redis")
    (project / ".claude/attractor/memory.db").write_bytes(b"nonsense" * 1000)
    said = cli("memory", *words)
    assert said.status == 0
    assert "the store of memories was damaged: it is kept in" in said.err
    assert "what it does not call withdrawn counts again" in said.err


@pytest.mark.parametrize("words", [("forget", "m2"), ("settle", "m2", "take")])
def test_an_id_of_a_store_that_was_damaged_means_nothing_any_more(
    cli: Cli, project: Path, words: tuple[str, ...]
) -> None:
    for text in ("Use Redis", "Never use Redis", "Use tabs"):
        cli("memory", "add", text)
    (project / ".claude/attractor/memory.db").write_bytes(b"nonsense" * 1000)
    said = cli("memory", *words, "--json")
    assert (said.status, said.json()["code"]) == (1, "damage")
    assert ids(cli("memory", "list", "--json")) == ["m1", "m2"]


def test_it_is_told_that_a_long_text_is_cut(cli: Cli) -> None:
    assert "at most 500 characters" in cli("memory", "add", "Use Redis " * 60).err
    assert cli("memory", "add", "Use tabs").err == ""
