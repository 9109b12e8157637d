"""The `beads-mcp` client from PyPI drives ours: every call it makes, every shape it parses."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("beads_mcp") is None:
    pytest.skip("beads-mcp is not installed (`pip install beads-mcp`)", allow_module_level=True)

with warnings.catch_warnings():
    # What its dependencies do at import is not ours to mend.
    warnings.simplefilter("ignore")
    from beads_mcp import bd_client
    from beads_mcp.models import (
        AddCommentParams,
        AddDependencyParams,
        AddNoteParams,
        BlockedParams,
        ClaimIssueParams,
        CloseIssueParams,
        CreateIssueParams,
        InitParams,
        ListCommentsParams,
        ListIssuesParams,
        ReadyWorkParams,
        ReopenIssueParams,
        ShowIssueParams,
        UpdateIssueParams,
    )


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Two clients of one project, each with an actor of its own."""
    program = tmp_path / "bd"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m attractor bd "$@"\n')
    program.chmod(0o755)
    for name in ("BEADS_DIR", "BEADS_DB", "BEADS_WORKING_DIR", "BD_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    # The client looks for a bd of its own even when it is given one.
    monkeypatch.setenv("BEADS_PATH", str(program))
    project = tmp_path / "project"
    project.mkdir()

    def client(actor: str) -> Any:
        return bd_client.BdCliClient(
            bd_path=str(program),
            actor=actor,
            no_auto_flush=True,
            no_auto_import=True,
            working_dir=str(project),
        )

    return client("joe"), client("sue")


def test_the_client_drives_ours_through_its_whole_surface(clients: tuple[Any, Any]) -> None:
    asyncio.run(drive(*clients))


async def drive(joe: Any, sue: Any) -> None:
    await joe._check_version()
    assert "at" in await joe.init(InitParams(prefix="at"))
    epic = await joe.create(CreateIssueParams(title="Epic", issue_type="epic", priority=0))
    task = await joe.create(
        CreateIssueParams(
            title="looks like -x a flag?",
            description="<b> & \N{SNOWMAN}",
            design="d",
            acceptance="a",
            external_ref="gh-9",
            assignee="sue",
            labels=["one", "two"],
            id="at-mine",
            deps=[f"discovered-from:{epic.id}"],
        )
    )
    assert (task.id, task.labels, task.acceptance_criteria) == ("at-mine", ["one", "two"], "a")
    await reads(joe, epic.id)
    await writes(joe, sue, epic.id)
    await the_rest(joe, epic.id)


async def reads(joe: Any, epic: str) -> None:
    found = await joe.ready(ReadyWorkParams(limit=1, sort_policy="priority"))
    assert [issue.id for issue in found] == [epic]
    found = await joe.ready(
        ReadyWorkParams(
            labels=["one"], labels_any=["two", "x"], issue_type="task", priority=2, assignee="sue"
        )
    )
    assert [issue.id for issue in found] == ["at-mine"]
    assert await joe.ready(ReadyWorkParams(unassigned=True, parent_id=epic)) == []
    found = await joe.list_issues(ListIssuesParams(query="LOOKS", status="open", labels=["two"]))
    assert [issue.id for issue in found] == ["at-mine"]
    found = await joe.list_issues(ListIssuesParams(unassigned=True))
    assert [issue.id for issue in found] == [epic]
    shown = await joe.show(ShowIssueParams(issue_id="mine"))
    assert [(each.id, each.dependency_type) for each in shown.dependencies] == [
        (epic, "discovered-from")
    ]
    shown = await joe.show(ShowIssueParams(issue_id=epic))
    assert [each.id for each in shown.dependents] == ["at-mine"]
    with pytest.raises(bd_client.BdCommandError, match="issue not found: at-nime"):
        await joe.show(ShowIssueParams(issue_id="at-nime"))


async def writes(joe: Any, sue: Any, epic: str) -> None:
    third = await joe.create(CreateIssueParams(title="third"))
    await joe.add_dependency(AddDependencyParams(issue_id=third.id, depends_on_id=epic))
    with pytest.raises(bd_client.BdCommandError, match=f"{epic} -> {third.id} -> {epic}"):
        await joe.add_dependency(AddDependencyParams(issue_id=epic, depends_on_id=third.id))
    (held,) = await joe.blocked(BlockedParams())
    assert (held.id, held.blocked_by_count, held.blocked_by) == (third.id, 1, [epic])
    assert await joe.blocked(BlockedParams(parent_id=epic)) == []
    claimed = await joe.claim(ClaimIssueParams(issue_id=epic))
    assert (claimed.assignee, claimed.status) == ("joe", "in_progress")
    with pytest.raises(bd_client.BdCommandError, match="already claimed by joe"):
        await sue.claim(ClaimIssueParams(issue_id=epic))
    changed = await sue.update(
        UpdateIssueParams(
            issue_id=epic,
            status="impl_complete",
            priority=1,
            title="Epic 2",
            notes="n",
            acceptance_criteria="ac",
        )
    )
    assert (changed.status, changed.priority, changed.title) == ("impl_complete", 1, "Epic 2")
    with pytest.raises(bd_client.BdCommandError, match="invalid status: strange"):
        await sue.update(UpdateIssueParams(issue_id=epic, status="strange"))
    (closed,) = await joe.close(CloseIssueParams(issue_id=epic, reason="done"))
    assert closed.closed_at is not None
    assert await joe.blocked() == []
    (opened,) = await joe.reopen(ReopenIssueParams(issue_ids=[epic], reason="not yet"))
    assert (opened.status, opened.closed_at) == ("open", None)


async def the_rest(joe: Any, epic: str) -> None:
    await joe.add_comment(AddCommentParams(issue_id=epic, text="hello"))
    found = await joe.list_comments(ListCommentsParams(issue_id=epic))
    assert [(each.author, each.text) for each in found] == [("joe", "not yet"), ("joe", "hello")]
    await joe.add_note(AddNoteParams(issue_id=epic, text="more"))
    assert (await joe.show(ShowIssueParams(issue_id=epic))).notes == "n\nmore"
    summary = (await joe.stats()).summary
    assert (summary.total_issues, summary.open_issues, summary.ready_issues) == (3, 3, 2)
    assert "attractor bd ready" in await joe.quickstart()
    assert (await joe.inspect_migration())["registered_migrations"] == []
    assert (await joe.get_schema_info())["schema"]["detected_prefix"] == "at"
    assert (await joe.repair_deps(fix=True))["orphans_found"] == 0
    assert (await joe.detect_pollution())["count"] == 0
    assert (await joe.validate(fix_all=True))["overall_ok"] is True
