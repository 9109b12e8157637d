"""`attractor lint` (also `validate`): what every rule has to say about pipelines.

Exit 0: no errors. Exit 1: errors, or under --strict warnings. The JSON of one file is the original
harness's ({valid, errors, warnings, summary}), with places and fixes added; that of several files
holds one such object for each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, final

import click

from attractor.cli.output import dump, json_option, printable, say
from attractor.errors import AttractorError, UsageError
from attractor.pipeline.document import DotError
from attractor.pipeline.dot import paused_collector
from attractor.pipeline.facts import gather
from attractor.pipeline.finding import Finding, Severity
from attractor.pipeline.lint import PARSER_RULES, RULES
from attractor.pipeline.lint import lint as apply_rules
from attractor.pipeline.load import load
from attractor.pipeline.source import Source

_LINES_AT_ONCE: Final = 1_000


@final
@dataclass(frozen=True)
class _Report:
    """What lint said about one file: the numbers, and either `issues` for JSON or `lines`."""

    file: str
    errors: int
    warnings: int
    issues: list[dict[str, Any]]
    lines: Iterable[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "valid": not self.errors,
            "errors": self._of(Severity.ERROR),
            "warnings": self._of(Severity.WARNING),
            "summary": _counts([self]),
        }

    def _of(self, severity: Severity) -> list[dict[str, Any]]:
        return [issue for issue in self.issues if issue["level"] == severity.value]


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path())
@click.option("--strict", is_flag=True, help="Every warning is an error.")
@click.option("--check-beads", is_flag=True, help="Look for each bead_id in .beads/issues.jsonl.")
@click.option("--check-files", is_flag=True, help="Look for each sd_path and solution_design.")
@click.option("--rules", is_flag=True, help="Print the table of rules.")
@click.option("--output", type=click.Choice(["text", "json"]), help="json: the same as --json.")
@json_option
def lint(
    files: tuple[str, ...],
    strict: bool,
    check_beads: bool,
    check_files: bool,
    rules: bool,
    output: str | None,
    as_json: bool,
) -> None:
    """Check pipelines against every rule; `-` is standard input.

    Exit 0: no errors. Exit 1: errors, with --strict also warnings.
    """
    as_json = as_json or output == "json"
    if rules:
        _print_rules(as_json=as_json)
        return
    if not files:
        raise UsageError("No file was given.", fix="Name a pipeline, or - for standard input.")
    try:
        reports = [
            _report(file, strict=strict, beads=check_beads, designs=check_files, as_json=as_json)
            for file in files
        ]
    except AttractorError as error:
        if output == "json":  # `guard` knows of --json only
            say(dump(error.as_json()))
        raise
    _print(reports, as_json=as_json)
    if any(report.errors for report in reports):
        sys.exit(1)


def _report(file: str, *, strict: bool, beads: bool, designs: bool, as_json: bool) -> _Report:
    with paused_collector():
        try:
            document, graph = load(file)
        except DotError as error:
            return _syntax_report(file, error)
        facts = gather(file, graph, beads=beads, files=designs)
        found = apply_rules(graph, document.warnings, facts, strict=strict)
        source = graph.source
        errors = sum(finding.severity is Severity.ERROR for finding in found)
        issues = [_issue(source, finding) for finding in found] if as_json else []
        lines = (line for finding in found for line in _lines(source, finding))
    return _Report(file, errors, len(found) - errors, issues, lines)


def _syntax_report(file: str, error: DotError) -> _Report:
    issue = {
        "level": "error",
        "rule": "syntax",
        "message": error.problem,
        "line": error.line,
        "column": error.column,
        "fix": error.fix,
    }
    head = f"{error.where}: error syntax: {error.problem}"
    shown = [*_indent(error.excerpt), *_indent(f"fix: {error.fix}")]
    return _Report(file, 1, 0, [issue], [head, *shown])


def _issue(source: Source, finding: Finding) -> dict[str, Any]:
    place = source.place(finding.offset)
    issue: dict[str, Any] = {
        "level": finding.severity.value,
        "rule": finding.rule,
        "message": finding.message,
    }
    if finding.node:
        issue["node"] = finding.node
    if finding.edge:
        issue["edge"] = {"from": finding.edge[0], "to": finding.edge[1]}
    return issue | {"line": place.line, "column": place.column, "fix": finding.fix}


def _lines(source: Source, finding: Finding) -> list[str]:
    where, severity = source.where(finding.offset), finding.severity
    head = printable(f"{where}: {severity.value} {finding.rule}: {finding.message}")
    shown = _indent(source.excerpt(finding.offset)) if severity is Severity.ERROR else []
    return [head, *shown, *_indent(f"fix: {finding.fix}")]


def _indent(text: str) -> list[str]:
    return [f"    {line}" for line in text.split("\n")]


def _print(reports: list[_Report], *, as_json: bool) -> None:
    objects = [report.as_json() for report in reports] if as_json else []
    if as_json and len(reports) == 1:
        say(dump(objects[0]))
    elif as_json:
        valid = all(found["valid"] for found in objects)
        say(dump({"valid": valid, "files": objects, "summary": _counts(reports)}))
    else:
        for report in reports:
            lines = iter(report.lines)
            while some := list(islice(lines, _LINES_AT_ONCE)):
                say("\n".join(some))  # one by one, each would be flushed
        name = f"{reports[0].file}: " if len(reports) == 1 else ""
        say(f"{name}{_counts(reports)}")


def _counts(reports: list[_Report]) -> str:
    errors = sum(report.errors for report in reports)
    warnings = sum(report.warnings for report in reports)
    files = f"{len(reports)} files: " if len(reports) > 1 else ""
    verdict = "not valid" if errors else "valid"
    return f"{files}{verdict}, {_number(errors, 'error')}, {_number(warnings, 'warning')}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _print_rules(*, as_json: bool) -> None:
    rules = (*PARSER_RULES, *RULES)
    if not as_json:
        for rule in rules:
            numbers = ",".join(map(str, rule.harness))
            say(f"{rule.id:<24}{rule.severity.value:<9}{numbers:<6}{rule.title}")
        return
    rows = [
        {
            "rule": rule.id,
            "severity": rule.severity.value,
            "title": rule.title,
            "harness": list(rule.harness),
            "specified": rule.specified,
            "dialects": sorted(rule.dialects),
        }
        for rule in rules
    ]
    say(dump({"rules": rows}))
