"""How a run went, told for people: from the document of `report`, as Markdown or for a terminal.

Pure. Most words in the document come from agents and from files: they pass through a style, which
makes them safe to show.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attractor.run.node_story import REPLAN
from attractor.run.progress import count
from attractor.run.prose import Markdown, Plain, Style
from attractor.run.reviews import SCAN, closing
from attractor.run.roles import Role
from attractor.run.story import BEGAN_AGAIN

_WORK, _TOOL = Role.WORK.value, Role.TOOL.value
_MOST_LABEL: Final = 60
_MOST_LISTED: Final = 50
_SHORT: Final = 10
_ALONE: Final = frozenset({"start", "exit", "parallel", "parallel.fan_in", "conditional"})
"""Handlers of nodes with nothing to tell, where all went well."""
_HEADLINES: Final = {
    "validated": "Every way to the end was judged good",
    "failed": "The run has failed",
    "stopped": "The run was stopped",
    "budget": "The run was stopped by its budget",
    "running": "The run has not ended",
    "waiting": "Nothing moves until a person decides",
}
_SCANNED: Final = "scanned for secrets"
_LOOKS: Final = {"silent": "nothing is missing", "none": "nobody could"}
_GOES_ON: Final = frozenset({"running", "waiting"})
_WALLS: Final = {
    "": "not known: no session was started",
    "policy": "policy: rules and hooks were the only wall between the sessions and the rubric",
}

_RUBRICS: Final = {
    "": "none was sealed",
    "hand": "written by hand, and sealed before any work began",
    "agent": "written by an agent from the requirements, and sealed before any work began",
    "acceptance": "none; each node was judged by its acceptance text",
}

Document = Mapping[str, Any]


def markdown(document: Document) -> str:
    """Return the report as Markdown."""
    return _whole(document, Markdown())


def plain(document: Document) -> str:
    """Return the report as a terminal shows it."""
    return _whole(document, Plain())


def took(seconds: float) -> str:
    """Return a length of time in words: 12 s, 3 min 5 s, 2 h 10 min."""
    if 0 < seconds < 1:
        return "less than 1 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _whole(document: Document, style: Style) -> str:
    parts = (_head, _next, _story, _nodes, _gates, _totals, _evidence)
    return "\n".join(line for part in parts for line in part(document, style)).rstrip() + "\n"


def _head(document: Document, style: Style) -> Iterator[str]:
    result = str(document["result"])
    name = document["name"] or document["run_id"]
    yield from style.heading(f"{style.text(name, _MOST_LABEL)}: {style.text(result)}", 1)
    line = f"{_HEADLINES.get(result, style.text(result))}, after {took(document['seconds'])}."
    if document["rehearsed"]:
        line += " This was a rehearsal: the model was scripted."
    yield from (line, "")
    if document["reason"] and result != "validated":
        yield from (f"Why: {style.text(document['reason'])}", "")


def _next(document: Document, style: Style) -> Iterator[str]:
    yield from style.heading("What to do next", 2)
    run, result = str(document["run_id"]), document["result"]
    for each in document["decisions"]:
        if not each["option"] and result in _GOES_ON:
            yield f"{style.text(each['question'])} Answer it with one of its options:"
            yield ""
            options = each["options"] or ["TEXT"]
            words = ["attractor", "answer", each["id"], options[0], "--run", run]
            yield from style.command(shlex.join(words))
    if document["merge"]:
        whole = "The work is" if result == "validated" else "What was validated so far is"
        yield f"{whole} on the branch {style.code(document['branch'])}. To merge it:"
        yield ""
        yield from style.command(str(document["merge"]))
    else:
        yield from ("Nothing was merged: there is nothing to take over.", "")
    if result in ("stopped", "budget"):
        more = " --budget-usd AMOUNT" if result == "budget" else ""
        yield from ("To go on where it was left:", "")
        yield from style.command(f"attractor resume {shlex.quote(run)}{more}")
    elif result == "failed":
        yield from _again(document, style)


def _again(document: Document, style: Style) -> Iterator[str]:
    failed = [each for each in document["nodes"] if each["state"] == "failed"]
    run = str(document["run_id"])
    for node in failed[:_MOST_LISTED]:
        yield f"- {style.code(node['id'])} has failed: {style.text(node['reason'] or 'no reason')}"
        if output := _output(node):
            yield f"  - What its command said: {style.code(output)}"
    if failed:
        yield ""
    sessions = [each for each in failed if each["role"] == _WORK and each["attempts"]]
    if sessions:
        yield from ("See what its session did:", "")
        words = ["attractor", "logs", str(sessions[0]["id"]), "--run", run]
        yield from style.command(shlex.join(words))
    yield from ("To give what has failed another turn, and go on:", "")
    yield from style.command(shlex.join(["attractor", "resume", run]))


def _output(node: Mapping[str, Any]) -> str:
    """Return the file with what a node's command has said; nothing where it has none."""
    if node["role"] != _TOOL or not node["attempts"]:
        return ""
    return f"{node['attempts'][-1]['evidence']}/output.log"


def _story(document: Document, style: Style) -> Iterator[str]:
    told = sorted(
        (node for node in document["nodes"] if node["attempts"] and _tells(node)),
        key=lambda node: str(node["attempts"][0]["began"]),
    )
    if not told and not document["notes"]:
        return
    yield from style.heading("What happened", 2)
    for node in told:
        asked = [each for each in document["decisions"] if each["node"] == node["id"]]
        words = "; ".join(_of_node(node, asked, style))
        yield f"- {style.code(node['id'])}: {words}."
    yield from _whole_run(document, style)
    if again := document["totals"]["began_again"]:
        yield f"- The Guardian was started again {_times(again)}, and went on from the journal."
    if resumed := document["totals"]["resumed"]:
        yield f"- It was resumed by a person {_times(resumed)}."
    notes = [each for each in document["notes"] if not each["what"].startswith(BEGAN_AGAIN)]
    for note in notes[:_MOST_LISTED]:
        yield f"- {style.text(note['what'])}"
    yield ""


def _whole_run(document: Document, style: Style) -> Iterator[str]:
    """Say what is of the run as a whole: how its graph grew, and where it rested."""
    for change in document["changes"]:
        new = ", ".join(map(style.code, change["nodes"]))
        if change["why"] == REPLAN:
            how = f"cut into {new} and itself" if new else "written anew"
            yield f"- {style.code(change['node'])} led nowhere and was planned again: {how}."
    for look in document["looks_back"]:
        new = ", ".join(map(style.code, look["nodes"]))
        words = f"added {new}" if new else _LOOKS.get(look["outcome"], "ended without a word")
        yield f"- Looking back, round {look['round']}: {words}."
    for pause in document["pauses"][:_MOST_LISTED]:
        yield f"- A rest until {style.text(pause['until'])}: {style.text(pause['why'])}."


def _tells(node: Mapping[str, Any]) -> bool:
    return node["handler"] not in _ALONE or len(node["attempts"]) > 1 or node["state"] == "failed"


def _of_node(
    node: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], style: Style
) -> Iterator[str]:
    attempts = node["attempts"]
    for attempt in attempts:
        happened = sorted([*_happenings(node, attempt, style), *_asked(attempt, asked, style)])
        words = [*_cooldowns(attempt), *_troubles(attempt), *(what for _, what in happened)]
        words += [_end(node, attempt, style)]
        lead = f"attempt {attempt['number']}: " if len(attempts) > 1 else ""
        yield lead + ", ".join(words)


def _cooldowns(attempt: Mapping[str, Any]) -> Iterator[str]:
    if number := attempt["cooldowns"]:
        length = took(attempt["cooldown_seconds"])
        yield f"a cooldown of {length}" if number == 1 else f"{number} cooldowns, {length} in all"


def _troubles(attempt: Mapping[str, Any]) -> Iterator[str]:
    if number := attempt["violations"]:
        yield f"broke the rules {_times(number)}"
    if number := attempt["stuck"]:
        yield f"was stuck {_times(number)}"


def _happenings(
    node: Mapping[str, Any], attempt: Mapping[str, Any], style: Style
) -> Iterator[tuple[str, str]]:
    returned = {each["at"]: each["why"] for each in attempt["returned"]}
    for verdict in node["verdicts"]:
        if verdict["attempt"] == attempt["number"]:
            back = " and given back" if returned.pop(verdict["at"], None) is not None else ""
            yield verdict["at"], _judged(verdict, style) + back
    for review in node["reviews"]:
        back = " and given back" if returned.pop(review["at"], None) is not None else ""
        tells = back or review["reviewer"] != SCAN or review["allowed"]
        if review["attempt"] == attempt["number"] and tells:
            yield review["at"], _reviewed(review, back, style)
    for at, why in returned.items():
        yield at, f"given back because {style.text(why) or 'it was not good'}"


def _reviewed(review: Mapping[str, Any], back: str, style: Style) -> str:
    who = (
        _SCANNED if review["reviewer"] == SCAN else f"reviewed by {style.text(review['reviewer'])}"
    )
    if review["outcome"] == "unavailable":
        return f"not {who}, who cannot be had ({style.text(review['why'])})"
    number = review["findings"]
    found = f": {number} finding{'s' * (number != 1)}" if number else ""
    allowed = f", {review['allowed']} allowed" if review["allowed"] else ""
    stood_in = f" ({style.text(review['why'])})" if review["why"] and not number else ""
    return f"{who}{stood_in}{found}{allowed}{back}"


def _judged(verdict: Mapping[str, Any], style: Style) -> str:
    if verdict["checks"] == "red":
        return "failed its checks"
    words = f"judged {_score(verdict)}"
    if verdict["outcome"] == "investigate":
        return f"{words}, which is between, and looked at again"
    return words if verdict["score"] is not None else f"judged {style.text(verdict['outcome'])}"


def _asked(
    attempt: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], style: Style
) -> Iterator[tuple[str, str]]:
    for each in asked:
        if each["attempt"] == attempt["number"]:
            yield each["answered"] or each["asked"], _answered(each, style)


def _answered(decision: Mapping[str, Any], style: Style) -> str:
    if not decision["option"]:
        return "a person is asked"
    return f"decided {style.text(decision['option'])} by {style.text(decision['by'])}"


def _end(node: Mapping[str, Any], attempt: Mapping[str, Any], style: Style) -> str:
    if not attempt["ended"]:
        return f"goes on after {took(attempt['seconds'])}"
    event, _, reason = str(attempt["how"]).partition(": ")
    after = f" after {took(attempt['seconds'])}"
    if event == "failed":
        how = "crashed" if attempt["crashes"] else "ended without success"
        free = ", which does not count" if attempt["free"] else ""
        why = f" ({style.text(reason)})" if reason else ""
        return f"{how}{after}{free}{why}"
    if event == "passed":
        merged = f" as {style.code(str(node['merged'])[:_SHORT])}" if node["merged"] else ""
        second = closing([each for each in node["reviews"] if each["attempt"] == attempt["number"]])
        closed = f", closed by the review by {style.text(second)}" if second else ""
        return f"merged{merged}{after}{closed}"
    return f"passed{after}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _score(verdict: Mapping[str, Any]) -> str:
    score = verdict["score"]
    return f"{score:.2f}" if isinstance(score, int | float) else "-"


def _nodes(document: Document, style: Style) -> Iterator[str]:
    yield from style.heading("Nodes", 2)
    cost = "Would cost" if document["rehearsed"] else "Cost"
    rows = [("Node", "State", "Attempts", "Scores", "Time", "Tokens", cost, "What it is")]
    for node in document["nodes"]:
        attempts = node["attempts"]
        rows.append(
            (
                style.code(node["id"]),
                style.text(node["state"]),
                str(len(attempts) or "-"),
                ", ".join(map(_score, node["verdicts"][-_MOST_LISTED:])) or "-",
                took(node["seconds"]) if attempts else "-",
                count(node["tokens"]),
                _cost(node["cost_usd"]),
                style.text(node["label"], _MOST_LABEL),
            )
        )
    yield from style.table(rows)


def _gates(document: Document, style: Style) -> Iterator[str]:
    if not document["decisions"]:
        return
    yield from style.heading("Decisions", 2)
    rows = [
        (
            style.code(each["node"]),
            style.text(each["question"], _MOST_LABEL * 2),
            style.text(each["option"]) or "not yet",
            style.text(each["by"]),
            style.text(each["note"]),
        )
        for each in document["decisions"]
    ]
    head = ("Node", "Question", "Decided", "By", "Note")
    yield from style.table([head, *rows])


def _cost(amount: float) -> str:
    return f"${amount:.2f}"


def _totals(document: Document, style: Style) -> Iterator[str]:
    totals = document["totals"]
    yield from style.heading("Totals", 2)
    kinds = ("input", "output", "cache_read", "cache_creation")
    split = ", ".join(
        f"{count(totals[f'{each}_tokens'])} {each.replace('_', ' ')}" for each in kinds
    )
    yield f"- Tokens: {count(totals['tokens'])} ({split}); {totals['requests']} requests"
    amount = _cost(totals["cost_usd"])
    if document["rehearsed"]:
        yield f"- Cost: none; the tokens of the scripted model would have cost {amount}"
    else:
        yield f"- Cost, as the agents estimate it: {amount}"
    length = f", {took(totals['cooldown_seconds'])} in all" if totals["cooldowns"] else ""
    yield f"- Cooldowns: {totals['cooldowns']}{length}"
    keys = ("retries", "crashes", "rejections", "violations")
    more = ", ".join(f"{key}: {totals[key]}" for key in keys)
    yield f"- Attempts: {totals['attempts']}, {more}"
    level = str(document["blindness"])
    yield f"- Blindness: {_WALLS.get(level, style.text(level))}"
    rubric = document["rubric"]
    by = str(rubric["by"]) if rubric else ""
    yield from (f"- Rubric: {_RUBRICS.get(by, style.text(by))}", "")


def _evidence(document: Document, style: Style) -> Iterator[str]:
    yield from style.heading("Where the evidence lies", 2)
    root = str(document["run_root"])
    yield f"- Evidence of each verdict: {style.code(f'{root}/evidence')}"
    if document["rubric"] and document["rubric"]["folder"]:
        yield f"- Rubric: {style.code(document['rubric']['folder'])}"
    yield f"- Journal: {style.code(f'{root}/journal.jsonl')}"
    yield f"- Pipeline: {style.code(document['pipeline'])}"
    if document["base"]:
        commits = f"{style.code(str(document['base'])[:_SHORT])} to "
        commits += style.code(str(document["head"])[:_SHORT])
        yield f"- Commits: {commits}"
