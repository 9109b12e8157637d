"""The cs-* commands in a project of their own, in-process and as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VARIABLES = ("CLAUDE_SESSION_ID", "CLAUDE_CODE_SESSION_ID", "CLAUDE_PROJECT_DIR", "CLAUDE_PID")


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """A project's folder, and what its promises look like on disk."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / ".claude" / "completion-state"

    def promise(self, name: str, folder: str = "promises") -> Any:
        return json.loads((self.state / folder / f"{name}.json").read_text())

    def put(self, promise: dict[str, Any], folder: str = "promises") -> str:
        """Write a promise as somebody else would."""
        home = self.state / folder
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{promise['id']}.json").write_text(json.dumps(promise, indent=2) + "\n")
        return str(promise["id"])

    def audit(self, name: str) -> list[Any]:
        lines = (self.state / "audit" / f"{name}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def moves(self, name: str) -> list[tuple[str, str | None, str | None]]:
        return [(each["what"], each["from"], each["to"]) for each in self.audit(name)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that is the current folder; no session is known."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "project"
    (folder / ".claude").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return Project(folder)


@pytest.fixture
def cs(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Run `cs-NAME ARGUMENTS` in this process, as session s-1 unless told otherwise."""
    from attractor.promise.entry import run

    def call(name: str, *arguments: object, session: str | None = "s-1", **env: str) -> Answer:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            if session is not None:
                patch.setenv("CLAUDE_SESSION_ID", session)
            for key, value in env.items():
                patch.setenv(key, value)
            try:
                run(f"cs-{name}", [str(each) for each in arguments])
            except SystemExit as end:
                status = end.code
        assert isinstance(status, int)
        out, err = capfd.readouterr()
        return Answer(status, out, err)

    return call


@pytest.fixture
def cs_argv() -> Callable[..., list[str]]:
    """Return the words that start a cs-* command as a process."""

    def call(name: str, *arguments: object) -> list[str]:
        module = [sys.executable, "-I", "-m", "attractor.promise", f"cs-{name}"]
        return [*module, *map(str, arguments)]

    return call


@pytest.fixture
def cs_process(project: Project, cs_argv: Callable[..., list[str]]) -> Callable[..., Answer]:
    """Run `cs-NAME ARGUMENTS` as a process of its own."""

    def call(name: str, *arguments: object, **env: str) -> Answer:
        bare = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        done = subprocess.run(
            cs_argv(name, *arguments),
            cwd=project.path,
            env=bare | {"CLAUDE_SESSION_ID": "s-1"} | env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def make(cs: Callable[..., Answer]) -> Callable[..., str]:
    """Make and start a promise with these criteria; return its id."""

    def call(*criteria: str, session: str = "s-1", start: bool = True, **env: str) -> str:
        words = [word for each in criteria or ("first", "second") for word in ("--ac", each)]
        made = cs("promise", "--create", "Do it", *words, "--json", session=session, **env)
        name = str(made.json()["id"])
        if start:
            assert cs("promise", "--start", name, session=session, **env).status == 0
        return name

    return call


@pytest.fixture
def meet(cs: Callable[..., Answer]) -> Callable[..., Answer]:
    """Attach evidence to a criterion."""

    def call(name: str, ac_id: str, evidence: str = "it works", *more: str, **how: Any) -> Answer:
        words = ("--meet", name, "--ac-id", ac_id, "--evidence", evidence, *more)
        return cs("promise", *words, **how)

    return call


@pytest.fixture
def original() -> dict[str, Any]:
    """A promise as the original harness writes it."""
    return {
        "id": "promise-0a1b2c3d",
        "title": "Ship the login page",
        "summary": "Ship the login page",
        "acceptance_criteria": [
            {
                "id": "AC-1",
                "description": "Login works",
                "status": "met",
                "evidence": "pytest: 12 passed",
                "evidence_type": "test",
                "met_at": "2026-02-24T12:10:00Z",
                "met_by": "session-20260224-115900-4711",
            },
            {
                "id": "AC-2",
                "description": "Logout works",
                "status": "pending",
                "evidence": None,
                "evidence_type": None,
                "met_at": None,
                "met_by": None,
            },
        ],
        "ownership": {
            "created_by": "session-20260224-115900-4711",
            "created_at": "2026-02-24T12:00:00Z",
            "owned_by": "session-20260224-115900-4711",
            "owned_since": "2026-02-24T12:00:00Z",
        },
        "status": "in_progress",
        "verification": {"verified_at": None, "verified_by": None},
        "structure": {"epics": [], "goals": []},
    }
