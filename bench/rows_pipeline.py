"""Reading a pipeline, against what Graphviz itself needs to read it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

from graphs import pipeline_text
from measure import Row, paired

from attractor.pipeline.dot import parse
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.graph import NodeId, build
from attractor.pipeline.lint import lint

NODES = 5_000
PYDOT_NODES = 200


def rows() -> Iterator[Row]:
    """Yield the rows of this file."""
    text = pipeline_text(NODES)
    yield paired(
        f"parse + lint, {NODES} nodes",
        lambda: _parse_and_lint(text),
        "pygraphviz parse",
        _graphviz(text),
        budget="<= 4x",
    )
    yield paired(
        f"parse, {NODES} nodes", lambda: build(parse(text)), "pygraphviz parse", _graphviz(text)
    )
    document = parse(text)
    changes = {NodeId(f"n{i}"): {"status": "active"} for i in range(NODES)}
    yield paired(
        f"set {NODES} statuses in the text",
        lambda: set_attrs(document, changes),
        "parsing that text",
        lambda: parse(text),
    )
    small = pipeline_text(PYDOT_NODES)
    yield paired(
        f"parse + lint, {PYDOT_NODES} nodes",
        lambda: _parse_and_lint(small),
        "pydot parse",
        _pydot(small),
        pairs=3,
    )


def _parse_and_lint(text: str) -> object:
    document = parse(text)
    return lint(build(document), document.warnings)


def _graphviz(text: str) -> Callable[[], object]:
    import pygraphviz

    return lambda: pygraphviz.AGraph(string=text)


def _pydot(text: str) -> Callable[[], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pydot
    return lambda: pydot.graph_from_dot_data(text)
