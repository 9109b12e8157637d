"""What a session did, in few words and within a bound."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from runner.digest import Digest, Digesting

IDS = itertools.count()
PLENTY = 20_000


def at(seconds: int) -> str:
    return f"2026-11-21T11:{seconds // 60:02d}:{seconds % 60:02d}.000Z"


def call(name: str, given: Any, when: int = 0, identity: str = "") -> dict[str, Any]:
    block = {"type": "tool_use", "id": identity or f"t{next(IDS)}", "name": name, "input": given}
    message = {"model": "opus", "content": [block]}
    return {"type": "assistant", "timestamp": at(when), "message": message}


def result(identity: str, content: Any, when: int = 0) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": identity, "content": content}
    return {"type": "user", "timestamp": at(when), "message": {"content": [block]}}


def ran(command: str, output: Any, when: int = 0) -> list[dict[str, Any]]:
    identity = f"t{next(IDS)}"
    return [call("Bash", {"command": command}, when, identity), result(identity, output, when)]


def said(text: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}


def digest(*lines: dict[str, Any], main: bool = True, max_bytes: int = PLENTY) -> Digest:
    digesting = Digesting()
    for each in lines:
        digesting.add(each, main=main)
    return digesting.digest(max_bytes)


def test_files_and_commands_are_told_once_each_the_newest_last() -> None:
    found = digest(
        call("Write", {"file_path": "a.py"}),
        call("Edit", {"file_path": "b.py"}),
        call("NotebookEdit", {"notebook_path": "c.ipynb"}),
        call("Edit", {"file_path": "a.py"}),
        call("Read", {"file_path": "d.py"}),
        call("Bash", {"command": "make"}),
        call("Grep", {"pattern": "x"}),
    )
    assert found.files_written == ("b.py", "c.ipynb", "a.py")
    assert found.files_read == ("d.py",)
    assert found.commands == ("make",)


def test_what_workers_did_stands_where_its_time_puts_it() -> None:
    digesting = Digesting()
    digesting.add(call("Bash", {"command": "first"}, 1), main=True)
    digesting.add(call("Bash", {"command": "third"}, 3), main=True)
    digesting.add(call("Bash", {"command": "second"}, 2), main=False)
    assert digesting.digest(PLENTY).commands == ("first", "second", "third")


def test_the_last_message_is_the_main_threads_own() -> None:
    digesting = Digesting()
    digesting.add(said("early"), main=True)
    digesting.add(said("late"), main=True)
    digesting.add(said("of a worker"), main=False)
    synthetic = said("API Error")
    synthetic["message"]["model"] = "<synthetic>"
    digesting.add(synthetic, main=True)
    digesting.add(result("x", [{"type": "text", "text": "a result"}]), main=True)
    assert digesting.digest(PLENTY).last_message == "late"


@pytest.mark.parametrize(
    "line",
    [
        "FAILED tests/test_a.py::test_x - assert 1 == 2",
        "ERROR tests/test_a.py - ImportError: no",
        "FAIL: test_x (tests.A.test_x)",
        "E       assert 1 == 2",
        "--- FAIL: TestX (0.00s)",
        "test tests::it_works ... FAILED",
        "FAIL src/app.test.js",
        "✕ adds numbers (3 ms)",
        "● suite: adds numbers",
        "not ok 3 - adds numbers",
        "rspec ./spec/a_spec.rb:12 # A adds",
        "[ERROR] AppTest.testAdd:12 expected 2",
        "AssertionError: 1 != 2",
        "error[E0308]: mismatched types",
        "error: could not compile",
    ],
)
def test_a_failing_test_is_told_by_its_own_line(line: str) -> None:
    output = f"collected 2 items\n\n{line}\n2 passed, 1 failed"
    assert digest(*ran("make test", output)).failures == (line,)
    blocks = [{"type": "text", "text": output}, {"type": "image"}]
    assert digest(*ran("make test", blocks)).failures == (line,)


@pytest.mark.parametrize(
    "output", ["12 passed", "no error: fine", "ERROR 404", "ok 3 - adds", None, 7, [7], [{}]]
)
def test_what_is_no_failure_is_not_told(output: Any) -> None:
    assert digest(*ran("make test", output)).failures == ()


def test_failures_are_those_of_the_newest_run_of_each_command() -> None:
    red, blue = "FAILED a.py::red", "FAILED b.py::blue"
    both = [*ran("test a", red, 1), *ran("test b", blue, 2)]
    assert digest(*both).failures == (red, blue)
    assert digest(*both, *ran("test a", "1 passed", 3)).failures == (blue,)
    assert digest(*both, *ran("test a", red, 3)).failures == (blue, red)


def test_a_result_that_nobody_called_for_says_nothing() -> None:
    assert digest(result("unknown", "FAILED a.py::red")).failures == ()
    read = call("Read", {"file_path": "log"}, identity="t")
    assert digest(read, result("t", "FAILED a.py::red")).failures == ()


@pytest.mark.parametrize("max_bytes", [0, 1, 50, 1_000, PLENTY])
def test_all_texts_together_stay_within_the_bound(max_bytes: int) -> None:
    lines = [call("Write", {"file_path": f"ü{each}" * 50}) for each in range(300)]
    lines += [call("Read", {"file_path": f"r{each}"}) for each in range(300)]
    for each in range(300):
        lines += ran(f"command {each} {'x' * 500}", f"FAILED a.py::{each}")
    found = digest(*lines, said("ü" * 100_000), max_bytes=max_bytes)
    texts = [*found.files_written, *found.files_read, *found.commands, *found.failures]
    assert sum(len(each.encode()) for each in [*texts, found.last_message]) <= max_bytes
    if max_bytes >= 1_000:
        assert found.files_read[-1] == "r299"
        assert found.failures[-1] == "FAILED a.py::299"
        assert found.last_message.endswith("ü")


def test_one_text_alone_is_cut() -> None:
    found = digest(call("Bash", {"command": "x" * 10_000}))
    assert len(found.commands[0]) < 500


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"message": None},
        {"type": "assistant", "message": {"content": "text"}},
        {"type": "assistant", "message": {"content": [None, 7, {}]}},
        {"type": "assistant", "message": {"content": [{"type": "text"}]}},
        call("Write", None),
        call("Write", {"file_path": 7}),
        call("Bash", {"command": ["ls"]}),
        call("Bash", {}),
        said("\ud800"),
        call("Write", {"file_path": "\ud800"}),
    ],
)
def test_a_strange_record_does_no_harm(line: dict[str, Any]) -> None:
    found = digest(line, call("Read", {"file_path": "a"}))
    assert found.files_read == ("a",)
    found.last_message.encode()
