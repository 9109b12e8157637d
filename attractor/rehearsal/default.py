"""The script that is made from a graph when nobody wrote one: every node's work goes well.

Pure. For each node with work to do, the orchestrator spawns one worker of the node's type, which
writes the node's files and commits them, and then says that the node is complete. A file that is
there already is kept, with one harmless line added, so that doing it again changes something
again. Paths that lead out of the folder of work are left out. The judge finds everything right.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import Final

from attractor.pipeline.graph import Graph, Node
from attractor.rehearsal.turn import (
    JUDGE,
    ORCHESTRATOR,
    SUPERVISOR,
    NodeScript,
    Script,
    Text,
    ToolCall,
    Turn,
)
from attractor.run.layout import escape

COMPLETE: Final = "<promise>NODE_COMPLETE</promise>"  # counts on a line of its own only
# Interactively an Agent call returns at once, and the worker's end is told later.
LAUNCHED: Final = r"Async agent launched(?![\s\S]*SYSTEM NOTIFICATION)"
ANYBODY: Final = "general-purpose"  # the worker that every Claude Code has
PASSED: Final = {"score": 1.0, "evidence": []}
FAILED: Final = {"score": 0.0, "evidence": []}

_MOST_TOLD: Final = 500
_COMMENTS: Final = {
    "#": "py pyi sh bash rb pl toml yaml yml cfg ini conf mk r jl tf dockerfile gitignore feature",
    "//": "js mjs cjs jsx ts mts tsx go rs c h cc cpp hpp java kt swift scala php dart cs",
    "--": "sql lua hs elm",
    "<!--": "md markdown html htm xml svg vue svelte",
    "/*": "css scss less",
}
_ENDS: Final = {"<!--": " -->", "/*": " */"}
_COMMENT_OF: Final = {
    suffix: mark for mark, suffixes in _COMMENTS.items() for suffix in suffixes.split()
}


def scenario_for(graph: Graph) -> Script:
    """Return a script in which every node's work is done, and judged good."""
    nodes = {
        str(node.id): NodeScript({ORCHESTRATOR: _orchestrator(node)})
        for node in graph.nodes.values()
        if graph.handler(node) == "codergen"
    }
    judge = Turn((ToolCall("StructuredOutput", PASSED),))
    opinion = Turn((ToolCall("StructuredOutput", {"state": "working", "text": ""}),))
    return Script(
        {JUDGE: [judge], SUPERVISOR: [opinion]},
        Turn((Text(f"Nothing is left to do.\n\n{COMPLETE}"),)),
        nodes,
    )


def work(prompt: str, worker: str, files: list[str], message: str) -> list[Turn]:
    """Return turns that spawn a worker, which writes these files and commits them, and wait."""
    done = f"Written and committed: {', '.join(files)}."
    command = {"command": _command(files, message), "description": "Write and commit the files"}
    turns = [Turn((ToolCall("Bash", command),)), Turn((Text(done),))]
    call = {
        "description": message[:60],
        "prompt": prompt,
        "subagent_type": worker,
        "run_in_background": False,
    }
    wait = Turn((Text("The worker is at work."),), when=LAUNCHED)
    return [Turn((ToolCall("Agent", call, turns),)), wait]


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
    """Return where the node's work goes: plain paths that stay inside."""
    own = f"{escape(node.id)}.txt"
    found = []
    for each in re.split(r"[,;\n]", node.attrs.get("files", "")):
        folder, name = posixpath.split(each.strip())
        path = posixpath.normpath(posixpath.join(folder, name or own))
        out = path.startswith(("/", "../", "-", "~")) or path == ".."
        gits = ".git" in path.lower().split("/")
        if each.strip() and not out and not gits and not re.search(r"[*?\[\0]", path):
            found.append(path)
    return list(dict.fromkeys(found)) or [own]


def _command(files: list[str], message: str) -> str:
    who = "-c user.name=Rehearsal -c user.email=rehearsal@localhost -c commit.gpgsign=false"
    commit = f"git {who} commit -q --allow-empty -m {shlex.quote(message)}"
    return "\n".join(["set -e", *map(_written, files), f"git add -A && {commit}"])


def _written(path: str) -> str:
    """Return the lines of shell that write one file, or add to it."""
    line, content = shlex.quote(_line(path)), shlex.quote(_content(path))
    return (
        f'f={shlex.quote(path)}; if [ -d "$f" ]; then f="$f/rehearsed.txt"; fi\n'
        f'if [ -e "$f" ]; then printf \'%s\\n\' {line} >> "$f"\n'
        f'else mkdir -p "$(dirname "$f")"; printf \'%s\' {content} > "$f"; fi'
    )


def _line(path: str) -> str:
    mark = _mark(path)
    return f"{mark} rehearsed{_ENDS.get(mark, '')}" if mark else ""


def _content(path: str) -> str:
    """Return what a new file holds: right in its language, and green where it is a test."""
    base = posixpath.basename(path)
    if base.endswith(".json"):
        return "{}\n"
    if base.endswith(".py"):
        test = base.startswith("test_") or base.endswith("_test.py")
        made = '"""Written in a rehearsal."""\n'
        return made + ("\n\ndef test_rehearsed() -> None:\n    assert True\n" if test else "")
    return f"{_line(path) or 'Written in a rehearsal.'}\n"


def _mark(path: str) -> str:
    base = posixpath.basename(path).lower()
    return _COMMENT_OF.get(base.rpartition(".")[2], "")
