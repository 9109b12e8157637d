from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from attractor.errors import AttractorError, DamageError, InputError, StorageError
from attractor.run.journal import Entry, Journal, read

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)
DATA = st.dictionaries(st.text(st.characters(codec="utf-8")), JSON_VALUES, max_size=4)
# tmp_path is shared by all examples of a test, so each example writes its own file anew.
SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Standing:
    """A clock whose wall time is whatever it was last set to."""

    def __init__(self) -> None:
        self.now_ns = 1_772_000_000_000_000_000

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return 0.0


def opened(path: Path) -> Journal:
    return Journal.open(path, Standing())


def filled(path: Path, count: int = 3) -> bytes:
    path.unlink(missing_ok=True)
    with opened(path) as journal:
        for number in range(count):
            journal.append("NodeMoved", {"node": f"n\u00e9{number}", "to": "active"})
    return path.read_bytes()


def line_of(
    seq: float, prev: str, event: Any = "NodeMoved", data: Any = None, **more: Any
) -> bytes:
    """A line with a right sum, whatever it says."""
    said = {"at": "t", "data": data or {}, "event": event, "prev": prev, "seq": seq} | more
    body = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return body[:-1] + b',"sum":"%s"}\n' % hashlib.sha256(body).hexdigest().encode()


def refused(path: Path) -> DamageError:
    """Assert that reading and opening both refuse and change nothing; return the error."""
    before = path.read_bytes(), sorted(os.listdir(path.parent))
    with pytest.raises(DamageError) as by_read:
        read(path)
    with pytest.raises(DamageError) as by_open:
        opened(path)
    assert str(by_open.value) == str(by_read.value)
    assert (path.read_bytes(), sorted(os.listdir(path.parent))) == before
    return by_read.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_line_is_the_canonical_json_of_its_entry_chained_by_sha256(path: Path) -> None:
    filled(path, 2)
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["seq"], first["prev"], second["seq"]) == (1, "0" * 64, 2)
    assert second["prev"] == first["sum"]
    assert first["at"] == "2026-02-25T06:13:20.000000Z"
    body = {key: value for key, value in first.items() if key != "sum"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert first["sum"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert (
        path.read_bytes().splitlines()[0]
        == json.dumps(first, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


@SHARED_FOLDER
@given(batches=st.lists(st.lists(DATA, max_size=3), max_size=4))
@example(batches=[[{"a": "\u2028\x85\r\n\0\x7f"}, {"": -0.0, "big": 10**60, "e": 1e300}]])
def test_what_is_appended_is_what_is_read(tmp_path: Path, batches: list[list[Any]]) -> None:
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    said: list[Any] = []
    for batch in batches:
        with opened(path) as journal:
            assert [each.data for each in journal.entries] == said
            added = journal.append_all([("NodeMoved", data) for data in batch])
            said += batch
            assert [each.data for each in added] == batch
            assert read(path).entries == journal.entries
    assert [each.data for each in read(path).entries] == said
    assert [each.seq for each in read(path).entries] == list(range(1, len(said) + 1))


@SHARED_FOLDER
@given(st.data())
def test_every_truncation_is_a_prefix_of_the_entries(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "journal.jsonl"
    content = filled(path, 4)
    entries = read(path).entries
    length = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:length])
    ends = [end for end in range(len(content)) if content[end : end + 1] == b"\n"]
    whole = sum(end <= length for end in ends)

    seen = read(path)
    assert path.read_bytes() == content[:length]
    assert seen.entries == entries[:whole]
    is_torn = length not in {0, *ends, *(end + 1 for end in ends)}
    assert bool(seen.torn) is is_torn

    with opened(path) as journal:
        assert journal.entries == entries[:whole]
        assert bool(journal.torn) is is_torn
        journal.append("GoesOn", {})
    assert [each.seq for each in read(path).entries] == list(range(1, whole + 2))
    kept = list(tmp_path.glob("*.torn-*"))
    assert [each.read_bytes() for each in kept] == (
        [content[ends[whole - 1] + 1 if whole else 0 : length]] if is_torn else []
    )
    for each in kept:
        each.unlink()


@settings(SHARED_FOLDER, max_examples=300)
@given(st.data())
def test_a_flipped_bit_is_refused_at_its_line_or_is_a_torn_end(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "journal.jsonl"
    content = bytearray(filled(path, 3))
    entries = read(path).entries
    at = data.draw(st.integers(0, len(content) - 1) | st.just(len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    if at == len(content) - 1:
        seen = read(path)
        assert seen.torn
        assert seen.entries == entries[:2]
        return
    error = refused(path)
    line = bytes(content[:at]).count(b"\n") + 1
    assert error.details["line"] == line
    assert error.where == f"{path}:{line}"


def test_an_end_that_lacks_only_its_newline_is_accepted_and_ended(path: Path) -> None:
    content = filled(path)
    path.write_bytes(content[:-1])
    assert len(read(path).entries) == 3
    assert path.read_bytes() == content[:-1]
    with opened(path) as journal:
        assert (len(journal.entries), journal.torn) == (3, "")
        assert path.read_bytes() == content
        journal.append("GoesOn", {})
    assert len(read(path).entries) == 4


def test_a_torn_end_is_kept_beside_and_said(path: Path, tmp_path: Path) -> None:
    content = filled(path)
    for turn in ("", ".2", ".3"):
        path.write_bytes(content + b'{"at":"2026')
        with opened(path) as journal:
            kept = tmp_path / f"journal.jsonl.torn-20260225T061320.000000Z{turn}"
            assert kept.read_bytes() == b'{"at":"2026'
            assert journal.torn == (
                "line 4 is incomplete (11 bytes without an end): it is not JSON; "
                f"it was cut off and kept in {kept}"
            )
        assert path.read_bytes() == content


def test_a_whole_line_without_newline_that_belongs_elsewhere_is_damage(path: Path) -> None:
    content = filled(path)
    path.write_bytes(content + content.splitlines()[0])
    assert refused(path).details["line"] == 4


def sum_of(line: bytes) -> str:
    return str(json.loads(line)["sum"])


# What somebody did to a journal of three lines, and the first line that is wrong because of it.
SPOILED: dict[str, tuple[int, Callable[[list[bytes]], bytes]]] = {
    "a value was changed": (2, lambda j: j[0] + j[1].replace(b"active", b"failed") + j[2]),
    "a line was removed": (2, lambda j: j[0] + j[2]),
    "the first line was removed": (1, lambda j: j[1] + j[2]),
    "a line was repeated": (2, lambda j: j[0] + j[0] + j[1] + j[2]),
    "two lines were swapped": (1, lambda j: j[1] + j[0] + j[2]),
    "a blank line was added": (2, lambda j: j[0] + b"\n" + j[1] + j[2]),
    "a blank line was added at the end": (4, lambda j: j[0] + j[1] + j[2] + b"\n"),
    "spaces were added": (2, lambda j: j[0] + j[1].replace(b'":', b'": ') + j[2]),
    "the line ends are those of Windows": (
        1,
        lambda j: (j[0] + j[1] + j[2]).replace(b"\n", b"\r\n"),
    ),
    "it is not UTF-8": (2, lambda j: j[0] + j[1].replace("\u00e9".encode(), b"\xe9") + j[2]),
    "it begins with a BOM": (1, lambda j: b"\xef\xbb\xbf" + j[0] + j[1] + j[2]),
    "it is something else": (1, lambda j: b"hello\n" + j[0]),
    "a line is no object": (2, lambda j: j[0] + b"[1]\n"),
    "a line is nested without end": (2, lambda j: j[0] + b"[" * 100_000 + b"\n"),
    "a number is without end": (2, lambda j: j[0] + b'{"seq":' + b"9" * 5000 + b"}\n"),
    "a key is missing": (2, lambda j: j[0] + j[1].replace(b'"at":', b'"as":', 1) + j[2]),
    "a key is too much": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), more=1)),
    "a key is repeated": (2, lambda j: j[0] + j[1].replace(b'{"at"', b'{"at":"x","at"', 1) + j[2]),
    "a value is NaN": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), data={"x": float("nan")})),
    "the seq jumps": (2, lambda j: j[0] + line_of(3, sum_of(j[0]))),
    "the seq is a float": (2, lambda j: j[0] + line_of(2.0, sum_of(j[0]))),
    "the seq is true": (1, lambda _: line_of(True, "0" * 64)),
    "the prev is another": (2, lambda j: j[0] + line_of(2, "f" * 64)),
    "the time is a number": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), at=3)),
    "the event is no name": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), event="node moved")),
    "the event is a number": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), event=3)),
    "the data is a list": (2, lambda j: j[0] + line_of(2, sum_of(j[0]), data=[1])),
    "a newline inside a line": (2, lambda j: j[0] + j[1][:40] + b"\n" + j[1][40:] + j[2]),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_journal_edited_by_hand_is_refused_with_the_line(path: Path, how: str) -> None:
    line, spoil = SPOILED[how]
    path.write_bytes(spoil(filled(path).splitlines(keepends=True)))
    error = refused(path)
    assert error.details["line"] == line
    assert f"line {line} of the journal is damaged: it" in error.problem
    assert "attractor journal verify" in error.fix


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("a value was changed", "its sum does not match its content"),
        ("a line was removed", "its seq is 3, where 2 is due"),
        ("the prev is another", "its prev is not the sum of the line before"),
        ("a blank line was added", "it is empty"),
        ("it is not UTF-8", "it is not UTF-8"),
        ("it is something else", "it is not JSON"),
        ("a line is no object", "it is not an object with exactly the keys at, data, event,"),
        ("spaces were added", "it is not written as we write it"),
        ("the data is a list", "it has a value of the wrong type"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(path: Path, how: str, reason: str) -> None:
    path.write_bytes(SPOILED[how][1](filled(path).splitlines(keepends=True)))
    assert f"damaged: {reason}" in refused(path).problem


def test_two_of_the_same_key_are_refused_even_with_a_right_sum(path: Path) -> None:
    body = b'{"at":"t","data":{"a":1,"a":2},"event":"E","prev":"%s","seq":1}' % (b"0" * 64)
    line = body[:-1] + b',"sum":"%s"}\n' % hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(line)
    assert "repeated key" in refused(path).problem


def test_a_well_made_line_by_another_program_is_accepted(path: Path) -> None:
    path.write_bytes(line_of(1, "0" * 64, event="Foreign", data={"x": [1.5, None]}))
    assert read(path).entries[0].data == {"x": [1.5, None]}


def test_a_missing_journal_is_empty_and_reading_does_not_create_it(path: Path) -> None:
    assert read(path).entries == []
    assert not path.exists()


def test_a_clock_that_goes_back_does_not_matter(path: Path) -> None:
    clock = Standing()
    with Journal.open(path, clock) as journal:
        journal.append("First", {})
        clock.now_ns -= 10**18
        journal.append("Second", {})
    assert [each.event for each in read(path).entries] == ["First", "Second"]


def test_the_callers_data_and_the_entrys_are_not_the_same_object(path: Path) -> None:
    data: dict[str, Any] = {"list": [1]}
    with opened(path) as journal:
        entry = journal.append("NodeMoved", data)
        data["list"].append(2)
        assert entry.data == {"list": [1]}


@pytest.mark.parametrize(
    "data",
    [
        {"x": float("nan")},
        {"x": float("inf")},
        {"x": "\ud800"},
        {"x": object()},
        {"x": {1, 2}},
        {"x": (1, 2)},
        {1: "a"},
        {1: "a", "1": "b"},
        {2: "a", 10: "b"},
        {"x": 10**5000},
        [],
        None,
        "text",
    ],
    ids=[
        "nan",
        "inf",
        "surrogate",
        "object",
        "set",
        "tuple",
        "int_key",
        "two_keys",
        "order",
        "big",
        "list",
        "none",
        "text",
    ],
)
def test_data_that_json_cannot_hold_is_refused_and_nothing_written(path: Path, data: Any) -> None:
    before = filled(path)
    with opened(path) as journal:
        with pytest.raises(InputError, match="NodeMoved is not a JSON object"):
            journal.append_all([("NodeMoved", {}), ("NodeMoved", data)])
        assert path.read_bytes() == before
        assert journal.append("GoesOn", {}).seq == 4


def test_data_that_contains_itself_is_refused(path: Path) -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with opened(path) as journal, pytest.raises(InputError, match="not a JSON object"):
        journal.append("NodeMoved", data)


@pytest.mark.parametrize("event", ["", "nodeMoved", "Node Moved", "Node_Moved", "N\n", "N" * 65])
def test_an_event_is_named_in_pascal_case(path: Path, event: str) -> None:
    with opened(path) as journal, pytest.raises(InputError, match="cannot name an event"):
        journal.append(event, {})
    assert path.read_bytes() == b""


def test_an_entry_is_limited(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.run.journal.MAX_ENTRY_BYTES", 1000)
    with opened(path) as journal:
        with pytest.raises(InputError, match="1000 is the limit") as caught:
            journal.append("Large", {"x": "y" * 1000})
        journal.append("Large", {"x": "y" * 700})
    assert "fewer or shorter names" in caught.value.fix
    assert len(read(path).entries) == 1


def test_a_journal_is_limited_when_it_is_written_and_when_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as journal:
        journal.append("Small", {})
        before = path.read_bytes()
        with monkeypatch.context() as small:
            small.setattr("attractor.run.journal.MOST_BYTES", len(before) + 10)
            with pytest.raises(InputError, match="the journal would become larger than"):
                journal.append("Small", {})
    assert path.read_bytes() == before
    with path.open("r+b") as file:
        file.truncate(10 * 1024**3)
    for run in (lambda: read(path), lambda: opened(path)):
        with pytest.raises(InputError, match="larger than 1 GiB, which is the limit"):
            run()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("there", [True, False])
def test_a_journal_is_never_written_or_read_through_a_link(
    path: Path, tmp_path: Path, there: bool
) -> None:
    victim = tmp_path / "bashrc"
    if there:
        victim.write_bytes(b"")
    path.symlink_to(victim)
    for run in (lambda: read(path), lambda: opened(path)):
        with pytest.raises(InputError, match="this is a symbolic link") as caught:
            run()
        assert caught.value.where == str(path)
    assert victim.exists() == there


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    calls: list[int] = []
    real: Callable[..., Any] = getattr(os, name)

    def call(fd: int, *rest: Any) -> Any:
        calls.append(fd)
        return real(fd, *rest)

    monkeypatch.setattr(os, name, call)
    return calls


def test_a_batch_shares_one_write_and_one_fsync(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as journal:
        writes, fsyncs = counted(monkeypatch, "write"), counted(monkeypatch, "fsync")
        journal.append_all([("First", {}), ("Second", {})])
        assert (len(writes), len(fsyncs)) == (1, 1)
        assert journal.append_all([]) == []
        assert (len(writes), len(fsyncs)) == (1, 1)


def test_a_new_journal_makes_its_name_durable_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.path.isdir(f"/proc/self/fd/{fd}") if sys.platform == "linux" else True)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    opened(path).close()
    assert synced[-1]
    assert len(synced) == 2


def breaking(monkeypatch: pytest.MonkeyPatch, name: str, number: int, after: int = 0) -> None:
    """Let `os.name` work `after` times, and then fail with this errno."""
    real, left = getattr(os, name), [after]

    def call(fd: int, *rest: Any) -> Any:
        if left[0]:
            left[0] -= 1
            return real(fd, *rest)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, call)


def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let os.write write half of what it is given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: max(1, len(data) // 2)]))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_write_that_fails_half_way_leaves_the_previous_state_and_can_be_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int
) -> None:
    before = filled(path)
    with opened(path) as journal:
        with monkeypatch.context() as patch:
            halved(patch)
            breaking(patch, "write", number, after)
            with pytest.raises(StorageError, match="previous state is intact") as error:
                journal.append_all([("Lost", {}), ("LostToo", {})])
        assert error.value.where == str(path)
        assert path.read_bytes() == before
        assert len(journal.entries) == 3
        assert journal.append("GoesOn", {}).seq == 4
    assert [each.event for each in read(path).entries][-1] == "GoesOn"


def test_short_writes_lose_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halved(monkeypatch)
    filled(path)
    assert len(read(path).entries) == 3


def test_after_a_failed_fsync_nothing_is_added_until_it_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)
    with opened(path) as journal:
        with monkeypatch.context() as patch:
            breaking(patch, "fsync", errno.EIO)
            with pytest.raises(StorageError, match="previous state is intact"):
                journal.append("Lost", {})
        assert path.read_bytes() == before
        with pytest.raises(StorageError, match="takes no more entries: an fsync") as error:
            journal.append("Lost", {})
        assert "open it again" in error.value.fix
    with opened(path) as journal:
        assert journal.append("GoesOn", {}).seq == 4


def test_an_append_that_cannot_be_taken_back_says_so_and_is_the_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)
    with opened(path) as journal:
        with monkeypatch.context() as patch:
            halved(patch)
            breaking(patch, "write", errno.ENOSPC, after=1)
            breaking(patch, "ftruncate", errno.EIO)
            with pytest.raises(StorageError, match="Taking it back failed too"):
                journal.append("Lost", {})
        with pytest.raises(StorageError, match="takes no more entries"):
            journal.append("Lost", {})
    assert path.read_bytes() != before
    with opened(path) as journal:
        assert journal.torn
    assert path.read_bytes() == before


def test_an_interrupt_in_the_middle_leaves_the_previous_state(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)

    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    with opened(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(KeyboardInterrupt):
                journal.append("Lost", {})
        assert path.read_bytes() == before
        with pytest.raises(StorageError, match="takes no more entries"):
            journal.append("Lost", {})


FULL_DISK = """
import resource, sys
from attractor.errors import StorageError
from attractor.run.journal import Journal, read
from signals.clock import SystemClock

path = sys.argv[1]
with Journal.open(path, SystemClock()) as journal:
    journal.append("First", {})
    limit = len(open(path, "rb").read()) + 700
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    while True:
        before = open(path, "rb").read()
        try:
            journal.append("Fills", {"x": "y" * 100})
        except StorageError as error:
            assert open(path, "rb").read() == before
            assert len(read(path).entries) == len(journal.entries) > 1
            print(error.problem)
            break
"""


def test_a_real_limit_on_the_file_leaves_the_previous_state(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot append to the journal" in done.stdout
    assert "The previous state is intact" in done.stdout


def test_a_full_disk_while_a_torn_end_is_put_aside_changes_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(filled(path) + b"{")
    before = path.read_bytes()
    breaking(monkeypatch, "write", errno.ENOSPC)
    with pytest.raises(StorageError, match="the disk is full"):
        opened(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["journal.jsonl"]


def test_a_second_writer_is_noticed_before_anything_is_written(path: Path) -> None:
    filled(path)
    with opened(path) as journal:
        with opened(path) as other:
            other.append("Intruder", {})
        after = path.read_bytes()
        with pytest.raises(DamageError, match="somebody else"):
            journal.append("Lost", {})
    assert path.read_bytes() == after


def test_a_journal_that_was_replaced_takes_no_entries(path: Path) -> None:
    content = filled(path)
    with opened(path) as journal:
        path.unlink()
        path.write_bytes(content)
        with pytest.raises(DamageError, match="replaced"):
            journal.append("Lost", {})
    assert path.read_bytes() == content


def test_a_closed_journal_takes_no_entries(path: Path) -> None:
    journal = opened(path)
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="it was closed"):
        journal.append("Lost", {})


def test_what_cannot_hold_a_journal_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", ".", "no/such/folder"):
        with pytest.raises(AttractorError) as error:
            Journal.open(tmp_path / place, Standing())
        assert error.value.where == str(tmp_path / place)
    for place in ("pipe", "."):
        with pytest.raises(AttractorError):
            read(tmp_path / place)


def test_no_file_is_left_open_by_a_refusal(path: Path) -> None:
    filled(path)
    path.write_bytes(b"x\n")
    before = sorted(os.listdir("/dev/fd"))
    refused(path)
    assert sorted(os.listdir("/dev/fd")) == before


WRITER = """
import sys
from attractor.run.journal import Journal
from signals.clock import SystemClock

with Journal.open(sys.argv[1], SystemClock()) as journal:
    for number in range(400):
        journal.append_all([("Counted", {"number": number, "x": "y" * 2000}), ("Next", {})])
"""


def test_a_reader_beside_the_writer_sees_a_prefix(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-I", "-c", WRITER, str(path)])
    try:
        seen: list[list[Entry]] = []
        while writer.poll() is None:
            seen.append(read(path).entries)
    finally:
        writer.kill()
        writer.wait()
    final = read(path).entries
    assert (writer.returncode, len(final)) == (0, 800)
    for entries in seen:
        assert entries == final[: len(entries)]
