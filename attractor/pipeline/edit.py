"""Edits of a DOT file that change only the bytes they must.

Each function takes a Document and returns the new text; parsed again, it is the old graph with
exactly the change that was asked for. Comments, order, quoting and line ends elsewhere stay as they
are. Nothing is written to disk here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attractor.errors import InputError
from attractor.pipeline.attrlist import attributes
from attractor.pipeline.cut import Cut, refs_of, with_earlier
from attractor.pipeline.document import (
    Document,
    EdgeStatement,
    NodeStatement,
    Ref,
    Span,
    Subgraph,
)
from attractor.pipeline.graph import Edge, Graph, NodeId, build
from attractor.pipeline.splice import (
    Splice,
    append_statements,
    delete_attributes,
    deletion,
    insert_attributes,
    past_semicolon,
    spliced,
    statements_behind,
    write_attrs,
    write_id,
    write_value,
)


def _known(document: Document, wanted: Iterable[str]) -> None:
    """Refuse a node that the document does not name."""
    ids = {ref.id for statement in document.statements for ref in refs_of(statement)}
    for node in wanted:
        if node not in ids:
            raise _unknown(document, node, ids)


def _statements(document: Document, wanted: Iterable[str]) -> dict[str, list[NodeStatement]]:
    """Return the node statements of each of these nodes, which must be in the document."""
    found: dict[str, list[NodeStatement]] = {node: [] for node in wanted}
    _known(document, found)
    for statement in document.statements:
        if isinstance(statement, NodeStatement):
            for node in dict.fromkeys(ref.id for ref in statement.refs):
                if node in found:
                    found[node].append(statement)
    return found


def _unknown(document: Document, node: str, ids: Iterable[str]) -> InputError:
    import difflib  # only for a typing error

    near = difflib.get_close_matches(node, ids, n=1)
    fix = f"Did you mean {near[0]!r}?" if near else "`attractor node list` shows the nodes."
    return InputError(f"There is no node {node!r}.", where=document.source.name, fix=fix)


def _is_own(statement: NodeStatement, node: str) -> bool:
    return all(ref.id == node for ref in statement.refs)


# -- attributes ------------------------------------------------------------------------------------


def set_attrs(document: Document, changes: Mapping[str, Mapping[str, str]]) -> str:
    """Set attributes of nodes. Of a key said several times, the place that counts is changed.

    A node that stands in edges only gets a statement of its own, behind the last one; a node that
    shares its statement with others (`a, b [x=1]`) gets one behind that. Linear in the text.
    """
    statements = _statements(document, changes)
    splices: list[Splice] = []
    homeless: list[str] = []
    for node, attrs in changes.items():
        if attrs:
            splices.extend(_set(document, node, attrs, statements[node], homeless))
    if homeless:
        splices.append(append_statements(document, homeless))
    return spliced(document.source.text, splices)


def _set(
    document: Document,
    node: str,
    attrs: Mapping[str, str],
    statements: list[NodeStatement],
    homeless: list[str],
) -> Iterable[Splice]:
    fresh: dict[str, str] = {}
    for key, value in attrs.items():
        said = [statement for statement in statements if key in statement.attrs]
        if not said:
            fresh[key] = value
        elif said[-1].attrs[key] == value:
            continue
        elif _is_own(said[-1], node):
            yield _replace(document, said[-1].lists, key, value)
        else:
            yield _say_behind(document, said[-1], node, {key: value})
    own = [statement for statement in statements if _is_own(statement, node)]
    if not fresh:
        return
    if own:
        yield insert_attributes(document, own[0], fresh)
    elif statements:
        yield _say_behind(document, statements[-1], node, fresh)
    else:
        homeless.append(write_id(node) + write_attrs(fresh))


def _say_behind(
    document: Document, statement: NodeStatement, node: str, attrs: Mapping[str, str]
) -> Splice:
    new = write_id(node) + write_attrs(attrs)
    return statements_behind(document, (statement.start, statement.end), [new])


def _replace(document: Document, lists: tuple[Span, ...], key: str, value: str) -> Splice:
    *_, last = (found for found in attributes(document.source, lists) if found.key == key)
    old = document.source.text[last.value_start : last.value_end]
    return Splice(last.value_start, last.value_end, write_value(value, old))


def remove_attrs(document: Document, removals: Mapping[str, Collection[str]]) -> str:
    """Take attributes away wherever the node's own statements say them; a default then shows.

    Refuses where the attribute is said for several nodes at once. A key that the node does not say
    itself is no error.
    """
    statements = _statements(document, removals)
    splices: list[Splice] = []
    for node, keys in removals.items():
        for statement in statements[node]:
            if not any(key in statement.attrs for key in keys):
                continue
            if not _is_own(statement, node):
                raise _shared(document, node, statement)
            splices.extend(delete_attributes(document, statement.lists, frozenset(keys)))
    return spliced(document.source.text, splices)


def _shared(document: Document, node: str, statement: NodeStatement) -> InputError:
    return InputError(
        f"The node {node!r} shares this attribute list with other nodes.",
        where=document.source.where(statement.start),
        fix="Give each node a statement of its own first.",
    )


# -- nodes -----------------------------------------------------------------------------------------


def add_node(document: Document, node: str, attrs: Mapping[str, str] | None = None) -> str:
    """Declare a node behind the last statement; one that appears in edges only may be declared."""
    if not node:
        raise InputError("A node needs a name.", fix="Give letters, digits and `_`.")
    for statement in document.statements:
        if isinstance(statement, NodeStatement) and any(ref.id == node for ref in statement.refs):
            raise InputError(
                f"There is a node {node!r} already.",
                where=document.source.where(statement.start),
                fix="Choose another name, or change the node that is there.",
            )
    new = write_id(node) + write_attrs(attrs or {})
    return spliced(document.source.text, [append_statements(document, [new])])


def remove_node(document: Document, node: str) -> str:
    """Remove a node and every edge that touches it; of a chain the other pairs stay."""
    _known(document, [node])
    text = document.source.text
    splices: list[Splice] = []
    edges_of: dict[int, list[Edge]] = {}
    for edge in build(document).edges:
        edges_of.setdefault(id(edge.statement), []).append(edge)
    for statement, earlier in with_earlier(document):
        if isinstance(statement, NodeStatement):
            if _is_own(statement, node):
                end = past_semicolon(text, statement.end)
                splices.append(deletion(text, statement.start, end))
            else:
                splices.extend(_drop_refs(statement.refs, node))
        elif isinstance(statement, EdgeStatement):
            edges = edges_of.get(id(statement), [])
            gone = [edge for edge in edges if node in {edge.source, edge.target}]
            cut = Cut(document, statement, earlier, edges, gone)
            splices.extend(_drop_from_groups(cut, statement, node))
    return spliced(text, splices)


def _drop_from_groups(cut: Cut, statement: EdgeStatement, node: str) -> Iterable[Splice]:
    for index, group in enumerate(statement.groups):
        if isinstance(group, Subgraph):
            continue
        if all(ref.id == node for ref in group):
            cut.drop(index)
        else:
            yield from _drop_refs(group, node)
    yield from cut.splices()


def _drop_refs(refs: tuple[Ref, ...], node: str) -> Iterable[Splice]:
    """Take a node out of `a, b, c`, with the comma that it no longer needs."""
    kept = [ref.id != node for ref in refs]
    first = kept.index(True)
    for index, ref in enumerate(refs):
        if kept[index]:
            continue
        if index < first:
            yield Splice(ref.start, refs[index + 1].start, "")
        else:
            yield Splice(refs[index - 1].end, ref.end, "")


# -- edges -----------------------------------------------------------------------------------------


def add_edge(
    document: Document, source: str, target: str, attrs: Mapping[str, str] | None = None
) -> str:
    """Write an edge behind the last statement; both nodes must be there."""
    _known(document, [source, target])
    new = f"{write_id(source)} -> {write_id(target)}{write_attrs(attrs or {})}"
    return spliced(document.source.text, [append_statements(document, [new])])


def remove_edge(
    document: Document, source: str, target: str, *, condition: str | None = None
) -> str:
    """Remove one edge; both nodes stay, and every other pair of the same statement.

    Parallel edges are told apart by their condition; of edges that are equal the last one goes.
    """
    _known(document, [source, target])
    graph = build(document)
    edge = _pick(graph, source, target, condition)
    siblings = [one for one in graph.edges if one.statement is edge.statement]
    for statement, earlier in with_earlier(document):
        if statement is edge.statement and isinstance(statement, EdgeStatement):
            cut = Cut(document, statement, earlier, siblings, [edge])
            cut.part(edge.gap)
            return spliced(document.source.text, cut.splices())
    raise AssertionError("build takes every edge from a statement of this document")


def _pick(graph: Graph, source: str, target: str, condition: str | None) -> Edge:
    found = [edge for edge in graph.outgoing[NodeId(source)] if edge.target == target]
    where = graph.source.name
    if not found:
        leads = ", ".join(sorted({str(edge.target) for edge in graph.outgoing[NodeId(source)]}))
        fix = f"Edges from {source!r} lead to: {leads}." if leads else "It has no edges at all."
        raise InputError(f"There is no edge {source} -> {target}.", where=where, fix=fix)
    conditions = sorted({edge.attrs.get("condition", "") for edge in found})
    if condition is None and len(conditions) > 1:
        raise InputError(
            f"There are {len(found)} edges {source} -> {target}.",
            where=where,
            fix=f"Say which by its condition: {', '.join(map(repr, conditions))}.",
        )
    if condition is not None:
        found = [edge for edge in found if edge.attrs.get("condition", "") == condition]
    if not found:
        raise InputError(
            f"No edge {source} -> {target} has the condition {condition!r}.",
            where=where,
            fix=f"The conditions are: {', '.join(map(repr, conditions))}.",
        )
    return found[-1]
