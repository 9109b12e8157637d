"""What a night brings, on request: each fault changes what is scripted for one node.

Pure. What the script says for the node stays, and goes on when the fault is over. A fault is an
orchestrator's first attempt's; but `lie` is every attempt's, and `reject` a judge's.
"""

from __future__ import annotations

import difflib
import enum
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, final

from attractor.errors import InputError
from attractor.rehearsal.default import ANYBODY, COMPLETE, FAILED, work
from attractor.rehearsal.turn import (
    JUDGE,
    ORCHESTRATOR,
    Failure,
    Hold,
    NodeScript,
    Script,
    Text,
    ToolCall,
    Trouble,
    Turn,
)
from attractor.run.layout import escape

_FIRST: Final = 1  # the attempt that goes wrong
_FOREVER: Final = 1000  # times that a lie is told


@final
class Kind(enum.Enum):
    """What can be asked for, in the order in which it is put into a script.

    What comes later happens earlier: a lie never ends, so it comes last.
    """

    REJECT = "reject"  # the node's first validation finds that the work is bad
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
    peek: tuple[str, ...] = ("acceptance-tests",)  # paths that are tried


def parse(texts: Iterable[str], nodes: Collection[str]) -> tuple[Fault, ...]:
    """Read faults written as KIND@NODE; InputError names the legal ones."""
    return tuple(_fault(text, nodes) for text in texts)


def apply(script: Script, faults: Iterable[Fault], terms: Terms = Terms()) -> Script:
    """Return the script with these faults in it; InputError where it has not the node's turns."""
    asked = set(faults)
    for kind in Kind:
        for node in sorted(each.node for each in asked if each.kind is kind):
            script = _APPLIED[kind](script, node, terms)
    return script


def _fault(text: str, nodes: Collection[str]) -> Fault:
    name, mark, node = text.partition("@")
    kinds = {kind.value: kind for kind in Kind}
    if name not in kinds or not mark:
        legal = ", ".join(f"{each}@NODE" for each in sorted(kinds))
        raise InputError(f"there is no fault {text!r}", fix=f"the faults are {legal}")
    if node not in nodes:
        near = difflib.get_close_matches(node, nodes, 3) or sorted(nodes)[:10]
        fix = f"the nodes that can have one are {', '.join(near)}" if near else "choose another"
        raise InputError(f"{text!r}: there is no node {node!r} with work to do", fix=fix)
    return Fault(kinds[name], node)


def _lie(script: Script, node: str, terms: Terms) -> Script:
    del terms
    _turns(script, ORCHESTRATOR, node)
    claim = Turn((Text(f"Everything is done.\n\n{COMPLETE}"),))
    return _everywhere(script, ORCHESTRATOR, node, lambda _: [claim] * _FOREVER)


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
    bad = Turn((ToolCall("StructuredOutput", FAILED),), when=first)
    script = _everywhere(script, JUDGE, node, lambda turns: [bad, *turns])
    return _everywhere(script, ORCHESTRATOR, node, lambda turns: [*turns, *_rework(turns, node)])


def _rework(turns: Sequence[Turn], node: str) -> list[Turn]:
    calls = [call for turn in turns for call in turn.blocks if isinstance(call, ToolCall)]
    workers = [call.input.get("subagent_type") for call in calls]
    worker = next((each for each in workers if isinstance(each, str)), ANYBODY)
    name = escape(node)
    prompt = f"Node {name}: do again what was found wrong."
    again = work(prompt, worker, [f"{name}.txt"], f"Rehearse {name} again")
    return [*again, Turn((Text(f"What was found wrong is right now.\n\n{COMPLETE}"),))]


_APPLIED: Final[dict[Kind, Callable[[Script, str, Terms], Script]]] = {
    Kind.REJECT: _reject,
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
    own = script.nodes.get(node, NodeScript())
    first = {**own.attempts.get(_FIRST, {}), ORCHESTRATOR: turns}
    changed = replace(own, attempts={**own.attempts, _FIRST: first})
    return replace(script, nodes={**script.nodes, node: changed})


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
