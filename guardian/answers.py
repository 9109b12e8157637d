"""What the end of each task means: one function for each kind. Pure.

A task that gave no answer has decided nothing: it is begun again, a few times, and then a person is
asked. An answer to a task that nobody waits for any more is put away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attractor.run.growth import Change, before_exit, in_parts
from attractor.run.node_story import REPLAN, RETROSPECT
from attractor.run.records import Decision, Task
from attractor.run.reviews import FINDINGS, PASSED, SCAN
from attractor.run.roles import Role
from attractor.run.states import NodeEvent
from attractor.run.story import StoryEvent
from guardian.core import Core
from guardian.ending import fail
from guardian.reviewing import feedback

Answer = Mapping[str, Any]
Usage = Mapping[str, Any] | None

RETRY: Final = "retry"
GIVE_UP: Final = "give up"
_MOST_SILENCES: Final = 3
_MOST_FREE_TRIES: Final = 20
_PAUSES: Final[Mapping[str, tuple[float, ...]]] = {"rubric": (30.0, 120.0, 300.0)}
"""What is waited after a try that gave no result, and after the next."""
_USUAL_PAUSES: Final = (2.0, 4.0, 8.0)
_FREE_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 300.0
_MOST_TEXT: Final = 4_000
_MOST_CAUSE: Final = 200
_MOST_NAMED: Final = 5
MERGE_IT: Final = "merge it"
GIVE_BACK: Final = "give it back"
REVIEW_OPTIONS: Final = (MERGE_IT, GIVE_BACK, GIVE_UP)
VERDICT_OPTIONS: Final = (RETRY, GIVE_UP)
_GATES: Final = frozenset({Role.CHECK, Role.JUDGE})


def answer(core: Core, name: str, said: Answer | None) -> None:
    """Take in how a task ended; None for one that died without a word."""
    task = core.story.tasks.get(name)
    if task is None or core.story.ended is not None:
        return
    if core.story.stopping is not None and not task.finished:
        return
    if said is None or "error" in said:
        # Without a rubric nothing begins: that whoever was to write it was killed is no try.
        silence = {"error": "it ended without an answer", "free": task.kind == "rubric"}
        _silent(core, task, said or silence)
        return
    KINDS[task.kind](core, task, said)


def _ended(core: Core, task: Task, what: str, **more: Any) -> None:
    said = {"task": task.id, "node": task.node, "attempt": task.attempt, "what": what[:_MOST_TEXT]}
    core.add(StoryEvent.TASK_ENDED, said | {k: v for k, v in more.items() if v is not None})


def _silent(core: Core, task: Task, said: Answer) -> None:
    """Nothing was decided: wait, ask again, and at last ask a person."""
    why = str(said.get("error") or "there was no verdict")
    usage = said.get("usage")
    if task.kind in _MAY_FAIL:
        _MAY_FAIL[task.kind](core, task, why, usage)
        return
    at = said.get("retry_at")
    if isinstance(at, int | float) and at > core.now:
        # The provider said when: that is no failure of anybody.
        _ended(core, task, why, retry_at=float(at), usage=usage)
        return
    before, free = core.story.of(task.node), said.get("free") is True
    tries = before.free_tries if free else before.no_verdicts
    last = tries + 1 >= (_MOST_FREE_TRIES if free else _MOST_SILENCES)
    if last and task.kind in _GO_ON_WITHOUT:
        _GO_ON_WITHOUT[task.kind](core, task, why, usage)
        return
    counted = {"free": True} if free else {"no_verdict": True}
    pause = core.now + _pause(task.kind, tries, free=free)
    _ended(core, task, why, retry_at=pause, usage=usage, **counted)
    if last:
        _ask_for_result(core, task, tries + 1, why)


def _pause(kind: str, tries: int, *, free: bool) -> float:
    """Return how long is waited after a try; one that reached nobody is soon made again."""
    if free:
        return min(_FREE_PAUSE * 2.0**tries, _LONGEST_PAUSE)
    known = _PAUSES.get(kind, _USUAL_PAUSES)
    return known[min(tries, len(known) - 1)]


def _ask_for_result(core: Core, task: Task, times: int, why: str) -> None:
    who = _WORDS.get(task.kind, task.kind) + (f" of {task.node}" if task.node else "")
    cause = " ".join(why.split())[:_MOST_CAUSE]
    question = f"{who} gave no result {times} times: {cause}"
    kind = "verdict" if task.node else "rubric"
    ask(core, task.node, kind, question, VERDICT_OPTIONS, context=why)


def _input_unanswered(core: Core, task: Task, why: str, usage: Usage) -> None:
    del why
    question = str(task.about.get("question") or "it needs input")
    offered = task.about.get("options")
    options = tuple(map(str, offered)) if isinstance(offered, list) else ()
    data = _decision(core, task.node, "input", question, options)
    used = {"usage": usage} if usage else {}
    core.add(StoryEvent.DECISION_ASKED, {**data, **used, "task": task.id})


def _closed(core: Core, task: Task, what: str) -> None:
    core.books_closed = core.books_closed or task.closing
    _ended(core, task, what)


def _books_failed(core: Core, task: Task, why: str, usage: Usage) -> None:
    del usage  # nobody was asked
    # Beads and promises are views: they hold nothing up.
    _closed(core, task, f"beads and promise were not told: {why}")


def _not_remembered(core: Core, task: Task, why: str, usage: Usage) -> None:
    del usage  # nobody was asked
    _ended(core, task, f"not remembered: {why}", remembered=task.about["upto"])


def _not_replanned(core: Core, task: Task, why: str, usage: Usage) -> None:
    _ended(core, task, f"not planned again: {why}", usage=usage)
    core.give_up(task.node, f"{core.attempt(task.node).how}; and it was not planned again: {why}")


def _nobody_looked_back(core: Core, task: Task, why: str, usage: Usage) -> None:
    looked = {"round": task.about["round"], "outcome": "none", "why": why[:_MOST_CAUSE]}
    _ended(core, task, f"nobody looked back: {why}", looked_back=looked, usage=usage)


_GO_ON_WITHOUT: Final[Mapping[str, Callable[[Core, Task, str, Usage], None]]] = {
    "replan": _not_replanned,
    "retrospect": _nobody_looked_back,
}
"""What holds nothing up for ever, when it gives no answer again and again."""
_MAY_FAIL: Final[Mapping[str, Callable[[Core, Task, str, Usage], None]]] = {
    "answer": _input_unanswered,
    "books": _books_failed,
    "remember": _not_remembered,
}
_WORDS: Final = {
    "rubric": "writing the rubric",
    "validate": "judging",
    "merge": "merging the work",
    "review": "the review",
    "tool": "the command",
}


def ask(  # noqa: PLR0913  # a card has so many parts
    core: Core,
    node: str,
    kind: str,
    question: str,
    options: tuple[str, ...],
    *,
    default: str = "",
    deadline: str = "",
    context: str = "",
) -> None:
    """Ask a person."""
    data = _decision(core, node, kind, question, options)
    extra = {"default": default, "deadline": deadline, "context": context[:_MOST_TEXT]}
    core.add(StoryEvent.DECISION_ASKED, data | {key: each for key, each in extra.items() if each})


def _decision(
    core: Core, node: str, kind: str, question: str, options: tuple[str, ...]
) -> dict[str, Any]:
    name = f"d{len(core.story.decisions) + 1}"
    issue = f"decision {name} about {node or 'the run'}: {question}"
    return {
        "id": name,
        "node": node,
        # A run that is resumed is asked anew.
        "attempt": core.attempt(node).number if node else core.story.resumed,
        "kind": kind,
        "question": question[:_MOST_TEXT],
        "options": [*options],
        "notices": [core.escalation(issue, options)],
    }


def stop(core: Core, reason: str, result: str = "failed", **more: Any) -> None:
    """Stop the run, for a cause that is nobody's wish."""
    notices = [core.escalation(reason)]
    said = {"reason": reason, "result": result, "notices": notices, **more}
    core.add(StoryEvent.STOPPING, said)


# Answers


def _rubric(core: Core, task: Task, said: Answer) -> None:
    keys = ("folder", "by", "files", "scope", "acceptance")
    sealed = {key: said[key] for key in keys}
    sealed |= {"task": task.id, "usage": said.get("usage") or {}}
    # Of before the run was resumed.
    if asked := [each.id for each in core.story.open_decisions() if not each.node]:
        sealed["withdrawn"] = asked
    core.add(StoryEvent.RUBRIC_SEALED, sealed)


def _validate(core: Core, task: Task, said: Answer) -> None:
    outcome, usage = said["outcome"], said.get("usage")
    if outcome == "none":
        _silent(core, task, {**said, "error": str(said.get("feedback") or "no verdict was given")})
        return
    if outcome == "unsealed":
        _ended(core, task, "the rubric was changed", usage=usage)
        stop(core, f"the rubric was changed after it was sealed: {said.get('feedback', '')}")
        return
    verdict = _kept(said)
    done: dict[str, Any] = {"task": task.id, "attempt": task.attempt, "verdict": verdict}
    done["usage"] = usage
    if outcome == "investigate":
        _ended(core, task, "the score is between: it is looked at again", **_but_task(done))
    elif core.terms[task.node].role in _GATES:
        _gate(core, task, said, done)
    elif outcome == "passed":
        _ended(core, task, "judged good", **_but_task(done))
    else:
        reject(core, task.node, str(said.get("feedback") or ""), "judged not good yet", **done)


def _but_task(done: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in done.items() if key not in ("task", "attempt")}


_VERDICT: Final = (
    "outcome",
    "score",
    "round",
    "commit",
    "scenarios",
    "checks",
    "seconds",
    "report",
)


def _kept(said: Answer) -> dict[str, Any]:
    return {key: said[key] for key in _VERDICT if key in said}


def _gate(core: Core, task: Task, said: Answer, done: Mapping[str, Any]) -> None:
    if said["outcome"] == "passed":
        core.move(task.node, NodeEvent.GATE_PASSED, outcome="pass", closed=True, **done)
        return
    feedback = str(said.get("feedback") or "the gate did not pass")
    fail(
        core,
        task.node,
        "what stands before it was judged not good",
        final=True,
        feedback=feedback,
        outcome="fail",
        **done,
    )


def reject(
    core: Core, name: str, feedback: str, reason: str, *, bounded: bool = True, **done: Any
) -> None:
    """Give the work back to the session that made it, or end the attempt."""
    current, limits = core.attempt(name), core.terms[name].limits
    if current.closed:
        # Nobody is there to be told; the next attempt is. A person's word is worth one more, and
        # so is a session that was ended with the run.
        free = current.stopped or not bounded
        fail(core, name, reason, free=free, feedback=feedback, **done)
        return
    if bounded and current.rejections + 1 >= limits.max_attempts:
        times = current.rejections + 1
        why = f"{reason}, {times} times"
        fail(core, name, why, final=True, feedback=feedback, **done)
        return
    order = core.order(
        name, "VALIDATION_FAILED", feedback=feedback, retry_count=current.rejections + 1
    )
    data = {**done, "feedback": feedback, "reason": reason, "orders": [order]}
    core.move(name, NodeEvent.REJECTED, **data)


# Reviews, and what is learnt


_REVIEW: Final = ("reviewer", "outcome", "findings", "why", "allowed", "stood_in", "seconds")


def _review(core: Core, task: Task, said: Answer) -> None:
    kept = {key: said[key] for key in _REVIEW if key in said}
    review = {**kept, "reviewer": task.about["reviewer"], "commit": task.about["commit"]}
    done: dict[str, Any] = {"task": task.id, "attempt": task.attempt, "review": review}
    done["usage"] = said.get("usage")
    who = "the scan" if review["reviewer"] == SCAN else f"the review by {review['reviewer']}"
    if said["outcome"] != FINDINGS:
        words = "passed it" if said["outcome"] == PASSED else f"cannot be had: {said.get('why')}"
        _ended(core, task, f"{who} {words}", **_but_task(done))
        return
    text = feedback(review["reviewer"], review["findings"])[:_MOST_TEXT]
    if not _is_last(core, task.node):
        reject(core, task.node, text, f"{who} found something", **done)
        return
    times = core.attempt(task.node).rejections
    before = f", after it was sent back {times} times" if times else ""
    question = f"{who} of {task.node} found something{before}. What now?"
    said_ = _decision(core, task.node, "review", question, REVIEW_OPTIONS)
    core.add(
        StoryEvent.DECISION_ASKED,
        {**said_, **done, "context": text, "commit": task.about["commit"]},
    )


def _is_last(core: Core, name: str) -> bool:
    """Say whether what is given back now would be lost: all turns, or all attempts, are used."""
    current, most = core.attempt(name), core.terms[name].limits.max_attempts
    if current.closed:
        return not current.stopped and core.story.node(name).charged >= most
    return current.rejections + 1 >= most


def review_decided(core: Core, name: str, decision: Decision) -> None:
    """Do what a person has decided about findings, unless it is to merge the work."""
    if decision.option == GIVE_UP:
        fail(core, name, "given up by a person, after a review", final=True)
    elif decision.option == GIVE_BACK:
        told = f"{decision.context}\n{decision.note}".strip()
        reject(core, name, told, "a person asked for it, after a review", bounded=False)


def lesson(core: Core, name: str) -> dict[str, Any]:
    """Return what there is to remember of what was said of a node last."""
    node = core.story.node(name)
    found = [each for each in node.reviews if each["outcome"] == FINDINGS]
    verdicts = [each for each in node.verdicts if each.get("outcome") != "investigate"]
    about: dict[str, Any] = {"upto": node.lessons, "feedback": node.feedback[:_MOST_TEXT]}
    if found and (not verdicts or found[-1]["at"] >= verdicts[-1]["at"]):
        return about | {"outcome": FINDINGS, "score": None}
    last = verdicts[-1]
    outcome = "passed" if last.get("outcome") == "passed" else "failed"
    return about | {"outcome": outcome, "score": last.get("score")}


def _remember(core: Core, task: Task, said: Answer) -> None:
    flagged = [str(each.get("text", "")) for each in said.get("flagged") or ()]
    words = [f"remembered: {'; '.join(map(str, said.get('added') or ())) or 'nothing new'}"]
    noted = [f"{task.node} says what an older decision contradicts: {each}" for each in flagged]
    notices = [core.escalation(f"{each}; see attractor memory list --flagged") for each in noted]
    done = {"remembered": task.about["upto"], "noted": noted or None, "notices": notices or None}
    _ended(core, task, "; ".join([*words, *noted]), **done)


# How the graph grows


def _replan(core: Core, task: Task, said: Answer) -> None:
    parts = [_attributes(each) for each in said["parts"]]
    change = in_parts(core.graph, task.node, parts)
    _grow(core, task, said, REPLAN, change)


def _retrospect(core: Core, task: Task, said: Answer) -> None:
    about = {"round": task.about["round"], "suite": said.get("suite") or {}}
    if said["outcome"] != "added":
        looked = {**about, "outcome": "silent"}
        _ended(core, task, "nothing is missing", looked_back=looked, usage=said.get("usage"))
        return
    added = [{**_WORK, **_attributes(each)} for each in said["additions"]]
    _grow(core, task, said, RETROSPECT, before_exit(core.graph, task.node, added), **about)


_WORK: Final = {"shape": "box", "handler": "codergen"}


def _attributes(part: Mapping[str, Any]) -> dict[str, str]:
    """Return a piece of work, as the graph says it."""
    found = {key: str(part[key]) for key in ("label", "prompt", "acceptance") if part.get(key)}
    if files := part.get("files"):
        found["files"] = ", ".join(map(str, files))
    if checks := part.get("checks"):
        found["checks"] = "\n".join(map(str, checks))
    return found


def _grow(core: Core, task: Task, said: Answer, why: str, change: Change, **about: Any) -> None:
    new = {**change.nodes, **change.attrs}
    acceptance = {name: attrs["acceptance"] for name, attrs in new.items() if "acceptance" in attrs}
    reason = {"reason": str(said.get("why") or "")[:_MOST_TEXT]}
    done = {"task": task.id, "node": task.node, "attempt": task.attempt, "why": why}
    grown = {"change": change.as_json(), "acceptance": acceptance, "usage": said.get("usage")}
    data = {**done, **grown, **reason, **about}
    core.add(
        StoryEvent.GRAPH_CHANGED, {key: each for key, each in data.items() if each is not None}
    )


def _merge(core: Core, task: Task, said: Answer) -> None:
    status, feedback = said["status"], str(said.get("feedback") or "")
    if status == "error":
        _silent(core, task, {**said, "error": feedback or "git failed"})
        return
    done: dict[str, Any] = {"task": task.id, "attempt": task.attempt}
    tool = core.terms[task.node].role is Role.TOOL
    if status == "merged":
        if said.get("note"):
            core.add(StoryEvent.NOTED, {"what": str(said["note"])[:_MOST_TEXT]})
        data = {**done, "outcome": "pass", "merged": said["commit"]}
        if tool:
            core.move(task.node, NodeEvent.GATE_PASSED, closed=True, **data)
            return
        if not core.attempt(task.node).closed:
            data["orders"] = [core.order(task.node, "VALIDATION_PASSED", new_status="validated")]
        core.move(task.node, NodeEvent.PASSED, **data)
    elif tool:
        # Another attempt begins on the new head, and may well do.
        fail(core, task.node, _unmerged(said), **done)
    else:
        words = {
            "conflict": "the merge has a conflict",
            "red": "the merge does not pass its checks",
        }
        reject(core, task.node, feedback, words.get(str(status), str(status)), **done)


def _unmerged(said: Answer) -> str:
    """Return why what a command committed was not merged; it is no agent's to mend."""
    if said["status"] == "conflict":
        files = [repr(each) for each in said.get("files") or ()]
        more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
        return f"what it committed conflicts with {', '.join(files[:_MOST_NAMED])}{more}"
    checks = said.get("checks")
    command = f": {checks.get('command')}" if isinstance(checks, Mapping) else ""
    return f"merged with what it committed, the checks are red{command}"


def _tool(core: Core, task: Task, said: Answer) -> None:
    output, commit = str(said.get("tail") or "")[-_MOST_TEXT:], said.get("commit")
    done: dict[str, Any] = {"task": task.id, "attempt": task.attempt, "output": output}
    if said.get("exit") != 0:
        how = "did not end in time" if said.get("exit") is None else f"ended with {said['exit']}"
        fail(core, task.node, f"the command {how}", final=True, outcome="fail", **done)
    elif commit and commit != task.about.get("head"):
        _ended(core, task, "the command committed something", commit=commit, output=output)
    else:
        core.move(task.node, NodeEvent.GATE_PASSED, outcome="pass", closed=True, **done)


def _input(core: Core, task: Task, said: Answer) -> None:
    text = said.get("answer")
    if not isinstance(text, str) or not text.strip():
        _input_unanswered(core, task, "", said.get("usage"))
        return
    order = core.order(task.node, "INPUT_RESPONSE", response=text[:_MOST_TEXT])
    what = f"answered: {text}"
    _ended(core, task, what, orders=[order], usage=said.get("usage"))


def _books(core: Core, task: Task, said: Answer) -> None:
    notes = "; ".join(map(str, said.get("notes") or ())) or "beads and promise were told"
    _closed(core, task, notes)


KINDS: Final[Mapping[str, Callable[[Core, Task, Answer], None]]] = {
    "answer": _input,
    "books": _books,
    "merge": _merge,
    "remember": _remember,
    "replan": _replan,
    "retrospect": _retrospect,
    "review": _review,
    "rubric": _rubric,
    "tool": _tool,
    "validate": _validate,
}
