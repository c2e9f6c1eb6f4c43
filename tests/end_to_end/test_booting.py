"""A boot that waits for something is ended by SIGTERM, under gunicorn too; seen in real runs."""

import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.running import Running, gunicorn
from tests.servers import PostgresServer, wait_until

IN_TIME = 1.0 + 3.0
"""A second, and three of slack for a machine that tests fill."""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"

WAITING = {
    "python": [sys.executable, "-c", "import bootstrap; bootstrap.create_app()"],
    "gunicorn": gunicorn(workers=2),
}


@pytest.mark.parametrize("command", WAITING.values(), ids=WAITING)
def test_sigterm_ends_a_boot_that_waits_for_its_database(command: list[str], tmp_path: Path) -> None:
    """Gunicorn's workers end at once, too, and not after the half minute that its master would give them."""
    variables = {"APP_ENV": "production", "DATABASE_URL": "postgresql://app@127.0.0.1:1/app", "DATABASE_WAIT": "60"}
    booting = Running(command, folder=tmp_path, variables=variables)
    try:
        booting.start(wait=False)
        wait_until(lambda: "Trying again" in booting.output(), what=f"the wait; {booting.output()}")
        assert booting.stop() < IN_TIME
    finally:
        booting.close()


def test_sigterm_ends_a_gunicorn_worker_that_waits_for_a_lock(tmp_path: Path, postgres: PostgresServer) -> None:
    """While libpq waits no handler of Python's runs; the worker ends all the same, and leaves no session."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    booting = Running(gunicorn(workers=1), folder=tmp_path, variables={"DATABASE_URL": url})
    waits = f"{SESSIONS} AND wait_event_type = 'Lock'"
    try:
        with closing(psycopg2.connect(url)) as holder:
            holder.cursor().execute("CREATE TABLE twelvefactor_version (version_num varchar(32) NOT NULL)")
            booting.start(wait=False)
            wait_until(lambda: postgres.query(waits, name) == [(1,)], what=f"the wait; {booting.output()}")
            assert booting.stop() < IN_TIME
        wait_until(lambda: postgres.query(SESSIONS, name) == [(0,)], seconds=2, what="the end of the sessions")
    finally:
        booting.close()
