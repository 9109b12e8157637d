"""Looks back at everything that was merged, and says what is still missing.

The project's own checks run on all that is merged, in a clean checkout and behind the fence. Then
an agent with read-only tools, in another clean checkout, gets the requirements, the story of the
run and the results, and may add work; adding nothing is success. Where the checks are red and
nothing is added, or where no addition counts, it is asked once more and told why; then there is no
answer. Nor is there one where the checks could not be run.

It is not told the rubric and cannot read it, and what it says passes the guard of the rubric all
the same, since it becomes what a session is told. Begun again, it begins anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.agents.answer import Answer
from attractor.pipeline.load import load
from attractor.run import journal, story
from attractor.run.layout import RunLayout
from guardian import asking, before, checking, look_back, trees
from guardian.asked_twice import Asked
from guardian.feedback import Guard
from guardian.kept_back import guard_of, tellable
from guardian.look_back import Said, Suite, Whole
from guardian.reminding import remembered
from signals.clock import Clock

SILENT: Final = "silent"
ADDED: Final = "added"
_NONE: Final = "none"
_TURNS: Final = 60
_SECONDS: Final = 1_800.0
_CHECK_SECONDS: Final = 1_800.0
_MOST_TAIL: Final = 4_000
_MOST_DOCUMENT: Final = 200_000
_MOST_WHY: Final = 1_000

Ask = Callable[..., Answer]


@final
@dataclass(frozen=True, slots=True)
class Parts:
    """What looking back is made of; tests put others in."""

    ask: Ask = asking.ask
    checks: Callable[..., Mapping[str, Any]] = checking.run_checks
    clean: Callable[..., AbstractContextManager[str]] = trees.clean


def run(spec: Mapping[str, Any], clock: Clock, parts: Parts = Parts()) -> dict[str, Any]:
    """Look back; answer {outcome, additions, suite, notes, usage}, or an error."""
    guard = guard_of(spec)
    folder = os.path.join(RunLayout(spec["request"]["run_root"]).trees, "retrospect")

    def clean() -> AbstractContextManager[str]:
        return parts.clean(spec["request"]["project"], folder, spec["head"], clock)

    with clean() as tree:
        suite = _suite(spec, tree, parts, clock)
    if suite.status not in ("green", "red", _NONE):
        error = f"the checks could not be run: {suite.tail[-_MOST_WHY:]}"
        return {"error": error, "suite": _said_of(suite), "usage": asking.usage_of([])}
    labels = _labels(spec)
    whole = _whole(spec, labels, suite, clock)
    with clean() as tree:
        asked = _asked(spec, tree, whole, list(labels.values()), parts.ask)
    return _answer(asked, suite, guard)


def _suite(spec: Mapping[str, Any], tree: str, parts: Parts, clock: Clock) -> Suite:
    said = {**spec, "node": "retrospect", "attempt": 0, "base": ""}
    there = checking.known(said, tree, str(spec["head"]))
    if not there.checks:
        return Suite(_NONE, tail="\n".join(there.notes))
    seconds = float(spec.get("timeout") or _CHECK_SECONDS)
    ran = parts.checks(said, tree, list(there.checks), seconds, clock)
    command = str(ran.get("command") or "; ".join(there.checks))
    return Suite(str(ran["status"]), command, str(ran.get("tail", ""))[-_MOST_TAIL:])


def _labels(spec: Mapping[str, Any]) -> dict[str, str]:
    _, graph = load(RunLayout(spec["request"]["run_root"]).dot)
    return {str(each.id): each.attrs.get("label", "") for each in graph.nodes.values()}


def _whole(spec: Mapping[str, Any], labels: Mapping[str, str], suite: Suite, clock: Clock) -> Whole:
    request = spec["request"]
    found = journal.read(RunLayout(request["run_root"]).journal)
    prd = _text(str(spec.get("prd") or request.get("prd") or ""))
    return Whole(
        # By this line a rehearsal's script knows which look back is asked for.
        title=f"Retrospective {spec['round']}",
        prd=prd,
        story=look_back.told(story.read(found.entries), labels),
        suite=suite,
        stat=before.told({**spec, "base": request["base_commit"]}, str(spec["head"])),
        memory=remembered(spec, prd or "\n".join(labels.values()), look_back.ROLE, clock),
    )


def _text(path: str) -> str:
    """Return what the requirements say, as far as there is room; there may be none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_DOCUMENT).replace("\0", "")
    except OSError:
        return ""


def _asked(
    spec: Mapping[str, Any], tree: str, whole: Whole, labels: Sequence[str], ask: Ask
) -> Asked[Said]:
    def once(why: str) -> Answer:
        return ask(
            spec,
            role=look_back.ROLE,
            prompt=look_back.question(whole, why),
            schema=look_back.SCHEMA,
            cwd=tree,
            system=look_back.SYSTEM,
            model=str(spec.get("model") or ""),
            timeout_seconds=float(spec.get("ask_timeout") or _SECONDS),
            max_turns=_TURNS,
            settings=asking.out_of_reach(spec),
        )

    def read(answer: object) -> tuple[Said, str]:
        said = look_back.reading(answer, labels, whole.suite)
        return said, said.void

    asked = Asked[Said]()
    asked.ask(once, read)
    return asked


def _answer(asked: Asked[Said], suite: Suite, guard: Guard) -> dict[str, Any]:
    about = {"suite": _said_of(suite), "usage": asking.usage_of(asked.answers)}
    if asked.said is None or asked.why:
        error = f"nobody has looked back: {asked.why[:_MOST_WHY]}"
        last = asked.answers[-1]
        return {**({} if last.ok else asking.failure(last)), **about, "error": error}
    notes = list(asked.said.notes)
    additions = []
    for each in asked.said.additions:
        told = {key: tellable(str(each[key]), guard) for key in ("label", "prompt", "acceptance")}
        if all(told.values()):
            additions.append({**each, **told})
        else:
            notes.append(f"an addition repeats the rubric, and was left out: {each['label']!a:.60}")
    if asked.said.additions and not additions:
        return {**about, "error": f"nobody has looked back: {'; '.join(notes)[:_MOST_WHY]}"}
    outcome = ADDED if additions else SILENT
    return {"outcome": outcome, "additions": additions, "notes": notes, **about}


def _said_of(suite: Suite) -> dict[str, Any]:
    return {"status": suite.status, "command": suite.command, "tail": suite.tail}
