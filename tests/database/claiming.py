"""What the tests of claims share: the claims of a process, and time that passes for the rows."""

from sqlalchemy import Engine, text

from settings.database.claims import Claim, Claims


def claims_of(engine: Engine, owner: str = "one", app_name: str = "app") -> Claims:
    """Return the claims of a process of that name."""
    return Claims(lambda: engine, app_name=app_name, owner=lambda: owner)


def shift(engine: Engine, seconds: float) -> None:
    """Let `seconds` pass for every row: the database's clock itself cannot be moved."""
    moved = ", ".join(f"{name} = {name} - :s" for name in ("due_at", "started_at"))
    # a lease of 0 is none
    moved += ", lease_until = CASE WHEN lease_until = 0 THEN 0 ELSE lease_until - :s END"
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE worker_runs SET {moved}"),
            {"s": seconds},
        )


def claimed(claims: Claims, every: float = 60, job: str = "job") -> Claim:
    """Return a claim that must be got."""
    claim = claims.claim(job, every=every)
    assert claim is not None
    return claim
