"""How a run went, told for people: from the document of `report`, as Markdown or for a terminal.

Pure. Most words in the document come from agents and from files: they pass through a style, which
makes them safe to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attractor.run import choices, going_on
from attractor.run.columns import wrapped
from attractor.run.node_story import REPLAN
from attractor.run.progress import STOPPED, count
from attractor.run.prose import Markdown, Plain, Style
from attractor.run.report_next import what_next
from attractor.run.reviews import SCAN, closing
from attractor.run.story import BEGAN_AGAIN
from attractor.run.times import shown

_MOST_LABEL: Final = 60
_MOST_LISTED: Final = 50
_MOST_PLACES: Final = 10
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
    "stopping": "The run is being ended",
    going_on.INTERRUPTED: "The run was interrupted",
}
_SCANNED: Final = "scanned for secrets"
_SILENT: Final = (BEGAN_AGAIN, "beads and promise were told", "there is no .beads folder")
"""How notes begin that are counted elsewhere, or tell nothing to whoever reads of the work."""
_ABOUT: Final = {
    "books": "beads and promise",
    "retrospect": "looking back",
    "rubric": "the rubric",
}
"""What the tasks of no node are about."""
_LOOKS: Final = {"silent": "nothing is missing", "none": "nobody could"}
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


def plain(document: Document, width: int = 0) -> str:
    """Return the report as a terminal shows it, of this width where it is known."""
    text = _whole(document, Plain(width))
    return "".join(f"{each}\n" for line in text.splitlines() for each in wrapped(line, width))


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
    parts = (_head, what_next, _story, _nodes, _gates, _totals, _evidence)
    return "\n".join(line for part in parts for line in part(document, style)).rstrip() + "\n"


def _head(document: Document, style: Style) -> Iterator[str]:
    result = str(document["result"])
    name = document["name"] or document["run_id"]
    yield from style.heading(f"{style.text(name, _MOST_LABEL)}: {style.text(result)}", 1)
    line = f"{_HEADLINES.get(result, style.text(result))}, after {took(document['seconds'])}."
    if document["interrupted"]:
        line += f" Nothing of it is alive; its journal ends at {shown(document['interrupted'])}."
    if document["overridden"]:
        names = ", ".join(map(style.code, document["overridden"]))
        line += f" A person had {names} merged over what a review has found."
    if document["rehearsed"]:
        line += " This was a rehearsal: the model was scripted."
    yield from (line, "")
    if document["reason"] and result != "validated":
        yield from (f"Why: {style.text(document['reason'])}", "")


def _story(document: Document, style: Style) -> Iterator[str]:
    if lines := [*_happened(document, style), *_whole_run(document, style)]:
        yield from style.heading("What happened", 2)
        yield from (*lines, "")


def _happened(document: Document, style: Style) -> Iterator[str]:
    """Yield a line for each node, in the order in which they began."""
    told = sorted(
        (node for node in document["nodes"] if node["attempts"] and _tells(node)),
        key=lambda node: str(node["attempts"][0]["began"]),
    )
    for node in told:
        asked = [each for each in document["decisions"] if each["node"] == node["id"]]
        going = "was interrupted" if document["interrupted"] else "goes on"
        words = "; ".join(_of_node(node, asked, style, going))
        yield f"- {style.code(node['id'])}: {words}."


def _whole_run(document: Document, style: Style) -> Iterator[str]:
    yield from _grown(document, style)
    if again := document["totals"]["began_again"]:
        yield f"- The Guardian was started again {_times(again)}, and went on from the journal."
    if resumed := document["totals"]["resumed"]:
        yield f"- It was resumed by a person {_times(resumed)}."
    notes = [each for each in document["notes"] if not each["what"].startswith(_SILENT)]
    for note in notes[:_MOST_LISTED]:
        about = style.text(_ABOUT.get(note["about"], note["about"]))
        of = f"{about}, " if about else ""
        yield f"- {of}{shown(note['at'])}: {style.text(note['what'])}"


def _grown(document: Document, style: Style) -> Iterator[str]:
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
        yield f"- A rest until {style.text(shown(pause['until']))}: {style.text(pause['why'])}."


def _tells(node: Mapping[str, Any]) -> bool:
    return node["handler"] not in _ALONE or len(node["attempts"]) > 1 or node["state"] == "failed"


def _of_node(
    node: Mapping[str, Any], asked: Sequence[Mapping[str, Any]], style: Style, going: str
) -> Iterator[str]:
    attempts = node["attempts"]
    for attempt in attempts:
        happened = sorted([*_happenings(node, attempt, style), *_asked(attempt, asked, style)])
        words = [*_cooldowns(attempt), *_troubles(attempt), *(what for _, what in happened)]
        words += [_end(node, attempt, asked, style) or f"{going} after {took(attempt['seconds'])}"]
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
    who = _SCANNED if review["reviewer"] == SCAN else f"reviewed by {_reviewer(review, style)}"
    if review["outcome"] == "unavailable":
        return f"not {who}, who cannot be had ({style.text(review['why'])})"
    number = review["findings"]
    found = f": {number} finding{'s' * (number != 1)}" if number else ""
    allowed = f", {_let_through(review, style)}" if review["allowed"] else ""
    tells = review["why"] and not number and not review["stood_in"]
    because = f" ({style.text(review['why'])})" if tells else ""
    return f"{who}{because}{found}{allowed}{back}"


def _let_through(review: Mapping[str, Any], style: Style) -> str:
    """Return what a person's file has let pass, with its places."""
    places = [
        style.code(f"{each['file']}:{each['line']} {each['kind']}")
        for each in review["let_through"][:_MOST_PLACES]
    ]
    more = review["allowed"] - len(places)
    said = ", ".join([*places, *([f"{more} more"] if more > 0 else [])])
    return f"{review['allowed']} allowed by {style.code('.attractor-allow')} ({said})"


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


def _end(
    node: Mapping[str, Any],
    attempt: Mapping[str, Any],
    asked: Sequence[Mapping[str, Any]],
    style: Style,
) -> str:
    """Return how an attempt ended; empty for one that did not."""
    if not attempt["ended"]:
        return ""
    event, _, reason = str(attempt["how"]).partition(": ")
    after = f" after {took(attempt['seconds'])}"
    if event == "failed":
        stopped = node["stopped"] and attempt is node["attempts"][-1]
        how = "crashed" if attempt["crashes"] else "ended without success"
        how = "was stopped" if stopped else how
        free = ", which does not count" if attempt["free"] and not stopped else ""
        why = f" ({style.text(reason)})" if reason else ""
        return f"{how}{after}{free}{why}"
    if event == "passed":
        merged = f" as {style.code(str(node['merged'])[:_SHORT])}" if node["merged"] else ""
        return f"merged{merged}{after}{_closed(node, attempt, asked, style)}"
    return f"passed{after}"


def _closed(
    node: Mapping[str, Any],
    attempt: Mapping[str, Any],
    asked: Sequence[Mapping[str, Any]],
    style: Style,
) -> str:
    """Return whose word let the work be merged, beside the judge's."""
    mine = [each for each in asked if each["attempt"] == attempt["number"]]
    said = (choices.REVIEW, choices.MERGE_IT)
    if mine and (mine[-1]["kind"], mine[-1]["option"]) == said:
        return f", closed by {style.text(mine[-1]['by'])} over what a review has found"
    last = closing([each for each in node["reviews"] if each["attempt"] == attempt["number"]])
    return f", closed by the review by {_reviewer(last, style)}" if last else ""


def _reviewer(review: Mapping[str, Any], style: Style) -> str:
    """Return who really looked."""
    named = style.text(review["reviewer"])
    return f"{style.text(review['stood_in'])}, in place of {named}" if review["stood_in"] else named


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
                style.text(STOPPED if node["stopped"] else node["state"]),
                str(len(attempts) or "-") if node["handler"] not in _ALONE else "-",
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


def _untold(attempt: Mapping[str, Any]) -> bool:
    used = attempt["usage"]
    return bool(attempt["ended"] and used.get("output_tokens")) and "cost_usd" not in used


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
    if any(_untold(each) for node in document["nodes"] for each in node["attempts"]):
        yield "- Not in it: sessions that told no cost (those of Codex and Gemini; killed ones)"
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
