"""Settings come from seven places in one order, and every value knows its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attractor.errors import InputError
from attractor.run.config import (
    PROJECT_FILE,
    SETTINGS,
    Config,
    Settings,
    Source,
    find_project,
    load,
    project_file,
    resolve,
    shown,
    user_file,
    variable,
)
from attractor.run.limits import Limits

NAMES = {
    Source.COMMAND_LINE: "--set stuck_after",
    Source.ENVIRONMENT: "$ATTRACTOR_STUCK_AFTER",
    Source.NODE: "the attribute stuck_after",
    Source.GRAPH: "the attribute stuck_after",
    Source.PROJECT: f"{PROJECT_FILE}:1:1",
    Source.USER: "config.yaml:1:1",
}
ORDER = [*NAMES]


@pytest.fixture
def given(tmp_path: Path) -> Callable[..., Settings]:
    """Resolve with what each place gives; texts are the content of the two files."""

    def call(
        words: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        node: dict[str, str] | None = None,
        graph: dict[str, str] | None = None,
        project: str = "",
        user: str = "",
    ) -> Settings:
        return resolve(node or {}, graph or {}, loaded(tmp_path, words, env, project, user))

    return call


def loaded(
    tmp_path: Path,
    words: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    project: str = "",
    user: str = "",
) -> Config:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")} | (env or {})
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / PROJECT_FILE).write_text(project)
    path = Path(user_file(environ))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(user)
    return load(str(folder), environ, words)


def arguments(source: Source, seconds: int) -> dict[str, Any]:
    return {
        Source.COMMAND_LINE: {"words": (f"stuck_after={seconds}",)},
        Source.ENVIRONMENT: {"env": {"ATTRACTOR_STUCK_AFTER": str(seconds)}},
        Source.NODE: {"node": {"stuck_after": str(seconds)}},
        Source.GRAPH: {"graph": {"stuck_after": str(seconds)}},
        Source.PROJECT: {"project": f"stuck_after: {seconds}"},
        Source.USER: {"user": f"stuck_after: {seconds}"},
    }[source]


def test_without_anything_all_is_default(given: Callable[..., Settings]) -> None:
    settings = given()
    assert settings.limits == Limits()
    assert set(settings.sources.values()) == {Source.DEFAULT}
    assert settings.word("agent") == "claude"
    assert settings.words("checks") == ()


@pytest.mark.parametrize("strongest", range(len(ORDER)))
def test_the_stronger_place_counts_and_is_named(
    strongest: int, given: Callable[..., Settings]
) -> None:
    said: dict[str, Any] = {}
    for number, source in enumerate(ORDER[strongest:], strongest):
        said |= arguments(source, 100 + number)
    settings = given(**said)
    value = settings.values["stuck_after"]
    assert (value.value, value.source) == (100 + strongest, ORDER[strongest])
    assert value.where.endswith(NAMES[ORDER[strongest]])
    assert settings.limits.stuck_after == 100 + strongest


@pytest.mark.parametrize("source", ORDER)
def test_a_bad_value_is_refused_with_its_place_even_if_another_counts(
    source: Source, given: Callable[..., Settings]
) -> None:
    said = arguments(source, -5)
    if source is not Source.COMMAND_LINE:
        said |= {"words": ("stuck_after=1m",)}
    with pytest.raises(InputError, match="stuck_after cannot be '-5'") as caught:
        given(**said)
    assert caught.value.where.endswith(NAMES[source])
    assert caught.value.fix


def test_values_are_read_as_they_are_written(given: Callable[..., Settings]) -> None:
    settings = given(
        project="sandbox: off\nmax_attempts: 010\nstuck_after: 15m\nmodel: 1.5\n"
        "agent: 'command'\nclaude:\nskills: [a, b.c]\nchecks:\n- pytest -q\n- 'ruff check: .'\n"
    )
    assert settings.word("sandbox") == "off"
    assert settings.word("model") == "1.5"
    assert settings.word("agent") == "command"
    assert settings.word("claude") == ""
    assert settings.words("skills") == ("a", "b.c")
    assert settings.words("checks") == ("pytest -q", "ruff check: .")
    assert (settings.limits.max_attempts, settings.limits.stuck_after) == (10, 900)


def test_lists_are_read_from_text_too(given: Callable[..., Settings]) -> None:
    settings = given(node={"checks": "pytest -q; true\n\n ruff check .\n", "skills": "a, b c"})
    assert settings.words("checks") == ("pytest -q; true", "ruff check .")
    assert settings.words("skills") == ("a", "b", "c")


def test_the_specifications_name_of_the_model_is_known(given: Callable[..., Settings]) -> None:
    assert given(node={"llm_model": "opus"}).word("model") == "opus"
    assert given(node={"llm_model": "opus", "model": "sonnet"}).word("model") == "sonnet"
    assert given(node={"llm_model": "opus"}, graph={"model": "x"}).word("model") == "opus"


@pytest.mark.parametrize("word", ["claude=/opt/claude", "claude=claude-next", "model=a/b c"])
def test_a_program_is_a_path_or_a_name_and_a_model_is_any_word(
    word: str, given: Callable[..., Settings]
) -> None:
    name, _, text = word.partition("=")
    assert given(words=(word,)).word(name) == text


def test_other_attributes_and_variables_are_left_alone(given: Callable[..., Settings]) -> None:
    settings = given(
        node={"label": "x", "timeout": "soon"}, env={"ATTRACTOR_RUN": "x", "ATTRACTOR_MODEL": ""}
    )
    assert set(settings.sources.values()) == {Source.DEFAULT}


BAD_FILES = {
    "stuck_afterwards: 3": ("there is no setting 'stuck_afterwards'", ":1:1"),
    "model: x\nstuck_after: soon": ("stuck_after cannot be 'soon'", ":2:1"),
    "model: x\nmodel: y": ("'model' stands twice", ":2:1"),
    "agent: robot": ("agent cannot be 'robot'", ":1:1"),
    "sandbox: maybe": ("sandbox cannot be 'maybe'", ":1:1"),
    "model: {a: b}": ("neither a word nor a list", ":1:1"),
    "checks: [[a]]": ("neither a word nor a list", ":1:1"),
    "model: [a, b]": ("model is one value", ":1:1"),
    "skills: ../../etc": ("skills cannot have '../../etc'", ":1:1"),
    'checks: ["a\\0b"]': ("checks cannot have", ":1:1"),
    'model: "a\\nb"': ("control character", ":1:1"),
    "claude: bin/claude": ("claude cannot be 'bin/claude'", ":1:1"),
    "[a]: b": ("a name is one word", ":1:1"),
    "- model": ("not a list of settings", PROJECT_FILE),
    "model: 'x": ("this is not YAML", ":1:10"),
    "model: \x00": ("this is not YAML", PROJECT_FILE),
    "cooldown_min: 5h": ("cooldown_min (5h) is longer than cooldown_max", ":1:1"),
    "a: " + "[" * 100_000: ("nested too deeply", PROJECT_FILE),
}


@pytest.mark.parametrize("text", BAD_FILES, ids=lambda text: text[:30])
def test_a_bad_file_is_refused_with_the_place(text: str, given: Callable[..., Settings]) -> None:
    problem, where = BAD_FILES[text]
    with pytest.raises(InputError, match=re.escape(problem)) as caught:
        given(project=text)
    assert caught.value.where.endswith(where)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeffmodel: x\n"])
def test_a_file_may_say_little(text: str, given: Callable[..., Settings]) -> None:
    assert given(project=text).word("model") in ("", "x")


def test_a_typing_error_gets_a_hint(given: Callable[..., Settings]) -> None:
    with pytest.raises(InputError) as caught:
        given(words=("stuck_afer=3",))
    assert caught.value.fix == "did you mean stuck_after?"


def test_a_word_without_a_value_is_refused(given: Callable[..., Settings]) -> None:
    with pytest.raises(InputError, match="is not NAME=VALUE"):
        given(words=("stuck_after",))


def test_a_value_may_hold_an_equals_sign(given: Callable[..., Settings]) -> None:
    assert given(words=("checks=A=1 make",)).words("checks") == ("A=1 make",)


def test_no_file_is_no_error(tmp_path: Path) -> None:
    config = load(str(tmp_path), {"HOME": str(tmp_path)})
    assert resolve({}, {}, config).limits == Limits()
    assert resolve({}, {}, load(None, {"HOME": str(tmp_path)})).limits == Limits()


def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(project_file(str(tmp_path)))
    with pytest.raises(InputError, match="not a plain file"):
        load(str(tmp_path), {"HOME": str(tmp_path)})


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).mkdir()
    with pytest.raises(InputError, match=r"cannot be read|not a plain file"):
        load(str(tmp_path), {"HOME": str(tmp_path)})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_bytes(b"model: \xff")
    with pytest.raises(InputError, match="byte 8 is not UTF-8"):
        load(str(tmp_path), {"HOME": str(tmp_path)})


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        load(str(tmp_path), {"HOME": str(tmp_path)})


def test_the_users_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.yaml").write_text("model: x")
    path = Path(user_file({"HOME": str(tmp_path)}))
    assert path == tmp_path / ".config" / "attractor" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "dotfiles.yaml")
    assert resolve({}, {}, load(None, {"HOME": str(tmp_path)})).word("model") == "x"


def test_a_relative_configuration_folder_is_ignored(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "here"}
    assert user_file(environ).startswith(str(tmp_path))


def test_a_project_is_the_checkout_around(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert find_project(str(inside)) is None
    (tmp_path / ".git").mkdir()
    assert find_project(str(inside)) == find_project(str(tmp_path)) == str(tmp_path)


def test_a_nodes_worktree_is_not_a_project(tmp_path: Path) -> None:
    worktree = tmp_path / ".claude" / "worktrees" / "n" / "src"
    worktree.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (worktree / ".git").write_text("gitdir: x")
    assert find_project(str(worktree)) == str(tmp_path)
    assert find_project(str(worktree.parent.parent)) == str(tmp_path)


def test_what_is_shown_can_be_given_again(given: Callable[..., Settings]) -> None:
    settings = given(node={"checks": "a\nb", "skills": "x y"})
    words = tuple(f"{name}={shown(name, settings.values[name].value)}" for name in SETTINGS)
    again = given(words=words)
    assert {name: value.value for name, value in again.values.items()} == {
        name: value.value for name, value in settings.values.items()
    }


def test_the_page_has_every_setting_as_it_is(root: Path) -> None:
    page = (root / "docs" / "reference" / "config.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", page, re.MULTILINE)
    wanted = [
        (name, f"`{text}`" if (text := shown(name, each.default)) else "", each.about)
        for name, each in SETTINGS.items()
    ]
    assert rows == wanted
    for each in SETTINGS.values():
        assert all(f"`{choice}`" in page for choice in each.choices)
    assert variable("stuck_after") in page
