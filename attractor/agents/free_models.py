"""Which free model is asked next: pure, but for reading and writing what was learned.

Of OpenRouter's list, those count that cost nothing, can use tools, and answer in text; the largest
context comes first. A model that was rate limited rests until a moment; one that does not exist is
left out for a week, after which it may be back. What was learned is a view: where its file cannot
be read, it is learned anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, final

from signals import atomic

COOLING_SECONDS: Final = 600.0
"""How long a model rests whose provider does not say how long."""
DROPPED_SECONDS: Final = 7 * 86_400.0
_SCHEMA_VERSION: Final = 1
_MOST_KNOWN: Final = 1_000
_MOST_BYTES: Final = 1024 * 1024
_MOST_MODELS: Final = 10_000
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,199}")


@final
@dataclass(frozen=True, slots=True)
class FreeModel:
    """A model that costs nothing."""

    id: str
    name: str
    context: int
    """How many tokens it can be given."""


@final
@dataclass(frozen=True, slots=True)
class Learned:
    """What asking has shown; moments are seconds since 1970."""

    cooling: Mapping[str, float] = field(default_factory=dict)
    """Until when a model is not asked again."""
    dropped: Mapping[str, float] = field(default_factory=dict)
    """Since when a model is known not to exist."""


def free_models(listed: object) -> list[FreeModel]:
    """Return the free ones of a list as OpenRouter sends it, the largest context first."""
    data = listed.get("data") if isinstance(listed, Mapping) else None
    found = {}
    for each in (data if isinstance(data, list) else [])[:_MOST_MODELS]:
        if isinstance(each, Mapping) and (model := _model(each)):
            found[model.id] = model
    return sorted(found.values(), key=lambda each: (-each.context, each.id))


def _model(said: Mapping[str, Any]) -> FreeModel | None:
    identity, pricing, context = said.get("id"), said.get("pricing"), said.get("context_length")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        return None
    if type(context) is not int or not isinstance(pricing, Mapping) or not _is_free(pricing):
        return None
    parameters = said.get("supported_parameters")
    if isinstance(parameters, list) and "tools" not in parameters:
        return None
    shape = said.get("architecture")
    answers = shape.get("output_modalities") if isinstance(shape, Mapping) else None
    if isinstance(answers, list) and answers != ["text"]:
        return None
    return FreeModel(identity, str(said.get("name") or identity)[:200], context)


def _is_free(pricing: Mapping[str, Any]) -> bool:
    """Say whether every price is there and is zero; a negative one means that it varies."""
    try:
        prices = [float(each) for each in pricing.values() if isinstance(each, str | int | float)]
        return {"prompt", "completion"} <= pricing.keys() and not any(prices)
    except ValueError:
        return False


def next_model(models: Iterable[FreeModel], learned: Learned, now: float) -> FreeModel | None:
    """Return the first that exists and does not rest; None when there is none left."""
    for each in models:
        gone = now - learned.dropped.get(each.id, -DROPPED_SECONDS) < DROPPED_SECONDS
        if not gone and learned.cooling.get(each.id, 0.0) <= now:
            return each
    return None


def cooled(learned: Learned, model: str, until: float | None, now: float) -> Learned:
    """Return what is known after a rate limit of this model."""
    rest = until if until is not None and until > now else now + COOLING_SECONDS
    return _bounded(Learned({**learned.cooling, model: rest}, learned.dropped), now)


def dropped(learned: Learned, model: str, now: float) -> Learned:
    """Return what is known after this model turned out not to exist."""
    return _bounded(Learned(learned.cooling, {**learned.dropped, model: now}), now)


def _bounded(learned: Learned, now: float) -> Learned:
    """Return the same without what no longer holds."""
    cooling = {key: at for key, at in learned.cooling.items() if at > now}
    gone = {key: at for key, at in learned.dropped.items() if 0 <= now - at < DROPPED_SECONDS}
    newest = (dict(list(each.items())[-_MOST_KNOWN:]) for each in (cooling, gone))
    return Learned(*newest)


def path_of(environ: Mapping[str, str]) -> str:
    """Return where what was learned is kept, in the person's state folder."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # which the specification says to ignore
        home = environ.get("HOME") or os.path.expanduser("~")
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "attractor", "free-models.json")


def load(path: str) -> Learned:
    """Read what was learned; nothing where there is none, or none that can be read."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
        if value["schema_version"] != _SCHEMA_VERSION:
            return Learned()
        cooling, gone = (dict(value[key]) for key in ("cooling", "dropped"))
        moments = [*cooling.values(), *gone.values()]
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return Learned()
    whole = all(isinstance(at, int | float) and not isinstance(at, bool) for at in moments)
    return Learned(cooling, gone) if whole else Learned()


def save(path: str, learned: Learned) -> None:
    """Keep what was learned, in one durable step; StorageError where that cannot be done."""
    folder = os.path.dirname(path)
    # A file that is in the way of the folder is refused by the step after this one.
    with atomic.storage_errors("create", folder), contextlib.suppress(FileExistsError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    said = {"schema_version": _SCHEMA_VERSION, **asdict(learned)}
    atomic.replace(path, json.dumps(said, indent=2).encode() + b"\n")
