"""The run's pipeline.dot: the journal's statuses, shown in the user's own text.

A view: it is rewritten when it differs, and nothing is read back from it. What else a person edits
there stays. A status that was edited by hand is put right, and said to have been; a file that
cannot be read or written is left alone, and said so, once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final, final

from attractor.errors import AttractorError
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import ChangedError, check_unchanged, load
from attractor.run.reconcile import shown_status
from attractor.run.states import NodeState
from signals.atomic import replace

_TRIES: Final = 5


@final
class View:
    """One run's file."""

    def __init__(self, dot: str) -> None:
        self._dot = dot
        self._shown: dict[NodeId, NodeState] = {}
        self.trouble = ""
        """Why it could not be shown; empty when it was."""
        self.edited: list[str] = []
        """Nodes whose status somebody else had set since it was shown last."""

    def show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        """Rewrite the file where it shows something else."""
        if statuses == self._shown and not self.trouble:
            return
        try:
            self._show(statuses)
        except AttractorError as error:
            self.trouble = str(error)
        else:
            self.trouble, self._shown = "", dict(statuses)

    def _show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        for _ in range(_TRIES):
            document, graph = load(self._dot)
            changes = {
                str(node): {"status": state.value}
                for node, state in statuses.items()
                if node in graph.nodes and shown_status(graph, node) != state.value
            }
            before = self._shown
            self.edited = [
                node
                for node in changes
                if (known := before.get(NodeId(node)))
                and shown_status(graph, NodeId(node)) != known.value
            ]
            if not changes:
                return
            unchanged = functools.partial(check_unchanged, self._dot, document.source.text)
            try:
                replace(self._dot, set_attrs(document, changes).encode(), check=unchanged)
            except ChangedError:
                continue
            return
