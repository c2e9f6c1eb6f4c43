"""Processes that migrate one database at the same moment: `python fleet.py URL COUNT KILLS FOLDER`.

All are forked from one that has imported everything, wait for each other, and begin together; some are killed with
SIGKILL on their way. Prints, as JSON, how each ended.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import alembic.runtime.environment  # noqa: F401 - so that no child imports it again
import psycopg2  # noqa: F401 - as above

import settings.database.migrations.change  # noqa: F401 - as above
from settings.database.manager import DatabaseManager, SmartConnectionManager
from settings.database.migrations import MigrationManager
from settings.database.model import DatabaseSettings


def migrate(url: str, folder: str) -> int:
    """Boot the schema as a process of the service does; 0 when it is right."""
    settings = DatabaseSettings.model_validate({"url": url, "fallback_url": None, "wait": 30})
    database = DatabaseManager(SmartConnectionManager(settings, app_name="fleet", strict=True))
    result = MigrationManager(database.engine, wait=60, folder=Path(folder) if folder else None).ensure_tables_exist()
    print(result, file=sys.stderr, flush=True)
    return 0 if result.status == "ok" else 1


def fork(url: str, folder: str, gate: int) -> int:
    """Return the number of a child that migrates as soon as the gate opens."""
    child = os.fork()
    if child:
        return child
    os.read(gate, 1)
    os._exit(migrate(url, folder))


def main() -> None:
    """Fork, open the gate, kill, wait."""
    url, count, kills, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    gate, opener = os.pipe()
    children = [fork(url, folder, gate) for _ in range(count)]
    os.write(opener, b"!" * count)
    for child in random.sample(children, kills):
        time.sleep(random.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))


if __name__ == "__main__":
    main()
