"""`attractor clean`: what ended runs have left is removed, and what is kept is named."""

from __future__ import annotations

import os
from typing import Any


def test_an_ended_run_is_cleaned_once_and_its_records_stay(ground: Any) -> None:
    assert ground.run(ground.tools("true")).status == 0
    (layout,) = ground.layouts()
    (name,) = ground.names()
    assert os.path.isdir(layout.trees)
    (done,) = ground.attractor("clean", "--json").json()["runs"]
    assert (done["run"], done["result"], done["kept"]) == (name, "validated", [])
    assert done["removed"] == [layout.trees]
    assert not os.path.exists(layout.trees)
    again = ground.attractor("clean", name)
    assert (again.status, again.out) == (0, "nothing to remove\n")
    assert ground.attractor("report", name).status == 0
    assert ground.attractor("runs", "--json").json()["runs"][0]["state"] == "validated"


def test_work_that_is_not_merged_is_named(ground: Any) -> None:
    commit = "echo x > x.txt && git add x.txt && git commit -qm x"
    assert ground.run(ground.tools(commit)).status == 0
    (name,) = ground.names()
    branch = f"attractor/{name}/integration"
    said = ground.attractor("clean")
    assert said.status == 0
    assert f"{name}: kept {branch}: it is not merged\n    git merge {branch}; or" in said.out
    assert ground.attractor("clean", name).status == 1
    ground.git("merge", "-q", branch)
    assert ground.attractor("clean", name).out == f"{name}: removed {branch}\n"


def test_a_run_that_can_be_resumed_is_cleaned_only_by_name_and_goes_on(ground: Any) -> None:
    assert ground.run(ground.tools("test -e now"), "--set", "max_attempts=1").status == 1
    (layout,) = ground.layouts()
    (name,) = ground.names()
    said = ground.attractor("clean")
    assert said.status == 0
    assert f"{name}: kept: it has ended failed, and can be resumed\n" in said.out
    assert f"attractor clean {name}\n" in said.out
    assert os.path.isdir(layout.trees)
    said = ground.attractor("clean", name)
    assert said.status == 0
    assert said.out.endswith(f"{name}: it can still be resumed; its branches stay\n")
    assert not os.path.exists(layout.trees)
    assert ground.attractor("resume", name).status == 1  # its command fails again


def test_a_run_that_has_not_ended_is_left_alone(ground: Any) -> None:
    assert ground.run(ground.gate()).status == 3
    (name,) = ground.names()
    said = ground.attractor("clean", name, "--force", "--json")
    assert said.status == 1
    assert (said.json()["message"], said.json()["where"]) == ("it has not ended", name)
    (done,) = ground.attractor("clean", "--json").json()["runs"]
    assert (done["removed"], done["kept"][0]["why"]) == ([], "it has not ended")
    assert ground.attractor("stop", name).status == 0


def test_what_cannot_be_meant_is_refused(ground: Any) -> None:
    assert ground.attractor("clean", "--force").status == 2
    assert ground.run(ground.tools("true")).status == 0
    assert "there is no run 'other'" in ground.attractor("clean", "other").err
