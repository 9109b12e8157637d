"""Each fault changes what is scripted for its node, and nothing else."""

from __future__ import annotations

import os
import shlex
import signal as posix_signals
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.git import repository
from attractor.pipeline.dot import parse as parse_dot
from attractor.pipeline.graph import build
from attractor.privacy.scan import findings
from attractor.rehearsal import fake_secret, faults, script
from attractor.rehearsal.default import COMPLETE, NOTHING_LEFT, scenario_for
from attractor.rehearsal.faults import Fault, Kind, Terms
from attractor.rehearsal.made_review import BY_ANOTHER, BY_ITSELF
from attractor.rehearsal.turn import (
    Block,
    Failure,
    Hold,
    NodeScript,
    Script,
    Text,
    ToolCall,
    Turn,
    due,
)
from guardian import look_back
from guardian.reviewer import Change, question, reading
from guardian.scanning import scan
from runner.orders import Order, obey
from runner.state import State

GRAPH = build(parse_dot("digraph g { impl [worker_type=tdd]; other; }"))
PLAIN = scenario_for(GRAPH)
NODES = ("impl", "other")
LASTING = {Kind.REJECT, Kind.SELFCHECK, Kind.FINDINGS, Kind.SECRET, Kind.FUTILE, Kind.LIE}


def applied(*texts: str, to: Script = PLAIN, terms: Terms | None = None) -> Script:
    return faults.apply(to, faults.parse(texts, NODES), terms or Terms())


def turns(made: Script, attempt: int = 1, role: str = "orchestrator") -> Sequence[Turn]:
    return made.turns(role, "impl", attempt)


def meant(made: Script, attempt: int = 1) -> list[Turn]:
    """The orchestrator's turns, without those for whoever only asks."""
    return [each for each in turns(made, attempt) if each.blocks != NOTHING_LEFT.blocks]


def called(block: Block) -> str:
    """What a block says or calls."""
    if isinstance(block, ToolCall):
        return str(block.input.get("command") or block.input.get("file_path") or block.name)
    return block.text


def test_faults_are_read() -> None:
    texts = [f"{kind.value}@impl" for kind in Kind]
    assert faults.parse(texts, NODES) == tuple(Fault(kind, "impl") for kind in Kind)
    assert faults.parse(["lie@a@b"], ["a@b"]) == (Fault(Kind.LIE, "a@b"),)
    assert faults.parse([], NODES) == ()


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        (
            "sleep@impl",
            "there is no fault 'sleep@impl'",
            "the faults are afterthought@NODE, crash@NODE, findings@NODE, futile@NODE, lie@NODE",
        ),
        ("crash", "there is no fault 'crash'", "crash@NODE"),
        ("", "there is no fault ''", "crash@NODE"),
        ("CRASH@impl", "there is no fault 'CRASH@impl'", "crash@NODE"),
        ("futil@impl", "there is no fault 'futil@impl'", "did you mean futile@impl?"),
        ("crash@imp", "there is no node 'imp' with work", "that can have one are impl"),
        ("crash@", "there is no node '' with work", "that can have one are impl, other"),
        ("crash@zzz", "there is no node 'zzz' with work", "that can have one are impl, other"),
        ("crash@othr", "there is no node 'othr'", "did you mean crash@other? the nodes that can"),
    ],
)
def test_an_unknown_fault_or_node_is_refused_with_the_legal_ones(
    text: str, problem: str, fix: str
) -> None:
    with pytest.raises(InputError) as caught:
        faults.parse([text], NODES)
    assert problem in caught.value.problem
    assert fix in caught.value.fix


def test_without_nodes_there_is_nothing_to_choose() -> None:
    with pytest.raises(InputError) as caught:
        faults.parse(["crash@a"], ())
    assert caught.value.fix


@pytest.mark.parametrize("kind", Kind)
def test_a_fault_changes_its_node_only_and_not_the_script_it_was_given(kind: Kind) -> None:
    before = repr(PLAIN)
    made = applied(f"{kind.value}@impl")
    assert made != PLAIN
    assert repr(PLAIN) == before
    assert made.after == PLAIN.after
    assert (made.roles == PLAIN.roles) is (kind is not Kind.AFTERTHOUGHT)
    assert made.nodes["other"] == PLAIN.nodes["other"]
    if kind not in LASTING:
        assert turns(made, attempt=2) == turns(PLAIN, attempt=2)


def test_a_fault_that_is_asked_for_twice_happens_once() -> None:
    once = applied("violate@impl", "lie@other")
    twice = applied("violate@impl", "violate@impl", "lie@other")
    assert len(turns(twice)) == len(turns(once))


def test_a_crash_kills_the_process_that_runs_the_tool_once_and_the_work_goes_on() -> None:
    crash, *rest = turns(applied("crash@impl"))
    assert (crash.sessions, rest) == (1, list(turns(PLAIN)))
    line = called(*crash.blocks)
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        env = {"CLAUDE_PID": str(sleeper.pid)}
        subprocess.run(["sh", "-c", line], env=env, timeout=60, check=True)
        assert sleeper.wait(60) == -posix_signals.SIGKILL
    # Without that variable it is the parent that runs the tool.
    parent = f"sh -c {shlex.quote(line)}; echo survived"
    done = subprocess.run(["sh", "-c", parent], env={}, timeout=60, check=False)
    assert done.returncode == -posix_signals.SIGKILL


def test_a_stuck_session_gets_no_answer_once_and_then_does_its_work() -> None:
    first, *rest = turns(applied("stuck@impl", terms=Terms(stuck_seconds=9.0)))
    plain, *others = turns(PLAIN)
    assert first.failures == (Hold(9.0),)
    assert (first.blocks, rest) == (plain.blocks, others)
    assert Terms().stuck_seconds >= 3600


def test_a_limit_ends_as_many_turns_as_asked_for_and_the_client_does_not_try_again() -> None:
    first, *rest = turns(applied("ratelimit@impl", terms=Terms(retry_after=7, rate_limits=3)))
    refused = Failure(429, 7, reset_seconds=7, retried=False)
    assert first.failures == (refused,) * 3
    assert rest == list(turns(PLAIN))[1:]


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_liar_claims_completion_whenever_it_is_asked_and_does_nothing(attempt: int) -> None:
    made = turns(applied("lie@impl"), attempt)
    assert len(made) >= 100
    assert {turn.blocks for turn in made} == {(Text(f"Everything is done.\n\n{COMPLETE}"),)}


def test_a_violator_writes_by_tool_and_by_shell_once_and_then_does_it_properly() -> None:
    tool, shell, *rest = turns(applied("violate@impl"))
    assert [called(*turn.blocks) for turn in (tool, shell)] == [
        "violation.txt",
        "echo x > violation-by-shell.txt",
    ]
    assert (tool.sessions, shell.sessions, rest) == (1, 1, list(turns(PLAIN)))


def test_a_peeker_reads_every_path_by_tool_and_by_shell(tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    (tmp_path / "it's" / "rubric").write_text("blind")
    (tmp_path / "key").write_text("secret")
    paths = (str(tmp_path / "it's"), str(tmp_path / "key"))
    one, two, *rest = turns(applied("peek@impl", terms=Terms(peek=paths)))
    assert rest == list(turns(PLAIN))
    seen = []
    for turn, path in ((one, paths[0]), (two, paths[1])):
        read, shell = turn.blocks
        assert called(read) == path
        done = subprocess.run(
            ["sh", "-c", called(shell)], capture_output=True, text=True, timeout=60, check=True
        )
        seen.append(done.stdout)
    assert seen == ["blind", "secret"]


def test_a_rejected_node_is_judged_again_and_its_work_is_done_again() -> None:
    made = applied("reject@impl", terms=Terms(rejections=2))
    bad, good = turns(made, role="judge")
    assert [good] == list(turns(PLAIN, role="judge"))
    (verdict,) = bad.blocks
    assert isinstance(verdict, ToolCall)
    assert (verdict.input["score"], verdict.input["evidence"]) == (0.0, [])
    assert verdict.input["problem"]
    # Whoever judges in these validations, and nobody later.
    for number, wrong in ((1, True), (2, True), (3, False), (11, False)):
        prompt = f"Judge this.\nValidation {number} of node impl\nThe scenario"
        assert (due([bad, good], [prompt]) == 0) is wrong
    for attempt in (1, 2):
        *plain, again, _, claim = meant(made, attempt)
        assert plain == list(turns(PLAIN))
        (call,) = again.blocks
        assert isinstance(call, ToolCall)
        assert call.input["subagent_type"] == "tdd"
        assert made.worker(call.input["prompt"], "impl", attempt) == ("agent:tdd", call.turns)
        assert COMPLETE in called(*claim.blocks).splitlines()


@pytest.mark.parametrize("attempt", [1, 2, 3, 4, 5])
def test_a_futile_node_is_claimed_undone_three_times_and_then_its_work_is_done(
    attempt: int,
) -> None:
    made = turns(applied("futile@impl"), attempt)
    if attempt > 3:
        assert made == turns(PLAIN, attempt)
        return
    assert len(made) >= 100
    assert {turn.blocks for turn in made} == {(Text(f"Everything is done.\n\n{COMPLETE}"),)}


def review(found: Sequence[dict[str, object]], number: int = 7) -> str:
    """What a reviewer is asked, as the Guardian asks it, with a memory of an earlier night."""
    return question(
        Change(
            label="l",
            prompt="p",
            acceptance="a",
            files="impl.txt",
            diff="+x",
            title=f"Review {number} of node impl",
            before=found,
            memory=f"Lesson: {BY_ITSELF} {BY_ANOTHER}",
        )
    )


@pytest.mark.parametrize(
    ("kind", "role", "other"),
    [
        (Kind.SELFCHECK, "reviewer", "cross-reviewer"),
        (Kind.FINDINGS, "cross-reviewer", "reviewer"),
    ],
)
def test_a_review_finds_one_thing_until_it_was_told_and_the_work_is_done_again(
    kind: Kind, role: str, other: str
) -> None:
    made = applied(f"{kind.value}@impl")
    bad, good = turns(made, role=role)
    assert [good] == list(turns(PLAIN, role=role))
    assert turns(made, role=other) == turns(PLAIN, role=other)
    (call,) = bad.blocks
    assert isinstance(call, ToolCall)
    said = reading(call.input, lambda path: [path], {"impl.txt"})
    (finding,) = said.findings
    assert (said.void, finding.file, finding.line) == ("", "impl.txt", 1)
    # Whichever number it has, and as often as it is asked the same.
    another = [{"file": "impl.txt", "line": 1, "problem": "another thing"}]
    for number in (1, 3):
        assert due([bad, good], [review([], number)]) == 0
        assert due([bad, good], [review(another, number)]) == 0
        assert due([bad, good], [review([*another, finding.as_json()], number)]) == 1
    *plain, again, _, claim = meant(made)
    assert plain == list(turns(PLAIN))
    assert called(*again.blocks) == "Agent"
    assert COMPLETE in called(*claim.blocks).splitlines()


def test_a_review_by_one_does_not_find_what_the_other_has_found() -> None:
    made = applied("selfcheck@impl", "findings@impl")
    said = []
    for role in ("reviewer", "cross-reviewer"):
        (call,) = turns(made, role=role)[0].blocks
        assert isinstance(call, ToolCall)
        said += call.input["findings"]
    assert due(turns(made, role="cross-reviewer"), [review(said[:1])]) == 0
    assert due(turns(made, role="reviewer"), [review(said[1:])]) == 0


def test_a_secret_is_committed_found_by_the_scan_and_taken_out_again(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def shell(line: str) -> str:
        argv = ["bash", "-c", line]
        return subprocess.run(
            argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()

    def work(turn: Turn) -> str:
        (call,) = turn.blocks
        assert isinstance(call, ToolCall)
        prompt = call.input["prompt"]
        assert made.worker(prompt, "impl", 1) == ("agent:tdd", call.turns)
        assert call.turns
        shell(called(*call.turns[0].blocks))
        return shell("git rev-parse HEAD")

    made = applied("secret@impl")
    leak, _, plain, _, claim, mend, _, claimed_again = meant(made)
    assert [plain, claim] == [turns(PLAIN)[0], turns(PLAIN)[2]]
    assert COMPLETE in called(*claimed_again.blocks).splitlines()
    shell("git init -q; echo '*.ini' > .gitignore; git add .")
    base = shell("git -c user.name=a -c user.email=a@b commit -qm x; git rev-parse HEAD")
    work(leak)
    handed_in, again = work(plain), work(mend)
    project = str(tmp_path)
    found = scan(repository(project), project, base, handed_in).findings
    assert {(each["file"], each["line"]) for each in found} >= {
        ("impl-settings.ini", line) for line in (2, 3, 4)
    }
    assert scan(repository(project), project, base, again).findings == []
    assert work(mend) != again  # what is done once more is committed once more
    # Nobody who reads this program takes it for a leak.
    for module in (fake_secret, faults):
        path = module.__file__
        assert path
        assert findings(Path(path).read_text(), path) == []
    # A later attempt leaks nothing.
    assert turns(made, 2)[:3] == turns(PLAIN, 2)


def test_an_afterthought_is_added_by_the_first_look_back_alone() -> None:
    made = applied("afterthought@impl", "afterthought@other", "afterthought@impl")
    first, then = made.turns("retrospective")
    assert [then] == list(PLAIN.turns("retrospective"))
    (call,) = first.blocks
    assert isinstance(call, ToolCall)
    said = look_back.reading(call.input, ["impl", "other"], look_back.Suite("green"))
    assert (said.void, said.notes) == ("", ())
    assert [each["files"] for each in said.additions] == [["impl-use.txt"], ["other-use.txt"]]
    for number, expected in ((1, 0), (2, 1), (11, 1)):
        whole = look_back.Whole(f"Retrospective {number}", "", "", look_back.Suite("green"), "")
        assert due([first, then], [look_back.question(whole)]) == expected


def test_more_afterthoughts_than_may_be_added_are_refused() -> None:
    nodes = [f"n{at}" for at in range(6)]
    six = faults.parse([f"afterthought@{node}" for node in nodes], nodes)
    assert faults.apply(PLAIN, six[:5]) != PLAIN
    with pytest.raises(InputError, match="adds 5 nodes at most"):
        faults.apply(PLAIN, six)


def test_several_faults_of_one_node_all_happen_and_a_lie_comes_last() -> None:
    made = turns(applied(*(f"{kind.value}@impl" for kind in Kind), terms=Terms(peek=("p",))))
    assert [called(turn.blocks[0]) for turn in made[:5]] == [
        "p",
        "violation.txt",
        "echo x > violation-by-shell.txt",
        'kill -9 "${CLAUDE_PID:-$PPID}"',
        f"Everything is done.\n\n{COMPLETE}",
    ]
    assert [type(each) for each in made[3].failures] == [Failure, Failure, Hold]


def test_what_is_sent_back_by_several_is_done_again_in_the_order_in_which_they_look() -> None:
    asked = ("findings@impl", "selfcheck@impl", "secret@impl", "reject@impl")
    made = turns(applied(*asked))
    told = [
        turn.blocks[0].input["prompt"].partition(": ")[2].split()[0]
        for turn in made
        if isinstance(turn.blocks[0], ToolCall)
    ]
    # The key, the work; after the judge, the scan, the reviews.
    assert told[0] == "keep"
    assert told[2:] == ["do", "take", "do", "do"]


@pytest.mark.parametrize("kind", [Kind.REJECT, Kind.SECRET, Kind.SELFCHECK, Kind.FINDINGS])
def test_who_only_asks_how_it_stands_gets_no_work_done_again(kind: Kind) -> None:
    made = turns(applied(f"{kind.value}@impl"))
    sent_back = Order("f", "1", "VALIDATION_FAILED", "A is wrong.", 1, "guardian")
    (refused,) = obey(State(attempt=1), sent_back).speech.queue
    news = ["Your node is impl."]
    for _ in range(9):
        news.append("How does it stand?")
        before = due(made, news)
    assert COMPLETE in called(*made[before].blocks).splitlines()
    assert due(made, [*news, "And now?"]) == before + 1
    again = made[due(made, [*news, refused.text])]
    assert called(*again.blocks) == "Agent"


SCENARIO = """
version: 1
roles:
  orchestrator: [say: anybody]
  judge: [structured: {score: 1}]
nodes:
  impl:
    attempts:
      1: {orchestrator: [say: once], judge: [say: j1]}
      2: {orchestrator: [say: twice]}
"""


def test_a_scenario_of_the_user_s_goes_on_after_its_fault() -> None:
    written = script.parse(SCENARIO)
    made = applied("crash@impl", "crash@other", to=written)
    assert [called(*turn.blocks) for turn in turns(made)][1:] == ["once"]
    assert turns(made, attempt=2) == turns(written, attempt=2)
    assert turns(made, 1, "judge") == turns(written, 1, "judge")
    assert [called(*turn.blocks) for turn in made.turns("orchestrator", "other", 1)][1:] == [
        "anybody"
    ]
    judged = applied("reject@impl", to=written)
    assert [len(turns(judged, attempt, "judge")) for attempt in (1, 2)] == [2, 2]
    assert [len(meant(judged, attempt)) for attempt in (1, 2, 3)] == [4, 4, 4]


def test_a_fault_of_a_list_that_is_used_up_comes_before_what_is_said_then() -> None:
    empty = Script({}, PLAIN.after, {"impl": NodeScript({"orchestrator": []})})
    (late,) = turns(applied("stuck@impl", to=empty))
    assert late.blocks == PLAIN.after.blocks


@pytest.mark.parametrize("kind", Kind)
def test_a_fault_of_a_node_without_turns_is_refused(kind: Kind) -> None:
    nobody = script.parse("version: 1\nroles: {cook: []}")
    with pytest.raises(InputError, match="has no turns of the role "):
        applied(f"{kind.value}@impl", to=nobody)
