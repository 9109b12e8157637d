"""Why a text is refused: one sentence for each fault, and one that says what to do instead.

Every function here raises, or returns, the DotError that points at the fault itself.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from attractor.pipeline.document import DotError
from attractor.pipeline.lex import scan, tokens
from attractor.pipeline.source import Source

TEXT_FIX: Final = 'Put double quotes around it: "..."'

_FOUND: Final = {
    "end": "the end of the file",
    "html": "an HTML label",
    "quoted": "a quoted string",
}
_UNCLOSED: Final = {
    "unclosed string": ("This string is not closed.", 'Write `"` where it should end.'),
    "unclosed html": ("This HTML label is not closed.", "Write a `>` for every `<`."),
    "unclosed comment": ("This comment is not closed.", "Write `*/` where it should end."),
}
_LONGEST_WORD: Final = 40
_QUOTES: Final = "'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f`"


def short(word: str) -> str:
    """Return a word that fits into a sentence."""
    return word if len(word) <= _LONGEST_WORD else word[:_LONGEST_WORD] + "..."


def refuse_token(source: Source, kind: str, at: int, expected: str) -> NoReturn:
    """Raise the DotError for a token that may not stand here; `expected` says what may."""
    text = source.text
    if kind in _UNCLOSED:
        raise DotError.at(source, at, *_UNCLOSED[kind])
    if kind == "stray":
        letter = text[at]
        if letter in _QUOTES:
            problem = f"`{letter}` is no quotation mark to DOT."
            raise DotError.at(source, at, problem, 'Write a straight double quote: `"`.')
        shown = f"`{letter}`" if letter.isprintable() else f"The character U+{ord(letter):04X}"
        raise DotError.at(source, at, f"{shown} may not stand outside quotes.", TEXT_FIX)
    word = text[at : scan(text, at)[2]]
    found = f"`{short(word)}`" if kind == "bare" else _FOUND.get(kind, f"`{kind}`")
    raise DotError.at(source, at, f"Here stands {found}.", expected)


def refuse_beginning(source: Source, kind: str, at: int, word: str) -> NoReturn:
    """Refuse a text whose first word is not `digraph`; `word` is the keyword it is, if any."""
    if word == "strict":
        raise DotError.at(
            source,
            at,
            "A `strict` graph merges parallel edges, and their conditions would be lost.",
            "Delete the word `strict`.",
        )
    if word == "graph":
        raise DotError.at(
            source,
            at,
            "This is an undirected graph; a pipeline has directions.",
            "Write `digraph` instead of `graph`, and `->` instead of `--`.",
        )
    if kind == "end":
        what = "holds only comments" if source.text.strip(" \t\r\n\ufeff") else "is empty"
        fix = "Write `digraph name { ... }`; `attractor new` writes a template to begin with."
        raise DotError.at(source, at, f"The file {what}; there is no graph in it.", fix)
    if kind == "unclosed comment":
        refuse_token(source, kind, at, "")
    found = _digraph(source.text)
    if found:
        line = source.place(found.end()).line
        fix = f"Delete everything before `digraph` in line {line}, or make it a comment."
        raise DotError.at(source, at, "Text stands before the graph.", fix)
    raise DotError.at(
        source,
        at,
        "This is not a pipeline: a pipeline begins with the word `digraph`.",
        "Give a DOT file: `digraph name { a -> b }`.",
    )


_digraph = re.compile(r"^[ \t]*digraph\b", re.MULTILINE | re.IGNORECASE).search


def refuse_rest(source: Source, kind: str, at: int, word: str) -> NoReturn:
    """Refuse what stands behind the graph's closing brace."""
    if word in {"digraph", "graph", "strict"}:
        fix = "One file is one pipeline: move this graph to a file of its own."
        raise DotError.at(source, at, "A second graph begins here.", fix)
    if kind == "}":
        raise DotError.at(source, at, "There is one `}` too many.", "Delete it.")
    if kind.startswith("unclosed"):
        refuse_token(source, kind, at, "")
    raise DotError.at(
        source,
        at,
        "Text stands after the end of the graph.",
        "Delete it, or make it a comment with `//`; the graph ends at its closing `}`.",
    )


_NO_STATEMENT: Final = {
    "html": ("An HTML label is no node id.", "Write `id [label=<...>]`."),
    "unclosed html": ("A `<` may not stand outside quotes.", "Arrows are `->`."),
    "->": ("This arrow has nothing before it.", "Write `a -> b`."),
    "--": ("This arrow has nothing before it.", "Write `a -> b`."),
    "[": (
        "This attribute list belongs to nothing.",
        "Write it behind a node, an edge, or one of `node`, `edge`, `graph`.",
    ),
}


def refuse_statement(source: Source, kind: str, at: int, brace: int) -> NoReturn:
    """Refuse what cannot begin a statement; `brace` is the innermost one that is open."""
    if kind == "end":
        fix = "Write `}` where it should end."
        raise DotError.at(source, brace, "This `{` is not closed.", fix)
    if source.text.startswith("<-", at):
        raise DotError.at(source, at, "Arrows point to the right.", "Write `b -> a`.")
    if kind in _NO_STATEMENT:
        raise DotError.at(source, at, *_NO_STATEMENT[kind])
    expected = "A statement begins with a node, `node`, `edge`, `graph` or `subgraph`."
    refuse_token(source, kind, at, expected)


def runaway_string(source: Source, error: DotError) -> DotError:
    """Blame a string that swallowed lines and ended at the opening quote of the next one."""
    text = source.text
    last = source.line_end(error.line)
    previous, following = (0, 0), False
    for token in tokens(text):
        if following and token.start == previous[1] and token.kind in {"bare", "stray", "quoted"}:
            line = source.place(previous[1] - 1).line
            return DotError.at(
                source,
                previous[0],
                f"This string is not closed: it runs on to the next quote, in line {line}.",
                'Write `"` where it should end.',
            )
        following = token.kind == "quoted" and text.find("\n", token.start, token.end) >= 0
        previous = (token.start, token.end)
        if token.end > last:
            break
    return error
