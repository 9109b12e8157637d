"""Merges one validated commit into the run's integration branch, and tests what comes out.

The merge is made in a clean tree at the branch's head; the branch is moved last, in one step, and
only from where it stood. So a kill at any moment leaves it before the merge or behind it, and who
asks again gets the same content. Nothing else is moved: no other branch, no checkout, no index.

It always is a merge commit, also where the branch could have been moved forward, because its
message says which node and attempt it came from. A person who has the branch checked out would
suddenly see changes that are not theirs: that is refused. Work in whose history a scan finds
something is merged as one commit without that history (guardian/packing.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from attractor.errors import ToolError
from attractor.git import MOST_BYTES, Git, repository
from attractor.run.branch import node_branch
from attractor.run.layout import RunLayout, escape
from guardian import packing, trees
from guardian.checking import CHECK_SECONDS, known, missed, run_checks
from guardian.packing import Packed
from signals.clock import Clock

_OF_A_MERGE: Final = 2
_MOST_NAMED: Final = 20
_MOST_TAIL: Final = 3_000
_IDENTITY: Final = (
    *("-c", "user.name=Attractor", "-c", "user.email=attractor@localhost"),
    *("-c", "author.name=Attractor", "-c", "author.email=attractor@localhost"),
)
_PLAIN: Final = (
    *("-c", "commit.gpgSign=false", "-c", "rerere.enabled=false", "-c", "merge.autoStash=false"),
    *("-c", "merge.conflictStyle=merge", "-c", "merge.verifySignatures=false"),
)
_MERGE: Final = (
    *("merge", "--no-ff", "--no-edit", "--no-log", "--no-stat", "--no-signoff"),
    *("--no-squash", "--commit", "--no-overwrite-ignore", "--cleanup=whitespace"),
)


def run(spec: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Merge, and answer {status: merged | conflict | red | error, commit, feedback}."""
    folder = os.path.join(RunLayout(spec["request"]["run_root"]).trees, _name(spec))
    trees.remove(folder, clock)  # of one that was killed when all but this was done
    project = repository(spec["request"]["project"])
    start, wrong = _start(project, spec)
    commit = project.commit(spec["commit"])
    if not wrong and not commit:
        wrong = f"there is no commit {spec['commit']!r:.60} to merge"
    if wrong:
        return _error(wrong, start)
    if project.holds(start, commit):
        return _moved(project, spec, start, start)
    given = packing.packed(project, project.work_tree, start, commit)
    if given.why and project.holds(start, given.commit):
        return _moved(project, spec, start, start) | _told(spec, given)
    with trees.opened(project.work_tree, folder, start, clock) as tree:
        made, answer = _merged(tree.git, spec, start, given.commit)
        if made:
            answer = _tested(spec, tree.path, start, made, clock)
        # Whatever the checks have done there, it is this commit that was tested.
        return answer or _moved(project, spec, start, made) | _told(spec, given)


def _told(spec: Mapping[str, Any], given: Packed) -> dict[str, Any]:
    """Return what a person has to know of work that was merged without its history."""
    if not given.why:
        return {}
    branch = node_branch(spec["request"]["run_id"], spec["node"])
    return {
        "note": f"{spec['node']}: its history holds {given.why}, so its last state was merged as"
        f" one commit; the branch {branch} still has that history: do not push it"
    }


def _name(spec: Mapping[str, Any]) -> str:
    return f"merge-{escape(spec['node'])}-{int(spec['attempt'])}"


def _start(project: Git, spec: Mapping[str, Any]) -> tuple[str, str]:
    """Return the commit to merge into, and why that cannot be."""
    branch, head = spec["branch"], project.commit(spec.get("head", ""))
    if place := _checked_out(project, branch):
        fix = f"check out another branch there (git -C {place} switch NAME)"
        return head, f"the integration branch {branch} is checked out at {place}: {fix}"
    now, base = project.branch(branch), project.commit(spec["base_commit"])
    if not now:
        if head in ("", base):
            gone = "" if base else f"there is no commit {spec['base_commit']!r:.60} to start from"
            return base, gone
        return head, (
            f"somebody removed the integration branch {branch}: git branch {branch} {head}"
        )
    if head in ("", now) or _is_ours(project, spec, head, now):
        return now, ""
    return now, (
        f"somebody else moved the integration branch {branch} to {now:.12}; it stood at"
        f" {head:.12}. When that is no longer needed: git branch -f {branch} {head:.12}"
    )


def _is_ours(project: Git, spec: Mapping[str, Any], head: str, now: str) -> bool:
    """Say whether only merges of ours moved it, by tasks that were killed before they answered.

    Such a merge was tested; its node may have been ended for another reason.
    """
    known = {project.commit(spec["commit"]), *spec.get("handed_in", ())} - {""}
    at = head or project.commit(spec["base_commit"])
    words = ("rev-list", "--first-parent", "--parents", "--reverse", now, f"^{at}", "--")
    for line in project.text(*words).splitlines():
        made, *parents = line.split()
        if len(parents) != _OF_A_MERGE or parents[0] != at:
            return False
        whole = (packing.pack(project, at, each) for each in known)
        if parents[1] not in known and parents[1] not in whole:
            return False
        at = made
    return at == now


def _checked_out(project: Git, branch: str) -> str:
    return project.text("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}")


def _merged(
    git: Git, spec: Mapping[str, Any], start: str, commit: str
) -> tuple[str, dict[str, Any] | None]:
    """Return the merge commit, or why there is none."""
    words = (*_IDENTITY, *_PLAIN, *_MERGE, "-m", _message(spec), commit)
    ended = git.answer(*words)
    if ended.status == 0:
        return git.commit("HEAD"), None
    files = _conflicts(git)
    if files:
        return "", _conflict(spec, start, files)
    how = "did not end in time" if ended.status is None else f"status {ended.status}"
    said = ended.stderr or ended.stdout.decode("utf-8", "replace").strip()
    return "", _error(f"git merge of {commit:.12} into {start:.12} failed ({how}): {said}", start)


def _message(spec: Mapping[str, Any]) -> str:
    node, attempt = spec["node"], spec["attempt"]
    subject = f"Merge {node}, attempt {attempt}, of run {spec['request']['run_id']}"
    return "\n\n".join(
        each for each in (subject, spec.get("label", ""), spec.get("message", "")) if each
    )


def _conflicts(git: Git) -> list[str]:
    said = git.answer("ls-files", "--unmerged", "-z")
    names = {line.partition(b"\t")[2] for line in said.stdout[:MOST_BYTES].split(b"\0") if line}
    return sorted(os.fsdecode(each).encode("utf-8", "replace").decode() for each in names)


def _conflict(spec: Mapping[str, Any], start: str, files: list[str]) -> dict[str, Any]:
    shown = "\n".join(f"- {each!r}"[:300] for each in files[:_MOST_NAMED])
    if len(files) > _MOST_NAMED:
        shown += f"\n- and {len(files) - _MOST_NAMED} more"
    feedback = (
        "Your work was accepted, but it does not merge with what other nodes have done meanwhile."
        f" These files conflict:\n{shown}\n"
        f"Merge the integrated work into your branch: git merge {start}\n"
        f"(That is where {spec['branch']} stands; you may not see a branch of that name.) Resolve"
        " each file so that both sides' intentions hold, run the checks, and commit the merge."
    )
    return {"status": "conflict", "commit": start, "feedback": feedback, "files": files}


def _tested(
    spec: Mapping[str, Any], tree: str, start: str, made: str, clock: Clock
) -> dict[str, Any] | None:
    """Return what the checks say against the merge; nothing when they are green."""
    seconds = float(spec.get("timeout") or CHECK_SECONDS)
    # Compared with what is integrated, wherever the task believes that this stands.
    found = known({**spec, "base": start}, tree, made)
    if found.gone:
        feedback = (
            "Your work was accepted, but merged with what other nodes have done meanwhile "
            f"{missed(found)}.\nMerge the integrated work into your branch (git merge {start}),"
            " bring the tests back, and commit."
        )
        return {"status": "red", "commit": start, "feedback": feedback}
    said = run_checks(spec, tree, found.checks, seconds, clock)
    if said["status"] == "green":
        return None
    if said["status"] == "error":
        problem = f"the checks of the merge could not be run: {said['tail']}"
        return _error(problem, start) | {"checks": said}
    feedback = (
        "Your work was accepted, but merged with what other nodes have done meanwhile its checks"
        f" are red.\nThe command: {said['command']}\nThe end of what it said:\n"
        f"{said['tail'][-_MOST_TAIL:]}\n"
        f"Merge the integrated work into your branch (git merge {start}), mend what is broken"
        " until the checks are green, and commit."
    )
    return {"status": "red", "commit": start, "feedback": feedback, "checks": said}


def _moved(project: Git, spec: Mapping[str, Any], start: str, made: str) -> dict[str, Any]:
    """Move the branch from where it stood to the merge."""
    branch = spec["branch"]
    now = project.branch(branch)
    if now != made:
        if place := _checked_out(project, branch):
            return _error(f"the integration branch {branch} is checked out at {place}", start)
        old = start if now else "0" * len(made)
        words = ("update-ref", "-m", f"attractor: merge {spec['node']}", f"refs/heads/{branch}")
        try:
            project.ask(*words, made, old)
        except ToolError as error:
            stands = project.branch(branch)
            if stands == start:
                raise
            who = f"to {stands:.12}" if stands else "away"
            return _error(
                f"somebody else moved the integration branch {branch} {who} while {spec['node']}"
                f" was being merged: {error.problem}",
                stands,
            )
    return {"status": "merged", "commit": made, "feedback": ""}


def _error(problem: str, commit: str) -> dict[str, Any]:
    return {"status": "error", "error": problem, "commit": commit, "feedback": problem}
