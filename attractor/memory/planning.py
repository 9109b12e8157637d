"""What a plan leaves in the memory."""

from __future__ import annotations

from attractor.memory.entry import Entry, Kind
from attractor.memory.learn import Lesson, learn
from attractor.memory.secrecy import found_secrets
from signals.clock import Clock, iso


def planned(project: str, structure: str, entry: str, clock: Clock) -> list[str]:
    """Rewrite Project Structure, add one line to Planning History; return what is to be told.

    Lines of the structure with what looks like a secret are left out; an empty one changes nothing.
    BusyError or StorageError where that could not be done; nothing is half done then.
    """
    lines = structure.splitlines()
    kept = [each for each in lines if not found_secrets(each)]
    said = Entry(kind=Kind.PLANNING, text=entry, at=iso(clock.wall_ns()))
    text = "\n".join(kept) if structure.strip() else None
    learned = learn(project, Lesson(entries=[said], structure=text), clock)
    left_out = len(lines) - len(kept)
    notes = [f"{left_out} lines of the structure hold what looks like a secret"] if left_out else []
    return [*learned.notes, *learned.refused, *notes]
