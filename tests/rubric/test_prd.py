"""The document of the requirements is found by its name, and read only if it is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.pipeline.graph import Graph
from attractor.rubric import prd

PLACES = [
    "lines/PRD-X.md",
    "lines/prd/PRD-X.md",
    "project/docs/PRD-X.md",
    "project/docs/prd/PRD-X.md",
]


@pytest.mark.parametrize("at", range(len(PLACES)))
def test_the_first_place_that_has_it_counts(tmp_path: Path, at: int) -> None:
    for place in PLACES[at:]:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    found = prd.find("PRD-X", str(tmp_path / "lines" / "p.dot"), str(tmp_path / "project"))
    assert found == str(tmp_path / PLACES[at])


def test_where_there_is_none_nothing_is_found(tmp_path: Path) -> None:
    assert prd.find("PRD-X", str(tmp_path / "p.dot"), str(tmp_path)) == ""
    assert prd.find("", str(tmp_path / "p.dot"), str(tmp_path)) == ""


def test_the_one_that_is_given_counts_and_must_be_there(tmp_path: Path) -> None:
    given = tmp_path / "mine.md"
    with pytest.raises(InputError, match="no such document"):
        prd.find("PRD-X", "p.dot", str(tmp_path), str(given))
    given.write_text("x")
    assert prd.find("PRD-X", "p.dot", str(tmp_path), str(given)) == str(given)


@pytest.mark.parametrize("name", ["../up", "a/b", "..", ".hidden", "", "x" * 200])
def test_a_name_never_leads_to_another_folder(graph_of: Callable[[str], Graph], name: str) -> None:
    assert prd.name_of(graph_of(f'prd_ref="{name}"')) == ""


def test_a_pipeline_that_names_none_is_called_by_the_given_document(
    graph_of: Callable[[str], Graph],
) -> None:
    assert prd.name_of(graph_of("prd_ref=PRD_X"), "/else/where.md") == "PRD_X"
    assert prd.name_of(graph_of(""), "/else/where.md") == "where"


def test_its_criteria_are_those_that_its_text_names(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes("\ufeff# A\n**AC-2** ä, then ac-10; AC-2 again, XAC-3, AC-x".encode())
    assert prd.read(str(path)).criteria == ("AC-2", "AC-10")
    assert prd.read(str(path)).text.startswith("# A")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"%PDF\0", "is no plain text"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * (prd.MOST_BYTES + 1), "is larger than 512 KiB"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(data)
    with pytest.raises(InputError, match=problem):
        prd.read(str(path))


def test_a_pipe_and_nothing_at_all_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (("pipe", "no plain text"), ("gone", "cannot be read")):
        with pytest.raises(InputError, match=problem):
            prd.read(str(tmp_path / name))
