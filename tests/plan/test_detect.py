"""What is found of a project, for each ecosystem, and what is not followed, run or waited for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.errors import InputError
from attractor.plan.detect import detect
from attractor.project import files, found_checks, manifests_data, manifests_text
from attractor.project.model import MOST_TEXT, Component, Kind, Project

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]


def put(folder: Path, **said: str) -> Path:
    """Write files; `__` in a name is a folder's end."""
    return put_all(folder, {name.replace("__", "/"): text for name, text in said.items()})


def put_all(folder: Path, said: dict[str, str]) -> Path:
    for name, text in said.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def tracked(folder: Path) -> Path:
    for words in (["init", "-q"], ["add", "-A", "-f"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def found(tmp_path: Path, clock: Any) -> Callable[[dict[str, str]], Project]:
    def call(said: dict[str, str]) -> Project:
        return detect(str(tracked(put_all(tmp_path, said))), clock)

    return call


Found = Callable[[dict[str, str]], Project]


def paths(project: Project) -> dict[str, str]:
    return {each.path: each.kind for each in project.components}


def arrows(project: Project) -> set[tuple[str, str]]:
    return {(each.of, each.on) for each in project.links}


def runs(project: Project, purpose: str) -> list[str]:
    return [each.command for each in project.commands if each.purpose == purpose]


NPM = {
    "package.json": json.dumps(
        {
            "name": "shop",
            "description": "A shop",
            "dependencies": {"react": "^18", "left-pad": "1"},
            "devDependencies": {"vitest": "1"},
            "scripts": {"test": "vitest", "lint": "eslint .", "build": "vite build"},
        }
    ),
    "src/a.ts": "",
    "src/b.tsx": "",
    "src/c.js": "",
}
PYTHON = {
    "pyproject.toml": '[project]\nname = "svc"\ndescription = "A service"\n'
    'dependencies = ["FastAPI[all]>=0.1", "sql_alchemy ; python_version>\'3\'"]\n'
    '[dependency-groups]\ndev = ["pytest"]\n[tool.ruff]\n[tool.mypy]\n[build-system]\n',
    "svc/a.py": "",
}
GO = {
    "go.mod": "module example.com/app // ours\n\ngo 1.22\n\nrequire (\n"
    "\tgithub.com/gin-gonic/gin v1.9 // indirect\n)\nrequire github.com/x/y v2\n",
    "main.go": "",
    "README.md": "# app\n\n[![badge](x)](y)\n\nServes the app.\n",
}
CARGO = {
    "Cargo.toml": '[package]\nname = "core"\ndescription = "The core"\n'
    '[dependencies]\ntokio = "1"\nrenamed = { package = "serde", version = "1" }\n',
    "src/lib.rs": "",
}
MAVEN = {
    "pom.xml": "<project><parent><artifactId>top</artifactId></parent>"
    "<artifactId>billing</artifactId><!-- <artifactId>no</artifactId> -->"
    "<description>Bills</description><dependencies><dependency><groupId>g</groupId>"
    "<artifactId>spring-boot-starter-web</artifactId></dependency></dependencies></project>",
    "src/main/java/A.java": "",
}
GRADLE = {
    "settings.gradle.kts": 'rootProject.name = "x"\ninclude(":app", ":libs:core")\n',
    "app/build.gradle.kts": 'plugins { id("org.springframework.boot") }\ndescription = "The app"\n'
    'dependencies {\n  implementation(project(":libs:core"))\n'
    '  implementation("com.squareup.okhttp3:okhttp:4.1")\n}\n',
    "libs/core/build.gradle.kts": "",
    "gradlew": "",
    "app/gradlew": "",
    "app/src/A.kt": "",
}
RUBY = {
    "Gemfile": "source 'https://rubygems.org'\ngem 'rails', '~> 7'\ngem \"rspec-rails\"\n"
    "gem 'rubocop'\n# gem 'no'\n",
    "app/a.rb": "",
}
PHP = {
    "composer.json": json.dumps(
        {
            "name": "acme/web",
            "description": "The web",
            "require": {"php": ">=8", "ext-json": "*", "laravel/framework": "^11"},
            "scripts": {"test": "phpunit"},
        }
    ),
    "index.php": "",
}
ELIXIR = {
    "mix.exs": 'def project, do: [app: :chat, description: "Chats"]\n'
    'defp deps, do: [{:phoenix, "~> 1.7"}, {:core, path: "core"}]\n',
    "lib/a.ex": "",
    "core/mix.exs": "def project, do: [app: :core]\n",
}
DOTNET = {
    "Api/Api.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"><ItemGroup>'
    '<PackageReference Include="xunit" /><ProjectReference Include="..\\Core\\Core.csproj" />'
    "</ItemGroup></Project>",
    "Core/Core.csproj": "<Project><Description>The core</Description></Project>",
    "Core/A.cs": "",
}


@dataclass(frozen=True)
class Told:
    """What is to be told of a project of one part."""

    language: str
    framework: str
    name: str
    about: str
    needs: str
    commands: set[str]


SINGLE = {
    "npm": (
        NPM,
        Told(
            "TypeScript", "React", "shop", "A shop", "left-pad", {"npm run lint", "npm run build"}
        ),
    ),
    "python": (
        PYTHON,
        Told("Python", "FastAPI", "svc", "A service", "sql-alchemy", {"ruff check .", "mypy ."}),
    ),
    "go": (
        GO,
        Told("Go", "Gin", "example.com/app", "Serves the app.", "github.com/x/y", {"go vet ./..."}),
    ),
    "cargo": (CARGO, Told("Rust", "Tokio", "core", "The core", "serde", {"cargo clippy"})),
    "maven": (
        MAVEN,
        Told("Java", "Spring Boot", "billing", "Bills", "spring-boot-starter-web", {"mvn -q test"}),
    ),
    "ruby": (RUBY, Told("Ruby", "Rails", "", "", "rspec-rails", {"bundle exec rspec"})),
    "php": (
        PHP,
        Told("PHP", "Laravel", "acme/web", "The web", "laravel/framework", {"composer test"}),
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_project_is_described(found: Found, name: str) -> None:
    said, told = SINGLE[name]
    project = found(said)
    assert project.kind is Kind.SINGLE
    assert project.files == len(said)
    assert project.languages[0].name == told.language
    assert told.framework in project.frameworks
    (part,) = project.components
    assert part.name == (told.name or os.path.basename(project.folder))
    assert part.description == told.about
    assert told.needs in project.dependencies
    assert not {"php", "ext-json", "no"} & set(project.dependencies)
    assert told.commands <= {each.command for each in project.commands}
    assert all("on this machine" in each for each in project.notes)


@pytest.mark.parametrize(
    ("said", "parts", "links"),
    [
        (GRADLE, {"app": "gradle", "libs/core": "gradle"}, {("app", "core")}),
        (ELIXIR, {".": "elixir", "core": "elixir"}, {("chat", "core")}),
        (DOTNET, {"Api": "dotnet", "Core": "dotnet"}, {("Api", "Core")}),
    ],
    ids=["gradle", "elixir", "dotnet"],
)
def test_a_build_of_several_is_taken_apart(
    found: Found, said: dict[str, str], parts: dict[str, str], links: set[tuple[str, str]]
) -> None:
    project = found(said)
    assert project.kind is Kind.MONO
    assert paths(project) == parts
    assert arrows(project) == links


def test_the_programs_that_a_project_brings_along_are_named(found: Found) -> None:
    assert "./gradlew test" in runs(found(GRADLE), "test")


WORKSPACES = {
    "npm": (
        {
            "package.json": '{"name": "top", "workspaces": ["packages/*"]}',
            "packages/ui/package.json": '{"name": "@x/ui", "description": "Buttons"}',
            "packages/web/package.json": '{"name": "@x/web", "dependencies": {"@x/ui": "*"}}',
        },
        ("@x/web", "@x/ui"),
    ),
    "yarn": (
        {
            "package.json": '{"workspaces": {"packages": ["a", "examples/b"]}}',
            "a/package.json": '{"name": "a", "dependencies": {"b": "workspace:*"}}',
            "examples/b/package.json": '{"name": "b"}',
            "examples/c/package.json": '{"name": "c"}',
            "yarn.lock": "",
        },
        ("a", "b"),
    ),
    "pnpm": (
        {
            "package.json": '{"name": "top"}',
            "pnpm-workspace.yaml": "packages:\n  - apps/*\n",
            "apps/a/package.json": '{"name": "a", "dependencies": {"q": "link:../b"}}',
            "apps/b/package.json": '{"name": "b"}',
        },
        ("a", "b"),
    ),
    "lerna": (
        {
            "package.json": '{"name": "top"}',
            "lerna.json": '{"version": "1"}',
            "packages/a/package.json": '{"name": "a", "dependencies": {"b": "1"}}',
            "packages/b/package.json": '{"name": "b"}',
        },
        ("a", "b"),
    ),
    "cargo": (
        {
            "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n',
            "crates/a/Cargo.toml": '[package]\nname = "a"\n[dependencies]\nb = {path = "../b"}\n',
            "crates/b/Cargo.toml": '[package]\nname = "b"\n',
        },
        ("a", "b"),
    ),
    "go": (
        {
            "go.work": "go 1.22\n\nuse (\n\t./a\n\t./b // second\n)\n",
            "a/go.mod": "module example.com/a\nrequire example.com/b v0\n",
            "b/go.mod": "module example.com/b\n",
        },
        ("example.com/a", "example.com/b"),
    ),
    "go replace": (
        {
            "a/go.mod": "module example.com/a\nreplace example.com/q => ../b\n",
            "b/go.mod": "module example.com/b\n",
        },
        ("example.com/a", "example.com/b"),
    ),
    "uv": (
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/*"]\n',
            "libs/a/pyproject.toml": '[project]\nname = "a"\ndependencies = ["My_B"]\n'
            "[tool.uv.sources]\nmy-b = {workspace = true}\n",
            "libs/b/pyproject.toml": '[project]\nname = "my.b"\n',
        },
        ("a", "my.b"),
    ),
    "poetry": (
        {
            "a/pyproject.toml": '[tool.poetry]\nname = "a"\n'
            '[tool.poetry.group.dev.dependencies]\nb = {path = "../b", develop = true}\n',
            "b/pyproject.toml": '[tool.poetry]\nname = "b"\n',
        },
        ("a", "b"),
    ),
    "requirements": (
        {"a/requirements.txt": "-e ../b\nflask\n", "b/setup.py": "raise SystemExit\n"},
        ("a", "b"),
    ),
    "setup.cfg": (
        {
            "a/setup.cfg": "[metadata]\nname = a\n[options]\ninstall_requires =\n    b>1\n",
            "b/setup.cfg": "[metadata]\nname = b\n",
        },
        ("a", "b"),
    ),
    "maven": (
        {
            "pom.xml": "<project><artifactId>top</artifactId><modules><module>a</module>"
            "<module>b</module></modules></project>",
            "a/pom.xml": "<project><artifactId>a</artifactId><dependencies><dependency>"
            "<artifactId>b</artifactId></dependency></dependencies></project>",
            "b/pom.xml": "<project><artifactId>b</artifactId></project>",
        },
        ("a", "b"),
    ),
    "composer": (
        {
            "a/composer.json": '{"name":"x/a","repositories":[{"type":"path","url":"../b"}]}',
            "b/composer.json": '{"name":"x/b"}',
        },
        ("x/a", "x/b"),
    ),
    "bundler": (
        {"a/Gemfile": "gem 'b', path: '../b'\n", "b/Gemfile": "gem 'sinatra'\n"},
        ("a", "b"),
    ),
    "umbrella": (
        {
            "mix.exs": '[apps_path: "apps"]',
            "apps/a/mix.exs": "[app: :a]\n{:b, in_umbrella: true}\n",
            "apps/b/mix.exs": "[app: :b]",
        },
        ("a", "b"),
    ),
}


@pytest.mark.parametrize("name", WORKSPACES)
def test_a_workspace_has_its_parts_and_who_needs_whom(found: Found, name: str) -> None:
    said, link = WORKSPACES[name]
    project = found(said)
    assert project.kind is Kind.MONO
    assert len(project.components) == 2
    assert arrows(project) == {link}


def test_services_of_a_compose_file_are_the_parts_that_they_are_built_from(found: Found) -> None:
    project = found(
        {
            "deploy/compose.yaml": "services:\n"
            "  web: {build: ../front, depends_on: [api]}\n"
            "  api: {build: {context: ../back}, depends_on: {db: {condition: service_started}}}\n"
            "  db: {image: postgres}\n",
            "front/package.json": '{"name": "frontend"}',
            "back/pyproject.toml": '[project]\nname = "backend"\n',
        }
    )
    assert arrows(project) == {("frontend", "backend"), ("backend", "db")}
    assert {each.why for each in project.links} == {"deploy/compose.yaml"}


def test_two_parts_of_one_name_go_by_their_folders(found: Found) -> None:
    project = found({"a/package.json": '{"name": "x"}', "b/Cargo.toml": '[package]\nname = "x"\n'})
    assert [each.name for each in project.components] == ["a", "b"]


def test_several_repositories_below_a_folder(tmp_path: Path, clock: Any) -> None:
    tracked(put_all(tmp_path / "one", {"package.json": '{"name": "one"}', "a.ts": ""}))
    tracked(put_all(tmp_path / "group/two", {"b.sh": "", "README.md": "Second one\n"}))
    put(tmp_path, loose__c_py="")
    project = detect(str(tmp_path), clock)
    assert project.kind is Kind.MULTI
    assert paths(project) == {"group/two": "repository", "one": "npm"}
    assert [each.description for each in project.components] == ["Second one", ""]
    assert project.files == 4


def test_a_folder_without_git_is_looked_at_all_the_same(tmp_path: Path, clock: Any) -> None:
    put_all(tmp_path, {"src/a.py": "", "node_modules/b.js": "", "target/c.rs": ""})
    project = detect(str(tmp_path), clock)
    assert [each.name for each in project.languages] == ["Python"]
    assert any("no git repository" in each for each in project.notes)


def test_what_git_does_not_track_is_not_looked_at(tmp_path: Path, clock: Any) -> None:
    tracked(put_all(tmp_path, {"a.py": ""}))
    put_all(tmp_path, {"package.json": '{"name": "x"}'})
    assert detect(str(tmp_path), clock).components == ()


def test_what_others_wrote_is_not_of_the_project(found: Found) -> None:
    project = found({"a.py": "", "vendor/x/b.go": "", "vendor/x/go.mod": "module x\n"})
    assert [each.name for each in project.languages] == ["Python"]
    assert project.components == ()


DAMAGED = {
    "package.json": "{",
    "lerna.json": "[" * 100_000,
    "pyproject.toml": "[project\n",
    "setup.cfg": "no section\n",
    "pom.xml": "<html/>",
    "x.csproj": "<html/>",
    "pnpm-workspace.yaml": "a: [\n",
    "composer.json": "\ud7ff",
    "Cargo.toml": "a = \x00",
    "compose.yaml": "services: *x\n",
}


def test_each_damaged_file_is_a_note_and_hides_no_other(found: Found) -> None:
    project = found({**DAMAGED, "go.mod": "module fine\n"})
    for name in DAMAGED:
        assert any(each.startswith(name) for each in project.notes), name
    assert [each.name for each in project.components] == ["fine"]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("package.json", "[]", "it is no object"),
        ("package.json", '{"name": 5, "scripts": "x"}', "`name` is no text"),
        ("package.json", '{"name": 5, "scripts": "x"}', "`scripts` is no table"),
        ("composer.json", '{"name": "x/y", "require": 3}', "`require` is no table"),
        ("lerna.json", "3", "it is no object"),
        ("pyproject.toml", "project = 3\n", "`project` is no table"),
        ("Cargo.toml", "[package]\nname = 3\n", "`package.name` is no text"),
    ],
)
def test_a_value_of_another_shape_is_a_note_and_hides_nothing_else(
    found: Found, name: str, text: str, what: str
) -> None:
    project = found({f"odd/{name}": text, "go.mod": "module fine\n"})
    assert f"odd/{name} is damaged: {what}" in project.notes
    assert "fine" in {each.name for each in project.components}


def test_files_whose_names_cannot_be_shown_are_counted_in_a_note(
    tmp_path: Path, clock: Any
) -> None:
    put_all(tmp_path, {"two\nlines/package.json": "{}", "a.py": ""})
    folder = os.fsdecode(bytes(tmp_path) + b"/bad\xff")
    put_all(Path(folder), {"package.json": "{}"})
    project = detect(str(tracked(tmp_path)), clock)
    assert project.files == 1
    assert "2 files have names that cannot be shown, and were not looked at" in project.notes


SCRIPTS = {"test": "vitest", "lint": "eslint .", "build": "vite build"}
FRAMES = {
    "npm": (
        {
            "package.json": json.dumps({"workspaces": ["a"], "scripts": SCRIPTS}),
            "a/package.json": '{"name": "a"}',
        },
        {("lint", "npm run lint", "."), ("build", "npm run build", ".")},
    ),
    "nested": (
        {
            "js/package.json": json.dumps({"workspaces": ["a"], "scripts": SCRIPTS}),
            "js/a/package.json": '{"name": "a"}',
            "tests/data/package.json": json.dumps({"workspaces": ["a"], "scripts": SCRIPTS}),
        },
        {("lint", "npm run lint", "js"), ("build", "npm run build", "js")},
    ),
    "cargo": (
        {
            "Cargo.toml": '[workspace]\nmembers = ["a"]\n',
            "a/Cargo.toml": '[package]\nname = "a"\n',
        },
        {("lint", "cargo clippy", "."), ("build", "cargo build", ".")},
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_commands_of_a_whole_are_found_beside_those_of_its_parts(
    found: Found, name: str
) -> None:
    said, wanted = FRAMES[name]
    project = found(said)
    made = {(each.purpose, each.command, each.path) for each in project.commands}
    assert wanted <= made
    assert not any(each.path.startswith("tests") for each in project.commands)


@pytest.mark.parametrize(
    ("lock", "there", "tests"),
    [
        ("pnpm-lock.yaml", {"npm", "pnpm"}, "pnpm test"),
        ("yarn.lock", {"npm", "yarn"}, "yarn test"),
        ("bun.lock", {"npm", "bun"}, "bun run test"),
        ("pnpm-lock.yaml", {"npm"}, "npm test"),
        ("package-lock.json", {"npm"}, "npm test"),
    ],
)
def test_tests_are_run_by_the_program_that_locked_what_they_need(
    found: Found, monkeypatch: pytest.MonkeyPatch, lock: str, there: set[str], tests: str
) -> None:
    monkeypatch.setattr(found_checks, "is_there", there.__contains__)
    said = {"package.json": json.dumps({"name": "a", "scripts": SCRIPTS}), lock: ""}
    assert runs(found(said), "test") == [tests]


def test_a_part_is_no_dependency_of_the_whole_however_its_name_is_written(found: Found) -> None:
    text = '[project]\nname = "{}"\ndependencies = [{}]\n'
    poetry = '[tool.poetry]\nname = "c"\n[tool.poetry.dependencies]\nlib_b = "1"\n'
    said = {
        "packages/liba/pyproject.toml": text.format("liba", '"lib-b", "flask"'),
        "packages/libb/pyproject.toml": text.format("Lib.B", ""),
        "packages/libc/pyproject.toml": poetry,
    }
    project = found(said)
    assert project.dependencies == ("flask",)
    assert arrows(project) == {("liba", "Lib.B"), ("c", "Lib.B")}


KEYS = ["name", "description", "dependencies", "workspaces", "scripts", "packages", "require"]
VALUES = st.recursive(
    st.sampled_from([None, 1, "x", True, "file:../x", "workspace:*"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=VALUES)
@settings(max_examples=300)
def test_no_shape_of_a_json_manifest_is_too_odd(value: Any) -> None:
    for read in (
        manifests_data.package_json,
        manifests_data.lerna_json,
        manifests_data.composer_json,
    ):
        made = read(json.dumps(value))
        assert all(isinstance(each, str) for each in (made.name, *made.needs, *made.members))


TEXT_READERS = [
    manifests_text.go_mod,
    manifests_text.go_work,
    manifests_text.requirements,
    manifests_text.setup_cfg,
    manifests_text.gemfile,
    manifests_text.mix_exs,
    manifests_text.gradle,
    manifests_text.gradle_settings,
    manifests_text.pom_xml,
    manifests_text.csproj,
]
PIECES = st.sampled_from(
    [
        *("<project>", "<parent>", "</parent>", "<dependency>", "<!--", "-->", "require", "(", ")"),
        *("use", "\n", "gem", "'a'", "{:a,", "}", "include", "':a'", "project(", "[options]", "="),
        *("#", "//", "-e", "../x", "module"),
    ]
)


@given(text=st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=20).map(" ".join)))
@settings(max_examples=300)
def test_no_text_of_a_manifest_is_too_odd(text: str) -> None:
    for read in TEXT_READERS:
        try:
            read(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    "piece",
    [
        *("<parent>", "<dependency>", "<!--", "\n", " ", "a", "require (\n", "{:a,", "use\n", '"'),
        *("gem '", "project(", "[a", "-e ", "<ProjectReference ", "description ", "app: "),
        "include ,\n",
    ],
)
@pytest.mark.timeout(60)
def test_a_hostile_manifest_of_full_size_is_read_in_time(piece: str) -> None:
    text = "<project" + piece * (files.MOST_BYTES // len(piece))
    for read in TEXT_READERS:
        try:
            read(text)
        except ValueError:
            continue


def test_links_are_not_followed(tmp_path: Path, clock: Any) -> None:
    outside = put_all(tmp_path / "outside", {"package.json": '{"name": "secret"}', "a.py": ""})
    inside = put_all(tmp_path / "inside", {"b/package.json": '{"name": "b"}'})
    (inside / "package.json").symlink_to(outside / "package.json")
    (inside / "linked").symlink_to(outside)
    assert "secret" not in str(detect(str(inside), clock).as_json())
    tracked(inside)
    (inside / "b/package.json").unlink()
    (inside / "b").rmdir()
    (inside / "b").symlink_to(outside)
    assert "secret" not in str(detect(str(inside), clock).as_json())


def test_nothing_of_the_project_is_run(found: Found, tmp_path: Path) -> None:
    mark = tmp_path.parent / "ran"
    code = f"open({str(mark)!r}, 'w')\n"
    found(
        {
            "setup.py": code,
            "conftest.py": code,
            "sitecustomize.py": code,
            "pytest.py": code,
            "tests/test_a.py": code,
            "Makefile": f"$(shell touch {mark})\ntest:\n\ttouch {mark}\n",
            "package.json": json.dumps({"name": "x", "scripts": {"test": f"touch {mark}"}}),
        }
    )
    assert not mark.exists()


@pytest.mark.timeout(30)
def test_a_pipe_and_a_huge_file_hold_nothing_up(tmp_path: Path, clock: Any) -> None:
    put_all(tmp_path, {"package.json": '{"name": "' + "x" * files.MOST_BYTES + '"}', "a.py": ""})
    os.mkfifo(tmp_path / "Cargo.toml")
    tracked(put_all(tmp_path, {"pyproject.toml": ""}))
    (tmp_path / "pyproject.toml").unlink()
    os.mkfifo(tmp_path / "pyproject.toml")
    project = detect(str(tmp_path), clock)
    assert any("package.json is larger" in each for each in project.notes)
    assert [each.name for each in project.languages] == ["Python"]


def test_ten_thousand_files_are_counted_and_few_of_them_read(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked(tmp_path)
    index = "".join(
        f"100644 {'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'} 0\tp{n}/package.json\n"
        for n in range(10_000)
    )
    words = ["update-index", "--index-info"]
    subprocess.run([*GIT, *words], cwd=tmp_path, input=index.encode(), check=True)
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1/package.json").write_text('{"name": "first"}')
    monkeypatch.setattr(files, "MOST_FILES", 9_000)
    project = detect(str(tmp_path), clock)
    assert project.files == 9_000
    assert any("more than 9000 files" in each for each in project.notes)
    assert len(project.as_text()) <= MOST_TEXT


def test_at_most_so_many_manifests_are_read(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_READ", 3)
    project = found({f"p{n}/package.json": f'{{"name": "p{n}"}}' for n in range(9)})
    assert len(project.components) == 3
    assert any("not every manifest was read" in each for each in project.notes)


def test_when_the_time_is_up_what_is_known_is_said(tmp_path: Path, clock: Any) -> None:
    tracked(put_all(tmp_path, {"package.json": '{"name": "x"}', "a.ts": ""}))

    class Running:
        """A clock on which more than half of the time goes by at each look."""

        def __init__(self) -> None:
            self.now = 0.0

        def wall_ns(self) -> int:
            return 0

        def monotonic(self) -> float:
            self.now += files.SECONDS / 2 + 1
            return self.now

    project = detect(str(tmp_path), Running())
    assert any("not every manifest was read" in each for each in project.notes)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(InputError, match="no such folder"):
        detect(str(tmp_path / "none"), clock)


def test_the_text_for_the_planner_is_bounded_and_plain(found: Found) -> None:
    text = found({**NPM, "README.md": "x"}).as_text()
    assert text.startswith("Repository: single, 5 files, 1 component\nLanguages: TypeScript (2)")
    assert "- shop in . (npm): A shop" in text
    assert "- lint: npm run lint" in text
    large = Project(
        "/p",
        components=tuple(Component(f"n{n}", "p", "npm", "\x1b[31mx\n" * 300) for n in range(999)),
    ).as_text()
    assert len(large) <= MOST_TEXT
    assert "\x1b" not in large
    assert large.endswith("... and more")


def test_the_json_is_what_was_found(found: Found) -> None:
    said = json.loads(json.dumps(found(NPM).as_json()))
    assert said["kind"] == "single"
    assert said["components"][0]["name"] == "shop"
    assert {"purpose": "lint", "command": "npm run lint", "path": "."} in said["commands"]
