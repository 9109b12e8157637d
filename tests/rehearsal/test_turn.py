"""Which turn is due, and whose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from attractor.rehearsal.script import parse
from attractor.rehearsal.turn import Text, Turn, due


def turns(*when: str) -> list[Turn]:
    return [Turn((Text("x"),), when=each) for each in when]


@pytest.mark.parametrize(
    ("when", "news", "expected"),
    [
        ((), ["go"], 0),
        ((), ["go", "", ""], 2),
        (("", ""), ["go"], 0),
        (("", ""), ["go", "more"], 1),
        (("", ""), ["go", "more", "most"], 2),
        (("yes", ""), ["no"], 1),
        (("yes", ""), ["oh yes"], 0),
        (("yes", ""), ["yes", "x"], 1),
        (("", "yes", ""), ["go", "no"], 2),
        (("", "yes", ""), ["go", "yes", "x"], 2),
        (("", "yes", ""), ["go", "no", "yes"], 3),  # what was left out does not come back
        (("", "yes", "maybe"), ["go", "no"], 3),
        (("a", "b", "c"), ["c"], 2),
        (("", r"a(?![\s\S]*b)", ""), ["", "a\nb"], 2),
    ],
)
def test_a_turn_that_does_not_fit_what_was_said_is_left_out(
    when: tuple[str, ...], news: list[str], expected: int
) -> None:
    assert due(turns(*when), news) == expected


def said(found: tuple[str, Sequence[Turn]]) -> tuple[str, str]:
    role, made = found
    (block,) = made[0].blocks
    assert isinstance(block, Text)
    return role, block.text


def test_a_subagent_is_told_by_the_longest_prompt_that_spawned_it() -> None:
    call = "tool: {name: Agent, input: {prompt: %s, subagent_type: %s}}"
    script = parse(
        "version: 1\nroles:\n  main:\n"
        f"    - {call % ('Count', 'short')}\n"
        f"    - do: [{{ {call % ('Count ducks', 'long')} }}]\n"
        f"    - {call % ('Sing', 'unscripted')}\n"
        "  agent:short: [say: s]\n  agent:long: [say: l]\n  subagent: [say: any]\n"
    )
    assert said(script.worker("<context>\nCount ducks\n")) == ("agent:long", "l")
    assert said(script.worker("Count geese")) == ("agent:short", "s")
    assert said(script.worker("Sing")) == ("subagent", "any")
    assert said(script.worker("Something else")) == ("subagent", "any")


WORKERS = """
version: 1
roles:
  main: [spawn: {worker: tdd, prompt: Test it., turns: [say: anywhere]}]
nodes:
  impl:
    main:
      - spawn: {worker: tdd, prompt: Test it., turns: [say: of the node]}
      - spawn:
          worker: tdd
          prompt: Split it.
          turns: [spawn: {worker: ux, prompt: Draw it., turns: [say: deep]}]
      - spawn: {worker: ux, prompt: Sing.}
    agent:ux: [say: any artist]
    attempts:
      2: {main: [spawn: {worker: tdd, prompt: Test it., turns: [say: of the attempt]}]}
"""


@pytest.mark.parametrize(
    ("prompt", "node", "attempt", "expected"),
    [
        ("Test it.", "", 0, ("agent:tdd", "anywhere")),
        ("Test it.", "other", 2, ("agent:tdd", "anywhere")),
        ("Test it.", "impl", 1, ("agent:tdd", "of the node")),
        ("Test it.", "impl", 2, ("agent:tdd", "of the attempt")),
        ("Draw it.", "impl", 2, ("agent:ux", "deep")),
        ("Sing.", "impl", 1, ("agent:ux", "any artist")),
    ],
)
def test_a_worker_has_the_turns_that_came_with_its_prompt_from_the_nearest_place(
    prompt: str, node: str, attempt: int, expected: tuple[str, str]
) -> None:
    assert said(parse(WORKERS).worker(prompt, node, attempt)) == expected


def test_a_worker_that_nobody_spawned_and_nobody_scripted_has_no_turns() -> None:
    with pytest.raises(KeyError, match="subagent"):
        parse(WORKERS).worker("Cook.", "impl", 1)
