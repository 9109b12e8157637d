"""Asks judges, one scenario after another, and looks up what they quote.

An answer counts when it has a score and each quotation was found; one that does not is asked for
once more, then there is no verdict on this scenario. The first scenario without one ends it, since
there can be none on the whole any more. One at a time: a task has one deadline to die by.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.agents.answer import Answer
from guardian import evidence, judge
from guardian.asked_twice import Asked
from guardian.evidence import Quotation
from guardian.judge import Case, Said, Work

Ask = Callable[..., Answer]
_Read = tuple[Said, list[Quotation]]
_MOST_SHOWN: Final = 200


@final
@dataclass(slots=True)
class Judged:
    """One scenario, with what was said of it."""

    case: Case
    said: Said = field(default_factory=lambda: Said(None))
    quotations: list[Quotation] = field(default_factory=list)
    why: str = ""
    """Why there is no verdict."""
    answers: list[Answer] = field(default_factory=list)

    @property
    def score(self) -> float | None:
        """What it counts for."""
        return None if self.why else self.said.score


def judge_all(
    spec: Mapping[str, Any], tree: str, cases: Sequence[Case], work: Work, ask: Ask
) -> list[Judged]:
    """Return what was judged; the last one says `why` where there is no verdict on it."""
    judged: list[Judged] = []
    for case in cases:
        judged.append(_judged(spec, tree, case, work, ask))
        if judged[-1].why:
            break
    return judged


def _judged(spec: Mapping[str, Any], tree: str, case: Case, work: Work, ask: Ask) -> Judged:
    """Ask about one scenario."""
    doubts = judge.doubts_on(case, spec["previous"])

    def once(why: str) -> Answer:
        return ask(
            spec,
            role=judge.ROLE,
            prompt=judge.question(case, work, doubts, why),
            schema=judge.SCHEMA,
            cwd=_folder(tree, str(spec["target_dir"])),
            system=judge.SYSTEM,
            model=str(spec["model"]),
            agent=str(spec.get("agent") or "claude"),
            timeout_seconds=float(spec["ask_timeout"]),
            max_turns=judge.turns(int(spec["round"])),
        )

    def read(answer: object) -> tuple[_Read, str]:
        said = judge.reading(answer)
        found = evidence.look_up(tree, str(spec["target_dir"]), work.checks, said.evidence)
        return (said, found), _void(said, found)

    asked = Asked[_Read]()
    asked.ask(once, read)
    said, quotations = asked.said or (Said(None), [])
    return Judged(case, said, quotations, asked.why, asked.answers)


def _void(said: Said, quotations: Sequence[Quotation]) -> str:
    """Return why this answer does not count."""
    if said.score is None:
        return "it has no score from 0 to 1"
    for each in quotations:
        if not each.found:
            return f'the quotation "{each.quote[:_MOST_SHOWN]}" from {each.file}: {each.why}'
    if said.score > 0 and not quotations:
        return "a score above 0 needs evidence that can be looked up"
    return ""


def _folder(tree: str, target_dir: str) -> str:
    """Return where the judge stands: in the folder of the work, unless that leads elsewhere."""
    folder = os.path.realpath(os.path.join(tree, target_dir))
    inside = os.path.commonpath([folder, os.path.realpath(tree)]) == os.path.realpath(tree)
    return folder if inside and os.path.isdir(folder) else tree
