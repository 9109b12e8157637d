"""The files of a rubric, from an answer that fits the question's schema. Pure.

File names are made here, of a number and the plain letters of a title, so nothing that an agent
says can name another place. Its texts become single lines without control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attractor.rubric.manifest import MANIFEST, SUFFIX
from attractor.rubric.model import ACCEPT, INVESTIGATE

_MOST_SLUG: Final = 40
_NOT_OF_NAMES: Final = re.compile(r"[^a-z0-9]+")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]+")
_METHOD: Final = "code-analysis"


def files(said: Mapping[str, Any], *, prd_id: str, created: str, session: str) -> dict[str, bytes]:
    """Return the content of each file by its name."""
    named = [(_name(at, each), each) for at, each in enumerate(said["features"], 1)]
    manifest = {
        "prd_id": prd_id,
        "title": line(said["title"]),
        "created": created,
        "guardian_session": session,
        "thresholds": {"accept": ACCEPT, "investigate": INVESTIGATE, "reject": 0.0},
        "features": [_entry(name, each) for name, each in named],
    }
    made = {name: _gherkin(each).encode() for name, each in named}
    return {MANIFEST: _yaml(manifest).encode(), **made}


def line(text: str) -> str:
    """Return a text as one line that shows all that is in it."""
    return " ".join(_UNSEEN.sub(" ", text).split())


def _name(at: int, feature: Mapping[str, Any]) -> str:
    slug = _NOT_OF_NAMES.sub("_", feature["title"].lower())[:_MOST_SLUG].strip("_")
    return f"{at:02d}_{slug or 'feature'}{SUFFIX}"


def _entry(name: str, feature: Mapping[str, Any]) -> dict[str, Any]:
    entry = {
        "id": line(feature["id"]),
        "title": line(feature["title"]),
        "weight": feature["weight"],
        "rationale": line(feature.get("rationale", "")),
        "validation_method": feature.get("validation_method", _METHOD),
        "criteria": [line(each) for each in feature["criteria"]],
        "nodes": list(feature.get("nodes", ())),
        "file": name,
    }
    return {key: value for key, value in entry.items() if value not in ("", [])}


def _gherkin(feature: Mapping[str, Any]) -> str:
    lines = [f"Feature: {line(feature['id'])} {line(feature['title'])}"]
    lines += [f"  Weight: {feature['weight']:g}"]
    for scenario in feature["scenarios"]:
        lines += ["", f"  Scenario: {line(scenario['name'])}"]
        lines += [f"    {line(step)}" for step in scenario["steps"]]
    lines.append("")
    lines += _comments("Scoring Guide", feature["scoring_guide"])
    lines += _comments("Evidence to Check", feature["evidence"])
    lines += _comments("Red Flags", feature.get("red_flags", ()))
    return "\n".join(lines) + "\n"


def _comments(heading: str, said: Sequence[str]) -> Iterator[str]:
    if said:
        yield f"  # {heading}"
    for each in said:
        yield f"  #   {line(each)}"


def _yaml(value: object) -> str:
    import yaml

    made: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return made
