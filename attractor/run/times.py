"""The journal's times as numbers; without `datetime`, which a Guardian would carry all night."""

from __future__ import annotations

import calendar
import re
from typing import Final

_PARTS: Final = 6


def shown(text: str) -> str:
    """Return one of the journal's times as people read it; what is none, as it is."""
    return f"{text[:10]} {text[11:19]} UTC" if seconds_of(text) and text[10:11] == "T" else text


def seconds_of(text: str) -> float:
    """Return a time in UTC in seconds since 1970; 0 for none."""
    whole, _, rest = text.removesuffix("+00:00").rstrip("Z").partition(".")
    parts = [int(each) for each in re.findall(r"\d+", whole)]
    if len(parts) != _PARTS:
        return 0.0
    try:
        return calendar.timegm((*parts, 0, 0, 0)) + float(f"0.{rest or 0}")
    except ValueError:
        return 0.0
