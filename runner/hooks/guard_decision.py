"""What a session may do, decided for one tool call before it happens.

`judge` returns a Denial or nothing. The orchestrator (the main thread: no `agent_id`) coordinates
and does not change files; a worker changes files in the worktree only; nobody reads what is hidden
from the session, changes git's own files, its settings, or our hooks, or opens a dialog that
nobody answers. A Denial that breaks the rules of a role is a violation; others are only refused.

Nothing is stored or printed here. Loaded by `guard.py` with the standard library alone.
"""

from __future__ import annotations

from runner.hooks.envelope import quoted
from runner.hooks.guard_places import is_wild, mentioned, pieces
from runner.hooks.shell_words import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from runner.hooks.guard_places import Places
    from runner.hooks.shell_words import Word
    from runner.hooks.shell_writes import Finding, Line

    Denier = Callable[["Call", str], "Denial"]

EDITS = names("Edit Write MultiEdit NotebookEdit")
PATH_KEYS = ("file_path", "notebook_path", "path")
DIALOGS = names("AskUserQuestion EnterPlanMode ExitPlanMode")
MOVES = names("EnterWorktree ExitWorktree")
# They walk through folders; some only with an option that has one of these letters.
WALKERS = dict.fromkeys(names("rg ag ack find fd fdfind tree du tar zip rsync"), "")
WALKERS |= dict.fromkeys(names("grep egrep fgrep diff scp"), "rR")
WALKERS |= {"ls": "R", "chmod": "R", "chown": "R", "cp": "rRa"}
MOST_WORDS = 2_000
MOST_FOLDERS = 8
SHOWN_CHARACTERS = 300
SHOWN = 3
DELEGATE = (
    "Let a worker do it: start one with the Agent tool, say what is to change and in which files, "
    "then look at the result (`git diff`). Reading, running tests and builds, `git add` and "
    "`git commit` are yours."
)
QUESTION = (
    "Nobody can answer a dialog here. If you cannot go on without an answer, end your turn with "
    "<question>what you must know</question> as your last words; otherwise decide yourself."
)
ELSEWHERE = "All that the work needs is in the worktree; go on there."


class Denial:
    """Why a call is denied, and what to do instead."""

    __slots__ = ("advice", "event", "is_violation", "problem", "rule")

    def __init__(self, rule: str, problem: str, advice: str, *, is_violation: bool = True) -> None:
        self.rule = rule
        self.problem = problem
        self.advice = advice
        self.is_violation = is_violation
        self.event = "PreToolUse"

    @property
    def answer(self) -> str:
        """What Claude Code is told, as JSON."""
        if self.event != "PreToolUse":
            return f'{{"decision":"block","reason":{quoted(self.text)}}}'
        inner = f'"permissionDecision":"deny","permissionDecisionReason":{quoted(self.text)}'
        return f'{{"hookSpecificOutput":{{"hookEventName":"PreToolUse",{inner}}}}}'

    @property
    def text(self) -> str:
        """What the session is told."""
        return f"Denied: {self.problem}\n{self.advice}"


def undecided(error: Exception) -> Denial:
    """Return the denial of a call about which nothing could be decided."""
    problem = f"the guard could not decide ({error!r:.500})."
    advice = "Try it once more, or another way; if it stays so, end your turn and say so."
    return Denial("fault", problem, advice, is_violation=False)


def judge(event: object, places: Places, values: dict[str, str]) -> Denial | None:
    """Return why this call must not happen, if it must not.

    `values` are the variables that the session's shell begins with.
    """
    if not isinstance(event, dict):
        raise TypeError("the event is too large, or no JSON object")
    if event.get("hook_event_name") == "ConfigChange":
        problem = "the session's settings are not changed while it runs."
        advice = "They count from its next start on."
        denial = Denial("settings", problem, advice, is_violation=False)
        denial.event = "ConfigChange"
        return denial
    return judge_call(event, places, values)


def judge_call(event: dict[str, Any], places: Places, values: dict[str, str]) -> Denial | None:
    """Judge the call of a tool."""
    tool, given = event.get("tool_name"), event.get("tool_input")
    if not isinstance(tool, str) or not isinstance(given, dict):
        raise TypeError("the call has no tool_name or no tool_input")
    if tool in DIALOGS:
        return Denial("dialog", f"`{tool}` opens a dialog.", QUESTION, is_violation=False)
    if tool in MOVES:
        problem = f"`{tool}` would take the session to another worktree."
        return Denial("worktree", problem, "Stay in this one.", is_violation=False)
    worker = bool(event.get("agent_id"))
    folder = event.get("cwd")
    call = Call(places, folder if isinstance(folder, str) else places.worktree, worker=worker)
    if tool in EDITS:
        return call.edits(tool, given)
    command = given.get("command")
    if isinstance(command, str):
        return call.runs(command, values)
    return call.reads(tool, given)


class Call:
    """One call, in the folder in which it would happen."""

    def __init__(self, places: Places, folder: str, *, worker: bool) -> None:
        self.places = places
        self.folder = folder
        self.worker = worker

    # ---- tools that name a file

    def edits(self, tool: str, given: dict[str, Any]) -> Denial | None:
        """Judge a tool that changes a file."""
        said = next((given[key] for key in PATH_KEYS if isinstance(given.get(key), str)), None)
        if said is None:
            raise TypeError(f"{tool} names no file")
        meant = self.places.meant(said, self.folder)
        if not self.worker:
            problem = f"the orchestrator does not change files; `{tool}` would, {shown(said)}."
            return Denial("writes", problem, DELEGATE)
        if any(map(self.places.protects, meant)):
            return self.protected(said)
        if not all(map(self.places.within, meant)):
            problem = f"{shown(said)} is outside of the worktree."
            advice = f"Write below {self.places.worktree} only."
            return Denial("outside", problem, advice)
        return self.hidden(said) if any(map(self.places.hides, meant)) else None

    def reads(self, tool: str, given: dict[str, Any]) -> Denial | None:
        """Judge any other tool, by the paths that it names."""
        said = [given[key] for key in PATH_KEYS if isinstance(given.get(key), str)]
        for each in said:
            if any(map(self.places.hides, self.places.meant(each, self.folder))):
                return self.hidden(each)
        if tool not in ("Grep", "Glob"):
            return None
        root = self.places.meant(said[0] if said else "", self.folder)
        if any(map(self.places.holds_hidden, root)):
            return self.search(root[0])
        pattern = given.get("pattern")
        if tool == "Glob" and isinstance(pattern, str):
            meant = self.places.meant(pattern, root[0])[0]
            if is_wild(meant) and self.places.reaches(meant):
                return self.search(pattern)
        return None

    # ---- lines of shell

    def runs(self, command: str, values: dict[str, str]) -> Denial | None:
        """Judge a line of shell."""
        from runner.hooks.shell_writes import look

        line = look(command, values)
        if line.findings and not self.worker:
            return self.writes(line.findings)
        for place in self.places.hidden:
            if any(map(self.places.hides, mentioned(command, place))):
                return self.hidden(place)
        return self.words(line)

    def words(self, line: Line) -> Denial | None:
        """Judge each word of a line, in each folder in which it may be run."""
        folders, known = [self.folder], set[tuple[str, int]]()
        written = {id(each.words) for each in line.findings}
        for command in line.commands:
            program = command[0].text.rpartition("/")[2] if command else ""
            folders += self.entered(program, command, folders[-1])
            del folders[MOST_FOLDERS:]
            walks = program in WALKERS and walks_down(program, command)
            if walks and any(map(self.places.holds_hidden, folders)):
                return self.search(folders[-1])
            for word in command:
                if (word.text, len(folders)) in known and id(command) not in written:
                    continue
                known.add((word.text, len(folders)))
                if len(known) > MOST_WORDS:
                    problem = f"the line has more than {MOST_WORDS:,} different words."
                    return Denial("fault", problem, "Split it.", is_violation=False)
                changes = id(command) in written
                if denial := self.word(word.text, folders, walks=walks, changes=changes):
                    return denial
        return None

    def word(self, text: str, folders: list[str], *, walks: bool, changes: bool) -> Denial | None:
        """Judge one word of a line."""
        if changes and mentions_git(text):
            return self.protected(text)
        for piece in pieces(text):
            for folder in folders:
                if rule := self.broken(piece, folder, walks=walks, changes=changes):
                    return rule(self, text)
        return None

    def broken(self, piece: str, folder: str, *, walks: bool, changes: bool) -> Denier | None:
        """Return how a call is denied for a path that it names, if it is."""
        meant = self.places.meant(piece, folder)
        if is_wild(piece):
            return Call.hidden if self.places.reaches(meant[0]) else None
        if any(map(self.places.hides, meant)):
            return Call.hidden
        if changes and any(map(self.places.protects, meant)):
            return Call.protected
        return Call.search if walks and any(map(self.places.holds_hidden, meant)) else None

    def entered(self, program: str, command: list[Word], folder: str) -> list[str]:
        """Return the folders that a command goes to, for itself or for those behind it."""
        texts = [each.text for each in command[1:]]
        if program in ("cd", "pushd"):
            targets = [each for each in texts if each[:1] != "-"][:1]
        else:
            targets = [texts[at] for at in range(1, len(texts)) if texts[at - 1] == "-C"]
        return [self.places.meant(each, folder)[0] for each in targets]

    # ---- denials

    def writes(self, findings: list[Finding]) -> Denial:
        said = "; ".join(dict.fromkeys(each.what for each in findings[:SHOWN]))
        problem = f"the orchestrator does not change files, and this line would: {shown(said)}."
        return Denial("writes", problem, DELEGATE)

    def hidden(self, said: str) -> Denial:
        return Denial("hidden", f"{shown(said)} is not this session's to read.", ELSEWHERE)

    def search(self, said: str) -> Denial:
        problem = f"a search from {shown(said)} would go through what is not this session's."
        return Denial("search", problem, "Search in the worktree.", is_violation=False)

    def protected(self, said: str) -> Denial:
        problem = (
            f"{shown(said)}: git's own files, the session's settings and what the Runner keeps "
            "are not changed from within."
        )
        return Denial("protected", problem, "Use git's commands, and leave the rest as it is.")


def walks_down(program: str, command: list[Word]) -> bool:
    """Say whether a program goes through folders, with these options."""
    letters = WALKERS[program]
    if not letters:
        return True
    given = [each.text for each in command[1:] if each.text[:1] == "-"]
    return any(not set(letters).isdisjoint(each) for each in given)


def mentions_git(text: str) -> bool:
    """Say whether a text, such as code in quotes, names something in a `.git`."""
    at = text.find(".git")
    while at >= 0:
        before, after = text[at - 1 : at], text[at + 4 : at + 5]
        if not before.isalnum() and not after.isalnum() and after not in ("-", "_", "."):
            return True
        at = text.find(".git", at + 4)
    return ".claude/settings" in text


def shown(text: str) -> str:
    """Return what a person may read of a text."""
    plain = "".join(each if each.isprintable() else " " for each in text[:SHOWN_CHARACTERS])
    return " ".join(plain.split())
