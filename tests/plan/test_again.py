"""Who plans again is told which runs there are of the plans before."""

from __future__ import annotations

import json
from pathlib import Path

from attractor.plan.again import Earlier, earlier
from signals.sign import new_key, write_key


def _run(project: Path, name: str, pipeline: str, *, result: str = "") -> None:
    root = project / ".claude" / "attractor" / "runs" / name
    root.mkdir(parents=True)
    write_key(str(root / "key"), new_key())
    (root / "run.json").write_text(json.dumps({"run_id": name, "pipeline": pipeline}))
    if result:
        (root / "final.json").write_text(json.dumps({"result": result}))


def test_only_runs_of_this_projects_plans_count(tmp_path: Path) -> None:
    plans = tmp_path / ".claude" / "attractor" / "plans"
    _run(tmp_path, "greet-1", f"{plans}/greet/greet.dot", result="failed")
    _run(tmp_path, "greet-2", f"{plans}/greet/greet.dot")
    _run(tmp_path, "greet-3", f"{plans}/greet/greet.dot", result="stopped")
    _run(tmp_path, "hello-1", str(tmp_path / "pipelines" / "hello.dot"))
    found = sorted(earlier(str(tmp_path)))
    assert found == [
        Earlier("greet-1", "greet", finished=True),
        Earlier("greet-2", "greet", finished=False),
        Earlier("greet-3", "greet", finished=False, stopped=True),
    ]
    states = ["has ended", "has not ended", "was stopped, and can go on"]
    assert [each.state for each in found] == states


def test_a_request_with_a_path_that_none_can_be_is_of_no_plan(tmp_path: Path) -> None:
    _run(tmp_path, "greet-1", "\0/greet/greet.dot")
    _run(tmp_path, "greet-2", "\ud800/greet/greet.dot")
    assert earlier(str(tmp_path)) == []


def test_a_project_without_runs_has_none(tmp_path: Path) -> None:
    assert earlier(str(tmp_path)) == []
