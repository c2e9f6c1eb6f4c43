"""Where the statements of a script begin, and whether one of them ends the transaction."""

import pytest

from settings.database.migrations.statements import changes, ends_transaction, statements

FUNCTION = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END"
TRIGGER = "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; DELETE FROM v; END"


@pytest.mark.parametrize(
    "script",
    [
        "commit",
        ";; End;",
        "SELECT 1; COMMIT",
        "-- it's done\nCOMMIT",
        "-- done\rCOMMIT",
        "/* a /* b */ ; */ ABORT",
        "BEGIN; SELECT ';'; COMMIT;",
        "SELECT 'it''s'; ROLLBACK",
        "SELECT E'\\''; ROLLBACK WORK",
        'SELECT "a"";" FROM t; COMMIT',
        "DO $a$ $$; $a$; COMMIT",
        "SELECT $1; COMMIT; SELECT $1",
        "SELECT a$b$ FROM t; COMMIT; SELECT $b$",
        "PREPARE TRANSACTION 'x'",
        f"{FUNCTION}; COMMIT",
        f"{TRIGGER}; END",
        "CREATE TABLE t (begin date); END",
    ],
)
def test_what_ends_a_transaction_is_found(script: str) -> None:
    """Anywhere at the beginning of a statement, past comments, texts and names."""
    assert ends_transaction(script)


@pytest.mark.parametrize(
    "script",
    [
        "",
        "/* COMMIT",
        "SELECT 'x; COMMIT'",
        "SELECT E'\\'; COMMIT'",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION f() RETURNS void AS $f$ BEGIN; COMMIT; END; $f$ LANGUAGE plpgsql",
        'SELECT 1 AS "a; COMMIT"',
        "ROLLBACK TO SAVEPOINT s",
        "rollback work to s; RELEASE s",
        "PREPARE p AS SELECT 1",
        "INSERT INTO t (commit) VALUES ('-- ')",
        FUNCTION,
        TRIGGER,
        f"{TRIGGER}; {FUNCTION};",
    ],
)
def test_what_ends_none_is_let_through(script: str) -> None:
    """Savepoints, the bodies of functions and triggers, and words that only look like it."""
    assert not ends_transaction(script)


def test_a_statement_is_told_in_tokens() -> None:
    """Words in lower case, names and texts as they stand, comments left out."""
    found = list(statements("Create TABLE \"A\" (b INT DEFAULT 1); -- x\nSELECT 'Y'"))
    assert found == [["create", "table", '"A"', "(", "b", "int", "default", "1", ")"], ["select", "'Y'"]]


def test_what_a_script_leaves_there_is_found() -> None:
    """Tables, views and types, under the names that they have in the end."""
    script = """
        CREATE TABLE IF NOT EXISTS a (id INT, "CREATE TABLE z" INT); CREATE UNLOGGED TABLE "B b"."C""c" (id INT);
        CREATE TABLE d (id INT); ALTER TABLE ONLY d RENAME TO D2; ALTER TABLE a RENAME COLUMN id TO e;
        CREATE OR REPLACE VIEW s.v AS SELECT 1; CREATE TYPE mood AS ENUM ('DROP TYPE mood');
        DROP TABLE IF EXISTS f, `g` CASCADE; INSERT INTO x VALUES ('CREATE TABLE h (i INT)');
    """
    assert changes(script) == {
        ("table", ("a",)): True, ("table", ("B b", 'C"c')): True, ("table", ("d",)): False, ("table", ("d2",)): True,
        ("table", ("s", "v")): True, ("type", ("mood",)): True, ("table", ("f",)): False, ("table", ("g",)): False,
    }  # fmt: skip
