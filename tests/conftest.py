"""What every test may use: the command line in-process, and a clock that stands still."""

from __future__ import annotations

import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples in every run, no folder left behind, and no clock to fail by on a busy machine.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
SHOWN = "shown"  # what a test records under this name is printed at the end


@dataclass(frozen=True)
class Said:
    """What one command said."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class StoppedClock:
    """A clock that moves only when told to."""

    def __init__(self, wall_ns: int = 1_772_000_000_000_000_000) -> None:
        self.now_ns = wall_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run `attractor ARGUMENTS` in this process and return what it said."""
    from attractor.cli.main import cli as run

    def call(*arguments: object) -> Said:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["attractor", *map(str, arguments)])
        status = 0
        try:
            run()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capfd.readouterr()
        return Said(status, out, err)

    return call


@pytest.fixture
def attractor(tmp_path: Path) -> Callable[..., Said]:
    """Run `attractor ARGUMENTS` as a process of its own, in `tmp_path` unless told otherwise."""

    def call(*arguments: object, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "attractor", *map(str, arguments)],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call


def come(until_end: Any, is_time: Callable[[bytes], bool]) -> Any:
    """Return `until_end` of what `attractor.spawn` runs, with a deadline that comes at an event.

    `is_time` is asked with the whole lines that the program has said.
    """

    def until(talk: Any, child: Any, seconds: float, _: object) -> Any:
        class Clock:
            looks = 0

            def monotonic(self) -> float:
                self.looks += 1
                lines = bytes(talk.stdout[: talk.stdout.rfind(b"\n") + 1])
                return 1e9 if self.looks > 1 and is_time(lines) else 0.0

        return until_end(talk, child, seconds, Clock())

    return until


_ELSEWHERE = """
import os, runpy, sys
from attractor.spawn import _Talk
_, word, path, *sys.argv = sys.argv
is_time = lambda said: bool(word) and word.encode() in said or bool(path) and os.path.exists(path)
_Talk.until_end = come(_Talk.until_end, is_time)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Deadline:
    """The deadline of a program that is run comes at an event, and not by the machine's time.

    So what the program has to do before it is done, however slow the machine is.
    """

    monkeypatch: pytest.MonkeyPatch

    def when_said(self, word: str) -> None:
        """In this process it comes when a program has said this."""
        from attractor.spawn import _Talk

        until = come(_Talk.until_end, lambda said: word.encode() in said)
        self.monkeypatch.setattr(_Talk, "until_end", until)

    def elsewhere(self, command: list[str], *, word: str = "", path: object = "") -> list[str]:
        """Return the command of one of our processes in which it comes at a word, or a file."""
        python, isolated, dash_m, *words = command
        assert (isolated, dash_m) == ("-I", "-m")
        program = f"from __future__ import annotations\n{inspect.getsource(come)}{_ELSEWHERE}"
        return [python, "-I", "-c", program, word, str(path), *words]


@pytest.fixture
def deadline(monkeypatch: pytest.MonkeyPatch) -> Deadline:
    return Deadline(monkeypatch)


@pytest.fixture(scope="session")
def bench() -> Callable[[str], Any]:
    """Load a module of the benches, which are no package."""

    def load(name: str) -> Any:
        path = Path(__file__).resolve().parents[1] / "bench" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look there
        spec.loader.exec_module(module)
        return module

    return load


def _shown(terminalreporter: Any) -> Iterator[str]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, line in getattr(report, "user_properties", ()):
                if name == SHOWN and report.when == "call":
                    yield line


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show each `record_property("shown", line)`: properties survive the way from a worker."""
    lines = sorted(_shown(terminalreporter))
    if lines:
        terminalreporter.section("shown by the tests")
        for line in lines:
            terminalreporter.write_line(line)
