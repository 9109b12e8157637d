"""Looks at one commit once more, after the judge and before the merge.

The reviewer `scan` is no model: it looks for secrets and private data in what the commit adds.
`self` is a fresh session of Claude Code, any other name another agent; both stand in a clean
checkout, read only, and answer to a schema. An answer that does not count is asked for once more.
Where another agent cannot be had, or gives no answer that counts, it is `unavailable`, and somebody
else is asked; where our own does not answer, there is no review yet. Nothing else is ever a pass.

What a reviewer says goes down to the session. So it is not told the rubric and cannot read it, and
what it says passes the guard of the rubric all the same. Begun again, it begins anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, final

from attractor.agents.answer import Answer
from attractor.errors import AttractorError
from attractor.git import Git, repository
from attractor.run import request as requests
from attractor.run.layout import RunLayout, escape
from attractor.run.reviews import FINDINGS, PASSED, SCAN, SELF, STANDS_IN, UNAVAILABLE
from guardian import additions, asking, before, reviewer, scanning, trees
from guardian.asked_twice import Asked
from guardian.feedback import Guard
from guardian.kept_back import guard_of, tellable
from guardian.reminding import remembered
from guardian.reviewer import Change, Finding, Said
from signals.clock import Clock

_TURNS: Final = 40
_SECONDS: Final = 900.0
_MOST_WHY: Final = 1_000
_KEPT_BACK: Final = "What is wrong here was said in words that cannot be told; look at it again."
_DIFF: Final = ("diff-tree", "-r", "-p", "--find-renames", "--no-ext-diff", "--no-textconv")

Ask = Callable[..., Answer]


@final
@dataclass(frozen=True, slots=True)
class Parts:
    """What a review is made of; tests put others in."""

    ask: Ask = asking.ask
    clean: Callable[..., AbstractContextManager[str]] = trees.clean


@final
class _NotAskedError(Exception):
    """Another agent cannot be asked at all."""


def run(spec: Mapping[str, Any], clock: Clock, parts: Parts = Parts()) -> dict[str, Any]:
    """Review, and answer {outcome, reviewer, findings, why, notes, usage, seconds}, or an error."""
    began = clock.monotonic()
    git = repository(str(spec["request"]["project"]))
    scanned = spec["reviewer"] == SCAN
    answer = _scanned(spec, git) if scanned else _reviewed(spec, git, clock, parts)
    return {**answer, "seconds": round(clock.monotonic() - began, 3)}


def _scanned(spec: Mapping[str, Any], git: Git) -> dict[str, Any]:
    project, base = str(spec["request"]["project"]), str(spec["base"])
    found = scanning.scan(git, project, base, str(spec["commit"]))
    why = "; ".join(found.notes)
    answer = _answer(SCAN, FINDINGS if found.findings else PASSED, found.findings, why)
    return {**answer, "allowed": found.allowed, "notes": found.notes}


def _reviewed(spec: Mapping[str, Any], git: Git, clock: Clock, parts: Parts) -> dict[str, Any]:
    guard = guard_of(spec)
    name = f"review-{escape(str(spec['node']))}-{int(spec['attempt'])}"
    folder = os.path.join(RunLayout(spec["request"]["run_root"]).trees, name)
    change = _change(spec, git, clock)
    with parts.clean(spec["request"]["project"], folder, spec["commit"], clock) as tree:
        asked = _asked(spec, git, tree, change, parts.ask)
    who = str(spec["reviewer"])
    stood_in = _stood_in(spec)
    if asked.said is None or asked.why:
        return _silent(who, asked, stood_in)
    findings = [_kept(each, guard).as_json() for each in asked.said.findings]
    why = "; ".join(filter(None, (stood_in, *asked.said.notes)))
    outcome = FINDINGS if findings else PASSED
    answer = _answer(who, outcome, findings, why, asked.answers)
    more = {"stood_in": STANDS_IN} if stood_in else {}
    return {**answer, **more, "notes": list(asked.said.notes)}


def _answer(
    who: str,
    outcome: str,
    findings: Sequence[Mapping[str, Any]] = (),
    why: str = "",
    asked: Sequence[Answer] = (),
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "reviewer": who,
        "findings": list(findings),
        "why": why[:_MOST_WHY],
        "usage": asking.usage_of(asked),
    }


def _silent(who: str, asked: Asked[Said], stood_in: str) -> dict[str, Any]:
    """Return what is said where nobody gave an answer that counts."""
    if who != SELF:
        why = "; ".join(filter(None, (f"{who}: {asked.why}", stood_in)))
        return _answer(who, UNAVAILABLE, (), why, asked.answers)
    said = {"usage": asking.usage_of(asked.answers)}
    error = f"there is no review: {asked.why}"
    if asked.answers and not asked.answers[-1].ok:
        return {**asking.failure(asked.answers[-1]), **said, "error": error}
    return {**said, "error": error}


def _stood_in(spec: Mapping[str, Any]) -> str:
    request = requests.from_json(spec["request"], "the task's request")
    if not asking.stands_in(request, _agent(spec)):
        return ""
    return f"in this rehearsal {STANDS_IN} stood in for {_agent(spec)}, which is not installed"


def _agent(spec: Mapping[str, Any]) -> str:
    return str(spec.get("agent") or asking.CLAUDE)


def _kept(finding: Finding, guard: Guard) -> Finding:
    """Return the finding without what the rubric says."""
    problem = tellable(finding.problem, guard) or _KEPT_BACK
    return Finding(finding.file, finding.line, problem, tellable(finding.fix, guard))


def _change(spec: Mapping[str, Any], git: Git, clock: Clock) -> Change:
    base, commit = str(spec["base"]), str(spec["commit"])
    diff = git.answer(*_DIFF, base, commit, "--").stdout.decode("utf-8", "replace")
    return Change(
        label=str(spec.get("label") or ""),
        prompt=str(spec.get("prompt") or ""),
        acceptance=str(spec.get("acceptance") or ""),
        files=before.told(spec, commit),
        diff=diff,
        # By this line a rehearsal's script knows which review is asked for.
        title=f"Review {spec['number']} of node {spec['node']}",
        before=spec.get("before") or (),
        memory=remembered(
            spec, f"{spec.get('label', '')}\n{spec.get('prompt', '')}", reviewer.REVIEWER, clock
        ),
    )


def _asked(spec: Mapping[str, Any], git: Git, tree: str, change: Change, ask: Ask) -> Asked[Said]:
    """Ask; an agent that cannot be asked gives no answer that counts."""

    def read(answer: object) -> tuple[Said, str]:
        said = _read(spec, git, tree, answer)
        return said, said.void

    def once(why: str) -> Answer:
        try:
            return _once(spec, tree, reviewer.question(change, why), ask)
        except AttractorError as error:
            if spec["reviewer"] == SELF:
                raise
            raise _NotAskedError(str(error)) from error

    asked = Asked[Said]()
    try:
        asked.ask(once, read)
    except _NotAskedError as error:
        asked.why = str(error)
    return asked


def _once(spec: Mapping[str, Any], tree: str, prompt: str, ask: Ask) -> Answer:
    own = spec["reviewer"] == SELF
    return ask(
        spec,
        role=reviewer.REVIEWER if own else reviewer.CROSS_REVIEWER,
        prompt=prompt,
        schema=reviewer.SCHEMA,
        cwd=tree,
        system=reviewer.SYSTEM,
        model=str(spec.get("model") or ""),
        timeout_seconds=float(spec.get("ask_timeout") or _SECONDS),
        max_turns=_TURNS,
        agent=_agent(spec),
        settings=asking.out_of_reach(spec),
    )


def _read(spec: Mapping[str, Any], git: Git, tree: str, answer: object) -> Said:
    """Return what the answer comes to, by the files of the commit and of its base."""

    def meant(name: str) -> list[str]:
        return reviewer.paths(name, tree, str(spec.get("target_dir") or ""))

    named = [path for each in reviewer.claimed(answer) if each.file for path in meant(each.file)]
    commits = (str(spec["commit"]), str(spec["base"]))  # what is deleted may be missed
    return reviewer.reading(answer, meant, additions.there(git, commits, named))
