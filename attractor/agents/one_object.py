"""One JSON object by words alone, for agents that cannot be held to a schema: pure.

The prompt asks for it at its very end, since that is what a model keeps best. The last object of
the text is taken, because what stands before it is thinking aloud or an example.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_MOST_FAILURES: Final = 10_000
_MOST_CHARACTERS: Final = 4_000
_TASK: Final = """\
{prompt}

# How to answer

End with exactly one JSON object, and nothing after it. It must fit this JSON schema:

{schema}
"""


def request(prompt: str, schema: Mapping[str, Any], system: str = "") -> str:
    """Return the prompt, with the system text before it and the wish for an object after it."""
    asked = f"{system}\n\n{prompt}" if system else prompt
    return _TASK.format(prompt=asked, schema=json.dumps(schema, ensure_ascii=False))


def again(request: str, said: str, misfit: str) -> str:
    """Return the prompt of the second and last try: what came back, and why it was no answer."""
    short = said if len(said) <= _MOST_CHARACTERS else "[...] " + said[-_MOST_CHARACTERS:]
    return (
        f"{request}\nThis was asked before, and the answer could not be used: {misfit}\n"
        f"It ended so:\n\n{short}\n\nAnswer again, with one JSON object that fits the schema.\n"
    )


def last_object(text: str) -> Mapping[str, Any] | None:
    """Return the last whole JSON object of a text; of nested ones the outermost."""
    decoder, start, found = json.JSONDecoder(), text.find("{"), None
    failures = 0
    while start >= 0 and failures < _MOST_FAILURES:
        try:
            found, start = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            failures, start = failures + 1, start + 1
        start = text.find("{", start)
    return found
