"""`attractor rehearse node`: one node with the real Claude Code, a real Runner, and nobody's money.

What the Runner signals is printed as it comes, and answered in the Guardian's place.
"""

from __future__ import annotations

import json
import os
import shlex
import signal as posix_signals
import sys
from typing import TYPE_CHECKING, Any, Final, final

import click

from attractor.cli.options import SECONDS
from attractor.cli.output import check_stdout, dump, json_lines_option, note, printable, say

if TYPE_CHECKING:
    from attractor.rehearsal.stage import Stage
    from attractor.rehearsal.stand_in import Answer, StandIn
    from attractor.run.assignment import Assignment
    from signals.kinds import RunnerExited, Signal, Usage

_SECONDS: Final = 300.0
_WIDTH: Final = 22
_MOST_TEXT: Final = 200
# What every line of a node would say again.
_UNTOLD: Final = frozenset(
    {"crashed_at", "name", "node_id", "role", "session_id", "terminated_at", "usage"}
)
_SIGNALLED: Final = 128


@click.command()
@click.argument("pipeline")
@click.argument("node", required=False, default="", metavar="[NODE]")
@click.option(
    "--scenario", default="", metavar="FILE", help="What the model says; default: all goes well."
)
@click.option(
    "--fault", "faults", multiple=True, metavar="F@NODE", help="What goes wrong; repeatable."
)
@click.option(
    "--project", default="", metavar="DIR", help="Work in this repository, on a branch of its own."
)
@click.option(
    "--answer",
    "verdicts",
    multiple=True,
    metavar="pass|fail=TEXT",
    help="The verdict on what is handed in, in turn.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, such as sandbox=off; repeatable.",
)
@click.option(
    "--seconds",
    type=SECONDS,
    default=_SECONDS,
    show_default=True,
    metavar="N",
    help="When to give up.",
)
@click.option("--keep", is_flag=True, help="Keep the temporary project and its logs.")
@click.option("--attach-hint", "hint", is_flag=True, help="Say how the session can be watched.")
@json_lines_option
def node(verdicts: tuple[str, ...], seconds: float, hint: bool, as_json: bool, **play: Any) -> None:
    """Rehearse one NODE of PIPELINE: the real Claude Code, with a model that is scripted.

    Without NODE it is the first that an agent works on. Without --project it works in a repository
    that is made for it and removed afterwards. Needs no login and no network, and costs nothing.
    Exits with 0 if the node is complete.
    """
    from attractor.rehearsal.play import Play
    from attractor.rehearsal.stage import Stage
    from attractor.rehearsal.stand_in import BAD, FEEDBACK, StandIn
    from attractor.tripwire import check_start

    check_start()
    check_stdout()
    for number in (posix_signals.SIGTERM, posix_signals.SIGHUP):
        posix_signals.signal(number, _leave)
    rejected = any(each.startswith("reject@") for each in play["faults"])
    stand_in = StandIn(verdicts or ([f"{BAD}{FEEDBACK}"] if rejected else []))
    told = _Told(Stage(Play(**play)), as_json=as_json, hint=hint)
    if not _rehearse(told, stand_in, seconds):
        sys.exit(1)


def _rehearse(told: _Told, stand_in: StandIn, seconds: float) -> bool:
    begun = False
    try:
        with told.stage as stage:
            begun = True
            told.begin()
            ended = _perform(stage, stand_in, told, seconds)
            complete = ended is not None and ended.mode == "COMPLETE"
            stage.failed = not complete
            told.end(ended, seconds)
    except (KeyboardInterrupt, SystemExit):
        if begun:
            told.broken_off()
        raise
    return complete


def _leave(number: int, _: object) -> None:
    sys.exit(_SIGNALLED + number)  # through the stage's own end


def _perform(stage: Stage, stand_in: StandIn, told: _Told, seconds: float) -> RunnerExited | None:
    """Answer the Runner until it has ended; None if it did not end well, or in time."""
    from signals.kinds import RunnerExited

    while (signal := stage.next(seconds - stage.seconds)) is not None:
        told.signal(signal)
        if isinstance(signal.payload, RunnerExited):
            return signal.payload
        answer = stand_in.answer(signal)
        if answer is not None:
            stage.answer(answer.signal_type, **answer.payload)
            told.answer(answer)
    return None


@final
class _Told:
    """What is printed, for a person or a script."""

    def __init__(self, stage: Stage, *, as_json: bool, hint: bool) -> None:
        self.stage = stage
        self._stage = stage
        self._as_json = as_json
        self._hint = hint
        self._blindness = ""

    def begin(self) -> None:
        stage = self._stage
        for each in stage.notes:
            note(printable(f"note: {each.where}: {each.problem}"))
            note(printable(f"  {each.fix}"))
        if not self._as_json:
            say(printable(f"rehearsing {stage.node_id} in {stage.assignment.project}"), more=True)

    def signal(self, signal: Signal) -> None:
        body = signal.as_body()
        first = not self._blindness and signal.signal_type == "AGENT_REGISTERED"
        if first:
            self._blindness = body["payload"].get("blindness", "")
        self._line({"signal": body}, signal.signal_type, _words(body["payload"]))
        if first and self._hint:
            note(f"watch it with: {self._command('attach')}")

    def answer(self, answer: Answer) -> None:
        payload = dict(answer.payload)
        said = {"signal_type": answer.signal_type, "payload": payload}
        self._line({"answer": said}, f"  {answer.signal_type}", _words(payload))

    def end(self, ended: RunnerExited | None, seconds: float) -> None:
        """Say how it ended, and what is left."""
        stage, usage = self._stage, ended and ended.usage
        status = "failed" if stage.failed else "ok"
        mode = (ended and ended.mode) or "FAILED"
        reason = (ended and ended.reason) or _why(stage, seconds)
        said = {
            "status": status,
            "node": stage.node_id,
            "mode": mode,
            "reason": reason,
            "seconds": round(stage.seconds, 3),
            "blindness": self._blindness,
            "usage": usage.model_dump(exclude_none=True) if usage else None,
            "rubric_seen": stage.leaked,
            "run": stage.layout.root,
            "kept": stage.kept,
        }
        if self._as_json:
            say(dump(said, indent=None))
            return
        for line in f"{mode} after {stage.seconds:.1f} s: {reason}".splitlines():
            say(printable(line), more=True)
        seen = "; THE RUBRIC WAS READ" if stage.leaked else ""
        say(f"blindness: {self._blindness or 'not known'}{seen}", more=True)
        if usage:
            say(_used(usage), more=True)
        say(self._left())

    def broken_off(self) -> None:
        """Say what is left of one that was not played to its end."""
        note(self._left())
        if self._stage.kept and not self._stage.own_project:
            root = shlex.quote(self._stage.layout.root)
            note(printable(f"to remove the run and its logs: rm -r {root}"))

    def _left(self) -> str:
        stage = self._stage
        if not stage.kept:
            return "nothing is left of it; --keep keeps project and logs"
        lines = [f"logs: {self._command('logs')}", f"asked: {printable(stage.layout.requests)}"]
        if stage.own_project:
            lines.append(f"kept: {printable(stage.folder)}, which may be removed")
        else:
            lines += map(printable, _made(stage.assignment))
        return "\n".join(lines)

    def _command(self, verb: str) -> str:
        root = os.path.relpath(self._stage.layout.root)
        run = root if root.startswith(".claude") else self._stage.layout.root
        return printable(shlex.join(["attractor", verb, "--run", run, self._stage.node_id]))

    def _line(self, said: dict[str, Any], what: str, words: str) -> None:
        at = self._stage.seconds
        if self._as_json:
            say(dump({"at": round(at, 3), **said}, indent=None), more=True)
            return
        say(printable(f"{at:8.2f} s  {what:<{_WIDTH}}  {words}".rstrip()), more=True)


def _made(given: Assignment) -> list[str]:
    """Return what is there of worktree and branch, and how it is removed."""
    from attractor import git

    called = f"git -C {shlex.quote(given.project)}"
    lines, remove = [], []
    if os.path.isdir(given.worktree):
        lines.append(f"worktree: {given.worktree}")
        remove.append(f"{called} worktree remove {shlex.quote(given.worktree)}")
    if git.repository(given.project).branch(given.branch):
        lines.append(f"branch: {given.branch}")
        remove.append(f"{called} branch -D {given.branch}")
    if remove:
        lines.append(f"to remove {'both' if len(remove) > 1 else 'it'}: {' && '.join(remove)}")
    return lines


def _used(usage: Usage) -> str:
    tokens = f"tokens: {usage.input_tokens} in, {usage.output_tokens} out"
    text = f"{tokens}, {_count(usage.requests, 'request')}, {_count(usage.turns, 'turn')}"
    if usage.cooldowns:
        text += f", {usage.cooldown_seconds:g} s in {_count(usage.cooldowns, 'cooldown')}"
    return text


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _words(payload: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {_word(payload[key])}" for key in payload if key not in _UNTOLD)


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return f"{text[:_MOST_TEXT]}..." if len(text) > _MOST_TEXT else text


def _why(stage: Stage, seconds: float) -> str:
    if stage.runner is not None and (status := stage.runner.poll()) is not None:
        return f"the Runner has ended with {status}, without a word: {stage.last_words()}".rstrip(
            ": \n"
        )
    return f"it has not ended within {seconds:g} seconds"
