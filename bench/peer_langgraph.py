"""LangGraph with its SQLite checkpointer, each step written before the next begins."""

from __future__ import annotations

import itertools
import operator
import sqlite3
import sys
from typing import Annotated, TypedDict

sys.path.insert(0, sys.argv[1])

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from peer_talk import serve

PACKAGES = ("langgraph", "langgraph-checkpoint-sqlite")


class State(TypedDict):
    """How many nodes have run."""

    done: Annotated[int, operator.add]


def _graph(widths: list[int], saver: SqliteSaver) -> Pregel:
    builder = StateGraph(State)
    before = [START]
    for at, width in enumerate(widths):
        layer = [f"n{at}_{each}" for each in range(width)]
        for name in layer:
            builder.add_node(name, lambda _: {"done": 1})
            builder.add_edge(before[0] if len(before) == 1 else before, name)
        before = layer
    builder.add_edge(before[0] if len(before) == 1 else before, END)
    return builder.compile(checkpointer=saver)


def main() -> None:
    """Serve."""
    saver = SqliteSaver(sqlite3.connect("langgraph.db", check_same_thread=False))
    saver.setup()
    threads = itertools.count()
    compiled: dict[tuple[int, ...], Pregel] = {}

    def prepare(widths: list[int]) -> None:
        if tuple(widths) not in compiled:
            compiled[tuple(widths)] = _graph(widths, saver)

    def run(widths: list[int]) -> None:
        config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": 10_000}
        said = compiled[tuple(widths)].invoke({"done": 0}, config, durability="sync")
        assert said["done"] == sum(widths)

    serve(PACKAGES, run, prepare)


main()
