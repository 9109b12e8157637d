"""`attractor answer ID OPTION`: decide what a run asks.

The answer is a signal that survives power loss. Where nothing of the run is alive, a keeper is
started, and so the run goes on. What is on the record in the end decides: a deadline, or somebody
else, may have been faster.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final, final

import click

from attractor.cli.mailboxes import put_away
from attractor.cli.options import SECONDS
from attractor.cli.output import dump, json_option, note, printable, say
from attractor.errors import AttractorError, InputError, ProtocolError
from attractor.run.keeping import ensure_keeper
from attractor.run.layout import RunLayout
from attractor.run.locate import whole_run
from attractor.run.records import Decision
from attractor.run.recount import Recounted, recount, story_of
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.sign import read_key

_SECONDS: Final = 5.0
_MOST_TEXT: Final = 4_000
_MOST_NAMED: Final = 20


@final
class AnsweredError(AttractorError):
    """The decision was made already."""

    code = "answered"


@click.command()
@click.argument("decision_id", metavar="ID")
@click.argument("option")
@click.option("--note", "remark", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--run", metavar="RUN", help="A run's name or folder; without it the current one.")
@click.option(
    "--wait",
    "seconds",
    type=SECONDS,
    default=_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until it is on the record.",
)
@json_option
def answer(
    decision_id: str,
    option: str,
    *,
    remark: str,
    run: str | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Answer decision ID of a run with OPTION, one of those that it offers.

    The beginning of an ID is enough where it cannot mean another. `attractor decisions` shows them.
    """
    found = recount(whole_run(run, os.getcwd()))
    card = _meant(found, decision_id)
    _check(found, card, option, remark)
    mailbox = Mailbox(
        found.layout.guardian_mailbox, key=read_key(found.layout.key), clock=SystemClock()
    )
    signal_id, path = _send(mailbox, found, card, option, remark)
    started = ensure_keeper(found.layout, os.environ) is not None
    recorded = put_away(mailbox, os.path.basename(path), seconds, reader="the Guardian")
    if recorded:
        _check_counted(found.layout, card, signal_id)
    said: dict[str, Any] = {"status": "ok", "run": found.run_id, "decision": card.id}
    said |= {"node": card.node, "option": option, "signal_file": path}
    if as_json:
        say(dump(said | {"recorded": recorded, "started": started}))
        return
    say(printable(f"{card.id} of {found.run_id} ({card.node or 'the run'}): {option}"))
    if started:
        note("note: no process of the run was alive; one was started, and the run goes on")
    if not recorded:
        note("note: it is not on the record yet; it waits, and counts when the run goes on")


def _meant(found: Recounted, given: str) -> Decision:
    """Return the decision with this id, or the only one whose id begins so."""
    known = found.story.decisions
    if given in known:
        return known[given]
    near = [each for each in known.values() if given and each.id.startswith(given)]
    if len(near) == 1:
        return near[0]
    waiting = [each.id for each in (near or found.story.open_decisions())][:_MOST_NAMED]
    problem = f"{given!r:.80} could be several decisions" if near else "there is no such decision"
    fix = f"it could be {', '.join(waiting)}" if waiting else f"{found.run_id} asks nothing"
    raise InputError(problem, where=given, fix=fix)


def _check(found: Recounted, card: Decision, option: str, remark: str) -> None:
    if not card.open:
        raise _answered(card)
    if found.story.ended is not None:
        fix = f"`attractor resume {found.run_id}` takes it up again"
        raise InputError(f"the run has ended: {found.story.ended['result']}", fix=fix)
    if card.options and option not in card.options:
        fix = f"the options are {', '.join(card.options)}; what else there is to say: --note TEXT"
        raise InputError(f"{option!r:.80} is none of the options", where=card.id, fix=fix)
    if not option.strip():
        raise InputError("the answer is empty", where=card.id, fix="say something")
    if max(len(option), len(remark)) > _MOST_TEXT:
        fix = "put it into a file that is committed, and say where that is"
        raise InputError(f"it is longer than {_MOST_TEXT} characters", where=card.id, fix=fix)


def _answered(card: Decision) -> AnsweredError:
    return AnsweredError(
        f"{card.id} was answered by {card.by} at {card.answered_at}: {card.option}",
        where=card.id,
        fix="nothing was changed; what is decided stays",
    )


def _send(
    mailbox: Mailbox, found: Recounted, card: Decision, option: str, remark: str
) -> tuple[str, str]:
    """Send the answer; return the signal's id, and its file."""
    from signals import kinds

    response = {"decision": card.id, "option": option, "note": remark}
    given = {"node_id": card.node or found.run_id, "response": json.dumps(response)}
    try:
        payload = kinds.payload_of("INPUT_RESPONSE", given)
        made = kinds.compose("terminal", "guardian", payload, run_id=found.run_id)
        signal = made.model_copy(update={"id": kinds.new_id()})
        return signal.id, mailbox.send(signal)
    except ProtocolError as bad:
        raise InputError(bad.problem, where=card.id, fix=bad.fix) from bad


def _check_counted(layout: RunLayout, card: Decision, signal_id: str) -> None:
    """Refuse where the decision on record is somebody else's."""
    story = story_of(layout)
    if signal_id in story.core.applied:
        return
    now = story.decisions[card.id]
    if not now.open:
        raise _answered(now)
    fix = "see `attractor decisions`, and answer again"
    raise InputError("the Guardian did not take the answer", where=card.id, fix=fix)
