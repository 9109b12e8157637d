"""The table of rules: each row of facts has its answer, and some answers have laws."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attractor.run.limits import Limits
from runner.decide import NEEDS_PERSON, RULES, Decision, Kind, Rung, decide, next_look
from runner.facts import Checks, Facts, Opinion, Process, Promise, Turn
from runner.phrases import DONE_TAG, read

NOW = 1_800_000_000.0
LIMITS = Limits()
CLAIM = f"All is done and tested.\n\n{DONE_TAG}"
QUESTION = "I need to know one thing.\n<question>Postgres or SQLite?</question>"
STUCK = "<stuck>the build server refuses my key</stuck>"
PHRASE = "I tried everything. I am unable to proceed."


def facts(**changes: Any) -> Facts:
    """A session whose turn ended a moment ago, with nothing done."""
    base: dict[str, Any] = {
        "now": NOW,
        "limits": LIMITS,
        "turn": Turn.ENDED,
        "launched_at": NOW - 600,
        "last_event_at": NOW - 1,
        "progress_at": NOW - 2,
        "turn_ended_at": NOW - 1,
    }
    return Facts(**base | changes)


def ended(**changes: Any) -> Facts:
    """The same with one new commit, clean."""
    return facts(**{"commits": 1, "new_commits": True} | changes)


def busy(**changes: Any) -> Facts:
    return facts(**{"turn": Turn.BUSY} | changes)


def failed(failure: str, text: str = "", **changes: Any) -> Facts:
    return facts(turn=Turn.FAILED, failure=failure, failure_text=text, **changes)


QUIET = {"last_event_at": NOW - 300, "progress_at": NOW - 300}
QUIET_LONG = {"last_event_at": NOW - 1800, "progress_at": NOW - 1800}

# rule, kind, facts
ROWS: list[tuple[str, Kind, Facts]] = [
    ("exited", Kind.CRASHED, busy(process=Process.EXITED)),
    ("exited", Kind.CRASHED, facts(process=Process.EXITED, violation="x", message=CLAIM)),
    ("exited", Kind.CRASHED, facts(process=Process.EXITED, waiting="verdict")),
    ("busy", Kind.WORKING, busy(process=Process.UNKNOWN)),
    ("violation", Kind.VIOLATION, busy(violation="it edited a.py itself")),
    ("violation", Kind.VIOLATION, ended(violation="it edited a.py itself", message=CLAIM)),
    ("violation", Kind.VIOLATION, busy(violation="again", violations=9)),
    ("too many violations", Kind.STUCK, busy(violations=3)),
    ("busy", Kind.WORKING, busy(violations=2)),
    ("waits rightly", Kind.WAITING, facts(violations=3, waiting="guidance")),
    ("dialog", Kind.NEEDS_INPUT, busy(dialog="Do you trust this folder?")),
    ("dialog", Kind.NEEDS_INPUT, facts(turn=Turn.STARTING, launched_at=NOW - 99, dialog="trust")),
    ("dialog", Kind.NEEDS_INPUT, busy(dialog="trust", **QUIET)),
    ("dialog", Kind.NEEDS_INPUT, busy(dialog="another", waiting="verdict")),
    ("dialog reported", Kind.WAITING, busy(dialog="trust", waiting="input")),
    ("dialog reported", Kind.WAITING, busy(dialog="trust", waiting="guidance", **QUIET)),
    ("delivering", Kind.WAITING, ended(delivering=True, answered=False, message=CLAIM)),
    ("delivering", Kind.WAITING, facts(turn=Turn.INTERRUPTED, delivering=True)),
    ("delivering", Kind.WAITING, failed("server_error", delivering=True)),
    ("busy", Kind.WORKING, busy(delivering=True, answered=False)),
    ("nothing moves", Kind.STUCK, busy(delivering=True, answered=False, **QUIET)),
    ("said something", Kind.WAITING, ended(answered=False, message=CLAIM)),
    ("said something", Kind.WAITING, facts(answered=False, message=QUESTION)),
    ("said something", Kind.WAITING, failed("rate_limit", answered=False)),
    ("said something", Kind.WAITING, facts(answered=False, said_at=NOW - 299, **QUIET)),
    ("no reaction", Kind.STUCK, facts(answered=False, said_at=NOW - 300, **QUIET)),
    ("no reaction", Kind.STUCK, facts(turn=Turn.INTERRUPTED, answered=False, **QUIET)),
    ("said something", Kind.WAITING, facts(answered=False, waiting="guidance", **QUIET)),
    ("waits rightly", Kind.WAITING, ended(waiting="verdict", message=CLAIM)),
    ("waits rightly", Kind.WAITING, facts(waiting="input", message=QUESTION, **QUIET_LONG)),
    ("waits rightly", Kind.WAITING, failed("authentication_failed", waiting="guidance")),
    ("busy", Kind.WORKING, busy(waiting="input")),
    *[("api needs a person", Kind.STUCK, failed(name)) for name in sorted(NEEDS_PERSON)],
    (
        "api needs a person",
        Kind.STUCK,
        failed("rate_limit", "You've hit your monthly spend limit."),
    ),
    ("rate limit", Kind.RATE_LIMITED, failed("rate_limit")),
    ("rate limit", Kind.RATE_LIMITED, failed("overloaded")),
    ("rate limit", Kind.RATE_LIMITED, failed("server_error", 'API Error: 529 {"type":"error"}')),
    ("rate limit", Kind.RATE_LIMITED, failed("unknown", "Request rejected (429)")),
    ("rate limit", Kind.RATE_LIMITED, failed("rate_limit", message=CLAIM, commits=1)),
    ("api failure", Kind.TURN_ENDED, failed("server_error", "API Error: 500 Internal")),
    ("api failure", Kind.TURN_ENDED, failed("invalid_request", "API Error: 400 too long")),
    ("api failure", Kind.TURN_ENDED, failed("max_output_tokens")),
    ("api failure", Kind.TURN_ENDED, failed("unknown", message=CLAIM)),
    ("api failure", Kind.TURN_ENDED, failed("")),
    ("interrupted", Kind.TURN_ENDED, facts(turn=Turn.INTERRUPTED, message=CLAIM)),
    ("interrupted", Kind.TURN_ENDED, ended(turn=Turn.INTERRUPTED, checks=Checks.GREEN)),
    ("starting", Kind.STARTING, facts(turn=Turn.STARTING, launched_at=NOW - 59.9)),
    ("never started", Kind.STUCK, facts(turn=Turn.STARTING, launched_at=NOW - 60)),
    ("starting", Kind.STARTING, facts(turn=Turn.STARTING, launched_at=NOW + 9_000)),
    ("busy", Kind.WORKING, busy()),
    ("busy", Kind.WORKING, busy(message=CLAIM, commits=1, new_commits=True)),
    ("busy", Kind.WORKING, busy(message=PHRASE)),
    ("busy", Kind.WORKING, busy(last_event_at=NOW - 299.9, progress_at=0.0)),
    ("busy", Kind.WORKING, busy(last_event_at=0.0, progress_at=NOW - 299.9)),
    ("busy", Kind.WORKING, busy(last_event_at=0.0, progress_at=0.0, launched_at=NOW - 1)),
    ("nothing moves", Kind.STUCK, busy(**QUIET)),
    ("nothing moves", Kind.STUCK, busy(said_at=NOW, **QUIET)),
    ("nothing moves", Kind.STUCK, busy(background=1, **QUIET)),
    ("busy", Kind.WORKING, busy(tool_since=NOW - 300, **QUIET)),
    ("busy", Kind.WORKING, busy(tool_since=NOW - 1799, last_event_at=NOW - 1799, progress_at=0)),
    ("nothing moves", Kind.STUCK, busy(tool_since=NOW - 1800, launched_at=0, **QUIET_LONG)),
    ("busy", Kind.WORKING, busy(last_event_at=NOW + 9_000, progress_at=NOW + 9_000)),
    ("question", Kind.NEEDS_INPUT, facts(message=QUESTION)),
    ("question", Kind.NEEDS_INPUT, ended(message=f"{QUESTION}\n{STUCK}\n{DONE_TAG}")),
    ("question", Kind.NEEDS_INPUT, facts(message=QUESTION, background=1)),
    ("says stuck", Kind.STUCK, facts(message=STUCK)),
    ("says stuck", Kind.STUCK, ended(message=f"{STUCK}\n{DONE_TAG}", checks=Checks.GREEN)),
    ("background", Kind.BACKGROUND, facts(background=1)),
    ("background", Kind.BACKGROUND, ended(background=2, message=CLAIM, checks=Checks.GREEN)),
    ("background", Kind.BACKGROUND, facts(background=1, message=PHRASE)),
    ("background", Kind.BACKGROUND, facts(background=1, **QUIET)),
    ("background is silent", Kind.STUCK, facts(background=1, launched_at=0, **QUIET_LONG)),
    ("sounds stuck", Kind.STUCK, facts(message=PHRASE)),
    ("sounds stuck", Kind.STUCK, ended(message=f"{PHRASE}\n\n{DONE_TAG}", checks=Checks.GREEN)),
    ("claim contradicted", Kind.TURN_ENDED, facts(message=CLAIM)),
    ("claim contradicted", Kind.TURN_ENDED, facts(message=CLAIM, new_commits=True)),
    ("claim contradicted", Kind.TURN_ENDED, facts(message=CLAIM, commits=2)),
    ("claim contradicted", Kind.TURN_ENDED, facts(message=CLAIM, checks=Checks.GREEN)),
    ("claim contradicted", Kind.TURN_ENDED, ended(message=CLAIM, dirty=True)),
    ("claim contradicted", Kind.TURN_ENDED, ended(message=CLAIM, promise=Promise.OPEN)),
    ("claim contradicted", Kind.TURN_ENDED, ended(message=CLAIM, checks=Checks.RED)),
    ("claim contradicted", Kind.TURN_ENDED, facts(message=CLAIM, refusals=2)),
    ("claims too often", Kind.STUCK, facts(message=CLAIM, refusals=3)),
    ("claims too often", Kind.STUCK, ended(message=CLAIM, refusals=3, checks=Checks.RED)),
    ("claimed and corroborated", Kind.NEEDS_REVIEW, ended(message=CLAIM, refusals=3)),
    ("unfinished", Kind.TURN_ENDED, facts(dirty=True)),
    ("unfinished", Kind.TURN_ENDED, ended(dirty=True, checks=Checks.DUE)),
    ("unfinished", Kind.TURN_ENDED, ended(promise=Promise.OPEN, checks=Checks.GREEN)),
    ("unfinished", Kind.TURN_ENDED, ended(checks=Checks.RED)),
    ("checks due", Kind.RUN_CHECKS, ended(checks=Checks.DUE)),
    ("checks due", Kind.RUN_CHECKS, ended(checks=Checks.DUE, message=CLAIM)),
    ("checks run", Kind.WAITING, ended(checks=Checks.RUNNING, message=CLAIM)),
    ("claimed and corroborated", Kind.NEEDS_REVIEW, ended(message=CLAIM)),
    ("claimed and corroborated", Kind.NEEDS_REVIEW, ended(message=CLAIM, checks=Checks.GREEN)),
    ("claimed and corroborated", Kind.NEEDS_REVIEW, ended(message=CLAIM, promise=Promise.KEPT)),
    ("green", Kind.NEEDS_REVIEW, ended(checks=Checks.GREEN)),
    ("green", Kind.NEEDS_REVIEW, ended(checks=Checks.GREEN, opinion=Opinion.WORKING)),
    ("ask", Kind.ASK_MODEL, ended()),
    ("ask", Kind.ASK_MODEL, ended(promise=Promise.KEPT)),
    ("asked", Kind.WAITING, ended(opinion=Opinion.ASKED)),
    ("opinion: done", Kind.NEEDS_REVIEW, ended(opinion=Opinion.DONE)),
    ("opinion: needs input", Kind.NEEDS_INPUT, ended(opinion=Opinion.NEEDS_INPUT)),
    ("opinion: stuck", Kind.STUCK, ended(opinion=Opinion.STUCK)),
    ("no conclusion", Kind.TURN_ENDED, ended(opinion=Opinion.WORKING)),
    ("no conclusion", Kind.TURN_ENDED, ended(opinion=Opinion.NONE)),
    ("no conclusion", Kind.TURN_ENDED, facts()),
    ("no conclusion", Kind.TURN_ENDED, facts(**QUIET_LONG)),
    ("no conclusion", Kind.TURN_ENDED, facts(opinion=Opinion.DONE)),
    ("no conclusion", Kind.TURN_ENDED, facts(commits=3, checks=Checks.GREEN)),
    ("no conclusion", Kind.TURN_ENDED, facts(promise=Promise.OPEN)),
    ("no conclusion", Kind.TURN_ENDED, facts(checks=Checks.RED, commits=3)),
]


@pytest.mark.parametrize(("rule", "kind", "known"), ROWS)
def test_these_facts_mean_that(rule: str, kind: Kind, known: Facts) -> None:
    decision = decide(known)
    assert (decision.rule, decision.kind) == (rule, kind)
    assert decision.why


def test_every_rule_has_facts_that_only_it_answers() -> None:
    assert {rule for rule, _, _ in ROWS} == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_every_kind_has_a_rule() -> None:
    assert {rule.kind for rule in RULES} == set(Kind)


@pytest.mark.parametrize(("rule", "kind", "known"), ROWS)
def test_a_decision_has_the_words_that_its_kind_needs(rule: str, kind: Kind, known: Facts) -> None:
    decision = decide(known)
    spoken = {Kind.TURN_ENDED, Kind.NEEDS_REVIEW, Kind.NEEDS_INPUT, Kind.VIOLATION}
    silent = rule in {"green", "opinion: done"} and not known.message
    assert bool(decision.text) == (kind in spoken and not silent)
    assert decision.refusal == (rule == "claim contradicted")
    assert len(decision.text) < 3_000
    assert len(decision.why) < 1_000


def test_the_words_name_what_is_at_hand() -> None:
    assert "status 137" in decide(busy(process=Process.EXITED, exit_status=137)).why
    assert "Do you trust" in decide(busy(dialog="Do you trust this folder?")).text
    assert decide(facts(message=QUESTION)).text == "Postgres or SQLite?"
    assert "refuses my key" in decide(facts(message=STUCK)).why
    assert "unable to proceed" in decide(facts(message=PHRASE)).why
    assert "no commit" in decide(facts(message=CLAIM)).text
    assert "no new commit" in decide(facts(message=CLAIM, commits=2)).text
    assert "not committed" in decide(ended(message=CLAIM, dirty=True)).text
    assert "red" in decide(ended(checks=Checks.RED)).text
    assert "cs-promise" in decide(ended(promise=Promise.OPEN)).text
    assert "nothing done" in decide(facts(message=CLAIM, refusals=3)).why
    assert "For 5m" in decide(busy(**QUIET)).why
    assert "A tool runs" in decide(busy(tool_since=1.0, launched_at=0, **QUIET_LONG)).why
    assert "login expired" in decide(failed("authentication_failed", "login expired")).why
    assert decide(ended(message=CLAIM)).text == "All is done and tested."
    model = ended(opinion=Opinion.NEEDS_INPUT, question="Which port?", message="Hm.")
    assert decide(model).text == "Which port?"
    assert decide(replace(model, question="")).text == "Hm."


def test_the_ladder_begins_where_it_can_help() -> None:
    rungs = {rule.name: rule.least for rule in RULES if rule.least is not Rung.ASK}
    assert rungs == {
        "exited": Rung.RESTART,
        "too many violations": Rung.HAND_BACK,
        "no reaction": Rung.INTERRUPT,
        "api needs a person": Rung.HAND_BACK,
        "never started": Rung.RESTART,
        "claims too often": Rung.HAND_BACK,
    }


MESSAGES = ("", CLAIM, QUESTION, STUCK, f"{PHRASE}\n{DONE_TAG}", "I went on with step 2.")
FAILURES = ("", "rate_limit", "server_error", "authentication_failed")


def every() -> Iterator[Facts]:
    """Every combination of what is not a number, with numbers on both sides of each limit."""
    for process, turn, checks, promise, opinion, message, failure in itertools.product(
        Process, Turn, Checks, Promise, Opinion, MESSAGES, FAILURES
    ):
        if failure and turn is not Turn.FAILED:
            continue
        for commits, new, dirty in ((0, False, False), (1, True, False), (1, False, True)):
            yield ended(
                process=process,
                turn=turn,
                checks=checks,
                promise=promise,
                opinion=opinion,
                message=message,
                failure=failure,
                commits=commits,
                new_commits=new,
                dirty=dirty,
            )


def may_be_reviewed(known: Facts) -> None:
    said = read(known.message)
    assert known.turn is Turn.ENDED
    assert known.commits > 0
    assert known.new_commits
    assert not known.dirty
    assert known.promise is not Promise.OPEN
    assert known.checks in (Checks.NONE, Checks.GREEN)
    assert known.background == 0
    assert (said.stuck, said.phrase, said.question) == ("", "", "")
    assert (known.violation, known.dialog, known.waiting) == ("", "", "")
    assert said.done or known.checks is Checks.GREEN or known.opinion is Opinion.DONE


def may_be_asked_about(known: Facts) -> None:
    assert known.new_commits
    assert not known.dirty
    assert known.checks is Checks.NONE
    assert known.opinion is Opinion.NOT_ASKED
    assert not read(known.message).done


TURN_OF = {
    Kind.WORKING: Turn.BUSY,
    Kind.STARTING: Turn.STARTING,
    Kind.RATE_LIMITED: Turn.FAILED,
    Kind.BACKGROUND: Turn.ENDED,
    Kind.RUN_CHECKS: Turn.ENDED,
    Kind.ASK_MODEL: Turn.ENDED,
}


def lawful(known: Facts, decision: Decision) -> None:
    """What must hold whatever the facts are."""
    assert (decision.kind is Kind.CRASHED) == (known.process is Process.EXITED)
    assert TURN_OF.get(decision.kind, known.turn) is known.turn
    if decision.kind is Kind.NEEDS_REVIEW:
        may_be_reviewed(known)
    if decision.kind is Kind.ASK_MODEL:
        may_be_asked_about(known)
    if decision.kind is Kind.RUN_CHECKS:
        assert known.checks is Checks.DUE
    if decision.refusal:
        assert read(known.message).done
        assert known.refusals < known.limits.max_refusals
    if decision.kind in (Kind.TURN_ENDED, Kind.NEEDS_INPUT, Kind.VIOLATION):
        assert decision.text


def test_the_laws_hold_for_every_combination() -> None:
    seen = 0
    for known in every():
        lawful(known, decide(known))
        seen += 1
    assert seen > 10_000


TIMES = st.sampled_from([0.0, NOW - 5_000, NOW - 400, NOW - 61, NOW - 1, NOW, NOW + 500])
ANY = st.builds(
    Facts,
    now=st.just(NOW),
    limits=st.just(LIMITS),
    process=st.sampled_from(Process),
    exit_status=st.none() | st.integers(-15, 255),
    last_lines=st.text(max_size=20),
    turn=st.sampled_from(Turn),
    launched_at=TIMES,
    last_event_at=TIMES,
    progress_at=TIMES,
    turn_ended_at=TIMES,
    tool_since=st.none() | TIMES,
    background=st.integers(0, 2),
    dialog=st.sampled_from(["", "trust"]),
    message=st.sampled_from(MESSAGES) | st.text(),
    failure=st.sampled_from([*FAILURES, "overloaded", "unknown", "no such kind"]),
    failure_text=st.sampled_from(["", "(429)", "monthly spend limit"]) | st.text(),
    retry_at=st.none() | TIMES,
    violation=st.sampled_from(["", "it wrote a.py"]),
    violations=st.integers(0, 5),
    commits=st.integers(0, 2),
    new_commits=st.booleans(),
    dirty=st.booleans(),
    checks=st.sampled_from(Checks),
    promise=st.sampled_from(Promise),
    refusals=st.integers(0, 5),
    delivering=st.booleans(),
    answered=st.booleans(),
    said_at=TIMES,
    waiting=st.sampled_from(["", "verdict", "input", "guidance"]),
    opinion=st.sampled_from(Opinion),
    question=st.text(max_size=20),
)


@settings(max_examples=400, deadline=None)
@given(ANY)
@example(ended(message=CLAIM))
def test_the_laws_hold_for_any_facts(known: Facts) -> None:
    decision = decide(known)
    lawful(known, decision)
    assert decide(known) == decision


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_silence_is_needed_to_be_stuck_unless_somebody_said_so(known: Facts) -> None:
    fresh = replace(known, launched_at=NOW, last_event_at=NOW, progress_at=NOW, said_at=NOW)
    decision = decide(fresh)
    if decision.kind is Kind.STUCK:
        assert decision.rule in {
            "too many violations",
            "api needs a person",
            "says stuck",
            "sounds stuck",
            "claims too often",
            "opinion: stuck",
        }


@settings(max_examples=600, deadline=None)
@given(ANY)
def test_nothing_changes_before_the_next_look(known: Facts) -> None:
    before, moment = decide(known), next_look(known)
    horizon = NOW + 1_000_000 if moment is None else moment - 0.001
    assert moment is None or moment > NOW
    for now in (NOW, (NOW + horizon) / 2, horizon):
        later = decide(replace(known, now=now))
        assert (later.kind, later.rule) == (before.kind, before.rule)


def test_the_next_look_is_when_patience_ends() -> None:
    assert next_look(busy()) == NOW - 1 + 300
    assert next_look(busy(tool_since=NOW)) == NOW - 1 + 1800
    assert next_look(facts(turn=Turn.STARTING, launched_at=NOW)) == NOW + 60
    assert next_look(facts(background=1)) == NOW - 1 + 1800
    assert next_look(facts(answered=False, said_at=NOW)) == NOW + 300
    assert next_look(facts(answered=False, said_at=NOW, background=1)) == NOW + 300
    assert next_look(ended(waiting="verdict")) is None
    assert next_look(busy(**QUIET)) is None


def test_the_table_in_the_papers_is_the_table_in_the_code(root: Path) -> None:
    page = (root / "docs" / "concepts" / "supervision.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [
        (str(number), rule.name, rule.kind.value, rule.why) for number, rule in enumerate(RULES, 1)
    ]


PURE = ("decide", "case", "wording", "phrases", "ladder", "breaker", "cooldown", "durable", "facts")
IMPURE = {"os", "time", "subprocess", "socket", "random", "pathlib", "datetime", "signals.clock"}


@pytest.mark.parametrize("name", [*PURE, "fingerprint", "ratelimit"])
def test_what_decides_reads_nothing(root: Path, name: str) -> None:
    tree = ast.parse((root / "runner" / f"{name}.py").read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported & IMPURE == set()
    assert not any(isinstance(node, ast.Name) and node.id == "open" for node in ast.walk(tree))


def test_what_decides_stays_small_in_memory() -> None:
    names = ", ".join(f"runner.{name}" for name in (*PURE, "fingerprint", "ratelimit"))
    heavy = ["pydantic", "yaml", "click", "filelock", "subprocess", "watchdog", "datetime"]
    program = f"import sys, {names}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
