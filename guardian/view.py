"""The run's pipeline.dot: the journal's statuses, shown in the user's own text.

A view: it is rewritten when it differs, and nothing is read back from it. What else a person edits
there stays. A status that was edited by hand is put right, and said to have been; a file that
cannot be read or written is left alone, and said so, once.

What was written last is kept in pieces, so the file is parsed only when it is another by now: that
is asked just before it is replaced, by its content.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final, final

from attractor.errors import AttractorError
from attractor.pipeline.edit import set_attrs
from attractor.pipeline.graph import NodeId
from attractor.pipeline.load import ChangedError, check_unchanged, load
from attractor.pipeline.slots import Slots
from attractor.run.reconcile import shown_status
from attractor.run.states import NodeState
from signals.atomic import replace

_TRIES: Final = 5
_STATUS: Final = "status"


@final
class View:
    """One run's file."""

    def __init__(self, dot: str) -> None:
        self._dot = dot
        self._shown: dict[NodeId, NodeState] = {}
        self._slots: Slots | None = None
        """The text that shows these; None where nobody knows."""
        self.trouble = ""
        """Why it could not be shown; empty when it was."""
        self.edited: list[str] = []
        """Nodes whose status somebody else had set since it was shown last."""

    def show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        """Rewrite the file where it shows something else."""
        if statuses == self._shown and not self.trouble:
            return
        # Unknown again from here on, until what follows is written.
        slots, self._slots = self._slots, None
        try:
            if slots is None or not self._moved(slots, statuses):
                self._read_and_show(statuses)
        except AttractorError as error:
            self.trouble = str(error)
        else:
            self.trouble, self._shown = "", dict(statuses)

    def _moved(self, slots: Slots, statuses: Mapping[NodeId, NodeState]) -> bool:
        """Change what was written last; False where that is not what the file holds."""
        if statuses.keys() != self._shown.keys():
            return False
        before = slots.text
        moved = {
            str(node): state.value
            for node, state in statuses.items()
            if self._shown.get(node) is not state
        }
        if not slots.set(moved):
            return False
        try:
            self._replace(before, slots.text)
        except ChangedError:
            return False
        self.edited, self._slots = [], slots
        return True

    def _read_and_show(self, statuses: Mapping[NodeId, NodeState]) -> None:
        for _ in range(_TRIES):
            document, graph = load(self._dot)
            changes = {
                str(node): state.value
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
            slots = Slots(document, _STATUS)
            placed = slots.set(changes)
            said = {node: {_STATUS: status} for node, status in changes.items()}
            new = slots.text if placed else set_attrs(document, said)
            try:
                if changes:
                    self._replace(document.source.text, new)
            except ChangedError:
                continue
            self._slots = slots if placed else None
            return

    def _replace(self, text: str, new: str) -> None:
        unchanged = functools.partial(check_unchanged, self._dot, text)
        replace(self._dot, new.encode(), check=unchanged)
