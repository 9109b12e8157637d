"""The parts of a project, and which of them needs which: read from its manifests.

A manifest below a folder of tests or examples makes no part, unless that of a whole names it.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from attractor.errors import AttractorError
from attractor.project import manifests_data as data
from attractor.project import manifests_text as text
from attractor.project.files import Tree, joined
from attractor.project.manifest import Manifest
from attractor.project.model import Component, Link

Read = Callable[[str], Manifest]

_READERS: Final = MappingProxyType[str, Read](
    {
        "package.json": data.package_json,
        "pnpm-workspace.yaml": data.pnpm_workspace,
        "lerna.json": data.lerna_json,
        "pyproject.toml": data.pyproject,
        "requirements.txt": text.requirements,
        "requirements-dev.txt": text.requirements,
        "setup.cfg": text.setup_cfg,
        "setup.py": text.setup_py,
        "Cargo.toml": data.cargo_toml,
        "go.work": text.go_work,
        "go.mod": text.go_mod,
        "pom.xml": text.pom_xml,
        "settings.gradle": text.gradle_settings,
        "settings.gradle.kts": text.gradle_settings,
        "build.gradle": text.gradle,
        "build.gradle.kts": text.gradle,
        "Gemfile": text.gemfile,
        "composer.json": data.composer_json,
        "mix.exs": text.mix_exs,
    }
)
_ORDER: Final = {name: number for number, name in enumerate(_READERS)}
_NO_PARTS: Final = frozenset(
    {"test", "tests", "spec", "fixtures", "testdata", "__tests__", "example", "examples", "e2e"}
)
_README: Final = ("README.md", "readme.md", "README.rst", "README.txt", "README")
_NO_PROSE: Final = re.compile(r"[=\-~*#\s]*|[\[!<].*|```.*|\.\. .*")
_MOST_TEXT: Final = 200

Manifests = dict[str, list[Manifest]]
"""By folder."""


def manifests(tree: Tree) -> Manifests:
    """Return what the manifests say; a damaged one is a note."""
    found: Manifests = defaultdict(list)
    for path in sorted(filter(_reader, tree.paths), key=_rank):
        if (made := _made(tree, path)) is not None:
            found[posixpath.dirname(path) or "."].append(made)
    return dict(found)


def _reader(path: str) -> Read | None:
    name = posixpath.basename(path)
    return text.csproj if name.endswith((".csproj", ".fsproj")) else _READERS.get(name)


def _rank(path: str) -> tuple[int, str, int]:
    # The upper ones first: they are what is known if there is no time for all.
    folder, name = posixpath.split(path)
    return path.count("/"), folder, _ORDER.get(name, len(_ORDER))


def _made(tree: Tree, path: str) -> Manifest | None:
    reader, found = _reader(path), tree.read(path)
    if reader is None or found is None:
        return None
    try:
        made = reader(found)
    except AttractorError as error:
        tree.note(f"{path} is damaged: {error.problem}"[:_MOST_TEXT])
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split()) if isinstance(error, ValueError) else "nested too deeply"
        tree.note(f"{path} is damaged: {why}"[:_MOST_TEXT])
    else:
        for each in made.notes:
            tree.note(f"{path} is damaged: {each}"[:_MOST_TEXT])
        return made
    return None


def components(tree: Tree, found: Manifests) -> tuple[Component, ...]:
    """Return the parts, in the order of their paths, each with a name of its own."""
    places = [each for each in found if _is_part(each, found)]
    places += [each for each in tree.repositories if each != "." and each not in found]
    made = [_component(tree, each, found.get(each, [])) for each in sorted(places)]
    names = [each.name for each in made]
    return tuple(
        Component(each.path, each.path, each.kind, each.description)
        if names.count(each.name) > 1
        else each
        for each in made
    )


def _is_part(place: str, found: Manifests) -> bool:
    if all(each.only_members for each in found[place]):
        return False
    frames = {each.kind for each in found[place] if each.only_members}
    if all(each.kind in frames or not _says(each) for each in found[place]):
        return False
    return _NO_PARTS.isdisjoint(place.split("/")) or _is_member(place, found)


def frames(found: Manifests) -> list[str]:
    """Return the folders that have commands for all of their parts."""
    return [
        place
        for place, each in _all(found)
        if each.only_members and each.commands and _NO_PARTS.isdisjoint(place.split("/"))
    ]


def _says(manifest: Manifest) -> bool:
    return bool(manifest.name or manifest.needs or manifest.commands) or manifest.kind == "python"


def _is_member(place: str, found: Manifests) -> bool:
    return any(
        fnmatchcase(place, joined(whole, pattern))
        for whole, each in _all(found)
        for pattern in each.members
    )


def _all(found: Manifests) -> Iterator[tuple[str, Manifest]]:
    for place, many in found.items():
        for each in many:
            yield place, each


def _component(tree: Tree, place: str, many: list[Manifest]) -> Component:
    folder = posixpath.basename(tree.folder if place == "." else place)
    name = next((each.name for each in many if each.name), folder)
    about = next((each.description for each in many if each.description), "")
    kinds = ", ".join(dict.fromkeys(each.kind for each in many)) or "repository"
    return Component(name[:_MOST_TEXT], place, kinds, (about or _readme(tree, place))[:_MOST_TEXT])


def _readme(tree: Tree, place: str) -> str:
    """Return the first sentence of prose, or else the title."""
    for name in _README:
        if tree.has(place, name):
            lines = [each.strip() for each in (tree.read(joined(place, name)) or "").splitlines()]
            prose = [each for each in lines[:50] if each and not _NO_PROSE.fullmatch(each)]
            plain = [each for each in prose if not each.startswith("#")]
            return (plain or prose or [""])[0].lstrip("# ")
    return ""


def links(found: Manifests, parts: Iterable[Component]) -> tuple[Link, ...]:
    """Return which part needs which, by name within an ecosystem and by path."""
    by_place = {each.path: each.name for each in parts}
    by_name = {
        (each.kind, name): by_place[place]
        for place, each in _all(found)
        if place in by_place
        for name in _names(each, place)
    }
    made: dict[tuple[str, str], str] = {}
    for place, each in _all(found):
        if place not in by_place:
            continue
        near = [by_place.get(joined(place, path)) for path in each.local]
        named = [by_name.get((each.kind, name)) for name in _needed(each)]
        for on, why in (*((one, "path") for one in near), *((one, "name") for one in named)):
            if on and on != by_place[place]:
                made.setdefault((by_place[place], on), f"{each.kind}, by {why}")
    return tuple(Link(of, on, why) for (of, on), why in sorted(made.items()))


def _names(manifest: Manifest, place: str) -> tuple[str, ...]:
    name = manifest.name or posixpath.basename(place)
    return data.pep508([name]) if manifest.kind == "python" else (name,)


def _needed(manifest: Manifest) -> tuple[str, ...]:
    return data.pep508([*manifest.needs]) if manifest.kind == "python" else manifest.needs
