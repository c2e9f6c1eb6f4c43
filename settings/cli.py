"""The command line: `check`, `show` and `example`; nothing heavy is imported unless `--connect` asks for it."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING

from settings.checks.environment import process_count
from settings.example import Row, example_text, rows_of
from settings.loading import Inspection, inspect_settings
from settings.model import ROOMS, Settings
from settings.own_models import named_models
from settings.problems import Problem
from settings.sources import Sources
from settings.terminal import Paper, closed_pipe, lenient

if TYPE_CHECKING:
    from settings.connect import Service

VALID, PROBLEMS, WRONG_USE, UNUSABLE = 0, 1, 2, 3
DECISIVE = frozenset({"database", "broker"})
"""Services without which the application cannot be used; the others count with `--strict`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 valid, 1 problems, 2 wrong use, 3 a service cannot be used."""
    options = _parser().parse_args(arguments)
    lenient(sys.stdout)
    lenient(sys.stderr)
    commands = {"check": _check, "show": _show, "example": _example}
    try:
        status = commands[options.command](options)
        sys.stdout.flush()
    except BrokenPipeError:
        closed_pipe()
        return PROBLEMS
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="twelvefactor",
        description="Check, show and explain the settings.",
        epilog="exit status: 0 valid, 1 problems, 2 wrong use, 3 valid, but the database or the broker cannot be used",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="validate everything and report every problem at once")
    check.add_argument("--connect", action="store_true", help="also try each configured service, once")
    check.add_argument("--strict", action="store_true", help="make warnings count")
    show = commands.add_parser("show", help="every effective value, secrets masked, and where it came from")
    for command in (check, show):
        command.add_argument("--env", metavar="NAME", help="as if APP_ENV were NAME")
        command.add_argument("--format", choices=["text", "json"], default="text")
    commands.add_parser("example", help="the text of .env.example")
    return parser


def _inspect(options: argparse.Namespace) -> Inspection:
    environ = dict(os.environ)
    if options.env:
        environ.pop("APP_ENV_FILE", None)
        environ["APP_ENV"] = options.env
    with redirect_stdout(sys.stderr):  # what the application's modules print is not the report
        return inspect_settings(environ)


def _example(_options: argparse.Namespace) -> int:
    # Of the models, not of what they hold: a required variable is not set where an example is wanted.
    with redirect_stdout(sys.stderr):
        own, problems = named_models(Sources(os.environ).value("APP_SETTINGS"))
    sys.stdout.write(example_text({**ROOMS, **own}))
    paper = Paper(sys.stderr)
    for each in problems:
        print(_problem_text(paper, each), file=sys.stderr)
    return PROBLEMS if problems else VALID


def _check(options: argparse.Namespace) -> int:
    inspection = _inspect(options)
    services = _connect(inspection.settings) if options.connect and inspection.settings is not None else []
    problems = [*inspection.problems, *(each for service in services for each in service.problems)]
    counted = ("error", "warning") if options.strict else ("error",)
    valid = not any(problem.severity in counted for problem in problems)
    if options.format == "json":
        report = {
            "valid": valid,
            "environment": inspection.environment,
            "problems": [asdict(each) for each in problems],
        }
        print(
            json.dumps(report | ({"services": [each.row() for each in services]} if options.connect else {}), indent=2)
        )
    else:
        paper = Paper(sys.stdout)
        for each in problems:
            print(_problem_text(paper, each))
        for service in services:
            print(_service_text(paper, service))
        counts = Counter[str](each.severity for each in problems)
        counts["warning"] += sum(each.status == "warning" or _is_optional(each) for each in services)
        lost = [each.name for each in services if each.status == "failed" and each.name in DECISIVE]
        print(_verdict(paper, counts, lost, valid=valid, environment=inspection.environment))
    return _services_status(services, strict=options.strict) if valid else PROBLEMS


def _connect(settings: Settings) -> "list[Service]":
    from settings.connect import try_services

    terminal = sys.stderr.isatty()

    def progress(line: str) -> None:
        if terminal:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()

    services = try_services(settings, processes=process_count(os.environ), progress=progress)
    progress("")
    return services


def _services_status(services: "Sequence[Service]", *, strict: bool) -> int:
    bad = {service.name for service in services if service.status == "failed"}
    looked_at = {service.name for service in services if service.status != "ok"}
    return UNUSABLE if bad & DECISIVE or (strict and looked_at) else VALID


def _problem_text(paper: Paper, problem: Problem) -> str:
    head = f"{problem.variable}: {problem.severity}: {problem.message} [{problem.code}, from {problem.source}]"
    head = paper.wrapped(head).replace(
        f"{problem.variable}: {problem.severity}:",
        f"{paper.coloured(problem.variable, 'bold')}: {paper.coloured(problem.severity, problem.severity)}:", 1,
    )  # fmt: skip
    return f"{head}\n{paper.wrapped('fix: ' + problem.fix, '    ')}"


def _service_text(paper: Paper, service: "Service") -> str:
    head = f"{service.name}: {service.status}: {service.target}, {service.latency_ms:g} ms: {service.message}"
    head = paper.wrapped(head).replace(f" {service.status}:", f" {paper.coloured(service.status, service.status)}:", 1)
    return "\n".join([head, *([paper.wrapped("fix: " + service.fix, "    ")] if service.fix else [])])


def _is_optional(service: "Service") -> bool:
    """Say whether a service failed that the application can do without, which is a warning."""
    return service.status == "failed" and service.name not in DECISIVE


def _verdict(paper: Paper, counts: Mapping[str, int], lost: Sequence[str], *, valid: bool, environment: str) -> str:
    words = ", ".join(f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in ("error", "warning", "notice"))
    verdict = paper.coloured("valid", "ok") if valid else paper.coloured("invalid", "error")
    but = paper.coloured(f", but the {' and the '.join(lost)} cannot be used", "failed") if lost else ""
    return f"settings for {environment}: {verdict}{but} ({words})"


def _show(options: argparse.Namespace) -> int:
    inspection = _inspect(options)
    found = [
        row._replace(value="(invalid)") if row.variable in inspection.failed else row
        for row in rows_of(inspection.models, inspection.origins)
    ]
    if options.format == "json":
        report = {
            "valid": inspection.valid,
            "environment": inspection.environment,
            "settings": [row._asdict() for row in found],
        }
        print(json.dumps(report, indent=2))
    else:
        _show_text(found)
    paper = Paper(sys.stderr)
    for problem in inspection.problems:
        if problem.severity == "error":
            print(_problem_text(paper, problem), file=sys.stderr)
    return VALID if inspection.valid else PROBLEMS


def _show_text(found: Sequence[Row]) -> None:
    paper, room = Paper(sys.stdout), ""
    for row in found:
        if row.room != room:
            print(("\n" if room else "") + paper.coloured(f"# {row.room}", "bold"))
            room = row.room
        print(paper.wrapped(f"{row.variable}={row.value}  ({row.origin})"))
