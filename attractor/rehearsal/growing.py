"""The nodes of a script whose pipeline grows while it is played.

Looked up is what the run's graph says now: whoever asks for a node finds it as it was told last,
and a model that is started again finds the same. A node that the graph does not have, or not yet,
is played by its name alone. Where the graph cannot be read, what was read before stays.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final, final

from attractor.errors import AttractorError
from attractor.pipeline.graph import Graph
from attractor.pipeline.load import load
from attractor.rehearsal.turn import NodeScript

Nodes = Mapping[str, NodeScript]
_Stand = tuple[int, int, int] | None


@final
class Growing(Mapping[str, NodeScript]):
    """The nodes that a script has, for the graph in this file."""

    def __init__(
        self,
        dot: str,
        make: Callable[[Graph], Nodes],
        unknown: Callable[[str], NodeScript],
    ) -> None:
        self._dot: Final = dot
        self._make: Final = make
        self._unknown: Final = unknown
        self._lock: Final = threading.Lock()
        self._stand = _stand(dot)
        _, graph = load(dot)
        self._names = frozenset(map(str, graph.nodes))
        self._nodes = dict(make(graph))
        self._others: dict[str, NodeScript] = {}

    def __getitem__(self, node: str) -> NodeScript:
        """Return a node's turns; KeyError where the graph has it without any."""
        with self._lock:
            self._look()
            if node in self._nodes:
                return self._nodes[node]
            if not node or node in self._names:
                raise KeyError(node)
            return self._others.setdefault(node, self._unknown(node))

    def __iter__(self) -> Iterator[str]:
        """Yield the nodes that were known when it was looked last."""
        with self._lock:
            return iter([*self._nodes])

    def __len__(self) -> int:
        """Return how many these are."""
        with self._lock:
            return len(self._nodes)

    def __repr__(self) -> str:
        """Return the nodes as they were known when it was looked last."""
        return f"{type(self).__name__}({self._nodes!r})"

    def _look(self) -> None:
        stand = _stand(self._dot)
        if stand is None or stand == self._stand:
            return
        try:
            _, graph = load(self._dot)
            made = self._make(graph)
        except AttractorError:
            return
        # What is the same stays the same object: whoever counts its turns knows them by that.
        self._nodes = {
            node: self._nodes[node] if self._nodes.get(node) == new else new
            for node, new in made.items()
        }
        self._names = frozenset(map(str, graph.nodes))
        self._stand = stand


def _stand(path: str) -> _Stand:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
