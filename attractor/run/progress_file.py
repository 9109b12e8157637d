"""PROGRESS.md: how far a run is, for whoever looks into its folder; pure.

A view of the journal and nothing else: no clock is read, so that the same journal gives the same
page, and nobody reads it back. Texts of agents are shortened and escaped. Of the run's end, and of
all the rest, the report tells more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attractor.run.node_story import NodeStory
from attractor.run.prose import Markdown
from attractor.run.records import Decision
from attractor.run.states import DONE
from attractor.run.story import Story

_MOST_LISTED: Final = 20
_STYLE: Final = Markdown()


def markdown(story: Story) -> str:
    """Return the page of a run, as its journal tells it by now."""
    parts = (_head, _nodes, _decisions, _notes)
    return "\n".join(line for part in parts for line in part(story)).rstrip() + "\n"


def _head(story: Story) -> Iterator[str]:
    run = _STYLE.text(story.request.get("run_id") or "a run")
    yield from _STYLE.heading(f"Progress of {run}", 1)
    yield from ("Made from the run's journal; what is changed here changes nothing.", "")
    if goal := story.request.get("goal"):
        yield from (f"Goal: {_STYLE.text(goal)}", "")
    states = list(story.core.statuses.values())
    done = sum(each in DONE for each in states)
    yield f"- Nodes: {done} of {len(states)} are done"
    yield f"- Began: {story.began_at or 'not yet'}"
    if story.ended is not None:
        why = story.ended.get("reason")
        reason = f" ({_STYLE.text(why)})" if why else ""
        yield f"- Ended: {story.ended_at}, {_STYLE.text(story.ended.get('result'))}{reason}"
    elif story.stopping is not None:
        yield f"- It is being stopped: {_STYLE.text(story.stopping.get('reason') or 'asked to')}"
    yield ""


def _nodes(story: Story) -> Iterator[str]:
    if not story.core.statuses:
        return
    rows: list[Sequence[str]] = [("Node", "State", "Attempts", "Scores", "Last")]
    for name, state in story.core.statuses.items():
        node = story.nodes.get(name) or NodeStory()
        rows.append(
            (
                _STYLE.code(name),
                state.value,
                str(len(node.attempts) or "-"),
                ", ".join(_scores(node)) or "-",
                _STYLE.text(_last(node)) or "-",
            )
        )
    yield from _STYLE.heading("Nodes", 2)
    yield from _STYLE.table(rows)


def _scores(node: NodeStory) -> Iterator[str]:
    for verdict in node.verdicts[-_MOST_LISTED:]:
        score = verdict.get("score")
        known = isinstance(score, int | float)
        yield f"{score:.2f}" if known else _STYLE.text(verdict.get("outcome") or "-")


def _last(node: NodeStory) -> str:
    """Return what matters most of a node by now."""
    if node.merged:
        return f"merged as {node.merged[:12]}"
    attempt = node.attempt
    if attempt is not None and attempt.ended:
        return attempt.how
    said = f"{node.last} at {node.last_at}" if node.last else ""
    feedback = attempt.returned[-1][1] if attempt is not None and attempt.returned else ""
    return node.reason or (f"given back: {feedback}" if feedback else said)


def _decisions(story: Story) -> Iterator[str]:
    if not story.decisions:
        return
    yield from _STYLE.heading("Decisions", 2)
    for each in list(story.decisions.values())[-_MOST_LISTED:]:
        yield f"- {_decision(each)}"
    yield ""


def _decision(each: Decision) -> str:
    asked = f"{_STYLE.code(each.id)} {_STYLE.text(each.question)}"
    if each.open:
        return f"{asked} Waits for a person, since {each.asked_at}."
    return f"{asked} {_STYLE.text(each.option)}, by {_STYLE.text(each.by)}"


def _notes(story: Story) -> Iterator[str]:
    if not story.notes:
        return
    yield from _STYLE.heading("Notes", 2)
    for each in story.notes[-_MOST_LISTED:]:
        yield f"- {each.at} {_STYLE.text(each.what)}"
    yield ""
