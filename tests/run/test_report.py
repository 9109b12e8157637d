"""How a run went: the document, the text made from it, and both on disk."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import StorageError
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Graph, build
from attractor.run import choices, going_on, report, report_text
from attractor.run.journal import Entry
from attractor.run.layout import RunLayout
from attractor.run.node_story import NodeStory
from attractor.run.prose import Markdown, Plain, in_line
from attractor.run.request import Request
from attractor.run.story import BEGAN_AGAIN, Story, read
from attractor.run.times import seconds_of
from guardian import answers
from guardian.budget import Own, room, used_up
from signals import atomic

PIPELINE = """
digraph auth {
    graph [label="Log in"];
    start [shape=Mdiamond];
    jwt [shape=box, label="Tokens"];
    login [shape=box, label="Pass|words"];
    ask [shape=hexagon, label="Release?", handler="wait.human"];
    finish [shape=Msquare];
    start -> jwt -> ask;
    start -> login -> ask;
    ask -> finish;
}
"""
BEGAN = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
NIGHT = Path(__file__).with_name("night.jsonl").read_text().splitlines()
Said = tuple[str, Mapping[str, Any]]


def graph() -> Graph:
    return build(parse(PIPELINE))


def night(until: str = "", *more: Said) -> dict[str, Any]:
    """The document after the night's entries up to the first that has these words, and more."""
    entries = told(until, *more)
    return report.final(read(entries), graph(), seconds_of(entries[-1].at) + 5)


def told(until: str, *more: Said) -> list[Entry]:
    at, entries = BEGAN, []
    lines = [json.loads(line) for line in NIGHT]
    cut = next((n for n, line in enumerate(NIGHT) if until and until in line), len(NIGHT))
    lines = lines[:cut] + [{"after": 1, "event": event, "data": data} for event, data in more]
    for seq, each in enumerate(lines, 1):
        at += timedelta(seconds=each["after"])
        when = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        entries.append(Entry(seq, when, each["event"], dict(each["data"]), "", ""))
    return entries


def moved(node: str, event: str, source: str, target: str, **more: Any) -> Said:
    return ("NodeMoved", {"node": node, "event": event, "from": source, "to": target} | more)


def ended(result: str, status: int, reason: str = "") -> Said:
    return ("RunEnded", {"result": result, "exit": status, "reason": reason, "head": ""})


FAILS: tuple[Any, ...] = (
    '"review_requested", "from": "active", "to": "impl_complete", "by": "guardian", "attempt": 2',
    moved("jwt", "failed", "active", "failed", attempt=2, reason="it was stuck", outcome="fail"),
    ended("failed", 1, "jwt: it was stuck"),
)
FAILED, FAILED_ENTRIES = night(*FAILS), told(*FAILS)


def node(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in document["nodes"] if each["id"] == name)


def section(text: str, heading: str) -> list[str]:
    """The lines under a heading."""
    return text.split(f"## {heading}\n\n")[1].split("\n## ", maxsplit=1)[0].strip().splitlines()


def test_the_document_says_what_the_run_was_and_how_it_ended() -> None:
    said = night()
    assert {key: said[key] for key in ("schema_version", "run_id", "result", "exit", "name")} == {
        "schema_version": 1,
        "run_id": "auth-1",
        "result": "validated",
        "exit": 0,
        "name": "Log in",
    }
    assert (said["pipeline"], said["project"]) == ("/project/pipelines/auth.dot", "/project")
    assert (said["branch"], said["base"], said["head"]) == (
        "attractor/auth-1/integration",
        "b" * 40,
        "5" * 40,
    )
    assert (said["seconds"], said["ended"]) == (96.0, "2026-01-01T00:01:36.000000Z")
    assert said["rubric"]["by"] == "hand"
    assert sorted(said["rubric"]) == ["by", "files", "folder"]


def test_it_is_json() -> None:
    assert json.loads(json.dumps(night(), allow_nan=False)) == night()


def test_each_attempt_has_what_it_cost_and_what_became_of_it() -> None:
    first, second = node(night(), "jwt")["attempts"]
    assert (first["how"], first["crashes"], first["seconds"]) == (
        "failed: its process is gone",
        1,
        6.0,
    )
    assert (second["how"], second["cooldowns"], second["cooldown_seconds"]) == ("passed", 1, 12.0)
    assert second["usage"]["input_tokens"] == 310
    assert second["commit"] == "2" * 40
    assert second["evidence"] == "/project/.claude/attractor/runs/auth-1/evidence/jwt/2"


def test_each_verdict_has_its_attempt_and_its_scores() -> None:
    failed, passed = node(night(), "login")["verdicts"]
    assert (failed["attempt"], failed["outcome"], failed["score"]) == (1, "failed", 0.0)
    assert failed["scenarios"] == [
        {"feature": "F1", "scenario": "A wrong password", "score": 0.0},
    ]
    assert (passed["outcome"], passed["score"]) == ("passed", 1.0)


def test_tokens_and_cost_add_up_with_the_judges_and_the_rubric() -> None:
    said = night()
    totals, nodes = said["totals"], said["nodes"]
    assert totals["tokens"] == sum(each["tokens"] for each in nodes) + 1_500
    assert totals["cost_usd"] == pytest.approx(sum(each["cost_usd"] for each in nodes) + 0.5)
    assert totals["cost_usd"] == 2.9
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
    assert [totals[key] for key in kinds] == [1950, 990, 300, 30]


def test_troubles_are_counted() -> None:
    keys = ("attempts", "retries", "crashes", "rejections", "violations", "cooldowns", "resumed")
    totals = night()["totals"]
    assert [totals[key] for key in keys] == [3, 1, 1, 1, 1, 1, 1]
    assert totals["cooldown_seconds"] == 12.0


def test_the_command_to_merge_can_be_pasted_anywhere() -> None:
    assert night()["merge"] == "git -C /project merge attractor/auth-1/integration"
    assert night("merge-5")["merge"] == ""


@pytest.mark.parametrize(
    ("levels", "weakest"),
    [
        ([], ""),
        (["", ""], ""),
        (["", "bwrap"], "bwrap"),
        (["bwrap", "sandbox-exec"], "sandbox-exec"),
        (["bwrap", "policy", "sandbox-exec"], "policy"),
        (["bwrap", "a new one"], "a new one"),
        (["policy", "a new one"], "policy"),
    ],
)
def test_the_weakest_wall_counts(levels: list[str], weakest: str) -> None:
    assert report.weakest(levels) == weakest


def test_one_session_behind_rules_only_makes_the_whole_run_so() -> None:
    assert night()["blindness"] == "policy"
    assert "Blindness: policy" in report_text.markdown(night())


def test_a_decision_is_there_with_who_when_and_why() -> None:
    (card,) = night()["decisions"]
    assert {key: card[key] for key in ("id", "node", "option", "note", "by", "answered")} == {
        "id": "d1",
        "node": "ask",
        "option": "approve",
        "note": "looks | good",
        "by": "terminal",
        "answered": "2026-01-01T00:01:35.000000Z",
    }


def test_a_run_that_goes_on_is_told_up_to_now() -> None:
    said = night("DecisionAnswered")
    assert (said["result"], said["exit"], said["ended"]) == ("waiting", None, "")
    assert node(said, "ask")["attempts"][0]["seconds"] == 5.0
    text = report_text.markdown(said)
    assert section(text, "What to do next")[:17] == [
        "`ask`: May it be released?",
        "",
        "> all 12 tests pass",
        "",
        "Answer it with one of these:",
        "",
        "approve: the gate lets it pass",
        "",
        "```sh",
        "attractor answer d1 approve --run auth-1",
        "```",
        "",
        "reject: the gate does not let it pass",
        "",
        "```sh",
        "attractor answer d1 reject --run auth-1",
        "```",
    ]
    assert "# Log in: waiting\n\nNothing moves until a person decides, after " in text
    assert night("merge-5")["result"] == "running"
    assert "- `ask`: a person is asked, goes on after 5 s." in text
    assert "Answer it" not in report_text.markdown(night("RunEnded"))


def test_a_run_that_has_not_begun_is_a_document_too() -> None:
    said = report.final(read([]), graph(), 0.0)
    assert (said["result"], said["merge"], said["rubric"]) == ("running", "", None)
    assert "Nothing was merged" in report_text.plain(said)


def test_the_story_is_told_in_order() -> None:
    assert section(report_text.markdown(night()), "What happened") == [
        (
            "- `jwt`: attempt 1: crashed after 6 s (its process is gone); attempt 2: a cooldown of "
            "12 s, judged 0.50, which is between, and looked at again, judged 1.00, merged as "
            "`3333333333` after 23 s."
        ),
        (
            "- `login`: broke the rules once, judged 0.00 and given back, "
            "judged 1.00, merged as `5555555555` after 32 s."
        ),
        "- `ask`: decided approve by terminal, passed after 1 min 0 s.",
        "- It was resumed by a person once.",
        "- beads and promise, 2026-01-01 00:01:36 UTC: there is no bead AUTH-1",
    ]


@pytest.mark.parametrize(
    "what", ["beads and promise were told", "there is no .beads folder here or above (/p)"]
)
def test_what_has_gone_as_it_always_does_is_no_part_of_what_happened(what: str) -> None:
    said = night('"task": "books-8", "node": ""', ("TaskEnded", {"task": "books-8", "what": what}))
    assert what in [each["what"] for each in said["notes"]]
    assert what not in report_text.markdown(said)
    alone = report.final(
        read(told("TaskBegun", ("TaskEnded", {"task": "books-8", "what": what}))), graph(), 0
    )
    assert "What happened" not in report_text.markdown(alone)


def test_a_note_says_when_it_was_made_and_about_what() -> None:
    died = "the asking process ended with status -9"
    said = night(
        "RubricSealed",
        ("TaskEnded", {"task": "rubric-1", "node": "", "what": died}),
        ("Noted", {"what": "it is odd", "node": "jwt"}),
    )
    assert [(each["about"], each["what"]) for each in said["notes"]] == [
        ("rubric", died),
        ("jwt", "it is odd"),
    ]
    lines = section(report_text.markdown(said), "What happened")
    assert lines == [
        f"- the rubric, 2026-01-01 00:00:01 UTC: {died}",
        "- jwt, 2026-01-01 00:00:02 UTC: it is odd",
    ]


def test_guardians_that_were_started_again_are_counted_and_told_once() -> None:
    again = [("Noted", {"what": f"{BEGAN_AGAIN}, as process {pid}"}) for pid in (7, 8, 9)]
    said = night("RunEnded", *again)
    assert (said["totals"]["began_again"], said["totals"]["resumed"]) == (3, 1)
    lines = section(report_text.markdown(said), "What happened")
    assert lines[-3:] == [
        "- The Guardian was started again 3 times, and went on from the journal.",
        "- It was resumed by a person once.",
        "- beads and promise, 2026-01-01 00:01:36 UTC: there is no bead AUTH-1",
    ]


def test_what_a_rehearsal_would_have_cost_is_no_cost() -> None:
    said = night()
    text = report_text.markdown(said)
    assert "- Cost: none; the tokens of the scripted model would have cost $2.90" in text
    assert "| Would cost |" in text
    real = report_text.markdown({**said, "rehearsed": False})
    assert "- Cost, as the agents estimate it: $2.90" in real
    assert "| Cost |" in real


def test_work_that_does_not_merge_is_given_back_without_a_verdict() -> None:
    said = night(
        '"s8"',
        moved("jwt", "review_requested", "active", "impl_complete", attempt=2, commit="2" * 40),
        moved(
            "jwt",
            "rejected",
            "impl_complete",
            "active",
            attempt=2,
            reason="the merge has a conflict",
        ),
    )
    assert "given back because the merge has a conflict, goes on" in report_text.plain(said)


def test_what_a_person_or_a_budget_stopped_has_not_failed() -> None:
    stops = moved("jwt", "failed", "active", "failed", attempt=2, reason="enough", free=True)
    for result in ("stopped", "budget"):
        stopping = ("Stopping", {"reason": "enough", "result": result})
        said = night('"s8"', stopping, stops, ended(result, 4, "enough"))
        jwt = node(said, "jwt")
        assert (jwt["state"], jwt["stopped"]) == ("failed", True)
        text = report_text.markdown(said)
        assert "| `jwt` | stopped | 2 |" in text
        assert "attempt 2: was stopped after " in text
        assert "does not count" not in text
    failed = night('"s8"', stops, ended("failed", 1, "x"))
    assert node(failed, "jwt")["stopped"] is False


def test_red_checks_and_free_attempts_are_told_as_such() -> None:
    red = {"outcome": "failed", "score": None, "checks": {"status": "red"}}
    said = night(
        '"s8"',
        moved("jwt", "review_requested", "active", "impl_complete", attempt=2, commit="2" * 40),
        moved("jwt", "rejected", "impl_complete", "active", attempt=2, verdict=red, reason="x"),
        moved("jwt", "failed", "active", "failed", attempt=2, reason="stopped", free=True),
    )
    told = next(line for line in report_text.plain(said).splitlines() if line.startswith("- jwt"))
    assert "failed its checks and given back, ended without success after" in told
    assert told.endswith(", which does not count (stopped).")


def test_a_run_that_failed_says_why_and_what_to_do() -> None:
    text = report_text.markdown(FAILED)
    assert "# Log in: failed\n" in text
    assert "Why: jwt: it was stuck\n" in text
    assert section(text, "What to do next") == [
        "Nothing was merged: there is nothing to take over.",
        "",
        "- `jwt` has failed: it was stuck",
        "",
        "See what its session did:",
        "",
        "```sh",
        "attractor logs jwt --run auth-1",
        "```",
        "",
        "To give what has failed another turn, and go on:",
        "",
        "```sh",
        "attractor resume auth-1",
        "```",
    ]


def test_of_a_command_that_failed_the_output_is_shown_and_no_session() -> None:
    tool = PIPELINE.replace('jwt [shape=box, label="Tokens"]', 'jwt [handler="tool", command="x"]')
    text = report_text.markdown(report.final(read(FAILED_ENTRIES), build(parse(tool)), 0.0))
    assert section(text, "What to do next")[2:] == [
        "- `jwt` has failed: it was stuck",
        (
            "  - What its command said: "
            "`/project/.claude/attractor/runs/auth-1/evidence/jwt/2/output.log`"
        ),
        "",
        "To give what has failed another turn, and go on:",
        "",
        "```sh",
        "attractor resume auth-1",
        "```",
    ]


def test_what_was_validated_before_the_end_can_be_merged_all_the_same() -> None:
    stopped = night("DecisionAnswered", ended("stopped", 4, "stopped by a person"))
    text = report_text.markdown(stopped)
    assert "What was validated so far is on the branch" in text
    assert "attractor resume auth-1\n" in text
    budget = night("DecisionAnswered", ended("budget", 5, "nobody can tell which"))
    assert "attractor resume auth-1\n" in report_text.markdown(budget)


def test_of_a_run_whose_processes_are_gone_it_comes_first_how_it_goes_on() -> None:
    entries = told("merge-5")
    said = report.final(read(entries), graph(), seconds_of(entries[-1].at), "interrupted")
    assert (said["result"], said["interrupted"]) == ("interrupted", entries[-1].at)
    text = report_text.markdown(said)
    assert text.startswith("# Log in: interrupted\n\nThe run was interrupted, after 30 s. ")
    assert "Nothing of it is alive; its journal ends at 2026-01-01 00:00:30 UTC." in text
    assert section(text, "What to do next")[:5] == [
        "To go on where it was left:",
        "",
        "```sh",
        said["resume"],
        "```",
    ]
    assert said["resume"] == "attractor resume auth-1"


def test_a_run_that_is_being_ended_says_so() -> None:
    said = report.final(read(told("merge-5")), graph(), 0.0, "stopping")
    assert (said["result"], said["resume"], said["interrupted"]) == ("stopping", "", "")
    text = report_text.markdown(said)
    assert "It is being ended: what follows is known when it has." in text
    assert "attractor resume" not in text


FOUND: Said = (
    "DecisionAsked",
    {
        "id": "d1",
        "node": "ask",
        "attempt": 1,
        "kind": "review",
        "question": "the review by self of ask found something. What now?",
        "options": ["merge it", "give it back", "give up"],
        "context": "A review of your changes found 1:\n- a.py:3: a `bug`\n",
    },
)


def test_of_findings_at_the_limit_each_answer_is_shown_with_what_it_does() -> None:
    said = night("DecisionAsked", FOUND)
    assert [each["option"] for each in said["decisions"][0]["answers"]] == FOUND[1]["options"]
    lines = section(report_text.markdown(said), "What to do next")
    assert lines[2:4] == ["> A review of your changes found 1:", "> - a.py:3: a \\`bug\\`"]
    for option in FOUND[1]["options"]:
        (at,) = [n for n, line in enumerate(lines) if line.startswith(f"{option}: ")]
        assert lines[at + 3] == f"attractor answer d1 '{option}' --run auth-1".replace("''", "'")
    assert said["overridden"] == []


def test_what_a_person_had_merged_over_a_review_stands_in_the_headline() -> None:
    answer = {"id": "d1", "node": "ask", "option": "merge it", "note": "", "by": "terminal"}
    said = night("DecisionAsked", FOUND, ("DecisionAnswered", answer), ended("validated", 0))
    assert said["overridden"] == ["ask"]
    headline = report_text.markdown(said).splitlines()[2]
    assert headline.startswith("Every way to the end was judged good, after ")
    assert "A person had `ask` merged over what a review has found." in headline
    back = {**answer, "option": "give it back"}
    assert night("DecisionAsked", FOUND, ("DecisionAnswered", back))["overridden"] == []


def reviewed(*reviews: Mapping[str, Any], decided: tuple[Said, ...] = ()) -> str:
    """What is told of `jwt`, which was merged after these reviews."""
    ends = [
        ("TaskEnded", {"task": "x", "node": "jwt", "what": "", "review": {"findings": [], **each}})
        for each in reviews
    ]
    merged = moved("jwt", "passed", "impl_complete", "validated", attempt=2, merged="3" * 40)
    said = night('"merge-5", "kind"', *ends, *decided, merged)
    lines = section(report_text.markdown(said), "What happened")
    return next(line for line in lines if line.startswith("- `jwt`"))


def test_who_stood_in_for_a_reviewer_closed_the_node() -> None:
    gemini = {"reviewer": "gemini", "outcome": "passed", "why": "it stood in"}
    told = reviewed(
        {"reviewer": "self", "outcome": "passed"}, {**gemini, "stood_in": "Claude Code"}
    )
    assert ", reviewed by Claude Code, in place of gemini, merged as" in told
    assert told.endswith(", closed by the review by Claude Code, in place of gemini.")
    assert reviewed(gemini).endswith(", closed by the review by gemini.")


def test_a_rest_says_its_time_as_people_read_it() -> None:
    rest = {"until": "2026-11-21T21:53:00.000000Z", "why": "the hour is used"}
    text = report_text.markdown(night("merge-5", ("Paused", rest)))
    assert "- A rest until 2026-11-21 21:53:00 UTC: the hour is used." in text


def test_a_person_who_had_it_merged_closed_the_node() -> None:
    asked = (FOUND[0], {**FOUND[1], "node": "jwt", "attempt": 2})
    answer = {"id": "d1", "node": "jwt", "option": "merge it", "note": "", "by": "terminal"}
    told = reviewed(
        {"reviewer": "self", "outcome": "passed"},
        {"reviewer": "gemini", "outcome": "findings", "findings": [{"problem": "x"}]},
        decided=(asked, ("DecisionAnswered", answer)),
    )
    assert told.endswith(", closed by terminal over what a review has found.")


def test_what_a_persons_file_let_through_is_named_with_its_place() -> None:
    place = {"file": "keys/a.pem", "line": 3, "kind": "private-key"}
    told = reviewed({"reviewer": "scan", "outcome": "passed", "allowed": [place]})
    assert (
        "scanned for secrets, 1 allowed by `.attractor-allow` (`keys/a.pem:3 private-key`)" in told
    )
    many = reviewed({"reviewer": "scan", "outcome": "passed", "allowed": [place] * 12})
    assert "12 allowed by " in many
    assert many.count("keys/a.pem") == 10
    assert ", 2 more)" in many


def test_the_answers_of_the_guardian_are_those_of_which_the_report_knows_what_they_do() -> None:
    for kind, options in (("review", answers.REVIEW_OPTIONS), ("verdict", answers.VERDICT_OPTIONS)):
        assert all(choices.effect(kind, options, each) for each in options)
    assert choices.MERGE_IT == answers.MERGE_IT


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize(
    ("budget", "own", "option"),
    [
        ({"budget_usd": 0.5}, Own(), "--budget-usd"),
        ({"budget_tokens": 500}, Own(), "--budget-tokens"),
        ({"node_budget_usd": 0.5}, Own(), "--node-budget-usd"),
        ({"node_budget_tokens": 500}, Own(), "--node-budget-tokens"),
        ({}, Own(usd=0.5), "--node-budget-usd"),
        ({}, Own(tokens=500), "--node-budget-tokens"),
    ],
)
@pytest.mark.parametrize("name", ["w", "tokens", "12", "a 5 tokens, is used: 9"])
def test_who_goes_on_is_told_which_budget_to_raise_and_by_how_much(
    name: str, budget: dict[str, Any], own: Own, option: str, *, over: bool
) -> None:
    asked = Request(
        run_id="r", project="/p", run_root="/p/r", pipeline="p.dot", base_commit="b", **budget
    )
    spent = Story(spent_tokens=500 if over else 499, spent_usd=0.5 if over else 0.499)
    used = {"input_tokens": spent.spent_tokens, "cost_usd": spent.spent_usd}
    spent.nodes[name] = NodeStory(judging=used)
    words = (
        used_up(spent, asked, [(name, own)]) if over else room(spent, asked, name, own, 9, 0).why
    )
    assert words.startswith("the budget of ")
    said = night("DecisionAnswered", ended("budget", 5, words))
    assert f"\n{said['resume']}\n" in report_text.markdown(said)
    *command, named, amount = shlex.split(said["resume"])
    assert (command, named) == (["attractor", "resume", "auth-1"], option)
    given = {"budget_tokens": None, "budget_usd": None, option[2:].replace("-", "_"): 0}
    raised = {key: float(amount) for key, each in given.items() if each is not None}
    again = replace(asked, **{**dict.fromkeys(budget), **raised})
    assert not used_up(spent, again, [(name, Own())])
    assert room(spent, again, name, Own(), 9, 0).ok


@pytest.mark.parametrize(
    ("reason", "option"),
    [
        ("the budget of 10 tokens is used: 4210", "--budget-tokens 8500"),
        (
            "the budget of the run has 10 of 10 tokens left, and 4000 are needed",
            "--budget-tokens 8000",
        ),
        ("the budget of greet, 20000 tokens, is used: 84100", "--node-budget-tokens 170000"),
        (
            "the budget of greet has 0 of 2e+06 tokens left, and 9 are needed",
            "--node-budget-tokens 4100000",
        ),
        ("the budget of 5 USD is used: 5.02", "--budget-usd 11"),
        ("the budget of 0.001 USD is used: 0.0012", "--budget-usd 0.0024"),
    ],
)
def test_the_amount_is_a_round_number_twice_of_what_was_needed(reason: str, option: str) -> None:
    assert going_on.command("r 1", "budget", reason) == f"attractor resume 'r 1' {option}"
    assert going_on.command("r 1", "interrupted", reason).endswith(option)
    assert going_on.command("r 1", "validated", reason) == ""


def test_what_names_no_cost_is_not_told_as_free() -> None:
    said = night()
    assert "told no cost" not in report_text.markdown(said)
    first = node(said, "jwt")["attempts"][0]
    del first["usage"]["cost_usd"]
    assert "- Not in it: sessions that told no cost" in report_text.markdown(said)
    first["ended"] = ""  # it may tell yet
    assert "told no cost" not in report_text.markdown(said)


def test_the_table_has_a_row_for_each_node() -> None:
    table = section(report_text.markdown(night()), "Nodes")
    assert table[3] == "| `jwt` | validated | 2 | 0.50, 1.00 | 29 s | 760 | $1.20 | Tokens |"
    assert table[4].endswith("| Pass\\|words |")
    assert len(table) == 2 + 5


def test_a_terminal_gets_the_same_without_marks() -> None:
    text = report_text.plain(night())
    assert "`" not in text
    assert "    git -C /project merge attractor/auth-1/integration\n" in text
    assert "  jwt     validated  2         0.50, 1.00  29 s" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.2, "less than 1 s"),
        (12, "12 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7_805, "2 h 10 min"),
    ],
)
def test_a_length_of_time_is_said_in_words(seconds: float, words: str) -> None:
    assert report_text.took(seconds) == words


WILD = st.text(st.sampled_from("a_*`|[]<>#\\~&!\n\r\t\x1b\u202e\x00\u2028 -1.é"), max_size=40)


@given(WILD)
def test_no_text_leaves_its_line_or_its_cell(text: str) -> None:
    for style in (Markdown(), Plain()):
        for shown in (style.text(text), style.code(text)):
            assert shown.isprintable()
    cell = Markdown().text(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`<>*\[\]]", cell)
    assert not re.search(r"(?<!\\)\|", Markdown().code(text))
    assert Markdown().code(text).count("`") in (0, 2)


@given(WILD, WILD)
def test_texts_of_agents_change_neither_headings_nor_tables(reason: str, note: str) -> None:
    answer = {"id": "d1", "node": "ask", "option": "approve", "note": note, "by": note}
    said = night("DecisionAnswered", ("DecisionAnswered", answer), ended("failed", 1, reason))
    text, plain = report_text.markdown(said), report_text.markdown(night())
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [line for line in plain.splitlines() if line.startswith("## ")]
    (row,) = [line for line in section(text, "Decisions") if line.startswith("| `ask`")]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 6


def test_what_is_long_is_cut() -> None:
    assert in_line("x" * 50, 10) == "xxxxxxx..."
    assert in_line("x" * 10, 10) == "x" * 10
    said = night("DecisionAnswered", ended("failed", 1, "y" * 100_000))
    assert len(said["reason"]) == 1_000
    assert len(report_text.markdown(said)) < 5_000


def test_words_with_underscores_stay_readable() -> None:
    assert Markdown().text("impl_jwt and _this_") == "impl_jwt and \\_this\\_"


def test_a_success_is_written_with_the_document_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, real = [], atomic.replace

    def replace(path: Any, data: bytes) -> None:
        written.append(Path(path).name)
        real(path, data)

    monkeypatch.setattr(atomic, "replace", replace)
    report.write(RunLayout(str(tmp_path)), night())
    assert written == ["SUCCESS.md", "final.json"]
    assert json.loads((tmp_path / "final.json").read_text()) == night()
    assert (tmp_path / "SUCCESS.md").read_text() == report_text.markdown(night())


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    report.write(layout, night())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    report.write(layout, night())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(before) == ["SUCCESS.md", "final.json"]


def test_only_a_run_that_succeeded_has_a_success(tmp_path: Path) -> None:
    layout = RunLayout(str(tmp_path))
    report.write(layout, night())
    report.write(layout, FAILED)
    assert [path.name for path in tmp_path.iterdir()] == ["final.json"]
    assert json.loads((tmp_path / "final.json").read_text())["result"] == "failed"


def test_without_room_for_the_success_there_is_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(path: Any, data: bytes) -> None:
        del data
        raise StorageError("the disk is full", where=str(path))

    monkeypatch.setattr(atomic, "replace", replace)
    with pytest.raises(StorageError):
        report.write(RunLayout(str(tmp_path)), night())
    assert not (tmp_path / "final.json").exists()


def test_it_is_the_same_whenever_it_is_made_after_the_end() -> None:
    entries = [json.loads(line) for line in NIGHT]
    story = read(
        Entry(seq, BEGAN.isoformat(), each["event"], each["data"], "", "")
        for seq, each in enumerate(entries, 1)
    )
    assert report.final(story, graph(), 1e9) == report.final(story, graph(), 2e9)
