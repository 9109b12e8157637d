"""Words that only say of something that it is as it should be, and nothing that can be observed."""

from __future__ import annotations

import re
from typing import Final

_SUBJECT: Final = r"(?:(?:the|this|that|a|an|all|every)\s+)?(?:\w+\s+){0,3}?"
_VERB: Final = r"(?:(?:should|must|will)\s+)?(?:works?|behaves?|functions?|performs?|is|are|be)"
_PRAISE: Final = (
    r"(?:\s+(?:all|also|and|as|be|complete[d]?|correct(?:ly)?|done|expected|fine|good|handled"
    r"|implemented|intended|is|it|met|ok|okay|properly|required|right|satisfied|should|specified"
    r"|successful(?:ly)?|valid|well|working))*"
)
_SUCCESS: Final = r"(?:it|everything|this|that|all)\s+(?:succeeds?|passes|pass)"
_EMPTY_WORDS: Final = re.compile(rf"(?:{_SUBJECT}{_VERB}{_PRAISE}|{_SUCCESS})\W*", re.IGNORECASE)


def says_nothing(text: str) -> bool:
    """Say whether this is all praise."""
    return _EMPTY_WORDS.fullmatch(text) is not None
