from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attractor.run.layout import (
    BareLayout,
    RunLayout,
    current_run,
    escape,
    layout_of,
    run_layout,
)

HOSTILE = ["", ".", "..", "../../x", "/etc/passwd", "a/b", "a\0b", "-rf", "~", "a\nb", "x" * 5000]
RUN = "/p/.claude/attractor/runs/r1"


def places(name: str) -> list[str]:
    run = RunLayout(RUN)
    return [
        run.runner_mailbox(name),
        run.node(name),
        run.assignment(name),
        run.events(name),
        run.pane_log(name),
        run.runner_owner(name),
        run.evidence(name, 3),
    ]


@settings(deadline=None)
@given(st.text())
@example("%2e")
@example("\ud800")
def test_a_name_becomes_one_short_printable_component(name: str) -> None:
    component = escape(name)
    assert component not in {"", ".", ".."}
    assert not component.startswith(".")
    assert component.isascii()
    assert component.isprintable()
    assert not set(component) & set("/\\ ")
    assert len(component) <= 200


NAMES = st.one_of(st.text(max_size=8), st.text(alphabet="aAbB%-./29eE\u00e9", max_size=300))


@settings(deadline=None)
@given(st.lists(NAMES, unique=True, min_size=2, max_size=6))
@example(["a", "A"])
@example(["", "%", "."])
@example([".", "%2e", "%2E"])
@example(["A", "a%-1", "A%-1"])
@example(["x" * 300, "x" * 301, "X" * 300])
def test_different_names_never_meet_even_where_case_is_ignored(names: list[str]) -> None:
    assert len({escape(name).casefold() for name in names}) == len(names)


@settings(deadline=None)
@given(NAMES)
def test_a_long_name_never_meets_a_short_one(name: str) -> None:
    long = "y" * 300
    assert name == long or escape(name) != escape(long)


@settings(deadline=None)
@given(st.text())
@example("../../x")
def test_no_node_leads_out_of_its_folder(name: str) -> None:
    for path in places(name):
        assert os.path.normpath(path) == path
        assert path.startswith(f"{RUN}/")
    assert os.path.dirname(RunLayout(RUN).node(name)) == f"{RUN}/nodes"
    assert os.path.dirname(run_layout("/p", name).root) == "/p/.claude/attractor/runs"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_can_be_created_and_stays_inside(name: str, tmp_path: Path) -> None:
    folder = Path(RunLayout(str(tmp_path)).node(name))
    folder.mkdir(parents=True)
    assert folder.resolve().parent == tmp_path.resolve() / "nodes"


@pytest.mark.parametrize("name", ["impl_auth", "a-1", "v1.2", "x"])
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert escape(name) == name


def test_a_name_with_capitals_stays_readable() -> None:
    assert escape("ImplAuth") == "ImplAuth%-11"


def test_a_run_lies_where_the_documentation_says() -> None:
    run = run_layout("/p", "r1")
    assert run == RunLayout(RUN)
    assert {
        "dot": run.dot,
        "journal": run.journal,
        "lock": run.lock,
        "checkpoints": run.checkpoints,
        "guardian": run.guardian_mailbox,
        "terminal": run.terminal_mailbox,
        "runner": run.runner_mailbox("n"),
        "assignment": run.assignment("n"),
        "events": run.events("n"),
        "pane_log": run.pane_log("n"),
        "runner_owner": run.runner_owner("n"),
        "evidence": run.evidence("n", 2),
        "owner": run.owner,
        "key": run.key,
        "final": run.final,
        "success": run.success,
    } == {
        "dot": f"{RUN}/pipeline.dot",
        "journal": f"{RUN}/journal.jsonl",
        "lock": f"{RUN}/guardian.lock",
        "checkpoints": f"{RUN}/checkpoints",
        "guardian": f"{RUN}/signals/guardian",
        "terminal": f"{RUN}/signals/terminal",
        "runner": f"{RUN}/signals/runner/n",
        "assignment": f"{RUN}/nodes/n/assignment.json",
        "events": f"{RUN}/nodes/n/events",
        "pane_log": f"{RUN}/nodes/n/pane.log",
        "runner_owner": f"{RUN}/nodes/n/owner.json",
        "evidence": f"{RUN}/evidence/n/2",
        "owner": f"{RUN}/owner.json",
        "key": f"{RUN}/key",
        "final": f"{RUN}/final.json",
        "success": f"{RUN}/SUCCESS.md",
    }
    assert current_run("/p") == "/p/.claude/attractor/current"


def test_a_bare_dot_file_has_everything_beside_it() -> None:
    bare = BareLayout("x/p.dot")
    assert (bare.journal, bare.lock, bare.checkpoints) == (
        "x/p.dot.journal.jsonl",
        "x/p.dot.lock",
        "x/p.dot.checkpoints",
    )


@pytest.mark.parametrize(
    ("dot", "layout"),
    [
        (f"{RUN}/pipeline.dot", RunLayout(RUN)),
        ("/p/.claude/attractor/current/pipeline.dot", RunLayout("/p/.claude/attractor/current")),
        (f"{RUN}/other.dot", BareLayout(f"{RUN}/other.dot")),
        ("/p/runs/r1/pipeline.dot", BareLayout("/p/runs/r1/pipeline.dot")),
        ("pipeline.dot", BareLayout("pipeline.dot")),
        ("/pipeline.dot", BareLayout("/pipeline.dot")),
    ],
)
def test_a_dot_file_belongs_to_its_run_or_to_itself(
    dot: str, layout: RunLayout | BareLayout
) -> None:
    assert layout_of(dot) == layout


def test_a_runs_graph_is_recognised_from_inside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".claude/attractor/runs/r1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert layout_of("pipeline.dot") == RunLayout(".")
