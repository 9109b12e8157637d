"""What the options of several verbs have in common."""

from __future__ import annotations

import math
from typing import Final

import click


def seconds(given: object) -> float:
    """Return a length of time that a wait can have: finite, and not negative."""
    try:
        length = float(str(given))
    except ValueError:
        length = math.nan
    if not math.isfinite(length) or length < 0:
        raise click.BadParameter(f"{given!r} is not a number of seconds, 0 or more.")
    return length


# The type of every option that is a length of time: `type=SECONDS`.
SECONDS: Final = click.types.FuncParamType(seconds)
