"""`attractor journal`: look at a journal and verify it; reads only, and takes no lock.

FILE is a DOT file, a run's folder, or a journal file itself; without it the current run's is meant.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from attractor.cli.output import dump, json_option, note, printable, say
from attractor.errors import DamageError, InputError
from attractor.run.fold import fold
from attractor.run.journal import Entry, Reading, read
from attractor.run.layout import RunLayout, layout_of
from attractor.run.locate import find_run


@click.group()
def journal() -> None:
    """Show and verify the journal of a pipeline.

    FILE is a DOT file, a run's folder, or a journal file itself; without it the current run is
    meant. Nothing is changed.
    """


@journal.command()
@click.argument("file", required=False)
@click.option("--node", metavar="NODE", help="Only the entries about this node.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N of them.")
@json_option
def show(file: str | None, node: str | None, last: int | None, as_json: bool) -> None:
    """Show the entries of the journal of FILE, oldest first."""
    _, reading = _reading(file)
    entries = [each for each in reading.entries if node is None or _is_about(each, node)]
    entries = entries[-last:] if last else entries
    if as_json:
        say(dump([_stored(each) for each in entries]))
        return
    for each in entries:
        said = sorted(each.data.items(), key=_node_first)
        words = " ".join(f"{_word(key)}={_word(value)}" for key, value in said)
        say(printable(f"{each.seq:>6}  {each.at}  {each.event}  {words}".rstrip()))
    if not entries:
        say("no entries")
    if reading.torn:
        note(f"note: {reading.torn}")


@journal.command()
@click.argument("file", required=False)
@json_option
def verify(file: str | None, as_json: bool) -> None:
    """Check every line of the journal of FILE: its sum, and what it says; exit 1 on damage."""
    try:
        path, reading = _reading(file)
        fold(reading.entries, path)
    except DamageError as error:
        if not as_json:
            raise
        line = error.details["line"]
        found = {"valid": False, "entries": line - 1, "torn": "", "line": line}
        say(dump(found | {"message": error.problem, "where": error.where, "fix": error.fix}))
        sys.exit(1)
    found = {"valid": True, "entries": len(reading.entries), "torn": reading.torn}
    if as_json:
        say(dump(found))
        return
    say(f"{printable(path)}: {len(reading.entries)} entries, all valid")
    if reading.torn:
        say(f"note: {reading.torn}; it counts as not written, and the next writer cuts it off")


def _reading(named: str | None) -> tuple[str, Reading]:
    file = _current() if named is None else named
    path = _journal_of(file)
    if not os.path.exists(file):
        raise InputError("there is no such file", where=file, fix="check the path")
    if not os.path.exists(path):
        raise InputError(
            f"{file} has no journal yet",
            where=path,
            fix="the first `attractor transition` or run writes one",
        )
    return path, read(path)


def _current() -> str:
    """Return the folder of the run that is meant where none is named."""
    try:
        return find_run(None, os.getcwd()).root
    except InputError as error:
        error.fix = "name a DOT file, a run's folder, or a journal file"
        raise


def _journal_of(file: str) -> str:
    if file.endswith(".jsonl"):
        return file
    if os.path.isdir(file):
        return RunLayout(file).journal
    # A symbolic link to a DOT file stands for the file, whose journal lies beside that.
    return layout_of(os.path.realpath(file)).journal


def _is_about(entry: Entry, node: str) -> bool:
    statuses = entry.data.get("statuses")
    return entry.data.get("node") == node or (isinstance(statuses, dict) and node in statuses)


def _stored(entry: Entry) -> dict[str, Any]:
    return entry._asdict()


def _node_first(item: tuple[str, Any]) -> bool:
    return item[0] != "node"


def _word(value: object) -> str:
    is_word = isinstance(value, str) and value.isprintable() and value and " " not in value
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)
