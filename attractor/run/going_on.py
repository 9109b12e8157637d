"""With which words a run that does not move goes on: the command, and what it must ask for. Pure.

Which budget is used up is read from the reason that the Guardian gave (`guardian.budget`); what is
asked for instead is twice what was needed, in round numbers.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import Final, NamedTuple, final

INTERRUPTED: Final = "interrupted"
"""The state of a run that has not ended, and of which no process is left."""
_GOES_ON: Final = frozenset({INTERRUPTED, "failed", "stopped", "budget"})
_NUMBER: Final = r"(\d[\d.e+-]*)"
_OF_RUN: Final = re.compile(rf"the budget of {_NUMBER} (tokens|USD) is used: {_NUMBER}")
_OF_NODE: Final = re.compile(rf"the budget of (.+), {_NUMBER} (tokens|USD), is used: {_NUMBER}")
_TOO_LITTLE: Final = re.compile(
    rf"the budget of (.+) has {_NUMBER} of {_NUMBER} (tokens|USD) left, and {_NUMBER} are needed"
)
_RUN: Final = "the run"


@final
class UsedUp(NamedTuple):
    """A budget that ended a run."""

    node: str
    """Empty for that of the whole run."""
    unit: str
    most: float
    needed: float
    """What was used, with what would have come next."""

    @property
    def option(self) -> str:
        """Return the option that gives more of it, with an amount that is enough for now."""
        whose = "node-" if self.node else ""
        amount = _round_up(2 * max(self.most, self.needed))
        if self.unit == "tokens":
            return f"--{whose}budget-tokens {max(math.ceil(amount), 1)}"
        return f"--{whose}budget-usd {amount:g}"


def command(run: str, result: str, reason: str) -> str:
    """Return what a person types; empty for a run that goes on by itself, or need not."""
    if result not in _GOES_ON:
        return ""
    # One that died while its budget ended it, ends at once again without more.
    found = used_up(reason)
    words = shlex.join(["attractor", "resume", run])
    return f"{words} {found.option}" if found else words


def used_up(reason: str) -> UsedUp | None:
    """Return which budget it was; None where the reason names none."""
    if found := _OF_RUN.fullmatch(reason):
        most, unit, used = found.groups()
        return UsedUp("", unit, float(most), float(used))
    if found := _OF_NODE.fullmatch(reason):
        node, most, unit, used = found.groups()
        return UsedUp(node, unit, float(most), float(used))
    if found := _TOO_LITTLE.fullmatch(reason):
        whose, left, most, unit, need = found.groups()
        needed = float(most) - float(left) + float(need)
        return UsedUp("" if whose == _RUN else whose, unit, float(most), needed)
    return None


def _round_up(amount: float) -> float:
    """Return an amount with two digits that count, not below the given one."""
    if amount <= 0:
        return 0.0
    size = 10.0 ** (math.floor(math.log10(amount)) - 1)
    return round(math.ceil(round(amount / size, 6)) * size, 9)
