"""The task `remember`: what an attempt taught goes into the project's memory.

That is what its agent handed in as files, and what the verdict says: feedback becomes a lesson, and
a pass marks as useful what the attempt had been told. Done again, it says the same and changes
nothing. A file that an earlier attempt left counts for that one alone.

Nothing of the user's is touched but ARCHITECT.md, and of that only what `attractor.memory` may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attractor.memory import hand_in
from attractor.memory.entry import Entry, Kind, clean, first_sentence, shortened
from attractor.memory.learn import Attempt, Lesson, learn
from attractor.memory.places import home
from signals.clock import Clock, iso

_PASSED: Final = "passed"
_MOST_LABEL: Final = 80


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Learn, and answer {ok, added, flagged, notes, usage}."""
    request = spec["request"]
    project = home(str(request["project"]), rehearsed=request.get("rehearsed") is True)
    by: Attempt = (
        str(spec["request"]["run_id"]),
        str(spec.get("node") or ""),
        int(spec.get("attempt") or 0),
    )
    handed = hand_in.collect(str(spec.get("worktree") or ""))
    at = iso(clock.wall_ns())

    def entry(said: tuple[Kind, str]) -> Entry:
        return Entry(kind=said[0], text=said[1], run=by[0], node=by[1], attempt=by[2], at=at)

    taught = [*map(entry, _taught(spec))]
    files = {digest: [*map(entry, lines)] for digest, lines in handed.files.items()}
    good = spec.get("outcome") == _PASSED
    learned = learn(project, Lesson(taught, files, by, good), clock)
    return {
        "ok": True,
        "added": [each.text for each in learned.added],
        "flagged": [{"text": each.entry.text, "against": each.against} for each in learned.flagged],
        "notes": [*handed.notes, *learned.notes, *learned.refused],
        "usage": {},
    }


def _taught(spec: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    """Yield what the verdict teaches: what was wrong with work that was not good."""
    feedback = str(spec.get("feedback") or "")
    points = [each for each in feedback.splitlines() if each.startswith("- ")]
    said = first_sentence(points[0] if points else feedback)
    if spec.get("outcome") == _PASSED or not said:
        return
    label = clean(str(spec.get("label") or spec.get("node") or ""))[:_MOST_LABEL]
    yield Kind.LESSON, shortened(f"{label}: {said}" if label else said)
