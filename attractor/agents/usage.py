"""What asking models used: tokens, requests, turns, and what the program says it cost.

Values without I/O; the keys are those of a signal's `usage`. Whoever reads a figure counts it once,
whoever wants a sum adds. Costs are the agent program's own estimates: there is no price table here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self, final

from attractor.errors import InputError

# Figures come from programs and files that we do not control; none may be absurd or endless.
_MOST: Final = 10**15
_MOST_MODELS: Final = 32
_MOST_NAME: Final = 100
_OTHERS: Final = "others"
_FIX: Final = "it is written by this program only: restore the file that holds it"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What sessions or questions used; sums are made with `+`."""

    sessions: int = 0
    turns: int = 0
    requests: int = 0
    """Answers of the model, those to subagents included."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cost_usd: float | None = None
    """None where nobody said."""
    models: Mapping[str, int] = field(default_factory=dict)
    """Output tokens by model."""

    def __add__(self, other: Usage) -> Usage:
        mine, its = asdict(self), asdict(other)
        counts = {key: mine[key] + its[key] for key in _COUNTS}
        costs = [each for each in (self.cost_usd, other.cost_usd) if each is not None]
        models = dict(self.models)
        for name, tokens in other.models.items():
            key = name if name in models or len(models) < _MOST_MODELS else _OTHERS
            models[key] = models.get(key, 0) + tokens
        return Usage(**counts, cost_usd=sum(costs) if costs else None, models=models)

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads, and what a signal's `usage` may hold."""
        said = asdict(self)
        return {key: value for key, value in said.items() if value is not None and value != {}}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return what `as_json` wrote; InputError for anything else."""
        if not isinstance(value, Mapping):
            raise InputError("a record of usage is not a JSON object", fix=_FIX)
        said = dict(value)
        models = said.pop("models", {})
        cost = said.pop("cost_usd", None)
        counts = [*said.values(), *(models.values() if isinstance(models, dict) else [None])]
        if said.keys() - _COUNTS or [each for each in counts if type(each) is not int or each < 0]:
            raise InputError("a record of usage has other keys or figures than ours", fix=_FIX)
        return cls(**said, cost_usd=money(cost), models=models)


_COUNTS: Final = {each.name for each in fields(Usage)} - {"cost_usd", "models"}


def number(value: object) -> int:
    """Return a figure that somebody else wrote; 0 for what cannot be one."""
    return value if type(value) is int and 0 <= value <= _MOST else 0


def money(value: object) -> float | None:
    """Return a cost that somebody else wrote; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST else None


def usage_of_message(message: Mapping[str, Any]) -> Usage:
    """Return what one message of the Messages API says it used."""
    said = message.get("usage")
    usage: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    output = number(usage.get("output_tokens"))
    return Usage(
        requests=1,
        input_tokens=number(usage.get("input_tokens")),
        output_tokens=output,
        cache_read_tokens=number(usage.get("cache_read_input_tokens")),
        cache_creation_tokens=number(usage.get("cache_creation_input_tokens")),
        models={str(message.get("model"))[:_MOST_NAME]: output},
    )


def usage_of_result(result: Mapping[str, Any]) -> Usage:
    """Return what a `result` event of Claude Code says; it is cumulative, so never add two.

    Its `usage` leaves out subagents and answers that were cut off; `modelUsage` does not.
    """
    total = Usage(sessions=1, turns=1, cost_usd=money(result.get("total_cost_usd")))
    said = result.get("modelUsage")
    for name, each in said.items() if isinstance(said, Mapping) else ():
        if isinstance(each, Mapping):
            output = number(each.get("outputTokens"))
            total += Usage(
                input_tokens=number(each.get("inputTokens")),
                output_tokens=output,
                cache_read_tokens=number(each.get("cacheReadInputTokens")),
                cache_creation_tokens=number(each.get("cacheCreationInputTokens")),
                models={str(name)[:_MOST_NAME]: output},
            )
    return total
