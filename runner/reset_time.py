"""When a provider says that its limit is over, found in the text of an error.

Read are numbers that programs write (`retry-after: 20`, `resets_at`, an HTTP date), lengths of
time (`try again in 2 days 17 hours`), dates and times of day (`resets 3pm (Europe/Berlin)`). What
is past or cannot be read is None. A time of day means its next occurrence; one that has just
passed is stale, not tomorrow's. No clock is read; a time without a zone is in the machine's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # 1 MB, which only a Runner that meets a limit needs
    from datetime import datetime, tzinfo

_MOST_CHARACTERS: Final = 8_000
_STALE_SECONDS: Final = 3 * 3600.0
_DAY_SECONDS: Final = 86_400.0
_DIGITS_OF_MS: Final = 13
_HALF_DAY: Final = 12

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"

# What programs write.
_EPOCH: Final = re.compile(
    r"(?:resets?[_-]?at[\"']?\s*[:=]\s*[\"']?|reached\|)(\d{13}|\d{10})(?![\d.])", re.IGNORECASE
)
_FIELD: Final = re.compile(
    r"(?:resets?_in_seconds|reset-after-seconds|retry[-_ ]?after|retry[-_]?delay)(-ms|_ms)?"
    r"[\"']?\s*[:=]\s*[\"']?(\d+(?:\.\d+)?)(ms|s)?(?![\w.:-]|[ \t]*[a-z])",
    re.IGNORECASE,
)
_HTTP_DATE: Final = re.compile(
    rf"retry-after[\"']?\s*:\s*[\"']?\w{{3}},\s+(?P<day>\d\d)\s+{_MONTH}\s+(?P<year>\d{{4}})\s+"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\s+(?P<zone>GMT)",
    re.IGNORECASE,
)

# What people read: one of these words, then the time.
_SOON: Final = re.compile(
    r"\b(?:resets?|retry|retrying|again|available|until|wait)[\s:\"']+"
    r"(?:(?:in|at|on|after|again|about|for|by)[\s:\"']+)*",
    re.IGNORECASE,
)
_UNIT: Final = r"(?:ms|milliseconds?|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)"
_LENGTH: Final = re.compile(
    rf"(?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-z])(?:,\s*|\s+and\s+|\s*))+", re.IGNORECASE
)
_PART: Final = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})", re.IGNORECASE)
_ZONE: Final = r"(?:\s*\(?(?P<zone>[A-Z]\w+(?:/[\w+-]+)+|UTC|GMT|Z|[+-]\d\d:?\d\d)\b\)?)?"
_CLOCK: Final = (
    r"(?:(?P<midnight>midnight)|"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::(?P<second>\d\d)(?:\.\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\b\.?)?)"
)
_ISO: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T\s]" + _CLOCK + _ZONE, re.IGNORECASE
)
_DATE: Final = re.compile(
    rf"{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year>\d{{4}})\b)?"
    rf"(?:(?:,\s*|\s+at\s+|\s+){_CLOCK})?{_ZONE}",
    re.IGNORECASE,
)
_WEEKDAY: Final = re.compile(
    rf"(?P<weekday>{'|'.join(_DAYS)})[a-z]*,?\s+(?:at\s+)?{_CLOCK}{_ZONE}", re.IGNORECASE
)
_TIME: Final = re.compile(_CLOCK + r"(?!\d|\.\d)" + _ZONE, re.IGNORECASE)


def reset_at(text: str, now: float, zone: tzinfo | None = None) -> float | None:
    """Return when the limit is over, in seconds since 1970; None if the text does not say."""
    said = text[-_MOST_CHARACTERS:].replace("\u202f", " ").replace("\xa0", " ")
    for found in _found(said, now, zone):
        if found is not None:
            return found if found > now else None
    return None


def _found(text: str, now: float, zone: tzinfo | None) -> Iterator[float | None]:
    """Give every time that the text may mean, the exact ones first."""
    if match := _EPOCH.search(text):
        yield float(match[1]) * (0.001 if len(match[1]) == _DIGITS_OF_MS else 1.0)
    if match := _FIELD.search(text):
        milliseconds = match[1] or (match[3] or "").lower() == "ms"
        yield now + float(match[2]) * (0.001 if milliseconds else 1.0)
    if match := _HTTP_DATE.search(text):
        yield _moment(match.groupdict(), now, zone)
    for soon in _SOON.finditer(text):
        yield _said(text, soon.end(), now, zone)


def _said(text: str, at: int, now: float, zone: tzinfo | None) -> float | None:
    if match := _ISO.match(text, at):
        return _moment(match.groupdict(), now, zone)
    if match := _LENGTH.match(text, at):
        return now + sum(
            float(count) * _unit_seconds(unit.lower()) for count, unit in _PART.findall(match[0])
        )
    for pattern in (_DATE, _WEEKDAY, _TIME):
        if match := pattern.match(text, at):
            return _moment(match.groupdict(), now, zone)
    return None


def _unit_seconds(unit: str) -> float:
    if unit == "ms" or unit.startswith("milli"):
        return 0.001
    return {"d": _DAY_SECONDS, "h": 3600.0, "m": 60.0, "s": 1.0}[unit[0]]


def _moment(parts: dict[str, str | None], now: float, zone: tzinfo | None) -> float | None:
    """Return the time that the named parts of a match mean; None where there is no such time."""
    from datetime import datetime

    clock = _clock(parts)
    if clock is None:
        return None
    try:
        # Without a zone it is naive, and so follows the machine's summer time.
        here = datetime.fromtimestamp(now, _zone(parts.get("zone"), zone))
        return _nearest(parts, here, clock)
    except (ValueError, OverflowError, OSError):
        return None


def _clock(parts: dict[str, str | None]) -> tuple[int, int, int] | None:
    hour, minute, half = parts.get("hour"), parts.get("minute"), (parts.get("half") or "").lower()
    if hour is None:  # midnight, or a date alone: its beginning
        return 0, 0, 0
    if minute is None and not half:
        return None  # a bare number is no time
    number = int(hour)
    if half:
        if not 1 <= number <= _HALF_DAY:
            return None
        number = number % _HALF_DAY + (_HALF_DAY if half == "p" else 0)
    return number, int(minute or 0), int(parts.get("second") or 0)


def _zone(named: str | None, zone: tzinfo | None) -> tzinfo | None:
    from datetime import UTC, timedelta, timezone

    if not named:
        return zone
    if named.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if named[0] in "+-":
        ahead = timedelta(hours=int(named[1:3]), minutes=int(named[-2:]))
        return timezone(-ahead if named[0] == "-" else ahead)
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(named)
    except (KeyError, ValueError, OSError):  # a machine without the table of zones
        return zone


def _nearest(
    parts: dict[str, str | None], here: datetime, clock: tuple[int, int, int]
) -> float | None:
    from datetime import timedelta

    day = here.replace(hour=clock[0], minute=clock[1], second=clock[2], microsecond=0)
    if parts.get("month"):
        return _on_date(parts, here, day).timestamp()
    if weekday := parts.get("weekday"):
        day += timedelta(days=(_DAYS.index(weekday.lower()) - here.weekday()) % 7)
        return (day if day > here else day + timedelta(days=7)).timestamp()
    if day <= here:
        stale = here - day < timedelta(seconds=_STALE_SECONDS)
        return None if stale else (day + timedelta(days=1)).timestamp()
    return day.timestamp()


def _on_date(parts: dict[str, str | None], here: datetime, day: datetime) -> datetime:
    from datetime import timedelta

    month, year = parts["month"] or "", parts.get("year")
    number = int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1
    date = day.replace(year=int(year or here.year), month=number, day=int(parts["day"] or 0))
    if not year and here - date > timedelta(days=180):  # told in December of a day in January
        date = date.replace(year=here.year + 1)
    return date
