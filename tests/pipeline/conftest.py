"""Random pipelines, written by a writer that shares nothing with the parser."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

IDS = {
    "a": ["a", '"a"'],
    "b": ["b", '"b"'],
    "c": ["c"],
    "Node_7": ["Node_7"],
    "wait.human": ['"wait.human"', '"wait" + ".human"'],
    'say "hi"': ['"say \\"hi\\""'],
    "é日": ["é日", '"é日"'],
    "12": ["12", '"12"'],
    "node": ['"node"'],
}
KEYS = ["status", "label", "x", "fillcolor", '"odd key"']
VALUES = [
    "pending",
    "12",
    "-.5",
    "1.5",
    '"x y"',
    '"q\\"q"',
    '"new\\nline"',
    '"tab\\t"',
    '"back\\\\"',
    '""',
    '"left\\lN\\N"',
    '"con\\\ntinued"',
    '"two\nlines"',
    '"joined" + " " + "up"',
    "<<b>html</b> <i>x</i>>",
    '"é ü 日本"',
    '"// no comment"',
    '"# no; [list] -> {"',
]
DIALECT_KEYS = ["manager.poll_interval", "human.default_choice"]
DIALECT_VALUES = ["900s", "15m", "250ms", "gpt-5.4", "qwen3:8b", "a.b.c", "1.2.3"]
CLASSES = ["k1", '"k1,k2"']
LABELS = ['"Loop A"', '"Phase: 2"']


class Writer:
    """Writes one random pipeline. `flat`: no subgraphs; `dialects`: not only Graphviz's."""

    def __init__(self, choice: random.Random, *, flat: bool, dialects: bool, tidy: bool) -> None:
        self.choice = choice
        self.flat = flat
        self.tidy = tidy
        self.keys = KEYS + (DIALECT_KEYS if dialects else [])
        self.values = VALUES + (DIALECT_VALUES if dialects else [])

    def pick(self, options: list[str]) -> str:
        return options[self.choice.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        return self.choice.randrange(100) < percent

    def gap(self) -> str:
        if self.tidy or self.chance(70):
            return " "
        return self.pick(["", "\n", "\t", "\r\n", " /* c */ ", " // c\n", "\n# c\n", " /* \n */"])

    def text(self) -> str:
        name = self.pick(["", "g", '"My graph"'])
        body = "".join(self.statement(0) for _ in range(self.choice.randrange(1, 9)))
        mark = "\ufeff" if not self.tidy and self.chance(5) else ""
        return f"{mark}digraph {name}{self.gap()}{{{self.gap()}{body}}}{self.gap()}"

    def statement(self, depth: int) -> str:
        kinds = [self.node, self.node, self.edge, self.edge, self.defaults, self.assignment]
        if not self.flat and depth < 3:
            kinds.append(self.subgraph)
        written = kinds[self.choice.randrange(len(kinds))](depth)
        if self.tidy:
            return f"    {written};\n"
        return written + self.gap() + self.pick([";", ";\n", "\n", " ", "; // remark\n"])

    def id(self) -> str:
        written = IDS[self.pick(list(IDS))]
        return written[0] if self.tidy else self.pick(written)

    def refs(self, *, ports: bool) -> str:
        count = 2 if not self.tidy and self.chance(15) else 1
        port = self.pick([":p", ":p:n", ':"p"']) if ports and self.chance(10) else ""
        return f"{self.gap()},{self.gap()}".join(self.id() for _ in range(count)) + port

    def node(self, _depth: int) -> str:
        return self.refs(ports=False) + self.gap() + self.lists(1, self.attribute)

    def edge(self, depth: int) -> str:
        operands = [self.operand(depth) for _ in range(self.choice.randrange(2, 5))]
        arrow = f"{self.gap()}->{self.gap()}"
        return arrow.join(operands) + self.gap() + self.lists(1, self.attribute)

    def operand(self, depth: int) -> str:
        if not self.flat and depth < 3 and self.chance(15):
            return self.subgraph(depth)
        return self.refs(ports=not self.tidy)

    def defaults(self, _depth: int) -> str:
        target = self.pick(["node", "edge", "Node", "EDGE"] if not self.tidy else ["node", "edge"])
        return target + self.gap() + (self.lists(1, self.attribute) or "[]")

    def assignment(self, _depth: int) -> str:
        if self.chance(50):
            return f"graph{self.gap()}[{self.graph_attribute()}]"
        return self.graph_attribute()

    def graph_attribute(self) -> str:
        label = f"label{self.gap()}={self.gap()}{self.pick(LABELS)}"
        return label if self.chance(40) else f"goal = {self.pick(self.values)}"

    def subgraph(self, depth: int) -> str:
        name = self.pick(["subgraph S ", "subgraph T ", "subgraph ", "", 'SubGraph "S" '])
        inside = "".join(self.statement(depth + 1) for _ in range(self.choice.randrange(0, 4)))
        return f"{name}{{{self.gap()}{inside}}}"

    def attribute(self) -> str:
        if self.chance(10):
            return f"class={self.pick(CLASSES)}"
        return f"{self.pick(self.keys)}{self.gap()}={self.gap()}{self.pick(self.values)}"

    def lists(self, most: int, attribute: Callable[[], str]) -> str:
        if self.chance(25):
            return ""
        count = self.choice.randrange(0, 4)
        if self.tidy:
            return f"[{', '.join(attribute() for _ in range(max(1, count)))}]"
        parts = ["[", self.gap()]
        for _ in range(count):
            parts += [attribute(), self.gap(), self.pick([",", ", ", " ", ";", "\n"])]
        again = self.lists(0, attribute) if most and self.chance(10) else ""
        return "".join([*parts, self.gap(), "]", again])


Texts = Callable[..., st.SearchStrategy[str]]


@pytest.fixture(scope="session")
def texts() -> Texts:
    """A strategy of random pipelines; `flat`, `dialects` and `tidy` as in Writer."""

    def strategy(
        *, flat: bool = False, dialects: bool = True, tidy: bool = False
    ) -> st.SearchStrategy[str]:
        def write(seed: int) -> str:
            choice = random.Random(seed)
            return Writer(choice, flat=flat, dialects=dialects, tidy=tidy).text()

        return st.integers(0, 2**32).map(write)

    return strategy


@pytest.fixture(scope="session")
def decoded() -> Callable[[str], str]:
    """Our reading of the escapes that Graphviz hands on unread."""
    meaning = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
    return lambda text: re.sub(r'\\(["\\nt])', lambda match: meaning[match[1]], text)
