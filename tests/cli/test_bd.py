"""`attractor bd`: what it prints, what it refuses, and with which status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signals import atomic

ENTRY = "import sys; from attractor.entry import bd; sys.argv[0] = 'attractor-bd'; bd()"


@pytest.fixture
def bd(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `attractor bd` in a project of its own, as joe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BD_ACTOR", "joe")
    for name in ("BEADS_DIR", "BEADS_DB", "CLAUDE_SESSION_ID", "CLAUDE_CODE_SESSION_ID"):
        monkeypatch.delenv(name, raising=False)
    assert cli("bd", "init", "--prefix", "at").status == 0
    return lambda *words: cli("bd", *words)


@pytest.fixture
def made(bd: Callable[..., Any]) -> Callable[..., str]:
    """Make a bead and return its id."""
    return lambda *words: str(bd("create", *words, "--silent").out.strip())


@pytest.fixture
def ok(bd: Callable[..., Any]) -> Callable[..., Any]:
    """Run a verb that must succeed, and return its JSON."""

    def call(*words: str) -> Any:
        said = bd(*words, "--json")
        assert (said.status, said.err) == (0, "")
        return said.json()

    return call


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ".beads/issues.jsonl").read_text().splitlines()]


def test_the_first_tour(bd: Callable[..., Any], tmp_path: Path) -> None:
    said = bd("create", "Fix the door", "-p", "P1", "-t", "bug", "-l", "b,a", "-d", "It squeaks.")
    name = said.out.split()[2]
    assert said.out == f"Created issue: {name}\n  {name} [P1] [bug] open - Fix the door #a #b\n"
    assert bd("ready").out == f"{name} [P1] [bug] open - Fix the door #a #b\n"
    assert bd("update", name, "--claim").out == f"Updated issue: {name}\n"
    assert bd("ready").out == "No ready work\n"
    assert bd("show", name).out.startswith(
        f"{name} [P1] [bug] in_progress - Fix the door @joe #a #b\n"
    )
    assert bd("close", name, "--reason", "done").out == f"Closed: {name}\n"
    assert bd("list").out == "No issues found\n"
    assert [issue["close_reason"] for issue in lines(tmp_path)] == ["done"]


def test_quick_prints_only_the_id(bd: Callable[..., Any], ok: Callable[..., Any]) -> None:
    name = bd("q", "several", "words").out.strip()
    assert ok("show", name)[0]["title"] == "several words"


def test_global_flags_stand_before_the_verb_and_after_it(
    bd: Callable[..., Any], made: Callable[..., str]
) -> None:
    name = made("t")
    ignored = ("--no-daemon", "--no-auto-flush", "--no-auto-import", "--no-db")
    for words in (
        ("--json", "--actor", "sue", *ignored, "update", name, "--claim"),
        ("update", name, "--claim", *ignored, "--actor", "sue", "--json"),
    ):
        said = bd(*words)
        assert said.status == 0
        assert said.json()[0]["assignee"] == "sue"
    assert bd("--quiet", "update", name, "--priority", "0").out == ""


def test_impl_complete_is_accepted_shown_and_stored_as_bd_reads_it(
    made: Callable[..., str], ok: Callable[..., Any], tmp_path: Path
) -> None:
    name = made("t")
    assert ok("update", name, "--status=impl_complete")[0]["status"] == "impl_complete"
    assert [(each["status"], each["labels"]) for each in lines(tmp_path)] == [
        ("in_progress", ["state:impl_complete"])
    ]
    assert [each["id"] for each in ok("list", "--status", "impl_complete")] == [name]
    assert ok("list", "--status=in_progress") == []
    ok("update", name, "--status", "in_progress")
    assert "labels" not in lines(tmp_path)[0]


def test_every_filter_of_list(made: Callable[..., str], ok: Callable[..., Any]) -> None:
    epic = made("Epic", "-t", "epic", "-p", "0")
    part = made("Part", "--parent", epic, "-a", "sue", "-l", "x,y")
    below = made("Below", "--parent", part)
    done = made("Done")
    ok("close", done)

    def names(*words: str) -> list[str]:
        return [issue["id"] for issue in ok("list", *words)]

    assert names() == [epic, below, part]
    assert names("--all", "--limit", "0", "--sort", "id") == sorted([epic, part, below, done])
    assert names("--status", "closed") == [done]
    assert names("--status", "open,closed", "--type", "task", "--limit", "1") == [done]
    assert names("--parent", epic) == [part]
    assert names("--priority", "0") == [epic]
    assert names("--assignee", "sue") == names("-l", "x", "-l", "y") == [part]
    assert names("--label-any", "x,z") == names("--search", "PAR") == [part]
    assert names("--unassigned") == names("--no-assignee") == [epic, below]
    assert [issue["id"] for issue in ok("ready", "--parent", epic)] == [part, below]
    assert [issue["id"] for issue in ok("search", "don")] == [done]


def test_the_shapes_that_clients_parse(made: Callable[..., str], ok: Callable[..., Any]) -> None:
    one, two = made("one"), made("two")
    added = ok("dep", "add", two, one)
    assert added == {"issue_id": two, "depends_on_id": one, "type": "blocks", "status": "added"}
    assert ok("dep", "add", two, one)["status"] == "exists"
    # The client expects whole issues there, or nothing.
    assert "dependencies" not in ok("update", two, "--priority", "1")[0]
    (item,) = ok("ready")
    assert (item["dependency_count"], item["dependent_count"], item["comment_count"]) == (0, 1, 0)
    (held,) = ok("blocked")
    assert (held["blocked_by_count"], held["blocked_by"]) == (1, [one])
    (shown,) = ok("show", two)
    assert [(each["id"], each["dependency_type"]) for each in shown["dependencies"]] == [
        (one, "blocks")
    ]
    assert [(each["id"], each["dependency_type"]) for each in ok("dep", "list", two)] == [
        (one, "blocks")
    ]
    assert [each["id"] for each in ok("dep", "list", one, "--direction", "up")] == [two]
    assert [(row["id"], row["depth"]) for row in ok("dep", "tree", two)] == [(two, 0), (one, 1)]
    assert ok("dep", "cycles") == []
    assert ok("dep", "remove", two, one)["status"] == "removed"
    assert ok("label", "add", one, two, "l") == [
        {"issue_id": name, "label": "l", "status": "added"} for name in (one, two)
    ]
    assert ok("label", "list", one) == ["l"]
    assert ok("label", "list-all") == [{"label": "l", "count": 2}]
    assert ok("comments", "add", one, "hello")["text"] == "hello"
    assert ok("comment", "add", one, "again")["id"] == "2"
    assert ok("comment", one, "third", "time")["text"] == "third time"
    assert [each["id"] for each in ok("comments", one)] == ["1", "2", "3"]
    assert ok("stats")["summary"]["total_issues"] == 2
    assert isinstance(ok("close", one, two), list)
    assert isinstance(ok("reopen", one), list)


def test_ids_of_comments_are_numbers_in_the_file(
    made: Callable[..., str], ok: Callable[..., Any], tmp_path: Path
) -> None:
    ok("comment", made("t"), "hello")
    assert lines(tmp_path)[0]["comments"][0]["id"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("show", "at-zz"),
        ("update", "at-zz", "--claim"),
        ("close", "at-zz"),
        ("dep", "add", "at-zz", "at-zy"),
        ("update", "ID", "--status", "opne"),
        ("update", "ID", "--priority", "9"),
        ("update", "ID", "--type", "bgu"),
        ("create", ""),
        ("create", "x" * 501),
        ("create", "t", "--parent", "at-zz"),
        ("create", "t", "--deps", "strange:ID"),
        ("create", "t", "--id", "other-1"),
        ("dep", "add", "ID", "ID"),
        ("dep", "remove", "ID", "ID"),
        ("list", "--status", "opne"),
        ("ready", "--sort", "best"),
        ("comment", "ID", " "),
        ("import", "-i", "nowhere.jsonl"),
        ("doctor", "--check=pollution", "--clean"),
    ],
)
def test_what_is_refused_is_said_in_words_and_as_bd_s_error(
    words: tuple[str, ...], bd: Callable[..., Any], made: Callable[..., str], tmp_path: Path
) -> None:
    name = made("t")
    before = (tmp_path / ".beads/issues.jsonl").read_bytes()
    said = bd(*(word.replace("ID", name) for word in words), "--json")
    assert said.status == 1
    error = said.json()
    assert error["status"] == "error"
    assert error["error"] == error["message"]
    assert error["message"] in said.err
    assert "Traceback" not in said.err
    assert (tmp_path / ".beads/issues.jsonl").read_bytes() == before


def test_wrong_usage_is_status_2(bd: Callable[..., Any], made: Callable[..., str]) -> None:
    name = made("t")
    for words in (
        ("update", name),
        ("create",),
        ("create", "two", "words"),
        ("create", "one", "--title", "other"),
        ("shwo", name),
        ("list", "--strange"),
        ("comment", name),
        ("label", "add", name),
        ("merge-driver", "one"),
        ("create", "t", "--body-file", "x", "-d", "y"),
    ):
        said = bd(*words, "--json")
        assert (said.status, "error" in said.json()) == (2, True), words
    assert "Did you mean 'show'?" in bd("shwo", name).err


def test_a_lost_claim_says_by_whom(bd: Callable[..., Any], made: Callable[..., str]) -> None:
    name = made("t")
    assert bd("update", name, "--claim").status == 0
    said = bd("update", name, "--claim", "--actor", "sue", "--json")
    assert said.status == 1
    assert f"{name} is already claimed by joe" in said.err
    assert (said.json()["code"], said.json()["assignee"]) == ("claimed", "joe")


def test_a_cycle_is_shown_as_a_path(bd: Callable[..., Any], made: Callable[..., str]) -> None:
    one, two = made("one"), made("two")
    assert bd("dep", "add", two, "--blocked-by", one).status == 0
    said = bd("dep", "add", one, two, "--json")
    assert said.status == 1
    assert f"{one} -> {two} -> {one}" in said.json()["error"]


def test_of_several_ids_one_that_is_missing_changes_none(
    bd: Callable[..., Any], made: Callable[..., str], ok: Callable[..., Any]
) -> None:
    name = made("t")
    assert bd("close", name, "at-zz").status == 1
    assert ok("show", name)[0]["status"] == "open"


def test_a_corrupt_line_is_named_and_everything_else_works(
    bd: Callable[..., Any], made: Callable[..., str], tmp_path: Path
) -> None:
    name = made("t")
    file = tmp_path / ".beads/issues.jsonl"
    broken = b'{"id":"at-torn","ti'
    file.write_bytes(broken + b"\n" + file.read_bytes())
    said = bd("list", "--json")
    assert (said.status, [issue["id"] for issue in said.json()]) == (0, [name])
    assert f"{file}:1: it is not JSON" in said.err
    assert bd("update", name, "--priority", "0").status == 0
    assert broken in file.read_bytes().split(b"\n")
    assert bd("doctor").status == 1
    assert bd("doctor", "--check=validate", "--json").json()["overall_ok"] is False


def test_one_command_is_one_atomic_write(
    bd: Callable[..., Any], made: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = made("t"), made("u")
    real, written = atomic.replace, []

    def counted(path: Any, data: bytes) -> None:
        written.append(path)
        real(path, data)

    monkeypatch.setattr("attractor.beads.store.replace", counted)
    words = ("--claim", "--title", "v", "--add-label", "l", "--parent", other)
    assert bd("update", name, *words).status == 0
    assert len(written) == 1
    assert bd("update", name, *words).status == 0
    assert len(written) == 1


def test_export_and_import_are_a_round_trip(
    bd: Callable[..., Any], made: Callable[..., str], ok: Callable[..., Any], tmp_path: Path
) -> None:
    name = made("t", "-l", "x")
    text = bd("export").out
    assert text == (tmp_path / ".beads/issues.jsonl").read_text()
    assert ok("export", "-o", "out.jsonl") == {"exported": 1, "output": "out.jsonl"}
    issue = json.loads(text)
    new = issue | {
        "title": "newer",
        "updated_at": "2999-01-01T00:00:00Z",
        "status": "impl_complete",
    }
    incoming = [new, issue | {"id": "at-other"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, incoming)))
    counts = {"created": 1, "updated": 1, "unchanged": 0, "skipped": 0}
    assert ok("import", "-i", "in.jsonl", "--dry-run") == counts | {"dry_run": True}
    assert ok("import", "-i", "in.jsonl") == counts | {"dry_run": False}
    (shown,) = ok("show", name)
    assert (shown["title"], shown["status"]) == ("newer", "impl_complete")
    assert [each["status"] for each in lines(tmp_path) if each["id"] == name] == ["in_progress"]
    assert ok("import", "-i", "out.jsonl")["skipped"] == 1
    (tmp_path / "in.jsonl").write_text("{}\n")
    said = bd("import", "-i", "in.jsonl")
    assert (said.status, "in.jsonl:1: line 1 is no issue: it has no id" in said.err) == (1, True)


def test_settings(bd: Callable[..., Any], ok: Callable[..., Any], made: Callable[..., str]) -> None:
    assert ok("config", "get", "issue_prefix") == {"key": "issue_prefix", "value": "at"}
    ok("config", "set", "status.custom", "in_review:active")
    assert ok("update", made("t"), "--status", "in_review")[0]["status"] == "in_review"
    assert ok("config", "list")["status.custom"] == "in_review:active"
    ok("config", "unset", "status.custom")
    assert bd("config", "get", "status.custom").out == "status.custom (not set)\n"
    assert bd("init", "--prefix", "other").status == 1


def test_what_needs_no_store_and_what_does(cli: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    assert cli("bd", "version").out.startswith("bd version 0.47.0 (attractor ")
    assert cli("bd", "prime").out == ""
    assert "attractor bd ready" in cli("bd", "quickstart").out
    said = cli("bd", "ready", "--json")
    assert (said.status, said.json()["error"]) == (1, "there is no .beads folder here or above")
    assert "attractor bd init" in said.err


def test_sync_says_what_is_not_committed(bd: Callable[..., Any], tmp_path: Path) -> None:
    assert bd("sync", "--flush-only").out.startswith("nothing to do")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert bd("sync").out.startswith("commit it: git add ")
    assert "`attractor bd ready`" in bd("prime").out


def test_a_short_list_says_so(bd: Callable[..., Any]) -> None:
    for number in range(51):
        bd("q", f"issue {number}")
    assert "showing 50 of 51" in bd("list").err
    assert bd("list", "--limit", "3").err == ""


def test_a_repair_takes_away_what_leads_nowhere(
    made: Callable[..., str], ok: Callable[..., Any], tmp_path: Path
) -> None:
    name = made("t")
    file = tmp_path / ".beads/issues.jsonl"
    issue = json.loads(file.read_text()) | {"dependencies": [{"depends_on_id": "at-gone"}]}
    file.write_text(json.dumps(issue))
    assert ok("repair-deps")["orphans"] == [
        {"issue_id": name, "depends_on_id": "at-gone", "type": "blocks"}
    ]
    assert ok("repair-deps", "--fix")["fixed"] == 1
    assert ok("doctor")["overall_ok"]


def test_a_bd_1_database_beside_the_file_is_mentioned(
    bd: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / ".beads/embeddeddolt").mkdir()
    assert "bd sees this change only after `bd import`" in bd("q", "t").err


def test_many_processes_claim_one_bead_and_one_wins(
    made: Callable[..., str], ok: Callable[..., Any], tmp_path: Path
) -> None:
    name = made("t")
    argv = [sys.executable, "-I", "-m", "attractor", "bd", "update", name, "--claim", "--json"]
    env = {key: value for key, value in os.environ.items() if key != "BD_ACTOR"}
    racers = [
        subprocess.Popen(
            [*argv, "--actor", f"racer-{number}"],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for number in range(8)
    ]
    said = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    statuses = [racer.returncode for racer in racers]
    assert sorted(statuses) == [0] + [1] * 7
    winner = f"racer-{statuses.index(0)}"
    assert ok("show", name)[0]["assignee"] == winner
    assert {each["assignee"] for each in said if isinstance(each, dict)} == {winner}


def test_the_console_script_is_the_same_and_isolated(tmp_path: Path) -> None:
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals/__init__.py").write_text("raise SystemExit('hijacked')")
    for env in ({}, {"PYTHONPATH": str(tmp_path)}):
        done = subprocess.run(
            [sys.executable, "-P", "-c", ENTRY, "version", "--json"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["version"] == "0.47.0"


@pytest.mark.parametrize("label", ["", " ", ","])
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_an_empty_label_is_refused(
    verb: str, label: str, bd: Callable[..., Any], made: Callable[..., str], tmp_path: Path
) -> None:
    name = made("A")
    before = lines(tmp_path)
    said = bd("label", verb, name, label)
    assert (said.status, "the label is empty" in said.err) == (1, True)
    assert lines(tmp_path) == before


@pytest.mark.parametrize("name", ["issues.jsonl", "config.yaml"])
def test_a_fifo_is_named_and_not_awaited(name: str, bd: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / ".beads" / name
    path.unlink()
    os.mkfifo(path)
    said = bd("create", "A")
    assert (said.status, "this is not a file" in said.err) == (1, True)
    assert name in said.err


@pytest.mark.parametrize("name", ["redirect", "metadata.json"])
def test_a_fifo_that_may_be_missing_counts_as_missing(
    name: str, bd: Callable[..., Any], made: Callable[..., str], tmp_path: Path
) -> None:
    made("A")
    path = tmp_path / ".beads" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "open - A" in bd("list").out


def test_a_device_or_a_file_without_bounds_is_not_read(
    bd: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / ".beads" / "issues.jsonl"
    os.truncate(path, 1 << 40)
    assert "are not read" in bd("list").err
    path.unlink()
    path.symlink_to("/dev/null")
    assert "this is not a file" in bd("list").err
    assert "this is not a file" in bd("import", "-i", str(path)).err
