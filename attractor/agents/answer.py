"""An agent's answer: a checked object, or why there is none.

`ok` means that the agent ended its run itself and gave an object that fits the question's schema.
Everything else is no verdict, and says so by one of a closed set of classes. Whether the object is
true is not known here.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from attractor.agents.usage import Usage, money
from attractor.errors import InputError

SCHEMA_VERSION: Final = 1
_MOST_BYTES: Final = 64 * 1024 * 1024


@final
class ErrorClass(enum.Enum):
    """Why there is no verdict, as far as it tells what to do next."""

    NONE = "none"  # there is one
    TIMEOUT = "timeout"  # no answer before the question's deadline
    NOT_INSTALLED = "not_installed"  # no such agent here, or not its program
    API = "api"  # the model's API refused or failed; asking again may help
    RATE_LIMIT = "rate_limit"  # asking again helps later: `retry_at`, where it is known
    AUTH = "auth"  # a person must log in or pay
    SCHEMA = "schema"  # the agent ran and gave no object that fits
    MALFORMED = "malformed"  # the question cannot be asked, or the answer cannot be read
    CRASHED = "crashed"  # the agent's program, or ours around it, failed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    error_class: ErrorClass
    error: str = ""
    """For people; empty when there is a verdict."""
    structured: Any = None
    text: str = ""
    """What the agent said last, or the API's error as it was shown."""
    retry_at: float | None = None
    """Seconds since 1970: the provider's own word on when to come back."""
    session_id: str = ""
    usage: Usage = field(default_factory=Usage)
    exit_code: int | None = None
    """Of the agent's program, negative for a signal; None where it was stopped or never ran."""
    tail: str = ""
    """The last that the program said, as it said it."""

    @property
    def ok(self) -> bool:
        """Whether there is a verdict."""
        return self.error_class is ErrorClass.NONE

    @property
    def cost_usd(self) -> float | None:
        """What the program estimates; None where it said nothing."""
        return self.usage.cost_usd

    def as_json(self) -> dict[str, Any]:
        """Return what `load` reads."""
        return {
            "schema_version": SCHEMA_VERSION,
            "ok": self.ok,
            "error_class": self.error_class.value,
            "error": self.error,
            "structured": self.structured,
            "text": self.text,
            "retry_at": self.retry_at,
            "session_id": self.session_id,
            "usage": self.usage.as_json(),
            "exit_code": self.exit_code,
            "tail": self.tail,
        }


class NotInstalledError(InputError):
    """There is no such agent, or not the program or library that it needs."""


def dump(answer: Answer) -> bytes:
    """Return the document."""
    return json.dumps(answer.as_json(), indent=2).encode() + b"\n"


def load(path: str | os.PathLike[str]) -> Answer:
    """Read an answer that was written by the asking process; InputError for anything else."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        value = json.loads(data)
        return _from_json(value)
    except OSError as error:
        raise _error(f"cannot be read: {error.strerror}", path) from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _error("is not one that was written here", path) from error


def _from_json(value: Mapping[str, Any]) -> Answer:
    if value["schema_version"] != SCHEMA_VERSION:
        raise ValueError
    exit_code = value["exit_code"]
    return Answer(
        error_class=ErrorClass(value["error_class"]),
        error=str(value["error"]),
        structured=value["structured"],
        text=str(value["text"]),
        retry_at=money(value["retry_at"]),
        session_id=str(value["session_id"]),
        usage=Usage.from_json(value["usage"]),
        exit_code=exit_code if type(exit_code) is int else None,
        tail=str(value["tail"]),
    )


def _error(problem: str, path: str | os.PathLike[str]) -> InputError:
    fix = "ask again: this counts as no verdict"
    return InputError(f"the answer {problem}", where=os.fspath(path), fix=fix)
