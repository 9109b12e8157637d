"""What must hold before anything starts: looked at once, told all together, with what to do.

Looks only; what it finds is as true as the moment. A fatal finding would end a node's work, or let
it start from something else than the person believes. Whether Claude Code is logged in cannot be
known without asking its service, so that is at most a warning. Not looked at: the pipeline itself,
for which there is lint.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from attractor import git, tools
from attractor.errors import AttractorError, InputError, ToolError
from attractor.git import Git
from attractor.run import room, trust
from attractor.run.assignment import ALONE, Assignment
from attractor.run.branch import taken
from attractor.spawn import install_hint

_MOST_NAMED: Final = 5
_STATUS: Final = (
    "status",
    "--porcelain=v1",
    "-z",
    "--no-renames",
    "--untracked-files=all",
    "--ignore-submodules=all",
    "--",
    ".",
    ":(exclude).beads",  # which a run changes in the main checkout, and no work starts from
    *(f":(exclude).claude/{name}" for name in ("attractor", "worktrees", "completion-state")),
)
_LOGINS: Final = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
)


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be; one that is not fatal is worth knowing."""

    problem: str
    where: str
    fix: str
    fatal: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return asdict(self)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is about to be started."""

    project: str
    """Empty for one that is not there yet, and will be made."""
    base_commit: str = "HEAD"
    branches: tuple[str, ...] = ()
    """Those that will be made."""
    agents: frozenset[str] = frozenset({"claude"})
    """What carries nodes out, and what is asked to judge."""
    sandbox: str = "auto"
    rehearsed: bool = False
    claude: str = ""
    """The program; empty for the one that is found."""
    dirty_allowed: bool = False
    place: str = ""
    """Where a project will be made that is not there yet."""
    disk: bool = True
    """Whether there must be room: before a session it is the Guardian that looks."""
    mistakes: tuple[Finding, ...] = ()
    """What is wrong with what the nodes are told."""


def plan_of(assignment: Assignment) -> Plan:
    """Return what one Runner is about to start; the person may have gone on working meanwhile."""
    made = os.path.exists(assignment.layout.worktree_record(assignment.node_id))
    return Plan(
        project=assignment.project,
        base_commit=assignment.base_commit,
        branches=() if made else (assignment.branch,),
        agents=frozenset({assignment.agent}),
        sandbox=assignment.sandbox,
        rehearsed=assignment.rehearsed,
        claude=assignment.claude,
        dirty_allowed=True,
        disk=False,
        mistakes=tuple(mistakes(assignment)),
    )


def mistakes(assignment: Assignment) -> Iterator[Finding]:
    """Yield what is wrong with what one node is told."""
    where = f"node {assignment.node_id}"
    if assignment.agent == "command" and not assignment.command.strip():
        problem = "the agent is a command, and the attribute `command` says none"
        yield Finding(problem, where, 'give the node one, as command="make", or another agent')
    if assignment.agent == "claude-headless" and assignment.workers == "team":
        problem = "a session of the agent claude-headless cannot have a team"
        yield Finding(problem, where, 'give it workers="subagent", or agent="claude"')
    if assignment.alone and assignment.workers == "team":
        problem = f"the agent {assignment.agent} works alone, and cannot have a team"
        yield Finding(problem, where, 'leave `workers` out, or give it agent="claude"')


def examine(plan: Plan, environ: Mapping[str, str]) -> list[Finding]:
    """Return all that is not as it must be."""
    return [
        *plan.mistakes,
        *_programs(plan),
        *_repository(plan),
        *_disk(plan),
        *_person(plan, environ),
    ]


def refuse(findings: Sequence[Finding]) -> None:
    """Raise one InputError that lists all fatal findings, if there are any."""
    fatal = [each for each in findings if each.fatal]
    if not fatal:
        return
    told = [each.as_json() for each in fatal]
    if len(fatal) == 1:
        one = fatal[0]
        raise InputError(one.problem, where=one.where, fix=one.fix, findings=told)
    lines = [
        f"{number}. {each.where}: {each.problem}\n     {each.fix}"
        for number, each in enumerate(fatal, 1)
    ]
    problem = f"nothing was started, for {len(fatal)} reasons"
    raise InputError(problem, fix="\n  ".join(lines), findings=told)


def _found(error: AttractorError, where: str) -> Finding:
    return Finding(error.problem, error.where or where, error.fix)


def _programs(plan: Plan) -> Iterator[Finding]:
    yield from _program(git.OLDEST, "git", "git", "--version")
    if "claude" in plan.agents:
        yield from _program(tools.TMUX_OLDEST, "tmux", "tmux", "-V")
    if plan.agents & {"claude", "claude-headless"}:
        yield from _claude(plan)
    for name in sorted(plan.agents.intersection(ALONE)):
        if tools.find_agent(name) is None:
            fix = f"install it, put it on PATH, or give the nodes another agent than {name}"
            yield Finding(f"{name} is not installed, and nodes are to be done by it", name, fix)
    if plan.sandbox != "off":
        yield from _sandbox(required=plan.sandbox == "required")


def _sandbox(*, required: bool) -> Iterator[Finding]:
    try:
        tools.try_sandbox()
    except ToolError as error:
        if required:
            problem = f"a sandbox is required, and there is none: {error.problem}"
            yield Finding(problem, "sandbox", f"{error.fix}, or do not require one")
        else:
            problem = f"there is no sandbox, blindness will be policy only: {error.problem}"
            yield Finding(problem, "sandbox", error.fix, fatal=False)


def _program(oldest: tuple[int, ...], name: str, *argv: str) -> Iterator[Finding]:
    try:
        version = tools.version(*argv)
    except ToolError as error:
        yield _found(error, name)
        return
    if not version:
        problem = f"{argv[0]} does not say which version it is"
        fix = f"name or install a {name} that does, at least {tools.written(oldest)}"
        yield Finding(problem, name, fix)
    elif tools.older(version, oldest):
        problem = f"{name} {version} is too old: at least {tools.written(oldest)} is needed"
        fix = "claude update" if name == "claude" else install_hint(name)
        yield Finding(problem, argv[0], f"update it: {fix}")


def _claude(plan: Plan) -> Iterator[Finding]:
    on_path = None if plan.rehearsed else shutil.which("claude")
    program = plan.claude or on_path or tools.find_claude()
    if program is None:
        fix = "install Claude Code, or install Attractor with its extra: attractor[sdk]"
        yield Finding(
            "claude is not installed, and no agent can work or judge without it", "claude", fix
        )
        return
    yield from _program(tools.CLAUDE_OLDEST, "claude", program, "--version")


def _repository(plan: Plan) -> Iterator[Finding]:
    if not plan.project:
        return
    try:
        repository = git.repository(plan.project)
        yield from _refs(plan, repository)
        yield from _changes(plan, repository)
    except AttractorError as error:
        yield _found(error, plan.project)


def _refs(plan: Plan, repository: Git) -> Iterator[Finding]:
    project = plan.project
    kind = repository.answer("config", "--get", "extensions.refStorage").stdout.strip()
    if kind not in (b"", b"files"):
        problem = f"branches are kept as {kind.decode('utf-8', 'replace')}, and we need files"
        yield Finding(problem, project, "git refs migrate --ref-format=files")
    base = repository.commit(plan.base_commit)
    if not base and not repository.commit("HEAD"):
        fix = 'make one: git add -A; git commit -m "Start"'
        yield Finding("there is no commit yet, and work starts from one", project, fix)
    elif not base:
        problem = f"there is no commit {plan.base_commit!r:.60} to start from"
        yield Finding(problem, project, "fetch it, or name another one")
    for branch in plan.branches:
        found = taken(branch, base, repository.branch)
        if found is not None:
            yield Finding(found[0], project, found[1])


def _changes(plan: Plan, repository: Git) -> Iterator[Finding]:
    if not repository.commit("HEAD"):
        return  # said already
    ended = repository.answer(*_STATUS)
    if ended.status is None and not ended.overflowed:
        problem = "git did not say in time which files are changed"
        yield Finding(problem, plan.project, "see what holds it up: git status", fatal=False)
        return
    lines = ended.stdout.split(b"\0")[:-1]
    changed = [line[3:] for line in lines if not line.startswith(b"??")]
    new = [line[3:] for line in lines if line.startswith(b"??")]
    if changed:
        problem = f"{_files(changed)} changes that are not committed; work starts without them"
        fix = "git commit -a, or put them aside with git stash"
        yield Finding(problem, plan.project, fix, fatal=not plan.dirty_allowed)
    if new:
        problem = f"{_files(new)} never been committed; work starts without what is new"
        fix = "git add and commit what it needs, or ignore it in .gitignore"
        yield Finding(problem, plan.project, fix, fatal=False)


def _files(names: list[bytes]) -> str:
    some = ", ".join(ascii(os.fsdecode(name))[1:-1] for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{some}{more} {'has' if len(names) == 1 else 'have'}"


def _disk(plan: Plan) -> Iterator[Finding]:
    folder = plan.project or plan.place or tempfile.gettempdir()
    if plan.disk and (problem := room.shortage(folder, room.needed(plan.project))):
        yield Finding(problem, folder, "free some space")


def _person(plan: Plan, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the person's own configuration of Claude Code, which a real run uses."""
    if plan.rehearsed or not plan.agents & {"claude", "claude-headless"}:
        return
    path = trust.state_file(environ)
    state = trust.read_state(path)
    if "claude" in plan.agents and not trust.is_trusted(plan.project, state):
        there = os.path.lexists(path)
        state_of = "does not trust this folder yet" if there else "has never been started here"
        problem = f"Claude Code {state_of}, and would ask before it starts"
        yield Finding(problem, plan.project, trust.ways(path, "attractor init --trust"))
    if sys.platform != "darwin" and not shows_login(state, environ):
        fix = "run `claude` once and log in, or set ANTHROPIC_API_KEY"
        yield Finding("nothing shows that Claude Code is logged in", path, fix, fatal=False)


def shows_login(state: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Say whether anything shows that Claude Code is logged in."""
    if state.get("oauthAccount") or any(environ.get(name) for name in _LOGINS):
        return True
    home = environ.get("CLAUDE_CONFIG_DIR") or os.path.join(environ.get("HOME", ""), ".claude")
    if os.path.exists(os.path.join(home, ".credentials.json")):
        return True
    return bool(trust.read_state(os.path.join(home, "settings.json")).get("apiKeyHelper"))
