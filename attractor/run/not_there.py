"""Which reviewers and judges that are named cannot be had here, and who does their work then.

Notes, for a person who has not begun yet. Known are our own agents: whether the program is there,
and whether anything shows a login. That a login counts, or quota is left, is known only when one is
asked. Of Claude Code, which every run needs, it is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attractor.run.config import Settings
from attractor.run.preflight import Finding
from attractor.run.reviews import SELF, STANDS_IN, reviewers

_OTHERS: Final = ("codex", "gemini", "opencode")
_FIX: Final = "see `attractor models`: install it and log in, or name another one"


def not_there(
    every: Iterable[Settings], *, rehearsed: bool, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a note for each list of reviewers, and each judge, with some who cannot be had."""
    found = [*every]
    for review in dict.fromkeys(each.word("review") for each in found):
        yield from _reviewers(reviewers(review), rehearsed, environ)
    for judge in dict.fromkeys(each.word("judge_agent") for each in found):
        yield from _judge(judge, rehearsed, environ)


def _reviewers(
    named: Sequence[str], rehearsed: bool, environ: Mapping[str, str]
) -> Iterator[Finding]:
    why = {name: _why(name, rehearsed, environ) for name in named if name != SELF}
    missing = [name for name in why if why[name]]
    if not missing:
        return
    they = "it" if len(missing) == 1 else "them"
    there = next((name for name in why if not why[name]), "")
    if rehearsed:
        instead = f"in this rehearsal {STANDS_IN} stands in for {they}"
    elif there:
        first = [*why].index(there) < [*why].index(missing[0])
        instead = f"{there} is asked before" if first else f"{there} stands in for"
        instead = f"{instead} {they}"
    elif SELF in named:
        instead = f"nobody stands in for {they}: the review by {SELF} is the only one"
    else:
        instead = f"the node's own agent stands in for {they}, in a fresh session"
    problem = f"{', '.join(f'{name} {why[name]}' for name in missing)}; {instead}"
    yield Finding(problem, "review", _FIX, fatal=False)


def _judge(name: str, rehearsed: bool, environ: Mapping[str, str]) -> Iterator[Finding]:
    why = _why(name, rehearsed, environ)
    if why:
        instead = f"in this rehearsal {STANDS_IN} stands in for it"
        then = instead if rehearsed else "nothing is judged without it"
        problem = f"{name} {why}, and it is to judge; {then}"
        yield Finding(problem, "judge_agent", _FIX, fatal=False)


def _why(name: str, rehearsed: bool, environ: Mapping[str, str]) -> str:
    """Return why this agent cannot be had; empty where it can, or nobody knows."""
    if name not in _OTHERS:
        return ""
    from attractor.agents.headless import on_path
    from attractor.agents.present import login_of

    if on_path(name, environ) is None:
        return "is not installed"
    return "shows no login" if not rehearsed and login_of(name, environ) == "none" else ""
