"""The four generic names are ours alone, and whatever changes that is named."""

from __future__ import annotations

import json
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor import tripwire


def distribution(folder: Path, name: str, *files: str, editable: str = "") -> Path:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if editable:
        told = {"url": f"file://{editable}", "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(told))
    return folder


def start_beside(folder: Path) -> str:
    """Start as a process of ours would, with `folder` before everything else on the path."""
    program = (
        "import sys\n"
        "from attractor import tripwire\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        "try:\n"
        "    tripwire.check_start()\n"
        "except tripwire.TripwireError as error:\n"
        "    print(error)\n"
        "print(sorted({'guardian', 'runner'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_this_installation_is_ours_alone() -> None:
    assert tripwire.examine() == []


def test_doctor_finds_nothing_wrong_with_this_installation(attractor: Callable[..., Any]) -> None:
    said = attractor("doctor")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert any(line.startswith("ok    python") for line in lines)
    assert any(line.startswith("ok    installation") for line in lines)
    assert not any(line.startswith("fail") for line in lines)


def test_a_distribution_that_owns_one_of_our_names_too_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "django-guardian", "guardian/__init__.py", "guardian/models.py")
    # From 3.12 on, a file counts only where it exists; without __init__.py it shadows nothing.
    (tmp_path / "guardian").mkdir()
    (tmp_path / "guardian" / "models.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = tripwire.examine()
    assert problem.name == "guardian"
    assert "belongs to django-guardian too" in problem.problem
    assert "environment of its own" in problem.fix


def test_a_second_attractor_on_the_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "attractor", "attractor/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = tripwire.examine()
    assert "installed 2 times" in problem.problem


def test_an_editable_install_that_points_elsewhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "attractor", editable=str(tmp_path / "old checkout"))
    monkeypatch.syspath_prepend(tmp_path)
    said = [problem.problem for problem in tripwire.examine()]
    assert any(f"points at {tmp_path}/old checkout" in problem for problem in said)


@pytest.mark.parametrize("told", ["", "not json", "[]", '{"dir_info": 1}', '{"url": "x"}'])
def test_an_install_record_that_says_nothing_useful_is_passed_over(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "attractor")
    (tmp_path / "attractor-1.0.dist-info" / "direct_url.json").write_text(told)
    monkeypatch.syspath_prepend(tmp_path)
    assert len(tripwire.examine()) == 1  # only that it is there twice


def test_a_user_site_install_is_named_because_isolated_processes_ignore_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(root))
    (problem,) = tripwire.examine()
    assert "user's own site folder" in problem.problem
    with pytest.raises(tripwire.TripwireError, match="user's own site folder"):
        tripwire.check_start()


def test_a_path_that_isolated_processes_do_not_have_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Python without our environment stands for every child that cannot find us.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    said = [problem.problem for problem in tripwire.examine()]
    assert len(said) == len(tripwire.NAMES)
    assert "would load `attractor` from nowhere" in said[0]


def test_a_start_beside_nothing_strange_goes_on_and_imports_nothing(tmp_path: Path) -> None:
    assert start_beside(tmp_path) == "[]\n"


@pytest.mark.parametrize("stranger", ["guardian/__init__.py", "runner.py"])
def test_a_process_refuses_to_start_beside_a_stranger_with_our_name(
    stranger: str, tmp_path: Path
) -> None:
    file = tmp_path / stranger
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('executed')\n")
    said = start_beside(tmp_path)
    assert str(file) in said
    assert "environment of its own" in said


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tripwire, "NAMES", ("attractor", "no_such_package_of_ours"))
    with pytest.raises(tripwire.TripwireError, match="`no_such_package_of_ours` is not installed"):
        tripwire.check_start()
