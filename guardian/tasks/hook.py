"""Runs what the person gave as `--on-end`: a line of shell that is told how the run ended.

It runs in the project, with the person's whole environment, the event in variables that begin with
`ATTRACTOR_` and as one JSON object on its standard input. It dies with us, and it may be run twice
when we were killed in between. How it ends changes nothing about the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from attractor.spawn import run_leashed_shell
from signals.clock import Clock

SECONDS: Final = 60.0
_TAIL_CHARACTERS: Final = 4_000
_PREFIX: Final = "ATTRACTOR_"


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Run the command and answer {exit, tail}; `exit` is null when it was stopped at its deadline.

    A name in `env` gets the prefix where it has none.
    """
    del clock
    event = {_named(name): _text(value) for name, value in spec.get("env", {}).items()}
    ran = run_leashed_shell(
        spec["command"],
        timeout_seconds=float(spec.get("timeout") or SECONDS),
        cwd=spec["request"]["project"],
        tail_characters=_TAIL_CHARACTERS,
        stdin=_document(spec),
        env={**os.environ, **event},
    )
    return {"exit": ran.status, "tail": ran.tail}


def _named(name: str) -> str:
    return name if name.startswith(_PREFIX) else _PREFIX + name.upper()


def _text(value: object) -> str:
    """Return a value as a variable holds it: no NUL."""
    return ("" if value is None else str(value)).replace("\0", "")


def _document(spec: Mapping[str, Any]) -> bytes:
    said = {
        _named(name).removeprefix(_PREFIX).lower(): value
        for name, value in spec.get("env", {}).items()
    }
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
