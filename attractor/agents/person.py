"""The person's own login, for a Claude Code that reads none of their settings.

A question is asked without settings files, so that no hook, plugin or memory takes part; but a
login may live in just such a file. What belongs to a login is taken from the environment and from
the user's own `settings.json`, and nothing else: what an outer session left in the environment
would make the new one believe that it is a part of it. A settings file that cannot be read counts
as empty. A project's files are never read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

_MOST_BYTES: Final = 2 * 1024 * 1024
# What begins so is an outer session's, but for a login, a provider or a choice.
_SESSIONS: Final = re.compile(r"CLAUDE|ATTRACTOR_")
_KEPT: Final = re.compile(
    r"CLAUDE_CONFIG_DIR|CLAUDE_CODE_(OAUTH|USE|SKIP|API_KEY|CLIENT|DISABLE|MAX_RETRIES).*"
)
_LOGIN_VARIABLE: Final = re.compile(
    r"ANTHROPIC_.*|CLAUDE_CODE_(OAUTH|USE|SKIP|API_KEY|CLIENT).*|AWS_.*|GOOGLE_.*|AZURE_.*"
    r"|CLOUD_ML_REGION|VERTEX_.*|GCLOUD_.*|(HTTPS?|NO|ALL)_PROXY|NODE_EXTRA_CA_CERTS",
    re.IGNORECASE,
)
_LOGIN_SETTINGS: Final[tuple[str, ...]] = (
    "apiKeyHelper",
    "awsAuthRefresh",
    "awsCredentialExport",
    "gcpAuthRefresh",
    "forceLoginMethod",
    "forceLoginOrgUUID",
    "model",
)


@final
class Login(NamedTuple):
    """How the person's own program reaches its model."""

    env: dict[str, str]
    """The whole environment."""
    settings: dict[str, Any]
    """What `--settings` must say, without any variable: arguments can be seen by everybody."""


def own_login(environ: Mapping[str, str]) -> Login:
    """Return the person's login."""
    kept = {key: value for key, value in environ.items() if not _is_of_a_session(key)}
    said = _user_settings(environ)
    variables = said.get("env")
    for key, value in variables.items() if isinstance(variables, dict) else ():
        if _LOGIN_VARIABLE.fullmatch(key):
            kept[key] = str(value)  # as for Claude Code, the file beats the environment
    settings = {key: said[key] for key in _LOGIN_SETTINGS if key in said}
    return Login(kept, settings)


def _is_of_a_session(key: str) -> bool:
    return bool(_SESSIONS.match(key)) and not _KEPT.fullmatch(key)


def _user_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    folder = environ.get("CLAUDE_CONFIG_DIR") or os.path.join(environ.get("HOME", ""), ".claude")
    if not os.path.isabs(folder):
        return {}
    try:
        with open(os.path.join(folder, "settings.json"), "rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
