"""Whole runs by the real command, rehearsed with the real Claude Code, from outside only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attractor.run.story import StoryEvent
from signals.owner import Liveness, liveness

pytestmark = pytest.mark.timeout(500)

_SECRET = re.compile(r"^\s*(?:Given|When|Then|And|But)\s+(.{12,})$", re.MULTILINE)


def node(name: str, files: str, **more: str) -> str:
    said = {"bead_id": f"B-{name}", "promise_ac": "AC-1", **more}
    rest = ", ".join(f"{key}={json.dumps(each)}" for key, each in said.items())
    return (
        f'{name} [shape=box, label="{name}", handler="codergen", status="pending", '
        f'worker_type="backend-solutions-engineer", prompt="Write {files}.", '
        f'acceptance="There is {files}.", files="{files}", {rest}];'
    )


def pipeline(folder: Path, *nodes: str, edges: str) -> Path:
    path = folder / "p.dot"
    path.write_text(
        "digraph p {\n"
        '    graph [label="P", promise_id=""];\n'
        '    start [shape=Mdiamond, label="Start", handler="start", status="pending"];\n'
        '    finish [shape=Msquare, label="Done", handler="exit", status="pending"];\n'
        f"    {' '.join(nodes)}\n    {edges}\n}}\n"
    )
    return path


def plain(text: str) -> str:
    return " ".join(text.split())


def secrets(run: Any) -> set[str]:
    folder = Path(run.story().rubric["folder"])
    texts = [path.read_text() for path in folder.glob("*.feature")]
    return {plain(each) for text in texts for each in _SECRET.findall(text)}


def told(run: Any, *, knowing: bool) -> str:
    """Return all that was said to those who know the rubric, or to all others."""
    roles = ("judge", "rubric")
    asked = [each for each in run.asked() if (each["role"] in roles) == knowing]
    return plain("\n".join(text for each in asked for text in strings(each)))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)


def leaks(run: Any) -> list[str]:
    """Return the sentences of the rubric that somebody was told who must not know them."""
    known, judges, others = secrets(run), told(run, knowing=True), told(run, knowing=False)
    # They would be found: judges are told them.
    assert any(each in judges for each in known)
    assert others
    return [each for each in known if each in others]


def moves(run: Any, event: str) -> Counter[tuple[str, int]]:
    said = [each.data for each in run.entries() if each.event == "NodeMoved"]
    return Counter(
        (each["node"], each.get("attempt", 0)) for each in said if each["event"] == event
    )


def merged(run: Any) -> Counter[str]:
    """Return how often the work of each node was merged, as git knows it."""
    log = run.git("log", "--merges", "--format=%s", run.story().integration)
    return Counter(re.findall(r"(?m)^Merge (\w+), attempt \d+, of run ", log))


def nothing_twice(run: Any) -> None:
    assert set(moves(run, "dispatched").values()) == {1}
    assert set(merged(run).values()) <= {1}


def attempts(run: Any, name: str) -> list[bool]:
    """Return of each attempt of a node whether it was charged."""
    return [not each.free for each in run.story().nodes[name].attempts]


def types(run: Any) -> Counter[str]:
    return Counter(each.signal_type for each in run.told(run.layout.terminal_mailbox))


def test_hello_is_carried_out_judged_merged_and_told(rehearsed: Any, root: Path) -> None:
    run = rehearsed()
    ended = run.folder / "ended"
    run.begin(root / "pipelines/hello.dot", "--on-end", f"cat >> {ended}")
    run.await_entry(lambda _, story: "impl_hello" in story.open_attempts)
    second = [sys.executable, "-I", "-m", "guardian", run.layout.root]
    before = Path(run.layout.owner).read_bytes()
    refused = subprocess.run(second, env=run.env, capture_output=True, timeout=60, check=False)
    assert refused.returncode == 75
    assert str(run.processes()["guardian"].pid).encode() in refused.stderr
    assert Path(run.layout.owner).read_bytes() == before
    assert run.status() == 0, run.said()

    final, story = run.final(), run.story()
    assert (final["result"], final["exit"], story.ended["exit"]) == ("validated", 0, 0)
    assert {each["state"] for each in final["nodes"]} == {"validated"}
    assert story.resumed == 0
    report = Path(run.layout.success).read_text()
    told = r"(?m)^- `impl_hello`: judged 1\.00, reviewed by self, merged as `[0-9a-f]{10}`"
    assert re.search(told, report), report
    assert final["merge"] in report
    assert run.call("journal", "verify", run.layout.root).returncode == 0
    assert run.git("symbolic-ref", "--short", "HEAD") == "main"
    assert run.git("rev-parse", "main") == final["base"]
    assert run.git("status", "--porcelain") == ""
    assert run.git("rev-parse", story.integration) == final["head"]
    assert {"hello.py", "test_hello.py"} <= set(
        run.git("ls-tree", "--name-only", final["head"]).split()
    )
    assert {each["role"] for each in run.asked()} >= {"orchestrator", "judge"}
    assert leaks(run) == []
    assert types(run) == {"PIPELINE_COMPLETE": 1}
    nothing_twice(run)
    calls = ended.read_text().splitlines()
    assert [json.loads(each)["result"] for each in calls] == ["validated"]


def test_diamond_merges_both_sides_into_one(rehearsed: Any, root: Path) -> None:
    run = rehearsed()
    run.begin(root / "pipelines/diamond.dot")
    assert run.status() == 0, run.said()
    assert merged(run) == {"impl_left": 1, "impl_right": 1}
    names = run.git("ls-tree", "--name-only", run.final()["head"]).split()
    assert {"encode.py", "decode.py"} <= set(names)
    assert leaks(run) == []
    nothing_twice(run)


@pytest.mark.parametrize(("option", "status"), [("approve", 0), ("reject", 1)])
def test_release_waits_for_a_person_who_decides(
    rehearsed: Any, root: Path, option: str, status: int
) -> None:
    run = rehearsed()
    run.begin(root / "pipelines/release.dot")
    assert run.status() == 3, run.said()
    assert types(run) == {"ESCALATION": 1}
    answered = run.call("answer", "d1", option, "--run", run.run_id, "--wait", "60")
    assert answered.returncode == 0, answered.stderr
    run.await_file(Path(run.layout.final))
    final = run.final()
    assert (final["result"], final["exit"]) == ("failed" if status else "validated", status)
    assert [each.option for each in run.story().decisions.values()] == [option]
    assert Path(run.layout.success).exists() == (status == 0)


def test_a_bad_night_ends_validated_although_the_layers_are_killed(
    rehearsed: Any, root: Path
) -> None:
    run = rehearsed()
    faults = ("reject@impl_login", "crash@impl_jwt", "ratelimit@impl_jwt")
    run.begin(root / "pipelines/auth.dot", *[w for each in faults for w in ("--fault", each)])
    run.await_entry(lambda _, story: story.node("impl_session").attempt is not None)
    run.await_entry(lambda each, _: _moved(each, "impl_session", "review_requested"))
    assert run.kill("guardian")
    run.await_entry(lambda each, _: _moved(each, "impl_login", "rejected"))
    assert run.kill("runner impl_login")
    # Only a person is waited for: then nobody at all is there, and the answer counts all the same.
    assert run.status() == 3, run.said()
    assert run.kill("keeper")
    assert run.kill("guardian")
    words = ("answer", "d1", "approve", "--run", run.run_id, "--wait", "60", "--json")
    answered = run.call(*words)
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["started"] is True
    run.resume()
    assert run.status() == 0, run.said()

    nothing_twice(run)
    assert merged(run) == {"impl_jwt": 1, "impl_login": 1, "impl_session": 1}
    assert attempts(run, "impl_jwt") == [True, True]
    assert attempts(run, "impl_login") == attempts(run, "impl_session") == [True]
    assert leaks(run) == []
    report = Path(run.layout.success).read_text()
    jwt = re.search(r"(?m)^- `impl_jwt`: attempt 1: .*$", report)
    assert jwt, report
    assert re.search(r"crash|status", jwt[0]), jwt[0]
    assert "; attempt 2: " in jwt[0]
    assert "cooldown" in jwt[0]
    login = re.search(
        r"(?m)^- `impl_login`: .*judged 0\.00 and given back, judged 1\.00, reviewed .*merged",
        report,
    )
    assert login, report
    assert types(run)["PIPELINE_COMPLETE"] == 1


def _moved(entry: Any, name: str, event: str) -> bool:
    return entry.event == "NodeMoved" and (entry.data["node"], entry.data["event"]) == (name, event)


def test_what_is_not_done_is_not_merged_and_what_is_hidden_is_not_found(
    rehearsed: Any, root: Path
) -> None:
    run = rehearsed()
    names = ("lies", "peeks", "stops", "writes")
    made = [node(each, f"{each}.txt") for each in names]
    edges = f"start -> {{{' '.join(names)}}} -> finish;"
    faults = ("lie@lies", "peek@peeks", "stuck@stops", "violate@writes")
    run.begin(
        pipeline(run.folder, *made, edges=edges),
        *[word for each in faults for word in ("--fault", each)],
        *("--prd", str(root / "pipelines/prd/PRD-HELLO-001.md")),
        *("--rubric", str(root / "acceptance-tests/PRD-HELLO-001")),
        *("--set", "max_attempts=2"),
    )
    assert run.status() == 1, run.said()
    final = run.final()
    said = {each["id"]: each for each in final["nodes"]}
    assert (final["result"], said["lies"]["state"]) == ("failed", "failed")
    assert said["lies"]["verdicts"] == []
    # Nothing was ever written, so it was planned again, and lied as often again.
    assert attempts(run, "lies") == [True] * 4
    assert said["lies"]["replanned"] == 1
    assert merged(run) == {"peeks": 1, "stops": 1, "writes": 1}
    assert said["stops"]["attempts"][0]["stuck"] >= 1
    assert said["writes"]["attempts"][0]["violations"] >= 1
    assert said["peeks"]["attempts"][0]["violations"] >= 1
    assert leaks(run) == []
    files = run.git("ls-tree", "-r", "--name-only", final["head"]).split()
    assert not any("violation" in each for each in files)
    assert not Path(run.layout.success).exists()
    report = run.call("report", run.run_id).stdout
    for word in ("lies", "was stuck", "broke the rules"):
        assert word in report
    nothing_twice(run)


def test_a_run_that_was_stopped_or_had_spent_its_budget_goes_on(
    rehearsed: Any,
) -> None:
    run = rehearsed()
    path = pipeline(run.folder, node("one", "one.txt"), edges="start -> one -> finish;")
    run.begin(path, "--budget-tokens", "8000")
    assert run.status() == 5, run.said()
    assert run.final()["result"] == "budget"
    run.resume("--budget-tokens", "100000000")
    # What was handed in is judged, and is stopped once more.
    run.await_entry(lambda _, story: any(each.kind == "validate" for each in story.tasks.values()))
    stopped = run.call("stop", run.run_id, "--timeout", "100")
    assert stopped.returncode == 0, stopped.stderr
    assert run.status() == 4, run.said()
    assert run.final()["result"] == "stopped"
    run.resume()
    assert run.status() == 0, run.said()
    assert attempts(run, "one") == [True]
    assert merged(run) == {"one": 1}
    nothing_twice(run)
    assert types(run)["PIPELINE_COMPLETE"] == 1


_GATES = """digraph p {
    graph [label="P", promise_id="", prd_ref="PRD-HELLO-001"];
    start [shape=Mdiamond, label="Start", handler="start", status="pending"];
    may [shape=hexagon, label="May it?", handler="wait.human", gate="business", mode="business",
         options="yes,no", status="pending"];
    judge [shape=hexagon, label="Is it?", handler="wait.human", gate="technical", mode="technical",
           promise_ac="AC-1", status="pending"];
    finish [shape=Msquare, label="Done", handler="exit", status="pending"];
    start -> may -> judge -> finish;
}
"""


def test_a_rubric_that_is_changed_after_it_was_sealed_stops_the_run(
    rehearsed: Any, root: Path
) -> None:
    run = rehearsed()
    path, rubric = run.folder / "gates.dot", run.folder / "rubric"
    path.write_text(_GATES)
    shutil.copytree(root / "acceptance-tests/PRD-HELLO-001", rubric)
    prd = str(root / "pipelines/prd/PRD-HELLO-001.md")
    run.begin(path, "--prd", prd, "--rubric", str(rubric))
    assert run.status() == 3, run.said()
    assert [each.event for each in run.entries()].count(StoryEvent.RUBRIC_SEALED) == 1
    changed = rubric / "is_tested.feature"
    changed.write_text(changed.read_text().replace("1.0:", "0.0:"))
    assert run.call("answer", "d1", "yes", "--run", run.run_id, "--wait", "60").returncode == 0
    run.resume()
    assert run.status() == 1, run.said()
    final = run.final()
    assert final["result"] == "failed"
    assert "the rubric was changed after it was sealed" in final["reason"]
    assert "is_tested.feature" in final["reason"]
    assert types(run)["ESCALATION"] >= 2
    assert liveness(run.processes()["guardian"]) is Liveness.DEAD


def test_a_rubric_that_agents_could_read_is_refused_with_the_command_that_helps(
    rehearsed: Any, root: Path, project: Path
) -> None:
    run = rehearsed()
    shutil.copytree(
        root / "acceptance-tests/PRD-HELLO-001", project / "acceptance-tests/PRD-HELLO-001"
    )
    shutil.copytree(root / "pipelines", project / "pipelines")
    for words in (
        ["config", "user.name", "T"],
        ["config", "user.email", "t@localhost"],
        ["add", "-A"],
        ["commit", "-q", "-m", "all"],
    ):
        subprocess.run(["git", "-C", str(project), *words], check=True, timeout=60, env=run.env)
    words = ("run", str(project / "pipelines/hello.dot"), "--rehearse", "--project", str(project))
    refused = run.call(*words)
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert "the rubric is committed in this project" in said
    assert not (project / ".claude/attractor/runs").exists()
    command = re.search(r"move it out: (mkdir .*? -- [^\s;]+);", said, re.DOTALL)
    assert command, said
    subprocess.run(["sh", "-c", command[1]], check=True, timeout=60, env=run.env)
    helped = run.call(*words, "--preflight")
    assert helped.returncode == 0, helped.stdout + helped.stderr
