"""Fetching OpenRouter's list of models: one request, with a deadline and a bound on its size.

The address is that of the setting, of ATTRACTOR_OPENROUTER_URL, or OpenRouter's own. No key is
needed or sent; an answer that leads elsewhere is not followed.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from attractor.agents.free_models import FreeModel, free_models
from attractor.errors import InputError, ToolError
from signals.clock import Clock

VARIABLE: Final = "ATTRACTOR_OPENROUTER_URL"
USUAL: Final = "https://openrouter.ai"
SECONDS: Final = 20.0
_PATH: Final = "/api/v1/models"
_MOST_BYTES: Final = 16 * 1024 * 1024
_CHUNK: Final = 65_536
_OK: Final = 200


def address(environ: Mapping[str, str], named: str = "") -> str:
    """Return the address that is asked: the named one, the variable's, or the usual one."""
    return (named or environ.get(VARIABLE) or USUAL).rstrip("/")


def fetch(base: str, clock: Clock, seconds: float = SECONDS) -> list[FreeModel]:
    """Return the free models, the best first; ToolError when the list cannot be had."""
    data = _get(base, clock, clock.monotonic() + seconds, seconds)
    try:
        listed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _failure(base, "what it sent is not JSON") from error
    if not isinstance(listed, dict) or not isinstance(listed.get("data"), list):
        raise _failure(base, "what it sent is no list of models")
    return free_models(listed)


def _get(base: str, clock: Clock, deadline: float, seconds: float) -> bytes:
    connection, path = _connection(base, seconds)
    try:
        connection.request("GET", path, headers={"accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != _OK:
            raise _failure(base, f"it answered with status {answer.status}")
        data = bytearray()
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > _MOST_BYTES:
                raise _failure(base, f"it sent more than {_MOST_BYTES} bytes")
            if clock.monotonic() > deadline:
                raise _failure(base, f"it did not end within {seconds:g} seconds")
        return bytes(data)
    except TimeoutError as error:
        raise _failure(base, f"it did not answer within {seconds:g} seconds") from error
    except (OSError, http.client.HTTPException) as error:
        raise _failure(base, str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _connection(base: str, seconds: float) -> tuple[http.client.HTTPConnection, str]:
    fix = f"set {VARIABLE} to an address such as {USUAL}"
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise InputError("this is not an address", where=base, fix=fix) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("this is not an address", where=base, fix=fix)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, port, timeout=seconds), parts.path + _PATH


def _failure(base: str, why: str) -> ToolError:
    fix = "try again later, or name a model"
    return ToolError(f"the list of free models cannot be had: {why}", where=base, fix=fix)
