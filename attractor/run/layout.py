"""Where everything is: the only place where paths of a run are built.

Pure arithmetic on names: nothing is created, opened or looked up, so a path that is returned need
not exist. What is guaranteed is that a name from outside (a node's id, a run's id) becomes exactly
one path component, that different names become different components even on a filesystem that
ignores case, and that no name leads out of its folder or into another name's.

A run has a folder of its own (`RunLayout`). A DOT file that is used by hand has none: its journal,
lock and checkpoints lie beside it (`BareLayout`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_PLAIN: Final = frozenset(f"{_LETTERS}{_LETTERS.upper()}0123456789_-.")
# Filesystems allow 255 bytes; the rest is room for suffixes such as `.owner.json`.
_LONGEST: Final = 200


def escape(name: str) -> str:
    """Return the one path component that stands for this name, readable where the name is.

    All but ASCII letters, digits, `_`, `-` and `.` becomes `%xx`, byte by byte, and so does a dot
    in front. Capitals are kept, and counted behind `%-` (bit n: character n is one), because some
    filesystems ignore case. A name that would be too long ends in `%%` and its SHA-256 instead.
    """
    data = name.encode("utf-8", "surrogatepass")
    text = "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in data)
    if text.startswith("."):
        text = f"%2e{text[1:]}"
    if capitals := sum(1 << place for place, each in enumerate(text) if each.isupper()):
        text += f"%-{capitals:x}"
    if len(text) > _LONGEST:
        import hashlib  # for such names only; it costs every start 2 ms

        return f"{text[:100]}%%{hashlib.sha256(data).hexdigest()}"
    return text or "%"


@final
@dataclass(frozen=True, slots=True)
class RunLayout:
    """One run on disk, in `.claude/attractor/runs/<run-id>/`."""

    root: str

    @property
    def dot(self) -> str:
        """The user's graph, statuses edited in place."""
        return os.path.join(self.root, "pipeline.dot")

    @property
    def journal(self) -> str:
        """The truth of the run."""
        return os.path.join(self.root, "journal.jsonl")

    @property
    def lock(self) -> str:
        """The lease of the one writer of the journal."""
        return os.path.join(self.root, "guardian.lock")

    @property
    def checkpoints(self) -> str:
        """The folder of the checkpoints."""
        return os.path.join(self.root, "checkpoints")

    @property
    def guardian_mailbox(self) -> str:
        """The mailbox that the Guardian reads."""
        return os.path.join(self.root, "signals", "guardian")

    @property
    def terminal_mailbox(self) -> str:
        """The mailbox that the person's terminal reads."""
        return os.path.join(self.root, "signals", "terminal")

    def runner_mailbox(self, node_id: str) -> str:
        """Return the mailbox that this node's Runner reads."""
        return os.path.join(self.root, "signals", "runner", escape(node_id))

    def node(self, node_id: str) -> str:
        """Return the folder of one node."""
        return os.path.join(self.root, "nodes", escape(node_id))

    def assignment(self, node_id: str) -> str:
        """Return the file that says what the node's Runner is to do."""
        return os.path.join(self.node(node_id), "assignment.json")

    def events(self, node_id: str) -> str:
        """Return the only folder that the node's session may write outside its worktree."""
        return os.path.join(self.node(node_id), "events")

    def pane_log(self, node_id: str) -> str:
        """Return the file with what the node's terminal showed."""
        return os.path.join(self.node(node_id), "pane.log")

    def runner_owner(self, node_id: str) -> str:
        """Return the record of the process that is the node's Runner."""
        return os.path.join(self.node(node_id), "owner.json")

    def runner_lock(self, node_id: str) -> str:
        """Return the lease of the node's one Runner."""
        return os.path.join(self.node(node_id), "runner.lock")

    def runner_state(self, node_id: str) -> str:
        """Return what the node's Runner knows, so that another can go on."""
        return os.path.join(self.node(node_id), "runner.json")

    def runner_log(self, node_id: str) -> str:
        """Return what the node's Runner said on its standard streams: mistakes of ours."""
        return os.path.join(self.node(node_id), "runner.log")

    def timeline(self, node_id: str) -> str:
        """Return what happened to the node's session, and what was decided."""
        return os.path.join(self.node(node_id), "timeline.jsonl")

    def session(self, node_id: str) -> str:
        """Return the record of how the node's session is reached."""
        return os.path.join(self.node(node_id), "session.json")

    def launch(self, node_id: str) -> str:
        """Return what the node's launcher starts; not visible to the session."""
        return os.path.join(self.node(node_id), "launch.json")

    def inbox(self, node_id: str) -> str:
        """Return the folder with guidance for the session, which may only read it."""
        return os.path.join(self.node(node_id), "inbox")

    def brief(self, node_id: str) -> str:
        """Return the folder with what the session is started with; it may only read it."""
        return os.path.join(self.node(node_id), "brief")

    def config(self, node_id: str) -> str:
        """Return the private configuration of the node's session, in a rehearsal."""
        return os.path.join(self.node(node_id), "config")

    def home(self, node_id: str) -> str:
        """Return the private home of the node's session, in a rehearsal."""
        return os.path.join(self.node(node_id), "home")

    def refs(self, node_id: str) -> str:
        """Return the folder that the session sees in place of the run's branches."""
        return os.path.join(self.node(node_id), "refs")

    def reflogs(self, node_id: str) -> str:
        """Return the same for the logs of the run's branches."""
        return os.path.join(self.node(node_id), "reflogs")

    def git(self, node_id: str) -> str:
        """Return the git folder of ours through which the node's worktree is looked at."""
        return os.path.join(self.node(node_id), "git")

    def worktree_record(self, node_id: str) -> str:
        """Return what was noted when the node's worktree was made."""
        return os.path.join(self.node(node_id), "worktree.json")

    def worktree_lock(self, node_id: str) -> str:
        """Return the lock of whoever works on the node's worktree from outside."""
        return os.path.join(self.node(node_id), "worktree.lock")

    def turns(self, node_id: str) -> str:
        """Return the folder with what the session's programs were given, said, and ended with."""
        return os.path.join(self.node(node_id), "turns")

    def results(self, node_id: str) -> str:
        """Return the folder with the answers of the Runner's own child processes."""
        return os.path.join(self.node(node_id), "results")

    def evidence(self, node_id: str, attempt: int) -> str:
        """Return the folder with what was found when this attempt was judged."""
        return os.path.join(self.root, "evidence", escape(node_id), str(int(attempt)))

    @property
    def owner(self) -> str:
        """The record of the process that is the Guardian."""
        return os.path.join(self.root, "owner.json")

    @property
    def key(self) -> str:
        """The run's signing key."""
        return os.path.join(self.root, "key")

    @property
    def request(self) -> str:
        """What the person asked for when the run was started, or resumed."""
        return os.path.join(self.root, "run.json")

    @property
    def keeper(self) -> str:
        """The record of the process that starts the Guardian again when it dies."""
        return os.path.join(self.root, "keeper.json")

    @property
    def keeper_lock(self) -> str:
        """The lease of the run's one keeper."""
        return os.path.join(self.root, "keeper.lock")

    @property
    def log(self) -> str:
        """What keeper and Guardian said on their standard streams."""
        return os.path.join(self.root, "guardian.log")

    def skill(self, node_id: str) -> str:
        """Return the file that says how the node's work is to be done, where its plan says so."""
        return os.path.join(self.root, "skills", f"{escape(node_id)}.md")

    @property
    def progress(self) -> str:
        """How far the run is, for a person."""
        return os.path.join(self.root, "PROGRESS.md")

    @property
    def tasks(self) -> str:
        """The folder with the questions to the Guardian's children, and their answers."""
        return os.path.join(self.root, "tasks")

    @property
    def trees(self) -> str:
        """The folder of the clean checkouts in which work is judged, merged and packed."""
        return os.path.join(self.root, "trees")

    @property
    def books(self) -> str:
        """What beads and the promise were told last."""
        return os.path.join(self.root, "books.json")

    @property
    def requests(self) -> str:
        """The log of the scripted model, in a rehearsal."""
        return os.path.join(self.root, "requests.jsonl")

    @property
    def final(self) -> str:
        """The result of the run, written last."""
        return os.path.join(self.root, "final.json")

    @property
    def success(self) -> str:
        """The same for a person, when the run succeeded."""
        return os.path.join(self.root, "SUCCESS.md")


@final
@dataclass(frozen=True, slots=True)
class BareLayout:
    """A DOT file without a run: its journal, lock and checkpoints lie beside it."""

    dot: str

    @property
    def journal(self) -> str:
        """The journal of the transitions made by hand."""
        return f"{self.dot}.journal.jsonl"

    @property
    def lock(self) -> str:
        """The lease that serialises the commands on this file."""
        return f"{self.dot}.lock"

    @property
    def checkpoints(self) -> str:
        """The folder of the checkpoints."""
        return f"{self.dot}.checkpoints"


Layout = RunLayout | BareLayout


def state_folder(project: str) -> str:
    """Return the folder in a project that holds everything of ours."""
    return os.path.join(project, ".claude", "attractor")


def run_layout(project: str, run_id: str) -> RunLayout:
    """Return the layout of one run of a project."""
    return RunLayout(os.path.join(state_folder(project), "runs", escape(run_id)))


def current_run(project: str) -> str:
    """Return the symbolic link to the project's current run."""
    return os.path.join(state_folder(project), "current")


def layout_of(dot: str) -> Layout:
    """Return the layout that a DOT file belongs to: its run's, where it is a run's own graph."""
    folder, name = os.path.split(os.path.abspath(dot))
    if name == "pipeline.dot" and _is_run(folder):
        return RunLayout(os.path.dirname(dot) or os.curdir)
    return BareLayout(dot)


def _is_run(folder: str) -> bool:
    ours = [".claude", "attractor"]
    parts = folder.split(os.sep)
    return parts[-4:-1] == [*ours, "runs"] or parts[-3:] == [*ours, "current"]
