"""What the boot gives to the background work: bounded questions to the database."""

import time
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from bootstrap import bootstrap
from settings import load_settings
from tests.servers import PostgresServer


def test_claims_and_snapshots_do_not_wait_for_a_frozen_database(
    own_postgres: PostgresServer, working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of the fleet, and the one that looks after health, end soon and say so."""
    monkeypatch.setattr("settings.database.claims.LONGEST_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("settings.database.snapshots.LONGEST_WRITE_SECONDS", 0.3)
    with bootstrap(
        Flask(__name__), settings=load_settings(environ={"DATABASE_URL": own_postgres.new_database()})
    ) as up:
        own_postgres.freeze()
        for question in (lambda: up.claims.next_in("job"), lambda: up.snapshots.write("me", "here", 1, {})):
            begin = time.monotonic()
            with pytest.raises(DBAPIError):
                question()
            assert time.monotonic() - begin < 3  # libpq counts a connect in whole seconds, two at the least
        own_postgres.thaw()
