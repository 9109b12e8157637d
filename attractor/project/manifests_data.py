"""Manifests in JSON, TOML and YAML: package.json, pyproject.toml, Cargo.toml and their like.

A reader raises ValueError or InputError for a text that is damaged; a value of another shape than
expected is passed over, and a note of the manifest says so where it would count.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from attractor.project.dig import at, items_at, odd_at, table_at, text_at, texts_at
from attractor.project.manifest import Manifest
from attractor.yaml_source import YamlSource

_NPM_KEYS: Final = (
    *("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"),
)
_NPM_LOCAL: Final = re.compile(r"(?:file|link|portal):(.+)")
_SCRIPTS: Final = (("lint", "lint"), ("typecheck", "lint"), ("build", "build"))
_PEP508: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_PYTHON_TABLES: Final = "project project.optional-dependencies dependency-groups tool tool.poetry"
_AT_FILE: Final = re.compile(r"@\s*file:(?!//)(\S+)")


def package_json(text: str) -> Manifest:
    """Read what npm, pnpm and yarn do."""
    whole = json.loads(text)
    needs = [each for key in _NPM_KEYS for each in table_at(whole, key).items()]
    members = texts_at(whole, "workspaces") or texts_at(whole, "workspaces", "packages")
    scripts = table_at(whole, "scripts")
    return Manifest(
        "npm",
        text_at(whole, "name"),
        text_at(whole, "description"),
        tuple(name for name, _ in needs),
        tuple(_npm_local(needs)),
        members,
        only_members=bool(members),
        commands=tuple((what, f"npm run {each}") for each, what in _SCRIPTS if each in scripts),
        notes=tuple(odd_at(whole, texts="name", tables=" ".join(("scripts", *_NPM_KEYS)))),
    )


def _npm_local(needs: list[tuple[str, object]]) -> Iterator[str]:
    for _, version in needs:
        if isinstance(version, str) and (found := _NPM_LOCAL.fullmatch(version.strip())):
            yield found[1]


def lerna_json(text: str) -> Manifest:
    """Read where Lerna's packages are."""
    whole = json.loads(text)
    members = texts_at(whole, "packages") or ("packages/*",)
    return Manifest("npm", members=members, only_members=True, notes=tuple(odd_at(whole)))


def pnpm_workspace(text: str) -> Manifest:
    """Read where pnpm's packages are."""
    members = texts_at(YamlSource(text, "pnpm-workspace.yaml").value(), "packages")
    return Manifest("npm", members=members, only_members=True)


def composer_json(text: str) -> Manifest:
    """Read what Composer does."""
    whole = json.loads(text)
    repositories = at(whole, "repositories")
    places = list(repositories.values()) if isinstance(repositories, Mapping) else []
    places += items_at(whole, "repositories")
    scripts = table_at(whole, "scripts")
    needs = [*table_at(whole, "require"), *table_at(whole, "require-dev")]
    return Manifest(
        "php",
        text_at(whole, "name"),
        text_at(whole, "description"),
        tuple(each for each in needs if each != "php" and not each.startswith("ext-")),
        tuple(text_at(each, "url") for each in places if text_at(each, "type") == "path"),
        commands=tuple((each, f"composer {each}") for each in ("test", "lint") if each in scripts),
        notes=tuple(odd_at(whole, texts="name", tables="scripts require require-dev")),
    )


def pyproject(text: str) -> Manifest:
    """Read what pip, uv, Poetry and their like do."""
    whole = tomllib.loads(text)
    project, poetry = table_at(whole, "project"), table_at(whole, "tool", "poetry")
    needs = list(_python_needs(whole))
    tables = list(_poetry_tables(poetry))
    local = [path for each in needs for path in _AT_FILE.findall(each)]
    tables_of_paths = [table_at(whole, "tool", "uv", "sources"), *tables]
    local += [path for table in tables_of_paths for each in table.values() if (path := _path(each))]
    members = texts_at(whole, "tool", "uv", "workspace", "members")
    return Manifest(
        "python",
        text_at(project, "name") or text_at(poetry, "name"),
        text_at(project, "description") or text_at(poetry, "description"),
        pep508([*needs, *(name for each in tables for name in each if name != "python")]),
        tuple(local),
        members,
        only_members=bool(members) and not (project or poetry),
        commands=tuple(_python_commands(whole)),
        notes=tuple(odd_at(whole, texts="project.name tool.poetry.name", tables=_PYTHON_TABLES)),
    )


def _python_needs(whole: Mapping[str, object]) -> Iterator[str]:
    yield from texts_at(whole, "project", "dependencies")
    for each in table_at(whole, "project", "optional-dependencies"):
        yield from texts_at(whole, "project", "optional-dependencies", each)
    for each in table_at(whole, "dependency-groups"):
        yield from texts_at(whole, "dependency-groups", each)


def _poetry_tables(poetry: Mapping[str, object]) -> Iterator[dict[str, object]]:
    yield table_at(poetry, "dependencies")
    yield table_at(poetry, "dev-dependencies")
    for each in table_at(poetry, "group"):
        yield table_at(poetry, "group", each, "dependencies")


def _python_commands(whole: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for tool, command in (
        ("ruff", "ruff check ."),
        ("mypy", "mypy ."),
        ("black", "black --check ."),
    ):
        if at(whole, "tool", tool) is not None:
            yield "lint", command
    if at(whole, "build-system") is not None:
        yield "build", "python3 -m build"


def pep508(needs: list[str]) -> tuple[str, ...]:
    """Return the names in these requirements, as PyPI writes them."""
    found = (_PEP508.match(each) for each in needs)
    return tuple(re.sub(r"[-_.]+", "-", each[1]).lower() for each in found if each)


def cargo_toml(text: str) -> Manifest:
    """Read what Cargo does."""
    whole = tomllib.loads(text)
    tables = [
        table_at(of, key)
        for of in (whole, *table_at(whole, "target").values())
        for key in ("dependencies", "dev-dependencies", "build-dependencies")
    ]
    needs = [(name, each) for table in tables for name, each in table.items()]
    members = texts_at(whole, "workspace", "members")
    return Manifest(
        "cargo",
        text_at(whole, "package", "name"),
        text_at(whole, "package", "description"),
        tuple(text_at(each, "package") or name for name, each in needs),
        tuple(path for _, each in needs if (path := _path(each))),
        members,
        only_members=bool(members) and "package" not in whole,
        commands=(("lint", "cargo clippy"), ("build", "cargo build")),
        notes=tuple(odd_at(whole, texts="package.name", tables="package dependencies workspace")),
    )


def _path(of: object) -> str:
    """Return the `path` of a dependency; of one that names a file, its folder."""
    path = text_at(of, "path")
    return os.path.dirname(path) if path.endswith((".whl", ".tar.gz", ".toml")) else path
