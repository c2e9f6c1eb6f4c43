"""`flask bootstrap migrate | status`: the installation, spoken for on the command line."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from flask.cli import AppGroup

from settings.problems import BootstrapError

if TYPE_CHECKING:
    from settings.boot.services import Services

WELL, NOT_WELL, UNUSABLE = 0, 1, 3
AHEAD = "migration-ahead"


def bootstrap_commands(services: "Services") -> click.Group:
    """Return the group of commands; each ends the process with 0 (well), 1 (pending, degraded) or 3 (no database)."""
    group = AppGroup("bootstrap", help="Migrate the database and show how the service is.")

    @group.command("migrate")
    @click.option("--check", is_flag=True, help="Only say what is pending; exit 1 when something is.")
    @click.option("--sql", is_flag=True, help="Print the statements instead of running them.")
    def migrate(*, check: bool, sql: bool) -> None:
        """Bring the database up to date and say what was done."""
        if check and sql:
            raise click.UsageError("--check and --sql exclude each other")
        sys.exit(_with_database(services, lambda: _explained(lambda: _migrate(services, check=check, sql=sql))))

    @group.command("status")
    @click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="text or json")
    def status(form: str) -> None:
        """Show services, workers, alerts and errors of all processes."""
        sys.exit(_with_database(services, lambda: _status(services, form)))

    return group


def _with_database(services: "Services", work: Callable[[], int]) -> int:
    try:
        services.engine  # noqa: B018 - connects, or raises what is wrong
        return work()
    except BootstrapError as error:
        click.echo(str(error), err=True)
        return UNUSABLE


def _explained(work: Callable[[], int]) -> int:
    """Print cause and fix of what is wrong with the migrations themselves, and answer that all is not well."""
    try:
        return work()
    except BootstrapError as error:
        click.echo(str(error), err=True)
        return NOT_WELL


def _migrate(services: "Services", *, check: bool, sql: bool) -> int:
    manager, database = services.migrations, services.database.result
    if database.fallback_used:
        click.echo(f"{database.error_message} The fallback is not migrated by hand.", err=True)
        return UNUSABLE
    if sql:
        click.echo(manager.sql())
        return WELL
    if check and (reading := manager.reading()).code == AHEAD:
        click.echo(f"{reading.cause}\n    fix: {reading.fix}")
        return NOT_WELL
    if check:
        pending = manager.pending()
        click.echo(f"pending: {', '.join(pending)}" if pending else "nothing is pending")
        return NOT_WELL if pending else WELL
    result = manager.ensure_tables_exist()
    click.echo(str(result))
    if result.diagnosis is not None:
        click.echo(f"    fix: {result.diagnosis.fix}")
    return WELL if result.status == "ok" else NOT_WELL


def _status(services: "Services", form: str) -> int:
    from settings.boot.sources import status_sources
    from settings.status.terminal import exit_status, look, status_json, status_text

    services.health.check()
    view = look(status_sources(services))
    _say(status_json(view) if form == "json" else status_text(view))
    return exit_status(view)


def _say(text: str) -> None:
    """Print a text that may hold any letter; one that the terminal has no code for is written as its escape."""
    code = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(code, "backslashreplace").decode(code))
