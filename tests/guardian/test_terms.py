"""Which program carries a node out: the order of the settings holds in a rehearsal, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from attractor.pipeline.dot import parse
from attractor.pipeline.graph import build
from attractor.run.request import Request
from guardian.terms import terms_of
from signals.clock import SystemClock

TEXT = (
    "digraph p {{ start [shape=Mdiamond]; w [shape=box{}]; finish [shape=Msquare];"
    " start -> w -> finish }}"
)


@pytest.mark.parametrize("rehearsed", [True, False])
@pytest.mark.parametrize(
    ("chosen", "environment", "node", "program"),
    [
        ("", "", "", None),
        ("", "/env/claude", "", "/env/claude"),
        ("/chosen/claude", "", "", "/chosen/claude"),
        ("/chosen/claude", "", "/node/claude", "/node/claude"),
        ("/env/claude", "/env/claude", "/node/claude", "/env/claude"),
        # Whoever resumes a run may have another environment than who began it.
        ("/chosen/claude", "/env/claude", "", "/chosen/claude"),
    ],
)
def test_the_program_is_the_first_that_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    environment: str,
    node: str,
    program: str | None,
    rehearsed: bool,
) -> None:
    monkeypatch.setenv("ATTRACTOR_CLAUDE", environment)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("attractor.tools.find_claude", lambda: "/found/claude")
    graph = build(parse(TEXT.format(f', claude="{node}"' if node else "")))
    request = Request(
        run_id="r", project=str(tmp_path), run_root=str(tmp_path / "r"), pipeline="p.dot",
        base_commit="0" * 40, rehearsed=rehearsed, claude=chosen,
        base_url="http://127.0.0.1:9" if rehearsed else "",
    )  # fmt: skip
    made = terms_of(graph, request, SystemClock())["w"].assignment
    assert made is not None
    assert made.claude == (program or ("/found/claude" if rehearsed else ""))


@pytest.mark.parametrize(
    ("said", "judge", "reviewer"),
    [
        ('model="opus"', "opus", "opus"),
        ('model="free", agent="opencode"', "", ""),
        ('model="gpt", agent="codex", judge_agent="codex"', "gpt", ""),
        ('model="opus", judge_agent="codex", judge_model="gpt"', "gpt", "opus"),
        ('model="opus", judge_model="haiku"', "haiku", "haiku"),
    ],
)
def test_nobody_is_asked_with_the_model_of_another_vendors_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, judge: str, reviewer: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    request = Request(
        run_id="r", project=str(tmp_path), run_root=str(tmp_path / "r"), pipeline="p.dot",
        base_commit="0" * 40,
    )  # fmt: skip
    terms = terms_of(build(parse(TEXT.format(f", {said}"))), request, SystemClock())["w"]
    assert (terms.model, terms.review_model) == (judge, reviewer)
