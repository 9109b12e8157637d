"""The commands by which the parts of a project are tested, linted and built; none is run here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from attractor.project import found_checks
from attractor.project.files import Tree, joined
from attractor.project.manifest import Manifest
from attractor.project.model import Command, Component
from attractor.project.parts import Manifests, frames

MOST_PARTS: Final = 40
_MAKE: Final = re.compile(r"^(lint|check|build)[ \t]*:(?!=)", re.MULTILINE)
_PURPOSES: Final = ("test", "lint", "build")


def commands(tree: Tree, found: Manifests, parts: tuple[Component, ...]) -> tuple[Command, ...]:
    """Return the commands of the parts and of the top; those of tests come first."""
    places = list(dict.fromkeys([".", *frames(found), *(each.path for each in parts)]))
    if len(places) > MOST_PARTS:
        tree.note(f"there are {len(places)} parts; the commands of {MOST_PARTS} were looked for")
    has = cache(found_checks.is_there)
    made = [
        each
        for place in places[:MOST_PARTS]
        for each in _commands(tree, place, found.get(place, []), has)
    ]
    unique = dict.fromkeys(made)
    return tuple(sorted(unique, key=lambda each: _PURPOSES.index(each.purpose)))


def _commands(
    tree: Tree, place: str, many: list[Manifest], has: found_checks.Has
) -> Iterator[Command]:
    folder = os.path.join(tree.folder, place) if place != "." else tree.folder
    if tree.late():
        return
    tests = found_checks.detect(found_checks.listing(folder), has)
    for each in tests.checks:
        wrapped = _wrapped(tree, place, each)
        yield Command("test", wrapped if has(wrapped.partition(" ")[0]) else each, place)
    for note in tests.notes:
        tree.note(note if place == "." else f"{place}: {note}")
    for manifest in many:
        for purpose, command in manifest.commands:
            yield Command(purpose, _wrapped(tree, place, command), place)
    yield from _others(tree, place)


def _wrapped(tree: Tree, place: str, command: str) -> str:
    """Name the program that the project brings along, where it does."""
    program, _, rest = command.partition(" ")
    if program == "gradle" and tree.has(place, "gradlew"):
        return f"./gradlew {rest}"
    if program == "mvn" and tree.has(place, "mvnw"):
        return f"./mvnw {rest}"
    if program == "npm":
        locks = (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"))
        manager = next((by for lock, by in locks if tree.has(lock) or tree.has(place, lock)), "npm")
        run = "run " if manager == "bun" and rest == "test" else ""  # `bun test` is its own runner
        return f"{manager} {run}{rest}"
    return command


def _others(tree: Tree, place: str) -> Iterator[Command]:
    if tree.has(place, "ruff.toml") or tree.has(place, ".ruff.toml"):
        yield Command("lint", "ruff check .", place)
    if tree.has(place, ".pre-commit-config.yaml"):
        yield Command("lint", "pre-commit run --all-files", place)
    makefile = tree.read(joined(place, "Makefile")) or ""
    for target in dict.fromkeys(_MAKE.findall(makefile)):
        yield Command("build" if target == "build" else "lint", f"make {target}", place)
