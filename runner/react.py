"""What follows from a decision: the next state, with the effects that are due in its `todo`.

Pure. Every effect is written to disk with the state before it is carried out. A session is never
told two things at once, and a signal is never sent twice for the same turn, because what was said
and sent is part of the state that the next decision is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from runner import breaker, cooldown, ladder, prompt, speech
from runner.decide import Decision, Kind, Rung
from runner.effects import Ask, Check, Effect, End, Interrupt, Note, Signal, Snapshot, Start
from runner.facts import Checks, Facts, Opinion, Process, Turn
from runner.fingerprint import fingerprint
from runner.orders import FAILED
from runner.speech import Saying
from runner.state import Phase, State
from runner.view import View

ROLE: Final = "orchestrator"
_MOST_OUTPUT: Final = 4_000
_MOST_SUMMARY: Final = 2_000


def react(state: State, facts: Facts, decision: Decision) -> State:
    """Return what the Runner is to do about one decision."""
    answer = _ANSWERS.get(decision.kind)
    return answer(state, facts, decision) if answer else state


def begin(state: State, text: str, session_id: str, now: float, *, resume: bool) -> State:
    """Return the state that starts a session, new or with its context."""
    started = replace(
        state,
        phase=Phase.WATCHING,
        launch=state.launch + 1,
        session_id=session_id,
        launched_at=now,
        view=View(
            turns=state.view.turns,
            last_event_at=now,
            progress_at=now,
            violations=state.view.violations,
            unsaid=state.view.unsaid,
        ),
    )
    start = Start(launch=started.launch, session_id=session_id, resume=resume, prompt=text)
    return add(started, start)


def judged(state: State, *, progress: bool, now: float, facts: Facts) -> State:
    """Return the state after the breaker has seen the turn that ended; each turn once."""
    if state.view.turns <= state.judged_turn:
        return state
    red = state.checks_text if facts.checks is Checks.RED else ""
    turn = breaker.TurnRecord(
        progress=progress,
        error=fingerprint(facts.failure_text or red),
        effort=state.view.calls,
    )
    known = breaker.record(state.breaker, turn, now, facts.limits)
    return replace(state, breaker=known, judged_turn=state.view.turns)


def ending(state: State) -> State:
    """Return the state that ends the session: only then does Claude Code say what it has cost."""
    return replace(add(state, Snapshot(why="the end"), End()), phase=Phase.CLOSING)


def ended(state: State, usage: Mapping[str, Any], *, wrote: bool | None = None) -> State:
    """Return the state that tells of the end; its reason and mode are known.

    `wrote` says whether anything was ever written; None: that is not known.
    """
    last = {"mode": state.mode, "reason": state.reason, "wrote": wrote, "usage": dict(usage)}
    ended = state
    if state.launch and not state.crashed:
        ended = signal(ended, "AGENT_TERMINATED", **agent(state))
    ended = signal(ended, "RUNNER_EXITED", **last)
    return replace(ended, phase=Phase.ENDED)


def agent(state: State) -> dict[str, str]:
    """Return how the other layers know this session."""
    name = f"{ROLE}-{state.session_id[:8]}-{state.launch}"
    return {"agent_id": name, "role": ROLE, "session_id": state.session_id}


def add(state: State, *effects: Effect) -> State:
    """Return the state with more to do."""
    return replace(state, todo=(*state.todo, *effects))


def signal(state: State, kind: str, **payload: Any) -> State:
    """Return the state with one more signal to send."""
    number = state.signals + 1
    made = Signal(type=kind, payload=payload, number=number)
    return replace(add(state, made), signals=number)


def say(state: State, text: str, why: str, *, urgent: bool = False) -> State:
    """Return the state with one more thing to say to the session."""
    number = state.said + 1
    name = f"{speech.OURS}{state.attempt:03d}-{number:05d}"
    saying = Saying(id=name, text=text, why=why, urgent=urgent)
    return replace(state, said=number, speech=speech.add(state.speech, saying))


def _violation(state: State, facts: Facts, decision: Decision) -> State:
    del facts, decision
    for reason in state.view.unsaid:
        state = signal(state, "VIOLATION", reason=reason)
    return replace(state, view=replace(state.view, unsaid=()))


def _review(state: State, facts: Facts, decision: Decision) -> State:
    del facts
    summary = decision.text[-_MOST_SUMMARY:] or decision.why
    asked = signal(
        add(state, Snapshot(why="review")),
        "NEEDS_REVIEW",
        commit_hash=state.head,
        summary=summary,
        evidence_path=state.evidence or None,
        usage=state.usage_report(),
    )
    return replace(asked, reviewed=state.head, waiting="verdict", refusals=0, ladder=_foot(state))


def _input(state: State, facts: Facts, decision: Decision) -> State:
    if breaker.left(state.breaker, facts.now) > 0:
        return state
    if state.breaker.trips > 1:
        return _tripped(state, facts, decision)
    question = decision.text or decision.why
    asked = signal(add(state, Snapshot(why="a question")), "NEEDS_INPUT", question=question)
    return replace(asked, waiting="input", ladder=_foot(state))


def _turn_ended(state: State, facts: Facts, decision: Decision) -> State:
    if breaker.left(state.breaker, facts.now) > 0:
        return state  # the rest is waited for; the loop wakes when it is over
    if state.breaker.trips > 1:
        return _tripped(state, facts, decision)
    if decision.refusal:
        state = replace(state, refusals=state.refusals + 1)
    text = decision.text
    if facts.checks is Checks.RED and state.checks_text:
        text += f"\n\nWhat the checks said:\n\n{prompt.fenced(state.checks_text)}"
    told = say(state, text, "your turn ended")
    return replace(told, view=replace(told.view, failure="", failure_text=""))


def _crashed(state: State, facts: Facts, decision: Decision) -> State:
    output = f"{decision.why}\n\n{facts.last_lines}".strip()[-_MOST_OUTPUT:]
    usage = state.usage_report()
    told = add(state, Snapshot(why="crashed"), Note(what="crashed", detail={"why": decision.why}))
    told = signal(told, "ORCHESTRATOR_CRASHED", last_output=output, usage=usage)
    told = signal(told, "AGENT_CRASHED", **agent(state))
    return replace(told, phase=Phase.ENDING, crashed=True, mode=FAILED, reason=decision.why)


def _limited(state: State, facts: Facts, decision: Decision) -> State:
    if cooldown.spent(state.cooldown, facts.limits):
        why = f"{decision.why} There were {state.cooldown.count} cooldowns in a row."
        return _hand_back(state, facts, why)
    # From what the state holds, so that a restart finds the same: sessions come back apart.
    jitter = int(state.session_id[:4] or "0", 16) / 0xFFFF
    wait = cooldown.begin(state.cooldown, facts.now, facts.retry_at, facts.limits, jitter)
    detail = {"why": decision.why, "seconds": wait.length, "count": wait.count}
    return add(
        replace(
            state,
            phase=Phase.COOLING,
            cooldown=wait,
            cooldowns=state.cooldowns + 1,
            cooldown_seconds=state.cooldown_seconds + wait.length,
            judged_turn=state.view.turns,
        ),
        Note(what="cooldown", detail=detail),
    )


def warm(state: State) -> State:
    """Return the state after a cooldown is over: the session is told to go on."""
    known = replace(
        state,
        phase=Phase.WATCHING,
        view=replace(state.view, failure="", failure_text=""),
    )
    return say(known, prompt.after_cooldown(), "the rate limit is over")


def _check(state: State, facts: Facts, decision: Decision) -> State:
    del facts, decision
    running = replace(state, checked=state.head, checks=Checks.RUNNING, checks_text="")
    return add(running, Check(head=state.head))


def _ask_model(state: State, facts: Facts, decision: Decision) -> State:
    del decision
    turn = state.view.turns
    asked = replace(state, opinion=Opinion.ASKED, opinion_turn=turn, opinion_text="")
    return add(asked, Ask(turn=turn, message=facts.message))


def _stuck(state: State, facts: Facts, decision: Decision) -> State:
    if facts.turn is Turn.ENDED and state.breaker.trips > 1:
        return _tripped(state, facts, decision)
    known, rung = ladder.step(
        state.ladder,
        decision.kind,
        facts.now,
        facts.limits,
        least=decision.least,
        ended_at=facts.turn_ended_at,
    )
    state = replace(state, ladder=known)
    if rung is None:
        return state
    if rung is Rung.HAND_BACK:
        return _hand_back(state, facts, decision.why)
    # What was asked before is not to be asked again behind what is said now.
    state = replace(add(state, Snapshot(why="stuck")), speech=speech.kept(state.speech))
    state = _stuck_signal(state, facts, decision.why, rung)
    text = ladder.words(rung, decision.why)
    if rung is Rung.RESTART:
        return begin(state, text, state.session_id, facts.now, resume=True)
    if rung is Rung.INTERRUPT:
        view = replace(state.view, turn=Turn.INTERRUPTED, tools={})
        state = replace(add(state, Interrupt()), view=view)
    return say(state, text, "it is about your progress", urgent=True)


def _foot(state: State) -> ladder.Ladder:
    return ladder.progressed(state.ladder)


def _tripped(state: State, facts: Facts, decision: Decision) -> State:
    why = f"{decision.why} The circuit breaker opened again: {state.breaker.why}."
    return _hand_back(state, facts, why)


def _hand_back(state: State, facts: Facts, why: str) -> State:
    told = _stuck_signal(add(state, Snapshot(why="stuck")), facts, why, Rung.HAND_BACK)
    return replace(told, waiting="guidance")


def _stuck_signal(state: State, facts: Facts, why: str, rung: Rung) -> State:
    shown = facts.message if facts.turn is Turn.ENDED else facts.last_lines
    return signal(
        state,
        "ORCHESTRATOR_STUCK",
        duration_seconds=round(_silence(facts), 3),
        last_output=f"{why}\n\n{shown}".strip()[:_MOST_OUTPUT],
        rung=rung.value,
        usage=state.usage_report(),
    )


def _silence(facts: Facts) -> float:
    return max(0.0, facts.now - max(facts.progress_at, facts.launched_at))


def undeliverable(state: State, facts: Facts) -> State:
    """Return the state after something could not be said to the session: it is stuck."""
    why = "What was typed into the session was never received."
    deaf = Decision(kind=Kind.STUCK, rule="undeliverable", why=why, least=Rung.RESTART)
    return _stuck(state, facts, deaf)


def lost(state: State, facts: Facts) -> State | None:
    """Return the state that resumes a session which vanished through no fault of its own.

    None: it was resumed too often already.
    """
    assert facts.process is not Process.RUNNING
    if state.ladder.restarts >= facts.limits.max_restarts:
        return None
    counted = replace(state.ladder, restarts=state.ladder.restarts + 1)
    known = replace(state, ladder=counted, speech=speech.kept(state.speech))
    known = add(known, Note(what="the session was lost; it is resumed with its context"))
    return begin(known, prompt.after_loss(), state.session_id, facts.now, resume=True)


_ANSWERS: Final[Mapping[Kind, Callable[[State, Facts, Decision], State]]] = {
    Kind.VIOLATION: _violation,
    Kind.NEEDS_REVIEW: _review,
    Kind.NEEDS_INPUT: _input,
    Kind.TURN_ENDED: _turn_ended,
    Kind.CRASHED: _crashed,
    Kind.RATE_LIMITED: _limited,
    Kind.RUN_CHECKS: _check,
    Kind.ASK_MODEL: _ask_model,
    Kind.STUCK: _stuck,
}
