"""The file's content: issues by id, and every line that is no issue, kept byte for byte.

Reading gives up nothing: a line that cannot be understood is named with its number and kept, and
the rest works. Writing sorts issues by id, one a line, as bd does, so that two branches rarely
touch neighbouring lines; an issue that was not changed keeps its bytes. The kept lines follow, in
the order in which they were found. Blank lines are dropped. Pure: no file, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

from attractor.beads.issue import Issue, LineError, decode, encode, instant

_BOM: Final = b"\xef\xbb\xbf"
_CONFLICT_MARKERS: Final = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")


@final
@dataclass(frozen=True, slots=True)
class Damage:
    """A line that is kept, but is no issue."""

    number: int
    reason: str


@final
@dataclass(slots=True)
class Lines:
    """All lines of a file. Issues are changed by `put` only, never in place."""

    issues: dict[str, Issue] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    _raw: dict[str, bytes] = field(default_factory=dict)

    def put(self, issue: Issue) -> None:
        """Add this issue, or take it in place of the one with its id."""
        name = issue["id"]
        if self.issues.get(name) == issue:
            return
        self.issues[name] = issue
        self.changed.add(name)
        self._raw.pop(name, None)

    def take(self, issue: Issue, line: bytes) -> None:
        """Add an issue together with its line, which `render` then gives back as it is."""
        self.issues[issue["id"]], self._raw[issue["id"]] = issue, line

    def drop(self, name: str) -> None:
        """Leave out an issue."""
        del self.issues[name]
        self._raw.pop(name, None)

    def raw(self, name: str) -> bytes:
        """Return the line of an issue as it will be written."""
        return self._raw.get(name) or encode(self.issues[name])

    def render(self) -> bytes:
        """Return the content of the file."""
        lines = [self.raw(name) for name in sorted(self.issues)]
        return b"".join(line + b"\n" for line in (*lines, *self.kept))

    def _read(self, number: int, line: bytes) -> None:
        try:
            issue = decode(line)
        except LineError as error:
            marker = line.startswith(_CONFLICT_MARKERS)
            reason = "it is a conflict marker of git: delete this line" if marker else str(error)
            self.damage.append(Damage(number, reason))
            self.kept.append(line)
            return
        if issue is None:
            self.kept.append(line)
            return
        name = issue["id"]
        if name not in self.issues:
            self.issues[name], self._raw[name] = issue, line
            return
        self._twice(number, issue, line)

    def _twice(self, number: int, issue: Issue, line: bytes) -> None:
        name = issue["id"]
        if line == self._raw[name]:
            return
        old = self.issues[name]
        counts = "the later updated_at counts"
        self.damage.append(Damage(number, f"the id {name} is there twice, and {counts}"))
        if instant(issue.get("updated_at")) > instant(old.get("updated_at")):
            self.kept.append(self._raw[name])
            self.issues[name], self._raw[name] = issue, line
        else:
            self.kept.append(line)


def parse(data: bytes) -> Lines:
    """Return what a file holds; never fails."""
    lines = Lines()
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        if line.strip():
            lines._read(number, line)  # noqa: SLF001 - the two halves of one reader
    return lines
