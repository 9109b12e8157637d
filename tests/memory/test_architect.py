"""The page: what a person wrote stays, and an entry is one line that says nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import DamageError
from attractor.memory import architect, words
from attractor.memory.entry import Entry, Kind, clean

texts = st.text(min_size=1, max_size=80).map(clean).filter(lambda text: any(map(str.isalnum, text)))
marked = st.lists(
    st.sampled_from(
        ["# a", "[node x, attempt 1, 2026-01-01]", "\\", "*", "1.", "```", "<!--", "b"]
    ),
    min_size=1,
    max_size=5,
).map(" ".join)
names = st.text(min_size=1, max_size=12)
entries = st.builds(
    Entry,
    kind=st.sampled_from(list(Kind)),
    text=texts | marked.map(clean).filter(lambda text: any(map(str.isalnum, text))),
    node=names,
    run=names,
    attempt=st.integers(0, 30),
    at=st.just("2026-02-24"),
)
WRITTEN = """\
My own words.

## Permanent Decisions
Some prose.

* Use tabs
  and a second line

## Known Constraints   ##

```text
## Lessons Learned
```
## Lessons Learned
### A heading of mine
- be kind [not a provenance]
## project structure
mine before
<!-- structure: rewritten at each plan -->
old
<!-- end of structure -->
mine after

## Something else
- not ours
## Best Practices

## Planning History"""


@given(st.lists(entries, max_size=5, unique_by=lambda each: each.text))
def test_an_entry_comes_back_as_it_went_in(given_entries: list[Entry]) -> None:
    page = architect.read(architect.empty())
    after = architect.read(architect.added(page, given_entries))
    by_kind = [each for kind in architect.SECTIONS for each in given_entries if each.kind is kind]
    assert list(after.entries()) == by_kind


@given(st.lists(entries, max_size=5), st.sampled_from([WRITTEN, WRITTEN.replace("\n", "\r\n")]))
def test_of_what_a_person_wrote_every_byte_stays_in_its_place(
    given_entries: list[Entry], text: str
) -> None:
    after = architect.added(architect.read(text), given_entries)
    ours = {architect.line_of(each) for each in given_entries}
    left = [line for line in after.splitlines() if line not in ours]
    assert [line for line in left if line] == [line for line in text.splitlines() if line]
    assert ("\r\n" in after) == ("\r\n" in text)
    assert "\n" not in after.replace("\r\n", "") or "\r\n" not in text
    architect.read(after)


@given(st.lists(entries, min_size=1, max_size=6))
def test_what_is_withdrawn_counts_no_more_until_it_is_added_again(given: list[Entry]) -> None:
    text = architect.added(architect.read(architect.empty()), given)
    key = words.plain(given[0].text)
    page = architect.read(architect.withdrawn(architect.read(text), given[0].text, "2026-11-21"))
    assert [*page.entries()] == [
        each for each in architect.read(text).entries() if words.plain(each.text) != key
    ]
    assert {words.plain(each.text) for each in page.withdrawn()} == {key}
    assert architect.withdrawn(page, given[0].text, "2026-11-22") == page.text
    again = architect.read(architect.added(page, given[:1]))
    assert given[0] in again.entries()
    assert again.withdrawn() == []


def test_an_entry_stands_at_the_end_of_its_section() -> None:
    page = architect.read(WRITTEN)
    new = [Entry(kind=Kind(each), text=f"new {each}", at="2026-02-24") for each in Kind]
    after = architect.added(page, new)
    assert after.startswith("My own words.\n\n## Permanent Decisions\nSome prose.\n\n* Use tabs\n")
    assert "  and a second line\n\n- new decision [by hand, 2026-02-24]\n\n## Known" in after
    assert "```\n\n- new constraint [by hand, 2026-02-24]\n## Lessons Learned\n###" in after
    assert "[not a provenance]\n- new lesson [by hand, 2026-02-24]\n## project" in after
    assert "## Best Practices\n\n- new practice [by hand, 2026-02-24]\n\n## Planning" in after
    assert after.endswith("## Planning History\n\n- new planning [planned, 2026-02-24]\n")


def test_the_list_items_of_a_person_count_too() -> None:
    found = [(each.kind, each.text, each.node) for each in architect.read(WRITTEN).entries()]
    assert found == [
        (Kind.DECISION, "Use tabs", ""),
        (Kind.LESSON, "be kind [not a provenance]", ""),
    ]


@given(st.text(max_size=300) | marked.map(lambda text: text.replace(" ", "\n")))
def test_a_structure_is_rewritten_between_its_marks_only(structure: str) -> None:
    once = architect.with_structure(architect.read(WRITTEN), structure)
    page = architect.read(once)
    assert once.startswith(WRITTEN[: WRITTEN.index("old")])
    assert once.endswith(WRITTEN[WRITTEN.index("<!-- end of") :])
    assert architect.with_structure(page, "old") == WRITTEN
    assert [each.text for each in page.entries()] == ["Use tabs", "be kind [not a provenance]"]


def test_a_structure_has_no_heading_and_ends_its_fences() -> None:
    text = architect.with_structure(architect.read(WRITTEN), "## Best Practices\nx\n```\n# in it")
    assert "**Best Practices**\nx\n```\n# in it\n```\n<!-- end" in text
    architect.read(text)


def test_marks_that_a_person_took_away_are_made_again() -> None:
    bare = re.sub(r"<!-- .*? -->\n", "", WRITTEN)
    once = architect.with_structure(architect.read(bare), "new")
    assert "## project structure\n\n<!-- structure" in once
    assert "new\n<!-- end of structure -->\nmine before\nold\nmine after" in once
    assert architect.with_structure(architect.read(once), "newer") == once.replace(
        "new\n", "newer\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "no section Project Structure"),
        (WRITTEN.replace("## Best", "### Best"), "no section Best Practices"),
        (WRITTEN + "\n## Best practices", "Best Practices is there twice"),
        (WRITTEN + "\n~~~", "fenced block is not closed"),
        (WRITTEN.replace("<!-- end of structure -->", ""), "marks"),
        (WRITTEN.replace("mine after", "<!-- end of structure -->"), "marks"),
        (f"<!-- structure: rewritten at each plan -->{architect.empty()}", "marks"),
    ],
)
def test_a_text_whose_sections_are_not_certain_is_no_page(text: str, problem: str) -> None:
    with pytest.raises(DamageError, match=problem):
        architect.read(text)


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe", b"x" * (architect.MOST_BYTES + 1)])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(DamageError):
        architect.decoded(data)


@given(st.text(max_size=400))
def test_any_text_is_a_page_or_refused(text: str) -> None:
    try:
        page = architect.read(text)
    except DamageError:
        return
    assert list(page.entries())


@given(st.sampled_from([each for each in Kind if each is not Kind.PLANNING]), marked)
def test_an_entry_cannot_begin_a_block_of_markdown(kind: Kind, text: str) -> None:
    line = architect.line_of(Entry(kind=kind, text=clean(text), at="2026-02-24"))
    assert "\n" not in line
    assert re.match(r"- (\\|\w)", line)
    assert not re.search(r"(?<!\\)<", line)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\[", line)) == 1
