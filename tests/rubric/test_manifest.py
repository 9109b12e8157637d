"""A rubric is read as it is written, by us and by the original harness, or refused with a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from attractor.errors import InputError
from attractor.rubric import manifest

Files = dict[str, bytes]


def changed(files: Files, old: str, new: str) -> Files:
    text = files["manifest.yaml"].decode()
    assert old in text
    return {**files, "manifest.yaml": text.replace(old, new).encode()}


def test_a_rubric_is_read_whole(files: Files) -> None:
    found = manifest.parse(files, "/r")
    assert (found.prd_id, found.accept, found.investigate) == ("PRD-X", 0.6, 0.4)
    assert [(each.id, each.title, each.weight) for each in found.features] == [
        ("F1", "Greets", 0.75),
        ("F2", "Refuses", 0.25),
    ]
    first = found.features[0]
    assert (first.criteria, first.nodes, first.file) == (("AC-1",), (), "greets.feature")
    assert (first.guide, first.evidence) == (("1.0: it is exact",), ("hello.py",))
    assert first.red_flags == ("a fixed name",)
    assert [each.name for each in first.scenarios] == ["A name"]
    assert first.where == "/r/manifest.yaml:5:5"


def test_what_the_original_harness_wrote_is_read(files: Files) -> None:
    text = """\
prd_id: PRD-X
created: 2026-02-24
guardian_session: s3-1
features:
  - {id: F1, name: Greets, weight: 0.75, notes: [any, thing]}
  - {id: 2, name: refuses, weight: "0.25", criteria: ac-2, nodes: b}
"""
    found = manifest.parse({**files, "manifest.yaml": text.encode()}, "/r")
    assert (found.accept, found.investigate) == (0.6, 0.4)
    assert [each.file for each in found.features] == ["greets.feature", "refuses.feature"]
    assert [each.title for each in found.features] == ["Greets", "refuses"]
    assert found.features[1].id == "2"
    assert (found.features[1].criteria, found.features[1].nodes) == (("AC-2",), ("b",))
    assert found.features[1].weight == 0.25


@pytest.mark.parametrize("title", ["No such title", "Refuses"])
def test_the_one_file_that_is_left_belongs_to_the_one_feature_that_has_none(
    files: Files, title: str
) -> None:
    said = changed(files, "title: Refuses", f"title: {title}")
    said = changed(said, "    file: refuses.feature\n", "")
    said["other.feature"] = said.pop("refuses.feature").replace(b"F2 Refuses", b"Something")
    assert manifest.parse(said, "/r").features[1].file == "other.feature"


def test_a_file_is_found_by_the_id_that_its_name_or_title_begins_with(files: Files) -> None:
    text = """\
features:
  - {id: F1, title: one, weight: 0.4}
  - {id: F11, title: two, weight: 0.3}
  - {id: F2, title: three, weight: 0.3}
"""
    said = {
        "manifest.yaml": text.encode(),
        "f11_a.feature": b"Feature: a",
        "f1_b.feature": b"Feature: b",
        "c.feature": b"Feature: F2: c",
        "d.feature": b"Feature: F3 d",
    }
    found = manifest.parse(said, "/r").features
    assert [each.file for each in found] == ["f1_b.feature", "f11_a.feature", "c.feature"]
    assert found[0].title == "one"


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ("weight: 0.75", "weight: much", "manifest.yaml:7:13", "weight is not a number"),
        ("weight: 0.75", "weight: .nan", "manifest.yaml:7:13", "weight is not a number"),
        ("accept: 0.60", "accept: yes", "manifest.yaml:3:22", "accept is not a number"),
        ("features:", "parts:", "manifest.yaml:1:1", "there is no list of features"),
        ("id: F1", "nr: F1", "manifest.yaml:5:5", "this feature has no id"),
        ("[AC-1]", "{a: b}", "manifest.yaml:9:15", "criteria is not a list of words"),
        ("title: Greets", "title: [", "manifest.yaml", "not YAML"),
        ("title: Greets", "id: F3", "manifest.yaml:6:5", "stands twice"),
        ("{accept: 0.60, investigate: 0.40}", "high", "manifest.yaml:3:13", "has no keys"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    files: Files, old: str, new: str, where: str, problem: str
) -> None:
    with pytest.raises(InputError) as refused:
        manifest.parse(changed(files, old, new), "/r")
    assert refused.value.where.startswith(f"/r/{where}")
    assert problem in refused.value.problem
    assert refused.value.fix


def test_a_folder_without_a_manifest_is_no_rubric(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no manifest\.yaml"):
        manifest.load(str(tmp_path))


@pytest.mark.parametrize("data", [b"Feature: \xff\n", b"Feature: a\0b\n"])
def test_a_file_that_is_no_text_is_refused(files: Files, data: bytes) -> None:
    with pytest.raises(InputError) as refused:
        manifest.parse({**files, "greets.feature": data}, "/r")
    assert refused.value.where == "/r/greets.feature"


def test_the_rubrics_of_the_examples_are_read(root: Path) -> None:
    for folder in (root / "acceptance-tests").iterdir():
        found = manifest.load(str(folder))
        assert found.prd_id == folder.name
        assert all(each.scenarios and each.evidence for each in found.features)
