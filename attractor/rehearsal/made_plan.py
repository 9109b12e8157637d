"""The plan that is made of a goal when no planner is asked: five nodes, named by the goal's words.

Pure: the same goal gives the same plan. One node comes first, three stand side by side, and one
comes last. Each carries one criterion, writes a file of its own, and has a check that is green as
soon as that file is there. Its shape is the answer of whoever is asked to make a plan.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

_COUNT: Final = 5
_LAST: Final = _COUNT - 1
_LONGEST_WORD: Final = 18
_WORKER: Final = "backend-solutions-engineer"
_LONGEST_TITLE: Final = 80
_LONGEST_SUMMARY: Final = 500
_SHORTEST_WORD: Final = 3
_OTHERS: Final = ("model", "service", "interface", "storage", "overview")
_COMMON: Final = (
    "about add all also and any are build but can create does done each every for from get give "
    "goal has have how implement into its just let make may more must need needs new not now one "
    "only our out please project should shall some such than that the their them then there these "
    "they this those through too use used uses using very want was were what when where which "
    "while who will with without work write you your"
)
_NO_WORDS: Final = frozenset(_COMMON.split())


def plan_for(goal: str, context: str = "", *, broken: bool = False) -> dict[str, Any]:
    """Return the plan of a goal; its words come from the context where the goal has none.

    A `broken` one has two nodes side by side that write the same file.
    """
    words = _words(goal, context)
    name = "-".join(words[:2])
    nodes = [_node(name, words, at) for at in range(_COUNT)]
    if broken:
        nodes[2]["files"] = list(nodes[1]["files"])
        nodes[2]["checks"] = list(nodes[1]["checks"])
    said = _line(goal) or _line(context) or "A rehearsal"
    return {
        "name": name,
        "title": said[:_LONGEST_TITLE],
        "structure": "\n".join(f"- `{_file(name, each)}`: {each}" for each in words),
        "prd": {
            "summary": f"What is wanted: {said[:_LONGEST_SUMMARY]}",
            "requirements": [f"There is {_file(name, each)}, about {each}." for each in words],
            "criteria": [
                {"id": _criterion(at), "text": f"{_file(name, each)} is there and not empty."}
                for at, each in enumerate(words)
            ],
            "out_of_scope": ["Whatever the goal does not name."],
            "risks": ["A rehearsal knows the goal's words, not what they mean."],
        },
        "nodes": nodes,
    }


def _node(name: str, words: list[str], at: int) -> dict[str, Any]:
    word, file = words[at], _file(name, words[at])
    first, *beside = [_id(each) for each in words[:_LAST]]
    return {
        "id": _id(word),
        "label": f"Write what {word} needs",
        "goal": f"Write {file}, so that there is what the goal says about {word}.",
        "reference_style": "Like the files beside it.",
        "outline": f"One file, {file}.",
        "steps": [f"Write {file}", "Look at what was written", "Commit it"],
        "safety": ["No secrets and no personal data in the file"],
        "criteria": [_criterion(at)],
        "files": [file],
        "checks": [f"test -s {file}"],
        "acceptance": f"{file} is there and not empty.",
        "after": beside if at == _LAST else [first] if at else [],
        "worker_type": _WORKER,
    }


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _words(goal: str, context: str) -> list[str]:
    """Return five different words that are good names."""
    found = [*dict.fromkeys([*_telling(goal), *([] if _telling(goal) else _telling(context))])]
    return [*found, *(each for each in _OTHERS if each not in found)][:_COUNT]


def _telling(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = [each[:_LONGEST_WORD] for each in re.findall(r"[a-z][a-z0-9]*", plain)]
    return [each for each in words if len(each) >= _SHORTEST_WORD and each not in _NO_WORDS]


def _id(word: str) -> str:
    return f"impl_{word}"


def _file(name: str, word: str) -> str:
    return f"{name.replace('-', '_')}/{word}.py"


def _criterion(at: int) -> str:
    return f"AC-{at + 1}"
