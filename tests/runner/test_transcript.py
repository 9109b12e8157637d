"""Transcripts are read piece by piece, completely, once, and as a stranger's files."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import transcript
from runner.transcript import Digest, Reading, Usage

Append = Callable[..., None]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration folder with one project."""
    folder = tmp_path / "config"
    (folder / "projects" / "-work").mkdir(parents=True)
    return folder


@pytest.fixture
def main(config: Path) -> Path:
    """The transcript of the main thread; not there yet."""
    return config / "projects" / "-work" / "s1.jsonl"


@pytest.fixture
def worker(main: Path) -> Path:
    """The transcript of a worker, in a folder that is there."""
    folder = main.with_suffix("") / "subagents"
    folder.mkdir(parents=True)
    return folder / "agent-a1.jsonl"


def line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def answer(name: str, output: int = 5, **more: Any) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": output}
    message = {"id": name, "model": "opus", "stop_reason": "tool_use", "usage": usage} | more
    return line({"type": "assistant", "message": message})


def called(name: str, given: Any) -> bytes:
    block = {"type": "tool_use", "id": "t1", "name": name, "input": given}
    return answer(name, content=[block])


def error(number: int) -> bytes:
    said = {"type": "assistant", "isApiErrorMessage": True, "apiErrorStatus": number}
    return line(said | {"timestamp": f"2026-11-21T11:18:{number % 60:02d}Z"})


def append(path: Path, *data: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(data))


def read(config: Path, main: Path, mark: Any = None) -> Reading:
    reading = transcript.read(str(config), str(main), mark or {})
    json.dumps(reading.mark)
    return reading


def test_only_what_is_new_is_added(config: Path, main: Path) -> None:
    append(main, answer("m1"), answer("m2"))
    first = read(config, main)
    assert (first.added.sessions, first.added.requests, first.added.input_tokens) == (1, 2, 20)
    again = read(config, main, first.mark)
    assert (again.added, again.mark) == (Usage(), first.mark)
    append(main, answer("m2"), answer("m3", output=7))
    more = read(config, main, json.loads(json.dumps(first.mark)))
    assert (more.added.sessions, more.added.requests, more.added.output_tokens) == (0, 1, 7)


def test_a_transcript_that_is_not_there_yet_is_no_problem(config: Path, main: Path) -> None:
    assert read(config, main) == Reading()
    assert read(config, config / "projects" / "-none" / "s1.jsonl") == Reading()


def test_workers_count_as_well(config: Path, main: Path, worker: Path) -> None:
    append(main, answer("m1"))
    append(worker, answer("w1"), answer("w2"))
    first = read(config, main)
    assert (first.added.sessions, first.added.requests) == (1, 3)
    append(worker, answer("w3"))
    append(worker.with_name("agent-a2.jsonl"), answer("x1"))
    append(worker.with_name("notes.jsonl"), answer("x2"))
    append(worker.with_name("agent-a1.meta.json"), answer("x3"))
    assert read(config, main, first.mark).added.requests == 2


def test_a_line_that_is_torn_is_read_when_it_is_whole(config: Path, main: Path) -> None:
    whole = answer("m1")
    append(main, whole[:-20])
    first = read(config, main)
    assert first.added.requests == 0
    append(main, whole[-20:], answer("m2")[:-1])
    second = read(config, main, first.mark)
    assert second.added.requests == 1
    append(main, b"\n")
    assert read(config, main, second.mark).added.requests == 1


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.sampled_from(["m1", "m2", "m3", "m4"]), max_size=12), st.lists(st.integers(0, 3000))
)
def test_however_it_arrives_the_sum_is_the_same(
    config: Path, main: Path, names: list[str], cuts: list[int]
) -> None:
    lines = [answer(each, output=at) for at, each in enumerate(names)]
    whole = b"".join([*lines[:3], b"{damaged\n", *lines[3:]])
    main.write_bytes(whole)
    expected = read(config, main).added
    main.unlink()
    total, mark = Usage(), {}
    edges = sorted({0, len(whole), *(each for each in cuts if each < len(whole))})
    for start, end in itertools.pairwise(edges):
        append(main, whole[start:end])
        reading = read(config, main, mark)
        total, mark = total + reading.added, dict(reading.mark)
    assert total == expected or not whole
    main.unlink(missing_ok=True)


def test_much_is_read_in_several_steps_that_say_so(
    config: Path, main: Path, worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "_MOST_AT_ONCE", 2_000)
    append(main, *(answer(f"m{each}") for each in range(50)))
    append(worker, *(answer(f"w{each}") for each in range(50)))
    total, mark, steps = Usage(), {}, 0
    while True:
        reading = read(config, main, mark)
        total, mark, steps = total + reading.added, reading.mark, steps + 1
        if not reading.behind:
            break
    assert total.requests == 100
    assert 5 < steps < 20


def test_a_line_that_is_too_long_is_skipped_even_in_pieces(
    config: Path, main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "_MOST_LINE", 1_000)
    append(main, answer("m1"), b'{"type":"assistant","x":"' + b"x" * 5_000)
    first = read(config, main)
    assert first.added.requests == 1
    append(main, b"y" * 5_000)
    second = read(config, main, first.mark)
    append(main, b'"}\n', answer("m2"))
    assert (second.added.requests, read(config, main, second.mark).added.requests) == (0, 1)
    assert read(config, main).added.requests == 2


def test_a_huge_line_costs_no_memory_to_speak_of(config: Path, main: Path) -> None:
    with main.open("wb") as file:
        file.truncate(300 * 1024 * 1024)  # a hole: one line of zeros
    append(main, b"\n", answer("m1"))
    mark: Any = {}
    added = Usage()
    while (reading := read(config, main, mark)).behind:
        mark, added = reading.mark, added + reading.added
    assert (added + reading.added).requests == 1


def test_totals_never_fall_when_a_transcript_shrinks_or_is_replaced(
    config: Path, main: Path
) -> None:
    append(main, answer("m1"), answer("m2"))
    first = read(config, main)
    main.write_bytes(answer("m3"))
    second = read(config, main, first.mark)
    assert second.added.requests == 1
    other = main.with_name("other")
    append(other, answer("m4"), answer("m5"), answer("m6"))
    other.replace(main)
    assert read(config, main, second.mark).added.requests == 3


def test_the_cost_is_the_sessions_own_sum_and_not_a_sum_of_sums(config: Path, main: Path) -> None:
    append(main, line({"type": "cost-state", "totalCostUSD": 0.5}))
    first = read(config, main)
    assert first.added.cost_usd == 0.5
    append(main, answer("m1"), line({"type": "cost-state", "totalCostUSD": 0.75}))
    second = read(config, main, first.mark)
    assert second.added.cost_usd == 0.25
    append(main, line({"type": "cost-state", "totalCostUSD": 0.25}))
    assert read(config, main, second.mark).added.cost_usd is None


def test_another_session_is_counted_for_itself_with_the_same_mark(config: Path, main: Path) -> None:
    cost = line({"type": "cost-state", "totalCostUSD": 0.5})
    append(main, answer("m1"), cost)
    first = read(config, main)
    other = main.with_name("s2.jsonl")
    append(other, answer("m1"), cost)
    second = read(config, other, first.mark)
    assert second.added == first.added
    assert read(config, main, second.mark).added == Usage()


def test_errors_are_told_once_in_their_order_and_the_newest_of_many(
    config: Path, main: Path, worker: Path
) -> None:
    append(main, error(500), error(503))
    append(worker, error(502))
    first = read(config, main)
    assert [each.status for each in first.errors] == [500, 502, 503]
    assert read(config, main, first.mark).errors == ()
    append(main, *(error(500 + each % 50) for each in range(1_000)))
    assert 0 < len(read(config, main, first.mark).errors) < 100


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "unreadable"])
@pytest.mark.parametrize("whose", ["main", "worker"])
def test_what_is_no_regular_file_is_never_opened(
    kind: str, whose: str, config: Path, main: Path, worker: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    append(secret, answer("m1"), called("Read", {"file_path": "hidden"}))
    bad, good = (main, worker) if whose == "main" else (worker, main)
    append(good, answer("g1"))
    if kind == "link":
        bad.symlink_to(secret)
    elif kind == "dangling":
        bad.symlink_to(tmp_path / "gone")
    elif kind == "fifo":
        os.mkfifo(bad)
    elif kind == "folder":
        bad.mkdir()
    elif os.geteuid() == 0:
        pytest.skip("root may read everything")
    else:
        append(bad, answer("m1"))
        bad.chmod(0)
    reading = read(config, main)
    assert reading.added.requests == 1
    assert "was not read" in reading.problem
    if kind in ("fifo", "folder"):
        assert reading.problem.endswith("it is no regular file")
    assert transcript.digest(str(config), str(main), 1_000) == Digest()


@pytest.mark.parametrize("place", ["projects", "project", "session", "subagents"])
def test_no_link_in_the_way_is_followed(
    place: str, config: Path, main: Path, worker: Path, tmp_path: Path
) -> None:
    append(main, answer("m1"))
    append(worker, answer("w1"))
    folder = {
        "projects": config / "projects",
        "project": main.parent,
        "session": main.with_suffix(""),
        "subagents": worker.parent,
    }[place]
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    expected = 0 if place in ("projects", "project") else 1
    assert read(config, main).added.requests == expected


def test_the_configuration_folder_itself_may_be_a_link(
    config: Path, main: Path, tmp_path: Path
) -> None:
    append(main, answer("m1"))
    link = tmp_path / "link"
    link.symlink_to(config)
    assert read(link, link / main.relative_to(config)).added.requests == 1
    assert read(link, main).added.requests == 1


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "projects/-work/s1.jsonl",
        "{config}/projects/-work/../../../secret.jsonl",
        "{config}/projects/-work/s1.json",
        "{config}/projects/s1.jsonl",
        "{config}/projects/-work/s1/subagents/agent-a.jsonl",
        "{config}/other/-work/s1.jsonl",
        "{config}/projects//s1.jsonl",
        "{config}/projects/-work/s1\0.jsonl",
        "{config}x/projects/-work/s1.jsonl",
        "",
    ],
)
def test_a_path_that_cannot_be_a_transcripts_is_refused(path: str, config: Path) -> None:
    named = path.format(config=config)
    assert not transcript.is_transcript(str(config), named)
    assert transcript.read(str(config), named, {}).problem
    assert transcript.digest(str(config), named, 1_000) == Digest()


def test_a_path_that_a_hook_names_rightly_is_taken(config: Path, main: Path) -> None:
    assert transcript.is_transcript(str(config), str(main))
    assert transcript.is_transcript(f"{config}/", str(main))


def test_a_flood_of_files_is_not_read_whole(
    config: Path, main: Path, worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "_MOST_FILES", 5)
    append(main, answer("m1"))
    for each in range(20):
        append(worker.with_name(f"agent-{each:02d}.jsonl"), answer(f"w{each}"))
    assert read(config, main).added.requests == 6


def test_no_descriptor_is_left_open(config: Path, main: Path, worker: Path) -> None:
    append(main, answer("m1"))
    os.mkfifo(worker)
    before = set(os.listdir("/dev/fd"))
    read(config, main)
    transcript.digest(str(config), str(main), 1_000)
    assert set(os.listdir("/dev/fd")) <= before


def test_a_digest_holds_what_workers_did(config: Path, main: Path, worker: Path) -> None:
    append(main, called("Read", {"file_path": "plan.md"}))
    append(worker, called("Write", {"file_path": "a.py"}), b"{torn")
    found = transcript.digest(str(config), str(main), 1_000)
    assert (found.files_read, found.files_written) == (("plan.md",), ("a.py",))


def test_a_digest_of_a_long_transcript_is_of_its_end(
    config: Path, main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "_MOST_AT_ONCE", 3_000)
    append(main, *(called("Read", {"file_path": f"f{each}"}) for each in range(100)))
    found = transcript.digest(str(config), str(main), 10_000).files_read
    assert found[-1] == "f99"
    assert 5 < len(found) < 30


@pytest.mark.parametrize(
    ("cwd", "name"),
    [
        ("/a/b.c_d", "-a-b-c-d"),
        ("/", "-"),
        ("/a/é😀e\u0301", "-a----e-"),
        ("/" + "a" * 199, "-" + "a" * 199),
        ("/" + "a" * 200, "-" + "a" * 199 + "-b6ymvl"),
        ("/" + "d" * 200, "-" + "d" * 199 + "-25z2kx"),
    ],
)
def test_the_place_of_a_transcript_follows_from_the_folder(cwd: str, name: str) -> None:
    path = transcript.transcript_path("/config", cwd, "s1")
    assert path == f"/config/projects/{name}/s1.jsonl"


def test_the_place_is_that_of_the_real_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    paths = {
        transcript.transcript_path("/c", str(tmp_path / each), "s") for each in ("real", "link")
    }
    assert len(paths) == 1
