"""Which service of a compose file needs which. The file's build and command lines are not run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from attractor.errors import AttractorError
from attractor.project.dig import at, table_at, texts_at
from attractor.project.files import Tree, joined
from attractor.project.model import Link
from attractor.yaml_source import YamlSource

_NAME: Final = re.compile(r"(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml")
_MOST_TEXT: Final = 100
_MOST_NOTE: Final = 200


def compose_links(tree: Tree, by_place: dict[str, str]) -> tuple[Link, ...]:
    """Return the links; a service that is built from a part of the project goes by its name."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(each for each in tree.paths if _NAME.fullmatch(posixpath.basename(each))):
        for of, on in _of_file(tree, path, by_place):
            found.setdefault((of, on), path)
    return tuple(Link(of, on, path) for (of, on), path in sorted(found.items()) if of != on)


def _of_file(tree: Tree, path: str, by_place: dict[str, str]) -> Iterator[tuple[str, str]]:
    text = tree.read(path)
    try:
        services = table_at(YamlSource(text or "", path).value(), "services")
    except (AttractorError, ValueError, RecursionError) as error:
        why = error.problem if isinstance(error, AttractorError) else "it cannot be read"
        tree.note(f"{path} was not understood: {why}"[:_MOST_NOTE])
        return
    names = {each: _part(said, path, by_place) or each for each, said in services.items()}
    for each, said in services.items():
        for on in (*texts_at(said, "depends_on"), *table_at(said, "depends_on")):
            yield names[each][:_MOST_TEXT], names.get(on, on)[:_MOST_TEXT]


def _part(service: object, path: str, by_place: dict[str, str]) -> str:
    build = at(service, "build")
    context = build if isinstance(build, str) else at(build, "context")
    if not isinstance(context, str) or "$" in context:
        return ""
    place = joined(posixpath.dirname(path), context)
    return "" if place == "." else by_place.get(place, "")
