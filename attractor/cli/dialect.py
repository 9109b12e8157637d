"""An edit whose attributes turn the file into another dialect: a refusal says which ones do.

The rules of the new dialect hold for every node, so the fault that lint then finds is often one of
a node that the edit has nothing to do with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attractor.cli.revise import Change, Revision, Tolerance, revise
from attractor.errors import InputError
from attractor.pipeline.document import Document
from attractor.pipeline.dot import parse
from attractor.pipeline.graph import Dialect, Graph, build, dialect_marks

# The one whose marks a file has decides: harness over strongdm over graphviz.
_ORDER: Final[tuple[Dialect, ...]] = ("graphviz", "strongdm", "harness")


def revise_in_dialect(
    file: str,
    change: Change,
    entry: Mapping[str, object],
    tolerance: Tolerance,
    *,
    dry_run: bool,
) -> Revision:
    """Carry out one change as `revise` does; a refusal tells of a change of dialect too."""
    tried: list[tuple[Graph, str]] = []

    def watched(document: Document, graph: Graph) -> str:
        text = change(document, graph)
        tried[:] = [(graph, text)]
        return text

    try:
        return revise(file, watched, entry, tolerance, dry_run=dry_run)
    except InputError as error:
        if not tried or "findings" not in error.details:
            raise
        before, after = tried[0][0], build(parse(tried[0][1]))
        if _ORDER.index(after.dialect) <= _ORDER.index(before.dialect):
            raise
        raise _told(error, after) from None


def _told(error: InputError, after: Graph) -> InputError:
    marks = dialect_marks(after)
    names = " and ".join(marks)
    many = len(marks) > 1
    return InputError(
        f"{error.problem.rstrip('.')}. The attribute{'s' * many} {names} "
        f"make{'s' * (not many)} this a {after.dialect} pipeline, whose rules its nodes then break",
        where=error.where,
        fix=f"leave out {names}; or {error.fix[:1].lower()}{error.fix[1:]}",
        dialect=after.dialect,
        marks=marks,
        **error.details,
    )
