"""Around an agent under rehearsal: its environment, its private configuration, its program.

The environment is made from nothing: only what is listed here goes in, so that no login, proxy or
endpoint of the user's can lead a rehearsal to a real API. An address that is not loopback is
refused. A project's settings files beat the environment; `settings()`, given by `--settings`, beats
those, and only what a machine's administrator has set beats that: `refuse_real` looks at all of
them before anything starts. Not covered: settings that a device management profile or the Windows
registry holds, and a `claude` that is not the real one. The other agents' part is in `homes`.
"""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attractor.errors import InputError
from attractor.rehearsal import homes
from attractor.rehearsal.headers import Asker
from signals import atomic

_NOBODY: Final = Asker()
_KEPT: Final = ("LANG", "LC_ALL", "TERM", "TZ")
# Each of these can lead a request elsewhere, or carry a login.
_FORBIDDEN: Final = re.compile(
    r"ANTHROPIC_.*|CLAUDE_CODE_(USE|OAUTH|API|SKIP|CLIENT|REMOTE)_?.*|CLAUDE_CONFIG_DIR"
    r"|AWS_.*|GOOGLE_.*|AZURE_.*|.*_PROXY|HOME|NODE_OPTIONS|BUN_OPTIONS",
    re.IGNORECASE,
)
# The same, where it stands in a settings file; a region or a profile alone leads nowhere.
_LEADS_AWAY: Final = re.compile(
    r"ANTHROPIC_(?!(DEFAULT_\w+_|SMALL_FAST_)?MODEL(_|$)|BETAS$|LOG$).*|CLAUDE_CODE_USE_.*"
    r"|CLAUDE_CODE_\w*(URL|PROXY|GATEWAY|OAUTH|HOST|SDK)\w*|CLAUDE_CONFIG_DIR|(?!NO_)\w+_PROXY"
    r"|NODE_OPTIONS|BUN_OPTIONS",
    re.IGNORECASE,
)
_CLOUDS: Final = "BEDROCK VERTEX FOUNDRY ANTHROPIC_AWS ANTHROPIC_GOOGLE_CLOUD MANTLE GATEWAY"
_PROXIES: Final = "API_BASE_URL PROXY_URL HTTP_PROXY HTTPS_PROXY"
# Empty is off, and in our settings beats what the project's say.
_EMPTIED: Final = dict.fromkeys(
    [
        *(f"CLAUDE_CODE_USE_{cloud}" for cloud in _CLOUDS.split()),
        *(f"CLAUDE_CODE_{name}" for name in _PROXIES.split()),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        *("ANTHROPIC_API_KEY", "ANTHROPIC_UNIX_SOCKET"),
    ],
    "",
)
_LOGIN: Final = "rehearsal"
_OURS: Final = {
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "CLAUDE_CONFIG_DIR",
}
_OFF: Final = ("", "0", "false", "none")
_HELPER: Final = "apiKeyHelper"
_FORCED: Final = (_HELPER, "forceLoginMethod", "forceLoginOrgUUID")
MANAGED: Final = ("/etc/claude-code", "/Library/Application Support/ClaudeCode")
_MOST_BYTES: Final = 2 * 1024 * 1024
_FIXED: Final = {
    "ANTHROPIC_AUTH_TOKEN": _LOGIN,
    "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN": "1",
    "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "DISABLE_AUTOUPDATER": "1",
}


def rehearsal_environment(
    base_url: str,
    home: str,
    config_dir: str,
    *,
    asker: Asker = _NOBODY,
    path: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the whole environment of a `claude` that talks to the scripted model at `base_url`.

    For whom it asks travels in the headers of its requests.
    """
    _check_loopback(base_url)
    more = dict(extra or {})
    for name in more:
        if _FORBIDDEN.fullmatch(name):
            raise _away(name, "the session's environment", "leave it out")
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    made = {
        **kept,
        **_EMPTIED,
        **_FIXED,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_CUSTOM_HEADERS": asker.headers(),
        "CLAUDE_CONFIG_DIR": config_dir,
        "HOME": home,
        "PATH": os.environ.get("PATH", os.defpath) if path is None else path,
    }
    if os.geteuid() == 0:
        made["IS_SANDBOX"] = "1"  # without it root may not skip permissions
    return made | more


def agent_environment(
    agent: str, base_url: str, home: str, *, asker: Asker = _NOBODY, path: str | None = None
) -> dict[str, str]:
    """Return the whole environment of another agent's CLI, and write its files below `home`.

    For whom it asks travels in the path of its requests. InputError for an agent that cannot be
    rehearsed, and where an administrator's configuration could lead it to a real API.
    """
    _check_loopback(base_url)
    if agent not in homes.HOMES:
        known = ", ".join(sorted(homes.HOMES))
        fix = f"rehearse with claude or with one of {known}"
        raise InputError(f"agent {agent!r} cannot talk to the scripted model", fix=fix)
    base_url = base_url.rstrip("/")
    made = homes.HOMES[agent](base_url + asker.path(), home)
    for file in made.managed:
        if os.path.lexists(file):
            fix = "it beats all that a rehearsal can say: rehearse with another agent, or elsewhere"
            raise _away("an administrator's configuration", file, fix)
    for name, text in made.files.items():
        file = os.path.join(home, name)
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        atomic.replace(file, text.encode())
    # Of its own, as codex makes no sandbox for a home that lies in the folder for temporary files.
    temporary = os.path.join(home, "tmp")
    os.makedirs(temporary, mode=0o700, exist_ok=True)
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **homes.proxies(base_url),
        **made.environ,
        "HOME": home,
        "PATH": os.environ.get("PATH", os.defpath) if path is None else path,
        "TMPDIR": temporary,
    }


def settings(base_url: str, asker: Asker = _NOBODY) -> dict[str, Any]:
    """Return what `claude --settings` should say, so that no project's settings lead elsewhere."""
    _check_loopback(base_url)
    env = {
        **_EMPTIED,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": _LOGIN,
        "ANTHROPIC_CUSTOM_HEADERS": asker.headers(),
    }
    return {
        "env": env,
        _HELPER: "",
        "permissions": {"deny": ["WebFetch", "WebSearch"]},
        "skipDangerousModePermissionPrompt": True,
    }


def refuse_real(
    environ: Mapping[str, str],
    given: Mapping[str, Any],
    folders: Iterable[str],
    managed: Iterable[str] = MANAGED,
) -> None:
    """Raise InputError if a `claude` that is started so could reach a real API.

    `environ` is its whole environment, `given` what it gets by `--settings`, `folders` are those
    whose `.claude` it reads: the checkout and the worktree.
    """
    ours = given.get("env", {})
    _check_session("the session's environment", environ)
    _check_session("the session's settings", ours)
    if environ["ANTHROPIC_BASE_URL"] != ours["ANTHROPIC_BASE_URL"]:
        raise _away("ANTHROPIC_BASE_URL", "the session's settings", "give both the same address")
    fix = "remove it while you rehearse"
    for folder in folders:
        for name in ("settings.json", "settings.local.json"):
            _check_file(os.path.join(folder, ".claude", name), {*ours, *given}, fix)
    fix = "it beats all that a rehearsal can say: ask your administrator, or rehearse elsewhere"
    for folder in managed:
        _check_file(os.path.join(folder, "managed-settings.json"), (), fix)
        for path in sorted(glob.glob(f"{glob.escape(folder)}/managed-settings.d/*")):
            _check_file(path, (), fix)


def seed_config(config_dir: str, project: str) -> None:
    """Write a new private configuration with which no dialog appears in this project.

    For a linked worktree, `project` may be the worktree or its main checkout.
    """
    path = os.path.join(config_dir, ".claude.json")
    if os.path.lexists(path):
        fix = "give a folder of the rehearsal's own, never a person's"
        raise InputError("there is already a configuration", where=path, fix=fix)
    os.makedirs(config_dir, mode=0o700, exist_ok=True)
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    folders = {os.path.abspath(project), os.path.realpath(project)}
    state = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "projects": dict.fromkeys(sorted(folders), trusted),
    }
    _write(os.path.join(config_dir, "settings.json"), {"skipDangerousModePermissionPrompt": True})
    _write(path, state)


def _check_session(name: str, env: Mapping[str, Any]) -> None:
    """Refuse variables of the session's own that lead away."""
    _check_loopback(env.get("ANTHROPIC_BASE_URL", ""))
    if env.get("ANTHROPIC_AUTH_TOKEN") != _LOGIN:
        fix = f"make it {_LOGIN!r}, with which nobody else answers on this machine either"
        raise InputError("ANTHROPIC_AUTH_TOKEN is no rehearsal's", where=name, fix=fix)
    for key in sorted(env.keys() - _OURS):
        if _leads_away(key, env[key]):
            raise _away(key, name, "leave it out: a rehearsal needs no login and no endpoint")


def _check_file(path: str, beaten: Collection[str], fix: str) -> None:
    """Refuse a settings file in which anything leads away that is not beaten."""
    said = _settings_in(path)
    env = said.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        if name not in beaten and _leads_away(name, value):
            raise _away(f"{name} in its `env`", path, fix)
    for key in _FORCED:
        if key not in beaten and said.get(key):
            raise _away(key, path, fix)


def _settings_in(path: str) -> dict[str, Any]:
    try:
        # Not blocking: a named pipe without a writer must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            data = file.read(_MOST_BYTES + 1) or b""
        said = json.loads(data.decode("utf-8-sig")) if len(data) <= _MOST_BYTES else None
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        fix = "make it a JSON object that can be read, or remove it while you rehearse"
        raise InputError("these settings cannot be checked", where=path, fix=fix)
    return said


def _leads_away(name: str, value: object) -> bool:
    return bool(_LEADS_AWAY.fullmatch(name)) and str(value).strip().lower() not in _OFF


def _away(what: str, where: str, fix: str) -> InputError:
    problem = f"{what} could lead a rehearsal away from the scripted model"
    return InputError(problem, where=where, fix=fix)


def _write(path: str, value: object) -> None:
    atomic.replace(path, json.dumps(value, indent=2).encode())


def _check_loopback(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        plain = parts.scheme == "http" and parts.username is None and parts.port is not None
        loopback = plain and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        fix = "use the address that `attractor rehearse serve` prints"
        raise InputError(f"{base_url!r} is not a loopback address with a port", fix=fix)
