"""Which path is what for one session: a value, computed from the assignment and the disk's shape.

Everything can be read and nothing written, but for the rules; of the rules, the nearest one on the
way up from a path holds. So the order of rules means nothing, and what is hidden stays hidden
below whatever is opened above it. Nothing is opened or made here.

Guaranteed: a rule stands at a real path, so no symbolic link leads a mount astray; what the judged
session could have made itself is never followed (a ToolError instead); a rule never stands at a
path that does not exist, because bwrap would make it, unless in a folder of this node. What should
be hidden and does not exist is a ToolError: it could appear later, and would be seen.

Limits: a hidden file that is reachable under a second name (a hard link, a bind mount) is seen
there. Objects of git are one store: what other nodes have committed can be read by its hash.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from attractor.errors import ToolError
from attractor.run.assignment import Assignment
from attractor.run.layout import state_folder
from runner import places
from runner.disk import Disk, Kind

_HEADS: Final = "refs/heads"
_FIX: Final = "end the node's session, remove what is in the way, then start the node again"


@final
class Access(enum.Enum):
    """What a session may do below a path."""

    READ = "read"
    WRITE = "write"
    SCRATCH = "scratch"  # an empty folder of its own, gone with the session
    HIDDEN = "hidden"  # an empty folder that stays empty
    MASKED = "masked"  # an empty file


@final
class Rule(NamedTuple):
    """One path's access, and what stands in its place when that is something else."""

    access: Access
    source: str = ""


@final
@dataclass(frozen=True, slots=True)
class Fence:
    """The rules, by their real paths."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    def ordered(self) -> list[tuple[str, Rule]]:
        """Return the rules, each behind those it lies in."""
        return sorted(self.rules.items(), key=lambda item: item[0].split(os.sep))

    def access(self, path: str) -> Access:
        """Return what a session may do with a real path."""
        return self._nearest(path)[1].access

    def outside(self, path: str) -> str:
        """Return where the file lies that a session knows by this path."""
        place, rule = self._nearest(path)
        return rule.source + path[len(place) :] if rule.source else path

    def _nearest(self, path: str) -> tuple[str, Rule]:
        place = path
        while place not in self.rules:
            if place == os.path.dirname(place):
                return place, Rule(Access.READ)
            place = os.path.dirname(place)
        return place, self.rules[place]


@final
class GitFolders(NamedTuple):
    """The git folders of a worktree."""

    common: str
    """What all worktrees share: usually `PROJECT/.git`."""
    own: str
    """This worktree's own: usually `PROJECT/.git/worktrees/NAME`."""


def fence_for(
    assignment: Assignment,
    git: GitFolders,
    environ: Mapping[str, str],
    disk: Disk,
    *,
    needed: tuple[str, ...] = (),
    private: bool = True,
) -> Fence:
    """Return the fence of a node's session.

    `needed` are programs and libraries that must stay readable wherever they lie. Without
    `private` (macOS: nothing can stand in another's place) the session has the real branches and
    the person's real Claude configuration.
    """
    draft = _Draft(assignment, git, environ, disk, private)
    draft.machine()
    draft.project(needed)
    draft.run()
    draft.git()
    draft.claude()
    draft.agents()
    return Fence(draft.result())


@final
class _Draft:
    """A fence in the making. What is hidden at a path is hidden, whatever else was said of it."""

    def __init__(
        self,
        assignment: Assignment,
        git: GitFolders,
        environ: Mapping[str, str],
        disk: Disk,
        private: bool,
    ) -> None:
        self._assignment = assignment
        self._git = git
        self._environ = environ
        self._disk = disk
        self._private = private
        self._home = environ.get("HOME", "")
        self._rules: dict[str, Rule] = {}

    def result(self) -> dict[str, Rule]:
        """Return the rules without those that change nothing."""
        fence = Fence(self._rules)
        kept = {}
        for path, rule in self._rules.items():
            around = fence.access(os.path.dirname(path))
            if rule != Rule(Access.READ) or around is not Access.READ:
                kept[path] = rule
        return kept

    def machine(self) -> None:
        """Open the caches, hide what nobody needs, give it scratch folders of its own."""
        for path in places.SCRATCH:
            self._set(path, Access.SCRATCH)
        for path in places.DAEMONS:
            self._hide(path)
        for path in places.DAEMONS_NEEDED:
            self._open(path)
        for name in places.SOCKET_VARIABLES:
            self._hide(_path_in(self._environ.get(name, "")))
        if self._home:
            self._person()

    def _person(self) -> None:
        self._open(self._home)
        for word in places.SECRETS:
            self._hide(self._place(word))
        if not self._assignment.rehearsed:
            for place, source in places.caches(self._assignment, self._environ, self._disk):
                self._set(place, Access.WRITE, source if self._private else "")

    def project(self, needed: tuple[str, ...]) -> None:
        """Keep the project and the programs readable, the worktree writable, the others hidden."""
        for path in (self._assignment.project, *needed):
            self._open(path)
        worktree = self._assignment.worktree
        self._hide(os.path.dirname(worktree))
        self._require(worktree, Kind.FOLDER)
        self._set(worktree, Access.WRITE)
        self._require(os.path.join(worktree, ".git"), Kind.FILE)
        self._keep(os.path.join(worktree, ".git"), Kind.FILE)

    def run(self) -> None:
        """Hide every run, the rubrics and what we keep for the person, but for the node's own."""
        assignment, layout = self._assignment, self._assignment.layout
        state = self._place(places.STATE) if self._home else ""
        for path in (state_folder(assignment.project), state):
            self._hide(path)
        for path in (layout.root, *assignment.hidden):
            if self._disk.kind(self._disk.real(path)) is Kind.NOTHING and not self._unseen(path):
                raise ToolError(
                    "what should be hidden from the session does not exist",
                    where=path,
                    fix="make it first, or leave it out of the assignment",
                )
            self._hide(path)
        node = assignment.node_id
        for path, access in (
            (layout.events(node), Access.WRITE),
            (layout.inbox(node), Access.READ),
            (layout.brief(node), Access.READ),
        ):
            self._require(path, Kind.FOLDER)
            self._set(path, access)

    def git(self) -> None:
        """Open what a commit in this worktree needs, and nothing that another would run or use."""
        common, own = self._git
        self._open(common)
        self._hide(os.path.dirname(own))
        self._set(own, Access.WRITE)
        for name in ("commondir", "gitdir", "config.worktree", "locked"):
            self._keep(os.path.join(own, name), Kind.FILE)
        objects = os.path.join(common, "objects")
        self._set(objects, Access.WRITE)
        for name in ("pack", "info"):
            self._keep(os.path.join(objects, name), Kind.FOLDER)
        layout, node = self._assignment.layout, self._assignment.node_id
        folder = os.path.dirname(self._assignment.branch)
        for place, source in (
            (os.path.join(common, _HEADS, folder), layout.refs(node)),
            (os.path.join(common, "logs", _HEADS, folder), layout.reflogs(node)),
        ):
            if self._private:
                self._require(place, Kind.FOLDER)
                self._require(source, Kind.FOLDER)
            self._set(place, Access.WRITE, source if self._private else "")

    def claude(self) -> None:
        """Give the session a configuration: its own in a rehearsal, else the person's, fenced."""
        layout, node = self._assignment.layout, self._assignment.node_id
        usual = os.path.join(self._home, ".claude") if self._home else ""
        theirs = self._environ.get("CLAUDE_CONFIG_DIR", "") or usual
        if self._assignment.rehearsed:
            for path in (layout.config(node), layout.home(node)):
                self._require(path, Kind.FOLDER)
                self._set(path, Access.WRITE)
        if self._assignment.rehearsed or self._assignment.alone:
            for path in (usual, theirs, f"{usual}.json" if usual else ""):
                self._hide(path)
            return
        if usual != theirs:
            self._hide(usual)
        if not theirs:
            return
        self._set(theirs, Access.WRITE, layout.config(node) if self._private else "")
        for name, source in places.claude_entries(theirs, self._disk):
            access = Access.WRITE if name == places.CLAUDE_LOGIN else Access.READ
            self._rules[os.path.join(self._disk.real(theirs), name)] = Rule(access, source)

    def agents(self) -> None:
        """Hide the other agents' logins; an agent that works alone has folders of its own."""
        told = self._assignment
        if not self._home:
            return
        for name, word in places.AGENT_LOGINS.items():
            if name != told.agent or told.rehearsed:
                self._hide(self._place(word))
        if told.rehearsed or not told.alone:
            return
        for place, source, names in places.agent_folders(told, self._environ, self._disk):
            self._set(place, Access.WRITE, source if self._private else "")
            for name in names:
                self._shown(place, name, Access.READ)
        folder, name = os.path.split(self._place(places.AGENT_LOGINS[told.agent]))
        self._shown(folder, name, Access.WRITE)

    def _shown(self, folder: str, name: str, access: Access) -> None:
        """Show what a person has in a folder in whose place the session's own stands."""
        source = self._disk.real(os.path.join(folder, name))
        if self._disk.kind(source) in (Kind.FILE, Kind.FOLDER):
            self._rules[os.path.join(self._disk.real(folder), name)] = Rule(access, source)

    def _place(self, word: str) -> str:
        return places.place_of(word, self._environ)

    def _keep(self, path: str, kind: Kind) -> None:
        """Let the session only read what lies in a folder that it writes; it may be missing.

        The session could have made it: a link is refused, for a rule would stand where it leads.
        """
        if self._disk.kind(path) is not Kind.NOTHING:
            self._require(path, kind)
            self._rules[self._disk.real(path)] = Rule(Access.READ)

    def _set(self, path: str, access: Access, source: str = "") -> None:
        """Say what holds for a path, if it exists."""
        real = self._disk.real(path)
        if self._disk.kind(real) is not Kind.NOTHING and not self._is_hidden(real):
            self._rules[real] = Rule(access, source)

    def _open(self, path: str) -> None:
        """Let a path be read wherever it lies; a rule that it has already is stronger."""
        real = self._disk.real(path)
        if real not in self._rules:
            self._set(real, Access.READ)

    def _hide(self, path: str) -> None:
        if not path:
            return
        real = self._disk.real(path)
        kind = self._disk.kind(real)
        if kind is Kind.FOLDER:
            self._rules[real] = Rule(Access.HIDDEN)
        elif kind is not Kind.NOTHING:
            self._rules[real] = Rule(Access.MASKED)

    def _is_hidden(self, real: str) -> bool:
        rule = self._rules.get(real)
        return rule is not None and rule.access in (Access.HIDDEN, Access.MASKED)

    def _unseen(self, path: str) -> bool:
        around = Fence(self._rules).access(self._disk.real(path))
        return around in (Access.HIDDEN, Access.SCRATCH)

    def _require(self, path: str, kind: Kind) -> None:
        """Refuse what is not there, or is a link where we made none."""
        real = os.path.join(self._disk.real(os.path.dirname(path)), os.path.basename(path))
        found = self._disk.kind(real)
        if found is not kind:
            raise ToolError(
                f"the session cannot be fenced: {kind.value} expected, {found.value} found",
                where=path,
                fix=_FIX,
            )


def _path_in(value: str) -> str:
    """Return the path in a variable such as `unix:path=/run/bus,guid=1`; "" when it has none."""
    _, slash, path = value.partition("/")
    return f"/{path.lstrip('/').partition(',')[0]}" if slash else ""
