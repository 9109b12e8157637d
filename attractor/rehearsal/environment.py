"""Around a `claude` under rehearsal: its environment, its private configuration, its program.

The environment is made from nothing: only what is listed here goes in, so that no login, proxy or
endpoint of the user's can lead a rehearsal to a real API. An address that is not loopback is
refused. Not covered: a project's own settings files, whose `env` beats the process environment;
give the session `settings()` by `--settings`, which beats theirs.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attractor.errors import InputError
from attractor.rehearsal.turn import MAIN
from signals import atomic

_ROLE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_KEPT: Final = ("LANG", "LC_ALL", "TERM", "TZ")
# Each of these can lead a request elsewhere, or carry a login.
_FORBIDDEN: Final = re.compile(
    r"ANTHROPIC_.*|CLAUDE_CODE_(USE|OAUTH|API|SKIP|CLIENT|REMOTE)_?.*|CLAUDE_CONFIG_DIR"
    r"|AWS_.*|GOOGLE_.*|AZURE_.*|.*_PROXY|HOME|NODE_OPTIONS|BUN_OPTIONS",
    re.IGNORECASE,
)
_FIXED: Final = {
    "ANTHROPIC_AUTH_TOKEN": "rehearsal",
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
    role: str = MAIN,
    path: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the whole environment of a `claude` that talks to the scripted model at `base_url`."""
    _check_loopback(base_url)
    if not _ROLE.fullmatch(role):
        fix = "use letters, digits and . _ : - only"
        raise InputError(f"{role!r} cannot be the name of a role", fix=fix)
    more = dict(extra or {})
    for name in more:
        if _FORBIDDEN.fullmatch(name):
            problem = f"{name} could lead a rehearsal away from the scripted model"
            raise InputError(problem, fix="leave it out of the environment")
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    made = {
        **kept,
        **_FIXED,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_CUSTOM_HEADERS": f"x-attractor-role: {role}",
        "CLAUDE_CONFIG_DIR": config_dir,
        "HOME": home,
        "PATH": os.environ.get("PATH", os.defpath) if path is None else path,
    }
    if os.geteuid() == 0:
        made["IS_SANDBOX"] = "1"  # without it root may not skip permissions
    return made | more


def settings(base_url: str) -> dict[str, Any]:
    """Return what `claude --settings` should say, so that no project's settings lead elsewhere."""
    _check_loopback(base_url)
    env = {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_AUTH_TOKEN": _FIXED["ANTHROPIC_AUTH_TOKEN"]}
    return {
        "env": env,
        "permissions": {"deny": ["WebFetch", "WebSearch"]},
        "skipDangerousModePermissionPrompt": True,
    }


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


def find_claude() -> str | None:
    """Return the Claude Code inside claude-agent-sdk, else the one on PATH, else nothing.

    The bundled one comes first, because its version is known. The SDK is not imported.
    """
    spec = importlib.util.find_spec("claude_agent_sdk")
    if spec and spec.origin:
        bundled = os.path.join(os.path.dirname(spec.origin), "_bundled", "claude")
        if os.access(bundled, os.X_OK):
            return bundled
    return shutil.which("claude")


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
