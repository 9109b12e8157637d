"""The script that is made from a graph when nobody wrote one: every node's work goes well.

Pure. For each node with work to do, the orchestrator spawns one worker of the node's type, which
writes the node's files and commits them, and then says that the node is complete. A file that is
there already is kept, with one harmless line added, so that doing it again changes something
again. Paths that lead out of the folder of work are left out. The judge finds everything right, and
quotes that line, which stands in the file whether it was new or not. Every review passes, looking
back adds nothing, and a node that is to be told anew keeps its files.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Any, Final

from attractor.pipeline.graph import Graph, Node, NodeId
from attractor.rehearsal.made_plan import plan_for
from attractor.rehearsal.made_review import PASSED, SILENT, rewritten
from attractor.rehearsal.made_rubric import rubric_for
from attractor.rehearsal.turn import (
    CROSS_REVIEWER,
    GUARDIAN,
    JUDGE,
    ORCHESTRATOR,
    PLANNER,
    REPLANNER,
    RETROSPECTIVE,
    REVIEWER,
    RUBRIC,
    SUPERVISOR,
    NodeScript,
    Script,
    Text,
    ToolCall,
    Turn,
    structured,
)
from attractor.rehearsal.upstream import Upstream
from attractor.run.assign import worked_on
from attractor.run.layout import escape

COMPLETE: Final = "<promise>NODE_COMPLETE</promise>"  # counts on a line of its own only
# Interactively an Agent call returns at once, and the worker's end is told later.
LAUNCHED: Final = r"Async agent launched(?![\s\S]*SYSTEM NOTIFICATION)"
ANYBODY: Final = "general-purpose"  # the worker that every Claude Code has
FAILED: Final = {
    "score": 0.0,
    "evidence": [],
    "problem": "The work does not do what was asked. Do it again, and commit it.",
}
ANSWER: Final = {
    "answer": "Decide that yourself, as you think best, and go on.",
    "why": "A rehearsal leaves everything open.",
}

NOTHING_LEFT: Final = Turn((Text(f"Nothing is left to do.\n\n{COMPLETE}"),))

_REWRITTEN: Final = "rewritten.txt"
_MOST_TOLD: Final = 500
_LONGEST_LABEL: Final = 120
_MOST_QUOTES: Final = 10
_COMMENTS: Final = {
    "#": "py pyi sh bash rb pl toml yaml yml cfg ini conf mk makefile r jl tf dockerfile gitignore "
    "feature",
    "//": "js mjs cjs jsx ts mts tsx go rs c h cc cpp hpp java kt swift scala php dart cs",
    "--": "sql lua hs elm",
    "<!--": "md markdown html htm xml svg vue svelte",
    "/*": "css scss less",
}
_ENDS: Final = {"<!--": " -->", "/*": " */"}
_COMMENT_OF: Final = {
    suffix: mark for mark, suffixes in _COMMENTS.items() for suffix in suffixes.split()
}
_PROSE: Final = frozenset({"txt", "text", "log", "rst", "adoc"})
_PLAIN: Final = "Written in a rehearsal."
_TEST: Final = """

import unittest


class Rehearsed(unittest.TestCase):
    def test_rehearsed(self) -> None:
        self.assertTrue(__name__)
"""

Quotation = dict[str, Any]


def scenario_for(
    graph: Graph,
    *,
    target_dir: str = "",
    standing: Sequence[Quotation] = (),
    criteria: Sequence[str] = (),
) -> Script:
    """Return a script in which every node's work is done, and judged good.

    `target_dir` goes before what the graph says, `standing` is quoted where no work was done, and
    `criteria` are those of the requirements.
    """
    nodes, worked = {}, set(worked_on(graph))
    before = Upstream(graph, worked)
    for node in graph.nodes.values():
        works = [node.id] if node.id in worked else before.work(node.id)
        quoted = [
            _quotation(graph.nodes[each], _folder(graph, graph.nodes[each], target_dir))
            for each in works[:_MOST_QUOTES]
        ]
        if node.id in worked:
            nodes[str(node.id)] = _worked(node, quoted)
        elif quoted:
            nodes[str(node.id)] = NodeScript({JUDGE: [_judged(quoted)]})
    opinion = {"state": "working", "text": ""}
    return Script(
        {
            JUDGE: [_judged(standing)],
            SUPERVISOR: [structured(opinion)],
            GUARDIAN: [structured(ANSWER)],
            RUBRIC: [structured(rubric_for(graph, criteria))],
            PLANNER: [structured(plan_for(graph.attrs.get("label") or graph.name))],
            REVIEWER: [structured(PASSED)],
            CROSS_REVIEWER: [structured(PASSED)],
            RETROSPECTIVE: [structured(SILENT)],
            REPLANNER: [structured(rewritten("Begin anew", [_REWRITTEN]))],
        },
        NOTHING_LEFT,
        nodes,
    )


def unknown(node_id: str, *, target_dir: str = "") -> NodeScript:
    """Return what is played for a node of which nothing but its name is known."""
    node = Node(NodeId(node_id), {}, 0, declared=False)
    return _worked(node, [_quotation(node, target_dir)])


def work(prompt: str, worker: str, files: list[str], message: str) -> list[Turn]:
    """Return turns that spawn a worker, which writes these files and commits them, and wait."""
    done = f"Written and committed: {', '.join(files)}."
    return changed(prompt, worker, [*map(_written, files)], message, done)


def changed(prompt: str, worker: str, lines: Sequence[str], message: str, done: str) -> list[Turn]:
    """Return turns that spawn a worker, which runs these lines of shell and commits, and wait."""
    shell = "\n".join(["set -e", *lines, _commit(message)])
    command = {"command": shell, "description": "Change and commit the files"}
    turns = [Turn((ToolCall("Bash", command),)), Turn((Text(done),))]
    call = {
        "description": message[:60],
        "prompt": prompt,
        "subagent_type": worker,
        "run_in_background": False,
    }
    wait = Turn((Text("The worker is at work."),), when=LAUNCHED)
    return [Turn((ToolCall("Agent", call, turns),)), wait]


def _worked(node: Node, quoted: Sequence[Quotation]) -> NodeScript:
    label = " ".join(node.attrs.get("label", "").split()) or f"Begin {node.id} anew"
    told_anew = rewritten(label[:_LONGEST_LABEL], _files(node))
    return NodeScript(
        {
            JUDGE: [_judged(quoted)],
            ORCHESTRATOR: _orchestrator(node),
            REPLANNER: [structured(told_anew)],
        }
    )


def _orchestrator(node: Node) -> list[Turn]:
    files = _files(node)
    told = node.attrs.get("prompt") or node.attrs.get("label") or node.id
    # Bounded: the worker is known again by its prompt, and Claude Code may reformat a long one.
    prompt = f"Node {json.dumps(node.id)}: {told[:_MOST_TOLD]}\nFiles: {', '.join(files)}"
    worker = node.attrs.get("worker_type") or ANYBODY
    summary = f"The worker has written and committed {', '.join(files)}.\n\n{COMPLETE}"
    done = work(prompt, worker, files, f"Rehearse {escape(node.id)}")
    return [*done, Turn((Text(summary),))]


def _files(node: Node) -> list[str]:
    """Return where the node's work goes: plain paths that stay inside, one with words in it."""
    own = f"{escape(node.id)}.txt"
    found = []
    for each in re.split(r"[,;\n]", node.attrs.get("files", "")):
        folder, name = posixpath.split(each.strip())
        path = posixpath.normpath(posixpath.join(folder, name or own))
        out = path.startswith(("/", "../", "-", "~")) or path == ".."
        gits = ".git" in path.lower().split("/")
        if each.strip() and not out and not gits and not re.search(r"[*?\[\0]", path):
            found.append(path)
    found = list(dict.fromkeys(found))
    return found if any(map(_line, found)) else [*found, own]


def _commit(message: str) -> str:
    who = "-c user.name=Rehearsal -c user.email=rehearsal@localhost -c commit.gpgsign=false"
    return f"git add -A && git {who} commit -q --allow-empty -m {shlex.quote(message)}"


def _written(path: str) -> str:
    """Return the lines of shell that write one file, or add to it."""
    line, content = shlex.quote(_line(path)), shlex.quote(_content(path))
    # Nothing is substituted: there are agents that refuse such a command.
    folder = shlex.quote(posixpath.dirname(path) or ".")
    return (
        f'f={shlex.quote(path)}; if [ -d "$f" ]; then f="$f/rehearsed.txt"; fi\n'
        f'if [ -e "$f" ]; then printf \'%s\\n\' {line} >> "$f"\n'
        f"else mkdir -p {folder}; printf '%s' {content} > \"$f\"; fi"
    )


def _line(path: str) -> str:
    """Return the line that does no harm in such a file; empty where none is known."""
    mark = _mark(path)
    if not mark:
        return _PLAIN if _suffix(path) in _PROSE else ""
    return f"{mark} rehearsed{_ENDS.get(mark, '')}"


def _content(path: str) -> str:
    """Return what a new file holds: right in its language, and green where it is a test."""
    base = posixpath.basename(path)
    if base.endswith(".json"):
        return "{}\n"
    test = base.endswith(".py") and (base.startswith("test_") or base.endswith("_test.py"))
    return f"{_line(path) or _PLAIN}\n{_TEST if test else ''}"


def _mark(path: str) -> str:
    return _COMMENT_OF.get(_suffix(path), "")


def _suffix(path: str) -> str:
    return posixpath.basename(path).lower().rpartition(".")[2]


def _folder(graph: Graph, node: Node, target_dir: str) -> str:
    return target_dir or node.attrs.get("target_dir") or graph.attrs.get("target_dir", "")


def _quotation(node: Node, folder: str) -> Quotation:
    """Return what a judge can quote of a node's work, with its path from the top of the tree."""
    path = next(each for each in _files(node) if _line(each))
    place = posixpath.normpath(posixpath.join(folder, path))
    return {"file": place, "line": 1, "quote": _line(path)}


def _judged(quoted: Sequence[Quotation]) -> Turn:
    said = "It is there, as this rehearsal has it." if quoted else ""
    return structured({"score": 1.0, "evidence": [*quoted], "problem": "", "explanation": said})
