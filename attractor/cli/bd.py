"""`attractor bd`: the issue store, with the verbs, flags and JSON of bd."""

from __future__ import annotations

import click

from attractor.cli import bd_links, bd_read, bd_store, bd_write
from attractor.cli.bd_call import BdGroup


@click.group("bd", cls=BdGroup)
def bd() -> None:
    """Keep beads: issues in .beads/issues.jsonl, compatible with bd."""


for _command in (
    *bd_write.COMMANDS,
    *bd_read.COMMANDS,
    *bd_links.COMMANDS,
    *bd_store.COMMANDS,
):
    bd.add_command(_command)
