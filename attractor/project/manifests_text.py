"""Manifests that are programs or have a grammar of their own: read by their usual lines only.

go.mod, go.work, requirements.txt, setup.cfg, Gemfile, mix.exs, Gradle, Maven and .NET. Nothing is
run and no entity of XML is followed, so what such a file computes is not known.
"""

from __future__ import annotations

import configparser
import re
from typing import Final

from attractor.project.manifest import Manifest
from attractor.project.manifests_data import pep508

# A pattern is tried at every place of a text that may be hostile: none runs on for long.
_GO_MODULE: Final = re.compile(r"^module[ \t]+\"?([^\s\"]+)", re.MULTILINE)
_GO_REPLACE: Final = re.compile(r"=>[ \t]*(\.{1,2}/\S*)")
_EDITABLE: Final = re.compile(r"^[ \t]*(?:-e|--editable)[ =](\.\S*)", re.MULTILINE)
_PATH_LINE: Final = re.compile(r"^[ \t]*(\.{1,2}/\S*)[ \t]*$", re.MULTILINE)
_GEM: Final = re.compile(r"^[ \t]*gem[ \t]*\(?[ \t]*['\"]([^'\"\n]+)['\"]([^\n]*)", re.MULTILINE)
_GEM_PATH: Final = re.compile(r"(?:path:|:path[ ]{0,9}=>)\s{0,9}['\"]([^'\"\n]+)")
_MIX_APP: Final = re.compile(r"\bapp:\s{0,9}:(\w+)")
_MIX_ABOUT: Final = re.compile(r"\bdescription:\s{0,9}\"([^\"\n]*)")
_MIX_DEP: Final = re.compile(r"\{:(\w+),([^}]{0,300})\}")
_MIX_PATH: Final = re.compile(r"\bpath:\s{0,9}\"([^\"\n]+)\"")
_MIX_APPS: Final = re.compile(r"\bapps_path:\s{0,9}\"([^\"\n]+)\"")
_GRADLE_DEP: Final = re.compile(
    r"\b\w{1,60}[ ]{0,9}\(?[ ]{0,9}['\"]([\w.-]{1,200}):([\w.-]{1,200})(?::[^'\"\n]{0,200})?['\"]"
)
_GRADLE_PLUGIN: Final = re.compile(r"\bid[ ]{0,9}\(?[ ]{0,9}['\"]([\w.-]{1,200})['\"]")
_GRADLE_PROJECT: Final = re.compile(
    r"\bproject[ ]{0,9}\([ ]{0,9}(?:path[ ]{0,9}[:=][ ]{0,9})?['\"]:?([\w:./-]{1,200})['\"]"
)
_GRADLE_ABOUT: Final = re.compile(r"^[ \t]*description[ =]+['\"]([^'\"\n]*)", re.MULTILINE)
_GRADLE_INCLUDE: Final = re.compile(r"^[ \t]*include\b([^\n]*(?:,[ ]*\n[^\n]*)*)", re.MULTILINE)
_QUOTED: Final = re.compile(r"['\"]:?([\w:./-]+)['\"]")
_POM_INNER: Final = ("parent", "dependencies", "dependencyManagement", "build", "profiles")
_POM_NEED: Final = re.compile(r"<dependency>.{0,600}?<artifactId>\s*([^<\s]+)", re.DOTALL)
_CS_PACKAGE: Final = re.compile(r"<PackageReference\s{1,9}Include=\"([^\"]+)\"")
_CS_PROJECT: Final = re.compile(r"<ProjectReference\s{1,9}Include=\"([^\"]+)\"")
_CS_SDK: Final = re.compile(r"<Project\s{1,9}Sdk=\"([^\"]+)\"")


def go_mod(text: str) -> Manifest:
    """Read what go does."""
    text = _without_comments(text, "//")
    module = _GO_MODULE.search(text)
    name = module[1] if module else ""
    commands = (("lint", "go vet ./..."), ("build", "go build ./..."))
    local = tuple(_GO_REPLACE.findall(text))
    return Manifest("go", name, needs=_go(text, "require"), local=local, commands=commands)


def go_work(text: str) -> Manifest:
    """Read where the modules are."""
    members = _go(_without_comments(text, "//"), "use")
    return Manifest("go", members=members, only_members=True)


def _go(text: str, word: str) -> tuple[str, ...]:
    """Return what follows the word, on its line or one a line in its brackets."""
    found, inside = list[str](), False
    for line in text.splitlines():
        parts = line.replace("(", " ( ").split()
        if inside and parts:
            inside = parts[0] != ")"
            found += parts[:1] if inside else []
        elif parts[:1] == [word]:
            inside = parts[1:2] == ["("]
            found += [] if inside else parts[1:2]
    return tuple(found)


def requirements(text: str) -> Manifest:
    """Read what pip does; files that it refers to are not followed."""
    text = _without_comments(text, "#")
    needs = [line for line in text.splitlines() if not line.lstrip().startswith(("-", "."))]
    local = (*_EDITABLE.findall(text), *_PATH_LINE.findall(text))
    return Manifest("python", needs=pep508(needs), local=local)


def setup_cfg(text: str) -> Manifest:
    """Read what setuptools does."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).splitlines()[0]) from None
    needs = parser.get("options", "install_requires", fallback="").splitlines()
    about = parser.get("metadata", "description", fallback="")
    return Manifest("python", parser.get("metadata", "name", fallback=""), about, pep508(needs))


def setup_py(_: str) -> Manifest:
    """Know only that there is one: what it says, it says when it is run."""
    return Manifest("python")


def gemfile(text: str) -> Manifest:
    """Read what Bundler does."""
    found = _GEM.findall(_without_comments(text, "#"))
    local = tuple(path for _, rest in found for path in _GEM_PATH.findall(rest))
    names = tuple(name for name, _ in found)
    tests = (("test", "bundle exec rspec"),) if {"rspec", "rspec-rails"} & {*names} else ()
    lint = (("lint", "bundle exec rubocop"),) if "rubocop" in names else ()
    return Manifest("ruby", needs=names, local=local, commands=(*tests, *lint))


def mix_exs(text: str) -> Manifest:
    """Read what Mix does."""
    text = _without_comments(text, "#")
    app, about, apps = _MIX_APP.search(text), _MIX_ABOUT.search(text), _MIX_APPS.search(text)
    needs = _MIX_DEP.findall(text)
    return Manifest(
        "elixir",
        app[1] if app else "",
        about[1] if about else "",
        tuple(name for name, _ in needs),
        tuple(path for _, rest in needs for path in _MIX_PATH.findall(rest)),
        (f"{apps[1]}/*",) if apps else (),
        only_members=apps is not None,
        commands=(("test", "mix test"), ("lint", "mix format --check-formatted")),
    )


def gradle(text: str) -> Manifest:
    """Read the usual lines of a build script."""
    text = _without_comments(text, "//")
    about = _GRADLE_ABOUT.search(text)
    needs = [name for _, name in _GRADLE_DEP.findall(text)]
    return Manifest(
        "gradle",
        description=about[1] if about else "",
        needs=(*needs, *_GRADLE_PLUGIN.findall(text), *map(_last, _GRADLE_PROJECT.findall(text))),
        commands=(("test", "gradle test"), ("build", "gradle build")),
    )


def gradle_settings(text: str) -> Manifest:
    """Read which projects a build has."""
    lines = _GRADLE_INCLUDE.findall(_without_comments(text, "//"))
    members = tuple(each.replace(":", "/") for line in lines for each in _QUOTED.findall(line))
    return Manifest("gradle", members=members, only_members=bool(members))


def _last(path: str) -> str:
    return path.rpartition(":")[2]


def pom_xml(text: str) -> Manifest:
    """Read what Maven does."""
    text = _cut(text, "<!--", "-->")
    if "<project" not in text:
        raise ValueError("there is no <project>")
    own = text
    for each in _POM_INNER:
        own = _cut(own, f"<{each}>", f"</{each}>")
    members = tuple(each.strip() for each in re.findall(r"<module>([^<]+)</module>", own))
    return Manifest(
        "maven",
        _element(own, "artifactId"),
        _element(own, "description") or _element(own, "name"),
        tuple(_POM_NEED.findall(text)),
        members=members,
        only_members=bool(members),
        commands=(("test", "mvn -q test"), ("build", "mvn -q package")),
    )


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return " ".join(found[1].split()) if found else ""


def csproj(text: str) -> Manifest:
    """Read what dotnet does."""
    text = _cut(text, "<!--", "-->")
    if "<Project" not in text:
        raise ValueError("there is no <Project>")
    projects = (each.replace("\\", "/") for each in _CS_PROJECT.findall(text))
    return Manifest(
        "dotnet",
        _element(text, "PackageId") or _element(text, "AssemblyName"),
        _element(text, "Description"),
        (*_CS_PACKAGE.findall(text), *_CS_SDK.findall(text)),
        tuple(each.rpartition("/")[0] or "." for each in projects),
        commands=(("test", "dotnet test"), ("build", "dotnet build")),
    )


def _without_comments(text: str, mark: str) -> str:
    """Drop comments that begin a line or follow a space, so that addresses stay whole."""
    return re.sub(rf"(^|\s){re.escape(mark)}[^\n]*", r"\1", text)


def _cut(text: str, start: str, end: str) -> str:
    """Drop all that is between these; what is not closed stays."""
    kept, place = list[str](), 0
    while (found := text.find(start, place)) >= 0 and (close := text.find(end, found)) >= 0:
        kept.append(text[place:found])
        place = close + len(end)
    return "".join([*kept, text[place:]])
