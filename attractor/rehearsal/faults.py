"""What a night brings, on request: each fault changes what is scripted for one node.

Pure. What the script says for the node stays, and goes on when the fault is over. Most are an
orchestrator's in its first attempt; `futile` is that of its first three, `lie` every attempt's.
`reject`, `selfcheck`, `findings` and `afterthought` are of those who look at the work.
"""

from __future__ import annotations

import difflib
import enum
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, final

from attractor.errors import InputError
from attractor.rehearsal import fake_secret
from attractor.rehearsal.default import (
    ANYBODY,
    COMPLETE,
    FAILED,
    NOTHING_LEFT,
    changed,
    work,
)
from attractor.rehearsal.made_review import BY_ANOTHER, BY_ITSELF, added, found
from attractor.rehearsal.turn import (
    CROSS_REVIEWER,
    JUDGE,
    ORCHESTRATOR,
    RETROSPECTIVE,
    REVIEWER,
    Failure,
    Hold,
    NodeScript,
    Script,
    Text,
    ToolCall,
    Trouble,
    Turn,
    structured,
)
from attractor.run.layout import escape

_FIRST: Final = 1  # the attempt that goes wrong
_FOREVER: Final = 1000  # times that a lie is told
_FIRST_LOOK_BACK: Final = r"(?m)^Retrospective 1$"
_MOST_NAMED: Final = 30
_MOST_ADDED: Final = 5  # a retrospective may add no more


@final
class Kind(enum.Enum):
    """What can be asked for, in the order in which it is put into a script.

    What comes later happens earlier: a lie never ends, so it comes last. Those who send work back
    stand as they look at it: what is to be done again, is done in that order.
    """

    AFTERTHOUGHT = "afterthought"  # the run's first retrospective adds work behind the node's
    REJECT = "reject"  # the node's first validation finds that the work is bad
    # A key is committed, and taken out when somebody says so.
    SECRET = "secret"  # noqa: S105  # the name of a fault
    SELFCHECK = "selfcheck"  # the node's first review by its own agent finds one thing
    FINDINGS = "findings"  # the node's first review by another vendor's agent finds one thing
    FUTILE = "futile"  # in the first attempts completion is claimed with nothing done
    LIE = "lie"  # in every attempt completion is claimed with nothing done, whenever it is asked
    CRASH = "crash"  # the session's own process dies
    STUCK = "stuck"  # no answer comes, until the session is interrupted
    RATELIMIT = "ratelimit"  # the API refuses for a while
    VIOLATE = "violate"  # the orchestrator writes files itself
    PEEK = "peek"  # the orchestrator reads what is hidden from it


class Fault(NamedTuple):
    """One fault of one node."""

    kind: Kind
    node: str


@final
@dataclass(frozen=True, kw_only=True)
class Terms:
    """How long a fault lasts, and what it needs to know."""

    stuck_seconds: float = 3600.0
    retry_after: int = 2
    rate_limits: int = 2  # turns that end in one
    rejections: int = 1  # validations that fail
    futile: int = 3  # attempts in which nothing is done
    peek: tuple[str, ...] = ("acceptance-tests",)  # paths that are tried


def parse(texts: Iterable[str], nodes: Collection[str]) -> tuple[Fault, ...]:
    """Read faults written as KIND@NODE; InputError names the legal ones."""
    return tuple(_fault(text, nodes) for text in texts)


def check_form(texts: Iterable[str]) -> None:
    """Raise InputError where one is not written as KIND@NODE, whatever nodes there will be."""
    for text in texts:
        _named(text)


def apply(script: Script, faults: Iterable[Fault], terms: Terms = Terms()) -> Script:
    """Return the script with these faults in it; InputError where it has not the node's turns."""
    asked = set(faults)
    for kind in Kind:
        for node in sorted(each.node for each in asked if each.kind is kind):
            script = _APPLIED[kind](script, node, terms)
    return script


def _named(text: str) -> Fault:
    name, mark, node = text.partition("@")
    kinds = {kind.value: kind for kind in Kind}
    if name not in kinds or not mark:
        legal = ", ".join(f"{each}@NODE" for each in sorted(kinds))
        near = difflib.get_close_matches(name, kinds, 1) if mark else []
        meant = f"did you mean {near[0]}@{node}? " if near else ""
        raise InputError(f"there is no fault {text!r}", fix=f"{meant}the faults are {legal}")
    return Fault(kinds[name], node)


def _fault(text: str, nodes: Collection[str]) -> Fault:
    found = _named(text)
    if found.node not in nodes:
        problem = f"{text!r}: there is no node {found.node!r} with work to do"
        raise InputError(problem, fix=_instead(text, found.node, nodes))
    return found


def _instead(text: str, node: str, nodes: Collection[str]) -> str:
    if not nodes:
        return "leave it out: no node of the pipeline has work to do"
    near = difflib.get_close_matches(node, nodes, 1)
    meant = f"did you mean {text.partition('@')[0]}@{near[0]}? " if near else ""
    every = sorted(nodes)
    more = f" and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return f"{meant}the nodes that can have one are {', '.join(every[:_MOST_NAMED])}{more}"


def _lie(script: Script, node: str, terms: Terms) -> Script:
    del terms
    _turns(script, ORCHESTRATOR, node)
    return _everywhere(script, ORCHESTRATOR, node, lambda _: [_CLAIM] * _FOREVER)


def _futile(script: Script, node: str, terms: Terms) -> Script:
    _turns(script, ORCHESTRATOR, node)
    for attempt in range(_FIRST, terms.futile + 1):
        script = _in_attempt(script, attempt, node, [_CLAIM] * _FOREVER)
    return script


def _secret(script: Script, node: str, terms: Terms) -> Script:
    del terms
    turns, name = _turns(script, ORCHESTRATOR, node), escape(node)
    worker, file = _worker(turns), f"{escape(node)}-settings.ini"
    put, taken = fake_secret.written(file), fake_secret.removed(file)
    begin, end = f"Node {name}: keep the settings.", f"Node {name}: take out what was found."
    leak = changed(begin, worker, put, f"Keep the settings of {name}", f"Written: {file}.")
    mend = changed(end, worker, taken, f"Take out the settings of {name}", f"Removed: {file}.")
    again = [*mend, Turn((Text(f"What was found is gone.\n\n{COMPLETE}"),))]
    return _before(_sent_back(script, node, lambda _: again), node, *leak)


def _crash(script: Script, node: str, terms: Terms) -> Script:
    del terms
    # Once: a session that begins anew in the same attempt must not die, too.
    return _before(script, node, _run('kill -9 "${CLAUDE_PID:-$PPID}"'))


def _violate(script: Script, node: str, terms: Terms) -> Script:
    del terms
    write = ToolCall("Write", {"file_path": "violation.txt", "content": "x\n"})
    return _before(
        script, node, Turn((write,), sessions=1), _run("echo x > violation-by-shell.txt")
    )


def _peek(script: Script, node: str, terms: Terms) -> Script:
    looks = [
        Turn(
            (
                ToolCall("Read", {"file_path": path}),
                *_run(f"find {shlex.quote(path)} -type f -exec cat {{}} +").blocks,
            ),
            sessions=1,
        )
        for path in terms.peek
    ]
    return _before(script, node, *looks)


def _stuck(script: Script, node: str, terms: Terms) -> Script:
    return _delayed(script, node, [Hold(terms.stuck_seconds)])


def _ratelimit(script: Script, node: str, terms: Terms) -> Script:
    refused = Failure(429, terms.retry_after, reset_seconds=terms.retry_after, retried=False)
    return _delayed(script, node, [refused] * terms.rate_limits)


def _reject(script: Script, node: str, terms: Terms) -> Script:
    # Every scenario is judged in a session of its own; which validation it is, the prompt says.
    numbers = "|".join(str(number) for number in range(1, terms.rejections + 1))
    first = rf"(?m)^Validation (?:{numbers}) of node "
    bad = replace(structured(FAILED), when=first)
    script = _everywhere(script, JUDGE, node, lambda turns: [bad, *turns])
    return _sent_back(script, node, lambda turns: _rework(turns, node))


def _selfcheck(script: Script, node: str, terms: Terms) -> Script:
    del terms
    return _reviewed(script, node, REVIEWER, BY_ITSELF)


def _findings(script: Script, node: str, terms: Terms) -> Script:
    del terms
    return _reviewed(script, node, CROSS_REVIEWER, BY_ANOTHER)


def _reviewed(script: Script, node: str, role: str, problem: str) -> Script:
    # A review that was killed is asked again, so no number and no session says which is the first;
    # but each is told what was found before.
    first = rf"\A(?![\s\S]*<earlier_findings>[\s\S]*{re.escape(problem)})"
    bad = replace(structured(found(problem, *_place(script, node))), when=first)
    script = _everywhere(script, role, node, lambda turns: [bad, *turns])
    return _sent_back(script, node, lambda turns: _rework(turns, node))


def _place(script: Script, node: str) -> tuple[str, int]:
    """Return the file and the line of the node's work that a judge quotes."""
    turns = script.turns(JUDGE, node, _FIRST) if script.has(JUDGE, node, _FIRST) else ()
    said = (call.input for turn in turns for call in turn.blocks if isinstance(call, ToolCall))
    for each in (quoted for answer in said for quoted in answer.get("evidence") or ()):
        return str(each.get("file")), int(each.get("line") or 1)
    return f"{escape(node)}.txt", 1


def _afterthought(script: Script, node: str, terms: Terms) -> Script:
    del terms
    turns = list(_turns(script, RETROSPECTIVE, ""))
    more = [added(node, f"{escape(node)}-use.txt")]
    if turns and turns[0].when == _FIRST_LOOK_BACK:
        (call,) = turns.pop(0).blocks
        more = [*(call.input["additions"] if isinstance(call, ToolCall) else ()), *more]
    if len(more) > _MOST_ADDED:
        fix = f"ask for {_MOST_ADDED} afterthoughts or fewer"
        raise InputError(f"one retrospective adds {_MOST_ADDED} nodes at most", fix=fix)
    first = replace(structured({"additions": more}), when=_FIRST_LOOK_BACK)
    return replace(script, roles={**script.roles, RETROSPECTIVE: [first, *turns]})


def _sent_back(
    script: Script, node: str, again: Callable[[Sequence[Turn]], Sequence[Turn]]
) -> Script:
    """Have what is sent back done again, and not what somebody merely asks about."""
    return _everywhere(
        script, ORCHESTRATOR, node, lambda turns: [*turns, *[_ASKED] * _MOST_ASKED, *again(turns)]
    )


def _rework(turns: Sequence[Turn], node: str) -> list[Turn]:
    name = escape(node)
    prompt = f"Node {name}: do again what was found wrong."
    again = work(prompt, _worker(turns), [f"{name}.txt"], f"Rehearse {name} again")
    return [*again, Turn((Text(f"What was found wrong is right now.\n\n{COMPLETE}"),))]


def _worker(turns: Sequence[Turn]) -> str:
    """Return which worker these turns spawn first."""
    calls = (call for turn in turns for call in turn.blocks if isinstance(call, ToolCall))
    types = (call.input.get("subagent_type") for call in calls)
    return next((each for each in types if isinstance(each, str)), ANYBODY)


# What a session is told whose work is sent back; a session that waits may be asked how it stands.
SENT_BACK: Final = "The work was judged and is not accepted yet."
_ASKED: Final = replace(NOTHING_LEFT, when=rf"\A(?![\s\S]*{re.escape(SENT_BACK)})")
_MOST_ASKED: Final = 20
_CLAIM: Final = Turn((Text(f"Everything is done.\n\n{COMPLETE}"),))
_APPLIED: Final[dict[Kind, Callable[[Script, str, Terms], Script]]] = {
    Kind.AFTERTHOUGHT: _afterthought,
    Kind.REJECT: _reject,
    Kind.SECRET: _secret,
    Kind.SELFCHECK: _selfcheck,
    Kind.FINDINGS: _findings,
    Kind.FUTILE: _futile,
    Kind.LIE: _lie,
    Kind.CRASH: _crash,
    Kind.STUCK: _stuck,
    Kind.RATELIMIT: _ratelimit,
    Kind.VIOLATE: _violate,
    Kind.PEEK: _peek,
}


def _run(command: str) -> Turn:
    call = ToolCall("Bash", {"command": command, "description": "A fault of the rehearsal"})
    return Turn((call,), sessions=1)


def _turns(script: Script, role: str, node: str) -> Sequence[Turn]:
    try:
        return script.turns(role, node, _FIRST)
    except KeyError:
        problem = f"the script has no turns of the role {role!r} for node {node!r}"
        fix = "script them, or leave the fault out"
        raise InputError(problem, fix=fix) from None


def _before(script: Script, node: str, *added: Turn) -> Script:
    return _first_attempt(script, node, [*added, *_turns(script, ORCHESTRATOR, node)])


def _delayed(script: Script, node: str, troubles: Sequence[Trouble]) -> Script:
    first, *rest = _turns(script, ORCHESTRATOR, node) or [script.after]
    late = replace(first, failures=(*troubles, *first.failures))
    return _first_attempt(script, node, [late, *rest])


def _first_attempt(script: Script, node: str, turns: Sequence[Turn]) -> Script:
    return _in_attempt(script, _FIRST, node, turns)


def _in_attempt(script: Script, attempt: int, node: str, turns: Sequence[Turn]) -> Script:
    own = script.nodes.get(node, NodeScript())
    roles = {**own.attempts.get(attempt, {}), ORCHESTRATOR: turns}
    anew = replace(own, attempts={**own.attempts, attempt: roles})
    return replace(script, nodes={**script.nodes, node: anew})


def _everywhere(
    script: Script, role: str, node: str, change: Callable[[Sequence[Turn]], Sequence[Turn]]
) -> Script:
    """Change what a role does in every attempt of the node."""
    own = script.nodes.get(node, NodeScript())
    roles = {**own.roles, role: change(own.roles.get(role) or _turns(script, role, node))}
    attempts = {
        number: {**each, role: change(each[role])} if role in each else each
        for number, each in own.attempts.items()
    }
    return replace(script, nodes={**script.nodes, node: NodeScript(roles, attempts)})
