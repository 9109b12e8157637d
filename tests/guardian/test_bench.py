"""The Guardian's bench stands in for all that its loop asks: nothing is timed here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build


@pytest.mark.parametrize("kind", ["PLACE", "TOOL"])
def test_the_bench_guards_a_run_to_its_end(
    kind: str, tmp_path: Path, bench: Callable[[str], Any]
) -> None:
    guarded = bench("guarded")
    graph = build(parse(guarded.layers([1, 2], getattr(guarded, kind))))
    loop = guarded.loop_of(graph, str(tmp_path), guarded.request_of(str(tmp_path)))
    assert any(loop.step() for _ in range(100))
    assert loop.story.ended["result"] == "validated"
