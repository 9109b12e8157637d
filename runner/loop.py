"""The Runner's loop: wake, list, decide, record, act, sleep.

Theory of operation
===================

Whatever happens reaches this loop as a file: an event of the session's hooks, a signal of the
Guardian or a person, the answer of a child. A wake-up means "look again", never "this happened".
Each round folds what came into the state, saves the state, removes what was folded in, and then
decides until nothing more follows. What a decision wants done is in the state before it is done,
so the Runner may be killed between any two lines and started again: it finds the same session,
the same backlog, and the effects that are still due.

Nothing is polled while nothing happens. The slow listing makes up for an event that was lost, and
for the death of a session where no descriptor tells it.
"""

from __future__ import annotations

import contextlib
import os
import select
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from attractor.errors import DamageError, StorageError, ToolError
from attractor.run.assignment import Assignment
from runner import breaker, cooldown, intake, ladder, observe, react, speech
from runner.children import CHECK, OPINION, Children
from runner.decide import Decision, Kind, decide, next_look
from runner.effects import Enter, Signal
from runner.events import consume, waiting
from runner.facts import Checks, Facts, Opinion, Process, Promise, Turn
from runner.perform import Performer, saying
from runner.post import Post
from runner.session import Look, Session
from runner.speech import Way
from runner.state import Phase, State, dump, load
from runner.timeline import Timeline
from signals import atomic
from signals.clock import Clock
from signals.watch import Watch

_MOST_DECISIONS: Final = 12  # in one round; more would be a mistake of ours
_NANOSECONDS: Final = 1_000_000_000
_FAILING_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 2.0
_MOST_FLOODS: Final = 100


@final
class Loop:
    """One node's Runner. Everything that it touches is handed in."""

    def __init__(  # noqa: PLR0913  # everything is handed in, so that tests hand in others
        self,
        assignment: Assignment,
        *,
        session: Session,
        look_at_tree: Callable[[], observe.Tree],
        promise: Callable[[str], Promise],
        usage: Callable[[State], State],
        first_prompt: Callable[[], str],
        post: Post,
        children: Children,
        performer: Performer,
        timeline: Timeline,
        blindness: str,
        clock: Clock,
    ) -> None:
        self._assignment = assignment
        self._session = session
        self._look_at_tree = look_at_tree
        self._promise = promise
        self._usage = usage
        self._first_prompt = first_prompt
        self._post = post
        self._children = children
        self._performer = performer
        self._timeline = timeline
        self._blindness = blindness
        self._clock = clock
        self._events = assignment.layout.events(assignment.node_id)
        self._path = assignment.layout.runner_state(assignment.node_id)
        self.state = State(attempt=assignment.attempt)
        self._saved: State | None = None  # what is on disk, as far as this process knows
        self._seen = Look(alive=None)
        self._stale = True  # whether the session has to be looked at again
        self._failing_since = 0.0
        self._last = ""

    def run(self) -> State:
        """Watch the node's session until its outcome is known; returns how it ended."""
        folders = [self._events, self._post.folder, self._children.folder]
        slow = self._assignment.limits.slow_seconds
        with Watch(folders, slow_seconds=slow, clock=self._clock) as watch:
            if watch.degraded:
                self._timeline.add("note", watch.degraded)
            self.begin()
            if self.state.phase is Phase.ENDED and not self.state.todo:
                self._timeline.add("note", "this attempt has ended already")
                return self.state
            while self._patient_step() is not Phase.ENDED:
                fds = () if self._seen.alive is False else self._session.fds()
                woken = watch.wait(self.sleep_seconds(), also=(*fds, *self._children.fds()))
                self._stale = self._stale or not woken or _any_readable(fds)
            return self.state

    def begin(self) -> None:
        """Go on where the Runner before left off, or start the session."""
        self.state = self._known()
        self._resume()

    def _patient_step(self) -> Phase:
        """Do one round; a tool or a disk that fails in passing is tried again, for some minutes."""
        try:
            phase = self.step()
        except (ToolError, StorageError) as error:
            now = self._clock.monotonic()
            self._failing_since = self._failing_since or now
            if now - self._failing_since > _FAILING_SECONDS:
                raise
            with contextlib.suppress(StorageError):
                what = "something failed and is tried again"
                self._timeline.add("note", what, {"why": str(error)})
            # What was decided and not saved is decided again.
            self.state = self._saved or self.state
            self._stale = True
            return self.state.phase
        self._failing_since = 0.0
        return phase

    def step(self) -> Phase:
        """Do one round: carry out what is due, take in what came, decide until nothing follows."""
        self._do()
        if self._ended():
            return Phase.ENDED
        self._take_in()
        for _ in range(_MOST_DECISIONS):
            before = self.state
            self._follow()
            self._keep(self.state)
            self._do()
            if self.state == before or self._ended():
                return self.state.phase
        self._timeline.add("note", "more decisions than one round may have", {"last": self._last})
        return self.state.phase

    def _ended(self) -> bool:
        return self.state.phase is Phase.ENDED

    def _known(self) -> State:
        try:
            with open(self._path, "rb") as file:
                state = load(file.read(), self._path)
        except FileNotFoundError:
            return self._new()
        if state.attempt > self._assignment.attempt:
            problem = f"attempt {state.attempt} of this node has begun already"
            raise DamageError(problem, where=self._path, fix="this assignment is superseded")
        if state.attempt < self._assignment.attempt:
            self._session.end()
            self._forget()
            return self._new()
        return state

    def _new(self) -> State:
        # Numbers that no state before used, so that no id of a signal is used twice.
        return State(attempt=self._assignment.attempt, signals=self._clock.wall_ns() // 1000)

    def _forget(self) -> None:
        """Remove what the session of an older attempt left: it is no word of the new one's."""
        for _ in range(_MOST_FLOODS):
            listing = waiting(self._events)
            consume(self._events, [*listing.names, *listing.litter])
            if not listing.flooded:
                return

    def _resume(self) -> None:
        state = self.state
        if state.phase is Phase.NEW:
            # What the session finds is not what it has done.
            state = observe.looked(state, self._look_at_tree(), self._now())
            session_id = str(uuid.uuid4())
            state = react.begin(state, self._first_prompt(), session_id, self._now(), resume=False)
            self._keep(self._registered(state))
            return
        self._timeline.add("note", "a Runner took over", {"phase": state.phase.value})
        # A child that was started by the Runner before is not ours to wait for.
        if state.checks is Checks.RUNNING and not self._children.runs(f"{CHECK}{state.checked}"):
            state = replace(state, checked="", checks=Checks.DUE)
        if state.opinion is Opinion.ASKED and not self._children.runs(
            f"{OPINION}{state.opinion_turn}"
        ):
            state = replace(state, opinion=Opinion.NOT_ASKED, opinion_turn=-1)
        self._keep(state)

    def _registered(self, state: State) -> State:
        return react.signal(
            state,
            "AGENT_REGISTERED",
            **react.agent(state),
            blindness=self._blindness,
        )

    def _take_in(self) -> None:
        orders = self._post.orders()
        state, kinds = intake.take_events(self.state, self._events, self._timeline)
        if state.view.turn is not self.state.view.turn or kinds & intake.ENDS:
            self._stale = True
        state = intake.take_orders(state, orders, self._timeline)
        state = intake.take_results(state, self._children.results(), self._timeline)
        self._keep(state)
        consume(self._events, state.applied)
        self._post.acknowledge(orders)
        if state.applied:
            left = [name for name in state.applied if os.path.lexists(f"{self._events}/{name}")]
            self._keep(replace(self.state, applied=tuple(left)))

    def _follow(self) -> None:
        """Decide once, and put what follows into the state."""
        now = self._now()
        state = self._settled(self.state, now)
        if state.view.progress_at > state.ladder.at:
            state = replace(state, ladder=ladder.progressed(state.ladder))
        if state.phase in (Phase.ENDING, Phase.CLOSING):
            self.state = self._ends(state, now)
            return
        state = self._speaking(state, now)
        if state.phase is Phase.COOLING and not cooldown.left(state.cooldown, now):
            self.state = react.warm(state)
            return
        state, facts = self._facts(state, now)
        if state.phase is Phase.COOLING:
            if facts.process is not Process.EXITED and facts.turn is Turn.FAILED:
                self.state = state
                return
            # It died, or somebody had it go on.
            state = replace(state, phase=Phase.WATCHING)
        if facts.process is Process.EXITED and self._seen.lost:
            state, facts = self._lost(state, facts)
        decision = decide(facts)
        self._tell(decision)
        if decision.kind in (Kind.NEEDS_REVIEW, Kind.STUCK, Kind.CRASHED):
            state = self._usage(state)
        self.state = react.react(state, facts, decision)

    def _ends(self, state: State, now: float) -> State:
        """Return the state that ends the session, or when it is over, that tells of it."""
        if state.phase is Phase.ENDING:
            return react.ending(state)
        state = self._usage(state)
        return react.ended(state, state.usage_report(), wrote=self._wrote(state, now))

    def _wrote(self, state: State, now: float) -> bool | None:
        """Say whether the node has anything to show; None when that cannot be seen."""
        if state.wrote:
            return True
        try:
            return observe.looked(state, self._look_at_tree(), now).wrote
        except (ToolError, StorageError):
            return None

    def _settled(self, state: State, now: float) -> State:
        """Return the state with what a clock that was set back would keep for ever mended."""
        return replace(
            state,
            breaker=breaker.settled(state.breaker, now),
            cooldown=cooldown.settled(state.cooldown, now),
            ladder=ladder.settled(state.ladder, now),
            speech=speech.settled(state.speech, now),
        )

    def _lost(self, state: State, facts: Facts) -> tuple[State, Facts]:
        """Resume a session whose terminal is gone, unless that was done too often."""
        resumed = react.lost(state, facts)
        if resumed is None:
            return state, facts
        return resumed, replace(facts, process=Process.UNKNOWN, turn=Turn.STARTING)

    def _facts(self, state: State, now: float) -> tuple[State, Facts]:
        if self._stale:
            self._seen, self._stale = self._session.look(), False
        if state.view.turn in observe.SETTLED and state.looked_turn != state.view.turns:
            state = self._look_closely(state, now)
        promise = Promise.NONE
        if state.view.turn is Turn.ENDED:
            state, promise = self._promised(state)
        facts = observe.gather(state, self._assignment, self._seen, promise, now)
        if decide(facts).kind is Kind.STUCK and state.view.turn is Turn.BUSY:
            # Before anybody is called stuck: do its files move?
            state = observe.looked(state, self._look_at_tree(), now)
            facts = observe.gather(state, self._assignment, self._seen, promise, now)
        return state, facts

    def _promised(self, state: State) -> tuple[State, Promise]:
        """Return how the session's promise stands; one that is gone was not kept."""
        promise = self._promise(state.session_id)
        if promise is Promise.NONE:
            return state, Promise.OPEN if state.promised else promise
        return replace(state, promised=True), promise

    def _look_closely(self, state: State, now: float) -> State:
        """Return the state after a look at what a turn that ended left behind."""
        before = (state.head, state.fingerprint)
        seen = observe.looked(state, self._look_at_tree(), now)
        seen = self._usage(replace(seen, looked_turn=state.view.turns))
        if seen.waiting == "verdict" and seen.head != seen.reviewed:
            # It went on after it had handed in; the verdict will be about something older.
            seen = replace(seen, waiting="")
        moved = (seen.head, seen.fingerprint) != before
        facts = observe.gather(seen, self._assignment, self._seen, Promise.NONE, now)
        if decide(facts).kind is Kind.RATE_LIMITED:
            return seen
        if moved:
            foot = ladder.progressed(seen.ladder)
            seen = replace(seen, ladder=foot, cooldown=cooldown.Cooldown())
        return react.judged(seen, progress=moved, now=now, facts=facts)

    # What is said to the session

    def _speaking(self, state: State, now: float) -> State:
        limits = self._assignment.limits
        while (way := speech.due(state.speech, state.view, now, limits)) is not None:
            first = state.speech.queue[0]
            state = replace(state, speech=speech.done(state.speech, way, now))
            if way is Way.FAILED and not speech.is_ours(first):
                # What the Guardian or a person said is never dropped.
                state = replace(state, speech=speech.again(state.speech, first))
            if way in (Way.PASTE, Way.SAID):
                state = replace(state, said_at=now)
            if way is Way.SAID:
                self._performer.withdraw(first.id)
                self._timeline.add("event", "received by the session", {"id": first.id})
            elif way is Way.FAILED:
                facts = observe.gather(state, self._assignment, self._seen, Promise.NONE, now)
                return react.undeliverable(state, facts)
            elif way is Way.ENTER:
                return react.add(state, Enter())
            else:
                made = saying(first.id, first.text, first.why, inbox=way is Way.INBOX)
                return react.add(state, made)
        return state

    # Saving and doing

    def _keep(self, state: State) -> None:
        if state != self._saved:
            atomic.replace(self._path, dump(state))
        self.state = self._saved = state

    def _do(self) -> None:
        """Carry out what is due, in order; what was carried out is struck off at once."""
        while self.state.todo:
            effect, *rest = self.state.todo
            self._performer.perform(effect)
            if not isinstance(effect, Signal):
                self._stale = True
            self._keep(replace(self.state, todo=tuple(rest)))

    def _tell(self, decision: Decision) -> None:
        said = f"{decision.kind.name} {decision.rule}"
        if said != self._last:
            self._timeline.add("decision", said, {"why": decision.why})
            self._last = said

    # Time

    def _now(self) -> float:
        return self._clock.wall_ns() / _NANOSECONDS

    def sleep_seconds(self) -> float | None:
        """Return for how long nothing can follow unless something happens."""
        now, state, limits = self._now(), self.state, self._assignment.limits
        facts = observe.gather(state, self._assignment, self._seen, Promise.NONE, now)
        moments = [next_look(facts), speech.next_at(state.speech, limits)]
        moments.append(ladder.due_at(state.ladder, limits))
        # What is over was seen in the round before, and nothing followed from it.
        waits = [moment - now for moment in moments if moment is not None and moment > now]
        if state.phase is Phase.COOLING:
            waits.append(cooldown.left(state.cooldown, now))
        waits += [each for each in (breaker.left(state.breaker, now),) if each > 0]
        waits += [each for each in (self._children.deadline(),) if each is not None]
        waits += [_RETRY_SECONDS] if self._failing_since else []
        return max(0.0, min(waits)) + 0.01 if waits else None


def _any_readable(fds: tuple[int, ...]) -> bool:
    return bool(fds) and bool(select.select(fds, (), (), 0)[0])
