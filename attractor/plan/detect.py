"""What a project is: its kind, languages, parts, commands, and which part needs which.

Files are read and git is asked, within bounds of number, size and time; nothing of the project is
run and no link is followed. What is damaged, too large or missing is a note.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Final

from attractor.errors import InputError
from attractor.project.commands import commands
from attractor.project.compose import compose_links
from attractor.project.files import Tree
from attractor.project.languages import frameworks, languages
from attractor.project.manifest import Manifest
from attractor.project.manifests_data import pep508
from attractor.project.model import Component, Kind, Project
from attractor.project.parts import components, links, manifests
from signals.clock import Clock

MOST_PARTS: Final = 200
MOST_DEPENDENCIES: Final = 40
MOST_LINKS: Final = 200
MOST_NOTES: Final = 30
_MOST_NAME: Final = 100


def detect(folder: str, clock: Clock) -> Project:
    """Return what is found in a folder; InputError where there is none."""
    if not os.path.isdir(folder):
        raise InputError("there is no such folder", where=folder, fix="check the path")
    tree = Tree(folder, clock)
    found = manifests(tree)
    parts = components(tree, found)
    if len(parts) > MOST_PARTS:
        tree.note(f"there are {len(parts)} components; {MOST_PARTS} are named")
        parts = parts[:MOST_PARTS]
    by_place = {each.path: each.name for each in parts}
    every = [each for many in found.values() for each in many]
    made = commands(tree, found, parts)
    between = dict.fromkeys((*links(found, parts), *compose_links(tree, by_place)))
    return Project(
        folder=tree.folder,
        kind=_kind(tree, parts),
        files=len(tree.paths),
        languages=languages(tree.paths),
        frameworks=frameworks(need for each in every for need in each.needs),
        components=parts,
        dependencies=_key(every),
        commands=made,
        links=tuple(between)[:MOST_LINKS],
        notes=tuple(tree.notes[:MOST_NOTES]),
    )


def _kind(tree: Tree, parts: tuple[Component, ...]) -> Kind:
    if tree.repositories and tree.repositories != (".",):
        return Kind.MULTI
    return Kind.MONO if len(parts) > 1 else Kind.SINGLE


def _key(every: Iterable[Manifest]) -> tuple[str, ...]:
    """Return what most parts depend on, without the project's own parts."""
    many = list(every)
    own = {name for each in many for name in (each.name, *pep508([each.name]))}
    count = Counter(need[:_MOST_NAME] for each in many for need in dict.fromkeys(each.needs))
    ordered = sorted(count.items(), key=lambda each: (-each[1], each[0]))
    return tuple(name for name, _ in ordered if name and name not in own)[:MOST_DEPENDENCIES]
