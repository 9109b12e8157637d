"""What the options of several verbs have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, final

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

_MOST: Final = 1e12  # what `attractor.run.request` reads; a number above it is a slip
COUNT: Final = click.IntRange(min=1)
TOKENS: Final = click.IntRange(min=1, max=int(_MOST) - 1)


@final
class Dollars(click.FloatRange):
    """An amount of money: neither nan nor inf, which would be written and could not be read."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return it as a number."""
        found = float(super().convert(value, param, ctx))
        return found if found < _MOST else self.fail(f"{value} is no amount.", param, ctx)


_BUDGETS: Final[tuple[tuple[str, click.ParamType[Any], str], ...]] = (
    ("--budget-usd", Dollars(), "End when this much is spent."),
    ("--budget-tokens", TOKENS, "The same in tokens."),
    ("--budget-usd-per-hour", Dollars(), "Rest when this much was spent within an hour."),
    ("--budget-tokens-per-hour", TOKENS, "The same in tokens."),
    ("--node-budget-usd", Dollars(), "End when one node has spent this much."),
    ("--node-budget-tokens", TOKENS, "The same in tokens."),
)


def budgets(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that bound what a run may use."""
    for name, kind, about in reversed(_BUDGETS):
        letter = "N" if kind is TOKENS else "X"
        command = click.option(name, type=kind, metavar=letter, help=about)(command)
    return command


def planned_from(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that say what a plan is made from."""
    scope = click.option(
        "--scope",
        type=click.Choice(("simple", "standard", "complex")),
        default="standard",
        show_default=True,
        help="How large a node may be.",
    )
    context = click.option(
        "--context",
        multiple=True,
        metavar="FILE|DIR",
        help="What the planner is to read; repeatable.",
    )
    goal = click.option(
        "--goal", default="", metavar="TEXT", help="What shall be true when it is done."
    )
    return goal(context(scope(command)))
