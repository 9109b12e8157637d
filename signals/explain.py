"""What pydantic found wrong, as one sentence that a person can act on.

The input itself is never repeated: it may be a megabyte, or a forger's terminal codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from signals.errors import ProtocolError

_SHOWN_ERRORS: Final = 3
_LONGEST_KEY: Final = 60
_FORMS: Final = {
    "source": "may hold letters, digits, '_' and '.' only ('-' separates the parts of a name)",
    "target": "may hold letters, digits, '_' and '.' only ('-' separates the parts of a name)",
    "timestamp": "must look like 20260224T120000.123456Z",
    "id": "must be 8 to 64 letters, digits, '-' and '_'",
    "mac": "must be 64 hexadecimal digits",
}


def explained(
    error: ValidationError, what: str, prefix: str = "", keys: Iterable[str] = ()
) -> ProtocolError:
    """Say in one sentence what pydantic found; the input itself is never repeated at length."""
    found = error.errors(include_url=False, include_input=False)[:_SHOWN_ERRORS]
    wrongs = [_wrong(detail["type"], detail["loc"], detail["msg"], prefix) for detail in found]
    fix = f"the payload's keys are: {', '.join(keys)}" if keys else ""
    return ProtocolError(f"{what}: {'; '.join(dict.fromkeys(wrongs))}", fix=fix)


def _wrong(kind_of_error: str, place: tuple[int | str, ...], message: str, prefix: str) -> str:
    key = str(place[0]) if place else ""
    # A key may come from a forger: no terminal codes, and not a megabyte of it.
    where = prefix + (key if key.isprintable() and len(key) <= _LONGEST_KEY else ascii(key[:9]))
    match kind_of_error:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"{where} is not a key of this type"
        case "value_error":
            return message.removeprefix("Value error, ")
        case "string_pattern_mismatch" if key in _FORMS:
            return f"{where} {_FORMS[key]}"
        case _:
            return f"{where}: {message[:1].lower()}{message[1:]}"
