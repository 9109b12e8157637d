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
    taken = cli("memory", "settle", "m2", "take").out
    assert taken == (
        "m2 counts, and “Use Redis” is forgotten, which ARCHITECT.md calls withdrawn\n"
    )
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


def test_what_fits_nothing_has_no_score(cli: Cli) -> None:
    cli("memory", "add", "Use Redis")
    score = cli("memory", "why", "m1", "--for", "banana zebra", "--json").json()["score"]
    assert (score["relevance"], score["total"]) == (0.0, 0.0)


def test_why_says_that_a_line_was_deleted_by_hand(cli: Cli, project: Path) -> None:
    cli("memory", "add", "Use Redis")
    page = project / "ARCHITECT.md"
    lines = page.read_text().splitlines(keepends=True)
    page.write_text("".join(each for each in lines if "Use Redis" not in each))
    assert cli("memory", "list").out == "nothing is remembered\n"
    assert "was deleted from ARCHITECT.md by hand" in cli("memory", "why", "m1").out
    assert cli("memory", "why", "m1", "--json").json()["memory"]["deleted"] is True
    page.write_text("".join(lines))
    assert cli("memory", "list").out == "m1 decision: Use Redis\n"
    assert cli("memory", "why", "m1", "--json").json()["memory"]["deleted"] is False


def test_a_secret_written_by_hand_is_named_by_its_line(cli: Cli, project: Path) -> None:
    secret = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    cli("memory", "add", "Use Redis")
    page = project / "ARCHITECT.md"
    page.write_text(page.read_text().replace("- Use Redis", f"- token {secret}\n- Use Redis"))
    said = cli("memory", "list")
    assert said.out == "m1 decision: Use Redis\n"
    assert "(decision): this looks like a" in said.err
    assert secret not in said.err
    assert cli("memory", "list").err == ""


def test_a_settlement_says_what_else_it_settles_and_what_stays_on_the_page(cli: Cli) -> None:
    for text in ("Use Redis for sessions", "Use Redis for the sessions", "Use Redis here"):
        cli("memory", "add", text)
    cli("memory", "add", "Never use Redis for sessions")
    asks = "“Use Redis here”; attractor memory settle m3 take|keep"
    lines = cli("memory", "settle", "m4", "take").out.splitlines()
    withdrawn = "is forgotten, which ARCHITECT.md calls withdrawn"
    assert lines == [
        f"m4 counts, and “Use Redis for sessions” {withdrawn}",
        f"m2 says the same, and {withdrawn}, too: “Use Redis for the sessions”",
        f"m3 seems to contradict it, too, and does not count, but stays in ARCHITECT.md: {asks}",
    ]
    said = cli("memory", "settle", "m3", "keep", "--json").json()
    assert ([each["id"] for each in said["also"]], said["on_page"]) == ([], True)


@pytest.mark.parametrize("damage", ["folder", "newer", "full"])
def test_where_the_store_cannot_be_used_the_page_is_read(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    import sqlite3

    from attractor.memory import store as stores

    cli("memory", "add", "Use Redis")
    cli("memory", "add", "Use tabs")
    store = project / ".claude/attractor/memory.db"
    if damage == "folder":
        store.unlink()
        store.mkdir()
    elif damage == "newer":
        monkeypatch.setattr(stores, "VERSION", 1)
    else:

        def full(*_: object) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            with stores._errors(str(store)):
                raise error

        monkeypatch.setattr(stores.Store, "memories", full)
        monkeypatch.setattr(stores.Store, "matches", full)
    listed, found = cli("memory", "list"), cli("memory", "search", "redis")
    assert listed.out == "- decision: Use Redis\n- decision: Use tabs\n"
    assert found.out == "- decision: Use Redis\n"
    assert listed.err.count("\n") == found.err.count("\n") == 1
    assert "ARCHITECT.md alone is read" in listed.err
    assert ids(cli("memory", "list", "--json")) == [None, None]
    (project / "ARCHITECT.md").write_text("nonsense")
    assert cli("memory", "list").status == 1


def test_what_is_wider_than_the_terminal_is_indented(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor.cli import memory

    cli("memory", "add", "Use Redis " * 10)
    monkeypatch.setattr(memory, "width", lambda: 30)
    first, *more = cli("memory", "list").out.splitlines()
    assert first.startswith("m1 decision: Use Redis")
    assert len(more) > 2
    assert all(each.startswith(("    Use", "    Redis")) for each in more)
    assert max(map(len, [first, *more])) <= 30


@pytest.mark.parametrize("words", [("why",), ("forget",), ("settle",)])
def test_the_fix_of_an_unknown_id_is_a_sentence(cli: Cli, words: tuple[str]) -> None:
    cli("memory", "add", "Use Redis")
    more = ("take",) if words == ("settle",) else ()
    said = cli("memory", *words, "m99", *more, "--json").json()
    assert said["fix"] == "look up its ID: `attractor memory list --all` names them"
