"""A question is answered from the requirements and the graph, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.run.request import Request
from guardian import asking
from guardian.tasks import answer

Spec = dict[str, Any]


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    root = tmp_path / "run"
    (root / "tasks").mkdir(parents=True)
    (root / "pipeline.dot").write_text('digraph { one [acceptance="Logins last a day."] }')
    (tmp_path / "PRD.md").write_text("Sessions are kept in SQLite.")
    (tmp_path / "rubric").mkdir()
    (tmp_path / "rubric" / "login.feature").write_text("Scenario: the secret one")
    request = Request(
        run_id="r1",
        project=str(tmp_path),
        run_root=str(root),
        pipeline="p.dot",
        base_commit="a" * 40,
        prd=str(tmp_path / "PRD.md"),
        rubric=str(tmp_path / "rubric"),
    )
    said = {"kind": "answer", "task": "answer-1", "node": "one", "attempt": 1}
    about = {"question": "Which database?", "options": None, "about": "node: one", "model": "m"}
    return {**said, **about, "request": request.as_json(), "ask_timeout": 7}


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """`agent(said)`: what the agent says from now on; returns what it is asked."""

    def says(said: Answer | dict[str, Any]) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []
        if isinstance(said, dict):
            said = Answer(error_class=ErrorClass.NONE, structured=said, usage=Usage(requests=2))

        def ask(_: Spec, **parts: Any) -> Answer:
            asked.append(parts)
            return said

        monkeypatch.setattr(asking, "ask", ask)
        return asked

    return says


def test_what_the_requirements_decide_is_answered(spec: Spec, agent: Any, clock: Any) -> None:
    heard = agent({"answer": " SQLite. ", "why": "it says so"})
    found = answer.run(spec, clock)
    assert (found["answer"], found["why"], found["usage"]["requests"]) == (
        "SQLite.",
        "it says so",
        2,
    )
    (parts,) = heard
    assert (parts["role"], parts["model"], parts["timeout_seconds"]) == ("guardian", "m", 7)


def test_the_agent_is_told_requirements_graph_and_question_and_can_look_at_nothing(
    spec: Spec, agent: Any, clock: Any
) -> None:
    heard = agent({"answer": None, "why": "it does not say"})
    answer.run(spec, clock)
    (parts,) = heard
    for text in ("Sessions are kept in SQLite.", "Logins last a day.", "Which database?"):
        assert text in parts["prompt"]
    assert parts["tools"] == ()
    assert "secret" not in parts["prompt"]
    assert "rubric" not in parts["prompt"]


@pytest.mark.parametrize("said", [None, "", "  "])
def test_no_answer_is_null(said: str | None, spec: Spec, agent: Any, clock: Any) -> None:
    agent({"answer": said})
    assert answer.run(spec, clock)["answer"] is None


@pytest.mark.parametrize(
    ("said", "found"),
    [("SQLite", "sqlite"), (" in   memory", "in memory"), ("postgres", None), (None, None)],
)
def test_where_there_are_options_only_one_of_them_is_an_answer(
    said: str | None, found: str | None, spec: Spec, agent: Any, clock: Any
) -> None:
    heard = agent({"answer": said, "why": ""})
    spec["options"] = ["sqlite", "in memory"]
    assert answer.run(spec, clock)["answer"] == found
    assert "- sqlite\n- in memory\n" in heard[0]["prompt"]


def test_options_of_another_shape_are_shown_as_they_are(spec: Spec, agent: Any, clock: Any) -> None:
    heard = agent({"answer": "the first", "why": ""})
    spec["options"] = {"a": "first"}
    assert answer.run(spec, clock)["answer"] == "the first"
    assert '{"a": "first"}' in heard[0]["prompt"]


def test_an_error_is_no_answer_and_says_when_to_come_back(
    spec: Spec, agent: Any, clock: Any
) -> None:
    agent(Answer(error_class=ErrorClass.RATE_LIMIT, error="a limit", retry_at=5.0))
    found = answer.run(spec, clock)
    assert (found["answer"], found["why"], found["retry_at"]) == (None, "a limit", 5.0)
    assert "error" not in found


def test_however_long_a_question_and_the_requirements_are_the_prompt_is_bounded(
    spec: Spec, agent: Any, clock: Any
) -> None:
    heard = agent({"answer": "x" * 100_000, "why": "y" * 100_000})
    Path(spec["request"]["prd"]).write_text("p" * 5_000_000)
    spec |= {"question": "q" * 5_000_000, "about": "a" * 5_000_000, "options": {"o": "o" * 99_999}}
    found = answer.run(spec, clock)
    assert len(heard[0]["prompt"]) < 300_000
    assert len(found["answer"]) + len(found["why"]) <= 5_000


def test_requirements_that_are_not_there_are_none(spec: Spec, agent: Any, clock: Any) -> None:
    heard = agent({"answer": None})
    spec["request"]["prd"] = ""
    answer.run(spec, clock)
    assert "<requirements>\n(there is none)\n</requirements>" in heard[0]["prompt"]


def test_a_question_is_really_asked_and_leaves_nothing_behind(
    spec: Spec, clock: Any, tmp_path: Path
) -> None:
    result = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "terminal_reason": "completed",
        "result": "Done.",
        "structured_output": {"answer": "SQLite", "why": "it says so"},
        "session_id": "s-1",
        "total_cost_usd": 0.5,
        "modelUsage": {"opus": {"inputTokens": 3, "outputTokens": 4}},
    }
    program = tmp_path / "claude"
    program.write_text(
        f"#!/bin/sh\ncat > {tmp_path}/heard\ncat <<'END'\n{json.dumps(result)}\nEND\n"
    )
    program.chmod(0o755)
    spec["request"]["claude"] = str(program)
    spec["ask_timeout"] = 60
    assert answer.run(spec, clock)["answer"] == "SQLite"
    assert "Sessions are kept in SQLite." in (tmp_path / "heard").read_text()
    assert [path for path in tmp_path.rglob("*") if "question" in path.name] == []
