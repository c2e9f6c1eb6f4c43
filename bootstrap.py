"""The boot of a Flask service, in order: settings, logs, database, migrations, cache, websocket, workers, status."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from settings.boot.collector import keep_what_was_made, resting_collector

with resting_collector():
    from flask import Flask

    from settings import RoomSettings, Settings
    from settings.boot import steps
    from settings.boot.command_line import flask_command
    from settings.boot.failure import readable_failure
    from settings.boot.hooks import announce, own_app
    from settings.boot.report import BootReport
    from settings.boot.services import Boot, Services
    from settings.boot.signals import ended_by_sigterm

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["STEPS", "BootReport", "Services", "bootstrap", "create_app"]

STEPS = (
    ("settings", steps.load),
    ("logs", steps.open_logs),
    ("database", steps.connect_database),
    ("migrations", steps.migrate),
    ("cache", steps.open_cache),
    ("websocket", steps.prepare_websocket),
    ("workers", steps.prepare_workers),
    ("status", steps.publish_status),
)
"""Name and function of each step; what an earlier one made is there for the later ones."""


def bootstrap(
    app: Flask | None = None,
    *,
    settings: Settings | type[RoomSettings] | Sequence[type[RoomSettings]] | None = None,
    metadata: "MetaData | None" = None,
    migrations: Path | str | None = None,
    start: bool | None = None,
) -> Services:
    """Boot an application from its environment and return its services; a second call returns the same ones.

    Args:
        app: The application; one is made when it is None.
        settings: Settings of your own making, or models of the application's own, loaded beside ours.
        metadata: The application's tables; those that are missing are created.
        migrations: The application's Alembic folder, upgraded under the same lock as our tables; its revisions follow
            the naming convention of `metadata`, and none where that is not given.
        start: True starts background work in this process at once, False never; None where requests are served.

    Raises:
        SettingsError: The environment is wrong; it names every variable, with its fix.
        BootstrapError: A step failed; it names variable, target, cause and fix. What was begun is closed again.
    """
    app = own_app() if app is None else app
    if "bootstrap" in app.extensions:
        known: Services = app.extensions["bootstrap"]
        return known
    boot = Boot(app, settings=settings, metadata=metadata, migrations=migrations, start=start, command=flask_command())
    with ended_by_sigterm(), resting_collector(), readable_failure(), boot.closers.unwound():
        for name, step in STEPS:
            with boot.report.timed(name) as outcome:
                outcome.append(step(boot))
        announce(boot)
    keep_what_was_made()
    return boot.services


def create_app() -> Flask:
    """Return a bootstrapped application: the factory that `flask --app bootstrap run` and gunicorn find."""
    return bootstrap().app
