"""Histories: what happens to a run, and what its Guardian makes of it, through the real loop.

Each line is `what happens -> what follows`, in this language:

    begin | kill | resume | wait SECONDS | clock HOURS | stop | gone NODE (its Runner died)
    full | room    on the disk
    NODE TYPE key=value ...        its Runner says so; `NODE/ATTEMPT TYPE` of another attempt
    commit tool NODE COMMIT    a command has committed something
    rubric | end KIND NODE ANSWER | limit KIND NODE SECONDS    a task ended
    error | none | unheard KIND NODE    without a result, without a word, with nobody reached
    answer DECISION OPTION NOTE    a person did; several things at once stand with `+` between

    +KIND NODE, -KIND NODE         a task was begun, and has ended without moving a node
    NODE EVENT ...                 a node was moved; `free`: not charged; `for good`: the last
    >TYPE NODE, !TYPE              what its Runner, and the terminal, were told
    heard TYPE | ?ID KIND OPTIONS | ID=OPTION BY | closed NODE | stopping R | ended R EXIT
    runner NODE ATTEMPT | session NODE    a Runner was started; a session ended in its place
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from attractor.pipeline.graph import NodeId
from attractor.run.journal import Entry
from attractor.run.limits import Limits
from attractor.run.roles import Role
from attractor.run.states import NodeState
from guardian.hearing import Heard

ONE = "start [shape=Mdiamond]; w [shape=box]; finish [shape=Msquare]; start -> w -> finish;"
TWO = (
    "start [shape=Mdiamond]; a [shape=box]; b [shape=box]; after_a [shape=box];"
    "finish [shape=Msquare]; start -> a -> after_a -> finish; start -> b -> finish;"
)
THREE = (
    "start [shape=Mdiamond]; a [shape=box]; b [shape=box]; c [shape=box]; finish [shape=Msquare];"
    "start -> a -> finish; start -> b -> finish; start -> c -> finish;"
)
TOOL = (
    'start [shape=Mdiamond]; t [handler="tool", command="make"]; finish [shape=Msquare];'
    "start -> t -> finish;"
)
GATE = (
    "start [shape=Mdiamond]; w [shape=box]; %s; d [shape=diamond]; finish [shape=Msquare];"
    'start -> w -> g -> d; d -> finish [condition="pass"]; d -> w [condition="fail"];'
)
MEND = (
    "start [shape=Mdiamond]; w [shape=box]; d [shape=diamond]; m [shape=box];"
    "finish [shape=Msquare]; start -> w -> d;"
    'd -> finish [condition="pass"]; d -> m [condition="fail"]; m -> finish [condition="pass"];'
)
PERSON = GATE % 'g [shape=hexagon, gate="business"]'
DEADLINE = GATE % 'g [shape=hexagon, gate="business", default="approve", deadline="10m"]'
NESTED = (
    "start [shape=Mdiamond]; a [shape=box]; w [shape=box]; g [shape=hexagon, gate=business];"
    "d [shape=diamond]; p [shape=hexagon, gate=business]; e [shape=diamond];"
    'finish [shape=Msquare]; start -> a -> w -> g -> d; d -> w [condition="fail"];'
    'd -> p [condition="pass"]; p -> e; e -> a [condition="fail"]; e -> finish [condition="pass"];'
)
JUDGE = GATE % 'g [shape=hexagon, gate="technical"]'
SEALED = {"ok": True, "folder": "/r", "by": "hand", "files": {}, "scope": {}, "acceptance": {}}
WORDS = {
    "TaskBegun": "+{kind_of} {node}",
    "TaskEnded": "-{kind_of} {node}",
    "RubricSealed": "sealed",
    "SignalHeard": "heard {type}",
    "DecisionAsked": "?{id} {kind} {offered}",
    "DecisionAnswered": "{id}={option} {by}",
    "AttemptClosed": "closed {node}",
    "Stopping": "stopping {result}",
    "RunEnded": "ended {result} {exit}",
    "RunResumed": "resumed",
    "NodeGivenUp": "given up {node}",
    "GraphChanged": "grown {why} {node}",
    "Paused": "paused",
}
TERMS = ("budget", "memory", "replan", "retry_models", "review")
FOUND = {"file": "a.py", "line": 3, "problem": "bad"}
PART = {"label": "more", "prompt": "do it", "acceptance": "it is done", "files": ["x.py"]}
QUIET = frozenset({Role.PLACE, Role.EXIT})


class History:
    """One run, told in the language above."""

    def __init__(self, house: type[Any], graph: str, limits: Limits, **asked: Any) -> None:
        terms = {key: asked.pop(key) for key in TERMS if key in asked}
        self.house = house(f"digraph g {{ {graph} }}", {"": limits}, terms, **asked)
        self.house.on_runner = self.runner
        self.house.on_end_session = lambda node: self.news.append(f"session {node}")
        self.news: list[str] = []
        self.seen = 0
        self.ids = 0

    def runner(self, node: str) -> None:
        self.news.append(f"runner {node} {self.house.assigned[node]}")

    def happens(self, what: str) -> list[str]:
        """Let it happen, do one round, and say what follows."""
        for each in what.split(" + "):
            word, *rest = shlex.split(each)
            getattr(self, f"do_{word}", lambda *_, word=word, rest=rest: self.say(word, rest))(
                *rest
            )
        self.house.loop.patient_step()
        self.house.audit.agrees(self.house.loop.core)
        entries = self.house.journal[self.seen :]
        self.seen = len(self.house.journal)
        lines = [line for entry in entries for line in self.told(entry)]
        news, self.news = self.news, []
        return lines + news

    def say(self, where: str, words: list[str]) -> None:
        node, _, attempt = where.partition("/")
        kind, *pairs = words
        said: dict[str, Any] = dict(pair.split("=", 1) for pair in pairs)
        if "wrote" in said:
            said["wrote"] = said["wrote"] == "yes"
        if "tokens" in said:
            said["usage"] = {"input_tokens": int(said.pop("tokens"))}
        number = int(attempt) if attempt else len(self.house.story().node(node).attempts)
        self.ids += 1
        id_ = said.pop("id", f"s{self.ids}")
        self.house.deliver(Heard(id_, kind, "runner", node, number, said))

    def do_begin(self) -> None:
        self.house.guardian()

    do_kill = do_begin

    def do_resume(self, *changed: str) -> None:
        said = {key: int(value) for key, value in (each.split("=") for each in changed)}
        self.house.resume(**said)
        self.house.guardian()

    def do_wait(self, seconds: str) -> None:
        self.house.times.advance(float(seconds))

    def do_clock(self, hours: str) -> None:
        self.house.times.offset += int(hours) * 3_600

    def do_stop(self) -> None:
        self.ids += 1
        self.house.deliver(Heard(f"x{self.ids}", "STOP_RUN", "terminal", "", None, {}))

    def do_full(self) -> None:
        self.house.short = "the disk is nearly full: 7 MiB are left, 130 are needed"

    def do_room(self) -> None:
        self.house.short = ""

    def do_gone(self, node: str) -> None:
        del self.house.runners[node]

    def do_rubric(self) -> None:
        self.house.finish(self.task("rubric", ""), SEALED)

    def task(self, kind: str, node: str) -> str:
        (name,) = (
            name for name, each in self.house.tasks.items()
            if (each.spec["kind"], each.spec["node"]) == (kind, node)
        )  # fmt: skip
        return str(name)

    def do_end(self, kind: str, node: str, answer: str) -> None:
        name = self.task(kind, node)
        spec = self.house.tasks[name].spec
        said = {
            "validate": {"outcome": answer, "feedback": "mend it", "commit": spec.get("commit")},
            "merge": {"status": answer, "feedback": "it conflicts", "commit": f"m-{node}"},
            "tool": {"exit": int(answer) if answer.isdigit() else None, "tail": "the last lines"},
            "answer": {"answer": answer},
            "review": {
                "outcome": answer,
                "findings": [FOUND] * (answer == "findings"),
                "why": "no login",
            },
            "remember": {"ok": True, "added": [], "flagged": []},
            "replan": {
                "outcome": "split",
                "parts": [PART | {"label": str(each)} for each in range(int(answer))]
                if answer.isdigit()
                else [],
            },
            "retrospect": {"outcome": answer, "additions": [PART] * (answer == "added")},
        }[kind]
        self.house.finish(name, said)

    def do_commit(self, kind: str, node: str, commit: str) -> None:
        self.house.finish(self.task(kind, node), {"exit": 0, "tail": "", "commit": commit})

    def do_none(self, kind: str, node: str = "") -> None:
        self.house.finish(self.task(kind, node), None)

    def do_error(self, kind: str, node: str = "") -> None:
        self.house.finish(self.task(kind, node), {"error": "no verdict"})

    def do_unheard(self, kind: str, node: str = "") -> None:
        self.house.finish(self.task(kind, node), {"error": "no network", "free": True})

    def do_limit(self, kind: str, node: str, seconds: str) -> None:
        at = self.house.times.wall() + float(seconds)
        self.house.finish(self.task(kind, node), {"error": "rate limited", "retry_at": at})

    def do_answer(self, decision: str, option: str, note: str = "") -> None:
        self.ids += 1
        said = json.dumps({"decision": decision, "option": option, "note": note})
        payload = {"response": said}
        self.house.deliver(Heard(f"p{self.ids}", "INPUT_RESPONSE", "terminal", "", None, payload))

    def told(self, entry: Entry) -> Iterator[str]:
        data = entry.data
        if entry.event == "NodeMoved":
            if self.house.terms[data["node"]].role not in QUIET:
                yield self.moved(data)
        elif entry.event in WORDS:
            kind = str(data.get("task", "")).partition("-")[0]
            options = "|".join(data.get("options") or ())
            said = {"node": "", "by": "", **data, "kind_of": kind, "offered": options}
            yield WORDS[entry.event].format(**said).strip()
        yield from (f">{each['type']} {each['node']}" for each in data.get("orders", ()))
        yield from (f"!{each['type']}" for each in data.get("notices", ()))

    def moved(self, data: dict[str, Any]) -> str:
        words = [data["node"], data["event"]]
        if data["event"] == "dispatched":
            words.append(str(data["attempt"]))
        if data["event"] == "failed":
            words += ["free"] * bool(data.get("free")) + ["for good"] * ("outcome" in data)
        return " ".join(words)


BEGIN = """
begin -> +rubric
rubric -> sealed; w dispatched 1; runner w 1
"""
REVIEW = "w NEEDS_REVIEW commit_hash=c1 -> w review_requested; +validate w\n"
PASS = f"""
{REVIEW}
end validate w passed -> -validate w; +merge w
"""
DONE = """
end merge w merged -> w passed; >VALIDATION_PASSED w
w RUNNER_EXITED mode=COMPLETE -> closed w; ended validated 0; !PIPELINE_COMPLETE
"""
TO_GATE = """
end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 1; ?d1 gate approve|reject; \
    !ESCALATION
w RUNNER_EXITED mode=COMPLETE -> closed w
"""
THROUGH = "g gate_passed; d dispatched 1; d gate_passed; ended validated 0; !PIPELINE_COMPLETE"

HISTORIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "what is judged good is merged, and the run is validated": (ONE, {}, f"{BEGIN}{PASS}{DONE}"),
    "work that is refused goes back to its session and is judged again": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        end validate w failed -> w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end validate w passed -> -validate w; +merge w{DONE}""",
    ),
    "work that is refused again and again fails for good": (
        ONE, {"max_attempts": 2}, f"""{BEGIN}{REVIEW}
        end validate w failed -> w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end validate w failed -> w failed for good; >KILL_ORCHESTRATOR w; !ESCALATION
        w RUNNER_EXITED -> closed w; ended failed 1; !ESCALATION""",
    ),
    "a crash is followed by another attempt": (
        ONE, {}, f"""{BEGIN}
        w ORCHESTRATOR_CRASHED -> heard ORCHESTRATOR_CRASHED
        w RUNNER_EXITED reason=crashed + gone w -> w failed; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "a node that crashes to the end of its attempts fails, and what does not need it goes on": (
        TWO, {"max_attempts": 2}, """
        begin -> +rubric
        rubric -> sealed; a dispatched 1; b dispatched 1; runner a 1; runner b 1
        a RUNNER_EXITED + gone a -> a failed; a dispatched 2; runner a 2
        a RUNNER_EXITED + gone a -> a failed for good; !ESCALATION
        b NEEDS_REVIEW commit_hash=c -> b review_requested; +validate b
        end validate b passed -> -validate b; +merge b
        end merge b merged -> b passed; >VALIDATION_PASSED b
        b RUNNER_EXITED mode=COMPLETE -> closed b; ended failed 1; !ESCALATION""",
    ),
    "a claim of completion before anything was accepted is a failure": (
        ONE, {}, f"""{BEGIN}
        w RUNNER_EXITED mode=COMPLETE + gone w -> w failed; w dispatched 2; runner w 2""",
    ),
    "what only workers may do is warned of once, and ends the session on repeat": (
        ONE, {"max_violations": 3}, f"""{BEGIN}
        w VIOLATION reason=Edit -> heard VIOLATION; >GUIDANCE w
        w VIOLATION reason=Edit -> heard VIOLATION
        w VIOLATION reason=Edit -> heard VIOLATION; w failed; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; w dispatched 2; runner w 2""",
    ),
    "who is stuck gets guidance twice, and then the attempt is over": (
        ONE, {}, f"""{BEGIN}
        w ORCHESTRATOR_STUCK rung=ask -> heard ORCHESTRATOR_STUCK
        w ORCHESTRATOR_STUCK "rung=hand back" -> heard ORCHESTRATOR_STUCK; >GUIDANCE w
        w ORCHESTRATOR_STUCK "rung=hand back" -> heard ORCHESTRATOR_STUCK; >GUIDANCE w
        w ORCHESTRATOR_STUCK "rung=hand back" -> heard ORCHESTRATOR_STUCK; w failed; \
            >KILL_ORCHESTRATOR w""",
    ),
    "a question is answered by the Guardian where it can": (
        ONE, {}, f"""{BEGIN}
        w NEEDS_INPUT question=Which? -> +answer w
        end answer w blue -> -answer w; >INPUT_RESPONSE w""",
    ),
    "a question that the Guardian cannot answer is a person's": (
        ONE, {}, f"""{BEGIN}
        w NEEDS_INPUT question=Which? -> +answer w
        end answer w "" -> ?d1 input; !ESCALATION
        answer d1 blue -> d1=blue terminal; >INPUT_RESPONSE w""",
    ),
    "a score between is looked at again, deeper": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        end validate w investigate -> -validate w; +validate w
        end validate w investigate -> -validate w; +validate w
        end validate w passed -> -validate w; +merge w{DONE}""",
    ),
    "without a verdict it is asked again, and then a person is": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        none validate w -> -validate w
        wait 3 -> +validate w
        none validate w -> -validate w
        wait 5 -> +validate w
        end validate w none -> -validate w; ?d1 verdict retry|give up; !ESCALATION
        wait 600 ->
        answer d1 retry -> d1=retry terminal; +validate w
        end validate w passed -> -validate w; +merge w{DONE}""",
    ),
    "a rubric that cannot be made is a person's matter, after longer and longer waits": (
        ONE, {}, """
        begin -> +rubric
        error rubric -> -rubric
        wait 29 ->
        wait 2 -> +rubric
        error rubric -> -rubric
        wait 118 ->
        kill ->
        wait 3 -> +rubric
        error rubric -> -rubric; ?d1 rubric retry|give up; !ESCALATION
        wait 9000 ->
        kill ->
        answer d1 retry -> d1=retry terminal; +rubric
        error rubric -> -rubric; ?d2 rubric retry|give up; !ESCALATION
        wait 9000 ->
        answer d2 retry -> d2=retry terminal; +rubric
        rubric -> sealed; w dispatched 1; runner w 1""",
    ),
    "a rubric that a person gives up ends the run, which can be resumed": (
        ONE, {}, """
        begin -> +rubric
        error rubric -> -rubric
        wait 31 -> +rubric
        error rubric -> -rubric
        wait 121 -> +rubric
        error rubric -> -rubric; ?d1 rubric retry|give up; !ESCALATION
        answer d1 "give up" -> d1=give up terminal; stopping failed; !ESCALATION; \
            ended failed 1; !ESCALATION
        resume -> resumed; +rubric
        error rubric -> -rubric
        wait 31 -> +rubric
        rubric -> sealed; w dispatched 1; runner w 1""",
    ),
    "a question about the rubric that nobody answers is none when the run goes on": (
        ONE, {}, """
        begin -> +rubric
        error rubric -> -rubric
        wait 31 -> +rubric
        error rubric -> -rubric
        wait 121 -> +rubric
        error rubric -> -rubric; ?d1 rubric retry|give up; !ESCALATION
        stop -> stopping stopped; ended stopped 4; !ESCALATION
        resume -> resumed; +rubric
        rubric -> sealed; w dispatched 1; runner w 1
        answer d1 retry ->""",
    ),
    "a try that reached nobody, or was killed, is no try, and waits longer each time": (
        ONE, {}, """
        begin -> +rubric
        unheard rubric -> -rubric
        wait 3 -> +rubric
        none rubric -> -rubric
        wait 3 ->
        wait 2 -> +rubric
        unheard rubric -> -rubric
        wait 9 -> +rubric
        unheard rubric -> -rubric
        wait 17 -> +rubric
        error rubric -> -rubric
        wait 31 -> +rubric
        rubric -> sealed; w dispatched 1; runner w 1""",
    ),
    "a judge that nobody reached is asked again, and no person": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        unheard validate w -> -validate w
        wait 3 -> +validate w
        unheard validate w -> -validate w
        wait 5 -> +validate w
        unheard validate w -> -validate w
        wait 9 -> +validate w
        end validate w passed -> -validate w; +merge w{DONE}""",
    ),
    "where a person gives up for want of a verdict, the node fails for good": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        none validate w -> -validate w
        wait 3 -> +validate w
        none validate w -> -validate w
        wait 5 -> +validate w
        none validate w -> -validate w; ?d1 verdict retry|give up; !ESCALATION
        wait 9 + answer d1 "give up" -> d1=give up terminal; w failed for good; \
            >KILL_ORCHESTRATOR w; !ESCALATION""",
    ),
    "a judge that is rate limited waits for as long as was said": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        limit validate w 7200 -> -validate w
        wait 7100 ->
        wait 101 -> +validate w""",
    ),
    "a clock that is set back ends a wait": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        limit validate w 7200 -> -validate w
        wait 60 ->
        clock -5 -> +validate w""",
    ),
    "a limit that comes again is no failure of anybody": (
        ONE, {}, BEGIN + REVIEW + "".join(
            """
            limit validate w 60 -> -validate w
            wait 61 -> +validate w"""
            for _ in range(5)
        ),
    ),
    "a merge that conflicts goes back to who made the work": (
        ONE, {}, f"""{BEGIN}{PASS}
        end merge w conflict -> w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end validate w passed -> -validate w; +merge w{DONE}""",
    ),
    "a merge whose checks are red goes back, too": (
        ONE, {}, f"""{BEGIN}{PASS}
        end merge w red -> w rejected; >VALIDATION_FAILED w""",
    ),
    "a gate that a person refuses leads back, with the note as feedback": (
        PERSON, {}, f"""{BEGIN}{PASS}{TO_GATE}
        answer d1 reject "too long" + gone w -> d1=reject terminal; g failed for good; \
            d dispatched 1; d gate_passed; w reopened; g requeued; w dispatched 2; \
            d reopened; runner w 2
        {PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 2; \
            ?d2 gate approve|reject; !ESCALATION
        w RUNNER_EXITED mode=COMPLETE -> closed w
        answer d2 approve -> d2=approve terminal; g gate_passed; d dispatched 2; d gate_passed; \
            ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "of two ways back the inner one makes due what is inside of it, the outer one all": (
        NESTED, {}, f"""
        begin -> +rubric
        rubric -> sealed; a dispatched 1; runner a 1
        a NEEDS_REVIEW commit_hash=c0 -> a review_requested; +validate a
        end validate a passed -> -validate a; +merge a
        end merge a merged -> a passed; >VALIDATION_PASSED a; w dispatched 1; runner w 1
        a RUNNER_EXITED mode=COMPLETE + gone a -> closed a
        {PASS}{TO_GATE}
        answer d1 reject + gone w -> d1=reject terminal; g failed for good; d dispatched 1; \
            d gate_passed; w reopened; g requeued; w dispatched 2; d reopened; runner w 2
        {PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 2; \
            ?d2 gate approve|reject; !ESCALATION
        w RUNNER_EXITED mode=COMPLETE + gone w -> closed w
        answer d2 approve -> d2=approve terminal; g gate_passed; d dispatched 2; d gate_passed; \
            p dispatched 1; ?d3 gate approve|reject; !ESCALATION
        answer d3 reject -> d3=reject terminal; p failed for good; e dispatched 1; \
            e gate_passed; a reopened; w reopened; g reopened; d reopened; p requeued; \
            a dispatched 2; e reopened; runner a 2""",
    ),
    "a way back waits until nothing is left of what was there": (
        PERSON, {}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 1; \
            ?d1 gate approve|reject; !ESCALATION
        answer d1 reject -> d1=reject terminal; g failed for good; d dispatched 1
        w RUNNER_EXITED mode=COMPLETE + gone w -> closed w; d gate_passed; w reopened; \
            g requeued; w dispatched 2; d reopened; runner w 2""",
    ),
    "the ways back come to an end": (
        JUDGE, {"max_attempts": 1}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 1; +validate g
        w RUNNER_EXITED mode=COMPLETE -> closed w
        end validate g failed -> g failed for good; d dispatched 1; d failed for good; \
            ended failed 1; !ESCALATION""",
    ),
    "a decision that nobody takes falls to its default at its deadline": (
        DEADLINE, {}, f"""{BEGIN}{PASS}{TO_GATE}
        wait 590 ->
        wait 11 -> d1=approve deadline; {THROUGH}""",
    ),
    "what a person may not choose is no answer, and none counts twice": (
        PERSON, {}, f"""{BEGIN}{PASS}{TO_GATE}
        answer d1 maybe ->
        answer d9 approve ->
        answer d1 approve + answer d1 reject -> d1=approve terminal; {THROUGH}""",
    ),
    "a decision that was answered while the Guardian was down counts when it is back": (
        PERSON, {}, f"""{BEGIN}{PASS}{TO_GATE}
        answer d1 approve + kill -> d1=approve terminal; {THROUGH}""",
    ),
    "gates pass by themselves where that was asked for": (
        PERSON, {"auto_approve": True}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; g dispatched 1; \
            ?d1 gate approve|reject; !ESCALATION; d1=approve auto-approve; g gate_passed; \
            d dispatched 1; d gate_passed
        w RUNNER_EXITED mode=COMPLETE -> closed w; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "a command that succeeds passes": (
        TOOL, {}, """
        begin -> +rubric
        rubric -> sealed; t dispatched 1; +tool t
        end tool t 0 -> t gate_passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "a command that fails, fails the run": (
        TOOL, {}, """
        begin -> +rubric
        rubric -> sealed; t dispatched 1; +tool t
        end tool t 2 -> t failed for good; ended failed 1; !ESCALATION""",
    ),
    "a command that does not end in time has failed": (
        TOOL, {}, """
        begin -> +rubric
        rubric -> sealed; t dispatched 1; +tool t
        end tool t never -> t failed for good; ended failed 1; !ESCALATION""",
    ),
    "a command whose commit does not merge runs again on what was merged meanwhile": (
        TOOL, {"max_attempts": 3}, """
        begin -> +rubric
        rubric -> sealed; t dispatched 1; +tool t
        commit tool t c1 -> -tool t; +merge t
        end merge t conflict -> t failed; t dispatched 2; +tool t
        commit tool t c2 -> -tool t; +merge t
        end merge t red -> t failed; t dispatched 3; +tool t
        commit tool t c3 -> -tool t; +merge t
        end merge t merged -> t gate_passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "a command whose commits never merge fails for good when its attempts are used up": (
        TOOL, {"max_attempts": 2}, """
        begin -> +rubric
        rubric -> sealed; t dispatched 1; +tool t
        commit tool t c1 -> -tool t; +merge t
        end merge t conflict -> t failed; t dispatched 2; +tool t
        commit tool t c2 -> -tool t; +merge t
        end merge t conflict -> t failed for good; ended failed 1; !ESCALATION""",
    ),
    "a run whose budget is used ends its sessions, and can go on with more": (
        ONE, {"budget_tokens": 9000}, f"""{BEGIN}
        w ORCHESTRATOR_CRASHED tokens=8999 -> heard ORCHESTRATOR_CRASHED
        w ORCHESTRATOR_CRASHED tokens=9000 -> heard ORCHESTRATOR_CRASHED; stopping budget; \
            !ESCALATION; w failed free; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended budget 5; !ESCALATION
        resume budget_tokens=100000 -> resumed; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "a run that a person stops is not charged for it, and can be resumed": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}
        stop -> stopping stopped; w failed free; >KILL_ORCHESTRATOR w
        stop ->
        w RUNNER_EXITED + gone w -> closed w; ended stopped 4; !ESCALATION
        w NEEDS_REVIEW commit_hash=late ->
        resume -> resumed; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "what was handed in when the run was stopped is judged when it goes on, without a session": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}{REVIEW}
        stop -> stopping stopped; >KILL_ORCHESTRATOR w
        stop ->
        w RUNNER_EXITED + gone w -> closed w; ended stopped 4; !ESCALATION
        resume -> resumed; +validate w
        end validate w passed -> -validate w; +merge w
        end merge w merged -> w passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "what was handed in when a budget was used is judged when there is more": (
        ONE, {"budget_tokens": 9000}, f"""{BEGIN}
        w NEEDS_REVIEW commit_hash=c1 tokens=9000 -> w review_requested; stopping budget; \
            !ESCALATION; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended budget 5; !ESCALATION
        resume budget_tokens=100000 -> resumed; +validate w
        end validate w passed -> -validate w; +merge w
        end merge w merged -> w passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "what was judged good when the run was stopped is reviewed when it goes on": (
        ONE, {"review": ("self",)}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        stop -> stopping stopped; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended stopped 4; !ESCALATION
        resume -> resumed; +review w
        end review w passed -> -review w; +review w
        end review w passed -> -review w; +merge w
        end merge w merged -> w passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "a question about what was handed in is still open when the run goes on": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        none validate w -> -validate w
        wait 3 -> +validate w
        none validate w -> -validate w
        wait 5 -> +validate w
        none validate w -> -validate w; ?d1 verdict retry|give up; !ESCALATION
        stop -> stopping stopped; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended stopped 4; !ESCALATION
        resume -> resumed
        wait 10 ->
        answer d1 retry -> d1=retry terminal; +validate w""",
    ),
    "what a stopped session can mend no more is no charge to it": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}{REVIEW}
        stop -> stopping stopped; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended stopped 4; !ESCALATION
        resume -> resumed; +validate w
        end validate w failed -> w failed free; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "an attempt that is over has nobody to end when the run is stopped": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        w RUNNER_EXITED + gone w -> closed w
        stop -> stopping stopped; ended stopped 4; !ESCALATION
        resume -> resumed; +validate w""",
    ),
    "a session that has no room on the disk begins when there is some, and none was tried": (
        ONE, {}, f"""
        begin -> +rubric
        rubric + full -> sealed; paused; !ESCALATION
        kill ->
        wait 11 -> paused
        wait 15 ->
        room + wait 6 -> w dispatched 1; runner w 1
        {PASS}{DONE}""",
    ),
    "a disk that stays full ends the run in some minutes, which goes on when there is room": (
        ONE, {}, """
        full + begin -> paused; !ESCALATION
        wait 11 -> paused
        wait 21 -> paused
        wait 41 -> paused
        wait 61 -> paused
        wait 61 -> paused
        wait 61 -> paused
        wait 61 -> stopping failed; !ESCALATION; ended failed 1; !ESCALATION
        resume -> resumed; paused; !ESCALATION
        room + wait 11 -> +rubric
        full + rubric -> sealed; paused; !ESCALATION""",
    ),
    "a full disk ends no run in which somebody is at work": (
        TWO, {"max_parallel": 2}, """
        begin -> +rubric
        rubric -> sealed; a dispatched 1; b dispatched 1; runner a 1; runner b 1
        a NEEDS_REVIEW commit_hash=c + full -> a review_requested; paused; !ESCALATION
        wait 11 -> paused
        wait 21 -> paused
        wait 41 -> paused
        wait 61 -> paused
        wait 61 -> paused
        wait 61 -> paused
        wait 61 -> paused
        wait 61 -> paused
        b NEEDS_REVIEW commit_hash=c -> b review_requested
        wait 61 -> stopping failed; !ESCALATION; >KILL_ORCHESTRATOR a; >KILL_ORCHESTRATOR b
        a RUNNER_EXITED + gone a + b RUNNER_EXITED + gone b -> closed a; closed b; \
            ended failed 1; !ESCALATION
        room + resume -> resumed; +validate a; +validate b""",
    ),
    "an attempt that ends on a full disk is told of as that, and is not charged": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}
        full + w RUNNER_EXITED + gone w -> w failed free; paused; !ESCALATION
        room + wait 11 -> w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "a Runner that dies again and again on a full disk is told of as that": (
        ONE, {}, f"""{BEGIN}
        gone w + full -> runner w 1
        gone w -> runner w 1
        gone w -> runner w 1
        gone w -> runner w 1
        gone w -> w failed free; paused; !ESCALATION; session w
        room + wait 11 -> w dispatched 2; runner w 2""",
    ),
    "a merge that is under way when the run is stopped counts": (
        ONE, {}, f"""{BEGIN}{PASS}
        stop -> stopping stopped
        end merge w merged -> w passed; >VALIDATION_PASSED w
        w RUNNER_EXITED mode=COMPLETE -> closed w; ended stopped 4; !ESCALATION
        resume -> resumed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "a run that failed gives its nodes another chance when it is resumed": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}
        w RUNNER_EXITED + gone w -> w failed for good; !ESCALATION; ended failed 1; !ESCALATION
        resume -> w requeued; resumed; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "a rubric that was changed stops the run": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        end validate w unsealed -> -validate w; stopping failed; !ESCALATION; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended failed 1; !ESCALATION
        resume -> resumed; +validate w""",
    ),
    "a Guardian that comes back with all open goes on where it was": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        kill ->
        w NEEDS_INPUT question=Which? -> +answer w
        kill ->
        end answer w blue + kill -> -answer w; >INPUT_RESPONSE w
        end validate w passed -> -validate w; +merge w
        kill ->
        gone w + kill -> runner w 1
        {DONE}""",
    ),
    "a Runner that dies five times in a minute is given up, and nobody is charged": (
        ONE, {"max_attempts": 1}, f"""{BEGIN}
        gone w -> runner w 1
        gone w -> runner w 1
        gone w -> runner w 1
        gone w -> runner w 1
        gone w -> w failed free; w dispatched 2; session w; runner w 2""",
    ),
    "a Runner that dies now and then is started again": (
        ONE, {}, BEGIN + "gone w + wait 20 -> runner w 1\n" * 12,
    ),
    "what was handed in by a session that is gone is judged all the same": (
        ONE, {}, f"""{BEGIN}{REVIEW}
        w RUNNER_EXITED + gone w -> closed w
        end validate w passed -> -validate w; +merge w
        end merge w merged -> w passed; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "two signals with one id are one": (
        ONE, {}, f"""{BEGIN}
        w NEEDS_REVIEW id=x commit_hash=c1 + w NEEDS_REVIEW id=x commit_hash=c1 -> \
            w review_requested; +validate w
        end validate w failed -> w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW id=x commit_hash=c1 ->
        kill ->
        w NEEDS_REVIEW id=x commit_hash=c1 ->""",
    ),
    "what is judged good is scanned and reviewed, and then merged": (
        ONE, {"review": ("self", "gemini", "codex")}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        end review w passed -> -review w; +review w
        end review w passed -> -review w; +review w
        end review w unavailable -> -review w; +review w
        end review w passed -> -review w; +merge w{DONE}""",
    ),
    "where no other reviewer can be had, the review by itself closes it": (
        ONE, {"review": ("gemini",)}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        end review w passed -> -review w; +review w
        end review w unavailable -> -review w; +review w
        kill ->
        end review w passed -> -review w; +merge w{DONE}""",
    ),
    "what a review finds goes back, and the new work is judged and reviewed from the beginning": (
        ONE, {"review": ("self",)}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        end review w passed -> -review w; +review w
        end review w findings -> w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end validate w passed -> -validate w; +review w
        end review w passed -> -review w; +review w
        end review w passed -> -review w; +merge w{DONE}""",
    ),
    "at the limit of attempts a person decides about findings": (
        ONE, {"review": ("self",), "max_attempts": 1}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        end review w findings -> ?d1 review merge it|give it back|give up; !ESCALATION
        kill ->
        answer d1 "give it back" -> d1=give it back terminal; w rejected; >VALIDATION_FAILED w
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end validate w passed -> -validate w; +review w
        end review w findings -> ?d2 review merge it|give it back|give up; !ESCALATION
        answer d2 "merge it" -> d2=merge it terminal; +merge w{DONE}""",
    ),
    "a person may give up what a review has found": (
        ONE, {"review": ("self",), "max_attempts": 1}, f"""{BEGIN}{REVIEW}
        end validate w passed -> -validate w; +review w
        end review w findings -> ?d1 review merge it|give it back|give up; !ESCALATION
        answer d1 "give up" -> d1=give up terminal; w failed for good; >KILL_ORCHESTRATOR w; \
            !ESCALATION
        w RUNNER_EXITED -> closed w; ended failed 1; !ESCALATION""",
    ),
    "a person decides also where the session that made it has ended, and may give it one more": (
        ONE, {"review": ("self",), "max_attempts": 1}, f"""{BEGIN}{REVIEW}
        w RUNNER_EXITED + gone w -> closed w
        end validate w passed -> -validate w; +review w
        end review w findings -> ?d1 review merge it|give it back|give up; !ESCALATION
        answer d1 "give it back" -> d1=give it back terminal; w failed free; w dispatched 2; \
            runner w 2""",
    ),
    "what a review finds when its session has ended is for the next attempt": (
        ONE, {"review": ("self",), "max_attempts": 2}, f"""{BEGIN}{REVIEW}
        w RUNNER_EXITED + gone w -> closed w
        end validate w passed -> -validate w; +review w
        end review w findings -> w failed; w dispatched 2; runner w 2""",
    ),
    "a node that fails in the same way and leaves nothing is planned again, once": (
        ONE, {"replan": True, "max_attempts": 2}, f"""{BEGIN}
        w RUNNER_EXITED wrote=no + gone w -> w failed; w dispatched 2; runner w 2
        w RUNNER_EXITED wrote=no + gone w -> w failed; +replan w
        kill ->
        end replan w 2 -> grown replan w; w requeued; w_1 dispatched 1; runner w_1 1
        kill ->
        w_1 NEEDS_REVIEW commit_hash=c1 -> w_1 review_requested; +validate w_1
        end validate w_1 passed -> -validate w_1; +merge w_1
        end merge w_1 merged -> w_1 passed; >VALIDATION_PASSED w_1; w dispatched 3; runner w 3
        w_1 RUNNER_EXITED -> closed w_1
        w RUNNER_EXITED wrote=no + gone w -> w failed; w dispatched 4; runner w 4
        w RUNNER_EXITED wrote=no + gone w -> w failed for good; !ESCALATION; ended failed 1; \
            !ESCALATION""",
    ),
    "whether anything was left is known when the session has ended": (
        ONE, {"replan": True, "max_attempts": 1, "max_violations": 1}, f"""{BEGIN}
        w VIOLATION reason=Edit -> heard VIOLATION; >GUIDANCE w; w failed; >KILL_ORCHESTRATOR w
        wait 5 ->
        w RUNNER_EXITED wrote=no + gone w -> closed w; +replan w""",
    ),
    "a way for what has failed is taken by what was given up": (
        MEND, {"replan": True, "max_attempts": 1}, f"""{BEGIN}
        w RUNNER_EXITED wrote=yes + gone w -> w failed; given up w; !ESCALATION; \
            d dispatched 1; d gate_passed; m dispatched 1; runner m 1""",
    ),
    "a node that has left something is given up, not planned again": (
        ONE, {"replan": True, "max_attempts": 2}, f"""{BEGIN}
        w RUNNER_EXITED wrote=no + gone w -> w failed; w dispatched 2; runner w 2
        w RUNNER_EXITED wrote=yes + gone w -> w failed; given up w; !ESCALATION; ended failed 1; \
            !ESCALATION""",
    ),
    "where nobody can plan it again, it is given up": (
        ONE, {"replan": True, "max_attempts": 1}, f"""{BEGIN}
        w RUNNER_EXITED wrote=no + gone w -> w failed; +replan w
        none replan w -> -replan w
        wait 20 -> +replan w
        none replan w -> -replan w
        wait 20 -> +replan w
        none replan w -> -replan w; given up w; !ESCALATION; ended failed 1; !ESCALATION""",
    ),
    "the same failure again makes the next attempt wait, longer each time, also after a kill": (
        ONE, {"max_attempts": 9}, f"""{BEGIN}
        w RUNNER_EXITED reason=a + gone w -> w failed; w dispatched 2; runner w 2
        w RUNNER_EXITED reason=a + gone w -> w failed
        wait 59 ->
        kill ->
        wait 1 -> w dispatched 3; runner w 3
        w RUNNER_EXITED reason=a + gone w -> w failed
        wait 119 ->
        wait 1 -> w dispatched 4; runner w 4
        w RUNNER_EXITED reason=b + gone w -> w failed; w dispatched 5; runner w 5""",
    ),
    "it is looked back before the end, and what is added is done like all else": (
        ONE, {"retrospectives": 2}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; +retrospect finish
        w RUNNER_EXITED -> closed w
        end retrospect finish added -> grown retrospect finish; R01 dispatched 1; runner R01 1
        kill ->
        R01 NEEDS_REVIEW commit_hash=c2 -> R01 review_requested; +validate R01
        end validate R01 passed -> -validate R01; +merge R01
        end merge R01 merged -> R01 passed; >VALIDATION_PASSED R01; +retrospect finish
        R01 RUNNER_EXITED -> closed R01
        end retrospect finish silent -> -retrospect finish; ended validated 0; \
            !PIPELINE_COMPLETE""",
    ),
    "a run whose added work fails does not end well": (
        ONE, {"retrospectives": 1, "max_attempts": 1}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; +retrospect finish
        w RUNNER_EXITED -> closed w
        end retrospect finish added -> grown retrospect finish; R01 dispatched 1; runner R01 1
        R01 RUNNER_EXITED + gone R01 -> R01 failed for good; !ESCALATION; ended failed 1; \
            !ESCALATION""",
    ),
    "where nobody looks back, the run ends all the same": (
        ONE, {"retrospectives": 1}, f"""{BEGIN}{PASS}
        end merge w merged -> w passed; >VALIDATION_PASSED w; +retrospect finish
        w RUNNER_EXITED -> closed w
        none retrospect finish -> -retrospect finish
        wait 20 -> +retrospect finish
        none retrospect finish -> -retrospect finish
        wait 20 -> +retrospect finish
        none retrospect finish -> -retrospect finish; ended validated 0; !PIPELINE_COMPLETE""",
    ),
    "each verdict is remembered, and that holds nothing up": (
        ONE, {"memory": True}, f"""{BEGIN}{REVIEW}
        end validate w failed -> w rejected; >VALIDATION_FAILED w; +remember w
        kill ->
        w NEEDS_REVIEW commit_hash=c2 -> w review_requested; +validate w
        end remember w ok -> -remember w
        end validate w passed -> -validate w; +merge w; +remember w
        none remember w -> -remember w{DONE}""",
    ),
    "a budget of the hour has the next session wait, also after a kill": (
        TWO, {"budget_tokens_per_hour": 9000, "max_parallel": 1}, """
        begin -> +rubric
        rubric -> sealed; a dispatched 1; runner a 1
        a RUNNER_EXITED tokens=8500 + gone a -> a failed; paused; !ESCALATION
        wait 1800 ->
        kill ->
        wait 1800 ->
        wait 60 -> a dispatched 2; runner a 2""",
    ),
    "a budget that cannot hold the next session ends the run, and a higher one goes on": (
        ONE, {"budget_tokens": 9000}, f"""{BEGIN}
        w RUNNER_EXITED tokens=8500 + gone w -> w failed; stopping budget; !ESCALATION; \
            ended budget 5; !ESCALATION
        resume budget_tokens=100000 -> resumed; w dispatched 2; runner w 2
        {PASS}{DONE}""",
    ),
    "a node's own budget ends the run": (
        ONE, {"node_budget_tokens": 3000}, f"""{BEGIN}
        w ORCHESTRATOR_CRASHED tokens=3000 -> heard ORCHESTRATOR_CRASHED; stopping budget; \
            !ESCALATION; w failed free; >KILL_ORCHESTRATOR w
        w RUNNER_EXITED + gone w -> closed w; ended budget 5; !ESCALATION""",
    ),
    "what does not fit now begins when something else has ended": (
        THREE, {"budget_tokens": 4100}, """
        begin -> +rubric
        rubric -> sealed; a dispatched 1; b dispatched 1; runner a 1; runner b 1
        a NEEDS_REVIEW commit_hash=x -> a review_requested; +validate a
        wait 5 ->
        end validate a passed -> -validate a; +merge a; c dispatched 1; runner c 1""",
    ),
    "a superseded attempt changes nothing": (
        ONE, {}, f"""{BEGIN}
        w RUNNER_EXITED + gone w -> w failed; w dispatched 2; runner w 2
        w/1 NEEDS_REVIEW commit_hash=old ->
        w/1 RUNNER_EXITED ->
        w/3 NEEDS_REVIEW commit_hash=new ->""",
    ),
}  # fmt: skip
LIMITS = ("max_attempts", "max_violations")


@pytest.mark.parametrize("name", HISTORIES)
def test_history(name: str, house: type[Any]) -> None:
    graph, said, text = HISTORIES[name]
    limits = Limits(**{key: said[key] for key in said if key in LIMITS})
    asked = {key: said[key] for key in said if key not in LIMITS}
    history = History(house, graph, limits, **asked)
    for row in text.replace("\\\n", "").splitlines():
        if not row.strip():
            continue
        what, _, follows = row.partition("->")
        expected = [each.strip() for each in follows.split(";") if each.strip()]
        assert history.happens(what.strip()) == expected, row


def started(house: type[Any], graph: str = ONE, **asked: Any) -> History:
    history = History(house, graph, Limits(), **asked)
    for what in ("begin", "rubric"):
        history.happens(what)
    return history


def test_a_note_of_a_person_is_the_feedback_of_the_next_attempt(house: type[Any]) -> None:
    history = started(house, PERSON)
    for what in (
        "w NEEDS_REVIEW commit_hash=c1", "end validate w passed", "end merge w merged",
        "w RUNNER_EXITED", 'answer d1 reject "too long"',
    ):  # fmt: skip
        history.happens(what)
    attempt = history.house.story().node("w").attempt
    assert attempt.number == 2
    assert "too long" in attempt.feedback
    assert attempt.base == "m-w"


BESIDE = (
    'start [shape=Mdiamond]; t [handler="tool", command="make"]; w [shape=box];'
    "finish [shape=Msquare]; start -> t -> finish; start -> w -> finish;"
)


def test_a_command_runs_again_on_the_new_head_and_is_told_of_in_its_own_words(
    house: type[Any],
) -> None:
    history = started(house, BESIDE)
    for what in (
        "commit tool t c1", "w NEEDS_REVIEW commit_hash=c2", "end validate w passed",
    ):  # fmt: skip
        history.happens(what)
    said = {"status": "conflict", "feedback": "Merge it into your branch", "files": ["a b", "c"]}
    history.house.finish(history.task("merge", "t"), said)
    history.happens("wait 0")
    story = history.house.story()
    first, second = story.node("t").attempts
    assert first.how == "failed: what it committed conflicts with 'a b', 'c'"
    assert second.commit == ""
    assert story.node("t").feedback == ""


def test_the_attempt_after_a_merge_of_others_starts_where_that_stands(house: type[Any]) -> None:
    history = started(house, BESIDE)
    for what in (
        "w NEEDS_REVIEW commit_hash=c2", "end validate w passed", "commit tool t c1",
        "end merge w merged",
    ):  # fmt: skip
        history.happens(what)
    said = {"status": "red", "feedback": "mend it", "checks": {"command": "make test"}}
    history.house.finish(history.task("merge", "t"), said)
    history.happens("wait 0")
    attempt = history.house.story().node("t").attempts[0]
    assert attempt.how.endswith("the checks are red: make test")
    assert history.house.tasks[history.task("tool", "t")].spec["head"] == "m-w"


def test_a_person_is_told_why_there_was_no_verdict(house: type[Any]) -> None:
    history = started(house)
    history.happens("w NEEDS_REVIEW commit_hash=c1")
    for _ in range(3):
        why = "the judge is not\nlogged in" + "!" * 300
        history.house.finish(history.task("validate", "w"), {"error": why})
        history.happens("wait 20")
        history.happens("wait 20")
    (asked,) = history.house.story().open_decisions()
    lead = "judging of w gave no result 3 times: "
    assert asked.question == f"{lead}the judge is not logged in{'!' * 300}"[: len(lead) + 200]
    assert asked.context == why


def test_who_reaches_nobody_for_an_hour_asks_a_person(house: type[Any]) -> None:
    history = History(house, ONE, Limits())
    history.happens("begin")
    asked, waited = "?d1 rubric retry|give up", 0
    while asked not in history.happens("unheard rubric"):
        waited += 301
        history.happens("wait 301")
    assert 3_600 < waited < 7_200


def test_the_next_attempt_knows_what_was_wrong_with_the_one_before(house: type[Any]) -> None:
    history = started(house)
    for what in ("w NEEDS_REVIEW commit_hash=c1", "end validate w failed", "w RUNNER_EXITED"):
        history.happens(what)
    assert history.house.story().node("w").attempt.feedback == "mend it"


def test_a_flood_is_taken_in_by_and_by_and_starves_nobody(house: type[Any]) -> None:
    history = started(house)
    for number in range(5_000):
        history.house.deliver(Heard(f"f{number}", "NODE_COMPLETE", "runner", "w", 1, {}))
    history.say("w", ["NEEDS_REVIEW", "commit_hash=c1"])
    rounds = 0
    while history.house.inbox:
        before = len(history.house.inbox)
        history.happens("wait 0")
        assert len(history.house.inbox) < before
        rounds += 1
    assert rounds <= 11
    assert history.house.story().state("w") is NodeState.IMPL_COMPLETE


def test_a_flood_of_what_concerns_nobody_leaves_no_trace(house: type[Any]) -> None:
    history = started(house)
    before = len(history.house.journal)
    for number in range(5_000):
        history.house.deliver(Heard(f"f{number}", "NEEDS_REVIEW", "runner", "w", 7, {}))
    while history.house.inbox:
        history.happens("wait 0")
    assert len(history.house.journal) == before


def test_a_full_disk_holds_the_run_up_and_loses_nothing(house: type[Any], full: Any) -> None:
    history = started(house)
    space = [False]

    def point(what: str) -> None:
        if what == "append" and not space[0]:
            raise full(what)

    history.house.point = point
    before = len(history.house.journal)
    for _ in range(3):
        history.say("w", ["NEEDS_REVIEW", "id=s", "commit_hash=c1"])
        assert history.house.loop.patient_step() is False
        assert len(history.house.journal) == before
        assert history.house.inbox
    space[0] = True
    assert history.happens("wait 2") == ["w review_requested", "+validate w"]
    assert not history.house.inbox


def test_a_disk_that_stays_full_ends_the_guardian_loudly(house: type[Any], full: Any) -> None:
    history = started(house)

    def point(what: str) -> None:
        if what == "append":
            raise full(what)

    history.house.point = point
    history.say("w", ["NEEDS_REVIEW", "commit_hash=c1"])
    assert history.house.loop.patient_step() is False
    history.house.times.advance(301)
    with pytest.raises(type(full(""))):
        history.house.loop.patient_step()


def test_the_view_and_the_result_follow_the_journal(house: type[Any]) -> None:
    history = started(house)
    assert history.house.shown[NodeId("w")] is NodeState.ACTIVE
    for what in (
        "w NEEDS_REVIEW commit_hash=c1", "end validate w passed", "end merge w merged",
        "w RUNNER_EXITED",
    ):  # fmt: skip
        assert history.house.final == ""
        history.happens(what)
    assert history.house.final == "validated"
    assert history.house.shown[NodeId("finish")] is NodeState.VALIDATED


def test_an_answer_to_a_task_that_nobody_waits_for_is_put_away(house: type[Any]) -> None:
    history = started(house)
    history.house.answers["validate-99"] = {"outcome": "passed"}
    history.happens("kill")
    before = len(history.house.journal)
    assert history.happens("wait 0") == []
    assert history.house.answers == {}
    assert len(history.house.journal) == before


def test_the_guardian_sleeps_until_something_is_due(house: type[Any]) -> None:
    history = started(house)
    assert history.house.loop.sleep_seconds() == 15
    history.happens("w NEEDS_REVIEW commit_hash=c1")
    history.happens("limit validate w 5")
    assert history.house.loop.sleep_seconds() == 5


def test_what_contradicts_an_older_decision_is_on_the_record(house: type[Any]) -> None:
    history = History(house, ONE, Limits(), memory=True)
    for what in ("begin", "rubric", "w NEEDS_REVIEW commit_hash=c1", "end validate w failed"):
        history.happens(what)
    flagged = [{"text": "Never use it", "against": "Use it"}]
    said = {"ok": True, "added": [], "flagged": flagged}
    history.house.finish(history.task("remember", "w"), said)
    assert "!ESCALATION" in history.happens("wait 0")
    (note,) = [each.what for each in history.house.story().notes]
    assert "Never use it" in note


def test_what_was_planned_again_is_judged_by_the_sealed_rubric_where_that_has_scenarios(
    house: type[Any],
) -> None:
    history = History(house, ONE, Limits(max_attempts=1), replan=True)
    history.happens("begin")
    history.house.finish("rubric-1", SEALED | {"scope": {"w": ["F1"]}})
    history.happens("wait 0")
    history.happens("w RUNNER_EXITED wrote=no + gone w")
    history.happens("end replan w 2")
    assert history.house.story().rubric["acceptance"] == {"w_1": "it is done"}


def test_each_attempt_has_its_model_and_one_that_was_free_does_not_count(house: type[Any]) -> None:
    history = History(house, ONE, Limits(), retry_models=("two", ""))
    for what in ("begin", "rubric", "stop", "w RUNNER_EXITED + gone w", "resume"):
        history.happens(what)
    for _ in range(2):
        history.happens("w RUNNER_EXITED wrote=yes + gone w")
        history.happens("wait 4000")
    core = history.house.loop.core
    numbers = [each.number for each in history.house.story().node("w").attempts]
    assert [core.model("w", each) for each in numbers] == ["", "", "two", "two"]


def test_what_is_used_without_an_answer_counts(house: type[Any]) -> None:
    history = History(house, ONE, Limits(max_attempts=1), replan=True, retrospectives=1)
    for what in ("begin", "rubric", "w RUNNER_EXITED wrote=no + gone w"):
        history.happens(what)
    for _ in range(3):
        said = {"error": "no answer", "usage": {"input_tokens": 100}}
        history.house.finish(history.task("replan", "w"), said)
        history.happens("wait 0")
        history.happens("wait 20")
    assert history.house.story().spent_tokens == 300


def test_a_disk_that_is_full_just_when_the_graph_has_grown_loses_nothing(
    house: type[Any], full: Any
) -> None:
    history = History(house, ONE, Limits(max_attempts=1), replan=True)
    for what in ("begin", "rubric", "w RUNNER_EXITED wrote=no + gone w"):
        history.happens(what)
    appends = [0]

    def point(what: str) -> None:
        appends[0] += what == "append"
        if what == "append" and appends[0] == 3:  # the new nodes are written, and no more
            raise full(what)

    history.house.point = point
    history.house.finish(history.task("replan", "w"), {"parts": [PART, PART]})
    assert history.house.loop.patient_step() is False
    history.house.audit.agrees(history.house.loop.core)
    assert "w_1 dispatched 1" in history.happens("wait 2")
