"""What each serving process says of itself: one row a process, merged by whoever shows the whole fleet."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from settings.database.clock import database_now
from settings.database.storable import storable
from settings.database.tables import process_snapshots
from settings.database.writing import impatient, single_statement

LONGEST_WRITE_SECONDS = 5.0
_s = process_snapshots.c


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One process's last words about itself.

    Attributes:
        process: Its name, such as `host:pid:token`.
        host: Its machine.
        pid: Its number on that machine.
        written_at: When, in seconds since 1970 by the database's clock.
        age_seconds: How long ago, by the database's clock.
        body: What it said.
    """

    process: str
    host: str
    pid: int
    written_at: float
    age_seconds: float
    body: Mapping[str, Any]


class Snapshots:
    """Writes and reads `process_snapshots`.

    Args:
        engine: Returns the engine in use.
        app_name: First half of every key, so that two applications may share a database.
        within: Lets all statements of a with block end after so many seconds; without it a frozen server is waited for.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        *,
        app_name: str,
        within: Callable[[float], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._engine, self._app_name, self._within = engine, app_name, within

    def write(self, process: str, host: str, pid: int, body: Mapping[str, Any]) -> None:
        """Replace the row of a process; the moment is the database's, and what no database can hold is replaced."""
        engine = self._engine()
        insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(process_snapshots)
        said = {"host": host[:100], "pid": pid, "written_at": database_now(engine.dialect.name), "body": storable(body)}
        statement = insert.values(app_name=self._app_name, process=process, **said)
        with self._within(LONGEST_WRITE_SECONDS), single_statement(engine).begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=[_s.app_name, _s.process], set_=said))

    def read(self, max_age_seconds: float) -> list[Snapshot]:
        """Return what processes of this application said in the last `max_age_seconds`, by machine and number."""
        engine = self._engine()
        moment = database_now(engine.dialect.name)
        wanted = (
            select(_s.process, _s.host, _s.pid, _s.written_at, (moment - _s.written_at).label("age_seconds"), _s.body)
            .where(_s.app_name == self._app_name, _s.written_at >= moment - max_age_seconds)
            .order_by(_s.host, _s.pid)
        )
        with engine.connect() as connection:
            return [Snapshot(**row) for row in connection.execute(wanted).mappings()]

    def forget(self, process: str, seconds: float = LONGEST_WRITE_SECONDS) -> None:
        """Delete the row of a process that ends; raises what the database raises, `seconds` later at the most."""
        own = (_s.app_name == self._app_name) & (_s.process == process)
        with (
            self._within(seconds),
            single_statement(self._engine()).connect() as connection,
            impatient(connection, seconds),
            connection.begin(),
        ):
            connection.execute(delete(process_snapshots).where(own))
