"""What follows by itself: from the graph, from the clock, from what is under way. Pure.

`advance` is called after whatever was taken in, and goes on until nothing more follows. It looks at
what is under way and at what has become ready, never at the whole graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attractor.pipeline.graph import NodeId
from attractor.run.limits import seconds
from attractor.run.records import Decision
from attractor.run.roles import Role, options
from attractor.run.states import DONE, NodeEvent, NodeState
from attractor.run.story import StoryEvent
from attractor.run.times import seconds_of
from guardian import answers, space, way_back
from guardian.breaker import Action
from guardian.budget import Own, room, tokens_for, used_up
from guardian.core import Core
from guardian.ending import fail, keep, overdone
from guardian.hearing import answered
from guardian.reviewing import next_reviewer

_MOST_ROUNDS: Final = 100_000
_EXITS: Final = {"validated": 0, "failed": 1, "stopped": 4, "budget": 5}


def advance(core: Core) -> None:
    """Decide until nothing follows."""
    story = core.story
    if story.ended is not None:
        return
    _deadlines(core)
    for _ in range(_MOST_ROUNDS):
        if core.stale:
            return
        before = len(core.made)
        _budget(core)
        if story.stopping is not None:
            _stop(core)
        elif story.rubric is None:
            _rubric(core)
        else:
            _go_on(core)
        if len(core.made) == before or story.ended is not None:
            return
    raise AssertionError("the decisions of one moment never end")


def _go_on(core: Core) -> None:
    for name in list(core.decided):
        del core.decided[name]
        _go_back(core, name)
    for name in list(core.running):
        FOLLOW[core.terms[name].role](core, name)
    for name in list(core.again):
        _again(core, name)
    _begin_ready(core)
    _books(core)
    _remember(core)
    _end(core)


def _rubric(core: Core) -> None:
    """See that what work is judged by is found or written."""
    asked = [
        each
        for each in core.story.decisions.values()
        if not each.node and each.attempt == core.story.resumed
    ]
    if asked and asked[-1].option == answers.GIVE_UP:
        answers.stop(core, "no rubric could be made, and a person gave it up")
    elif any(each.open for each in asked) or core.waits(""):
        return
    elif not any(each.kind == "rubric" for each in core.story.tasks.values()):
        _begin(core, "rubric")


def _deadlines(core: Core) -> None:
    for each in core.story.open_decisions():
        if core.request.auto_approve and each.options and each.kind == "gate":
            answered(core, each, each.default or each.options[0], by="auto-approve")
        elif each.deadline and each.default and core.now >= seconds_of(each.deadline):
            answered(core, each, each.default, by="deadline")


def _budget(core: Core) -> None:
    if core.story.stopping is not None:
        return
    nodes = [(name, core.terms[name].budget) for name in core.running]
    if reason := used_up(core.story, core.request, nodes):
        answers.stop(core, reason, "budget")


def _may_spend(core: Core, node: str, wanted: int) -> bool:
    """Say whether disk and budgets have room; where budgets never will, the run ends."""
    story = core.story
    if story.stopping is not None or core.paused():
        return False
    if core.short:
        space.rest(core)
        return False
    own = core.terms[node].budget if node else Own()
    found = room(story, core.request, node, own, wanted, core.now)
    if found.over:
        answers.stop(core, found.why, "budget")
    elif found.until:
        said = {"until": core.iso(found.until), "why": found.why}
        core.add(StoryEvent.PAUSED, {**said, "notices": [core.escalation(f"rests: {found.why}")]})
    return found.ok


def _begin(core: Core, kind: str, node: str = "", about: Mapping[str, Any] | None = None) -> None:
    """Begin a task; one that asks a model, where the budgets have room for it."""
    asks = core.asks(kind, node, about or {})
    if not asks or _may_spend(core, node, tokens_for(core.characters(node))):
        core.begin(kind, node, about)


# Beginning


def _begin_ready(core: Core) -> None:
    full = False
    for node in core.plan.ready():
        if node in core.busy_ones:
            # None is given back while others begin.
            full = full or _places_left(core) <= 0
            if full:
                continue
        _dispatch(core, str(node))


def _dispatch(core: Core, name: str) -> None:
    role = core.terms[name].role
    if not _may_begin(core, name):
        return
    story = core.story.node(name)
    last = story.attempt
    data: dict[str, Any] = {"attempt": (last.number if last else 0) + 1}
    if role is Role.WORK:
        # What was merged already goes on from all that was; what was not, from where it began.
        fresh = last is None or not last.base or bool(story.merged)
        data["base"] = core.story.head if fresh or last is None else last.base
        data["feedback"] = story.feedback or None
        data["reserved"] = tokens_for(core.characters(name))
        if not _may_spend(core, name, data["reserved"]):
            return
    core.move(name, NodeEvent.DISPATCHED, **data)


def _again(core: Core, name: str) -> None:
    """Do what follows on an attempt that has failed, once nothing of it is left."""
    node = core.story.node(name)
    if not core.attempt(name).closed or core.busy(name) or core.waits(name):
        return
    if node.replanned and node.forgiven == len(node.attempts):
        core.move(name, NodeEvent.REQUEUED, reason="planned again")
        return
    match core.after(name).action:
        case Action.GO_ON:
            _dispatch(core, name)
        case Action.REPLAN:
            _begin(core, "replan", name)
        case Action.GIVE_UP:
            core.give_up(name, core.attempt(name).how)
        case Action.WAIT:
            pass


def _may_begin(core: Core, name: str) -> bool:
    last = core.story.node(name).attempt
    free = name not in core.busy_ones or _places_left(core) > 0
    return free and (last is None or last.closed)


def _places_left(core: Core) -> int:
    # The session of a failed attempt may still be ending.
    ending = sum(name not in core.running for name in core.story.open_attempts)
    return core.request.max_parallel - len(core.working) - ending


# What is under way


def _work(core: Core, name: str) -> None:
    if overdone(core, name):
        return
    if core.story.state(name) is NodeState.IMPL_COMPLETE:
        _judge(core, name)


def _judge(core: Core, name: str) -> None:
    """See that somebody judges what was handed in, or merges what was judged good."""
    if _occupied(core, name):
        return
    node, current = core.story.node(name), core.attempt(name)
    verdicts = node.verdicts[node.since :]
    if verdicts and verdicts[-1].get("outcome") == "passed":
        _review(core, name)
        return
    looked = sum(each.get("outcome") == "investigate" for each in verdicts)
    _begin(core, "validate", name, {"commit": current.commit, "round": looked})


def _review(core: Core, name: str) -> None:
    """See that somebody else looks at what was judged good, then merge it."""
    node, commit, named = core.story.node(name), core.attempt(name).commit, core.terms[name].review
    who = next_reviewer(named, node.reviews[node.reviews_since :]) if named else ""
    decided = [each for each in _mine(core, name) if each.kind == "review"]
    if decided and decided[-1].commit == commit:
        answers.review_decided(core, name, decided[-1])
        if decided[-1].option != answers.MERGE_IT:
            return
        who = ""
    if not who:
        _merge(core, name)
        return
    about = {"commit": commit, "reviewer": who, "number": len(node.reviews) + 1}
    _begin(core, "review", name, about)


def _merge(core: Core, name: str) -> None:
    if not core.merging():
        about = {"commit": core.attempt(name).commit, "head": core.story.head}
        core.begin("merge", name, about)


def _occupied(core: Core, name: str) -> bool:
    """Say whether a task is at work for a node, or it waits: for a time, or for a person."""
    if core.busy(name) or core.waits(name):
        return True
    mine = [each for each in _mine(core, name) if each.kind in ("verdict", "review")]
    if any(each.open for each in mine):
        return True
    mine = [each for each in mine if each.kind == "verdict"]
    if mine and mine[-1].option == answers.GIVE_UP and core.story.node(name).no_verdicts:
        fail(core, name, "given up by a person", final=True)
        return True
    return False


def _mine(core: Core, name: str) -> list[Decision]:
    """Return what persons were asked about the present attempt of a node."""
    number_ = core.attempt(name).number
    asked = core.story.decisions.values()
    return [each for each in asked if each.node == name and each.attempt == number_]


def _tool(core: Core, name: str) -> None:
    if _occupied(core, name):
        return
    if core.attempt(name).commit:
        _merge(core, name)
    else:
        core.begin("tool", name, {"head": core.story.head})


def _check(core: Core, name: str) -> None:
    if not _occupied(core, name):
        node = core.story.node(name)
        looked = sum(each.get("outcome") == "investigate" for each in node.verdicts[node.since :])
        about = {"commit": core.story.head, "round": looked}
        _begin(core, "validate", name, about)


def _place(core: Core, name: str) -> None:
    core.move(name, NodeEvent.GATE_PASSED, attempt=core.attempt(name).number, closed=True)


def _exit(core: Core, name: str) -> None:
    """End well, when all that was added has, and nobody has anything more to add."""
    if core.busy(name) or core.waits(name):
        return
    open_ = [each for each in core.later if core.story.state(each) not in DONE]
    if failed := [each for each in open_ if NodeId(each) in core.story.core.outcomes]:
        why = "; ".join(f"{each}: {core.story.node(each).reason}" for each in failed)
        fail(core, name, f"what was added at the end has failed: {why}", final=True)
    elif not open_ and _may_look_back(core):
        about = {"head": core.story.head, "round": len(core.story.looks_back) + 1}
        _begin(core, "retrospect", name, about)
    elif not open_:
        _place(core, name)


def _may_look_back(core: Core) -> bool:
    """Say whether there is work to look back at, and the last look added something."""
    looks = core.story.looks_back
    worked = core.story.head != core.request.base_commit
    silent = bool(looks) and looks[-1]["outcome"] != "added"
    return worked and not silent and len(looks) < core.request.retrospectives


def _person(core: Core, name: str) -> None:
    found = [each for each in _mine(core, name) if each.kind == "gate"]
    if not found:
        _ask(core, name)
    elif not found[-1].open:
        _decided(core, name, found[-1])


def _ask(core: Core, name: str) -> None:
    node = core.node(name)
    offered = options(node)
    default = node.attrs.get("default", "").strip()
    left = seconds("deadline", node.attrs.get("deadline", ""))
    deadline = core.iso(core.now + left) if left and default in offered else ""
    question = node.attrs.get("label") or f"May {name} pass?"
    context = "\n".join(
        core.story.node(each).output for each in core.upstream(name) if core.story.node(each).output
    )
    answers.ask(
        core,
        name,
        "gate",
        question,
        offered,
        default=default if default in offered else "",
        deadline=deadline,
        context=context,
    )
    _deadlines(core)


def _decided(core: Core, name: str, decision: Decision) -> None:
    note = f"{decision.option} ({decision.by})"
    if decision.option == decision.options[0]:
        core.move(
            name,
            NodeEvent.GATE_PASSED,
            attempt=decision.attempt,
            outcome="pass",
            reason=note,
            closed=True,
        )
    else:
        feedback = decision.note or f"it was decided: {decision.option}"
        fail(core, name, note, final=True, outcome="fail", feedback=feedback)


def _condition(core: Core, name: str) -> None:
    outcome = _outcome(core, name)
    current = core.attempt(name)
    edges = way_back.taken(core, name, outcome)
    back = [each for each in edges if way_back.leads_back(core, each)]
    if not edges:
        fail(core, name, f"no arrow leads on from here for {outcome!r}", final=True)
        return
    if back and current.number >= core.terms[name].limits.max_attempts:
        fail(core, name, f"sent back {current.number - 1} times already", final=True)
        return
    if not all(_may_begin(core, str(edge.target)) for edge in back):
        return  # until there is a place, and nothing is left of what was there
    core.move(name, NodeEvent.GATE_PASSED, attempt=current.number, outcome=outcome, closed=True)
    _go_back(core, name)


def _go_back(core: Core, condition: str) -> None:
    """Go every way back that a condition has begun, to its end."""
    if edges := way_back.begun(core, condition):
        for edge in edges:
            way_back.send_back(core, edge)
        way_back.finish(core, condition)


def _outcome(core: Core, name: str) -> str:
    """Return the worst of what stands before a condition."""
    said = []
    for source in core.upstream(name):
        by_state = "pass" if core.story.state(source) in DONE else "fail"
        said.append(core.story.core.outcomes.get(NodeId(source), by_state))
    return next((each for each in ("fail", "partial") if each in said), "pass")


FOLLOW: Final[Mapping[Role, Callable[[Core, str], None]]] = {
    Role.WORK: _work,
    Role.PLACE: _place,
    Role.EXIT: _exit,
    Role.CONDITION: _condition,
    Role.TOOL: _tool,
    Role.CHECK: _check,
    Role.JUDGE: _check,
    Role.PERSON: _person,
}


# Ending


def _stop(core: Core) -> None:
    """End the sessions, then the run; what was handed in is judged when it goes on."""
    stopping = core.story.stopping
    assert stopping is not None
    for name in list(core.running):
        if core.terms[name].role is not Role.WORK or core.tasks(name, "merge"):
            continue
        if core.story.state(name) is NodeState.IMPL_COMPLETE:
            keep(core, name, str(stopping["reason"]))
        else:
            fail(core, name, str(stopping["reason"]), free=True)
    if not core.wants().runners and not core.merging():
        _close(core, str(stopping["result"]), str(stopping["reason"]))


def _end(core: Core) -> None:
    """End the run where nothing is under way and nothing can begin."""
    story = core.story
    if core.running or core.again or core.plan.ready() or story.open_attempts or story.tasks:
        return
    _close(core, *_result(core))


def _close(core: Core, result: str, reason: str) -> None:
    """End the run, when beads and promise were told how."""
    if core.books_closed:
        _ended(core, result, reason)
    elif not any(each.closing for each in core.story.tasks.values()):
        core.begin("books", "", {"result": result})


def _result(core: Core) -> tuple[str, str]:
    story = core.story
    exits = [name for name, terms in core.terms.items() if terms.role is Role.EXIT]
    if any(story.state(each) in DONE for each in exits):
        return "validated", "every way to the end was judged good"
    failed = [name for name in core.terms if story.state(name) is NodeState.FAILED]
    reasons = [f"{name}: {story.node(name).reason}" for name in failed]
    return "failed", "; ".join(reasons) or "no node can start any more"


def _remember(core: Core) -> None:
    """Have the memory told what was learnt, one node after another."""
    if any(each.kind == "remember" for each in core.story.tasks.values()):
        return
    for name in list(core.unlearnt):
        node, terms = core.story.node(name), core.terms[name]
        if terms.memory and node.lessons > node.remembered:
            lesson = answers.lesson(core, name)
            # Nobody was told anything for a gate, so that it passed teaches nothing.
            if terms.role is Role.WORK or lesson["outcome"] != "passed":
                core.begin("remember", name, lesson)
                return
        del core.unlearnt[name]


def _books(core: Core) -> None:
    """Have beads and promise told what has changed, one time after another."""
    if core.books_due and not any(each.kind == "books" for each in core.story.tasks.values()):
        core.books_due = False
        core.begin("books")


def _ended(core: Core, result: str, reason: str) -> None:
    kind = "PIPELINE_COMPLETE" if result == "validated" else "ESCALATION"
    said = {"pipeline_id": core.request.run_id}
    said |= {"summary": reason} if result == "validated" else {"issue": f"{result}: {reason}"}
    core.add(
        StoryEvent.RUN_ENDED,
        {
            "result": result,
            "exit": _EXITS[result],
            "reason": reason,
            "head": core.story.head,
            "notices": [{"type": kind, "payload": said}],
        },
    )
