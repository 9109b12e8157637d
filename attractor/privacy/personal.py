"""Private data in a line: e-mail addresses, addresses of private networks, people's home folders.

Not taken for private: addresses of the reserved example domains and of nobody (`noreply`), the
login before a host (`git@host:path`), what a line names as its author's, a whole network
(`10.0.0.0/8`), and in tests and documents any network address and home folder. Names, telephone
numbers and streets are not looked for: no pattern tells them from other words and numbers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from attractor.privacy.places import Usual

EMAIL: Final = "email"
ADDRESS: Final = "private-address"
HOME: Final = "home-folder"

_EMAIL: Final = re.compile(
    r"(?<![\w.+/@-])([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})"
    r"(?![\w@-]|\.\w)"
)
_NOBODY: Final = re.compile(
    r"(git|hg|svn|ssh|no-?reply|do-?not-?reply|postmaster|user|username|you|your[-_.]?\w*|name"
    r"|someone|somebody|foo|bar|test|example|me|root|.*noreply)",
    re.IGNORECASE,
)
_NOWHERE: Final = re.compile(
    r"(.*\.)?((example|test|invalid|local|localhost|localdomain|internal)"
    r"|(example|test|domain|email|company|acme|yourdomain|mydomain|localhost)\.(com|org|net|edu|io|dev)"
    r"|users\.noreply\.\w+\.com)",
    re.IGNORECASE,
)
# `icon@2x.png` and `getty@tty1.service` look like addresses.
_NO_DOMAIN: Final = re.compile(
    r"png|jpe?g|gif|svg|webp|ico|css|s[ac]ss|js|mjs|cjs|jsx|tsx?|json|ya?ml|toml|html?|txt|lock"
    r"|service|socket|timer|target|mount|path|slice|whl|jar|tgz|zip|gz|rb|go|java|kt|swift|cpp|hpp",
    re.IGNORECASE,
)
# Who made something wants to be found; `author` in a key or a comment says so.
_AUTHORS: Final = re.compile(
    r"\b(co-)?author(s|ed)?\b|\bmaintainer|\bcopyright\b|\bcontributor|\bsigned-off-by\b|\u00a9",
    re.IGNORECASE,
)
_FOUR: Final = re.compile(r"(?<![\w.-])(\d{1,3}(?:\.\d{1,3}){3})(/\d{1,2})?(?![\w-]|\.\d)")
_SIX: Final = re.compile(
    r"(?<![\w:.])((?:f[cd][0-9a-f]|fe[89ab])[0-9a-f]:[0-9a-f:]{2,36})(/\d{1,3})?(?![\w:])",
    re.IGNORECASE,
)
_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
_HOME: Final = re.compile(
    r"(?<![\w.$}~-])(?:/home/|/Users/|[A-Za-z]:\\{1,2}Users\\{1,2})([A-Za-z][\w.-]{0,31})"
)
# Of no person: stand-ins, and the accounts of images, builders and tools.
_ANYBODY: Final = re.compile(
    r"(user|username|you|your[-_.]?\w*|me|name|someone|somebody|alice|bob|carol|foo|bar|example"
    r"|test|tester|dev|admin|app|appuser|nobody|runner|ci|circleci|jenkins|build|builder|git|github"
    r"|node|ubuntu|debian|centos|fedora|ec2-user|vscode|codespace|gitpod|vagrant|linuxbrew|jovyan"
    r"|pi|default|public|shared|guest|deploy|docker|container|coder|worker|web|www|attractor)",
    re.IGNORECASE,
)

Seen = tuple[str, str, str]


def in_text(text: str, usual: Usual, public: frozenset[str]) -> Iterator[Seen]:
    """Yield kind, name and value of what is private in a part of a line."""
    if usual is Usual.HASHES:
        return
    if "@" in text and not _AUTHORS.search(text):
        yield from _emails(text, public)
    if usual is Usual.WORK:
        yield from _addresses(text)
        yield from _homes(text)


def _emails(text: str, public: frozenset[str]) -> Iterator[Seen]:
    for match in _EMAIL.finditer(text):
        name, domain = match.groups()
        whole = match.group()
        if whole.casefold() in public or _NOBODY.fullmatch(name) or _NOWHERE.fullmatch(domain):
            continue
        if _NO_DOMAIN.fullmatch(domain.rpartition(".")[2]) or _is_login(text, match):
            continue
        yield EMAIL, "an e-mail address", whole


def _is_login(text: str, match: re.Match[str]) -> bool:
    """Say whether this is a login before a host: `ssh://name@host/`, `name@host:path`."""
    after = text[match.end() : match.end() + 2]
    return text[: match.start()].endswith("://") or (
        after[:1] == ":" and after[1:] not in ("", " ")
    )


def _addresses(text: str) -> Iterator[Seen]:
    for pattern in (_FOUR, _SIX):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match.group(1))
            except ValueError:
                continue
            # `/32` is one host; any other length makes it a network, which nobody lives at.
            host = match.group(2) in (None, f"/{address.max_prefixlen}")
            private = any(address.version == each.version and address in each for each in _PRIVATE)
            if host and private:
                yield ADDRESS, "an address of a private network", match.group(1)


def _homes(text: str) -> Iterator[Seen]:
    for match in _HOME.finditer(text):
        if not _ANYBODY.fullmatch(match.group(1)):
            yield HOME, "somebody's home folder", match.group()
