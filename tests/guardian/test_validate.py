"""Judging a commit: cheap first, evidence looked up, no verdict never a pass, nothing told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from attractor.agents.answer import Answer, ErrorClass
from attractor.agents.usage import Usage
from attractor.project.found_checks import Found
from attractor.rehearsal import script
from attractor.rehearsal.server import ScriptedServer
from attractor.run.layout import run_layout
from attractor.run.request import Request
from attractor.spawn import own_command
from guardian.tasks import validate
from guardian.tasks.validate import Parts
from signals.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
GREEN = {"status": "green", "command": "", "exit": 0, "tail": "2 passed\n", "seconds": 0.1}
RED = {"status": "red", "command": "make test", "exit": 2, "tail": "E  assert 1 == 2\n"}
HELLO = "import sys\n\nprint(f'Hello, {sys.argv[1]}!')\n"
QUOTE = {"file": "hello.py", "line": 3, "quote": "print(f'Hello"}
USAGE = Usage(sessions=1, requests=2, input_tokens=10, output_tokens=5, cost_usd=0.5)
STEP = "stderr is one line that says how the command is used"


def said(score: float, *evidence: object, **more: object) -> Answer:
    structured = {"score": score, "evidence": list(evidence or (QUOTE,)), **more}
    return Answer(error_class=ErrorClass.NONE, structured=structured, usage=USAGE)


def failed(error_class: ErrorClass, retry_at: float | None = None) -> Answer:
    return Answer(error_class=error_class, error="it failed", retry_at=retry_at, usage=USAGE)


@dataclass
class Judges:
    """Stands in for the judges: answers by what is asked, and keeps what it was asked."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    trees: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, _: Mapping[str, Any], **parts: Any) -> Answer:
        folder = Path(parts["cwd"])
        self.trees.append(
            {each.name: each.read_text() for each in folder.iterdir() if each.is_file()}
        )
        self.asked.append(parts)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class Made:
    """A project with one commit, a run of it, and a rubric."""

    project: Path
    rubric: Path
    request: Request
    commit: str
    checks: list[Any] = field(default_factory=lambda: [GREEN])
    checked: list[str] = field(default_factory=list)

    def spec(self, **said: Any) -> dict[str, Any]:
        from attractor.rubric import seal

        if "rubric" not in said:
            files = seal.hashes(seal.read(str(self.rubric)))
            said["rubric"] = {"folder": str(self.rubric), "files": files}
        return {
            "kind": "validate",
            "task": "validate-1",
            "request": self.request.as_json(),
            "node": "greet",
            "attempt": 1,
            "out": "",
            "commit": self.commit,
            "round": 0,
            "features": ["F1", "F2"],
            "acceptance": "",
            "checks": ["make test"],
            "target_dir": "",
            "label": "Greet",
            "prompt": "Write hello.py",
            "model": "",
            "previous": [],
            "assignment": "",
            "gate": False,
            "timeout": 60,
            "ask_timeout": 30,
            **said,
        }

    def run(self, judges: Callable[..., Answer], **said: Any) -> dict[str, Any]:
        answer = validate.run(
            self.spec(**said), SystemClock(), Parts(ask=judges, checks=self._check)
        )
        assert not os.path.exists(self.request.layout.trees) or not os.listdir(
            self.request.layout.trees
        )
        json.dumps(answer, allow_nan=False)
        return answer

    def _check(self, _: Any, tree: str, *__: Any) -> Any:
        self.checked.append(tree)
        found = self.checks[0]
        return found(tree) if callable(found) else found

    def report(self, name: str = "validation-report.json") -> Any:
        return json.loads(Path(self.request.layout.evidence("greet", 1), name).read_text())


@pytest.fixture
def made(tmp_path: Path) -> Made:
    project, rubric = tmp_path / "project", tmp_path / "PRD-HELLO-001"
    (project / "part").mkdir(parents=True)
    (project / "hello.py").write_text(HELLO)
    (project / "part" / "x.py").write_text("here = 1\n")
    (project / "out").symlink_to(tmp_path)
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=project, check=True, timeout=30)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project, timeout=30)
    commit = head.decode().strip()
    shutil.copytree(ROOT / "acceptance-tests" / "PRD-HELLO-001", rubric)
    layout = run_layout(str(project), "r1")
    os.makedirs(layout.tasks)
    request = Request(
        run_id="r1",
        project=str(project),
        run_root=layout.root,
        pipeline=str(tmp_path / "p.dot"),
        base_commit=commit,
        rubric=str(rubric),
    )
    return Made(project, rubric, request, commit)


def test_work_that_holds_passes_with_its_weighted_score(made: Made) -> None:
    judges = Judges([said(1.0), said(0.5), said(1.0)])
    answer = made.run(judges)
    assert answer["outcome"] == "passed"
    assert answer["score"] == pytest.approx((0.5 * 0.75 + 0.3 * 1.0) / 0.8)
    assert (answer["feedback"], answer["commit"], answer["round"]) == ("", made.commit, 0)
    assert "error" not in answer
    assert [(each["feature"], each["score"], each["ok"]) for each in answer["scenarios"]] == [
        ("F1", 1.0, True),
        ("F1", 0.5, False),
        ("F2", 1.0, True),
        ("F2", 1.0, True),
    ]
    assert answer["scenarios"][0]["evidence"] == [QUOTE]
    assert (answer["usage"]["requests"], answer["usage"]["cost_usd"]) == (8, 2.0)


def test_a_judge_sees_its_scenario_its_guide_the_checks_and_no_other(made: Made) -> None:
    judges = Judges([said(1.0)])
    made.run(judges)
    first = judges.asked[0]
    assert (first["role"], first["timeout_seconds"]) == ("judge", 30.0)
    assert "tools" not in first  # what can only read is the default
    for part in ("python3 hello.py Ada", "both outputs are exact", "2 passed", "Write hello.py"):
        assert part in first["prompt"]
    assert "an exit status of 0" in judges.asked[2]["prompt"]
    assert STEP not in first["prompt"]
    assert judges.trees[0]["hello.py"] == HELLO


def test_red_checks_fail_the_work_before_any_judge_is_asked(made: Made) -> None:
    made.checks = [RED]
    judges = Judges([said(1.0)])
    answer = made.run(judges)
    assert (answer["outcome"], answer["score"], judges.asked) == ("failed", None, [])
    assert "make test" in answer["feedback"]
    assert "E  assert 1 == 2" in answer["feedback"]
    told = {key: RED[key] for key in ("status", "command", "exit", "tail")}
    assert answer["checks"] == {**told, "ran": ["make test"], "notes": []}
    assert made.report()["checks"]["status"] == "red"


def test_checks_that_could_not_be_run_make_no_verdict(made: Made) -> None:
    made.checks = [{**RED, "status": "error", "tail": "no fence here"}]
    judges = Judges([said(1.0)])
    answer = made.run(judges)
    assert (answer["outcome"], answer["score"], judges.asked) == ("none", None, [])
    assert "no fence here" in answer["error"]
    assert answer["feedback"] == ""


def test_without_checks_there_is_nothing_of_them_to_quote(made: Made) -> None:
    judges = Judges([said(1.0, {"file": "checks", "line": 1, "quote": "status"})])
    answer = made.run(judges, checks=[])
    assert answer["checks"]["status"] == "none given"
    assert (answer["outcome"], made.checked) == ("none", [])


def test_the_results_of_the_checks_are_evidence(made: Made) -> None:
    answer = made.run(Judges([said(1.0, {"file": "checks", "line": 9, "quote": "2 passed"})]))
    assert answer["outcome"] == "passed"


def test_at_a_gate_of_checks_nobody_is_asked(made: Made) -> None:
    judges = Judges([said(0.0)])
    answer = made.run(judges, judged=False, features=[], label="", prompt="")
    assert (answer["outcome"], answer["score"], judges.asked) == ("passed", None, [])
    assert answer["checks"]["ran"] == ["make test"]


def test_at_a_gate_of_checks_none_at_all_is_no_verdict(made: Made) -> None:
    judges = Judges([said(1.0)])
    answer = made.run(judges, judged=False, features=[], checks=[])
    assert (answer["outcome"], judges.asked) == ("none", [])
    assert "no check to run" in answer["error"]


def test_a_check_that_was_left_out_is_in_the_evidence(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found((), ("there is a go.mod, and no go on this machine: it is not checked",))
    monkeypatch.setattr("guardian.checking.found_checks", lambda _: found)
    made.run(Judges([said(1.0)]), checks=[])
    assert made.report()["checks"]["notes"] == [*found.notes]


def changed(made: Made, files: Mapping[str, str | None]) -> str:
    """Commit some files, and return the commit."""
    for name, text in files.items():
        path = made.project / name
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
    for words in (("add", "-A"), (*identity, "commit", "-q", "-m", "more")):
        subprocess.run(["git", *words], cwd=made.project, check=True, timeout=30)
    said = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=made.project, timeout=30)
    return said.decode().strip()


@pytest.mark.parametrize("judged", [True, False])
def test_work_that_deletes_its_check_fails_and_nobody_is_asked(made: Made, judged: bool) -> None:
    base = changed(made, {"Makefile": "test:\n\ttrue\n"})
    commit = changed(made, {"Makefile": "all:\n\ttrue\n"})
    judges = Judges([said(1.0)])
    answer = made.run(judges, checks=[], base=base, commit=commit, judged=judged)
    assert (answer["outcome"], answer["score"], answer["checks"]["status"]) == (
        "failed",
        None,
        "red",
    )
    assert (
        "The check `make test` was there before, and the tests that it ran are gone."
        in (answer["feedback"])
    )
    assert (judges.asked, made.checked) == ([], [])
    assert made.report()["checks"]["command"] == "make test"


def test_the_checks_that_a_node_says_count_also_where_others_are_gone(made: Made) -> None:
    base = changed(made, {"Makefile": "test:\n\ttrue\n"})
    commit = changed(made, {"Makefile": None})
    judges = Judges([said(1.0)])
    assert made.run(judges, checks=["true"], base=base, commit=commit)["outcome"] == "passed"


def test_a_judge_is_told_which_tests_were_deleted_as_data(made: Made) -> None:
    base = changed(made, {"test_a.py": "a\n", "test_b.py": "b\n"})
    commit = changed(made, {"test_a.py": None, "new.txt": "new\n"})
    judges = Judges([said(1.0)])
    assert made.run(judges, base=base, commit=commit)["outcome"] == "passed"
    for each in judges.asked:
        prompt = each["prompt"]
        inside = prompt[prompt.index("<changes>") : prompt.index("</changes>")]
        assert "Tests that are no longer there" in inside
        assert inside.count("D test_a.py") == 2
        assert "A new.txt" in inside
        assert "deleted or weakened" in prompt
        assert "test_b.py" not in prompt


def test_what_a_check_writes_is_not_what_is_judged(made: Made) -> None:
    def dress_up(tree: str) -> Any:
        Path(tree, "hello.py").write_text("print('the best')\n")
        Path(tree, "more.py").write_text("best = 1\n")
        return GREEN

    made.checks = [dress_up]
    judges = Judges([said(1.0)])
    made.run(judges)
    assert judges.trees[0]["hello.py"] == HELLO
    assert "more.py" not in judges.trees[0]


@pytest.mark.parametrize(
    "void",
    [
        said(1.0, {"file": "hello.py", "line": 1, "quote": "this stands nowhere"}),
        said(1.0, QUOTE, {"file": "nowhere.py", "line": 1, "quote": "import sys"}),
        said(1.0, {"file": "../../../PRD-HELLO-001/manifest.yaml", "quote": "prd_id"}),
        Answer(error_class=ErrorClass.NONE, structured={"score": 0.1, "evidence": []}),
        Answer(
            error_class=ErrorClass.NONE, structured={"score": float("nan"), "evidence": [QUOTE]}
        ),
        Answer(error_class=ErrorClass.NONE, structured={"score": 7, "evidence": [QUOTE]}),
        Answer(error_class=ErrorClass.NONE, structured={"evidence": [QUOTE]}),
        Answer(error_class=ErrorClass.NONE, structured=None),
        failed(ErrorClass.TIMEOUT),
        failed(ErrorClass.SCHEMA),
        failed(ErrorClass.CRASHED),
    ],
)
def test_an_answer_that_does_not_count_is_asked_for_once_more(made: Made, void: Answer) -> None:
    judges = Judges([void, said(1.0)])
    assert made.run(judges)["outcome"] == "passed"
    assert len(judges.asked) == 5
    assert "did not count" in judges.asked[1]["prompt"]
    assert "did not count" not in judges.asked[2]["prompt"]

    judges = Judges([said(1.0), void])
    answer = made.run(judges)
    assert (answer["outcome"], answer["score"], answer["feedback"]) == ("none", None, "")
    assert answer["error"]
    assert len(judges.asked) == 3  # one, and the second twice; there can be no verdict any more
    assert [each["score"] for each in answer["scenarios"]] == [1.0, None]


def test_a_score_of_0_needs_no_evidence(made: Made) -> None:
    nothing = Answer(error_class=ErrorClass.NONE, structured={"score": 0, "evidence": []})
    answer = made.run(Judges([nothing]))
    assert (answer["outcome"], answer["score"]) == ("failed", 0.0)


def test_a_rate_limit_makes_no_verdict_and_says_when_to_come_back(made: Made) -> None:
    judges = Judges([said(1.0), failed(ErrorClass.RATE_LIMIT, 1_800_000_000.0)])
    answer = made.run(judges)
    assert (answer["outcome"], answer["retry_at"]) == ("none", 1_800_000_000.0)
    assert answer["error_class"] == "rate_limit"
    assert len(judges.asked) == 2
    assert answer["usage"]["requests"] == 4


@pytest.mark.parametrize("kind", [ErrorClass.AUTH, ErrorClass.API, ErrorClass.NOT_INSTALLED])
def test_what_asking_at_once_cannot_mend_is_not_asked_again(made: Made, kind: ErrorClass) -> None:
    judges = Judges([failed(kind)])
    answer = made.run(judges)
    assert (answer["outcome"], answer["error_class"], len(judges.asked)) == ("none", kind.value, 1)
    assert "retry_at" not in answer


@pytest.mark.parametrize(
    ("round_", "outcome"), [(0, "investigate"), (1, "investigate"), (2, "failed")]
)
def test_what_lies_between_is_investigated_twice(made: Made, round_: int, outcome: str) -> None:
    answer = made.run(Judges([said(0.5, problem="It is half done.")]), round=round_)
    assert (answer["outcome"], answer["score"]) == (outcome, 0.5)
    assert ("half done" in answer["feedback"]) == (outcome == "failed")


def test_a_later_round_is_told_the_doubts_and_has_more_turns(made: Made) -> None:
    judges = Judges([said(0.5, problem="The newline is doubtful.")])
    first = made.run(judges)
    before = judges.asked[0]
    judges = Judges([said(1.0)])
    made.run(judges, round=1, previous=[first], task="validate-2")
    assert "The newline is doubtful." in judges.asked[0]["prompt"]
    assert "The newline is doubtful." not in before["prompt"]
    assert judges.asked[0]["max_turns"] > before["max_turns"]
    assert (made.report()["round"], made.report()["earlier"][0]["round"]) == (1, 0)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("manifest.yaml", "was changed"),
        ("greets_by_name.feature", "was changed"),
        ("another.feature", "was added"),
    ],
)
def test_a_rubric_that_was_changed_is_not_judged_by(made: Made, name: str, change: str) -> None:
    sealed = made.spec()["rubric"]
    with open(made.rubric / name, "a") as file:
        file.write("# easier now\n")
    judges = Judges([said(1.0)])
    answer = made.run(judges, rubric=sealed)
    assert (answer["outcome"], answer["score"]) == ("unsealed", None)
    assert answer["feedback"] == f"{name} {change}"
    assert (judges.asked, made.checked) == ([], [])


def test_a_rubric_that_is_gone_is_not_judged_by(made: Made) -> None:
    sealed = made.spec()["rubric"]
    shutil.rmtree(made.rubric)
    answer = made.run(Judges([said(1.0)]), rubric=sealed)
    assert answer["outcome"] == "unsealed"
    assert "cannot be read" in answer["feedback"]


def test_a_judge_that_copies_the_scenario_tells_nothing_of_it(made: Made) -> None:
    def copy(spec: Mapping[str, Any], **parts: Any) -> Answer:
        return said(0.1, problem=f"The name is not greeted.\n{parts['prompt']}")

    answer = made.run(copy, features=["F1", "F2", "F3"])
    assert answer["outcome"] == "failed"
    for path in made.rubric.glob("*.feature"):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 4:
                assert " ".join(words[2:]) not in " ".join(answer["feedback"].split())
    assert "criterion F1 of PRD-HELLO-001" in answer["feedback"]
    assert "hello.py:3" in answer["feedback"]
    assert "The name is not greeted." in answer["feedback"]


def test_a_node_without_a_feature_is_judged_by_its_acceptance(made: Made) -> None:
    judges = Judges([said(0.0, problem="Nothing greets.")])
    answer = made.run(judges, features=[], acceptance="It greets everybody.")
    assert "It greets everybody." in judges.asked[0]["prompt"]
    assert answer["outcome"] == "failed"
    assert "the acceptance of greet: Nothing greets." in answer["feedback"]
    judges = Judges([said(1.0)])
    assert made.run(judges, features=[], rubric=None)["outcome"] == "passed"
    assert "was asked for:\nWrite hello.py\n" in judges.asked[0]["prompt"]


def test_a_feature_that_the_rubric_does_not_have_is_an_error(made: Made) -> None:
    from attractor.errors import InputError

    for rubric in ({"rubric": None}, {}):
        with pytest.raises(InputError, match="F9"):
            made.run(Judges([said(1.0)]), features=["F9", "F1"], **rubric)


def test_the_judge_stands_in_the_folder_of_the_work(made: Made) -> None:
    quote = {"file": "x.py", "line": 1, "quote": "here = 1"}
    judges = Judges([said(1.0, quote)])
    answer = made.run(judges, target_dir="part")
    assert (answer["outcome"], list(judges.trees[0])) == ("passed", ["x.py"])
    assert answer["scenarios"][0]["evidence"][0]["file"] == "part/x.py"


@pytest.mark.parametrize("target", ["out", "nowhere", "../.."])
def test_a_folder_of_work_that_leads_elsewhere_does_not_lead_the_judge(
    made: Made, target: str
) -> None:
    judges = Judges([said(1.0)])
    made.run(judges, target_dir=target)
    assert "hello.py" in judges.trees[0]


def test_what_was_found_is_kept_in_the_evidence_of_the_attempt(made: Made) -> None:
    judges = Judges([said(0.2, QUOTE, problem="P", explanation="E")])
    answer = made.run(judges)
    assert answer["report"] == str(
        Path(made.request.layout.evidence("greet", 1), "validation-report.json")
    )
    report, scores = made.report(), made.report("scenario-scores.json")
    assert (report["outcome"], report["score"], report["features"]) == (
        "failed",
        0.2,
        {"F1": 0.2, "F2": 0.2},
    )
    assert scores["scenarios"][0]["explanation"] == "E"
    snippet = made.report("code-snippets.json")["snippets"][0]
    assert (snippet["file"], snippet["line"], snippet["found"]) == ("hello.py", 3, True)


def test_a_task_that_is_done_again_begins_anew(made: Made) -> None:
    def die(spec: Mapping[str, Any], **parts: Any) -> Answer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.run(die)
    left = Path(made.request.layout.trees, "validate-greet-1", "tree")
    left.mkdir(parents=True)
    (left / "hello.py").write_text("what a killed one left\n")
    judges = Judges([said(1.0)])
    assert made.run(judges)["outcome"] == "passed"
    assert judges.trees[0]["hello.py"] == HELLO
    assert made.report()["earlier"] == []


def test_a_commit_that_is_not_there_is_an_error(made: Made) -> None:
    from attractor.errors import InputError

    with pytest.raises(InputError, match="no commit"):
        made.run(Judges([said(1.0)]), commit="0" * 40)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    answer: dict[str, Any] = {"structured": {"score": 0.9, "evidence": [QUOTE]}}
    look = {"tool": {"name": "Read", "input": {"file_path": "hello.py"}}}
    roles = {"judge": [look, {**answer, "repeat": 9}]}
    text = json.dumps({"version": 1, "roles": roles})
    with ScriptedServer(script.parse(text)) as running:
        yield running


def test_the_real_claude_judges_in_a_process_of_its_own(
    made: Made, server: ScriptedServer, by_claude: Callable[..., Any]
) -> None:
    answer = by_claude(server, made, features=["F3"], checks=[])
    assert (answer["outcome"], answer["score"]) == ("passed", 0.9)
    assert answer["usage"]["requests"] >= 1
    asked = server.requests[0]
    assert (asked.role, asked.node, asked.attempt) == ("judge", "greet", 1)
    assert not os.listdir(made.request.layout.trees)


def test_a_task_that_is_killed_leaves_nothing_that_counts(made: Made, tmp_path: Path) -> None:
    spec, out = tmp_path / "task.spec", tmp_path / "task.json"
    spec.write_text(json.dumps(made.spec(checks=["echo begun; sleep 300"])))
    folder = Path(made.request.layout.trees, "validate-greet-1")
    argv = own_command("guardian.task", str(spec), str(out))
    task = subprocess.Popen(argv, cwd=sys.prefix)
    try:
        deadline = time.monotonic() + 30
        while not (folder / "checks.spec").exists():
            assert time.monotonic() < deadline
            assert task.poll() is None
    finally:
        task.kill()
        task.wait(30)
    assert folder.exists()
    assert not out.exists()
    spec.write_text(json.dumps(made.spec(checks=["cat hello.py; exit 3"])))
    subprocess.run(argv, check=True, timeout=60, cwd=sys.prefix)
    answer = json.loads(out.read_text())
    assert (answer["outcome"], answer["checks"]["exit"]) == ("failed", 3)
    assert HELLO.strip() in answer["checks"]["tail"]
    assert not os.listdir(made.request.layout.trees)
