"""PROGRESS.md: a view of the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attractor.run.journal import Entry
from attractor.run.progress_file import markdown
from attractor.run.story import Story, read

NIGHT = Path(__file__).with_name("night.jsonl").read_text().splitlines()


def told(lines: list[str], *more: tuple[str, dict[str, Any]]) -> str:
    said = [(each["event"], each["data"]) for each in map(json.loads, lines)]
    at = "2026-02-24T12:00:{:02}Z"
    return markdown(
        read(Entry(n, at.format(n), *each, "", "") for n, each in enumerate([*said, *more], 1))
    )


def test_a_run_that_has_ended_is_told_with_its_nodes_and_decisions() -> None:
    text = told(NIGHT)
    assert text.startswith("# Progress of auth-1\n")
    assert "- Nodes: 5 of 5 are done\n" in text
    assert "- Ended: 2026-02-24T12:00:42Z, validated (every way" in text
    assert "| `jwt` | validated | 2 | 0.50, 1.00 | merged as 333333333333 |\n" in text
    assert "- `d1` May it be released? approve, by terminal\n" in text


def test_at_each_entry_the_page_is_whole() -> None:
    for end in range(len(NIGHT) + 1):
        text = told(NIGHT[:end])
        assert text.startswith("# Progress of ")
        assert text.endswith("\n")
        assert told(NIGHT[:end]) == text


def test_a_question_waits_until_it_is_answered() -> None:
    asked = next(n for n, line in enumerate(NIGHT) if '"DecisionAsked"' in line)
    assert "Waits for a person, since 2026-02-24T12:00:" in told(NIGHT[: asked + 1])


def test_what_agents_say_marks_up_nothing() -> None:
    text = told(NIGHT, ("Noted", {"what": "# <b>note</b>\n| a | [x](y)"}))
    assert text.endswith(" \\# \\<b\\>note\\</b\\> \\| a \\| \\[x\\](y)\n")


def test_a_run_that_has_not_begun_has_a_page_too() -> None:
    assert "- Began: not yet" in markdown(Story())
