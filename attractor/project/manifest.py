"""What a manifest says of one folder, whichever ecosystem it is of. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Manifest:
    """One file that describes a part of a project."""

    kind: str
    """Its ecosystem: npm, python, cargo, go, maven, gradle, ruby, php, elixir, dotnet."""
    name: str = ""
    description: str = ""
    needs: tuple[str, ...] = ()
    """Names of what it depends on, of the project or of others."""
    local: tuple[str, ...] = ()
    """Folders that it depends on, relative to its own."""
    members: tuple[str, ...] = ()
    """Folders of its parts, relative to its own, with `*`; empty where it has none."""
    only_members: bool = False
    """It is nothing but the frame around its parts."""
    commands: tuple[tuple[str, str], ...] = ()
    """What for (test, lint, build), and the command."""
    notes: tuple[str, ...] = ()
    """What of it has another shape than it should, and was passed over."""
