"""The `attractor` command: a table of verbs, each module imported when its verb is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from attractor import __version__
from attractor.cli.output import guard

# verb -> (module, attribute, one line for the overview)
VERBS: dict[str, tuple[str, str, str]] = {
    "answer": ("answer", "answer", "Decide what a run asks."),
    "attach": ("attach", "attach", "Show the session of a node in this terminal."),
    "bd": ("bd", "bd", "Keep beads: issues in .beads/, compatible with bd."),
    "checkpoint": ("checkpoint", "checkpoint", "Save, list and restore the states of a pipeline."),
    "clean": ("clean", "clean", "Remove what ended runs have left: worktrees, branches."),
    "config": ("config", "config", "Show the settings, and where each came from."),
    "decisions": ("decisions", "decisions", "Show what a run asks a person."),
    "doctor": ("doctor", "doctor", "Check this installation, its tools, and this project."),
    "edge": ("edge", "edge", "List, add and remove the edges of a pipeline."),
    "hooks": ("hooks", "hooks", "Print the hooks for one session."),
    "init": ("init", "init", "Set up a project, and install the Stop hook."),
    "journal": ("journal", "journal", "Show and verify the journal of a pipeline."),
    "lint": ("lint", "lint", "Check a pipeline against every rule."),
    "logs": ("logs", "logs", "Show what happened to the session of a node."),
    "memory": ("memory", "memory", "Search, add and settle what a project has learned."),
    "models": ("models", "models", "Show which agents are there, and which models are free."),
    "new": ("new", "new", "Write a commented template pipeline."),
    "night": ("night", "night", "Plan a goal, carry it out, and report it, unattended."),
    "node": ("node", "node", "List, add, remove and modify the nodes of a pipeline."),
    "nudge": ("nudge", "nudge", "Say something to the session of a node."),
    "parse": ("parse", "parse", "Print a pipeline as it is understood."),
    "plan": ("plan", "plan", "Have a plan made of a goal, and look at it."),
    "rehearse": ("rehearse", "rehearse", "Rehearse one node, or serve the scripted model alone."),
    "render": ("render", "render", "Draw a pipeline as SVG, in the colours of its states."),
    "report": ("report", "report", "Show how a run went, or goes."),
    "resume": ("resume", "resume", "Let a run go on, and watch it."),
    "rubric": ("rubric", "rubric", "Write, check, show and seal what work is judged by."),
    "run": ("run", "run", "Carry out a pipeline, and watch it."),
    "runs": ("runs", "runs", "List the runs of this project, and the rehearsals."),
    "signal": ("signal", "signal", "Send, list, read, await and follow signals."),
    "status": ("status", "status", "Show how a run, or a pipeline's file, stands."),
    "stop": ("stop", "stop", "End a run, or the session of one node and its Runner."),
    "transition": ("transition", "transition", "Move a node to another state, on the record."),
    "validate": ("lint", "lint", "The same as lint."),
}


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports one only to run or describe it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command: Any = getattr(importlib.import_module(f"attractor.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][2]) for verb in sorted(VERBS)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib  # only for a typing error

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="attractor")
def attractor() -> None:
    """Supervise coding agents: a DOT graph of work in, judged and merged work out."""


def cli() -> None:
    """Run the command line with our own errors and exit codes."""
    guard(_run)


def _run() -> None:
    if "_ATTRACTOR_COMPLETE" in os.environ:  # the shell asks what could be typed next
        attractor.main(prog_name="attractor")
    # Not `main`: that one answers a reader that has gone with exit 1, and guard could not tell.
    try:
        with attractor.make_context("attractor", sys.argv[1:]) as context:
            attractor.invoke(context)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
