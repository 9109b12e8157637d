"""Starts programs behind a fence, and says honestly which kind of fence there is.

The fence itself, which path is what, is a value of `runner.fence`. Here it becomes words: options
of `bwrap` on Linux, a profile of `sandbox-exec` on macOS (never tried there). `probe` runs that
program once, because a kernel or an administrator can forbid what is installed. Where neither
works the level is "policy": deny rules and hooks are the only wall, and the run says so.

Guaranteed by bwrap: processes of its own (nothing outside is seen, signalled or traced, and all
end with the first of them or with whoever started it), no capabilities, no further namespaces, a
private /tmp and /dev. Not fenced: the network, which the model's API needs, and so neither are
services on loopback and abstract sockets.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, assert_never, final

import attractor
from attractor.errors import ToolError
from attractor.run.assignment import Assignment
from attractor.spawn import install_hint, run_tool
from runner import places
from runner.disk import Kind, RealDisk
from runner.fence import Access, Fence, GitFolders, Rule, fence_for
from signals.atomic import storage_errors

BWRAP: Final = "bwrap"
SANDBOX_EXEC: Final = "sandbox-exec"
POLICY: Final = "policy"
_MODULES: Final = f"{os.sep}node_modules"
_PROBE_SECONDS: Final = 10.0
_NO_NESTING: Final = "--disable-userns"
_APART: Final = (
    *("--unshare-user", _NO_NESTING, "--cap-drop", "ALL"),
    *("--unshare-pid", "--unshare-ipc", "--die-with-parent"),
)
# No --new-session: it would lose SIGWINCH, and the terminal belongs to the session alone.
_ROOT: Final = (
    *("--ro-bind", "/", "/", "--dev", "/dev"),
    *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
)
_PROBED: Final = Fence({path: Rule(Access.SCRATCH) for path in places.SCRATCH[:1]})
_SEATBELT_BASE: Final = ("(version 1)", "(allow default)", "(deny file-write*)")
_SEATBELT_WRITABLE: Final = ("/dev", "/private/tmp", "/private/var/tmp")


@final
class Level(NamedTuple):
    """Which kind of fence there is, and why it is no better one."""

    name: str
    reason: str = ""
    program: str = ""
    nested: bool = False
    """Whether the session may make namespaces of its own: an old bwrap cannot forbid it."""


@final
class Wrapped(NamedTuple):
    """A command behind a fence: what the launcher starts, and what bwrap reads from it."""

    argv: list[str]
    options: list[str]


def probe(environ: Mapping[str, str]) -> Level:
    """Return the best fence that really works here; never raises."""
    name = SANDBOX_EXEC if sys.platform == "darwin" else BWRAP
    program = _find(name, environ)
    if program is None:
        return Level(POLICY, f"{name} is not installed ({install_hint(name)})")
    if name == SANDBOX_EXEC:
        reason = _tried([program, "-p", profile(_PROBED), "/usr/bin/true"])
        return Level(POLICY, reason) if reason else Level(SANDBOX_EXEC, "", program)
    for nested in (False, True):
        level = Level(BWRAP, "", program, nested)
        wrapped = wrap(level, _PROBED, ["/bin/sh", "-c", "exit 0"], "/")
        at = wrapped.argv.index("--args")
        argv = [*wrapped.argv[:at], *wrapped.options, *wrapped.argv[at + 2 :]]
        reason = _tried(argv)
        if not reason:
            return level
        if _NO_NESTING not in reason:
            break
    return Level(POLICY, reason)


def check_level(level: Level, wanted: str) -> Level:
    """Return the level that an assignment's `sandbox` asks for; ToolError if it must be better."""
    if wanted == "off":
        return Level(POLICY, "switched off")
    if wanted == "required" and level.name == POLICY:
        raise ToolError(
            f"a sandbox is required, and there is none: {level.reason}",
            fix="mend that, or run without `--require-sandbox`",
        )
    return level


def wrap(
    level: Level, fence: Fence, argv: Sequence[str], cwd: str, *, report: bool = False
) -> Wrapped:
    """Return the command that runs `argv` behind the fence, in the folder `cwd`.

    It is for the launcher, which puts descriptors in the place of `{options}` and `{report}`.
    """
    if level.name == BWRAP:
        told = ["--json-status-fd", "{report}"] if report else []
        options = bwrap_options(fence, cwd, nested=level.nested)
        return Wrapped([level.program, *told, "--args", "{options}", "--", *argv], options)
    if level.name == SANDBOX_EXEC:
        return Wrapped([level.program, "-p", profile(fence), *argv], [])
    return Wrapped(list(argv), [])


def bwrap_options(fence: Fence, cwd: str, *, nested: bool = False) -> list[str]:
    """Return the fence in the words of bwrap."""
    words = [word for word in _APART if not (nested and word == _NO_NESTING)]
    words += _ROOT
    for path, rule in fence.ordered():
        words += _mount(path, rule)
    for path, rule in fence.ordered():
        if rule.access is Access.HIDDEN:  # last, because what is opened below needs mount points
            words += ["--remount-ro", path]
    return [*words, "--chdir", cwd]


def _mount(path: str, rule: Rule) -> list[str]:
    match rule.access:
        case Access.READ:
            return ["--ro-bind", rule.source or path, path]
        case Access.WRITE:
            return ["--bind", rule.source or path, path]
        case Access.SCRATCH:
            return ["--perms", "1777", "--tmpfs", path]
        case Access.HIDDEN:
            return ["--tmpfs", path]
        case Access.MASKED:
            return ["--ro-bind", os.devnull, path]
        case _:
            assert_never(rule.access)


def profile(fence: Fence) -> str:
    """Return the fence as a profile of macOS's sandbox: of its rules the last that fits holds.

    Nothing can stand in another's place there: a scratch folder is the real one, writable.
    """
    lines = [*_SEATBELT_BASE]
    lines += [f"(allow file-write* (subpath {_quoted(path)}))" for path in _SEATBELT_WRITABLE]
    for path, rule in fence.ordered():
        place = f"(subpath {_quoted(path)})"
        match rule.access:
            case Access.READ:
                lines += [f"(allow file-read* {place})", f"(deny file-write* {place})"]
            case Access.WRITE | Access.SCRATCH:
                lines += [f"(allow file-read* file-write* {place})"]
            case Access.HIDDEN | Access.MASKED:
                lines += [f"(deny file-read* file-write* network-outbound {place})"]
            case _:
                assert_never(rule.access)
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fence_of(
    assignment: Assignment, git: GitFolders, environ: Mapping[str, str], level: Level
) -> Fence:
    """Return the fence of a node's session on this machine, after `prepare`; none without one."""
    if level.name == POLICY:
        return Fence()
    ours = (os.path.dirname(os.path.dirname(attractor.__file__)), sys.prefix, sys.base_prefix)
    program = _program_folders(assignment, environ)
    private = level.name != SANDBOX_EXEC
    return fence_for(
        assignment, git, environ, RealDisk(), needed=(*ours, *program), private=private
    )


def _program_folders(assignment: Assignment, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where the agent's program lies, with what it needs beside it."""
    if not assignment.alone:
        return (os.path.dirname(os.path.realpath(assignment.claude)),) if assignment.claude else ()
    from attractor import tools

    found = tools.find_agent(assignment.agent, environ)
    if found is None:
        return ()
    real = os.path.realpath(found)
    around, modules, _ = real.partition(_MODULES)
    folders = {os.path.dirname(found), around + modules if modules else os.path.dirname(real)}
    return tuple(sorted(folders))


def prepare(assignment: Assignment, environ: Mapping[str, str]) -> None:
    """Make the folders that a fence needs, and clear what a session left in the place of a mount.

    Call it before each start; it disturbs no session that runs.
    """
    layout, node = assignment.layout, assignment.node_id
    for folder in (
        *(layout.events(node), layout.inbox(node), layout.brief(node), layout.results(node)),
        *(layout.config(node), layout.home(node)),
    ):
        _folder(folder)
    if not environ.get("HOME"):
        return
    # It may be made later, and would then be seen: what does not exist cannot be hidden.
    _folder(places.place_of(places.STATE, environ))
    if assignment.rehearsed:
        return
    for _, source in places.caches(assignment, environ, RealDisk()):
        _folder(source)
    if assignment.alone:
        _prepare_folders(assignment, environ)
        return
    config = environ.get("CLAUDE_CONFIG_DIR") or places.place_of("~/.claude", environ)
    _folder(config)
    for name, source in places.claude_entries(config, RealDisk()):
        _clear(os.path.join(layout.config(node), name), RealDisk().kind(source))


def _prepare_folders(assignment: Assignment, environ: Mapping[str, str]) -> None:
    disk = RealDisk()
    login = places.place_of(places.AGENT_LOGINS[assignment.agent], environ)
    for place, source, names in places.agent_folders(assignment, environ, disk):
        _folder(place)
        _folder(source)
        known = [os.path.join(place, name) for name in names]
        for path in [*known, *([login] if os.path.dirname(login) == place else ())]:
            kind = disk.kind(disk.real(path))
            _clear(os.path.join(source, os.path.basename(path)), kind)


def _folder(path: str) -> None:
    with storage_errors("make", path):
        os.makedirs(path, mode=0o700, exist_ok=True)


def _clear(path: str, wanted: Kind) -> None:
    """Remove what a session left where a mount point of another kind will stand, or a link."""
    kind = RealDisk().kind(path)
    if kind in (wanted, Kind.NOTHING):
        return
    with storage_errors("remove", path):
        if kind is Kind.FOLDER:
            shutil.rmtree(path)
        else:
            os.unlink(path)


def git_environment() -> dict[str, str]:
    """Return the variables with which git works behind the fence: no upkeep, no keys, no prompt.

    What git would do on its own (packing, removing) needs folders that are read-only there.
    """
    settings = {
        "gc.auto": "0",
        "maintenance.auto": "false",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
        "credential.helper": "",
    }
    made = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for number, (key, value) in enumerate(settings.items()):
        made[f"GIT_CONFIG_KEY_{number}"] = key
        made[f"GIT_CONFIG_VALUE_{number}"] = value
    return made


def _find(name: str, environ: Mapping[str, str]) -> str | None:
    # An empty or relative entry of PATH would take the program from the working directory.
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(filter(os.path.isabs, folders)))


def _tried(argv: list[str]) -> str:
    """Return why a command does not work; nothing when it does."""
    try:
        run_tool(argv, timeout_seconds=_PROBE_SECONDS, cwd="/")
    except ToolError as error:
        return error.problem
    return ""
