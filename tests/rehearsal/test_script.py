"""A script that loads can be played; one that cannot says where and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rehearsal.script import load, parse
from attractor.rehearsal.turn import Failure, Text, ToolCall, Turn


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


def test_failures_at_the_end_come_before_what_is_said_afterwards() -> None:
    script = parse("version: 1\nroles: {main: [say: a, fail: {status: 500}]}\nafter: {say: end}\n")
    assert script.turn("main", 0) == Turn((Text("a"),))
    assert script.turn("main", 1) == Turn((Text("end"),), (Failure(500),))
    assert script.turn("main", 2) == Turn((Text("end"),))


def test_a_used_up_script_says_so_unless_told_otherwise() -> None:
    script = parse("version: 1\nroles: {main: []}\n")
    assert script.turn("main", 7).blocks == (Text("Nothing is left to do."),)
    with pytest.raises(KeyError):
        script.turn("other", 0)


def test_a_subagent_is_told_by_the_longest_prompt_that_spawned_it() -> None:
    call = "tool: {name: Agent, input: {prompt: %s, subagent_type: %s}}"
    script = parse(
        "version: 1\nroles:\n  main:\n"
        f"    - {call % ('Count', 'short')}\n"
        f"    - do: [{{ {call % ('Count ducks', 'long')} }}]\n"
        f"    - {call % ('Sing', 'unscripted')}\n"
        "  agent:short: []\n  agent:long: []\n"
    )
    assert script.subagent_role("<context>\nCount ducks\n") == "agent:long"
    assert script.subagent_role("Count geese") == "agent:short"
    assert script.subagent_role("Sing") == "subagent"
    assert script.subagent_role("Something else") == "subagent"


HEAD = "version: 1\nroles:\n  main:\n"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "", "the script must be a mapping"),
        ("- a", "1:1", "the script must be a mapping"),
        ("roles: {main: []}", "1:1", "'version' is missing"),
        ("version: 2\nroles: {main: []}", "1:10", "'version' should be 1"),
        ("version: 1\nroles: {}", "2:8", "'roles' must not be empty"),
        ("version: 1\nroles: {1: []}", "2:9", "the name of a role must be text"),
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
        (f"{HEAD}    - wait: 1\n      repeat: 2\n", "5:7", "only an answer can be repeated"),
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


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("x: 1\nversion: 1\nroles: {main: []}", "version, roles, after"),
        (f"{HEAD}    - x: 1\n", "say, run, write, edit, tool, structured, do, fail, wait, repeat"),
        (f"{HEAD}    - do: [{{x: 1}}]\n", "say, run, write, edit, tool, structured"),
        (f"{HEAD}    - do: [{{edit: {{path: a, old: b, new: c, x: 1}}}}]\n", "path, old, new"),
        (f"{HEAD}    - fail: {{status: 429, x: 1}}\n", "status, retry_after, times, message"),
    ],
)
def test_where_a_key_is_unknown_the_legal_ones_are_named(text: str, legal: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.fix == f"what may stand here: {legal}"


def test_a_file_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\nroles: {main: [say: \xc3\xa4]}\n")
    assert load(str(path)).turn("main", 0).blocks == (Text("ä"),)


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
