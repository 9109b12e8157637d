"""A file with keys that open nothing, for a rehearsal of what finds keys. Pure.

They are made when they are asked for, so that no scanner finds one in this program's own text. The
same file holds the same keys.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from typing import Final

_ID: Final = "AK" + "IA"
_ID_CHARACTERS: Final = 16
_KEY_CHARACTERS: Final = 40
_DASHES: Final = "-" * 5
_KIND: Final = "RSA PRIV" + "ATE KEY"


def text(file: str) -> str:
    """Return what the file holds: an AWS key pair, and the head of a private key."""
    seed = hashlib.sha512(file.encode("utf-8", "surrogatepass")).digest()
    name = base64.b32encode(seed).decode()[:_ID_CHARACTERS]
    key = base64.b64encode(seed).decode()[:_KEY_CHARACTERS]
    inside = base64.b64encode(hashlib.sha512(seed).digest()).decode()[:64]
    return (
        "[default]\n"
        f'aws_access_key_id = "{_ID}{name}"\n'
        f'aws_secret_access_key = "{key}"\n'
        f"{_DASHES}BEGIN {_KIND}{_DASHES}\n{inside}\n{_DASHES}END {_KIND}{_DASHES}\n"
    )


def written(file: str) -> list[str]:
    """Return the lines of shell that write the file, also where git is told to ignore it."""
    path = shlex.quote(file)
    return [f"printf '%s' {shlex.quote(text(file))} > {path}", f"git add -f {path}"]


def removed(file: str) -> list[str]:
    """Return the lines of shell that take the file away, whoever knows it."""
    path = shlex.quote(file)
    return [f"git rm -q -f --ignore-unmatch -- {path}", f"rm -f -- {path}"]
