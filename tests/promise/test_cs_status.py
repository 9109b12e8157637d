"""cs-status: everything is shown, what was given up on as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def test_the_status_has_the_originals_shape(
    project: Any, cs: Callable[..., Any], make: Callable[..., str], meet: Callable[..., Any]
) -> None:
    mine, theirs, kept = make(), make(session="s-2"), make("one")
    meet(kept, "AC-1")
    cs("verify", "--promise", kept, "--skip-validation-check")
    said = cs("status", "--json").json()
    assert said["session_id"] == "s-1"
    assert said["promises"] == [project.promise(mine), project.promise(theirs)]
    assert said["history"] == [project.promise(kept, "history")]
    only = cs("status", "--mine", "--json").json()
    assert [each["id"] for each in only["promises"]] == [mine]
    assert cs("status", "--json", session=None).json()["session_id"] is None
    assert cs("status", "--mine", session=None).status == 1
    words = cs("status").out
    assert all(each in words for each in (mine, theirs, "[0/2 AC met]", "History: 1 closed"))
    assert kept in cs("status", "--history").out
    assert kept not in words


def test_an_escalation_is_shown_in_every_form(project: Any, cs: Callable[..., Any]) -> None:
    folder = project.state / "escalations"
    folder.mkdir(parents=True)
    promises = [{"id": "promise-1", "title": "t"}]
    record = {"session": "s-9", "at": "now", "blocks": 20, "promises": promises, "reason": "tired"}
    (folder / "s-9.json").write_text(json.dumps(record))
    (folder / "s-8.json").write_text("{\n]")
    for flag in ((), ("--mine",), ("--orphans",), ("--history",)):
        said = cs("status", *flag)
        assert "s-9 at now, after 20 blocks: tired" in said.out
        assert "promises: promise-1" in said.out
        assert f"{folder}/s-8.json:2:" in said.err
        assert cs("status", *flag, "--json").json()["escalations"] == [record]


def test_orphans_alone_are_shown(
    project: Any, cs: Callable[..., Any], make: Callable[..., str]
) -> None:
    name, _ = make(), make()
    cs("promise", "--release", name)
    said = cs("status", "--orphans", "--json").json()
    assert said["promises"] == [project.promise(name)]
    assert (said["orphans"], said["history"]) == ([name], [])
    assert f"cs-promise --adopt {name}" in cs("status", "--orphans").out
