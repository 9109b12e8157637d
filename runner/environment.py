"""The environment of a session: made from nothing, by a list of what goes in.

Guaranteed: no variable that is not named here, or by the git settings that are handed in, reaches
the session. In a rehearsal no login, proxy or endpoint of the person's is among them. In a real run
the login variables of Claude Code go in, because there is no other way to be logged in; secrets of
anything else do not. What a project's tests need beyond that, its `.claude/settings.json` can set
in `env`. Docs: docs/how-to/workers.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

from attractor.digest import sha256
from attractor.run.assignment import Assignment
from runner.processes import MARKER

ROLE: Final = "orchestrator"
KEPT: Final = frozenset(
    {
        # who and where
        "HOME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "TZ",
        "USER",
        # certificates
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        # the way to the network
        "ALL_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "all_proxy",
        "https_proxy",
        "http_proxy",
        "no_proxy",
        # where tools are
        "CARGO_HOME",
        "CONDA_PREFIX",
        "GOBIN",
        "GOPATH",
        "GOROOT",
        "JAVA_HOME",
        "NVM_DIR",
        "PNPM_HOME",
        "PYENV_ROOT",
        "RUSTUP_HOME",
        "VIRTUAL_ENV",
    }
)
_KEPT_PREFIX: Final = "LC_"
# Where the model is, and who asks it.
LOGIN: Final = frozenset(
    {
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
        "CLAUDE_CODE_SKIP_FOUNDRY_AUTH",
        "CLAUDE_CODE_SKIP_VERTEX_AUTH",
        "CLAUDE_CODE_CLIENT_CERT",
        "CLAUDE_CODE_CLIENT_KEY",
        "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
        "CLAUDE_CODE_SUBAGENT_MODEL",
        "CLAUDE_CONFIG_DIR",
    }
)
LOGIN_PREFIX: Final = "ANTHROPIC_"
# The keys of a cloud, only where the model is reached through it.
CLOUDS: Final[Mapping[str, tuple[str, ...]]] = {
    "CLAUDE_CODE_USE_BEDROCK": ("AWS_",),
    "CLAUDE_CODE_USE_VERTEX": ("GOOGLE_", "CLOUD_ML_", "VERTEX_"),
    "CLAUDE_CODE_USE_FOUNDRY": ("AZURE_",),
}
# The same for the agents that work alone.
LOGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "codex": ("CODEX_", "OPENAI_"),
    "gemini": ("GEMINI_", "GOOGLE_"),
    "opencode": ("OPENCODE_", "OPENROUTER_", "OPENAI_", "ANTHROPIC_"),
}
_QUIET_ALONE: Final[Mapping[str, Mapping[str, str]]] = {
    "codex": {},
    "gemini": {"GEMINI_SANDBOX": "false", "GEMINI_CLI_NO_RELAUNCH": "true"},
    "opencode": {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_SHARE": "1"},
}
_QUIET: Final = {
    "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN": "1",
    "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY": "1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
    "DISABLE_AUTOUPDATER": "1",
}
_TEAM: Final = {
    "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS": "1",
    "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1",  # else there is no task list to share
}
# The person's own name is in a home that a rehearsal does not have.
_REHEARSING: Final = {
    "GIT_AUTHOR_NAME": "Attractor rehearsal",
    "GIT_AUTHOR_EMAIL": "rehearsal@localhost",
    "GIT_COMMITTER_NAME": "Attractor rehearsal",
    "GIT_COMMITTER_EMAIL": "rehearsal@localhost",
}
_WORKER_MODEL: Final = "CLAUDE_CODE_SUBAGENT_MODEL"
_FORCED: Final = "CLAUDE_CODE_SUBAGENT_MODEL_FORCE"
"""Without it, what a worker's definition says beats the model, also `inherit`."""
STOP_CAP: Final = {"CLAUDE_CODE_STOP_HOOK_BLOCK_CAP": "100"}
# A program of the session's must not be changed by a variable that a project's settings set.
_EMPTIED: Final = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "PYTHONSTARTUP")


def marker(assignment: Assignment) -> str:
    """Return what every process of the node's session carries in ATTRACTOR_SESSION."""
    key = f"{os.path.abspath(assignment.run_root)}\0{assignment.node_id}".encode()
    return sha256(key).hexdigest()[:32]


def for_session(
    assignment: Assignment, git: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the whole environment of the node's session."""
    ours = {
        "ATTRACTOR_RUN_ID": assignment.run_id,
        "ATTRACTOR_NODE_ID": assignment.node_id,
        "ATTRACTOR_ATTEMPT": str(assignment.attempt),
        MARKER: marker(assignment),
        **git,
    }
    if assignment.alone:
        ours |= _QUIET_ALONE[assignment.agent]
    elif assignment.agent != "command":
        ours |= STOP_CAP | _QUIET | _models(assignment)
        if assignment.workers == "team":
            ours |= _TEAM
    if assignment.rehearsed:
        return _rehearsed(assignment, ours, environ)
    made = {name: value for name, value in environ.items() if _goes_in(name)}
    made |= {name: value for name, value in environ.items() if _is_login(name, environ, assignment)}
    made |= {"PATH": path(environ), "TMPDIR": "/tmp"} | ours  # noqa: S108  # private in a sandbox
    if os.geteuid() == 0:
        made["IS_SANDBOX"] = "1"  # without it root may not skip permissions
    return made


def path(environ: Mapping[str, str]) -> str:
    """Return PATH with our own commands behind all others."""
    ours = os.path.dirname(os.path.abspath(sys.executable))
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*filter(os.path.isabs, folders), ours])


def for_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the session's settings say again, since those of its project come in between.

    Settings beat the environment, and ours beat the project's.
    """
    again = {
        name: value
        for name, value in environment.items()
        if name in _AGAIN or name.startswith(("ATTRACTOR_", "GIT_"))
    }
    return dict.fromkeys(_EMPTIED, "") | again


def _goes_in(name: str) -> bool:
    return name in KEPT or name.startswith(_KEPT_PREFIX)


def _models(assignment: Assignment) -> dict[str, str]:
    """Return what says which model a worker has; it beats what a worker's definition says."""
    model = assignment.worker_model
    return {_WORKER_MODEL: model, _FORCED: "1"} if model else {}


def _is_login(name: str, environ: Mapping[str, str], assignment: Assignment) -> bool:
    if assignment.alone:
        return name.startswith(LOGINS[assignment.agent])
    if assignment.agent == "command":
        return False
    if name in LOGIN or name.startswith(LOGIN_PREFIX):
        return True
    return any(environ.get(cloud) and name.startswith(each) for cloud, each in CLOUDS.items())


_AGAIN: Final = frozenset({"PATH", _WORKER_MODEL, _FORCED, *STOP_CAP, *_QUIET, *_TEAM})


def _rehearsed(
    assignment: Assignment, ours: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    from attractor.rehearsal.environment import agent_environment, rehearsal_environment
    from attractor.rehearsal.headers import Asker

    layout, node = assignment.layout, assignment.node_id
    extra = {"TMPDIR": "/tmp", **_REHEARSING, **ours}  # noqa: S108  # private in a sandbox
    asker = Asker(ROLE, assignment.run_id, node, assignment.attempt)
    if assignment.alone:
        made = agent_environment(
            assignment.agent,
            assignment.base_url,
            layout.home(node),
            asker=asker,
            path=path(environ),
        )
        return made | extra
    return rehearsal_environment(
        assignment.base_url,
        layout.home(node),
        layout.config(node),
        asker=asker,
        path=path(environ),
        extra=extra,
    )
