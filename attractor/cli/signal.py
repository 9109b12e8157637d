"""`attractor signal`: send, list, read, await and follow signals, by hand or from a script.

It reads and writes the original harness's flat folder (found as the harness finds it), or with
`--run` the signed mailboxes of a run. `wait` is the only verb that takes a signal away; it prints
before it acknowledges, so an interrupted `wait` may show a signal twice and never loses one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, final

import click

from attractor.cli.mailboxes import Place, mailbox_of, mailboxes_of, place_options
from attractor.cli.options import SECONDS
from attractor.cli.output import check_stdout, dump, json_option, note, printable, say
from attractor.errors import AttractorError, InputError, ProtocolError
from signals import sign
from signals.atomic import storage_errors
from signals.body import decode, read_file
from signals.clock import SystemClock
from signals.mailbox import Mailbox
from signals.names import SIGNAL_TYPES, parse_name

if TYPE_CHECKING:
    from signals.kinds import AnyPayload, Signal
    from signals.watch import Watch

_DEFAULT_TIMEOUT_SECONDS: Final = 300.0
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)


@final
class NoSignalError(AttractorError):
    """Nothing came in time."""

    code = "timeout"


@click.group()
def signal() -> None:
    """Send, list, read, await and follow signals.

    Without --dir or --run the folder is $ATTRACTOR_SIGNALS_DIR, else .claude/attractor/signals of
    the git repository around the working directory, else the same in the home folder.
    """


@signal.command()
@click.option("--source", required=True, metavar="S", help="Who says it, such as runner.")
@click.option("--target", required=True, metavar="T", help="Whom it is for, such as guardian.")
@click.option("--type", "signal_type", required=True, metavar="TYPE", help="One of the 23 types.")
@click.option("--payload", default="{}", metavar="JSON", help="What it carries, a JSON object.")
@click.option("--node", metavar="N", help="The node it is about.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="K", help="The node's attempt.")
@place_options
@json_option
def send(  # noqa: PLR0913, PLR0917  # one argument for each option
    source: str,
    target: str,
    signal_type: str,
    payload: str,
    node: str | None,
    attempt: int | None,
    place: Place,
    as_json: bool,
) -> None:
    """Publish one signal; when this returns, it survives power loss."""
    from signals import kinds

    _check_type(signal_type)
    try:
        said = _payload(signal_type, payload, node)
        message = kinds.compose(
            source, target, said, run_id=place.run_id, node_id=node, attempt=attempt
        )
    except ProtocolError as bad:
        raise InputError(bad.problem, fix=bad.fix) from bad
    mailbox = mailbox_of(place, target, node)
    if place.run is None:
        mailbox.create()
    path = mailbox.send(message)
    if as_json:
        say(dump({"status": "ok", "signal_file": path, "signal_type": signal_type}))
    else:
        say(f"sent {signal_type} to {target}: {path}")


@signal.command("list")
@click.option("--target", metavar="T", help="Only the signals for this reader.")
@click.option("--all", "everything", is_flag=True, help="Also the processed and quarantined ones.")
@place_options
@json_option
def list_(target: str | None, everything: bool, place: Place, as_json: bool) -> None:
    """List the signals that wait, oldest first."""
    rows = [row for mailbox in mailboxes_of(place, target) for row in _rows(mailbox, everything)]
    rows.sort(key=lambda row: os.path.basename(row["file"]))
    if as_json:
        say(dump({"folder": place.folder, "signals": rows}))
        return
    for row in rows:
        state = row["state"] if everything else ""
        reason = f"({row['reason']})" if row["reason"] else ""
        say(printable(" ".join(part for part in (state, row["file"], reason) if part)))


@signal.command()
@click.argument("file", metavar="FILE")
@place_options
@json_option
def read(file: str, place: Place, as_json: bool) -> None:
    """Print one signal; with --run only if it carries the run's signature.

    FILE is a path, or the name of a signal that waits or was processed or quarantined.
    """
    del as_json  # a signal is JSON for people, too
    paths = [file]
    if os.sep not in file:
        paths += [
            path for box in mailboxes_of(place, None) for path in _places_in(box.folder, file)
        ]
    say(dump(_signal_in(place, paths).as_body()))


@signal.command()
@click.option("--target", required=True, metavar="T", help="The reader to take a signal from.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=_DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option("--type", "signal_type", metavar="TYPE", help="Only a signal of this type.")
@click.option("--node", metavar="N", help="Only a signal about this node.")
@place_options
@json_option
def wait(
    target: str,
    timeout: float,
    signal_type: str | None,
    node: str | None,
    place: Place,
    as_json: bool,
) -> None:
    """Take the oldest matching signal: print it, then acknowledge it. Others stay."""
    from attractor.tripwire import check_start
    from signals.watch import Watch

    del as_json  # a signal is JSON for people, too
    check_start()
    check_stdout()
    if signal_type is not None:
        _check_type(signal_type)
    mailbox = mailbox_of(place, target, node)
    if place.run is None:
        mailbox.create()
    clock = SystemClock()
    deadline = clock.monotonic() + timeout
    # The watch begins before the listing: what arrives between the two wakes it.
    with Watch([mailbox.folder]) as watch:
        _say_degraded(watch)
        while True:
            for name, found in mailbox.drain():
                if signal_type in (None, found.signal_type) and node in (None, found.node_id):
                    # What would refuse the acknowledgement does so before anything is printed.
                    with mailbox.acknowledging(name):
                        say(dump(found.as_body()))
                    return
            left = deadline - clock.monotonic()
            if left <= 0:
                raise _no_signal(target, signal_type, node, timeout, mailbox.folder)
            watch.wait(left)


@signal.command()
@click.option("--target", metavar="T", help="Only the signals for this reader.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N signals.")
@place_options
@json_option
def tail(target: str | None, count: int | None, place: Place, as_json: bool) -> None:
    """Follow the signals, one a line, without taking any; Ctrl-C ends it.

    Begins with those that wait. One that its reader takes at once is shown all the same.
    """
    from attractor.tripwire import check_start

    check_start()
    check_stdout()
    try:
        with contextlib.closing(_followed(place, target)) as followed:
            for shown, (folder, name) in enumerate(followed, 1):
                say(_line(place, folder, name, as_json=as_json), more=True)
                if shown == count:
                    return
    except KeyboardInterrupt:
        return


def _followed(place: Place, target: str | None) -> Generator[tuple[str, str]]:
    """Yield the folder and name of each signal once, those that wait first; never ends."""
    from signals.watch import Watch

    boxes = list(mailboxes_of(place, target))
    if place.run is None:
        boxes[0].create()
    seen = {(box.folder, name) for box in boxes for name in box.processed()}
    with Watch([box.folder for box in boxes]) as watch:
        _say_degraded(watch)
        watched = {box.folder for box in boxes}
        while True:
            for box in boxes:
                for name in [*box.waiting(), *box.processed()]:
                    if (box.folder, name) not in seen:
                        seen.add((box.folder, name))
                        yield box.folder, name
            watch.wait(None)
            boxes = list(mailboxes_of(place, target))
            for folder in {box.folder for box in boxes} - watched:
                watch.add(folder)  # a run gets a mailbox when it dispatches a node
                watched.add(folder)


def _line(place: Place, box_folder: str, name: str, *, as_json: bool) -> str:
    said: dict[str, Any] = {"file": name}
    try:
        body = _signal_in(place, _places_in(box_folder, name)).as_body()
    except AttractorError as bad:
        said["error"] = bad.problem
        return dump(said, indent=None) if as_json else printable(f"{name}  {bad.problem}")
    if as_json:
        return dump(said | {"signal": body}, indent=None)
    who = f"{body['timestamp']} {body['source']} -> {body['target']} {body['signal_type']}"
    return printable(f"{who} {json.dumps(body['payload'], ensure_ascii=False)}")


# What is shown


def _rows(mailbox: Mailbox, everything: bool) -> Iterator[dict[str, Any]]:
    if not os.path.isdir(mailbox.folder):
        return
    for name in mailbox.waiting():
        yield _row(mailbox.folder, name, "waiting")
    if everything:
        for name in mailbox.processed():
            yield _row(os.path.join(mailbox.folder, "processed"), name, "processed")
        for name, reason in mailbox.quarantined().items():
            folder = os.path.join(mailbox.folder, "quarantine")
            yield _row(folder, name, "quarantined") | {"reason": reason}


def _row(folder: str, name: str, state: str) -> dict[str, Any]:
    parts = parse_name(name)
    return {
        "file": os.path.join(folder, name),
        "state": state,
        "timestamp": parts and parts.stamp,
        "source": parts and parts.source,
        "target": parts and parts.target,
        "signal_type": parts and parts.signal_type,
        "reason": None,
    }


def _places_in(box_folder: str, name: str) -> list[str]:
    # In the order of a signal's life, so that one that moves on meanwhile is met later in the list.
    return [os.path.join(box_folder, sub, name) for sub in ("", "processed", "quarantine")]


def _signal_in(place: Place, paths: Iterable[str]) -> Signal:
    """Return the signal in the first of these files that exists."""
    from signals import kinds

    path = ""
    try:
        for path in paths:
            with storage_errors("read the signal", path), contextlib.suppress(*_ABSENT):
                data = read_file(path)
                body = decode(data)
                _check_signature(body, place)
                return kinds.from_body(body, data)
    except ProtocolError as bad:
        raise ProtocolError(bad.problem, where=path, fix=bad.fix) from bad
    raise InputError("there is no such signal", fix="see `attractor signal list --all`")


def _check_signature(body: dict[str, Any], place: Place) -> None:
    if place.run is not None and not sign.verify(sign.read_key(place.run.key), body):
        raise ProtocolError("forged: it does not carry this run's signature")


def _check_type(signal_type: str) -> None:
    if signal_type in SIGNAL_TYPES:
        return
    import difflib  # only for a typing error

    wanted = signal_type.upper().replace("-", "_")
    near = difflib.get_close_matches(wanted, sorted(SIGNAL_TYPES), n=3)
    known = f"the types are: {', '.join(sorted(SIGNAL_TYPES))}"
    fix = f"did you mean {' or '.join(near)}?" if near else known
    raise InputError(f"there is no signal type {signal_type!r}", where="--type", fix=fix, near=near)


def _payload(signal_type: str, text: str, node: str | None) -> AnyPayload:
    from signals import kinds

    try:
        given = decode(os.fsencode(text))
    except ProtocolError as bad:
        fix = """give one JSON object, such as '{"node_id": "build"}'"""
        raise InputError(
            f"the payload cannot be used: {bad.problem}", where="--payload", fix=fix
        ) from bad
    if node is not None and "node_id" in kinds.PAYLOADS[signal_type].model_fields:
        given.setdefault("node_id", node)
    return kinds.payload_of(signal_type, given)


def _no_signal(
    target: str, signal_type: str | None, node: str | None, timeout: float, folder: str
) -> NoSignalError:
    what = f"no {signal_type or 'signal'} for {target}" + (f" about {node}" if node else "")
    fix = "wait longer with --timeout, or see what is there with `attractor signal list --all`"
    return NoSignalError(f"{what} came within {timeout:g} seconds", where=folder, fix=fix)


def _say_degraded(watch: Watch) -> None:
    if watch.degraded:
        note(f"note: {watch.degraded}")
