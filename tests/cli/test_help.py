"""The help of every command, down to the last one of each group."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from attractor.cli.main import attractor


def contexts(command: click.Command, above: click.Context | None = None) -> Iterator[click.Context]:
    context = click.Context(command, above, info_name=command.name)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inside = command.get_command(context, name)
            assert inside is not None
            yield from contexts(inside, context)


@pytest.mark.parametrize("context", list(contexts(attractor)), ids=lambda each: each.command_path)
def test_a_help_holds_no_escapes_and_tells_what_the_command_does(context: click.Context) -> None:
    text = context.get_help()
    assert "\\" not in text
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) > 2


def test_each_form_of_a_transition_has_its_own_line() -> None:
    context = next(each for each in contexts(attractor) if each.info_name == "transition")
    lines = [line.strip() for line in context.get_help().splitlines()]
    assert "attractor transition FILE NODE STATE" in lines
    assert "attractor transition FILE --adopt [NODE...]" in lines
    assert "attractor transition FILE --sync" in lines
