"""The fence: which path is what, and that bwrap really holds it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal as posix_signals
import socket as sockets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import ToolError
from runner import places, processes, sandbox, tmux
from runner.disk import Kind, RealDisk
from runner.fence import Access, Fence, Rule
from runner.sandbox import Level
from runner.tmux import Tmux

Until = Callable[[Callable[[], bool]], None]
House = Any  # conftest.House; tests is no package


def _tree(folder: Path, *, but: str) -> list[str]:
    """Everything in a folder, but for what lies in one of its folders."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(path for path in found if but not in path)


# -- the rules, without a disk ----------------------------------------------------------------

_names = st.lists(st.sampled_from("abc"), max_size=4).map(lambda parts: "/" + "/".join(parts))
_rules = st.dictionaries(_names, st.builds(Rule, st.sampled_from(Access)), max_size=8)


@given(rules=_rules, path=_names)
def test_the_nearest_rule_holds_as_it_does_for_mounts(rules: dict[str, Rule], path: str) -> None:
    fence = Fence(rules)
    mounted = Access.READ
    for place, rule in fence.ordered():  # of mounts, the last one that covers a path shows
        if path == place or path.startswith(place.rstrip("/") + "/"):
            mounted = rule.access
    assert fence.access(path) is mounted


def test_what_stands_in_anothers_place_is_found_outside() -> None:
    fence = Fence({"/home/.claude": Rule(Access.WRITE, "/run/config")})
    assert fence.outside("/home/.claude/projects/x.jsonl") == "/run/config/projects/x.jsonl"
    assert fence.outside("/home/.claude") == "/run/config"
    assert fence.outside("/home/other") == "/home/other"


def test_options_say_each_rule_after_those_it_lies_in() -> None:
    fence = Fence(
        {
            "/a/b": Rule(Access.WRITE, "/elsewhere"),
            "/a": Rule(Access.HIDDEN),
            "/a/b/c": Rule(Access.READ),
            "/a-file": Rule(Access.MASKED),
            "/tmp": Rule(Access.SCRATCH),
        }
    )
    options = sandbox.bwrap_options(fence, "/a/b")
    mine = options[options.index("/proc/sys", options.index("/proc/sys") + 1) + 1 :]
    assert mine == [
        *("--tmpfs", "/a"),
        *("--bind", "/elsewhere", "/a/b"),
        *("--ro-bind", "/a/b/c", "/a/b/c"),
        *("--ro-bind", "/dev/null", "/a-file"),
        *("--perms", "1777", "--tmpfs", "/tmp"),
        *("--remount-ro", "/a"),
        *("--chdir", "/a/b"),
    ]


def test_the_profile_for_macos_lets_the_last_rule_win_and_quotes_paths() -> None:
    fence = Fence(
        {
            "/a": Rule(Access.HIDDEN),
            "/a/b": Rule(Access.WRITE),
            '/a/b/"quoted\\': Rule(Access.READ),
            "/key": Rule(Access.MASKED),
        }
    )
    assert sandbox.profile(fence).splitlines() == [
        "(version 1)",
        "(allow default)",
        "(deny file-write*)",
        '(allow file-write* (subpath "/dev"))',
        '(allow file-write* (subpath "/private/tmp"))',
        '(allow file-write* (subpath "/private/var/tmp"))',
        '(deny file-read* file-write* network-outbound (subpath "/a"))',
        '(allow file-read* file-write* (subpath "/a/b"))',
        '(allow file-read* (subpath "/a/b/\\"quoted\\\\"))',
        '(deny file-write* (subpath "/a/b/\\"quoted\\\\"))',
        '(deny file-read* file-write* network-outbound (subpath "/key"))',
    ]


# -- the level --------------------------------------------------------------------------------


def _program(folder: Path, name: str, text: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


def test_without_bwrap_the_level_is_policy_and_says_how_to_get_it(tmp_path: Path) -> None:
    level = sandbox.probe({"PATH": str(tmp_path)})
    assert level.name == "policy"
    assert "not installed" in level.reason
    assert "bubblewrap" in level.reason


def test_a_bwrap_that_is_forbidden_to_work_is_no_sandbox(tmp_path: Path) -> None:
    said = "bwrap: setting up uid map: Permission denied"
    line = f"echo {said} >&2; echo >>{shlex.quote(str(tmp_path / 'tries'))}; exit 1"
    level = sandbox.probe(_program(tmp_path, "bwrap", line))
    assert level.name == "policy"
    assert said in level.reason
    assert (tmp_path / "tries").read_text() == "\n"


def test_a_bwrap_in_the_working_directory_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path, "bwrap", "exit 0")
    monkeypatch.chdir(tmp_path)
    level = sandbox.probe({"PATH": ".:"})
    assert level.name == "policy"
    assert "not installed" in level.reason


def test_an_old_bwrap_is_used_without_what_it_does_not_know(tmp_path: Path) -> None:
    real = sandbox.probe(os.environ)
    if real.name != sandbox.BWRAP:
        pytest.skip(real.reason)
    old = f"""case "$*" in *--disable-userns*)
        echo bwrap: Unknown option --disable-userns >&2; exit 1;; esac
    exec {real.program} "$@" """
    level = sandbox.probe(_program(tmp_path, "bwrap", old))
    assert level == Level("bwrap", "", str(tmp_path / "bwrap"), nested=True)
    assert "--disable-userns" not in sandbox.wrap(level, Fence(), ["x"], "/").options


def test_a_level_that_is_required_or_switched_off() -> None:
    policy, bwrap = Level("policy", "no kernel support"), Level("bwrap")
    assert sandbox.check_level(policy, "auto") == policy
    assert sandbox.check_level(bwrap, "required") == bwrap
    assert sandbox.check_level(bwrap, "off").name == "policy"
    with pytest.raises(ToolError, match="required, and there is none: no kernel support"):
        sandbox.check_level(policy, "required")


def test_without_a_sandbox_the_command_is_itself(house: House) -> None:
    level = Level("policy")
    fence = sandbox.fence_of(house.assignment, house.git_folders, house.environ, level)
    assert sandbox.wrap(level, fence, ["/bin/true"], "/") == (["/bin/true"], [])


# -- which path is what -----------------------------------------------------------------------


def test_the_fence_leaves_no_mark_on_the_disk(house: House) -> None:
    sandbox.prepare(house.assignment, house.environ)
    before = _tree(house.home, but="/nodes/one/")
    house.inside("true")
    assert _tree(house.home, but="/nodes/one/") == before


@pytest.mark.parametrize(
    "place",
    ["worktree", "worktree/.git", "events", "brief", "own/commondir", "own/locked", "objects/info"],
)
def test_what_a_session_could_have_replaced_by_a_link_is_refused(house: House, place: str) -> None:
    sandbox.prepare(house.assignment, house.environ)
    first, _, rest = place.partition("/")
    path = {
        "worktree": house.worktree,
        "events": Path(house.layout.events("one")),
        "brief": Path(house.layout.brief("one")),
        "own": Path(house.git_folders.own),
        "objects": Path(house.git_folders.common) / "objects",
    }[first] / rest
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    target = Path(house.layout.key) if path.name == ".git" else house.home
    if place == "worktree":
        target = house.worktree.with_name("two")
    path.symlink_to(target)
    with pytest.raises(ToolError, match="cannot be fenced"):
        house.fence()


def test_what_should_be_hidden_and_does_not_exist_is_refused(house: House) -> None:
    house.change(hidden=(str(house.home / "later"),))
    with pytest.raises(ToolError, match="does not exist") as caught:
        house.fence()
    assert caught.value.where == str(house.home / "later")
    house.change(hidden=(os.path.join(house.layout.root, "later"),))
    house.fence()


def test_hidden_stays_hidden_below_what_is_opened(house: House) -> None:
    inside = house.project / "acceptance-tests"
    (inside / "PRD").mkdir(parents=True)
    link = house.home / "link"
    link.symlink_to(inside)
    house.change(hidden=(str(link),))
    fence = house.fence()
    assert fence.access(str(inside / "PRD" / "manifest.yaml")) is Access.HIDDEN
    assert fence.access(str(house.project / "file")) is Access.READ


def test_a_socket_that_the_environment_names_is_masked(house: House) -> None:
    with sockets.socket(sockets.AF_UNIX) as bus:
        path = house.home / "bus"
        here = os.getcwd()
        os.chdir(house.home)  # a socket's name is short
        try:
            bus.bind("bus")
        finally:
            os.chdir(here)
        for said in (f"unix:path={path},guid=1", f"unix://{path}", str(path)):
            house.environ["DOCKER_HOST"] = said
            assert house.fence().access(str(path)) is Access.MASKED


def test_a_rehearsal_sees_nothing_of_the_persons_claude(house: House) -> None:
    house.change(base_url="http://127.0.0.1:1")
    done = house.inside(
        f"cat {house.home}/.claude.json; ls -A {house.home}/.claude;"
        f"touch {house.layout.config('one')}/x {house.layout.home('one')}/x"
        f" && echo written; touch {house.home}/.npm/x || echo refused"
    )
    assert done.stdout.split() == ["written", "refused"]


def test_a_configuration_elsewhere_is_fenced_as_well(house: House) -> None:
    os.rename(house.home / ".claude", house.home / "conf")
    (house.home / "conf" / ".claude.json").write_text('{"mine": 1}')
    (house.home / ".claude" / "projects").mkdir(parents=True)
    house.environ["CLAUDE_CONFIG_DIR"] = str(house.home / "conf")
    done = house.inside(
        "ls -A $HOME/.claude $HOME/conf; cat $HOME/conf/.claude.json;"
        "echo new >$HOME/conf/.claude.json; echo new >$HOME/conf/.credentials.json"
    )
    assert "projects" not in done.stdout
    assert "history" not in done.stdout
    assert '{"mine": 1}' in done.stdout
    assert (house.home / "conf" / ".claude.json").read_text() == '{"mine": 1}'
    assert (house.home / "conf" / ".credentials.json").read_text() == "new\n"


def test_links_in_the_persons_configuration_show_what_they_lead_to(house: House) -> None:
    (house.home / "dotfiles").mkdir()
    os.rename(house.home / ".claude" / "agents", house.home / "dotfiles" / "agents")
    (house.home / ".claude" / "agents").symlink_to(house.home / "dotfiles" / "agents")
    done = house.inside("cat $HOME/.claude/agents/mine.md; echo >$HOME/.claude/agents/x")
    assert done.stdout == "an agent"
    assert not (house.home / "dotfiles" / "agents" / "x").exists()


def test_traps_that_a_session_left_in_its_configuration_are_cleared(house: House) -> None:
    house.inside(
        "cd $HOME/.claude; ls -A; mkdir projects; echo mine >projects/t; echo >trap; ln -s / link"
    )
    config = Path(house.layout.config("one"))
    (config / "settings.json").unlink()
    (config / "settings.json").mkdir()
    (config / "settings.json" / "x").touch()
    (config / "agents").rmdir()
    (config / "agents").symlink_to(house.home / "rubrics")
    done = house.inside("cd $HOME/.claude; cat settings.json agents/mine.md projects/t")
    assert done.stdout == "{}an agentmine\n"
    assert (house.home / "rubrics" / "manifest.yaml").exists()


def test_transcripts_of_a_session_are_found_outside(house: House) -> None:
    house.inside("mkdir -p $HOME/.claude/projects/p; echo said >$HOME/.claude/projects/p/t.jsonl")
    path = house.fence().outside(f"{house.home}/.claude/projects/p/t.jsonl")
    assert Path(path).read_text() == "said\n"
    assert not (house.home / ".claude" / "projects" / "p").exists()


# -- what bwrap holds -------------------------------------------------------------------------

UNREADABLE = {
    "the run's key": "{run}/key",
    "the journal": "{run}/journal.jsonl",
    "its own assignment": "{run}/nodes/one/assignment.json",
    "its own launch": "{run}/nodes/one/launch.json",
    "another node's events": "{run}/nodes/two/events/e.json",
    "another node's worktree": "{project}/.claude/worktrees/two/draft",
    "another node's index": "{project}/.git/worktrees/two/index",
    "the rubric": "{home}/rubrics/manifest.yaml",
    "what we keep for the person": "{home}/.local/state/attractor/run/manifest.yaml",
    "an ssh key": "{home}/.ssh/id_ed25519",
    "a password": "{home}/.netrc",
    "what the person asked Claude": "{home}/.claude/history.jsonl",
    "the judge's transcript": "{home}/.claude/projects/judge/t.jsonl",
    "the person's package cache": "{home}/.npm/_cacache/x",
}
UNWRITABLE = {
    "the main checkout": "{project}/file",
    "git's configuration": "{project}/.git/config",
    "git's hooks": "{project}/.git/hooks/post-commit",
    "packed branches": "{project}/.git/packed-refs",
    "the user's branch": "{project}/.git/refs/heads/main",
    "git's packs": "{project}/.git/objects/pack/x",
    "where objects come from": "{project}/.git/objects/info/alternates",
    "where its git folder is": "{project}/.claude/worktrees/one/.git",
    "where git's common folder is": "{project}/.git/worktrees/one/commondir",
    "the way back to its worktree": "{project}/.git/worktrees/one/gitdir",
    "its guidance": "{run}/nodes/one/inbox/g.json",
    "its settings": "{run}/nodes/one/brief/settings.json",
    "a hidden folder": "{run}/new",
    "the person's shell": "{home}/.bashrc",
    "the person's git": "{home}/.gitconfig",
    "the person's Claude": "{home}/.claude.json",
    "the person's Claude settings": "{home}/.claude/settings.json",
    "the person's agents": "{home}/.claude/agents/new.md",
    "the kernel's settings": "/proc/sys/kernel/core_pattern",
}


def _path(house: House, form: str) -> str:
    return form.format(run=house.layout.root, project=house.project, home=house.home)


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_session_cannot_read(lasting_house: House, what: str) -> None:
    path = _path(lasting_house, UNREADABLE[what])
    assert Path(path).exists()
    link = lasting_house.worktree / f"link to {what.replace('/', ' ')}"
    link.symlink_to(path)
    quoted = shlex.quote(link.name)
    done = lasting_house.inside(
        f"cat {shlex.quote(path)}; cat {quoted}; cp {quoted} copy && cat copy"
    )
    assert done.stdout == ""


@pytest.mark.parametrize("what", UNWRITABLE)
def test_a_session_cannot_write(lasting_house: House, what: str) -> None:
    path = Path(_path(lasting_house, UNWRITABLE[what]))
    before = path.read_bytes() if path.is_file() else None
    quoted = shlex.quote(str(path))
    done = lasting_house.inside(
        f"echo x >>{quoted} && echo written; rm -f {quoted} && [ ! -e {quoted} ] && echo gone;"
        f"echo x >new; mv -f new {quoted} 2>/dev/null && echo replaced; true"
    )
    said = set(done.stdout.split())
    assert not said & {"written", "replaced"}
    assert before is None or "gone" not in said
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_session_can_work(house: House) -> None:
    name = f"test-{os.getpid()}-{id(house):x}"
    done = house.inside(
        "set -e; echo more >>file; mkdir sub; echo new >sub/file; git add -A; git commit -qm work;"
        "git log --format=%s; git status --short; git show main:file; cat $HOME/.gitconfig;"
        f"echo t >/tmp/{name}; echo t >/var/tmp/{name}; echo t >/dev/shm/{name}; cat /tmp/{name};"
        f"echo {{}} >{shlex.quote(house.layout.events('one'))}/e.json;"
        "echo renewed >$HOME/.claude/.credentials.json; git branch --show-current"
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:3] == ["work", "first", "tracked"]
    assert said[-1] == "attractor/run/one"
    assert (house.worktree / "sub" / "file").read_text() == "new\n"
    assert not [each for each in ("/tmp", "/var/tmp", "/dev/shm") if Path(each, name).exists()]
    assert (house.home / ".claude" / ".credentials.json").read_text() == "renewed\n"
    assert os.listdir(house.layout.events("one")) == ["e.json"]
    head = (Path(house.layout.refs("one")) / "one").read_text().strip()
    assert house.git("show", "-s", "--format=%s", head) == "work"
    assert house.git("rev-parse", "attractor/run/one") == house.assignment.base_commit


def test_no_other_branch_of_the_run_can_be_moved(lasting_house: House) -> None:
    lasting_house.inside(
        "git update-ref refs/heads/attractor/run/two $(git commit-tree HEAD: -m x)"
    )
    assert (
        lasting_house.git("rev-parse", "attractor/run/two") == lasting_house.assignment.base_commit
    )


def test_git_does_no_upkeep_and_asks_nobody_behind_the_fence(lasting_house: House) -> None:
    said = lasting_house.inside(
        "git config gc.auto; git config maintenance.auto; git config commit.gpgsign;"
        "echo $GIT_TERMINAL_PROMPT"
    )
    assert said.stdout.split() == ["0", "false", "false", "0"]


def test_a_cache_is_the_sessions_own_and_stays_for_the_next(house: House) -> None:
    assert house.inside("ls $HOME/.npm; echo poison >$HOME/.npm/x").stdout == ""
    assert house.inside("cat $HOME/.npm/x").stdout == "poison\n"
    assert not (house.home / ".npm" / "x").exists()
    ours = places.caches(house.assignment, house.environ, RealDisk())
    house.change(project="/another")
    theirs = places.caches(house.assignment, house.environ, RealDisk())
    assert [place for place, _ in ours] == [place for place, _ in theirs]
    assert not {source for _, source in ours} & {source for _, source in theirs}


def test_a_session_sees_no_process_but_its_own(lasting_house: House) -> None:
    done = lasting_house.inside(
        f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} || echo no such"
    )
    count, rest = done.stdout.split("\n", 1)
    assert int(count) <= 6
    assert "no such" in rest


def test_a_session_has_no_power_over_its_fence(lasting_house: House) -> None:
    hidden = shlex.quote(lasting_house.layout.root)
    done = lasting_house.inside(
        f"umount {hidden} && echo unmounted; mount -o remount,rw {hidden} && echo remounted;"
        "unshare -Urm true && echo nested; grep CapEff /proc/self/status"
    )
    assert done.stdout.split() == ["CapEff:", "0000000000000000"]


def test_what_is_hidden_stands_in_no_command_line(lasting_house: House) -> None:
    done = lasting_house.inside(
        "cat /proc/*/cmdline | tr '\\0' ' '; ls -l /proc/self/fd /proc/1/fd"
    )
    assert "rubrics" not in done.stdout
    assert "launch.json" not in done.stdout


def test_services_of_the_machine_are_out_of_reach(lasting_house: House) -> None:
    fence = lasting_house.fence()
    for path in ("/run/docker.sock", "/run/dbus/system_bus_socket", "/run/user/1000/bus"):
        assert fence.access(path) is Access.HIDDEN
    done = lasting_house.inside("find /run /var/run/ -type s | head -3; touch /run/x")
    assert done.stdout == ""
    assert "Read-only" in done.stderr


def test_names_can_be_looked_up_where_the_list_of_servers_is_a_link(lasting_house: House) -> None:
    target = os.path.realpath("/etc/resolv.conf")
    if not os.path.exists(target):
        pytest.skip("there is no resolv.conf here")
    assert lasting_house.inside("cat /etc/resolv.conf").stdout == Path(target).read_text()


def test_the_terminals_server_is_out_of_reach(
    house: House, socket: str, events: Path, until: Until
) -> None:
    folder = Path(socket).parent / "r"
    folder.mkdir(mode=0o700)
    house.environ["XDG_RUNTIME_DIR"] = str(folder)
    path = tmux.socket_path(house.layout.root, "one", house.environ)
    server = Tmux(path)
    try:
        server.start(["/bin/cat"], events=str(events))
        done = house.inside(f"tmux -S {path} list-sessions && echo reached; ls {folder}")
        assert done.stdout == ""
        assert server.pane()
    finally:
        server.kill()


def test_the_status_of_the_program_is_the_status_and_stands_in_the_report(
    lasting_house: House,
) -> None:
    report = Path(lasting_house.layout.results("one")) / "report"
    assert lasting_house.inside("exit 7", report=str(report)).returncode == 7
    assert json.loads(report.read_text().splitlines()[-1]) == {"exit-code": 7}
    assert lasting_house.inside("kill -9 $$", report=str(report)).returncode == 137


def test_the_program_inherits_no_descriptor_but_its_three(lasting_house: House) -> None:
    report = Path(lasting_house.layout.results("one")) / "report"
    done = lasting_house.inside("ls /proc/self/fd", report=str(report))
    assert done.stdout.split() == ["0", "1", "2", "3"]  # the last is ls's own


@pytest.mark.parametrize("victim", ["the first process", "who started it"])
def test_with_the_first_process_or_who_started_it_all_end(
    house: House, until: Until, victim: str
) -> None:
    mark = f"test-{os.getpid()}-{id(house):x}"
    line = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' &) ; echo up; exec cat"
    argv = house.launch("/bin/sh", "-c", line)
    launch = json.loads(Path(argv[-1]).read_text())
    launch["env"]["ATTRACTOR_SESSION"] = mark
    Path(argv[-1]).write_text(json.dumps(launch))
    code = "import subprocess, sys; subprocess.run(sys.argv[1:], check=False)"
    starter = subprocess.Popen(
        ["python3", "-I", "-c", code, *argv] if victim == "who started it" else argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"up\n"
        assert len(processes._found(mark, ())) >= 3
        os.kill(starter.pid, posix_signals.SIGKILL)
        until(lambda: not processes._found(mark, ()))


def test_the_disk_is_seen_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    disk = RealDisk()
    kinds = {name: disk.kind(str(tmp_path / name)) for name in ("file", "link", "fifo", "none")}
    assert list(kinds.values()) == [Kind.FILE, Kind.LINK, Kind.OTHER, Kind.NOTHING]
    assert disk.kind(str(tmp_path)) is Kind.FOLDER
    assert disk.names(str(tmp_path)) == ["fifo", "file", "link"]
    assert disk.names(str(tmp_path / "none")) == []


# -- agents that work alone -------------------------------------------------------------------

_AGENT_FILES = {
    "codex": (".codex/auth.json", ".codex/config.toml", ".codex/sessions/1"),
    "gemini": (".gemini/oauth_creds.json", ".gemini/settings.json", ".gemini/tmp/1"),
    "opencode": (
        ".local/share/opencode/auth.json",
        ".config/opencode/opencode.json",
        ".local/share/opencode/opencode.db",
    ),
}


def _with_agents(house: House) -> House:
    for names in _AGENT_FILES.values():
        for name in names:
            path = house.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    return house


@pytest.mark.parametrize("agent", sorted(_AGENT_FILES))
def test_an_agent_that_works_alone_sees_its_own_login_and_no_other(
    house: House, agent: str
) -> None:
    _with_agents(house).change(agent=agent)
    fence = house.fence()
    for each, (login, read, kept) in _AGENT_FILES.items():
        places_ = [str(house.home / name) for name in (login, read, kept)]
        if each != agent:
            assert fence.access(places_[0]) is Access.MASKED
            continue
        assert [fence.access(path) for path in places_] == [
            *(Access.WRITE, Access.READ, Access.WRITE)
        ]
        assert fence.outside(places_[0]) == places_[0]
        # What it keeps, it keeps in a folder of its own.
        assert fence.outside(places_[2]).startswith(house.layout.config("one"))
    assert fence.access(str(house.home / ".claude/.credentials.json")) is Access.HIDDEN
    assert fence.access(str(house.home / ".claude.json")) is Access.MASKED


@pytest.mark.parametrize("agent", ["claude", "command"])
def test_no_other_session_sees_an_agents_login(house: House, agent: str) -> None:
    _with_agents(house).change(agent=agent, command="true")
    fence = house.fence()
    for login, _, _ in _AGENT_FILES.values():
        assert fence.access(str(house.home / login)) is Access.MASKED


def test_an_agent_that_works_alone_writes_its_own_folder_and_not_the_persons(
    house: House,
) -> None:
    _with_agents(house).change(agent="codex")
    home = house.home / ".codex"
    done = house.inside(f"cat {home}/auth.json && echo && echo x > {home}/new && ls {home}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["{}", "auth.json", "config.toml", "new"]
    assert not (home / "new").exists()
    # What a session leaves in the place of a mount leads nowhere.
    source = Path(fence_source(house)) / "auth.json"
    source.unlink()
    source.symlink_to(house.home / ".netrc")
    assert house.inside(f"cat {home}/auth.json").stdout == "{}"
    assert not source.is_symlink()


def fence_source(house: House) -> str:
    """Where the folder really lies in which the agent keeps what it keeps."""
    path: str = house.fence().outside(str(house.home / ".codex"))
    return path
