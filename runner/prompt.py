"""What a session is told: its role, its task, and what its Runner says to it later.

Pure. Every text begins with an ordinary word and ends with one, because Claude Code takes `/` and
`!` in front for commands and a backslash behind for a line that goes on. Text from elsewhere goes
in as it is, quotes, newlines, emoji and `$()` alike: no shell ever sees it. Nothing is said here
about how the work will be judged, because nothing is known here about that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from runner.phrases import ENDINGS

if TYPE_CHECKING:
    from attractor.run.assignment import Assignment

ANY_WORKER: Final = "worker"
"""The worker for work that names no other."""
_MOST_ITEMS: Final = 200
_MOST_ITEM: Final = 2_000
_MOST_FEEDBACK: Final = 30_000
_MOST_TOLD: Final = 20_000

_ROLE: Final = """\
You are the orchestrator of one node of a larger run. You coordinate, and workers do the work: you
read, plan, delegate, and look at what comes back. Nobody sits at this terminal, so never wait for
a person, a permission or a dialog.

How you work:
1. Read the task and what it names. Look at the code before you plan.
2. Cut the work into pieces that one worker can finish and commit. Give each to a worker with the
   Agent tool; say what is to be done, where, how it is to be tested, and that it must be committed.
3. When a worker reports, look for yourself: `git log`, `git diff`, the tests. Send back what is
   missing or wrong, with what you saw.
4. Go on until the whole task is done, and only then end.

Rules:
- Never create, change or delete a file yourself, neither with a tool nor with a shell command.
  Such a call is denied and reported. Small changes are a worker's work, too.
- Everything happens in this worktree and on its branch. Do not switch branches, do not push, do
  not rebase, cherry-pick or revert, and leave every other folder alone.
- Only what is committed counts. At the end `git status` shows nothing, and the branch has commits
  of this task.
- Do not skip, weaken or delete tests to make them pass, and do not say that something works which
  you did not see work.
- What later work should know, a worker may write into a file `.attractor/memory/NAME.md`, one line
  for each thing, which begins with `Decision:`, `Constraint:`, `Lesson:` or `Practice:`. Git
  ignores that folder; it is not committed."""

_ROLE_ALONE: Final = """\
You carry out one node of a larger run, alone: you read, plan, write, test and commit. Nobody sits
at this terminal, so never wait for a person, a permission or a dialog.

How you work:
1. Read the task and what it names. Look at the code before you plan.
2. Cut the work into pieces. Finish, test and commit each one before you begin the next.
3. At the end look at all of it once more: `git log`, `git diff`, the tests.

Rules:
- Everything happens in this worktree and on its branch. Do not switch branches, do not push, do
  not rebase, cherry-pick or revert, and leave every other folder alone.
- Only what is committed counts. At the end `git status` shows nothing, and the branch has commits
  of this task.
- Nothing that you started may still run when you end: it is ended with your turn.
- Do not skip, weaken or delete tests to make them pass, and do not say that something works which
  you did not see work.
- What later work should know, you may write into a file `.attractor/memory/NAME.md`, one line for
  each thing, which begins with `Decision:`, `Constraint:`, `Lesson:` or `Practice:`. Git ignores
  that folder; it is not committed."""

_SUBAGENTS: Final = """\
Workers run in the background. After you have started what can be started, end your turn with a
line that says what you wait for: you are woken when a worker is done. Pieces that touch the same
files come one after another."""

_TEAM: Final = """\
Workers are teammates: give each Agent call a `name`, talk to them with SendMessage, and let one
that rests have the next piece instead of starting another. After you have started what can be
started, end your turn with a line that says what you wait for: you are woken when a teammate
rests. Before you end for good, ask every teammate to shut down, with a message of the type
`shutdown_request`."""


def system_prompt(assignment: Assignment, workers: Iterable[str] = ()) -> str:
    """Return what is added to the session's system prompt: what holds in every turn."""
    parts = [_ROLE, _TEAM if assignment.workers == "team" else _SUBAGENTS]
    if names := sorted(workers):
        parts.append(f"The workers (`subagent_type`): {', '.join(names)}.")
    parts += _checks(assignment)
    parts.append(f"How you end: {ENDINGS}")
    return "\n\n".join(parts) + "\n"


def _checks(assignment: Assignment) -> list[str]:
    if not assignment.checks:
        return []
    return [f"These commands must succeed on what is committed:\n{_listed(assignment.checks)}"]


def first_prompt(
    assignment: Assignment, carry: str = "", *, missing_skills: Sequence[str] = ()
) -> str:
    """Return the task, with what is known of the attempt before.

    An agent that works alone has no system prompt of ours, so its role stands in front.
    """
    alone = assignment.alone
    parts = [_ROLE_ALONE, *_checks(assignment)] if alone else []
    parts.append(_opening(assignment))
    for title, text in (
        ("Task", assignment.prompt or assignment.label),
        ("It is done when", assignment.acceptance),
        ("Where", _where(assignment)),
        ("Workers", "" if alone else _worker(assignment)),
        ("Skills", _skills(assignment, missing_skills)),
        ("What is known here", assignment.memory[:_MOST_TOLD]),
        ("How this is done", assignment.skill[:_MOST_TOLD]),
        ("What was wrong with the attempt before", assignment.feedback[:_MOST_FEEDBACK]),
        ("What is known of the attempt before", carry),
    ):
        if text.strip():
            parts.append(f"# {title}\n\n{text.strip()}")
    parts.append(f"# How you end\n\n{ENDINGS}")
    return "\n\n".join(parts)


def _opening(assignment: Assignment) -> str:
    name = assignment.label or assignment.node_id
    again = f" This is attempt {assignment.attempt}." if assignment.attempt > 1 else ""
    return f"Your node is {' '.join(name.split())[:_MOST_ITEM]}.{again}"


def _where(assignment: Assignment) -> str:
    lines = [f"The worktree is `{assignment.worktree}`, its branch `{assignment.branch}`."]
    if assignment.target_dir:
        lines.append(f"The work is about the folder `{assignment.target_dir}`.")
    if assignment.sd_path:
        lines.append(f"Read the solution design first: `{assignment.sd_path}`.")
    if assignment.prd_ref:
        lines.append(f"It belongs to the requirements {assignment.prd_ref}.")
    if assignment.files:
        lines.append(f"These files are meant:\n{_listed(assignment.files)}")
    return "\n".join(lines)


def _worker(assignment: Assignment) -> str:
    if not assignment.worker_type:
        return f"Choose the worker that fits each piece, or `{ANY_WORKER}`."
    return f"Give the work to `{assignment.worker_type}`; to another only what does not fit it."


def _skills(assignment: Assignment, missing: Sequence[str]) -> str:
    skills = assignment.skills
    if not skills:
        return ""
    told = "" if assignment.alone else ", and name them to the workers"
    found = [f".claude/skills/{each}/SKILL.md" for each in skills if each not in missing]
    lines = []
    if found:
        lines.append(f"Read these before you plan{told}:\n{_listed(found)}")
    if missing:
        lines.append(f"These are not in the worktree, so do without: {', '.join(missing)}.")
    return "\n".join(lines)


def _listed(items: Sequence[str]) -> str:
    lines = [f"- `{each[:_MOST_ITEM]}`" for each in items[:_MOST_ITEMS]]
    if len(items) > _MOST_ITEMS:
        lines.append(f"- and {len(items) - _MOST_ITEMS} more")
    return "\n".join(lines)


def after_loss() -> str:
    """Return the prompt of a session that was resumed because its process was lost."""
    return (
        "Your session was lost, through no fault of yours, and is resumed with its context. What "
        "was under way when it ended has not been finished: look at `git status`, `git log` and "
        f"the workers' last results, and go on from there. {ENDINGS}"
    )


def after_cooldown() -> str:
    """Return what is said when a rate limit is over."""
    return f"The rate limit is over. Go on where you were interrupted. {ENDINGS}"


def in_file(path: str) -> str:
    """Return the prompt that stands for one that is too long to be given as such."""
    return (
        f"Your task is too long for a prompt and is in the file {path}. Read all of it before "
        f"anything else, in parts if need be, and then do what it says. {ENDINGS}"
    )


def fenced(text: str) -> str:
    """Return text from elsewhere as a block that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text.rstrip()}\n{fence}"
