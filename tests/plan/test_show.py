"""A plan is shown by what comes after what, each node once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from attractor.errors import ToolError
from attractor.pipeline import render
from attractor.plan import show
from attractor.plan.draft import plan_of
from attractor.rehearsal.made_plan import plan_for

DOT = "digraph p { start [shape=Mdiamond]; finish [shape=Msquare]; start -> finish }"


def test_each_node_stands_below_the_last_that_it_waits_for_and_names_the_others() -> None:
    lines = show.tree(plan_of(plan_for("alpha beta gamma delta epsilon")))
    nodes = [each for each in lines if "impl_" in each]
    assert [each.partition(":")[0] for each in nodes] == [
        "`-- impl_alpha",
        "    |-- impl_beta",
        "    |-- impl_gamma",
        "    `-- impl_delta",
        "        `-- impl_epsilon",
    ]
    assert nodes[-1].endswith("[AC-5] (also after impl_beta, impl_gamma)")
    assert "    |   files: alpha_beta/alpha.py" in lines
    assert "                files: alpha_beta/epsilon.py" not in lines[0]


def test_the_picture_lies_beside_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "p.dot").write_text(DOT)
    path, why = show.picture(str(tmp_path / "p.dot"))
    assert (path, why) == (str(tmp_path / "p.svg"), "")
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()


def test_without_graphviz_it_is_said_and_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: bytes) -> bytes:
        raise ToolError("dot is not installed")

    monkeypatch.setattr(render, "svg", missing)
    (tmp_path / "p.dot").write_text(DOT)
    path, why = show.picture(str(tmp_path / "p.dot"))
    assert (path, why) == ("", "there is no picture: dot is not installed")
    assert not (tmp_path / "p.svg").exists()


@pytest.mark.parametrize("width", [40, 60, 80])
def test_what_is_too_wide_goes_on_below_itself_and_no_path_is_broken(width: int) -> None:
    plan = plan_of(plan_for("alpha beta gamma delta epsilon"))
    path = "a-folder/with-a-long/name-and/" + "x" * 30 + ".py"
    last = replace(plan.nodes[-1], files=(path, "b.py"), checks=("test -s b.py",) * 9)
    lines = show.tree(replace(plan, nodes=(*plan.nodes[:-1], last)), width)
    assert all(len(each) <= width or path in each for each in lines)
    assert all(each.startswith(("`-- ", "|-- ", "    ", "|   ")) for each in lines)
    assert any(path in each for each in lines)
    text = " ".join(" ".join(each.lstrip("|` ") for each in lines).split())
    assert "(also after impl_beta, impl_gamma)" in text
    assert "checks: " + "; ".join(["test -s b.py"] * 9) in text
