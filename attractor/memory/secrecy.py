"""What may not be remembered: what looks like a secret or like personal data; pure.

The patterns are those of the review's scan, and more: in one sentence of prose a password may be
looked for more eagerly than in code. "the password is hunter2" and "passwort geheim123" are taken
for secrets; "the password is hashed with bcrypt", "the token is valid for 15 minutes" are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

_SAID: Final = re.compile(
    r"\b(?P<name>pass(?:word|wort|phrase|code)|passwd|pwd|kennwort|pin|token|secret|api[ -]?key)\b"
    r"(?:(?: (?:for|of|to|on|at|in|from|f\u00fcr|von)(?: [\w.@/-]+){1,4}?){0,2}"
    r"(?P<verb> ?(?:=|:|->) ?| (?:is|was|ist|war|lautet|equals|remains|stays)"
    r"(?: (?:now|still|always|just))?:? )| )"
    r"[\"'`\u201c\u201e]?(?P<value>[^\s\"'`\u201c\u201d]{4,200})(?P<next>(?: \w+)?)",
    re.IGNORECASE,
)
_PASSWORD: Final = re.compile(r"pass|pwd|kennwort", re.IGNORECASE)
_SIGN: Final = re.compile(r"[!@#$%^&*+=?~]")
# What a sentence may say of a password, with digits or signs in it, and is none.
_NO_VALUE: Final = re.compile(
    r"[$<{%\[(#*].*|.*[(){}<>].*|.*\*{3}.*"  # stand-ins, calls, numbers of issues
    r"|.*[/\\].*|[\w-]+(?:\.[\w-]+)+"  # paths, addresses, names of files, versions
    r"|[A-Za-z]+(?:_[A-Za-z0-9]+)+|(?-i:[A-Z]{2,}\d*)"  # names in code
    r"|\d{4}-\d\d-\d\d.*|[a-z]+(?:[-+&=@~^][a-z]+)+|\w{1,3}-[a-z]+"
    r"|\d+[-x]?(?:bits?|bytes?|char\w*|digits?|letters?|words?|min\w*|sec\w*|m?s|h(?:ours?|rs?)?"
    r"|d(?:ays?)?|weeks?|months?|[kmg]i?b)?(?:-\w+)?"
    r"|(?:\w+-)?(?:sha|md|hs|rs|es|ps|aes|argon|bcrypt|scrypt|pbkdf|base|utf|oauth|oidc|ipv|rfc|ed|x|tls"
    r"|http|h|k|i|v|s|ec|rsa|hmac|jwt|fido|gpio|saml|curve|secp|ascii|latin|iso)[-_]?\w{0,2}\d[\w-]*"
    r"|\w+=\w*|(?:see|per|not|user|non|pre|two|one)[-#+].*",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d{4,}")
_OF: Final = re.compile(
    r" (?:bits?|bytes?|char\w*|digits?|letters?|words?|min\w*|sec\w*|hours?|days?|weeks?|times?)",
    re.IGNORECASE,
)
_SHORTEST_BARE: Final = 6


@final
@dataclass(frozen=True, slots=True)
class Told:
    """A secret that a sentence tells."""

    what: str = "a password or key"


def found_secrets(text: str) -> Sequence[object]:
    """Return what in a text looks like a secret or like personal data."""
    from attractor.privacy import scan  # it costs more than all else here

    if told := [*_told(text)]:
        return told
    # As a file of settings: what an entry says of a password stands there without quotes, too.
    return scan.findings(text, "memory.ini")


def what(found: object) -> str:
    """Say for people what was found."""
    return str(getattr(found, "what", "a secret"))


def _told(text: str) -> Iterator[Told]:
    line = " ".join(text.split())
    at = 0
    while found := _SAID.search(line, at):
        at = found.start() + 1
        if _is_value(found):
            yield Told()


def _is_value(found: re.Match[str]) -> bool:
    value = found["value"].rstrip(".,;:!?)\u201d")
    is_password = _PASSWORD.match(found["name"]) is not None
    is_pin = found["name"].casefold() == "pin"
    if is_pin or _NUMBER.fullmatch(value):
        numeric = (is_pin or is_password) and _NUMBER.fullmatch(value) is not None
        return numeric and bool(found["verb"]) and not _OF.match(found["next"])
    if _NO_VALUE.fullmatch(value) or not any(map(str.isalnum, value)):
        return False
    if not found["verb"] and (not is_password or len(value) < _SHORTEST_BARE):
        return False
    letter, digit = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    return (letter and digit) or _SIGN.search(value) is not None
