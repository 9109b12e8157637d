"""What of a person's machine a session may change, and what it may not see: mostly data.

Words that begin with `~/` lie in the person's home, those with `$NAME/` in the folder that this
variable of the environment names (in the home's usual one where it is not set).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from attractor.digest import sha256
from attractor.run.assignment import Assignment
from attractor.run.layout import escape
from runner.disk import Disk, Kind

# Where we keep what is the person's and no project's.
STATE: Final = "$XDG_STATE_HOME/attractor"

DEFAULTS: Final = {
    "XDG_CACHE_HOME": "~/.cache",
    "XDG_CONFIG_HOME": "~/.config",
    "XDG_DATA_HOME": "~/.local/share",
    "XDG_STATE_HOME": "~/.local/state",
    "CARGO_HOME": "~/.cargo",
    "CODEX_HOME": "~/.codex",
    "GOPATH": "~/go",
    "GNUPGHOME": "~/.gnupg",
}

# Private and empty, and writable: what programs need to work at all.
SCRATCH: Final = ("/tmp", "/var/tmp")  # noqa: S108  # these are the names, nothing is made there

# What package managers keep between builds. A session has a private folder in the place of each
# that exists: what is kept here is run by the person's own builds, and by the judge's.
CACHES: Final = (
    "$XDG_CACHE_HOME/bun",
    "$XDG_CACHE_HOME/composer",
    "$XDG_CACHE_HOME/deno",
    "$XDG_CACHE_HOME/go-build",
    "$XDG_CACHE_HOME/node-gyp",
    "$XDG_CACHE_HOME/pip",
    "$XDG_CACHE_HOME/pnpm",
    "$XDG_CACHE_HOME/pre-commit",
    "$XDG_CACHE_HOME/pypoetry",
    "$XDG_CACHE_HOME/uv",
    "$XDG_CACHE_HOME/yarn",
    "$XDG_DATA_HOME/pnpm/store",
    "$CARGO_HOME/git",
    "$CARGO_HOME/registry",
    "$GOPATH/pkg",
    "~/.bun/install/cache",
    "~/.gradle/caches",
    "~/.gradle/daemon",
    "~/.gradle/native",
    "~/.ivy2/cache",
    "~/.m2/repository",
    "~/.npm",
    "~/.nuget/packages",
    "~/.pub-cache",
    "~/Library/Caches",
)

# Logins and keys that no session needs, and sockets of machines of the person's own.
SECRETS: Final = (
    "$GNUPGHOME",
    "$CARGO_HOME/credentials",
    "$CARGO_HOME/credentials.toml",
    "$XDG_CONFIG_HOME/Bitwarden CLI",
    "$XDG_CONFIG_HOME/chromium",
    "$XDG_CONFIG_HOME/containers/auth.json",
    "$XDG_CONFIG_HOME/doctl",
    "$XDG_CONFIG_HOME/fly",
    "$XDG_CONFIG_HOME/gcloud",
    "$XDG_CONFIG_HOME/gh",
    "$XDG_CONFIG_HOME/git/credentials",
    "$XDG_CONFIG_HOME/glab-cli",
    "$XDG_CONFIG_HOME/google-chrome",
    "$XDG_CONFIG_HOME/heroku",
    "$XDG_CONFIG_HOME/hub",
    "$XDG_CONFIG_HOME/op",
    "$XDG_CONFIG_HOME/rclone",
    "$XDG_CONFIG_HOME/sops",
    "$XDG_DATA_HOME/keyrings",
    "$XDG_DATA_HOME/password-store",
    "~/.Xauthority",
    "~/.aws",
    "~/.azure",
    "~/.colima",
    "~/.docker/config.json",
    "~/.docker/desktop",
    "~/.docker/run",
    "~/.fly",
    "~/.gem/credentials",
    "~/.git-credentials",
    "~/.kube",
    "~/.lima",
    "~/.mozilla",
    "~/.netrc",
    "~/.orbstack",
    "~/.password-store",
    "~/.pgpass",
    "~/.pypirc",
    "~/.rd",
    "~/.ssh",
    "~/.terraform.d/credentials.tfrc.json",
    "~/.vault-token",
    "~/Library/Keychains",
)

# Sockets of daemons that would do outside what a session may not do inside, buses, agents.
DAEMONS: Final = ("/run", "/var/run")

# What is needed of these all the same: names are looked up through some, NixOS lives in others.
DAEMONS_NEEDED: Final = (
    "/run/NetworkManager/resolv.conf",
    "/run/booted-system",
    "/run/current-system",
    "/run/opengl-driver",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/run/wrappers",
    "/etc/resolv.conf",
)

# Variables that name a socket, its folder or its key, however they write it.
SOCKET_VARIABLES: Final = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "SSH_AUTH_SOCK",
    "TMUX_TMPDIR",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
)

# Of a person's Claude configuration a session reads these; by the endings, scripts that settings
# may name. The login is the one file it writes. All else there (transcripts, history, tasks) it
# neither sees nor changes: it has a private folder in that place.
CLAUDE_READ: Final = (
    "CLAUDE.md",
    "agents",
    "bin",
    "commands",
    "hooks",
    "keybindings.json",
    "local",
    "output-styles",
    "plugins",
    "rules",
    "scripts",
    "settings.json",
    "settings.local.json",
    "skills",
    "themes",
    "workflows",
)
CLAUDE_READ_ENDINGS: Final = (".js", ".md", ".mjs", ".py", ".sh", ".ts")
# The same of the agents that work alone: folders, what is read in them, and their logins, which
# the agents write when they renew them. Each folder is the node's own, as Claude's is.
AGENT_FOLDERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "codex": {"$CODEX_HOME": ("AGENTS.md", "config.toml", "prompts", "rules", "skills")},
    "gemini": {
        "~/.gemini": (
            *(".env", "GEMINI.md", "commands", "extensions", "google_accounts.json"),
            *("installation_id", "policies", "settings.json", "skills", "trustedFolders.json"),
        )
    },
    "opencode": {
        "$XDG_CACHE_HOME/opencode": (),
        "$XDG_CONFIG_HOME/opencode": (
            *(
                "AGENTS.md",
                "agent",
                "agents",
                "command",
                "commands",
                "config.json",
                "opencode.json",
            ),
            *("opencode.jsonc", "plugin", "plugins", "skill", "skills", "themes"),
        ),
        "$XDG_DATA_HOME/opencode": (),
        "$XDG_STATE_HOME/opencode": (),
    },
}
AGENT_LOGINS: Final = {
    "codex": "$CODEX_HOME/auth.json",
    "gemini": "~/.gemini/oauth_creds.json",
    "opencode": "$XDG_DATA_HOME/opencode/auth.json",
}
CLAUDE_LOGIN: Final = ".credentials.json"
CLAUDE_STATE: Final = ".claude.json"


def place_of(word: str, environ: Mapping[str, str]) -> str:
    """Return the path that a word of `places` means."""
    if word.startswith("$"):
        name, _, rest = word[1:].partition("/")
        base = environ.get(name, "")
        if not os.path.isabs(base):
            base = place_of(DEFAULTS[name], environ)
        return os.path.join(base, rest) if rest else base
    return os.path.join(environ["HOME"], word.removeprefix("~/"))


def caches(assignment: Assignment, environ: Mapping[str, str], disk: Disk) -> list[tuple[str, str]]:
    """Return the caches that exist, each with the private folder that stands in its place.

    One for all sessions of a project, so that not every one of them loads everything again.
    """
    key = sha256(assignment.project.encode()).hexdigest()[:16]
    ours = os.path.join(place_of(STATE, environ), "caches", key)
    found = []
    for word in CACHES:
        path = place_of(word, environ)
        if disk.kind(disk.real(path)) is Kind.FOLDER:
            found.append((path, os.path.join(ours, escape(word))))
    return found


def claude_entries(folder: str, disk: Disk) -> list[tuple[str, str]]:
    """Return what a session sees of a person's Claude configuration: names, and their real paths.

    The person may have links there, and the session sees what they lead to.
    """
    wanted = (*CLAUDE_READ, CLAUDE_STATE, CLAUDE_LOGIN)
    found = []
    for name in disk.names(folder):
        if name in wanted or name.endswith(CLAUDE_READ_ENDINGS):
            source = disk.real(os.path.join(folder, name))
            if disk.kind(source) in (Kind.FILE, Kind.FOLDER):
                found.append((name, source))
    return found


def agent_folders(
    assignment: Assignment, environ: Mapping[str, str], disk: Disk
) -> list[tuple[str, str, list[str]]]:
    """Return the folders of an agent that works alone: where, the node's own, and what is read."""
    if not assignment.alone:
        return []
    own = assignment.layout.config(assignment.node_id)
    found = []
    for word, read in AGENT_FOLDERS[assignment.agent].items():
        place = place_of(word, environ)
        names = [name for name in disk.names(place) if name in read]
        found.append((place, os.path.join(own, escape(word)), names))
    return found
