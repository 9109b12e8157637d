"""Values inside of what somebody else wrote: found, or nothing, whatever its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def at(value: object, *keys: str) -> object:
    """Return what lies at these keys; None where there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def text_at(value: object, *keys: str) -> str:
    """Return the text there, on one line; empty where there is none."""
    found = at(value, *keys)
    return " ".join(found.split()) if isinstance(found, str) else ""


def texts_at(value: object, *keys: str) -> tuple[str, ...]:
    """Return the texts of the list there."""
    found = at(value, *keys)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def table_at(value: object, *keys: str) -> dict[str, object]:
    """Return the table there."""
    found = at(value, *keys)
    return {str(key): each for key, each in found.items()} if isinstance(found, Mapping) else {}


def odd_at(value: object, *, texts: str = "", tables: str = "") -> Iterator[str]:
    """Yield what is there and is passed over, as it is no text or no table; keys are `a.b a.c`."""
    if not isinstance(value, Mapping):
        yield "it is no object"
    for kind, keys, what in ((str, texts, "text"), (Mapping, tables, "table")):
        for key in keys.split():
            found = at(value, *key.split("."))
            if found is not None and not isinstance(found, kind):
                yield f"`{key}` is no {what}"


def items_at(value: object, *keys: str) -> list[object]:
    """Return the items of the list there."""
    found = at(value, *keys)
    return list(found) if isinstance(found, list) else []
