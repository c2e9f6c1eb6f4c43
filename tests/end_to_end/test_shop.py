"""A real application keeps its promises while each of its services fails in turn."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.world import TOKEN, Load, World
from tests.running import ask
from tests.servers import wait_until

RELEASE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "shop2", "shop1"


def upgrade():
    op.add_column("shop_orders", sa.Column("note", sa.String(10), nullable=False, server_default="none"))
"""
LAYOUTS = {"sync": (), "gthread --preload": ("-k", "gthread", "--threads", "4", "--preload")}


layouts = pytest.mark.parametrize("options", list(LAYOUTS.values()), ids=list(LAYOUTS))


@pytest.fixture(scope="module", params=list(LAYOUTS.values()), ids=list(LAYOUTS))
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The shop under load-bearing gunicorn, for tests that leave it as well as they found it."""
    with World(tmp_path_factory.mktemp("shop"), *request.param) as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shop, all well before the test and after it."""
    shared.all_well()
    yield shared
    shared.all_well()


@layouts
def test_a_healthy_shop_serves_is_quiet_and_ends_politely(options: tuple[str, ...], tmp_path: Path) -> None:
    """Orders are kept, events reach the gateway, the log holds no error, and SIGTERM loses no accepted request."""
    with World(tmp_path, *options) as world:
        world.all_well()
        with Load(world.shop.url) as load:
            time.sleep(2)
        assert load.wrong == load.refused == []
        assert world.rows("SELECT count(*) FROM shop_orders") == [(len(load.accepted),)]
        assert world.rows("SELECT count(*) FROM performance_alerts WHERE status <> 'resolved'") == [(0,)]
        wait_until(lambda: world.gateway.events().count("order") >= len(load.accepted), what="the events")
        assert world.shop.ask("/status", headers=TOKEN).status == 200
        assert answers_at_sigterm(world) == [200] * 4
        assert '"level": "ERROR"' not in world.shop.output()
        assert "application context" not in world.shop.output()


def answers_at_sigterm(world: World) -> list[int]:
    """Return what four requests were answered that were under way when SIGTERM came."""
    answered: list[int] = []

    def slow() -> None:
        answered.append(ask(f"{world.shop.url}/slow", timeout=10).status)

    threads = [threading.Thread(target=slow) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: world.gateway.events().count("slow") == 4, what="four requests under way")
    world.shop.stop(signal.SIGTERM, seconds=15)
    for thread in threads:
        thread.join()
    return answered


def test_no_customer_notices_that_redis_is_gone(world: World) -> None:
    """Redis is killed, comes back, is frozen and thaws: no request fails."""
    with Load(world.shop.url) as load:
        world.redis.kill()
        time.sleep(1)
        world.redis.start()
        time.sleep(1)
        with world.redis.frozen():
            time.sleep(1)
    assert load.wrong == load.refused == []


def test_a_dead_database_is_named_and_loses_nothing(world: World) -> None:
    """PostgreSQL dies and returns: only routes that need it fail, as 503, and what was confirmed is there."""
    with Load(world.shop.url) as load:
        time.sleep(0.5)
        world.postgres.kill()
        time.sleep(1)
        assert world.shop.ask("/livez").status == 200
        world.postgres.start()
        time.sleep(1)
    assert load.wrong == load.refused == []
    assert set(load.accepted) <= {row[0] for row in world.rows("SELECT id FROM shop_orders")}
    assert load.answers["/price", 200] > 0


def test_a_frozen_database_ends_requests_by_the_deadline(world: World) -> None:
    """Nothing waits longer than DATABASE_TIMEOUT and the pool's own wait, and afterwards all is well."""
    with Load(world.shop.url) as load:
        time.sleep(0.5)
        with world.postgres.frozen():
            time.sleep(4)
    assert load.wrong == load.refused == []
    assert load.slowest["/orders"] < 3 + 3 + 3


def test_orders_go_on_without_the_gateway(world: World) -> None:
    """What was sent while nobody listened arrives when somebody does."""
    world.gateway.close()
    with Load(world.shop.url) as load:
        time.sleep(0.5)
        number = world.shop.ask("/orders", method="POST").json()["id"]
        time.sleep(0.5)
        world.replace_gateway()
        wait_until(lambda: {"id": number} in world.gateway.payloads(), what="the event of the outage")
    assert load.wrong == load.refused == []


def test_everything_gone_at_once_is_survived(world: World) -> None:
    """Database, Redis and gateway die together: the shop lives, says so, answers from its memory, and recovers."""
    with Load(world.shop.url) as load:
        time.sleep(0.5)
        world.gateway.close()
        world.redis.kill()
        world.postgres.kill()
        wait_until(lambda: world.health() == "fail", what="a health that says so")
        assert world.shop.ask("/livez").status == 200
        assert world.shop.ask("/status", headers=TOKEN).status == 200
        assert world.shop.ask("/price").status == 200
        world.redis.start()
        world.postgres.start()
        world.replace_gateway()
    assert load.wrong == load.refused == []
    assert set(load.accepted) <= {row[0] for row in world.rows("SELECT id FROM shop_orders")}


def restart_workers(world: World) -> Load:
    """Replace every worker by SIGHUP while customers go on, and return what these were told."""
    before = set(world.shop.children())
    with Load(world.shop.url, threads=2) as load:
        os.kill(world.shop.pid, signal.SIGHUP)
        wait_until(lambda: not before & set(world.shop.children()), what="new workers")
        time.sleep(1)
    return load


def test_a_rolling_restart_loses_no_request(world: World) -> None:
    """SIGHUP replaces every worker while customers go on."""
    load = restart_workers(world)
    assert load.wrong == load.refused == []


def test_a_rolling_restart_with_a_migration_loses_no_request(tmp_path: Path) -> None:
    """The release brings a revision: the new workers apply it once, while the old ones still serve."""
    with World(tmp_path) as world:
        world.all_well()
        (world.migrations / "versions" / "0002_note.py").write_text(RELEASE)
        load = restart_workers(world)
        assert load.wrong == load.refused == []
        world.all_well()
        assert world.rows("SELECT version_num FROM alembic_version") == [("shop2",)]
        assert {row[0] for row in world.rows("SELECT note FROM shop_orders")} <= {"none"}
