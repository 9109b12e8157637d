"""What a person asks of a run: one JSON document beside it, written before the Guardian starts.

The Guardian takes it into the journal when it begins; from then on the journal's counts. Resuming a
run may write it anew (a higher budget), and only the keys of `CHANGEABLE` may differ then.
A request that loads is complete and of the right types; anything else is an InputError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Final, final

from attractor.errors import InputError
from attractor.run.layout import RunLayout

SCHEMA_VERSION: Final = 1
BUDGETS: Final = (
    "budget_tokens",
    "budget_tokens_per_hour",
    "budget_usd",
    "budget_usd_per_hour",
    "node_budget_tokens",
    "node_budget_usd",
)
CHANGEABLE: Final = frozenset(
    {"auto_approve", "base_url", "max_parallel", "on_end", "resumes", *BUDGETS}
)
_MOST_BYTES: Final = 1024 * 1024
_MOST_AMOUNT: Final = 1e12


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run, as it was asked for."""

    run_id: str
    project: str
    """The main checkout that is worked in."""
    run_root: str
    pipeline: str
    """The file that the run's graph was copied from."""
    base_commit: str
    target_dir: str = ""
    prd: str = ""
    """The document of the requirements, found or given; empty for none."""
    rubric: str = ""
    """The folder of the rubric, that is there or will be written."""
    max_parallel: int = 4
    sandbox: str = ""
    """`required`, where the command line says so; otherwise each node's setting counts."""
    auto_approve: bool = False
    """Gates that ask a person take their default, or the first option, at once."""
    budget_usd: float | None = None
    budget_tokens: int | None = None
    budget_usd_per_hour: float | None = None
    """In any hour; what would be more waits."""
    budget_tokens_per_hour: int | None = None
    node_budget_usd: float | None = None
    """For each node; empty for what the node says itself."""
    node_budget_tokens: int | None = None
    persistent: bool = False
    """Many attempts, and two looks back: for a night without anybody."""
    retrospectives: int = 0
    """How often it is looked back at most, once everything is judged good."""
    plan: str = ""
    """The folder of the plan that it was made from; empty where a person drew the graph."""
    goal: str = ""
    """What that plan is for, in a person's words."""
    on_end: str = ""
    settings: tuple[str, ...] = ()
    claude: str = ""
    rehearsed: bool = False
    base_url: str = ""
    """The scripted model's address, in a rehearsal."""
    resumes: int = 0
    """How often a person had the run go on; a Guardian that finds a new number resumes it."""
    scenario: str = ""
    faults: tuple[str, ...] = ()

    @property
    def layout(self) -> RunLayout:
        """The run's paths."""
        return RunLayout(self.run_root)

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        said = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return {key: list(each) if isinstance(each, tuple) else each for key, each in said.items()}


def dump(request: Request) -> bytes:
    """Return the document."""
    return json.dumps(request.as_json(), indent=2, ensure_ascii=False).encode() + b"\n"


def load(path: str) -> Request:
    """Read a request; InputError says what is wrong with it."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise _error(f"cannot be read: {error.strerror}", path) from error
    except (ValueError, RecursionError) as error:
        raise _error("is not JSON", path) from error
    if not isinstance(value, dict):
        raise _error("is not a JSON object", path)
    return from_json(value, path)


def from_json(value: Mapping[str, Any], where: str) -> Request:
    """Return the request that a JSON object describes."""
    said = dict(value)
    if said.pop("schema_version", None) != SCHEMA_VERSION:
        raise _error(f"has not schema_version {SCHEMA_VERSION}", where)
    known = {each.name: each for each in fields(Request)}
    if unknown := sorted(said.keys() - known.keys()):
        raise _error(f"has an unknown key {unknown[0]!r:.60}", where)
    for key, each in known.items():
        if key not in said and each.default is MISSING:
            raise _error(f"is incomplete: the key {key!r} is missing", where)
    if said.get("max_parallel", 1) == 0:
        raise _error("'max_parallel' is 0", where)
    for key, given in said.items():
        fits, what = _LEGAL[str(known[key].type)]
        if not fits(given):
            raise _error(f"{key!r} is not {what}", where)
        said[key] = tuple(given) if isinstance(given, list) else given
    return Request(**said)


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return False
    return value is None or 0 < value < _MOST_AMOUNT


_LEGAL: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "str": (lambda value: isinstance(value, str) and "\0" not in value, "text"),
    "bool": (lambda value: type(value) is bool, "true or false"),
    "int": (lambda value: type(value) is int and value >= 0, "a number, not below 0"),
    "float | None": (_is_amount, "a number above 0"),
    "int | None": (_is_amount, "a number above 0"),
    "tuple[str, ...]": (
        lambda value: isinstance(value, list | tuple) and all(type(each) is str for each in value),
        "a list of texts",
    ),
}


def _error(problem: str, where: str) -> InputError:
    fix = "it is written by `attractor run`; start another run"
    return InputError(f"the request of the run {problem}", where=where, fix=fix)
