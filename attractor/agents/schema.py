"""Whether an object fits a JSON schema: the whole standard, by the library that implements it.

A reference that leads out of the schema is an error, never a download. Not checked: `format`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, final

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from attractor.errors import InputError

_MOST_CHARACTERS: Final = 500


@final
class Schema:
    """A schema that is one."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(dict(schema))
        except SchemaError as error:
            where = f"schema{_place(error.absolute_path)}"
            problem = f"the question's schema is not a JSON schema: {_cut(error.message)}"
            raise InputError(problem, where=where, fix="correct the schema") from None
        self._validator: Validator = kind(dict(schema), registry=Registry())

    def misfit(self, value: object) -> str:
        """Return where and why the value does not fit; empty when it does."""
        try:
            found = best_match(self._validator.iter_errors(cast(Any, value)))
        except (Unresolvable, RecursionError) as error:
            return f"the schema cannot be applied: {_cut(str(error)) or type(error).__name__}"
        return f"answer{_place(found.absolute_path)}: {_cut(found.message)}" if found else ""


def _place(path: Iterable[str | int]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + " ..."
