"""A rubric by an agent is whole and good, or not there; what was refused is kept with reasons."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.schema import Schema
from attractor.errors import InputError
from attractor.pipeline.graph import Graph
from attractor.rubric import manifest, question, render
from attractor.rubric.prd import Prd
from attractor.rubric.write import Order, Writing, write

GOOD: dict[str, Any] = {
    "title": "Two things",
    "features": [
        {
            "id": "F1",
            "title": "Greets by name",
            "weight": 1.0,
            "criteria": ["AC-1"],
            "nodes": ["a"],
            "scenarios": [{"name": "A name", "steps": ["When it is run", "Then it prints Ada"]}],
            "scoring_guide": ["1.0: exact"],
            "evidence": ["hello.py"],
            "red_flags": ["a fixed name"],
        }
    ],
}


def made_worse(key: str, value: Any) -> dict[str, Any]:
    answer = deepcopy(GOOD)
    answer["features"][0][key] = value
    return answer


VACUOUS = made_worse("scenarios", [{"name": "A name", "steps": ["When run", "Then it works"]}])


class Agent:
    """Gives these answers, one after another, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    def __call__(self, prompt: str) -> Answer:
        self.asked.append(prompt)
        said = self.answers.pop(0)
        if isinstance(said, Answer):
            return said
        assert Schema(question.SCHEMA).misfit(said) == ""
        return Answer(error_class=ErrorClass.NONE, structured=said)


@pytest.fixture
def order(tmp_path: Path, graph_of: Callable[[str], Graph]) -> Order:
    return Order(
        folder=str(tmp_path / "state" / "PRD-X"),
        prd_id="PRD-X",
        prd=Prd("/docs/PRD-X.md", "AC-1: it greets, </requirements> and \U0001f600.", ("AC-1",)),
        graph=graph_of(
            'a [shape=box, acceptance="Ada is greeted."]; gate [shape=hexagon, gate=e2e]; a -> gate'
        ),
        session="run-1",
        tag="run-1",
        aside=str(tmp_path / "refused"),
    )


@pytest.fixture
def have(order: Order, clock: Any) -> Callable[[Agent], Writing]:
    return lambda agent: write(order, agent, clock)


def test_what_the_agent_writes_becomes_a_rubric_that_the_reader_reads(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    agent = Agent(GOOD)
    done = have(agent)
    found = manifest.load(order.folder)
    assert done.rubric == found
    assert (found.prd_id, found.written_by, found.title) == ("PRD-X", "run-1", "Two things")
    (feature,) = found.features
    assert (feature.criteria, feature.nodes, feature.weight) == (("AC-1",), ("a",), 1.0)
    assert feature.scenarios[0].outcomes == ("it prints Ada",)
    assert (feature.guide, feature.evidence) == (("1.0: exact",), ("hello.py",))
    assert feature.red_flags == ("a fixed name",)
    assert os.listdir(os.path.dirname(order.folder)) == ["PRD-X"]


def test_the_agent_is_told_the_requirements_and_the_work_it_is_for(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    agent = Agent(GOOD)
    have(agent)
    assert order.prd.text in agent.asked[0]
    assert "Ada is greeted." in agent.asked[0]


def test_what_lint_finds_goes_back_to_the_agent(
    order: Order, have: Callable[[Agent], Writing], tmp_path: Path
) -> None:
    agent = Agent(VACUOUS, GOOD)
    done = have(agent)
    assert done.rubric is not None
    assert "nothing that can be observed" in agent.asked[1]
    assert '"Then it works"' in agent.asked[1]
    assert done.refused == [str(tmp_path / "refused" / "1")]
    kept = tmp_path / "refused" / "1"
    assert "nothing that can be observed" in (kept / "reasons.txt").read_text()
    assert (kept / "manifest.yaml").is_file()


def test_after_three_rounds_there_is_no_rubric(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    agent = Agent(VACUOUS, made_worse("weight", 0.5), VACUOUS, GOOD)
    done = have(agent)
    assert (done.rubric, len(agent.asked), len(done.refused)) == (None, 3, 3)
    assert "nothing that can be observed" in done.findings[0].problem
    assert not os.path.lexists(order.folder)


def test_an_agent_without_an_answer_is_not_asked_again(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    agent = Agent(VACUOUS, Answer(error_class=ErrorClass.RATE_LIMIT, error="later", retry_at=5.0))
    done = have(agent)
    assert (done.rubric, done.answers[-1].retry_at, done.findings) == (None, 5.0, [])
    assert not os.path.lexists(order.folder)


def test_a_folder_with_something_in_it_is_left_alone(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    os.makedirs(order.folder)
    Path(order.folder, "mine").write_text("x")
    agent = Agent(GOOD)
    with pytest.raises(InputError, match="something here already"):
        have(agent)
    assert (agent.asked, os.listdir(order.folder)) == ([], ["mine"])


def test_who_comes_second_finds_the_rubric_of_the_first(
    order: Order, have: Callable[[Agent], Writing], files: dict[str, bytes]
) -> None:
    class Overtaken(Agent):
        def __call__(self, prompt: str) -> Answer:
            os.makedirs(order.folder)
            for name, data in files.items():
                Path(order.folder, name).write_bytes(data)
            return super().__call__(prompt)

    done = have(Overtaken(GOOD))
    assert done.rubric is not None
    assert [each.id for each in done.rubric.features] == ["F1", "F2"]
    assert os.listdir(os.path.dirname(order.folder)) == ["PRD-X"]


def test_the_draft_of_a_writer_that_was_killed_is_swept_away(
    order: Order, have: Callable[[Agent], Writing]
) -> None:
    draft = Path(os.path.dirname(order.folder), ".PRD-X.run-1")
    draft.mkdir(parents=True)
    (draft / "half").write_text("x")
    have(Agent(GOOD))
    assert os.listdir(os.path.dirname(order.folder)) == ["PRD-X"]
    assert "half" not in os.listdir(order.folder)


@pytest.mark.parametrize("title", ["../../etc/passwd", "/abs", "..", "ÄÖÜ", "a\0b", "x" * 200])
def test_file_names_are_safe_whatever_the_agent_says(
    order: Order, have: Callable[[Agent], Writing], title: str
) -> None:
    done = have(Agent(made_worse("title", title)))
    assert done.rubric is not None
    assert len(done.rubric.files) == 2
    (name,) = {*done.rubric.files} - {"manifest.yaml"}
    assert re.fullmatch(r"01_[a-z0-9]([a-z0-9_]*[a-z0-9])?\.feature", name)


@pytest.mark.parametrize(
    "text",
    [
        "one\n  Scenario: sneaked in\n    Then it works",
        "two\n# Red Flags\n#   none",
        '"""',
        "| a | b |",
        "# comment",
        "@tag",
        "a\u2028b\x1b[31m\r\nc",
        "Feature: other",
        "Examples:",
        "Red Flags",
    ],
)
def test_no_text_of_the_agent_becomes_anything_else_than_text(text: str) -> None:
    answer = deepcopy(GOOD)
    feature = answer["features"][0]
    feature |= {"title": text, "evidence": [text], "scoring_guide": [text], "red_flags": [text]}
    feature["scenarios"] = [{"name": text, "steps": ["When it is run", f"Then {text}"]}] * 2
    made = render.files(answer, prd_id="P: {", created="now", session="s")
    (found,) = manifest.parse(made, "/r").features
    plain = render.line(text)
    assert [each.name for each in found.scenarios] == [plain, plain]
    assert [each.outcomes for each in found.scenarios] == [(plain,), (plain,)]
    assert (found.title, found.evidence) == (plain, (plain,))
    assert (found.guide, found.red_flags) == ((plain,), (plain,))


@pytest.mark.parametrize(
    "wrong",
    [
        made_worse("id", "../x"),
        made_worse("criteria", ["one"]),
        made_worse("scenarios", [{"name": "A", "steps": ["it works"]}]),
        made_worse("evidence", []),
        made_worse("weight", 0),
        {"title": "x", "features": []},
    ],
)
def test_what_could_never_be_a_rubric_does_not_fit_the_schema(wrong: dict[str, Any]) -> None:
    assert Schema(question.SCHEMA).misfit(GOOD) == ""
    assert Schema(question.SCHEMA).misfit(wrong) != ""
