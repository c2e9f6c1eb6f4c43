"""Mends what was dropped or altered by hand where that loses nothing; says what to run where it might."""

import re
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from settings.database.diagnosis import diagnose_database
from settings.database.migrations.catalogue import Thing
from settings.database.migrations.drift import Difference, table_statements
from settings.database.migrations.rebuild import hindrance, rebuild_statements
from settings.database.migrations.repairs import (
    column_repair,
    constraint_statements,
    freeing,
    index_statements,
    moving_aside,
    names_taken,
)  # fmt: skip
from settings.database.migrations.rows import breaking_rows


class Step(NamedTuple):
    """What is wrong and how it is mended.

    Attributes:
        what: In words.
        statements: They mend it.
        refusal: Why they are not run, or nothing.
        queries: They show the rows that forbid it, where rows can.
    """

    what: str
    statements: list[str]
    refusal: str = ""
    queries: str = ""

    def report(self, why: str) -> str:
        """Return what to tell a person."""
        return f"{self.what}: {why}; run: {' '.join(f'{each};' for each in self.statements)}"

    def script(self) -> list[str]:
        """Return the statements of a script; those that are not run without a person are comments."""
        statements = [f"{each};" for each in self.statements]
        if not self.refusal:
            return statements
        # At these PostgreSQL ends a comment, and at no other of Python's ends of lines.
        lines = [line for each in statements for line in re.split(r"\r\n?|\n", each)]
        return [f"-- not run, {self.what}: {self.refusal}", *(f"-- {line}" for line in lines)]


def mend(connection: Connection, drift: list[Difference]) -> tuple[list[str], list[str]]:
    """Run the statements that undo `drift`, each difference in a savepoint of its own.

    Returns:
        What was mended, and what was not, with the reason and the exact statements to run.
    """
    mended: list[str] = []
    reported: list[str] = []
    for step in plan(connection, drift):
        why = step.refusal or _try(connection, step)
        if why:
            reported.append(step.report(why))
        else:
            mended.append(step.what)
    return mended, reported


def plan(connection: Connection, drift: list[Difference]) -> list[Step]:
    """Return the steps that undo `drift`; changes nothing."""
    copied: dict[str, list[Difference]] = {}
    if connection.dialect.name == "sqlite":
        # It can change hardly anything of a table in place: the table is copied, and its indexes with it.
        copied = {each.wanted.table: [] for each in drift if each.wanted.kind in {"column", "constraint"}}
    taken = {each.wanted.table: names_taken(connection, each.wanted.table) for each in drift}
    alone: list[Difference] = []
    for each in drift:
        free = each.wanted.name not in taken[each.wanted.table]
        (copied[each.wanted.table] if free and each.wanted.table in copied else alone).append(each)
    copies = [_copy(connection, table, found, taken[table]) for table, found in copied.items()]
    return [*copies, *(step for each in alone for step in _steps(connection, each, taken[each.wanted.table]))]


def _copy(connection: Connection, table: str, drift: list[Difference], taken: dict[str, str]) -> Step:
    statements = rebuild_statements(connection, table, without=taken)
    queries = " ".join(filter(None, map(breaking_rows, drift)))
    return Step("; ".join(map(str, drift)), statements, hindrance(connection, table), queries)


def _steps(connection: Connection, difference: Difference, taken: dict[str, str]) -> list[Step]:
    thing, what = difference.wanted, str(difference)
    if difference.how == "foreign":
        return [Step(what, moving_aside(connection, thing.table), "it is never touched")]
    if difference.how == "extra":
        statement = f"ALTER TABLE {thing.table} ALTER COLUMN {thing.name} DROP NOT NULL"
        return [Step(what, [statement], "it is never touched")]
    if thing.kind == "table":
        makers = table_statements(connection, thing.table, without=taken)
        return [Step(what, makers), *(_taken(connection, thing, name, owner) for name, owner in taken.items())]
    if thing.name in taken:
        return [_taken(connection, thing, thing.name, taken[thing.name])]
    if thing.kind == "index":
        return [Step(what, index_statements(connection, difference), queries=breaking_rows(difference))]
    if thing.kind == "constraint":
        return [Step(what, constraint_statements(connection, difference), queries=breaking_rows(difference))]
    return [Step(what, *column_repair(connection, difference), breaking_rows(difference))]


def _taken(connection: Connection, thing: Thing, name: str, owner: str) -> Step:
    missing = Difference("missing", thing._replace(kind="index", name=name))
    statements = [freeing(connection, name), *index_statements(connection, missing)]
    return Step(str(missing), statements, f"an index of {owner} has its name")


def _try(connection: Connection, step: Step) -> str:
    try:
        with connection.begin_nested():
            for statement in step.statements:
                connection.exec_driver_sql(statement)
    except IntegrityError as error:
        return f"{diagnose_database(error).cause}, first alter the rows of {step.queries}"
    except DBAPIError as error:
        return diagnose_database(error).cause
    return ""
