"""A night as a person has it: a goal in the evening, trouble, a power cut, a report in the morning.

By the real command, with the real Claude Code and the scripted model, from outside only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from attractor.plan.write import plan_folder
from attractor.rehearsal.made_plan import plan_for
from attractor.rehearsal.made_review import BY_ANOTHER

pytestmark = pytest.mark.timeout(900)

NIGHT_SECONDS = 400
"""For a whole night on a machine that may be busy; no wait is meant to be waited out."""
FIRST = "Keep notes that can be added and listed"
SECOND = "Notes can be listed and removed"
FUTILE, LIMITED, SENT_BACK = "impl_notes", "impl_added", "impl_listed"
TROUBLE = (
    f"futile@{FUTILE}",
    f"ratelimit@{LIMITED}",
    f"findings@{SENT_BACK}",
    f"afterthought@{SENT_BACK}",
)


def repository(folder: Path) -> Path:
    """Make a person's repository with one commit."""
    project = folder / "project"
    subprocess.run(["git", "init", "-q", "-b", "main", str(project)], check=True, timeout=60)
    (project / ".gitignore").write_text("__pycache__/\n")
    for words in (
        ["config", "user.name", "T"],
        ["config", "user.email", "t@localhost"],
        ["add", "-A"],
        ["commit", "-q", "-m", "all"],
    ):
        subprocess.run(["git", "-C", str(project), *words], check=True, timeout=60)
    return project


def nodes_of(goal: str) -> list[str]:
    return [str(each["id"]) for each in plan_for(goal)["nodes"]]


def moved(entry: Any, node: str, event: str) -> bool:
    return entry.event == "NodeMoved" and (entry.data["node"], entry.data["event"]) == (node, event)


def told(asked: list[dict[str, Any]], role: str) -> str:
    """Return all that was said to a role."""
    said = "\n".join(json.dumps(each["said"]) for each in asked if each["role"] == role)
    assert said, role
    return said


def test_a_night_with_trouble_and_a_power_cut_is_told_and_the_next_one_knows_of_it(
    rehearsed: Any,
) -> None:
    run = rehearsed()
    faults = [word for each in TROUBLE for word in ("--fault", each)]
    where = ("--project", str(repository(run.folder)))
    run.night("--goal", FIRST, *where, "--review", "self,codex", *faults)
    assert set(nodes_of(FIRST)) >= {FUTILE, LIMITED, SENT_BACK}
    assert len(nodes_of(FIRST)) == 5
    run.await_entry(lambda each, _: moved(each, SENT_BACK, "rejected"), NIGHT_SECONDS)
    run.cut_power()
    assert run.alive() == []

    run.resume()
    assert run.status(NIGHT_SECONDS) == 0, run.said()
    assert run.alive() == []
    the_documents_tell(run)
    the_text_tells(run)
    verified = run.call("journal", "verify", run.layout.root)
    assert verified.returncode == 0, verified.stderr
    assert "all valid" in verified.stdout
    assert set(run.dispatched().values()) == {1}
    assert sorted(run.merged()) == sorted([*nodes_of(FIRST), "R01"])
    assert run.git("status", "--porcelain") == ""
    assert BY_ANOTHER not in told(planner_asked(run, "keep-notes"), "planner")

    run.night("--goal", SECOND, *where)
    assert {*nodes_of(SECOND)} & {*nodes_of(FIRST)}
    assert run.status(NIGHT_SECONDS) == 0, run.said()
    assert BY_ANOTHER in told(planner_asked(run, "notes-listed"), "planner")
    orchestrators = [each for each in run.asked() if each["role"] == "orchestrator"]
    for node in nodes_of(SECOND):
        own = [each for each in orchestrators if each["node"] == node]
        assert BY_ANOTHER in told(own, "orchestrator"), node
    assert run.alive() == []


def planner_asked(run: Any, plan: str) -> list[dict[str, Any]]:
    """Return what the scripted model was asked while a plan was made."""
    path = Path(plan_folder(run.story().request["project"], plan)) / "requests.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def the_documents_tell(run: Any) -> None:
    final = run.final()
    assert (final["result"], final["exit"]) == ("validated", 0)
    assert {each["state"] for each in final["nodes"]} == {"validated"}
    nodes = {each["id"]: each for each in final["nodes"]}
    assert {*nodes_of(FIRST), "R01"} < {*nodes}
    assert [(each["why"], each["node"], each["nodes"]) for each in final["changes"]] == [
        ("replan", FUTILE, []),
        ("retrospect", "finish", ["R01"]),
    ]
    assert [(each["round"], each["outcome"]) for each in final["looks_back"]] == [
        (1, "added"),
        (2, "silent"),
    ]
    counted = {name: sum(not a["free"] for a in each["attempts"]) for name, each in nodes.items()}
    assert counted == {**dict.fromkeys(nodes, 1), FUTILE: 4}
    failed = [each["how"] for each in nodes[FUTILE]["attempts"] if not each["free"]]
    assert len(set(failed[:3])) == 1
    assert nodes[FUTILE]["replanned"] == 1
    assert sum(each["cooldowns"] for each in nodes[LIMITED]["attempts"]) >= 1
    found = [each for each in nodes[SENT_BACK]["reviews"] if each["findings"]]
    assert [(each["reviewer"], each["outcome"], each["findings"]) for each in found] == [
        ("codex", "findings", 1)
    ]
    assert final["totals"]["began_again"] == 1


def the_text_tells(run: Any) -> None:
    said = run.call("report", run.layout.root)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    (limited,) = [each for each in lines if each.startswith(f"- {LIMITED}: ")]
    assert "cooldown" in limited
    (sent_back,) = [each for each in lines if each.startswith(f"- {SENT_BACK}: ")]
    who = "codex" if shutil.which("codex") else "Claude Code, in place of codex"
    assert f"reviewed by {who}: 1 finding and given back, " in sent_back
    assert sent_back.endswith(f", closed by the review by {who}.")
    assert f"- {FUTILE} led nowhere and was planned again: written anew." in lines
    assert "- Looking back, round 1: added R01." in lines
    assert "- Looking back, round 2: nothing is missing." in lines
    assert "- The Guardian was started again once, and went on from the journal." in lines
