"""`attractor models`: which agents can be asked here, and which free models there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from attractor.cli.output import dump, json_option, printable, say
from attractor.cli.tables import table
from attractor.run.progress import count
from signals.clock import SystemClock

_NANOSECONDS = 1_000_000_000


@click.command()
@click.option("--free", is_flag=True, help="List the free models of OpenRouter instead.")
@click.option("--url", metavar="URL", default="", help="Where to ask for them.")
@json_option
def models(*, free: bool, url: str, as_json: bool) -> None:
    """Show which agents are there: their programs, versions and logins.

    Whether a login works is known only when it is used; nothing is asked here. With --free, the
    free models of OpenRouter, the largest context first: what the model `free` of opencode means.
    """
    if free:
        _free(url, as_json=as_json)
        return
    from attractor.agents.present import present

    found = [each.as_json() for each in present(os.environ)]
    if as_json:
        say(dump({"status": "ok", "agents": found}))
        return
    rows = [
        (each["agent"], each["version"] or "?", each["login"], each["program"])
        if each["program"]
        else (each["agent"], "-", "", each["fix"])
        for each in found
    ]
    _print([("AGENT", "VERSION", "LOGIN", "PROGRAM"), *rows])


def _free(url: str, *, as_json: bool) -> None:
    from attractor.agents.free_list import address, fetch
    from attractor.agents.free_models import load, next_model, path_of

    clock = SystemClock()
    base, learned = address(os.environ, url), load(path_of(os.environ))
    listed, now = fetch(base, clock), clock.wall_ns() / _NANOSECONDS
    best = next_model(listed, learned, now)
    found: list[dict[str, Any]] = [
        {
            "model": each.id,
            "name": each.name,
            "context": each.context,
            "next": each == best,
            "cooling_until": at if (at := learned.cooling.get(each.id, 0.0)) > now else None,
            "dropped": each.id in learned.dropped,
        }
        for each in listed
    ]
    if as_json:
        say(dump({"status": "ok", "url": base, "models": found}))
        return
    if not found:
        say(printable(f"{base} has no free models"))
        return
    rows = [(each["model"], count(each["context"]), _state(each, now)) for each in found]
    _print([("MODEL", "CONTEXT", ""), *rows])


def _state(model: dict[str, Any], now: float) -> str:
    if model["dropped"]:
        return "does not exist"
    if model["cooling_until"]:
        return f"rests for {model['cooling_until'] - now:.0f} s"
    return "next" if model["next"] else ""


def _print(rows: Sequence[Sequence[str]]) -> None:
    for line in table([tuple(map(str, row)) for row in rows]):
        say(line)
