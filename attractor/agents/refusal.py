"""What the words and statuses of a refusal mean: pure.

Providers and programs say in sentences what Claude Code says in fields. A quota that is used up is
a rate limit: it comes back by itself. Times of day without a zone are not read.
"""

from __future__ import annotations

import re
from typing import Final

from attractor.agents.answer import Answer, ErrorClass

_TEXT: Final = 500
_STATUS: Final = re.compile(r"\b(?:status|code|http|error)\b\D{0,12}\b([45]\d\d)\b", re.IGNORECASE)
_RATE: Final = re.compile(
    r"rate.?limit|too many requests|quota|usage limit|RESOURCE_EXHAUSTED|exhausted your capacity"
    r"|hit your limit",
    re.IGNORECASE,
)
_AUTH: Final = re.compile(
    r"unauthori[sz]ed|api.?key|not logged in|log.?in again|sign.?in again|missing environment var"
    r"|authenticat|permission.?denied|PERMISSION_DENIED|insufficient (?:credits|balance)"
    r"|auth method|payment required|token (?:has )?expired|refresh token",
    re.IGNORECASE,
)
_UNREACHED: Final = re.compile(
    r"\bE(?:CONN(?:REFUSED|RESET|ABORTED)|NOTFOUND|AI_AGAIN|TIMEDOUT|(?:NET|HOST)UNREACH|NETDOWN)\b"
    r"|connection (?:error|refused|reset|closed)|unable to connect|fetch failed|socket hang up"
    r"|network (?:error|is unreachable)|getaddrinfo|name resolution|could not resolve"
    r"|until the deadline: None\b",  # refused, and not by a server
    re.IGNORECASE,
)
_STATUSES: Final = {
    401: ErrorClass.AUTH,
    402: ErrorClass.AUTH,
    403: ErrorClass.AUTH,
    429: ErrorClass.RATE_LIMIT,
}
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "ms": 0.001, "s": 1.0, "": 1.0}
_WAIT: Final = re.compile(
    r"(?:again|retry|reset|resets|retry.?after|retrydelay)[\"']?\s*(?:in|after|:)?[\s\"':]*"
    r"((?:\d+(?:\.\d+)?\s*(?:days?|hours?|minutes?|seconds?|secs?|mins?|ms|[dhms])?\b[\s,and]*)+)",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[dhms])?", re.IGNORECASE)
_MOST_SECONDS: Final = 32 * 86_400.0


def class_of(said: str, status: object = None) -> ErrorClass:
    """Return what kind of refusal it is: by the status where there is one, else by the words."""
    if type(status) is not int or not 400 <= status <= 599:  # noqa: PLR2004  # HTTP's range of errors
        match = _STATUS.search(said)
        status = int(match[1]) if match else 0
    if status in _STATUSES:
        return _STATUSES[status]
    if _RATE.search(said):
        return ErrorClass.RATE_LIMIT
    return ErrorClass.AUTH if status < 500 and _AUTH.search(said) else ErrorClass.API  # noqa: PLR2004  # a server's own errors


def retry_at(said: str, now: float) -> float | None:
    """Return the moment that the words name as a wait from now; None where they name none."""
    match = _WAIT.search(said)
    if match is None:
        return None
    parts = _PART.findall(match[1])
    seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in parts)
    return now + seconds if 0 < seconds <= _MOST_SECONDS else None


def unheard(answer: Answer) -> bool:
    """Say whether nobody has heard the question: who asks was killed, or the network failed."""
    if answer.error_class is ErrorClass.CRASHED:
        return answer.exit_code is not None and answer.exit_code < 0
    known = (ErrorClass.API, ErrorClass.TIMEOUT)
    return answer.error_class in known and _UNREACHED.search(answer.error) is not None


def refused(
    said: str, now: float, *, status: object = None, at: float | None = None, fix: str = ""
) -> Answer:
    """Return the answer for a refusal; `fix` is said where a person must log in."""
    kind = class_of(said, status)
    error = f"the model's API refused: {said:.{_TEXT}}"
    if kind is ErrorClass.AUTH and fix:
        error = f"{error}; {fix}"
    when = (at or retry_at(said, now)) if kind is ErrorClass.RATE_LIMIT else None
    return Answer(error_class=kind, error=error, text=said[:_TEXT], retry_at=when)
