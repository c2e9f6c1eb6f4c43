"""The command line: `check`, `show` and `example`; nothing heavy is imported unless `--connect` asks for it."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from settings.example import example_text, rows
from settings.loading import Inspection, inspect_settings
from settings.model import Settings
from settings.problems import Problem

if TYPE_CHECKING:
    from settings.connect import Service

VALID, PROBLEMS, WRONG_USE, UNUSABLE = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 valid, 1 problems, 2 wrong use, 3 a service cannot be used."""
    options = _parser().parse_args(arguments)
    if options.command == "example":
        print(example_text(), end="")
        return VALID
    environ = {**os.environ, **({"APP_ENV": options.env} if options.env else {})}
    inspection = inspect_settings(environ)
    return _show(inspection, options) if options.command == "show" else _check(inspection, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="twelvefactor", description="Check, show and explain the settings.")
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


def _check(inspection: Inspection, options: argparse.Namespace) -> int:
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
        print(_check_text(problems, services, valid=valid, environment=inspection.environment))
    return _services_status(services, strict=options.strict) if valid else PROBLEMS


def _connect(settings: Settings) -> "list[Service]":
    from settings.connect import try_services

    return try_services(settings)


def _services_status(services: "Sequence[Service]", *, strict: bool) -> int:
    failed = {service.name for service in services if service.status == "failed"}
    return UNUSABLE if failed & {"database", "broker"} or (strict and failed) else VALID


def _check_text(problems: Sequence[Problem], services: "Sequence[Service]", *, valid: bool, environment: str) -> str:
    lines = [f"{problem.severity}: {problem}" for problem in problems]
    for service in services:
        lines.append(f"{service.name}: {service.status} {service.target} ({service.latency_ms} ms) {service.message}")
        lines += [f"    fix: {service.fix}"] * bool(service.fix)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = sum(problem.severity == "warning" for problem in problems)
    verdict = "valid" if valid else "invalid"
    return "\n".join([*lines, f"settings for {environment}: {verdict} ({errors} errors, {warnings} warnings)"])


def _show(inspection: Inspection, options: argparse.Namespace) -> int:
    if inspection.settings is None:
        print("\n".join(str(problem) for problem in inspection.problems), file=sys.stderr)
        return PROBLEMS
    found = list(rows(inspection.settings))
    if options.format == "json":
        names = ("room", "variable", "value", "origin")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in found], indent=2))
    else:
        print("\n".join(f"{variable}={value}  ({origin})" for _, variable, value, origin in found))
    return VALID
