"""Judges one commit: the seal first, then the checks, then a judge for each scenario in scope.

What costs least comes first: red checks need no judge. Where the checks alone decide, as at a gate
of the kind `unit`, nobody is asked, and without any check there is no verdict. Checks and judges
each have a clean checkout of their own, so that no check can dress up what is judged. A check that
the base had and the commit has no more is red, unless the node says which checks count. What is
told downwards comes from `guardian.feedback` alone, and only where the work failed.

It begins anew whenever it is started: nothing of a killed one counts, and nothing of it is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.project.found_checks import Found
from attractor.run.layout import RunLayout, escape
from guardian import asking, before, checking, criteria, evidence, feedback, judging, trees
from guardian.criteria import Criteria, Unsealed
from guardian.feedback import Problem
from guardian.judge import Work
from guardian.judging import Judged, judge_all
from guardian.verdict import Outcome, Scored, Verdict, weigh
from signals.clock import Clock, iso

_NONE_GIVEN: Final = "none given"
_CHECKS: Final = "its checks are green"
_BRING_BACK: Final = "Bring the tests back, or move them to where the same check finds them."
_LESS: Final = "A check is gone."
_MOST_TAIL: Final = 4_000
_MOST_PROBLEM: Final = 500
_MOST_NAME: Final = 200
_MOST_QUOTES: Final = 5
_MOST_QUOTE: Final = 200


@final
@dataclass(frozen=True, slots=True)
class Parts:
    """What a validation is made of; tests put others in."""

    ask: judging.Ask = asking.ask
    checks: Callable[..., Mapping[str, Any]] = checking.run_checks
    clean: Callable[..., AbstractContextManager[str]] = trees.clean


@final
@dataclass(slots=True)
class _Found:
    """Everything that one validation found."""

    verdict: Verdict
    checks: Mapping[str, Any]
    feedback: str = ""
    judged: list[Judged] = field(default_factory=list)
    accept: float = 1.0


def run(spec: Mapping[str, Any], clock: Clock, parts: Parts = Parts()) -> dict[str, Any]:
    """Judge, keep what was found in the evidence of the attempt, and answer."""
    began = clock.monotonic()
    found = _found(spec, clock, parts)
    answer = _answer(spec, found, round(clock.monotonic() - began, 3))
    answer["report"] = _keep(spec, found, answer, clock)
    return answer


def _found(spec: Mapping[str, Any], clock: Clock, parts: Parts) -> _Found:
    judged_too = bool(spec.get("judged", True))
    known = criteria.of(spec if judged_too else {**spec, "features": [], "acceptance": _CHECKS})
    if isinstance(known, Unsealed):
        why = "; ".join(known.differs)
        return _Found(Verdict(Outcome.UNSEALED, why=why), _unchecked(), feedback=why)
    request = spec["request"]
    name = f"validate-{escape(str(spec['node']))}-{int(spec['attempt'])}"
    folder = os.path.join(RunLayout(request["run_root"]).trees, name)

    def clean() -> AbstractContextManager[str]:
        return parts.clean(request["project"], folder, spec["commit"], clock)

    checks: Mapping[str, Any] = _unchecked()
    with clean() as tree:
        there = checking.known(spec, tree, str(spec["commit"]))
        spec = {**spec, "checks": list(there.checks)}
        if spec["checks"] and not there.gone:
            checks = parts.checks(spec, tree, spec["checks"], float(spec["timeout"]), clock)
    if there.gone:
        return _gone(there, known)
    checks = {**checks, "ran": spec["checks"], "notes": list(there.notes)}
    if checks["status"] == "red":
        return _red(checks, known)
    if checks["status"] not in ("green", _NONE_GIVEN):
        why = f"the checks could not be run: {_tail(checks)[-_MOST_PROBLEM:]}"
        return _Found(Verdict(Outcome.NONE, why=why), checks)
    if not judged_too:
        return _Found(_by_checks(checks), checks)
    with clean() as tree:
        judged = judge_all(spec, tree, known.cases, _work(spec, checks), parts.ask)
    return _weighed(spec, checks, known, judged)


def _by_checks(checks: Mapping[str, Any]) -> Verdict:
    """Return the verdict of checks that are not red, where nothing else decides."""
    if checks["status"] == "green":
        return Verdict(Outcome.PASSED)
    why = "; ".join(["there is no check to run here", *checks["notes"]])
    return Verdict(Outcome.NONE, why=f"{why}: give the node or the project a `check`")


def _unchecked() -> dict[str, Any]:
    return {"status": _NONE_GIVEN, "command": "", "exit": None, "tail": ""}


def _red(checks: Mapping[str, Any], known: Criteria) -> _Found:
    status = checks.get("exit")
    how = "did not end in time" if status is None else f"ended with status {status}"
    command, tail = str(checks.get("command", "")), _tail(checks)
    told = feedback.of_checks(command, how, tail, known.guard)
    return _Found(Verdict(Outcome.FAILED, why=f"the check {command} {how}"), checks, told)


def _gone(there: Found, known: Criteria) -> _Found:
    """Return the verdict on work that has rid itself of a check."""
    why = checking.missed(there)
    checks = {**_unchecked(), "status": "red", "command": there.gone[0], "tail": why}
    told = known.guard.kept([f"{why[:1].upper()}{why[1:]}.", _BRING_BACK])
    return _Found(Verdict(Outcome.FAILED, why=why), checks, "\n".join(told) or _LESS)


def _weighed(
    spec: Mapping[str, Any], checks: Mapping[str, Any], known: Criteria, judged: list[Judged]
) -> _Found:
    scored = [Scored(each.case.feature, each.case.scenario, each.score) for each in judged]
    verdict = weigh(scored, known.weights, known.thresholds, int(spec["round"]))
    if missing := [each for each in judged if each.why]:
        verdict = Verdict(Outcome.NONE, why=missing[0].why)
    told = ""
    if verdict.outcome is Outcome.FAILED:
        told = feedback.of_verdict(_problems(known, judged), known.guard)
    return _Found(verdict, checks, told, judged, known.thresholds.accept)


def _problems(known: Criteria, judged: Sequence[Judged]) -> list[Problem]:
    """Return what is wrong, what weighs most first."""

    def lost(each: Judged) -> float:
        return known.weights[each.case.feature] * (1 - (each.score or 0.0))

    wrong = [each for each in judged if lost(each)]
    return [
        Problem(
            known.names[each.case.feature],
            each.said.problem,
            tuple(found.place for found in each.quotations if found.file != evidence.CHECKS),
        )
        for each in sorted(wrong, key=lost, reverse=True)
    ]


def _work(spec: Mapping[str, Any], checks: Mapping[str, Any]) -> Work:
    results = ""
    if checks["status"] != _NONE_GIVEN:
        ran = "\n".join(f"$ {each}" for each in spec["checks"])
        results = f"status: {checks['status']}\n{ran}\n{_tail(checks)}".rstrip()
    # By this line a rehearsal's script knows which verdict is asked for.
    title = f"Validation {spec.get('number', 1)} of node {spec['node']}"
    gate = bool(spec["gate"])
    changes = before.told(spec, str(spec["commit"]))
    return Work(str(spec["label"]), str(spec["prompt"]), results, gate, title, changes)


def _tail(checks: Mapping[str, Any]) -> str:
    return str(checks.get("tail", ""))[-_MOST_TAIL:]


def _answer(spec: Mapping[str, Any], found: _Found, seconds: float) -> dict[str, Any]:
    asked = [answer for each in found.judged for answer in each.answers]
    answer: dict[str, Any] = {
        "outcome": found.verdict.outcome.value,
        "score": found.verdict.score,
        "feedback": found.feedback,
        "commit": spec["commit"],
        "round": spec["round"],
        "checks": {
            "status": found.checks["status"],
            "command": found.checks.get("command", ""),
            "exit": found.checks.get("exit"),
            "tail": _tail(found.checks),
            "ran": list(found.checks.get("ran", ())),
            "notes": list(found.checks.get("notes", ())),
        },
        "scenarios": [_summary(each, found.accept) for each in found.judged],
        "usage": asking.usage_of(asked),
        "seconds": seconds,
        "why": found.verdict.why,
    }
    if found.verdict.outcome is Outcome.NONE:
        answer["error"] = f"there is no verdict: {found.verdict.why}"
        if asked and not asked[-1].ok:
            answer |= {**asking.failure(asked[-1]), "error": answer["error"]}
    return answer


def _summary(judged: Judged, accept: float) -> dict[str, Any]:
    """Return what the journal keeps of a scenario."""
    score = judged.score
    return {
        "feature": judged.case.feature,
        "scenario": judged.case.scenario[:_MOST_NAME],
        "score": score,
        "ok": score is not None and score >= accept,
        "evidence": [
            {"file": each.file, "line": each.line, "quote": each.quote[:_MOST_QUOTE]}
            for each in judged.quotations[:_MOST_QUOTES]
            if each.found
        ],
        "problem": (judged.why or judged.said.problem)[:_MOST_PROBLEM],
    }


def _keep(spec: Mapping[str, Any], found: _Found, answer: Mapping[str, Any], clock: Clock) -> str:
    about = {key: spec[key] for key in ("task", "node", "attempt", "round", "commit")}
    about |= {"at": iso(clock.wall_ns()), "outcome": answer["outcome"]}
    scores = [
        {
            "feature": each.case.feature,
            "scenario": each.case.scenario,
            "score": each.score,
            "asked": len(each.answers),
            "why": each.why,
            "problem": each.said.problem,
            "explanation": each.said.explanation,
        }
        for each in found.judged
    ]
    snippets = [
        {
            "feature": each.case.feature,
            "scenario": each.case.scenario,
            **quotation.as_json(),
            "found": quotation.found,
        }
        for each in found.judged
        for quotation in each.quotations
    ]
    left_out = ("outcome", "commit", "round")
    report = {key: value for key, value in answer.items() if key not in left_out}
    report |= {"features": dict(found.verdict.features), "accept": found.accept}
    return evidence.record(
        RunLayout(spec["request"]["run_root"]).evidence(str(spec["node"]), int(spec["attempt"])),
        about,
        {
            evidence.REPORT: report,
            evidence.SCORES: {"scenarios": scores},
            evidence.SNIPPETS: {"snippets": snippets},
        },
    )
