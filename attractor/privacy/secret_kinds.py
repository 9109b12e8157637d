"""Secrets in a line: the detectors of detect-secrets, and keys that it does not know.

Each detector is only asked for the values that it sees; the library's verification, which calls
the services that a key belongs to, is on another path. Passwords and random-looking strings are
guesses: not made in tests, documents and lock files, and not of values that are plainly no secret.
Hexadecimal strings are never guessed at: they are hashes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, final

from attractor.privacy.places import Usual

TOKEN: Final = "token"  # noqa: S105  # a kind of finding
PRIVATE_KEY: Final = "private-key"
PASSWORD: Final = "password"  # noqa: S105  # a kind of finding
RANDOM: Final = "random-string"

_ENTROPY: Final = 4.5
_PIECE: Final = 300
_OVERLAP: Final = 120
_MOST_HINTS: Final = 12
_SHORTEST: Final = 6
_LONGEST: Final = 200
_GUESSED: Final = ("KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString")
_LEFT_OUT: Final = (*_GUESSED, "IPPublicDetector", "BasicAuthDetector", "PrivateKeyDetector")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_IN_URL: Final = re.compile(r"://[^\s:/?#\[\]@'\"`<>{}$%]{0,100}:([^\s/@'\"`<>{}$%]{3,200})@")
# The keys of those whom agents ask, and of where they keep their work: newer than the library.
_OURS: Final = {
    "an Anthropic key": re.compile(r"\bsk-ant-[a-z]+\d*-[\w-]{20,}"),
    "an OpenAI key": re.compile(r"\bsk-(?:proj|svcacct|admin)-[\w-]{40,}"),
    "an OpenRouter key": re.compile(r"\bsk-or-v1-[0-9a-f]{40,}"),
    "a Google API key": re.compile(r"\bAIza[\w-]{35}(?![\w-])"),
    "a GitHub token": re.compile(r"\b(?:github_pat_\w{60,}|gh[opsur]_[A-Za-z0-9]{36})"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{34}\b"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a Databricks token": re.compile(r"\bdapi[0-9a-f]{32}\b"),
}
_PLAIN_WORDS: Final = re.compile(
    r"example|sample|change[-_ ]?me|your|placeholder|dummy|fake|redacted|hidden|not[-_ ]?a|secret"
    r"|password|passwd|passphrase|token|x{4}|\*{3}|\.{3}|<|>|\{|\}|\$|%|todo|none|null|test",
    re.IGNORECASE,
)
_PLAIN_PASSWORDS: Final = re.compile(
    r"pass|pw|pwd|foo|bar|baz|guest|postgres|root|admin", re.IGNORECASE
)
_HINTS: Final = re.compile(r"key|pass|pwd|secret|contrase", re.IGNORECASE)
_RANDOM: Final = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)(?!sha\d)[\w+/=-]{24,}")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]{4,}")

Seen = tuple[str, str, str]


@final
class _Detectors(NamedTuple):
    """The library, loaded once."""

    tokens: tuple[Any, ...]
    words: Any
    patterns: Callable[[str], Mapping[Any, int]]
    random: Any
    is_no_value: Callable[[str, str], bool]


def in_text(text: str, path: str, usual: Usual) -> Iterator[Seen]:
    """Yield kind, name and value of each secret in a part of a line; the surest kind of each."""
    seen: list[str] = []
    for kind, name, value in _all(text, path, usual):
        if not any(value in each or each in value for each in seen):
            seen.append(value)
            yield kind, name, value


def _all(text: str, path: str, usual: Usual) -> Iterator[Seen]:
    for found in _PRIVATE_KEY.findall(text):
        yield PRIVATE_KEY, "a private key", found
    detectors = _loaded()
    for value, name in _tokens(text, detectors).items():
        yield TOKEN, name, value
    if usual is not Usual.WORK:
        return
    for value in _IN_URL.findall(text):
        if not _PLAIN_WORDS.search(value) and not _PLAIN_PASSWORDS.fullmatch(value):
            yield PASSWORD, "a password in an address", value
    for value in _passwords(text, path, detectors):
        yield PASSWORD, "a password or key", value
    for value in _random(text, detectors):
        yield RANDOM, "a random string, which may be a key,", value


def _tokens(text: str, detectors: _Detectors) -> dict[str, str]:
    """Return each token of a known form with its name; ours know more exactly."""
    found = {value: name for name, form in _OURS.items() for value in form.findall(text)}
    for each in detectors.tokens:
        for value in each.analyze_string(text):
            known = any(value in other for other in found)
            if not known and _is_token(value, text):
                found[value] = _named(str(each.secret_type))
    return found


def _is_token(value: str, text: str) -> bool:
    """Say whether this is more than a part of a form, a stand-in, or a part of encoded data."""
    if len(value) < _SHORTEST or len(set(value)) < _SHORTEST:
        return False
    at = text.find(value)
    around = text[max(at - 1, 0) : max(at, 0)] + text[at + len(value) : at + len(value) + 1]
    return not any(each.isalnum() or each in "+/_" for each in around)


def _named(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIO' else 'a'} {name}"


def _passwords(text: str, path: str, detectors: _Detectors) -> Iterator[str]:
    if not _HINTS.search(text):
        return
    # These patterns take the cube of what they are given: neither long lines, nor the same word
    # again and again, which assigns nothing.
    for at in range(0, len(text), _PIECE - _OVERLAP):
        piece = text[at : at + _PIECE]
        if not 0 < len(_HINTS.findall(piece)) <= _MOST_HINTS:
            continue
        for value in detectors.words.analyze_string(piece, detectors.patterns(path)):
            said = value.strip().rstrip(";,")
            if _is_secret(said) and not detectors.is_no_value(said, piece):
                yield said


def _is_secret(value: str) -> bool:
    """Say whether this can be a value: no sentence, no name of something, no stand-in."""
    if not _SHORTEST <= len(value) <= _LONGEST or any(each.isspace() for each in value):
        return False
    if not any(map(str.isalpha, value)) or re.fullmatch(r"[A-Za-z_.:/()\[\]-]*", value):
        return False
    return not _PLAIN_WORDS.search(value)


def _random(text: str, detectors: _Detectors) -> Iterator[str]:
    for value in detectors.random.analyze_string(text):
        if not _RANDOM.fullmatch(value) or len(_WORDS.findall(value)) > 1:
            continue
        if detectors.random.calculate_shannon_entropy(value) <= _ENTROPY:
            continue
        if not detectors.is_no_value(value, text):
            yield value


@functools.cache
def _loaded() -> _Detectors:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.filters import heuristic
    from detect_secrets.plugins import high_entropy_strings, keyword
    from detect_secrets.util.filetype import determine_file_type

    kinds: Iterable[Any] = get_mapping_from_secret_type_to_class().values()
    usual: Any = keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP

    def is_no_value(value: str, line: str) -> bool:
        return (
            heuristic.is_sequential_string(value)
            or heuristic.is_potential_uuid(value)
            or heuristic.is_templated_secret(value)
            or heuristic.is_indirect_reference(line)
        )

    return _Detectors(
        tuple(each() for each in kinds if each.__name__ not in _LEFT_OUT),
        keyword.KeywordDetector(),
        lambda path: keyword.REGEX_BY_FILETYPE.get(determine_file_type(path), usual),
        high_entropy_strings.Base64HighEntropyString(_ENTROPY),
        is_no_value,
    )
