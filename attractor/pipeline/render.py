"""A pipeline as a picture: Graphviz DOT in the colours of the nodes' states, and SVG of it.

Whatever the pipeline holds, what is written here is legal for Graphviz: only attributes that it
knows are passed on, each checked or quoted, and an HTML label only when it is well formed and
names no file and no link. The SVG carries each node's id as its title, its state as its class,
and id, handler and state as its tooltip, so that it can be read without its colours.

Not guaranteed: that Graphviz is installed (ToolError says how to install it), and that a very
large pipeline is laid out in time.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Final

import pydot

from attractor.pipeline.graph import Edge, Graph, Node
from attractor.pipeline.html_label import is_drawable_html
from attractor.spawn import run_tool

STATUS_COLOURS: Final[Mapping[str, str]] = {
    "pending": "lightyellow",
    "active": "lightblue",
    "impl_complete": "lightsalmon",
    "validated": "lightgreen",
    "failed": "lightcoral",
    "accepted": "palegreen",
}
_UNKNOWN_COLOUR: Final = "white"
_LAYOUT_SECONDS: Final = 30.0
_WRAP_CHARACTERS: Final = 28
_MOST_CHARACTERS: Final = 2_000  # of a text: wrapping more takes long, and nobody reads it
_MOST_MARKUP: Final = 20_000  # of an HTML label, which cannot be cut
_FONT: Final = "Helvetica,Arial,sans-serif"
_ROUTE_COLOURS: Final[Mapping[str, str]] = {"pass": "#2e7d32", "fail": "#c62828"}

_DIRECTIONS: Final = frozenset({"TB", "BT", "LR", "RL"})
_EDGE_STYLES: Final = frozenset({"solid", "dashed", "dotted", "bold"})
_LINE_ENDS: Final = re.compile(r"\\[lr]|\n")
_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?|[A-Za-z]{1,30}[0-9]{0,3}")
# Shapes that draw themselves: a name that Graphviz does not know could name a file.
_SHAPES: Final = frozenset(
    """
    Mcircle Mdiamond Msquare box box3d cds circle component cylinder diamond doublecircle
    doubleoctagon egg ellipse folder hexagon house invhouse invtrapezium invtriangle larrow none
    note octagon oval parallelogram pentagon plain plaintext point polygon rarrow rect rectangle
    septagon square star tab trapezium triangle tripleoctagon underline
    """.split()  # noqa: SIM905 - a list of words is read as words
)


def coloured_dot(graph: Graph) -> str:
    """Return the pipeline as DOT that Graphviz accepts, coloured by state, with a legend."""
    picture = pydot.Dot(_quoted(graph.name), graph_type="digraph")
    for key, value in _graph_look(graph).items():
        picture.set(key, value)
    picture.set_node_defaults(fontname=_quoted(_FONT), fontsize="12", color=_quoted("#555555"))
    picture.set_edge_defaults(fontname=_quoted(_FONT), fontsize="10", color=_quoted("#555555"))
    for node in graph.nodes.values():
        picture.add_node(pydot.Node(_quoted(node.id), None, **_node_look(graph, node)))
    for edge in graph.edges:
        ends = _quoted(edge.source), _quoted(edge.target)
        picture.add_edge(pydot.Edge(*ends, None, **_edge_look(edge)))
    return str(picture.to_string())


def svg(dot: bytes) -> bytes:
    """Return the SVG that Graphviz draws; missing, failed or late Graphviz is a ToolError."""
    return run_tool(["dot", "-Tsvg"], timeout_seconds=_LAYOUT_SECONDS, stdin=dot)


def _graph_look(graph: Graph) -> dict[str, str]:
    direction = graph.attrs.get("rankdir", "TB")
    return {
        "rankdir": direction if direction in _DIRECTIONS else "TB",
        "label": f"<{_heading(graph)}>",
        "labelloc": "t",
        "fontname": _quoted(_FONT),
        "fontsize": "12",
        "nodesep": "0.4",
        "ranksep": "0.5",
        "pad": "0.3",
        "bgcolor": "white",
        "tooltip": _quoted(_cut(graph.name)),
    }


def _heading(graph: Graph) -> str:
    """Return the title above the legend: each state that occurs, coloured, with its count."""
    title = _large(graph.attrs.get("label") or graph.name or "pipeline", 16)
    if prd := graph.attrs.get("prd_ref", ""):
        title += f"<BR/>{_large(prd, 11)}"
    counts = Counter(_status(node) for node in graph.nodes.values())
    order = [*STATUS_COLOURS, *sorted(counts.keys() - STATUS_COLOURS.keys())]
    cells = "".join(
        f'<TD BGCOLOR="{STATUS_COLOURS.get(status, _UNKNOWN_COLOUR)}">'
        f"{_large(f'{status} {counts[status]}', 10)}</TD>"
        for status in order
        if counts[status]
    )
    legend = (
        f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="4" COLOR="#999999"><TR>{cells}</TR></TABLE>'
    )
    return (
        '<TABLE BORDER="0" CELLSPACING="4">'
        f"<TR><TD>{title}</TD></TR>"
        f"<TR><TD>{legend if cells else ' '}</TD></TR></TABLE>"
    )


def _large(text: str, points: int) -> str:
    lines = "<BR/>".join(html.escape(line) for line in _printable(_cut(text)).split("\n"))
    return f'<FONT POINT-SIZE="{points}">{lines or " "}</FONT>'


def _node_look(graph: Graph, node: Node) -> dict[str, str]:
    shape = node.attrs.get("shape", "")
    shape = shape if shape in _SHAPES else "box"
    status = _status(node)
    about = f"{_cut(node.id)}\nhandler: {_cut(graph.handler(node))}\nstatus: {status}"
    return {
        "label": _label(node.attrs.get("label") or node.id),
        "shape": shape,
        "style": _quoted("rounded,filled" if shape == "box" else "filled"),
        "fillcolor": STATUS_COLOURS.get(status, _UNKNOWN_COLOUR),
        "tooltip": _quoted(about),
        "class": _quoted(re.sub(r"[^A-Za-z0-9_-]", "-", status)),
    }


def _edge_look(edge: Edge) -> dict[str, str]:
    condition = _cut(edge.attrs.get("condition", ""))
    text = edge.attrs.get("label") or condition
    about = f"{_cut(edge.source)} -> {_cut(edge.target)}" + (f"\n{condition}" if condition else "")
    look = {"tooltip": _quoted(about), "labeltooltip": _quoted(about)}
    if text:
        look["label"] = _label(f" {text} " if "<" not in text else text)
    if (style := edge.attrs.get("style", "")) in _EDGE_STYLES:
        look["style"] = style
    colour = edge.attrs.get("color", "")
    if not _COLOUR.fullmatch(colour):
        colour = _ROUTE_COLOURS.get(condition, "")
    if colour:
        look |= {"color": _quoted(colour), "fontcolor": _quoted(colour)}
    return look


def _status(node: Node) -> str:
    return _printable(_cut(node.attrs.get("status", ""))) or "pending"


def _label(text: str) -> str:
    html_like = len(text) <= _MOST_MARKUP and text.startswith("<") and text.endswith(">")
    if html_like and is_drawable_html(text[1:-1]):
        return text
    text = _cut(text)
    # The parser keeps what only Graphviz knows; here it is drawn: \l and \r end a line.
    lines = _LINE_ENDS.split(text)
    if len(lines) == 1 and len(text) > _WRAP_CHARACTERS:
        text = "\n".join(textwrap.wrap(text, _WRAP_CHARACTERS)) or text
    return _quoted(_LINE_ENDS.sub("\n", text))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}\u2026"


def _printable(text: str) -> str:
    """Replace what SVG cannot carry, or what would move a reader's cursor."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def _quoted(text: str) -> str:
    escaped = _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
