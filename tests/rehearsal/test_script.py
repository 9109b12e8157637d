"""A script that loads can be played; one that cannot says where and why."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rehearsal.script import load, parse
from attractor.rehearsal.turn import Cut, Failure, Hold, Pace, Text, Thinking, ToolCall, Turn


def turns(*lines: str) -> list[Turn]:
    listed = "\n".join(f"    - {line}" for line in lines)
    return list(parse(f"version: 1\nroles:\n  main:\n{listed}\n").roles["main"])


def test_each_kind_of_turn_becomes_what_the_model_would_send() -> None:
    made = turns(
        'say: "hello"',
        'run: "ls"',
        'write: {path: a.txt, text: ""}',
        "edit: {path: a.txt, old: x, new: y}",
        "tool: {name: Grep, input: {pattern: x, n: [1, 2.5, null, true]}}",
        "structured: {verdict: pass}",
    )
    assert [turn.blocks for turn in made] == [
        (Text("hello"),),
        (ToolCall("Bash", {"command": "ls", "description": "Scripted command"}),),
        (ToolCall("Write", {"file_path": "a.txt", "content": ""}),),
        (ToolCall("Edit", {"file_path": "a.txt", "old_string": "x", "new_string": "y"}),),
        (ToolCall("Grep", {"pattern": "x", "n": [1, 2.5, None, True]}),),
        (ToolCall("StructuredOutput", {"verdict": "pass"}),),
    ]


def test_a_worker_is_spawned_with_a_prompt_and_may_bring_its_turns() -> None:
    plain, named = turns(
        "spawn: {worker: tdd, prompt: Test it.}",
        "spawn: {worker: tdd, prompt: Test it., name: al, description: d, background: true,"
        " turns: [run: a, wait: 1, say: b]}",
    )
    call = {"description": "Work for tdd", "prompt": "Test it.", "subagent_type": "tdd"}
    assert plain.blocks == (ToolCall("Agent", {**call, "run_in_background": False}),)
    (spawned,) = named.blocks
    assert isinstance(spawned, ToolCall)
    assert spawned.input == {**call, "description": "d", "name": "al", "run_in_background": True}
    assert [turn.wait_seconds for turn in spawned.turns or ()] == [0.0, 1.0]


def test_evidence_is_attached_to_the_newest_promise_of_the_session() -> None:
    (made,) = turns("""promise: {meet: AC-1, evidence: "it's 'so'", type: test}""")
    (call,) = made.blocks
    assert isinstance(call, ToolCall)
    assert call.name == "Bash"
    assert "cs-promise --mine --json" in call.input["command"]
    assert shlex.split(call.input["command"])[-6:] == [
        *("--ac-id", "AC-1", "--evidence", "it's 'so'", "--type", "test")
    ]


def test_what_is_thought_comes_before_what_is_said() -> None:
    one, several = turns("{think: hm, say: a}", "{think: h, do: [{say: a}, {think: m, run: b}]}")
    assert one.blocks == (Thinking("hm"), Text("a"))
    kinds = [type(block) for block in several.blocks]
    assert kinds == [Thinking, Text, Thinking, ToolCall]


def test_beside_an_answer_stand_its_pace_its_usage_and_for_whom_it_is() -> None:
    (made,) = turns(
        "{say: a, slow: {seconds: 0.5}, usage: {input_tokens: 0, output_tokens: 3},"
        " sessions: 2, when: go.*on}"
    )
    usage = {"input_tokens": 0, "output_tokens": 3}
    assert made == Turn((Text("a"),), (), 0.0, Pace(0.5, 20), usage, 2, "go.*on")


def test_several_blocks_make_one_answer() -> None:
    (made,) = turns("do: [{say: a}, {run: b}, {say: c}]")
    assert [type(block) for block in made.blocks] == [Text, ToolCall, Text]


def test_a_repeated_answer_is_that_many_turns() -> None:
    assert len(turns('{say: "a", repeat: 3}', "say: b")) == 4


def test_failures_and_waits_come_before_the_answer_that_follows_and_are_no_turns() -> None:
    made = turns(
        "wait: 1",
        "wait: 0.5",
        "fail: {status: 429, retry_after: 2, times: 2}",
        "fail: {status: 529, message: busy}",
        "wait: 0.25",
        '{say: "a", repeat: 2}',
    )
    failures = (Failure(429, 2, "", 1.5), Failure(429, 2), Failure(529, None, "busy"))
    assert made == [Turn((Text("a"),), failures, 0.25), Turn((Text("a"),))]


def test_a_broken_answer_and_a_missing_one_are_no_turns_either() -> None:
    (made,) = turns(
        "wait: 1",
        "cut: {after: 5, times: 2}",
        "wait: 2",
        "stuck: 3",
        "fail: {status: 529, after: 0}",
        "fail: {status: 429, reset: 60, retry: false}",
        "say: a",
    )
    assert made.failures == (
        Cut(5, 1.0),
        Cut(5),
        Hold(5.0),
        Failure(529, after=0),
        Failure(429, reset_seconds=60, retried=False),
    )


def test_failures_at_the_end_come_before_what_is_said_afterwards() -> None:
    script = parse("version: 1\nroles: {main: [say: a, fail: {status: 500}]}\nafter: {say: end}\n")
    end = Turn((Text("end"),), (Failure(500),))
    assert script.turns("main") == [Turn((Text("a"),)), end]
    assert script.after == Turn((Text("end"),))


def test_a_used_up_script_says_so_unless_told_otherwise() -> None:
    script = parse("version: 1\nroles: {main: []}\n")
    assert script.after.blocks == (Text("Nothing is left to do."),)
    with pytest.raises(KeyError):
        script.turns("other")


NODES = """
version: 1
roles:
  orchestrator: [say: any node]
  judge: [say: any judge]
nodes:
  impl:
    orchestrator: [say: impl]
    agent:tdd: [say: worker]
    attempts:
      2:
        orchestrator: [say: impl again]
  empty: {}
"""


@pytest.mark.parametrize(
    ("role", "node", "attempt", "said"),
    [
        ("orchestrator", "", 0, "any node"),
        ("orchestrator", "other", 1, "any node"),
        ("orchestrator", "empty", 1, "any node"),
        ("orchestrator", "impl", 0, "impl"),
        ("orchestrator", "impl", 1, "impl"),
        ("orchestrator", "impl", 2, "impl again"),
        ("orchestrator", "impl", 3, "impl"),
        ("agent:tdd", "impl", 2, "worker"),
        ("judge", "impl", 2, "any judge"),
    ],
)
def test_turns_are_looked_for_under_the_attempt_the_node_and_the_roles(
    role: str, node: str, attempt: int, said: str
) -> None:
    (turn,) = parse(NODES).turns(role, node, attempt)
    assert turn.blocks == (Text(said),)


def test_a_script_may_have_nodes_only_and_what_it_has_can_be_listed() -> None:
    script = parse("version: 1\nnodes: {a: {judge: [], attempts: {3: {cook: []}}}}")
    assert (script.known(), script.known("a"), script.known("a", 3)) == (
        [],
        ["judge"],
        ["cook", "judge"],
    )
    with pytest.raises(KeyError):
        script.turns("judge")


def test_a_node_that_the_graph_has_not_is_refused() -> None:
    parse(NODES, nodes={"impl", "empty", "more"})
    parse(NODES)
    with pytest.raises(InputError) as caught:
        parse(NODES, "s.yaml", nodes={"empty", "impl_jwt"})
    assert caught.value.problem == "the graph has no node 'impl'"
    assert (caught.value.where, caught.value.fix) == ("s.yaml:7:3", "did you mean impl_jwt?")
    with pytest.raises(InputError, match="no node 'impl'") as caught:
        parse(NODES, nodes=frozenset())
    assert caught.value.fix == "name a node of the graph"


HEAD = "version: 1\nroles:\n  main:\n"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "", "the script must be a mapping"),
        ("- a", "1:1", "the script must be a mapping"),
        ("roles: {main: []}", "1:1", "'version' is missing"),
        ("version: 2\nroles: {main: []}", "1:10", "'version' should be 1"),
        ("version: 1\nroles: {}", "2:8", "'roles' must not be empty"),
        ("version: 1\nroles: {1: []}", "2:9", "the name of a role or node must be text"),
        ("version: 1\nnodes: {1: {}}", "2:9", "the name of a role or node must be text"),
        ("version: 1", "1:1", "'roles' is missing"),
        ("version: 1\nnodes: {}", "1:1", "'roles' is missing"),
        ("version: 1\nnodes: {a: []}", "2:12", "'a' must be a mapping"),
        ("version: 1\nnodes: {a: {judge: {}}}", "2:20", "'judge' must be a list"),
        ("version: 1\nnodes: {a: {judge: [say: 1]}}", "2:26", "'say' must be text"),
        ("version: 1\nnodes: {a: {judge: [{}]}}", "2:21", "this turn says nothing"),
        ("version: 1\nnodes: {a: {attempts: {b: {}}}}", "2:24", "an attempt must be a whole"),
        ("version: 1\nnodes: {a: {attempts: {0: {}}}}", "2:24", "an attempt must be a whole"),
        ("version: 1\nnodes: {a: {attempts: {1: {r: [{}]}}}}", "2:32", "this turn says nothing"),
        ("version: 1\nrolls: {}\nroles: {main: []}", "2:1", "there is no key 'rolls' here"),
        (f"{HEAD}    say: a\n", "4:5", "'main' must be a list"),
        (f"{HEAD}    - say: a\n    - sya: b\n", "5:7", "there is no key 'sya' here"),
        (f"{HEAD}    - say: 12\n", "4:12", "'say' must be text"),
        (f"{HEAD}    - say: yes\n", "4:12", "'say' must be text"),
        (f'{HEAD}    - say: ""\n', "4:12", "'say' must not be empty"),
        (f"{HEAD}    - say\n", "4:7", "item 1 must be a mapping"),
        (f"{HEAD}    - {{}}\n", "4:7", "this turn says nothing"),
        (f"{HEAD}    - say: a\n      run: b\n", "4:7", "this turn has say and run at once"),
        (f"{HEAD}    - do: []\n", "4:11", "'do' must not be empty"),
        (f"{HEAD}    - do: [{{say: a}}, {{}}]\n", "4:22", "this turn says nothing"),
        (f"{HEAD}    - do: [{{wait: 1}}]\n", "4:13", "there is no key 'wait' here"),
        (f"{HEAD}    - write: {{path: a}}\n", "4:14", "'text' is missing"),
        (f"{HEAD}    - write: {{path: a, txt: b}}\n", "4:14", "'text' is missing"),
        (f"{HEAD}    - fail: {{status: 418}}\n", "4:22", "'status' should be 400"),
        (f"{HEAD}    - fail: {{status: 429, times: 0}}\n", "4:34", "'times' should be"),
        (f"{HEAD}    - wait: .nan\n", "4:13", "'wait' should be a finite number"),
        (f"{HEAD}    - wait: 1\n      repeat: 2\n", "5:7", "only an answer can have `repeat`"),
        (f"{HEAD}    - fail: {{status: 500}}\n      think: a\n", "5:7", "can have `think`"),
        (f"{HEAD}    - cut: {{after: 1}}\n      slow: {{seconds: 1}}\n", "5:7", "have `slow`"),
        (f"{HEAD}    - stuck: 1\n      when: a\n", "5:7", "only an answer can have `when`"),
        (f"{HEAD}    - think: a\n", "4:7", "this turn says nothing"),
        (f"{HEAD}    - say: a\n      when: (\n", "5:13", "'when' is no regular expression"),
        (f"{HEAD}    - promise: {{meet: A, evidence: b, type: c}}\n", "4:45", "'type' should be"),
        (f"{HEAD}    - spawn: {{worker: a, prompt: ' '}}\n", "4:34", "'prompt' must not be empty"),
        (f"{HEAD}    - spawn: {{worker: a, prompt: b, turns: [{{}}]}}\n", "4:45", "says nothing"),
        (
            f"{HEAD}    - do: [spawn: {{worker: a, prompt: b, turns: [{{say: c, run: d}}]}}]\n",
            "4:50",
            "say and run at once",
        ),
        (f"{HEAD}    - structured: {{a: .inf}}\n", "4:19", "'structured' must be JSON"),
        (f"{HEAD}    - structured: {{a: 2026-01-01}}\n", "4:23", "'a' must be JSON"),
        (f"{HEAD}    - structured: {{a: 2026-13-01}}\n", "", "this is not YAML: month must"),
        (f"{HEAD}    []\n  main: []\n", "5:3", "the key 'main' stands twice"),
        ("version: 1\nroles: &a {main: []}\nafter: *a\n", "2:8", "has an alias"),
        ("version: 1\nroles: &a [*a]\n", "2:8", "has an alias"),
        ("? [a]\n: b\n", "1:3", "a key must be a word"),
        ("roles: [", "1:9", "this is not YAML"),
        ("a: b: c", "1:5", "this is not YAML"),
        ("a: !!python/name:os.system x", "1:4", "this is not YAML"),
        ("\x00", "", "this is not YAML"),
        ("[" * 5_000, "", "is nested too deeply"),
        ("version: 1\nroles: {main: []}\nafter: {say: a, run: b}", "3:8", "say and run at once"),
        ("version: 1\nroles: {main: []}\nafter: {wait: 1}", "3:9", "there is no key 'wait'"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, place: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "s.yaml")
    assert problem in caught.value.problem
    assert caught.value.where == (f"s.yaml:{place}" if place else "s.yaml")
    assert caught.value.fix


ANSWER = "say, run, write, edit, tool, structured, spawn, promise, think"
TURN = f"{ANSWER}, do, fail, cut, wait, stuck, repeat, slow, usage, sessions, when"


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("x: 1\nversion: 1\nroles: {main: []}", "version, roles, nodes, after"),
        (f"{HEAD}    - x: 1\n", TURN),
        ("version: 1\nnodes: {do: {fail: [x: 1]}}", TURN),
        ("version: 1\nnodes: {do: {attempts: {1: {fail: [x: 1]}}}}", TURN),
        ("version: 1\nnodes: {fail: {do: [x: 1]}}", TURN),
        (f"{HEAD}    - spawn: {{worker: a, prompt: b, turns: [x: 1]}}\n", TURN),
        (f"{HEAD}    - do: [{{x: 1}}]\n", ANSWER),
        ("version: 1\nroles: {main: []}\nafter: {x: 1}", ANSWER),
        (f"{HEAD}    - do: [{{edit: {{path: a, old: b, new: c, x: 1}}}}]\n", "path, old, new"),
        (
            f"{HEAD}    - fail: {{status: 429, x: 1}}\n",
            "status, retry_after, reset, retry, times, after, message",
        ),
        (f"{HEAD}    - cut: {{after: 1, x: 1}}\n", "after, times"),
        (f"{HEAD}    - say: a\n      slow: {{seconds: 1, x: 1}}\n", "seconds, characters"),
    ],
)
def test_where_a_key_is_unknown_the_legal_ones_are_named(text: str, legal: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.fix == f"what may stand here: {legal}"


def test_a_file_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\nroles: {main: [say: \xc3\xa4]}\n")
    assert load(str(path)).turns("main")[0].blocks == (Text("ä"),)
    path.write_text("version: 1\nnodes: {a: {}}")
    with pytest.raises(InputError, match="no node 'a'"):
        load(str(path), nodes={"b"})


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nowhere.yaml", "cannot be read: No such file"),
        ("folder", "cannot be read: Is a directory"),
        ("pipe", "is not a plain file"),
        ("latin1.yaml", "byte 6 is not UTF-8"),
        ("large.yaml", "is larger than 1 MiB"),
        ("a\0b", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_a_script_is_refused(name: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin1.yaml").write_bytes(b"say: \xe4")
    (tmp_path / "large.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InputError, match=problem):
        load(f"{tmp_path}/{name}")
