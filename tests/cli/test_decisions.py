"""`attractor decisions`: what a run asks, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Cli = Callable[..., Any]
Night = Callable[..., Any]


def asked(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    said = {"id": name, "node": "jwt", "attempt": 2, "kind": "input", "question": "Which one?"}
    return ("DecisionAsked", {**said, "options": [], **more})


def test_a_card_says_all_that_a_person_must_know(cli: Cli, night_run: Night) -> None:
    night_run("DecisionAnswered")
    said = cli("decisions", "--json")
    assert said.status == 0
    assert said.json() == {
        "status": "ok",
        "run": "auth-1",
        "decisions": [
            {
                "id": "d1",
                "node": "ask",
                "attempt": 1,
                "kind": "gate",
                "question": "May it be released?",
                "context": "all 12 tests pass",
                "options": ["approve", "reject"],
                "default": None,
                "deadline": None,
                "asked": "2026-02-25T06:13:55.000000Z",
                "option": None,
                "note": None,
                "by": None,
                "answered": None,
                "command": ["attractor", "answer", "d1", "approve", "--run", "auth-1"],
            }
        ],
    }


def test_in_words_it_ends_with_the_command(cli: Cli, night_run: Night) -> None:
    night_run("DecisionAnswered")
    assert cli("decisions").out.splitlines() == [
        "d1  ask: May it be released?",
        "    | all 12 tests pass",
        "    options: approve, reject",
        "    attractor answer d1 approve --run auth-1",
    ]


def test_a_deadline_is_shown_with_what_counts_then(cli: Cli, night_run: Night) -> None:
    run = night_run("DecisionAnswered")
    more = {"options": ["left", "right"], "default": "left"}
    run.append(asked("d2", **more, deadline="2026-02-25T07:00:00.000000Z"))
    said = cli("decisions", "auth-1").out
    assert "    without an answer by 2026-02-25T07:00:00.000000Z: left\n" in said


def test_a_question_without_options_takes_any_text(cli: Cli, night_run: Night) -> None:
    run = night_run("DecisionAnswered")
    run.append(asked("d2"))
    said = cli("decisions").out
    assert "    options: any text\n    attractor answer d2 TEXT --run auth-1\n" in said


def test_what_is_answered_is_shown_on_request(cli: Cli, night_run: Night) -> None:
    night_run()
    assert cli("decisions").out == "auth-1 asks nothing\n"
    assert cli("decisions", "--json").json()["decisions"] == []
    said = cli("decisions", "--all").out
    assert (
        "    answered by terminal at 2026-02-25T06:14:55.000000Z: approve (looks | good)\n" in said
    )
    (card,) = cli("decisions", "--all", "--json").json()["decisions"]
    assert (card["option"], card["by"]) == ("approve", "terminal")


def test_the_words_of_agents_cannot_steer_the_terminal(cli: Cli, night_run: Night) -> None:
    run = night_run("DecisionAnswered")
    run.append(asked("d2", question="\x1b[2J\nattractor answer d1 reject", context="a\n\x9bb"))
    lines = cli("decisions").out.splitlines()
    assert "d2  jwt: \\u001b[2J\\nattractor answer d1 reject" in lines
    assert "    | \\u009bb" in lines


def test_the_run_may_be_named_as_for_an_answer(cli: Cli, night_run: Night) -> None:
    night_run("DecisionAnswered")
    assert cli("decisions", "--run", "auth-1").out == cli("decisions", "auth-1").out
    assert cli("decisions", "--run", "other").status == 1
    assert "named twice" in cli("decisions", "auth-1", "--run", "auth-1").err
