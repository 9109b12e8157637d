"""`attractor rubric`: checks, shows and seals what is there, and has written what is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor import tools

Cli = Callable[..., Any]
DOT = """\
digraph g {
    graph [prd_ref="PRD-X", label="X"];
    start [shape=Mdiamond]; finish [shape=Msquare];
    a [shape=box, promise_ac="AC-1", prompt="Write a.", files="a.py"];
    gate [shape=hexagon, handler="wait.human", gate=technical, mode=technical];
    start -> a -> gate -> finish;
}
"""


@pytest.fixture
def hello(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pipeline of an example, with its PRD and rubric, in a folder that is no repository."""
    for name in ("pipelines", "acceptance-tests"):
        shutil.copytree(root / name, tmp_path / name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pipelines" / "hello.dot"


@pytest.fixture
def unwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline with a PRD and no rubric."""
    (tmp_path / "prd").mkdir()
    (tmp_path / "prd" / "PRD-X.md").write_text("# X\n1. **AC-1** It is.\n2. **AC-2** It stays.\n")
    (tmp_path / "p.dot").write_text(DOT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "p.dot"


@pytest.fixture
def claude() -> None:
    if tools.find_claude() is None:
        pytest.skip("there is no claude here: install the sdk extra")


def rubric_of(pipeline: Path) -> Path:
    return pipeline.parent.parent / "acceptance-tests" / "PRD-HELLO-001"


def test_a_good_rubric_is_valid_by_its_pipeline_and_by_its_folder(cli: Cli, hello: Path) -> None:
    for target in (hello, rubric_of(hello)):
        said = cli("rubric", "lint", target)
        assert (said.status, said.err) == (0, "")
        assert said.out == f"{rubric_of(hello)}: valid, 0 errors, 0 warnings\n"


def test_what_is_wrong_is_said_with_place_and_fix_and_fails(cli: Cli, hello: Path) -> None:
    manifest = rubric_of(hello) / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("weight: 0.50", "weight: 0.40"))
    said = cli("rubric", "lint", hello)
    assert said.status == 1
    assert f"{manifest}:10:1: error: the weights sum to 0.9\n    fix: change them" in said.out
    found = cli("rubric", "lint", "--json", hello).json()
    assert found["valid"] is False
    assert found["errors"][0]["problem"] == "the weights sum to 0.9"


def test_lint_of_a_pipeline_knows_its_criteria_and_what_is_judged_nowhere(
    cli: Cli, hello: Path
) -> None:
    prd = hello.parent / "prd" / "PRD-HELLO-001.md"
    prd.write_text(prd.read_text() + "\n4. **AC-4** More.\n")
    said = cli("rubric", "lint", hello)
    assert (said.status, "no feature covers AC-4" in said.out) == (1, True)
    said = cli("rubric", "lint", hello.with_name("release.dot"))
    assert (said.status, "F1 is judged at no node" in said.out) == (0, True)


def test_what_is_no_yaml_is_an_error_of_lint(cli: Cli, hello: Path) -> None:
    (rubric_of(hello) / "manifest.yaml").write_text("a: [")
    said = cli("rubric", "lint", "--json", hello)
    assert said.status == 1
    assert "not YAML" in said.json()["errors"][0]["problem"]


def test_show_prints_every_feature_with_its_nodes_and_scenarios(cli: Cli, hello: Path) -> None:
    said = cli("rubric", "show", hello)
    assert said.status == 0
    assert "F1 Greets by name (AC-1): 0.50\n  judged at: impl_hello, judge_hello\n" in said.out
    assert "F3 Is tested (AC-3): 0.20\n  judged at: judge_hello\n" in said.out
    assert "\n    When `python3 hello.py Ada` is run\n" in said.out
    assert "\n  # Red Flags\n  #   tests without an assertion\n" in said.out
    found = cli("rubric", "show", "--json", hello).json()
    assert found["features"][0]["judged_at"] == ["impl_hello", "judge_hello"]
    assert found["features"][0]["scenarios"][0]["name"] == "A name is given"
    alone = cli("rubric", "show", rubric_of(hello))
    assert "judged at" not in alone.out


def test_show_says_which_work_is_judged_by_its_acceptance(cli: Cli, hello: Path) -> None:
    manifest = rubric_of(hello) / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("criteria: [AC-1]", "criteria: []"))
    said = cli("rubric", "show", hello)
    assert "impl_hello has no feature, and is judged by its acceptance:\n  `python3" in said.out


def test_a_seal_tells_what_has_changed_since(cli: Cli, hello: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    sealed.write_text(cli("rubric", "seal", hello).out)
    same = cli("rubric", "seal", hello, "--check", sealed)
    assert (same.status, same.out) == (0, "nothing has changed\n")
    (rubric_of(hello) / "is_tested.feature").write_text("Feature: F3 other\n")
    differs = cli("rubric", "seal", hello, "--check", sealed)
    assert (differs.status, differs.out) == (1, "is_tested.feature was changed\n")
    said = cli("rubric", "seal", hello, "--check", sealed, "--json").json()
    assert (said["same"], said["differences"]) == (False, ["is_tested.feature was changed"])
    assert len(said["files"]) == 4


def test_a_seal_that_is_none_is_refused(cli: Cli, hello: Path) -> None:
    said = cli("rubric", "seal", hello, "--check", hello)
    assert (said.status, "this is no seal" in said.err) == (1, True)


@pytest.mark.parametrize("verb", ["show", "seal"])
def test_where_there_is_no_rubric_it_is_said_how_to_get_one(
    cli: Cli, unwritten: Path, verb: str
) -> None:
    said = cli("rubric", verb, "--json", unwritten)
    assert said.status == 1
    assert said.json()["message"] == "there is no rubric yet"
    assert "attractor rubric write" in said.json()["fix"]


def test_a_pipeline_that_names_no_prd_is_refused(cli: Cli, unwritten: Path) -> None:
    unwritten.write_text(DOT.replace('prd_ref="PRD-X", ', ""))
    said = cli("rubric", "show", unwritten)
    assert (said.status, "does not say which rubric is its" in said.err) == (1, True)


def test_nothing_is_written_without_a_prd_or_over_a_rubric(cli: Cli, hello: Path) -> None:
    there = cli("rubric", "write", hello)
    assert (there.status, "there is a rubric already" in there.err) == (1, True)
    (hello.parent / "prd" / "PRD-HELLO-001.md").unlink()
    none = cli("rubric", "write", hello)
    assert (none.status, "no document of the requirements" in none.err) == (1, True)


def test_what_is_rehearsed_is_shown_and_not_kept(
    cli: Cli, unwritten: Path, claude: None, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = cli("rubric", "write", unwritten, "--rehearse")
    assert (said.status, said.err) == (0, "")
    assert "judged at: a" in said.out
    assert "rehearsed, and not kept" in said.out
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_rehearsed_into_a_folder_stays_and_can_be_read(
    cli: Cli, unwritten: Path, claude: None, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    said = cli("rubric", "write", unwritten, "--rehearse", "--rubric", folder, "--json")
    assert (said.status, said.json()["kept"]) == (0, True)
    assert said.json()["usage"]["requests"] == 1
    assert said.json()["features"][0]["criteria"] == ["AC-1", "AC-2"]
    assert cli("rubric", "lint", folder).status == 0
    again = cli("rubric", "write", unwritten, "--rehearse", "--rubric", folder)
    assert (again.status, "there is a rubric already" in again.err) == (1, True)


def test_a_rubric_that_is_refused_three_times_is_kept_aside_with_its_reasons(
    cli: Cli, unwritten: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from attractor.agents import asking
    from attractor.agents.answer import Answer, ErrorClass

    feature = {
        "id": "F1",
        "title": "X",
        "weight": 1,
        "criteria": ["AC-1"],
        "scenarios": [{"name": "a", "steps": ["Then a file is there"]}],
        "scoring_guide": ["1.0: it is"],
        "evidence": ["a.py"],
    }
    answer = Answer(error_class=ErrorClass.NONE, structured={"title": "X", "features": [feature]})
    monkeypatch.setattr(asking, "ask", lambda *_: answer)
    said = cli("rubric", "write", unwritten, "--json")
    assert said.status == 1
    assert "no feature covers AC-2 of the PRD" in said.json()["message"]
    kept = Path(said.json()["where"])
    assert sorted(each.name for each in kept.iterdir()) == ["1", "2", "3"]
    assert "AC-2" in (kept / "1" / "reasons.txt").read_text()
    assert kept.is_relative_to(tmp_path / "state")


def test_an_agent_that_cannot_answer_is_an_error_with_its_words(
    cli: Cli, unwritten: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from attractor.agents import asking
    from attractor.agents.answer import Answer, ErrorClass

    answer = Answer(error_class=ErrorClass.AUTH, error="nobody is logged in")
    monkeypatch.setattr(asking, "ask", lambda *_: answer)
    said = cli("rubric", "write", unwritten)
    assert (said.status, "nobody is logged in" in said.err) == (1, True)
    assert not (tmp_path / "state").exists()


def test_the_seal_is_what_sha256sum_prints(attractor: Cli, root: Path) -> None:
    folder = root / "acceptance-tests" / "PRD-HELLO-001"
    said = attractor("rubric", "seal", folder, "--json")
    plain = attractor("rubric", "seal", folder)
    files = json.loads(said.out)["files"]
    assert plain.out == "".join(f"{files[name]}  {name}\n" for name in sorted(files))
