"""The part of a run's report that says what to do next, from its document. Pure.

Commands are for whoever has just woken up: all that can be answered is there, and none of it first
by rank.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attractor.run import going_on
from attractor.run.prose import Style
from attractor.run.roles import Role

Document = Mapping[str, Any]

_WORK, _TOOL = Role.WORK.value, Role.TOOL.value
_MOST_LISTED: Final = 50
_MOST_CONTEXT: Final = 20
_OPEN: Final = frozenset({"running", "waiting", "stopping", going_on.INTERRUPTED})


def what_next(document: Document, style: Style) -> Iterator[str]:
    """Yield the lines of the section."""
    yield from style.heading("What to do next", 2)
    result = document["result"]
    if result == going_on.INTERRUPTED:
        yield from ("To go on where it was left:", "")
        yield from style.command(str(document["resume"]))
    for each in document["decisions"]:
        if not each["option"] and result in _OPEN:
            yield from _asked(each, style)
    yield from _merge(document, style)
    if result in ("stopped", "budget"):
        yield from (_why_resume(document, style), "")
        yield from style.command(str(document["resume"]))
    elif result == "failed":
        yield from _again(document, style)
    elif result == "stopping":
        yield from ("It is being ended: what follows is known when it has.", "")


def _asked(decision: Mapping[str, Any], style: Style) -> Iterator[str]:
    """Yield what a person is asked, what it is about, and each answer with what follows from it."""
    where = f"{style.code(decision['node'])}: " if decision["node"] else ""
    yield from (f"{where}{style.text(decision['question'])}", "")
    lines = [each for each in str(decision["context"]).splitlines() if each.strip()]
    for line in lines[:_MOST_CONTEXT]:
        yield f"> {style.text(line)}"
    if lines:
        yield ""
    yield from ("Answer it with one of these:" if decision["options"] else "Answer it:", "")
    for each in decision["answers"]:
        said = f": {style.text(each['effect'])}" if each["effect"] else ""
        yield from (f"{style.text(each['option'])}{said}", "")
        yield from style.command(str(each["command"]))


def _merge(document: Document, style: Style) -> Iterator[str]:
    if not document["merge"]:
        yield from ("Nothing was merged: there is nothing to take over.", "")
        return
    whole = "The work is" if document["result"] == "validated" else "What was validated so far is"
    yield f"{whole} on the branch {style.code(document['branch'])}. To merge it:"
    yield ""
    yield from style.command(str(document["merge"]))


def _why_resume(document: Document, style: Style) -> str:
    used = going_on.used_up(str(document["reason"])) if document["result"] == "budget" else None
    if used is None:
        return "To go on where it was left:"
    whose = style.code(used.node) if used.node else "the run"
    return (
        f"To go on where it was left, give {whose} more than the {used.needed:,.6g} {used.unit} "
        "that it has used or needs next; here twice as much:"
    )


def _again(document: Document, style: Style) -> Iterator[str]:
    failed = [each for each in document["nodes"] if each["state"] == "failed"]
    for node in failed[:_MOST_LISTED]:
        yield f"- {style.code(node['id'])} has failed: {style.text(node['reason'] or 'no reason')}"
        if output := _output(node):
            yield f"  - What its command said: {style.code(output)}"
    if failed:
        yield ""
    sessions = [each for each in failed if each["role"] == _WORK and each["attempts"]]
    if sessions:
        yield from ("See what its session did:", "")
        words = ["attractor", "logs", str(sessions[0]["id"]), "--run", str(document["run_id"])]
        yield from style.command(shlex.join(words))
    yield from ("To give what has failed another turn, and go on:", "")
    yield from style.command(str(document["resume"]))


def _output(node: Mapping[str, Any]) -> str:
    """Return the file with what a node's command has said; nothing where it has none."""
    if node["role"] != _TOOL or not node["attempts"]:
        return ""
    return f"{node['attempts'][-1]['evidence']}/output.log"
