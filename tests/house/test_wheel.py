"""What is published: four packages, with what they need, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGES = {"attractor", "guardian", "runner", "signals"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-I", "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=root,
        capture_output=True,
        timeout=60,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_our_four_packages_and_nothing_else(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    info = {top for top in tops if top.startswith("attractor-") and top.endswith(".dist-info")}
    assert len(info) == 1
    assert tops - info == PACKAGES


def test_the_wheel_holds_the_protocol_the_template_and_the_type_markers(names: list[str]) -> None:
    wanted = {f"{package}/py.typed" for package in PACKAGES} | {"signals/PROTOCOL.md"}
    assert wanted <= set(names)
    assert [name for name in names if name.endswith("/template.dot")]


def test_the_wheel_holds_no_tests_and_no_leftovers(names: list[str]) -> None:
    strange = [
        name
        for name in names
        if not name.endswith((".py", ".md", ".dot", "py.typed")) and ".dist-info/" not in name
    ]
    assert strange == []
    modules = [name.rsplit("/", 1)[-1] for name in names if name.endswith(".py")]
    assert [name for name in modules if "test" in name] == []


def test_the_wheel_alone_can_write_and_check_a_pipeline(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from attractor import entry\n"
        f"assert entry.__file__.startswith({str(tmp_path)!r})\n"
        "entry.main()"
    )
    for verb in ("new", "lint"):
        subprocess.run(
            [sys.executable, "-I", "-c", program, verb, "first.dot"],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=True,
        )
