"""Small records that outlive the process: a frozen dataclass as a JSON object, and back.

What `from_json` returns has exactly the types that the dataclass declares, and numbers that are
finite; anything else is a ValueError, and the caller knows the file. A key that is missing has
its default; one that nobody knows is left out, so that an older program reads a newer record.
Fields may be text, numbers, truth values, enums of texts, one of these or None, and tuples of one.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


def as_json(record: DataclassInstance) -> dict[str, Any]:
    """Return what `from_json` reads."""
    return {each.name: _plain(getattr(record, each.name)) for each in fields(record)}


def from_json(kind: type[R], value: object) -> R:
    """Return the record that was written."""
    if not isinstance(value, Mapping):
        raise ValueError(f"the {kind.__name__.lower()} is not an object")  # noqa: TRY004  # it is the document that is wrong, not our program
    hints = get_type_hints(kind)
    made = {}
    for each in fields(kind):
        if each.name in value:
            try:
                made[each.name] = _typed(hints[each.name], value[each.name])
            except (ValueError, TypeError, OverflowError) as error:
                problem = f"{each.name!r} of the {kind.__name__.lower()} is not what was written"
                raise ValueError(problem) from error
    return kind(**made)


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _typed(hint: Any, value: object) -> object:  # noqa: ANN401  # a type, a union, or a generic alias
    if get_origin(hint) is UnionType:
        first, nothing = get_args(hint)
        assert nothing is NoneType
        return None if value is None else _typed(first, value)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError
        return tuple(_typed(get_args(hint)[0], each) for each in value)
    if issubclass(hint, enum.Enum):
        return hint(value)
    return _scalar(hint, value)


def _scalar(hint: type, value: object) -> object:
    if hint is float and isinstance(value, int | float) and type(value) is not bool:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if type(value) is not hint:
        raise TypeError
    return value
