"""The `model_stylesheet` of a graph: rules such as `.review { llm_model: opus; }`.

Reads the text and says exactly where it is wrong. Which rule wins is told by `Rule.weight`, and
among equals by the later one; applying them to nodes is not this module's matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn, cast, final

from attractor.errors import InputError

PROPERTIES: Final = frozenset({"llm_model", "llm_provider", "reasoning_effort"})
LEGAL: Final = "Write rules such as * { llm_model: sonnet; } or .review { reasoning_effort: high; }"

_WEIGHTS: Final = {"*": 0, ".": 2, "#": 3}
_SHAPE_WEIGHT: Final = 1
_SPACE: Final = re.compile(r"(?:\s+|/\*.*?\*/)*", re.DOTALL)
_SELECTOR: Final = re.compile(r"\*|[#.]?[A-Za-z0-9_-]+")
_PROPERTY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VALUE: Final = re.compile(r"""(?P<quoted>"[^"]*"|'[^']*')|(?P<bare>[^\s;{}"'][^;{}"']*)""")


@final
@dataclass(frozen=True, slots=True)
class Declaration:
    """One `name: value`; `position` is the name's, counted from 0 in the stylesheet."""

    name: str
    value: str
    position: int


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """One selector and what it sets."""

    selector: str
    declarations: tuple[Declaration, ...]

    @property
    def weight(self) -> int:
        """Return how specific the selector is: all 0, a shape 1, a class 2, a node 3."""
        return _WEIGHTS.get(self.selector[0], _SHAPE_WEIGHT)


@final
class StylesheetError(InputError):
    """A stylesheet that cannot be read; `position` counts characters of its text from 0."""

    code = "stylesheet"

    @property
    def position(self) -> int:
        """Return where reading stopped."""
        return cast("int", self.details["position"])


def parse_stylesheet(text: str) -> tuple[Rule, ...]:
    """Read a stylesheet; blank means no rules. Raises StylesheetError."""
    reader = _Reader(text)
    rules = []
    while not reader.at_end():
        rules.append(reader.rule())
    return tuple(rules)


@final
class _Reader:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def at_end(self) -> bool:
        self._skip_space()
        return self._at == len(self._text)

    def rule(self) -> Rule:
        selector = self._need(_SELECTOR, "a selector: *, a shape, .class or #node")[0]
        self._sign("{", f"{{ after the selector {selector}")
        found = []
        while not self._try_sign("}"):
            found.append(self._declaration())
            if not self._try_sign(";"):
                self._sign("}", "; or } after a value")
                break
        return Rule(selector, tuple(found))

    def _declaration(self) -> Declaration:
        name = self._need(_PROPERTY, "a property name or }")
        self._sign(":", f": after the property {name[0]}")
        value = self._need(_VALUE, f"a value for {name[0]}")
        said = value["bare"].strip() if value["bare"] else value["quoted"][1:-1]
        return Declaration(name[0], said, name.start())

    def _need(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        self._skip_space()
        match = pattern.match(self._text, self._at)
        if match is None:
            self._refuse(wanted)
        self._at = match.end()
        return match

    def _sign(self, sign: str, wanted: str) -> None:
        if not self._try_sign(sign):
            self._refuse(wanted)

    def _try_sign(self, sign: str) -> bool:
        self._skip_space()
        found = self._text.startswith(sign, self._at)
        self._at += found
        return found

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _refuse(self, wanted: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        found = self._text[self._at : self._at + 1] or "the end"
        problem = f"model_stylesheet, its line {line}: expected {wanted}, found {found}"
        raise StylesheetError(problem, fix=LEGAL, position=self._at)
