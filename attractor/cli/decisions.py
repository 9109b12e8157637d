"""`attractor decisions`: what a run asks a person, and how each is answered."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Any

import click

from attractor.cli.output import dump, json_option, printable, say
from attractor.errors import UsageError
from attractor.run.locate import whole_run
from attractor.run.records import Decision
from attractor.run.recount import Recounted, command, recount


@click.command()
@click.argument("run", required=False)
@click.option("--run", "named", metavar="RUN", help="The same, as `attractor answer` takes it.")
@click.option("--all", "also_answered", is_flag=True, help="Also those that are answered.")
@json_option
def decisions(run: str | None, named: str | None, *, also_answered: bool, as_json: bool) -> None:
    """Show what RUN asks a person, the oldest first.

    RUN is a run's name or folder; without it the current one. The run goes on elsewhere meanwhile.
    """
    if run is not None and named is not None:
        raise UsageError("the run is named twice", fix="name it once: attractor decisions RUN")
    found = recount(whole_run(named if run is None else run, os.getcwd()))
    every = found.story.decisions.values()
    shown = [each for each in every if also_answered or each.open]
    if as_json:
        cards = [_object(found, each) for each in shown]
        say(dump({"status": "ok", "run": found.run_id, "decisions": cards}))
        return
    if not shown:
        say(printable(f"{found.run_id} asks nothing"))
    for each in shown:
        for line in _card(found, each):
            say(printable(line))


def _object(found: Recounted, card: Decision) -> dict[str, Any]:
    return {
        "id": card.id,
        "node": card.node,
        "attempt": card.attempt,
        "kind": card.kind,
        "question": card.question,
        "context": card.context,
        "options": [*card.options],
        "default": card.default or None,
        "deadline": card.deadline or None,
        "asked": card.asked_at,
        "option": card.option or None,
        "note": card.note or None,
        "by": card.by or None,
        "answered": card.answered_at or None,
        "command": command(card, found.run_id),
    }


def _card(found: Recounted, card: Decision) -> Iterator[str]:
    yield f"{card.id}  {card.node or 'the run'}: {card.question}"
    for line in card.context.splitlines():
        yield f"    | {line}"
    if card.options:
        yield f"    options: {', '.join(card.options)}"
    else:
        yield "    options: any text"
    if card.deadline:
        yield f"    without an answer by {card.deadline}: {card.default}"
    if card.open:
        yield f"    {shlex.join(command(card, found.run_id))}"
    else:
        note = f" ({card.note})" if card.note else ""
        yield f"    answered by {card.by} at {card.answered_at}: {card.option}{note}"
