"""A question that loads can be asked; any other is refused with the key that is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.agents import question as questions
from attractor.agents.question import Question
from attractor.errors import InputError

LEAST = {"schema_version": 1, "prompt": "Judge.", "schema": {"type": "object"}, "cwd": "/"}


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    asked = Question(
        prompt="Ü \ud800 😀\n",
        schema={"type": "object", "properties": {"a": {"type": "string"}}},
        cwd=str(tmp_path),
        agent="claude-sdk",
        model="opus",
        tools=(),
        system="Be strict.",
        timeout_seconds=1.5,
        max_turns=3,
        env={"PATH": "/bin", "ODD": "\udcff", "EMPTY": ""},
        settings={"permissions": {"deny": ["WebFetch"]}},
        program="/bin/claude",
    )
    path = tmp_path / "question.json"
    path.write_bytes(questions.dump(asked))
    assert questions.load(str(path)) == asked


def test_what_is_not_said_has_its_default() -> None:
    asked = questions.from_json(LEAST, "here")
    assert asked == Question(prompt="Judge.", schema={"type": "object"}, cwd="/")
    assert (asked.agent, asked.tools) == ("claude", ("Read", "Grep", "Glob"))
    assert (asked.env, asked.program) == (None, "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", 7),
        ("prompt", "x" * 9_000_000),
        ("schema", "object"),
        ("schema", {"description": "x" * 100_001}),
        ("cwd", "relative"),
        ("cwd", "/with\0zero"),
        ("agent", "../../evil"),
        ("agent", ""),
        ("model", "x\0y"),
        ("model", ["opus"]),
        ("tools", "Read"),
        ("tools", ["Bash,Write"]),
        ("tools", ["Bash(git *)"]),
        ("tools", ["-x"]),
        ("tools", [7]),
        ("system", "x" * 100_001),
        ("timeout_seconds", 0),
        ("timeout_seconds", -1),
        ("timeout_seconds", True),
        ("timeout_seconds", float("nan")),
        ("timeout_seconds", float("inf")),
        ("timeout_seconds", 10**400),
        ("timeout_seconds", "120"),
        ("max_turns", 0),
        ("max_turns", 1.5),
        ("max_turns", True),
        ("env", ["A=b"]),
        ("env", {"A": 1}),
        ("env", {"A=B": "c"}),
        ("env", {"": "c"}),
        ("env", {"A": "b\0c"}),
        ("settings", None),
        ("settings", []),
        ("program", "claude"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        questions.from_json(LEAST | {key: value}, "here.json")
    assert f"{key!r} is not" in caught.value.problem
    assert caught.value.where == "here.json"
    assert caught.value.fix


@pytest.mark.parametrize("key", ["prompt", "schema", "cwd"])
def test_what_must_be_said_and_is_not_is_named(key: str) -> None:
    said = {name: value for name, value in LEAST.items() if name != key}
    with pytest.raises(InputError, match=f"has no '{key}'"):
        questions.from_json(said, "here")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(InputError, match="unknown key 'promt'"):
        questions.from_json(LEAST | {"promt": "Judge."}, "here")


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_a_question_of_another_version_is_refused(version: Any) -> None:
    with pytest.raises(InputError, match="schema_version 1"):
        questions.from_json(LEAST | {"schema_version": version}, "here")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[1]", b"7", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is not"):
        questions.parse(data, "here")


def test_a_question_that_is_missing_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        questions.load(str(tmp_path / "gone.json"))
    with pytest.raises(InputError, match="larger than"):
        questions.load("/dev/zero")


def test_a_document_says_of_which_version_it_is() -> None:
    asked = replace(questions.from_json(LEAST, "here"), model="opus")
    assert json.loads(questions.dump(asked))["schema_version"] == 1
