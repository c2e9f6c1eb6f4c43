"""What the database says about our tables, columns, constraints and indexes with their definitions."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from settings.database.migrations.revisions import APPLICATION_VERSION_TABLE
from settings.database.tables import VERSION_TABLE, metadata

OUR_TABLES = tuple(sorted(metadata.tables))
_LOOKED_AT = (*OUR_TABLES, VERSION_TABLE, APPLICATION_VERSION_TABLE)

_OURS = """
WITH ours AS MATERIALIZED (
    SELECT oid, relname::text AS name, relkind::text AS kind FROM pg_class
    WHERE relname = ANY(%(names)s) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)
)"""
# As the server stores them: to have it write definitions out costs three times as much. A row of the catalogue is never
# altered without a new `xmin`, which is shorter than what it says; only the name of an index stands in another row. A
# restored database has others, and is then compared in full, once. The column `fingerprint`, of our version table, is
# told by its name.
_STORED_BY_POSTGRESQL = """
SELECT relname::text, relkind::text,
    ARRAY(SELECT CASE attname WHEN 'fingerprint' THEN 'fingerprint' ELSE xmin::text END
          FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum)::text,
    ARRAY(SELECT xmin FROM pg_attrdef WHERE adrelid = c.oid ORDER BY adnum)::text,
    ARRAY(SELECT xmin FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'n' ORDER BY conname)::text,
    ARRAY(SELECT concat_ws(' ', indexrelid::regclass, xmin)
          FROM pg_index WHERE indrelid = c.oid ORDER BY indexrelid)::text
FROM pg_class c
WHERE relname = ANY(%(names)s) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)
"""
_STORED_BY_SQLITE = """
SELECT lower(tbl_name), type, name, sql FROM sqlite_master WHERE lower(tbl_name) IN ({marks}) AND type <> 'trigger'
"""
# A temporary table comes first on every search path, and so the same query reads what `drift` compares with.
_POSTGRESQL = f"""{_OURS}
SELECT name, 'table', '', kind, false, '' FROM ours
UNION ALL
SELECT name, 'column', a.attname::text, format_type(a.atttypid, a.atttypmod) ||
       CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
       a.attnotnull,
       coalesce(pg_get_expr(d.adbin, d.adrelid), CASE WHEN a.attidentity <> '' THEN 'nextval(' ELSE '' END)
FROM ours JOIN pg_attribute a ON a.attrelid = ours.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT name, 'constraint', k.conname::text, pg_get_constraintdef(k.oid), false, ''
FROM ours JOIN pg_constraint k ON k.conrelid = ours.oid AND k.contype IN ('p', 'c', 'u', 'f', 'x')
UNION ALL
SELECT name, 'index', i.relname::text, pg_get_indexdef(i.oid), NOT x.indisvalid, ''
FROM ours JOIN pg_index x ON x.indrelid = ours.oid AND NOT x.indisprimary JOIN pg_class i ON i.oid = x.indexrelid
"""  # noqa: S608 - constants
_SQLITE = """
SELECT lower(m.tbl_name), m.type, m.name, coalesce(m.sql, ''), 0, '', 0
FROM sqlite_master m WHERE lower(m.tbl_name) IN ({marks}) AND m.type IN ('table', 'view', 'index') AND m.sql IS NOT NULL
UNION ALL
SELECT lower(m.name), 'column', p.name, p.type, p."notnull", coalesce(p.dflt_value, ''), p.pk
FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE lower(m.name) IN ({marks}) AND m.type IN ('table', 'view')
"""
_SEQUENCE = re.compile(r"^nextval\(.*")
_ON_TABLE = re.compile(r"\bON (?:ONLY )?(.+?)(?= USING)")
_CHECK = re.compile(
    r"CONSTRAINT\s+[\"`\[]?(\w+)[\"`\]]?\s+CHECK\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", re.IGNORECASE
)


class Thing(NamedTuple):
    """Something that belongs to a table.

    Attributes:
        table: The table's name.
        kind: `table`, `column`, `constraint` or `index`.
        name: Its own name; empty for the table itself.
        definition: The type of a column, the definition of an index or a constraint, the kind of a table.
        flag: Whether a column is NOT NULL, or an index is not valid.
        default: The default of a column.
    """

    table: str
    kind: str
    name: str
    definition: str
    flag: bool = False
    default: str = ""


Row = tuple[Any, ...]
"""A row of the catalogue, as the database gave it."""


def read_stored(connection: Connection) -> list[Row]:
    """Return everything that our tables and the version tables have, as the server stores it; one query."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(_STORED_BY_POSTGRESQL, {"names": list(_LOOKED_AT)}).all()
    else:
        rows = connection.exec_driver_sql(_STORED_BY_SQLITE.format(marks=_marks(_LOOKED_AT)), _LOOKED_AT).all()
    return [tuple(row) for row in rows]


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))


def fingerprint(rows: list[Row]) -> str:
    """Return 64 characters that stay the same as long as nothing of our tables was changed in this database."""
    ours = sorted(repr(row) for row in rows if row[0] in OUR_TABLES)
    return hashlib.sha256("\n".join(ours).encode()).hexdigest()


def read_catalogue(connection: Connection) -> list[Thing]:
    """Return what our tables have in words that can be compared with another table's; one query, but a dear one."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(_POSTGRESQL, {"names": list(OUR_TABLES)})
        return [_of_postgresql(Thing(*row)) for row in sorted(tuple(row) for row in found)]
    found = connection.exec_driver_sql(_SQLITE.format(marks=_marks(OUR_TABLES)), OUR_TABLES * 2)
    rows = sorted(tuple(row) for row in found)
    return [thing for row in rows for thing in _of_sqlite(*row)] + _keys_of_sqlite(rows)


def _of_postgresql(thing: Thing) -> Thing:
    # The sequence and the schema may be named differently where a table was made anew.
    if thing.kind == "column":
        return thing._replace(default=_SEQUENCE.sub("nextval", thing.default))
    if thing.definition.startswith("PRIMARY KEY"):
        return thing._replace(name="PRIMARY KEY")
    if thing.kind == "index":
        return thing._replace(definition=_ON_TABLE.sub("ON " + thing.table, thing.definition, count=1))
    return thing


def _of_sqlite(table: str, kind: str, name: str, definition: str, flag: int, default: str, _key: int) -> list[Thing]:
    if kind in {"table", "view"}:
        checks = [
            Thing(table, "constraint", name, _plain(f"CHECK ({rule})")) for name, rule in _CHECK.findall(definition)
        ]
        return [Thing(table, "table", "", kind), *checks]
    return [Thing(table, kind, name, _plain(definition), bool(flag), default)]


def _keys_of_sqlite(rows: list[Row]) -> list[Thing]:
    keys: dict[str, list[tuple[int, str]]] = {}
    for table, _kind, name, _definition, _flag, _default, key in rows:
        if key:
            keys.setdefault(table, []).append((key, name))
    return [
        Thing(table, "constraint", "PRIMARY KEY", ", ".join(name for _, name in sorted(key)))
        for table, key in keys.items()
    ]


def _plain(definition: str) -> str:
    # SQLite keeps the statement as it was written.
    text = re.sub(r"\bIF NOT EXISTS\b", "", definition.replace('"', "").replace("`", ""), flags=re.IGNORECASE)
    return re.sub(r"\s*([(),<>=])\s*", r"\1", " ".join(text.split()))
