"""The person's `--on-end` command: what it is told, and that it cannot hold anything up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guardian.tasks import hook
from signals.clock import SystemClock


def run(project: Path, command: str, **said: Any) -> dict[str, Any]:
    spec = {"request": {"project": str(project)}, "command": command}
    return hook.run({**spec, **said}, SystemClock())


def test_the_event_is_in_the_environment_and_on_the_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIRS", "theirs")
    event = {"ATTRACTOR_RUN": "r", "result": "failed", "ATTRACTOR_EXIT": 1, "report": None}
    line = 'echo "$ATTRACTOR_RUN $ATTRACTOR_RESULT $ATTRACTOR_EXIT <$ATTRACTOR_REPORT> $THEIRS"'
    answer = run(tmp_path, f"{line}; pwd; cat", env=event)
    words, folder, document = answer["tail"].splitlines()
    assert (answer["exit"], words, folder) == (0, "r failed 1 <> theirs", str(tmp_path))
    assert json.loads(document) == {"run": "r", "result": "failed", "exit": 1, "report": None}


def test_a_command_that_fails_or_reads_nothing_is_told_and_no_more(tmp_path: Path) -> None:
    said = run(tmp_path, "echo no >&2; exit 5", env={"result": "x" * 1_000_00 + "\0"})
    assert said == {"exit": 5, "tail": "no\n"}


def test_a_command_that_does_not_end_is_stopped(tmp_path: Path, deadline: Any) -> None:
    deadline.when_said("begun\n")
    assert run(tmp_path, "echo begun; sleep 300", timeout=0.3) == {"exit": None, "tail": "begun\n"}
