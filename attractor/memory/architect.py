"""ARCHITECT.md: its sections, and where entries stand in it; pure.

What a person wrote stays byte for byte, wherever it stands. Only three things are ever written:
a line at the end of a section, the block between the two marks in Project Structure, and the whole
page where there is none. A text whose sections cannot be told for certain is no page: `read` says
why, and nothing is written then.

An entry is one list item that ends in its provenance, in brackets. The text of an entry is escaped,
so that it can neither begin a heading, a list, a quotation or a comment nor forge a provenance.
A line that calls an entry withdrawn takes back those above it in its section; one below it, with
the same words, counts again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from attractor.errors import DamageError
from attractor.memory import words
from attractor.memory.entry import Entry, Kind, clean

NAME: Final = "ARCHITECT.md"
STRUCTURE: Final = "Project Structure"
SECTIONS: Final = {
    Kind.DECISION: "Permanent Decisions",
    Kind.CONSTRAINT: "Known Constraints",
    Kind.LESSON: "Lessons Learned",
    Kind.PRACTICE: "Best Practices",
    Kind.PLANNING: "Planning History",
}
MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_STRUCTURE: Final = 12_000
_BEGIN: Final = "<!-- structure: rewritten at each plan -->"
_END: Final = "<!-- end of structure -->"
_INTRO: Final = """\
# What is known of this project

Every agent that works here is told of this page, as far as it matters to its task. Attractor adds
a line to a section, and rewrites what stands between the two marks; all else is yours to edit.
What a later line calls withdrawn counts for nothing.
"""
_FIX: Final = f"put it right, or move it away: a new {NAME} is made of what is remembered"

_HEADING: Final = re.compile(r"(#{1,2})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ITEM: Final = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(\S.*?)[ \t]*")
_DEEPEST: Final = 3
"""By how much the first item of a list may be indented; with more it is a block of code."""
_PROVENANCE: Final = re.compile(
    r"(.*?) \[(?:node ([^\s,\[\]]+), attempt (\d+)|by hand|planned), (\d{4}-\d\d-\d\d)"
    r"(?:, run ([^\s,\[\]]+))?\]"
)
_WITHDRAWN: Final = re.compile(r"Withdrawn: (.*) \[withdrawn by hand, (\d{4}-\d\d-\d\d)\]")
_ESCAPED: Final = re.compile(r"[\\\[\]<>]")
_BLOCK: Final = re.compile(r"[^\w\s]|_|\d+[.)]")


@final
@dataclass(frozen=True, slots=True)
class Page:
    """A text that has each section once; `spans` say where, without the heading."""

    text: str
    spans: dict[str, tuple[int, int]]

    def body(self, section: str) -> str:
        """Return what stands in a section."""
        begin, end = self.spans[section]
        return self.text[begin:end]

    @property
    def structure(self) -> str:
        """Return what Project Structure says, without the marks."""
        body = self.body(STRUCTURE)
        return body.replace(_BEGIN, "").replace(_END, "").strip()

    def entries(self) -> Iterator[Entry]:
        """Yield the list items of the five sections that count, whoever wrote them."""
        for kind in SECTIONS:
            yield from self._sorted(kind)[0]

    def withdrawn(self) -> list[Entry]:
        """Return what was withdrawn, and stands nowhere else."""
        living = {words.plain(each.text) for each in self.entries()}
        gone = (self._sorted(kind)[1] for kind in SECTIONS)
        return [each for every in gone for key, each in every.items() if key not in living]

    def place(self, text: str) -> int:
        """Return the number of the line in which an entry of this text stands; 0 where none."""
        for kind, section in SECTIONS.items():
            before = self.text.count("\n", 0, self.spans[section][0])
            for number, item in self._items(kind):
                if _entry(kind, item).text == text:
                    return before + number
        return 0

    def _items(self, kind: Kind) -> Iterator[tuple[int, str]]:
        """Yield the list items of a section, and in which of its lines they stand."""
        inside = False
        for number, (line, fenced) in enumerate(_lines(self.body(SECTIONS[kind])), 1):
            item = None if fenced else _ITEM.fullmatch(line.rstrip("\r\n"))
            if item is not None and (inside or len(item[1].expandtabs(4)) <= _DEEPEST):
                inside = True
                yield number, item[2]
            elif line.strip() and not line[0].isspace():
                inside = False

    def _sorted(self, kind: Kind) -> tuple[list[Entry], dict[str, Entry]]:
        """Return the items of a section that count, and by their words those withdrawn."""
        living, gone = list[Entry](), dict[str, Entry]()
        for _, item in self._items(kind):
            if said := _WITHDRAWN.fullmatch(item):
                entry = Entry(kind=kind, text=clean(_unescaped(said[1])), at=said[2])
                key = words.plain(entry.text)
                mine = [each for each in living if words.plain(each.text) == key]
                gone[key] = mine[-1] if mine else entry
                living = [each for each in living if words.plain(each.text) != key]
            else:
                entry = _entry(kind, item)
                gone.pop(words.plain(entry.text), None)
                living.append(entry)
        return living, gone


def empty() -> str:
    """Return the page of a project of which nothing is known."""
    parts = [_INTRO, f"\n## {STRUCTURE}\n\n{_BEGIN}\n{_END}\n"]
    return "".join([*parts, *(f"\n## {section}\n" for section in SECTIONS.values())])


def decoded(data: bytes) -> str:
    """Return the text of a file; DamageError where it is none."""
    if len(data) > MOST_BYTES:
        raise DamageError(f"this is larger than {MOST_BYTES} bytes", fix=_FIX)
    if b"\0" in data:
        raise DamageError("this is no text: it has a NUL byte", fix=_FIX)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DamageError(f"this is not UTF-8 (byte {error.start})", fix=_FIX) from None


def read(text: str) -> Page:
    """Return the page; DamageError where a section is missing or there twice."""
    spans: dict[str, tuple[int, int]] = {}
    wanted = {each.casefold(): each for each in (STRUCTURE, *SECTIONS.values())}
    current, begin, place = "", 0, 0
    for line, fenced in _lines(text):
        heading = None if fenced else _HEADING.fullmatch(line.rstrip("\r\n"))
        if heading is not None:
            if current:
                spans[current] = (begin, place)
            current = wanted.get(heading[2].casefold(), "") if heading[1] == "##" else ""
            if current in spans:
                raise DamageError(f"the section {current} is there twice", fix=_FIX)
            begin = place + len(line)
        place += len(line)
    if current:
        spans[current] = (begin, place)
    if _open_at_end(text):
        raise DamageError("a fenced block is not closed", fix=_FIX)
    if missing := [each for each in wanted.values() if each not in spans]:
        raise DamageError(f"there is no section {missing[0]}", fix=_FIX)
    page = Page(text, spans)
    _check_marks(page)
    return page


def added(page: Page, entries: Iterable[Entry]) -> str:
    """Return the text with these entries at the ends of their sections."""
    lines: dict[str, list[str]] = {}
    for each in entries:
        lines.setdefault(SECTIONS[each.kind], []).append(line_of(each))
    return _with_lines(page, lines)


def withdrawn(page: Page, text: str, at: str) -> str:
    """Return the text of the page with what calls this withdrawn, wherever it stands."""
    key = words.plain(text)
    lines: dict[str, list[str]] = {}
    for each in page.entries():
        if words.plain(each.text) == key:
            line = f"- Withdrawn: {escaped(each.text)} [withdrawn by hand, {at[:10]}]"
            lines[SECTIONS[each.kind]] = [line]
    return _with_lines(page, lines)


def _with_lines(page: Page, lines: Mapping[str, Sequence[str]]) -> str:
    text = page.text
    # The last section first: what comes before keeps its place.
    for section in sorted(lines, key=lambda each: page.spans[each], reverse=True):
        text = _appended(text, *page.spans[section], lines[section])
    return text


def with_structure(page: Page, structure: str) -> str:
    """Return the text with this between the two marks; where there are none, they are made."""
    begin, end = page.spans[STRUCTURE]
    body, newline = page.body(STRUCTURE), _newline(page.text)
    inner = "".join(f"{line}{newline}" for line in safe_structure(structure))
    block = f"{_BEGIN}{newline}{inner}{_END}"
    if _BEGIN in body:
        first, last = body.index(_BEGIN), body.index(_END) + len(_END)
        return page.text[:begin] + body[:first] + block + body[last:] + page.text[end:]
    lead = "" if page.text[:begin].endswith("\n") else newline
    return f"{page.text[:begin]}{lead}{newline}{block}{newline}{body}{page.text[end:]}"


def line_of(entry: Entry) -> str:
    """Return the one line that stands for an entry."""
    where = "planned" if entry.kind is Kind.PLANNING else "by hand"
    if entry.node:
        where = f"node {_name(entry.node)}, attempt {entry.attempt}"
    run = f", run {_name(entry.run)}" if entry.run else ""
    return f"- {escaped(entry.text)} [{where}, {entry.at[:10] or '1970-01-01'}{run}]"


def escaped(text: str) -> str:
    """Return a clean text so that Markdown shows it as it is, in its line."""
    safe = _ESCAPED.sub(lambda found: f"\\{found[0]}", text)
    if safe.startswith("\\") or not (block := _BLOCK.match(safe)):
        return safe
    end = block.end()
    return f"{safe[: end - 1]}\\{safe[end - 1 :]}"


def safe_structure(structure: str) -> list[str]:
    """Return the lines of a structure, such that no heading, mark or fence of it ends a section."""
    text = structure[:_MOST_STRUCTURE].replace("<!--", "&lt;!--").replace("-->", "--&gt;")
    shown = ("".join(c if c.isprintable() or c in "\t\n" else " " for c in text)).split("\n")
    lines: list[str] = []
    fence = ""
    for line in (each.rstrip() for each in shown):
        fence = _fence_after(line, fence)
        is_heading = not fence and line.lstrip().startswith("#")
        lines.append(f"**{line.strip('# ')}**" if is_heading else line)
    return [*lines, fence] if fence else lines


def _entry(kind: Kind, item: str) -> Entry:
    if found := _PROVENANCE.fullmatch(item):
        text, node, attempt, date, run = found.groups()
        known = {"node": _unnamed(node or ""), "run": _unnamed(run or ""), "at": date}
        return Entry(kind=kind, text=_unescaped(text), attempt=int(attempt or 0), **known)
    return Entry(kind=kind, text=clean(_unescaped(item)))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([^\w\s]|_)", r"\1", text)


def _name(name: str) -> str:
    """Return a name of a node or run as one word."""
    return re.sub(r"[^\w.-]", lambda found: "".join(f"%{b:02x}" for b in found[0].encode()), name)


def _unnamed(name: str) -> str:
    encoded = re.sub(rb"%([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), name.encode())
    return encoded.decode(errors="replace")


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line with its end, and whether it is inside of a fenced block."""
    fence = ""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        before, fence = fence, _fence_after(line.rstrip("\r\n"), fence)
        yield line, bool(before or fence)


def _fence_after(line: str, fence: str) -> str:
    """Return the fence that is open after this line; nothing where none is."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    marks, rest = found.groups()
    if not fence:
        return "" if marks[0] == "`" and "`" in rest else marks
    return "" if marks.startswith(fence) and not rest.strip() else fence


def _open_at_end(text: str) -> bool:
    fence = ""
    for line in text.split("\n"):
        fence = _fence_after(line.rstrip("\r"), fence)
    return bool(fence)


def _appended(text: str, begin: int, end: int, lines: Sequence[str]) -> str:
    newline = _newline(text)
    kept = text[begin:end].rstrip()
    if not kept:
        place, lead = begin, newline
    else:
        place = text.find("\n", begin + len(kept)) + 1 or len(text)
        last = kept.rsplit("\n", 1)[-1]
        lead = "" if _ITEM.fullmatch(last.rstrip("\r")) else newline
    if not text[:place].endswith("\n"):
        lead = newline + lead
    inserted = "".join(f"{line}{newline}" for line in lines)
    return f"{text[:place]}{lead}{inserted}{text[place:]}"


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _check_marks(page: Page) -> None:
    body = page.body(STRUCTURE)
    marks = (page.text.count(_BEGIN), page.text.count(_END))
    fit = marks == (1, 1) and 0 <= body.find(_BEGIN) < body.find(_END)
    if marks != (0, 0) and not fit:
        raise DamageError(f"the two marks in {STRUCTURE} do not fit together", fix=_FIX)
