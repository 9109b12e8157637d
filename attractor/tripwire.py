"""The check that `attractor`, `guardian`, `runner` and `signals` are ours, and can be found.

The four names are generic, so another distribution may own one of them too: the later install
overwrites the earlier without a word (docs/adr/0001-package-names.md). `check_start` is for the
start of a long-lived process: it looks where the four would load from, imports nothing, and reads
no metadata. `examine` is for `attractor doctor` and the tests: it also asks who owns the names, and
starts a child the way we start our own processes.

Not guaranteed: code that already runs in this process is not examined, and a distribution that
was installed without its list of files cannot be recognised as an owner.
"""

from __future__ import annotations

import importlib.util
import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from attractor.errors import AttractorError, ToolError

if TYPE_CHECKING:
    from importlib import metadata

NAMES: Final = ("attractor", "guardian", "runner", "signals")
DISTRIBUTION: Final = "attractor"
REINSTALL: Final = (
    "install Attractor into an environment of its own (`uv tool install` or `pipx install`), "
    "never into a project's environment"
)
_CHILD_SECONDS: Final = 20.0
# Written out, because the child must not import anything of ours to answer.
_CHILD_ASKS: Final = (
    "import importlib.util as u; "
    f"[print(getattr(u.find_spec(n), 'origin', None) or '') for n in {NAMES!r}]"
)


@final
@dataclass(frozen=True)
class Problem:
    """One thing that makes this installation unsafe: what it is, and what to do."""

    name: str
    problem: str
    fix: str = REINSTALL


class TripwireError(AttractorError):
    """The packages that would run are not, or not only, ours."""

    code = "tripwire"


def check_start() -> None:
    """Refuse to go on when the four packages do not load from one folder of ours."""
    problems = [*_mixed(origins()), *_user_site()]
    if problems:
        first = problems[0]
        raise TripwireError(first.problem, where=first.name, fix=first.fix)


def examine() -> list[Problem]:
    """Return everything that is wrong with this installation; an empty list means that it is ours.

    Costs the reading of every installed distribution's list of files, and one child process.
    """
    found = origins()
    shared, copies = _shared_names(), _copies()
    return [*_mixed(found), *_user_site(), *shared, *copies, *_unreachable(found)]


def origins() -> dict[str, str | None]:
    """Return the file that each of the four names loads from, without importing it."""
    found: dict[str, str | None] = {}
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        found[name] = spec.origin if spec else None
    return found


def _mixed(found: Mapping[str, str | None]) -> list[Problem]:
    ours = _folder_of_ours()
    problems = []
    for name, origin in found.items():
        if origin is None:
            problems.append(Problem(name, f"the package `{name}` is not installed"))
        elif _parent(origin) != ours:
            problems.append(
                Problem(name, f"`{name}` would load from {origin}, and Attractor is in {ours}")
            )
    return problems


def _folder_of_ours() -> str:
    return os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _parent(origin: str) -> str:
    """Return the folder that holds the package (of a module without a package: its own)."""
    folder, file = os.path.split(os.path.realpath(origin))
    return os.path.dirname(folder) if file == "__init__.py" else f"{folder}/{file}"


def _user_site() -> list[Problem]:
    folder = os.path.realpath(site.getusersitepackages())
    if _folder_of_ours() != folder:
        return []
    said = f"Attractor is in the user's own site folder, {folder}, which isolated processes ignore"
    return [Problem(DISTRIBUTION, said)]


def _shared_names() -> list[Problem]:
    from importlib import metadata

    owners = metadata.packages_distributions()
    problems = []
    for name in NAMES:
        others = sorted({owner for owner in owners.get(name, []) if owner != DISTRIBUTION})
        if others:
            said = f"the package `{name}` belongs to {', '.join(others)} too"
            problems.append(Problem(name, said))
    return problems


def _copies() -> list[Problem]:
    """Find a second Attractor on the path, and an editable one that points somewhere else."""
    from importlib import metadata

    copies = {str(copy.locate_file("")): copy for copy in metadata.distributions(name=DISTRIBUTION)}
    problems = []
    if len(copies) > 1:
        said = f"Attractor is installed {len(copies)} times: in {', '.join(copies)}"
        problems.append(Problem(DISTRIBUTION, said))
    for copy in copies.values():
        checkout = _editable_checkout(copy)
        if checkout and checkout != _folder_of_ours():
            said = f"an old editable install points at {checkout}, not at {_folder_of_ours()}"
            fix = "uninstall it (`pip uninstall attractor`), then install again"
            problems.append(Problem(DISTRIBUTION, said, fix))
    return problems


def _editable_checkout(copy: metadata.Distribution) -> str:
    import json
    from urllib.parse import unquote

    try:
        told: Any = json.loads(copy.read_text("direct_url.json") or "{}")
        editable, url = told["dir_info"]["editable"], told["url"]
    except (ValueError, TypeError, KeyError):
        return ""  # not installed from a folder
    return os.path.realpath(unquote(url.removeprefix("file://"))) if editable else ""


def _unreachable(found: Mapping[str, str | None]) -> list[Problem]:
    """Compare with what a process of ours would find: isolated, as `own_command` starts it."""
    from attractor.spawn import run_tool

    try:
        said = run_tool([sys.executable, "-I", "-c", _CHILD_ASKS], timeout_seconds=_CHILD_SECONDS)
    except ToolError as error:
        return [Problem("python -I", error.problem, error.fix)]
    theirs = said.decode("utf-8", "surrogateescape").splitlines()
    return [
        Problem(
            name,
            f"an isolated process would load `{name}` from {their or 'nowhere'}, "
            f"this one from {ours or 'nowhere'}",
        )
        for (name, ours), their in zip(found.items(), theirs, strict=True)
        if their != (ours or "")
    ]
