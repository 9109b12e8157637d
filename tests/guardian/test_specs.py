"""What a task is told: from which commit on the work is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.run.node_story import Attempt
from attractor.run.records import Task
from attractor.run.story import Story
from guardian import advance, specs
from guardian.assemble import _iso, _writes_rubric
from guardian.core import Core

GRAPH = (
    "digraph g { start [shape=Mdiamond]; w [shape=box]; g [shape=hexagon, gate=unit];"
    "finish [shape=Msquare]; start -> w -> g -> finish; }"
)


@pytest.mark.parametrize(
    ("node", "attempt", "base"),
    [("w", 1, "first"), ("w", 2, "second"), ("w", 3, "base"), ("g", 1, "base")],
)
def test_work_is_judged_from_where_its_attempt_began_and_a_gate_from_where_the_run_did(
    house: type[Any], node: str, attempt: int, base: str
) -> None:
    made, story = house(GRAPH), Story()
    for name in ("w", "g"):
        story.node(name).attempts += [
            Attempt(1, "", "first"),
            Attempt(2, "", "second"),
            Attempt(3, ""),
        ]
    core = Core(made.graph, made.terms, made.request, story, _iso)
    task = Task("t", "validate", node, attempt, {"commit": "c", "round": 0}, "")
    assert specs.spec(core, task)["base"] == base


def core_of(house: type[Any], **terms: Any) -> Core:
    graph = GRAPH.replace(
        "w [shape=box]",
        'w [shape=box, label="W", prompt="do w", acceptance="w is done", files="w.py"];'
        'v [shape=box, label="V", files="v.py, v2.py"]',
    )
    made, story = house(graph, None, terms), Story()
    for name in ("w", "finish"):
        story.node(name).attempts.append(Attempt(1, "", "first", how="failed: it was stuck"))
    return Core(made.graph, made.terms, made.request, story, _iso)


def told(core: Core, kind: str, node: str = "w", **about: Any) -> dict[str, Any]:
    task = Task("t", kind, node, 1, about, "")
    said = specs.spec(core, task)
    assert specs.seconds(core, task) > said.get("ask_timeout", 0.0)
    return said


def test_only_the_nodes_own_agent_reviews_with_the_nodes_own_model(house: type[Any]) -> None:
    core = core_of(house, review_model="careful")
    core.story.node("w").reviews.append({"findings": [{"file": "w.py", "problem": "wrong"}]})
    own = told(core, "review", commit="c", reviewer="self", number=2)
    assert (own["agent"], own["model"], own["base"]) == ("claude", "careful", "first")
    assert own["before"] == [{"file": "w.py", "problem": "wrong"}]
    other = told(core, "review", commit="c", reviewer="gemini", number=2)
    assert (other["agent"], other["model"]) == ("gemini", "")


def test_who_plans_again_knows_why_it_failed_and_what_others_write(house: type[Any]) -> None:
    said = told(core_of(house, plan_model="big"), "replan")
    assert said["reasons"] == ["failed: it was stuck"]
    assert said["files_of_others"] == {"v": ["v.py", "v2.py"]}
    assert said["model"] == "big"
    assert "do w" in said["about"]


def test_who_looks_back_gets_all_that_is_merged(house: type[Any]) -> None:
    said = told(core_of(house), "retrospect", node="finish", head="h", round=1)
    assert (said["head"], said["round"], said["checks"]) == ("h", 1, ["make test"])


def test_the_memory_is_told_what_was_said(house: type[Any]) -> None:
    about = {"upto": 1, "outcome": "failed", "feedback": "mend it", "score": 0.2}
    said = told(core_of(house), "remember", **about)
    assert (said["outcome"], said["feedback"], said["score"]) == ("failed", "mend it", 0.2)


@pytest.mark.parametrize("kind", ["review", "retrospect", "replan"])
def test_what_reads_much_has_longer_than_a_single_answer(house: type[Any], kind: str) -> None:
    core = core_of(house)
    said = told(core, kind, commit="c", reviewer="self", number=1, head="h", round=1)
    assert said["ask_timeout"] == core.terms["w"].limits.review_timeout
    assert said["ask_timeout"] > core.terms["w"].limits.ask_timeout


@pytest.mark.parametrize(
    ("kind", "node", "about", "asks"),
    [
        ("validate", "w", {"commit": "c", "round": 0}, True),
        ("validate", "g", {"commit": "c", "round": 0}, False),  # its checks decide
        ("review", "w", {"reviewer": "self"}, True),
        ("review", "w", {"reviewer": "scan"}, False),
        ("replan", "w", {}, True),
        ("merge", "w", {}, False),
        ("books", "", {}, False),
    ],
)
def test_tokens_are_set_aside_where_a_model_is_asked(
    house: type[Any], kind: str, node: str, about: dict[str, Any], *, asks: bool
) -> None:
    assert (core_of(house).task(kind, node, about)["reserved"] > 0) is asks


@pytest.mark.parametrize("writes", [True, False])
def test_for_a_rubric_tokens_are_set_aside_only_where_one_is_written(
    house: type[Any], *, writes: bool
) -> None:
    made, story = house(GRAPH), Story()
    asked = replace(made.request, budget_tokens=3_000)
    core = Core(made.graph, made.terms, asked, story, _iso, writes_rubric=writes)
    advance.advance(core)
    assert (story.stopping is not None) is writes  # 4,000 are more than there is
    assert [each.reserved for each in story.tasks.values() if each.kind == "rubric"] == (
        [] if writes else [0]
    )


def test_a_rubric_is_written_where_there_are_requirements_and_none_yet(
    house: type[Any], tmp_path: Path
) -> None:
    asked = replace(house(GRAPH).request, prd="prd.md", rubric=str(tmp_path / "r"))
    assert _writes_rubric(asked)
    assert not _writes_rubric(replace(asked, prd=""))
    assert not _writes_rubric(replace(asked, rubric=""))
    (tmp_path / "r").mkdir()
    assert _writes_rubric(asked)
    (tmp_path / "r/manifest.yaml").write_text("")
    assert not _writes_rubric(asked)
