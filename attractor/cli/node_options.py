"""The argument NODE and the option `--run` of the commands that are about one node of a run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from attractor.run.locate import find


def node_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a verb NODE and `--run`, and hand it the node that is meant as one argument `found`."""

    @click.argument("node")
    @click.option(
        "--run", metavar="RUN", help="A run's name or folder; without it the current one."
    )
    @functools.wraps(command)
    def with_node(*, node: str, run: str | None, **others: Any) -> None:
        command(find(node, run, os.getcwd()), **others)

    return with_node
