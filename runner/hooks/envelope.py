"""What a hook stores when it is more, or less, than what it was told.

An envelope is `{"attractor": WORD, ..., "event": what the hook was told}`. A `cut` one
holds an event that was too long: every key stays, long texts keep both ends, long lists their
beginning. Of one that is beyond parsing only what names it stays, in any envelope.

Loaded by the hooks beside it. `json` costs as much as a whole start of Python, so its C scanner
is called directly, and the module itself only where that does not succeed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

EVENT_BYTES = 240 << 10  # as store.RAW_BYTES: an event that is longer is shortened
START_BYTES = 1 << 16  # in which the names of an event are looked for
TEXT_CHARACTERS = (8_000, 400, 20)  # tried in turn
ITEMS = 50
DEPTH = 8
NAMES = (b"hook_event_name", b"session_id", b"agent_id", b"agent_type", b"tool_name")


class Rules:
    """What `json` tells its scanner."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def parsed(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON value; ValueError or RecursionError says that it is none."""
    text = data.decode("utf-8").strip(" \t\r\n")
    try:
        from _json import make_scanner

        value, end = make_scanner(Rules)(text, 0)  # type: ignore[arg-type] # it reads attributes
        if end == len(text):
            return value
    except (ImportError, AttributeError, StopIteration, SystemError):
        pass  # without `json` the scanner cannot say what is wrong
    import json

    return json.loads(text)


def quoted(text: str) -> str:
    """Return the text as JSON, in ASCII."""
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        import json

        return json.dumps(text)
    return encode_basestring_ascii(text)


def envelope(word: str, fields: Mapping[str, str | list[str]], event: bytes) -> bytes:
    """Return an envelope; the event must be JSON."""
    parts = [f'{{"attractor":{quoted(word)}']
    for key, value in fields.items():
        many = isinstance(value, list)
        text = f"[{','.join(quoted(each) for each in value)}]" if many else quoted(str(value))
        parts.append(f"{quoted(key)}:{text}")
    return ",".join([*parts, '"event":']).encode() + event + b"}"


def around(word: str, fields: Mapping[str, str | list[str]], data: bytes, said: int) -> bytes:
    """Return an envelope around an event of `said` bytes, of which `data` is the beginning."""
    event = None
    try:
        if len(data) == said:
            event = parsed(data)
    except (ValueError, RecursionError):
        pass  # then it is named, and no more
    if not isinstance(event, dict):
        return envelope(word, fields, named(data))
    return envelope(word, fields, data if said <= EVENT_BYTES else shortened(event, data))


def cut(data: bytes, said: int) -> bytes:
    """Return the envelope of an event that is too long."""
    reason = f"the event had {said:,} bytes; long texts and lists in it are shortened"
    return around("cut", {"reason": reason}, data, said)


def shortened(event: dict[str, Any], data: bytes) -> bytes:
    """Return the event as JSON of at most EVENT_BYTES."""
    import json

    for most in TEXT_CHARACTERS:
        text = json.dumps(_shortened(event, most, DEPTH))
        if len(text) <= EVENT_BYTES:
            return text.encode()
    return named(data)


def _shortened(value: Any, most: int, depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and len(value) > most:
        half = most // 2
        left_out = f"[{len(value) - 2 * half:,} characters are left out]"
        return f"{value[:half]}\n{left_out}\n{value[-half:]}"
    if isinstance(value, dict | list) and not depth:
        return None
    if isinstance(value, dict):
        keys = [*value][:ITEMS]
        return {key[:most]: _shortened(value[key], most, depth - 1) for key in keys}
    if isinstance(value, list):
        return [_shortened(each, most, depth - 1) for each in value[:ITEMS]]
    return value


def named(data: bytes) -> bytes:
    """Return the names of an event as JSON, found without parsing it."""
    # A quote inside a JSON string is escaped, so these bytes are a key; a tool's own keys are not
    # the event's, and come later.
    start = data[:START_BYTES].partition(b'"tool_input"')[0]
    found = []
    for name in NAMES:
        before, quote, after = start.partition(b'"%s"' % name)[2].partition(b'"')
        value, end, _ = after.partition(b'"')
        if quote and end and before.strip() == b":":
            found.append(f'"{name.decode()}":{quoted(value.decode("utf-8", "replace"))}')
    return f"{{{','.join(found)}}}".encode()
