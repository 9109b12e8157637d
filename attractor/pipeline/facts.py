"""What lint is told about the disk: beads, rubrics and designs that belong to a pipeline.

Reads only, looks upward from the pipeline's folder, and takes what it cannot read as a fact too:
nothing here raises for a damaged rubric or a damaged line of the bead store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final

from attractor.errors import InputError
from attractor.pipeline.finding import Facts, Manifest
from attractor.pipeline.graph import Graph

BEADS: Final = os.path.join(".beads", "issues.jsonl")
RUBRICS: Final = "acceptance-tests"
MANIFEST: Final = "manifest.yaml"
"""The file that makes a folder a rubric."""
DESIGNS: Final = ("sd_path", "solution_design", "skill_file")

_MOST_BYTES: Final = 1024 * 1024  # of a rubric's manifest


def gather(path: str, graph: Graph, *, beads: bool = False, files: bool = False) -> Facts:
    """Return the facts about the pipeline at `path` (`-`: as if it lay in the working folder).

    Rubrics are always looked for; beads and the files that nodes name only when asked for.
    """
    folder = os.path.abspath("." if path == "-" else os.path.dirname(path))
    return Facts(
        beads=_beads(path, folder) if beads else None,
        manifests=_manifests(folder, graph),
        files=_files(folder, graph) if files else None,
    )


def _upward(folder: str) -> Iterator[str]:
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _beads(path: str, folder: str) -> frozenset[str]:
    for above in _upward(folder):
        store = os.path.join(above, BEADS)
        try:
            with open(store, encoding="utf-8", errors="replace") as lines:
                return frozenset(_ids(lines))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            fix = "Make it readable, or lint without --check-beads."
            raise InputError(
                f"It cannot be read: {error.strerror}.", where=store, fix=fix
            ) from None
    raise InputError(
        f"No {BEADS} lies in the pipeline's folder or above it.",
        where=path,
        fix="Begin one with `bd init`, or lint without --check-beads.",
    )


def _ids(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        try:
            bead = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(bead, dict) and isinstance(bead.get("id"), str):
            yield bead["id"]


def _manifests(folder: str, graph: Graph) -> dict[str, Manifest]:
    wanted = dict.fromkeys(
        attrs["prd_ref"]
        for attrs in (graph.attrs, *(node.attrs for node in graph.nodes.values()))
        if attrs.get("prd_ref")
    )
    found = {}
    target = os.path.expanduser(graph.attrs.get("target_dir", ""))
    for name in wanted:
        path = _manifest_path(folder, name)
        if path:
            exposed = os.path.isabs(target) and _inside(path, target)
            found[name] = _manifest(path, folder, exposed=exposed)
    return found


def _manifest_path(folder: str, name: str) -> str:
    if os.path.basename(name) != name or name in {".", ".."} or "\0" in name:
        return ""  # a name is one folder, and never a way out of acceptance-tests/
    for above in _upward(folder):
        path = os.path.join(above, RUBRICS, name, MANIFEST)
        if os.path.isfile(path):
            return path
    return ""


def _inside(path: str, folder: str) -> bool:
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, root]) == root


def _manifest(path: str, folder: str, *, exposed: bool) -> Manifest:
    import yaml  # costs 20 ms; most pipelines have no rubric beside them

    shown = os.path.relpath(path, folder)
    try:
        with open(path, "rb") as file:
            said: Any = yaml.safe_load(file.read(_MOST_BYTES))
    except OSError as error:
        return Manifest(shown, problem=f"it cannot be read: {error.strerror}", exposed=exposed)
    except (yaml.YAMLError, ValueError, RecursionError):
        return Manifest(shown, problem="it is not YAML", exposed=exposed)
    features = said.get("features") if isinstance(said, dict) else None
    if not isinstance(features, list) or not all(isinstance(one, dict) for one in features):
        return Manifest(shown, problem="it has no list of features", exposed=exposed)
    methods = tuple(
        (str(one.get("id", "?")), str(one.get("validation_method") or "")) for one in features
    )
    return Manifest(shown, methods, exposed=exposed)


def _files(folder: str, graph: Graph) -> frozenset[str]:
    named = {
        node.attrs[key] for node in graph.nodes.values() for key in DESIGNS if key in node.attrs
    }
    return frozenset(name for name in named if "\0" not in name and _is_there(folder, name))


def _is_there(folder: str, name: str) -> bool:
    path = name.partition("#")[0]
    return any(os.path.exists(os.path.join(above, path)) for above in _upward(folder))
