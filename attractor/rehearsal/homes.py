"""What the agents other than Claude Code need around them, to talk to the scripted model only.

Pure: files and variables as values, for a home that is made for one rehearsal. Each agent gets the
address in its own configuration, a login that is worth nothing, and what it would send to others is
turned off. What would go elsewhere all the same, and asks for a proxy, meets the scripted model,
which refuses it. The retries are few, so that a scripted failure is met soon.
Not covered: a command that the agent is told to run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

LOGIN: Final = "rehearsal"
_RETRIES: Final = 2
_HOSTS: Final = "127.0.0.1,localhost,::1"


@final
@dataclass(frozen=True, slots=True)
class Home:
    """What one agent finds: its files below the home, and its variables."""

    files: Mapping[str, str]
    environ: Mapping[str, str]
    managed: tuple[str, ...] = ()
    """An administrator's files, which beat all that is said here."""


def codex(base_url: str, home: str) -> Home:
    """Return what `codex` needs. A project's own configuration is not read: it is not trusted."""
    del home
    lines = [
        'model = "gpt-5.1-codex"',
        'model_provider = "rehearsal"',
        "check_for_update_on_startup = false",
        "[analytics]",
        "enabled = false",
        "[feedback]",
        "enabled = false",
        "[features]",
        "plugins = false",
        "[model_providers.rehearsal]",
        'name = "rehearsal"',
        f"base_url = {json.dumps(f'{base_url}/v1')}",
        'env_key = "ATTRACTOR_REHEARSAL_KEY"',
        'wire_api = "responses"',
        f"request_max_retries = {_RETRIES}",
        f"stream_max_retries = {_RETRIES}",
    ]
    return Home(
        files={".codex/config.toml": "\n".join([*lines, ""])},
        environ={"ATTRACTOR_REHEARSAL_KEY": LOGIN},
        managed=("/etc/codex/managed_config.toml",),
    )


def gemini(base_url: str, home: str) -> Home:
    """Return what `gemini` needs. The same settings stand where a project's cannot beat them."""
    settings: dict[str, Any] = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "model": {"name": "gemini-2.5-pro"},
        "general": {
            "enableAutoUpdate": False,
            "enableAutoUpdateNotification": False,
            "maxAttempts": _RETRIES,
        },
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    text = json.dumps(settings, indent=2)
    return Home(
        files={".gemini/settings.json": text, ".gemini/system.json": text},
        environ={
            "GEMINI_API_KEY": LOGIN,
            "GOOGLE_GEMINI_BASE_URL": base_url,
            "GOOGLE_VERTEX_BASE_URL": base_url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_SYSTEM_SETTINGS_PATH": f"{home}/.gemini/system.json",
            "GEMINI_CLI_SYSTEM_DEFAULTS_PATH": f"{home}/.gemini/none.json",
            # A project's .env fills in only what is not there.
            "GOOGLE_API_KEY": "",
            "GOOGLE_APPLICATION_CREDENTIALS": "",
            "GOOGLE_CLOUD_PROJECT": "",
            "GOOGLE_GENAI_USE_GCA": "",
            "GOOGLE_GENAI_USE_VERTEXAI": "",
        },
    )


def opencode(base_url: str, home: str) -> Home:
    """Return what `opencode` needs. A project's own configuration is not read."""
    config = {
        "model": "anthropic/claude-sonnet-4-5",
        "small_model": "anthropic/claude-haiku-4-5",
        "provider": {"anthropic": {"options": {"baseURL": f"{base_url}/v1", "apiKey": LOGIN}}},
        "enabled_providers": ["anthropic"],
        "autoupdate": False,
        "share": "disabled",
    }
    # As if the packages of plugins were installed: else it asks a registry for them at each start.
    installed = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
    return Home(
        files={
            "opencode.json": json.dumps(config, indent=2),
            ".config/opencode/package-lock.json": json.dumps(installed),
            ".config/opencode/node_modules/.none": "",
        },
        environ={
            "OPENCODE_CONFIG": f"{home}/opencode.json",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
            "OPENCODE_DISABLE_SHARE": "1",
        },
        managed=("/etc/opencode/opencode.json", "/etc/opencode/opencode.jsonc"),
    )


HOMES: Final[dict[str, Callable[[str, str], Home]]] = {
    "codex": codex,
    "gemini": gemini,
    "opencode": opencode,
}


def proxies(base_url: str) -> dict[str, str]:
    """Return the variables by which what leaves this machine is led to the scripted model."""
    made = {}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        made[name] = made[name.lower()] = base_url
    return made | {"NO_PROXY": _HOSTS, "no_proxy": _HOSTS}
