"""How our own tables are written: one statement in a transaction of its own."""

from sqlalchemy import Engine


def single_statement(engine: Engine) -> Engine:
    """Return the engine for transactions of one writing statement, which wait for each other and do not fail for it.

    READ COMMITTED, whatever the server's default is: who waited for another's row must see it. On SQLite the write
    lock comes first, since a transaction that has read cannot wait for it.
    """
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="READ COMMITTED")
    return engine.execution_options(sqlite_begin="IMMEDIATE")
