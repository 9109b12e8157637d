"""Which agents are there: program, version, and whether somebody is logged in.

Each program is run once, for its version. A login is told from files and variables alone: that it
is there, not that it is valid. Nothing is asked of any provider.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from attractor import tools
from attractor.agents import codex, gemini, opencode, registry
from attractor.agents.headless import on_path, own_environment
from attractor.errors import AttractorError
from attractor.spawn import run_tool

SECONDS: Final = 20.0
_VERSION: Final = re.compile(r"\d+\.\d[\w.-]*")
_MOST_BYTES: Final = 2 * 1024 * 1024
_CLAUDE_FIX: Final = "install Claude Code, or `pip install 'attractor[sdk]'`, which carries one"
_FIXES: Final = {
    "claude": _CLAUDE_FIX,
    "claude-sdk": _CLAUDE_FIX,
    "codex": codex.INSTALL,
    "gemini": gemini.INSTALL,
    "opencode": opencode.INSTALL,
}
_PROGRAMS: Final = {"claude-sdk": "claude"}
# Any of these variables, or any of these files below the home, is a login.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "opencode": ("OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"),
}
_LOGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "claude": (".claude/.credentials.json",),
    "codex": (".codex/auth.json",),
    "gemini": (".gemini/oauth_creds.json", ".gemini/gemini-credentials.json"),
    "opencode": (".local/share/opencode/auth.json",),
}
_MOVED: Final = {
    "claude": ("CLAUDE_CONFIG_DIR", ".claude"),
    "codex": ("CODEX_HOME", ".codex"),
    "gemini": ("GEMINI_CLI_HOME", ""),
    "opencode": ("XDG_DATA_HOME", ".local/share"),
}


@final
@dataclass(frozen=True, slots=True)
class Present:
    """One agent, as far as it is known without a request."""

    agent: str
    program: str
    """Empty where it is not installed."""
    version: str
    login: str
    """`key`, `login`, `none` or `unknown`; empty where it is not installed."""
    problem: str
    fix: str

    def as_json(self) -> dict[str, Any]:
        """Return what `attractor models --json` prints of it."""
        return asdict(self)


def present(environ: Mapping[str, str]) -> list[Present]:
    """Return every agent that is known here."""
    names = registry.names()
    with ThreadPoolExecutor(max_workers=max(len(names), 1)) as pool:
        return list(pool.map(lambda name: _present(name, environ), names))


def _present(name: str, environ: Mapping[str, str]) -> Present:
    program = _PROGRAMS.get(name, name)
    fix = _FIXES.get(name, "see the package that brings it")
    path = on_path(program, environ) or (tools.find_claude() if program == "claude" else None)
    if path is None:
        return Present(name, "", "", "", f"{program} is not installed", fix)
    login = login_of(program, environ)
    try:
        # Some write into their home at every start.
        with tempfile.TemporaryDirectory(prefix="attractor-version-") as home:
            env = {**own_environment(environ), "HOME": home}
            said = run_tool([path, "--version"], timeout_seconds=SECONDS, cwd="/", env=env)
    except AttractorError as error:
        return Present(name, path, "", login, error.problem, error.fix)
    version = _VERSION.search(said.decode("utf-8", "replace"))
    return Present(name, path, version[0] if version else "", login, "", "")


def login_of(program: str, environ: Mapping[str, str]) -> str:
    """Return what kind of login there is; `unknown` for an agent that is not ours."""
    if program not in _KEYS:
        return "unknown"
    if any(environ.get(key) for key in _KEYS[program]):
        return "key"
    return "login" if any(map(_says_something, _files(program, environ))) else "none"


def _files(program: str, environ: Mapping[str, str]) -> list[str]:
    home = environ.get("HOME") or os.path.expanduser("~")
    variable, usual = _MOVED[program]
    moved = environ.get(variable, "")
    found = []
    for name in _LOGINS[program]:
        inside = name.removeprefix(usual).lstrip("/")
        found.append(os.path.join(moved, inside) if moved else os.path.join(home, name))
    return found


def _says_something(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(json.loads(file.read(_MOST_BYTES)))
    except (OSError, ValueError, RecursionError):
        return False
