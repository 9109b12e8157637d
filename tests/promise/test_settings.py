from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as drawn
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.promise import settings
from attractor.promise.settings import CAP, Hook

OURS = Hook("/usr/bin/python3", "/opt/attractor/promise/stop_hook.py")
MOVED = Hook("/new/python3", "/new/attractor/promise/stop_hook.py")
FOREIGN = {"type": "command", "command": "python3 hooks/stop_hook.py"}


def merge(text: str | None, hook: Hook = OURS) -> str:
    return settings.merged(text, hook, "settings.json").text


def remove(text: str) -> str:
    return settings.removed(text, "settings.json")


def stop_handlers(text: str) -> list[Any]:
    return [each for group in json.loads(text)["hooks"]["Stop"] for each in group["hooks"]]


def test_without_settings_they_hold_the_hook_alone() -> None:
    made = json.loads(merge(None))
    assert made == settings.for_session(OURS)
    assert made["env"] == {CAP: "100"}
    assert made["hooks"]["SessionStart"] == [
        {
            "hooks": [
                {
                    "type": "command",
                    "command": "/usr/bin/python3",
                    "args": ["-I", "-S", "/opt/attractor/promise/session_start.py"],
                    "timeout": 60,
                    "statusMessage": "naming the project",
                }
            ]
        }
    ]
    assert made["hooks"]["Stop"] == [
        {
            "hooks": [
                {
                    "type": "command",
                    "command": "/usr/bin/python3",
                    "args": ["-I", "-S", "/opt/attractor/promise/stop_hook.py"],
                    "timeout": 60,
                    "statusMessage": "checking promises",
                }
            ]
        }
    ]
    assert merge(None).endswith("}\n")


def test_what_is_there_stays_in_its_order() -> None:
    before = {
        "model": "x",
        "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": []}], "Stop": [{"hooks": [FOREIGN]}]},
        "env": {"A": "1"},
        "permissions": {"allow": ["Read"]},
    }
    after = json.loads(merge(json.dumps(before)))
    assert list(after) == list(before)
    assert list(after["hooks"]) == ["PreToolUse", "Stop", "SessionStart"]
    assert after["hooks"]["Stop"] == [{"hooks": [FOREIGN]}, {"hooks": [OURS.handler()]}]
    assert after["env"] == {"A": "1", CAP: "100"}
    assert after["permissions"] == before["permissions"]


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_the_look_of_the_text_stays(indent: str, newline: str, end: str, start: str) -> None:
    plain = json.dumps({"model": "é", "list": [1]}, indent=indent, ensure_ascii=False) + end
    text = start + plain.replace("\n", newline)
    after = merge(text)
    assert after.startswith(text[: text.index("1")])
    assert after.endswith(newline + "}" + end.replace("\n", newline))
    assert after.count("\n") == after.count(newline)
    assert remove(after) == text


def test_a_second_time_changes_nothing_at_all() -> None:
    odd = '{"model" : "x",   "list":[1,2]}'
    once = merge(odd)
    assert merge(once) == once
    squeezed = json.dumps(json.loads(once))
    assert merge(squeezed) == squeezed


def test_an_entry_of_an_older_place_is_replaced_where_it_stands() -> None:
    before = json.loads(merge('{"a": 1}'))
    before["hooks"]["Stop"].append({"hooks": [FOREIGN]})
    after = merge(json.dumps(before), MOVED)
    assert stop_handlers(after) == [MOVED.handler(), FOREIGN]


def test_of_several_entries_one_is_left() -> None:
    group = {"hooks": [OURS.handler(), FOREIGN, OURS.handler()]}
    before = {"hooks": {"Stop": [group, {"hooks": [OURS.handler()]}]}}
    assert stop_handlers(merge(json.dumps(before))) == [OURS.handler(), FOREIGN]


@pytest.mark.parametrize(
    "args",
    [
        None,
        ["stop_hook.py"],
        ["-I", "-S", "/home/me/hooks/stop_hook.py"],
        ["-m", "pdb", "/opt/attractor/promise/stop_hook.py"],
        ["-I", "-S"],
        [],
        "x",
    ],
)
def test_a_hook_of_somebody_else_is_not_ours(args: object) -> None:
    before = {"hooks": {"Stop": [{"hooks": [FOREIGN | ({"args": args} if args else {})]}]}}
    text = json.dumps(before)
    assert settings.installed(text, "x") is None
    assert len(stop_handlers(merge(text))) == 2
    assert json.loads(remove(merge(text))) == before


def test_the_hook_that_is_installed_is_found() -> None:
    assert settings.installed(merge('{"a": 1}', MOVED), "x") == MOVED
    assert settings.installed("{}", "x") is None


@pytest.mark.parametrize(
    ("said", "noted"), [("8", True), ("0", False), ("100", False), ("250", False), ("x", False)]
)
def test_a_cap_that_is_set_already_stays(said: str, noted: bool) -> None:
    text = json.dumps({"env": {CAP: said}})
    after, notes = settings.merged(text, OURS, "x")
    assert json.loads(after)["env"] == {CAP: said}
    assert any(CAP in note for note in notes) is noted


def test_hooks_that_are_switched_off_are_noted() -> None:
    _, notes = settings.merged('{"disableAllHooks": true}', OURS, "x")
    assert "disableAllHooks" in notes[0]


def test_a_cap_that_was_there_before_can_be_kept_when_the_hook_goes() -> None:
    text = merge('{"a": 1}')
    assert CAP not in remove(text)
    assert CAP in settings.removed(text, "x", keep_cap=True)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", "s.json:1:1", "this is not JSON"),
        ('{\n  "a": 1\n  "b": 2\n}', "s.json:3:3", "this is not JSON"),
        ('{\n  // why\n  "a": 1\n}', "s.json:2:3", "there is a comment"),
        ('{\n  "a": 1 /* why */\n}', "s.json:2:10", "there is a comment"),
        ("[]", "s.json:1", "not a JSON object"),
        ('{"hooks": []}', "s.json", "`hooks` is not a JSON object"),
        ('{"hooks": {"Stop": {}}}', "s.json", "`hooks.Stop` is not a list"),
        ('{"env": []}', "s.json", "`env` is not a JSON object"),
        ('{"a": 1, "a": 2}', "s.json", "the key 'a' occurs twice"),
        ("[" * 100_000, "s.json", "cannot be kept"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(text: str, where: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        settings.merged(text, OURS, "s.json")
    assert caught.value.where == where
    assert problem in caught.value.problem


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


# On a busy machine the first draw takes a second, because it reads the Unicode tables.
@drawn(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["model", "permissions", "x", ""]), VALUES))
def test_in_and_out_again_leaves_the_settings_as_they_were(value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    assert remove(merge(text)) == text


@pytest.mark.parametrize("groups", [[None], ["x"], [{"hooks": 5}], [{}], [{"hooks": [None, 1]}]])
def test_groups_that_we_do_not_understand_stay(groups: list[Any]) -> None:
    text = json.dumps({"hooks": {"Stop": groups}})
    after = json.loads(merge(text))["hooks"]["Stop"]
    assert after == [*groups, {"hooks": [OURS.handler()]}]


def test_an_installation_that_has_only_the_stop_hook_gets_the_other() -> None:
    first = settings.merged('{"a": 1}', OURS, "x", settings.FIRST_EVENTS).text
    assert list(json.loads(first)["hooks"]) == ["Stop"]
    assert merge(first) == merge('{"a": 1}')
    assert remove(merge(first)) == remove(first)
    assert json.loads(remove(first)) == {"a": 1}


def test_an_installation_that_has_only_the_start_hook_is_found_and_completed() -> None:
    half = settings.merged('{"a": 1}', OURS, "x", ("SessionStart",)).text
    assert settings.installed(half, "x") == OURS
    assert stop_handlers(merge(half)) == [OURS.handler()]
    assert json.loads(remove(half)) == {"a": 1}


@pytest.mark.parametrize(
    "number", ["1.10", "1e400", "-0.0", "1E+2", "0.1000", "12345678901234567890.5"]
)
def test_a_number_stays_as_it_is_written(number: str) -> None:
    text = f'{{"n": {number}, "list": [{number}], "u": "\\ud800 {number}"}}'
    after = merge(text)
    assert f'"n": {number},' in after
    assert after.count(number) == 3
    json.loads(after, parse_constant=pytest.fail)


@pytest.mark.parametrize("text", ['{"n": NaN}', '{"n": -Infinity}', '{"s": "\\u0000number 5"}'])
def test_what_would_not_come_out_as_it_went_in_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be kept"):
        merge(text)
