"""One `.feature` file: Gherkin, and the comments that say how it is scored.

Guaranteed: what is no Gherkin is an InputError with the line of the first mistake. A scenario
outline stays one scenario, whose text holds its examples: it is judged once, as its scoring guide
counts. Comments are kept by their heading (`# Scoring Guide`, `# Evidence to Check`, `# Red
Flags`), for the whole feature, wherever in the file they stand; other comments are left out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.rubric.model import Scenario

_HEADINGS: Final = {"scoring guide": "guide", "evidence to check": "evidence"} | {
    "red flags": "red_flags"
}
_HEADING: Final = re.compile(rf"#+ {{0,2}}({'|'.join(_HEADINGS)})\b[^a-z]*", re.IGNORECASE)
_FIX: Final = "correct it: https://cucumber.io/docs/gherkin/reference has the keywords"


@final
@dataclass(frozen=True, slots=True)
class FeatureFile:
    """What one file says."""

    title: str
    scenarios: tuple[Scenario, ...] = ()
    guide: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    red_flags: tuple[str, ...] = ()


def parse(text: str, name: str) -> FeatureFile:
    """Return what the text of a file says; `name` is where mistakes are said to be."""
    document = _parsed(text, name)
    feature = document.get("feature")
    if feature is None:
        raise InputError(
            "there is no feature in this file", where=name, fix="begin it: Feature: F1"
        )
    comments = {each["location"]["line"]: each["text"].strip() for each in document["comments"]}
    lines = text.replace("\r\n", "\n").split("\n")
    said = ["" if at in comments else line for at, line in enumerate(lines, 1)]
    scenarios = tuple(_scenarios(feature["children"], said, name, ""))
    return FeatureFile(feature["name"].strip(), scenarios, **_sections(comments, said))


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    from gherkin.errors import CompositeParserException, ParserError  # 40 ms: rubrics only
    from gherkin.parser import Parser
    from gherkin.token_scanner import TokenScanner

    try:
        found: Any = Parser().parse(TokenScanner(text))
    except ParserError as error:
        first = error.errors[0] if isinstance(error, CompositeParserException) else error
        place = getattr(first, "location", None) or {}
        problem = str(first).partition("): ")[2] or str(first)
        where = f"{name}:{place.get('line', 1)}"
        raise InputError(f"this is not Gherkin: {problem}", where=where, fix=_FIX) from None
    return found  # type: ignore[no-any-return]  # a TypedDict of theirs, whose keys may be absent


def _scenarios(
    children: Sequence[Mapping[str, Any]], lines: Sequence[str], name: str, before: str
) -> Iterator[Scenario]:
    """Yield the scenarios of a feature or a rule; `before` is the text of the backgrounds."""
    for child, end in zip(children, _ends(children, len(lines)), strict=True):
        ((kind, found),) = child.items()
        start = found["location"]["line"]
        text = textwrap.dedent("\n".join(lines[start - 1 : end])).strip()
        if kind == "background":
            before = f"{before}{text}\n\n"
        elif kind == "rule":
            yield from _scenarios(found["children"], lines[:end], name, before)
        else:
            outcomes = tuple(_outcomes(found["steps"]))
            told = re.sub(r"\n{2,}", "\n\n", f"{before}{text}")
            yield Scenario(found["name"].strip(), told, outcomes, f"{name}:{start}")


def _ends(children: Sequence[Mapping[str, Any]], last: int) -> list[int]:
    starts = []
    for child in children:
        (found,) = child.values()
        places = [found, *found.get("tags", ())]
        starts.append(min(each["location"]["line"] for each in places) - 1)
    return [*starts[1:], last][: len(starts)]


def _outcomes(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    kind = ""
    for step in steps:
        if step["keywordType"] not in {"Conjunction", "Unknown"}:
            kind = step["keywordType"]
        if kind == "Outcome":
            doc = step.get("docString", {}).get("content", "")
            rows = step.get("dataTable", {}).get("rows", ())
            cells = (cell["value"] for row in rows for cell in row["cells"])
            yield " ".join([step["text"], doc, *cells]).strip()


def _sections(comments: Mapping[int, str], said: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the comments below each heading, up to the next line that is none."""
    found: dict[str, list[str]] = {key: [] for key in _HEADINGS.values()}
    into: list[str] | None = None
    for at, line in enumerate(said, 1):
        text = comments.get(at, "")
        if heading := _HEADING.fullmatch(text):
            into = found[_HEADINGS[heading[1].lower()]]
        elif line.strip():
            into = None
        elif into is not None and (told := text.lstrip("#").strip().removeprefix("- ")):
            into.append(told)
    return {key: tuple(lines) for key, lines in found.items()}
