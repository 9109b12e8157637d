"""One node is planned again: told anew or in parts, checked by code, and never at others' cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.schema import Schema
from attractor.agents.usage import Usage
from attractor.rehearsal.made_review import rewritten
from attractor.run.request import Request
from guardian import asking
from guardian.tasks import replan

Spec = dict[str, Any]


def _part(label: str = "Write the parser", **other: Any) -> dict[str, Any]:
    return {
        "label": label,
        "prompt": "Write parse.py.",
        "acceptance": "It parses a date.",
        "files": ["parse.py"],
        "checks": ["python3 -m unittest -q"],
        **other,
    }


def _said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"why": "It was too large.", "parts": [*parts]}


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    root = tmp_path / "run"
    (root / "tasks").mkdir(parents=True)
    (root / "pipeline.dot").write_text('digraph { impl [acceptance="Dates are parsed."] }')
    (tmp_path / "PRD.md").write_text("AC-1: ISO dates are read.")
    request = Request(
        run_id="r1",
        project=str(tmp_path),
        run_root=str(root),
        pipeline="p.dot",
        base_commit="a" * 40,
        prd=str(tmp_path / "PRD.md"),
    )
    return {
        "kind": "replan",
        "task": "replan-1",
        "node": "impl",
        "attempt": 3,
        "request": request.as_json(),
        "graph": str(root / "pipeline.dot"),
        "prd": str(tmp_path / "PRD.md"),
        "about": "node: impl",
        "attrs": {"files": "parse.py, shared/"},
        "reasons": ["no progress", "the same error three times"],
        "files_of_others": {"other": ["store.py", "shared/dates.py", " "]},
        "model": "m",
        "memory": False,
        "ask_timeout": 7,
    }


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """`agent(said, ...)`: what the agent says, in turn; returns what it is asked."""

    def says(*said: Answer | dict[str, Any]) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def ask(_: Spec, **parts: Any) -> Answer:
            asked.append(parts)
            found = said[len(asked) - 1]
            if isinstance(found, Answer):
                return found
            usage = Usage(requests=1)
            return Answer(error_class=ErrorClass.NONE, structured=found, usage=usage)

        monkeypatch.setattr(asking, "ask", ask)
        return asked

    return says


def test_one_part_rewrites_the_node_and_more_split_it(spec: Spec, agent: Any, clock: Any) -> None:
    agent(_said(_part()))
    found = replan.run(spec, clock)
    assert (found["outcome"], found["why"]) == ("rewritten", "It was too large.")
    assert found["parts"] == [_part()]
    agent(_said(_part("One"), _part("Two"), _part("Three"), _part("Four")))
    found = replan.run(spec, clock)
    assert found["outcome"] == "split"
    assert [each["label"] for each in found["parts"]] == ["One", "Two", "Three", "Four"]
    assert found["usage"]["requests"] == 1


def test_the_planner_is_told_all_that_is_known_and_has_no_tools(
    spec: Spec, agent: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (parts,) = agent(_said(_part())) or [None]
    replan.run(spec, clock)
    heard = agent(_said(_part()))
    monkeypatch.setattr(replan, "remembered", lambda *_: "We use dateutil.")
    replan.run({**spec, "memory": True}, clock)
    (parts,) = heard
    for text in (
        "We use dateutil.",
        "AC-1: ISO dates are read.",
        "Dates are parsed.",
        'Node "impl" is to be planned again.',
        "node: impl",
        "1. no progress\n2. the same error three times",
        "other: store.py, shared/dates.py",
    ):
        assert text in parts["prompt"], text
    assert (parts["role"], parts["tools"], parts["model"]) == ("replanner", (), "m")
    assert parts["cwd"] == f"{spec['request']['run_root']}/tasks"
    assert parts["timeout_seconds"] == 7


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ([_part(str(number)) for number in range(5)], "there are 5 parts"),
        ([_part("Same"), _part(" same ")], "the same label"),
        ([_part(acceptance=" ")], "its acceptance is empty"),
        ([_part(files=[])], "it names no files"),
        ([_part(files=["../out.py"])], "none that a node may write"),
        ([_part(files=["/etc/passwd"])], "none that a node may write"),
        ([_part(files=[".claude/settings.json"])], "none that a node may write"),
        ([_part(files=["store.py"])], "is written by other"),
        ([_part(files=["*.py"])], ""),
        ([_part(checks=["true"])], "cannot fail"),
        ([_part(checks=["echo 'open"])], "not one line of shell"),
    ],
)
def test_what_is_wrong_goes_back_once_with_the_reason(
    parts: list[dict[str, Any]], wrong: str, spec: Spec, agent: Any, clock: Any
) -> None:
    heard = agent(_said(*parts), _said(_part()))
    found = replan.run(spec, clock)
    assert found["outcome"] == "rewritten"
    assert len(heard) == (2 if wrong else 1)
    if wrong:
        assert wrong in heard[1]["prompt"]
        assert "<refused>" in heard[1]["prompt"]


def test_what_stays_wrong_is_an_error_and_decides_nothing(
    spec: Spec, agent: Any, clock: Any
) -> None:
    heard = agent(_said(_part(files=[])), _said(_part(files=[])))
    found = replan.run(spec, clock)
    assert len(heard) == 2
    assert "it names no files" in found["error"]
    assert "outcome" not in found
    assert found["usage"]["requests"] == 2


def test_a_file_that_the_node_itself_was_to_write_may_be_anothers_too(
    spec: Spec, agent: Any, clock: Any
) -> None:
    agent(_said(_part(files=["shared/dates.py"])))
    assert replan.run(spec, clock)["outcome"] == "rewritten"


def test_no_answer_is_an_error_that_says_when_to_ask_again(
    spec: Spec, agent: Any, clock: Any
) -> None:
    agent(Answer(error_class=ErrorClass.RATE_LIMIT, error="429", retry_at=5.0))
    found = replan.run(spec, clock)
    assert (found["error"], found["retry_at"]) == ("429", 5.0)


def test_without_requirements_it_is_asked_all_the_same(spec: Spec, agent: Any, clock: Any) -> None:
    heard = agent(_said(_part()))
    spec["prd"] = ""
    replan.run(spec, clock)
    assert "<requirements>\n(there is none)\n</requirements>" in heard[0]["prompt"]
    assert "<memory>" not in heard[0]["prompt"]


def test_what_a_rehearsal_answers_fits_the_schema_and_the_checks(
    spec: Spec, agent: Any, clock: Any
) -> None:
    said = rewritten("Parse dates", ["parse.py"])
    assert Schema(replan.SCHEMA).misfit(said) == ""
    agent(said)
    assert replan.run(spec, clock)["outcome"] == "rewritten"
