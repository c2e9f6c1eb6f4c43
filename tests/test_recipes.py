"""The README's deploy recipes, run as far as one machine can: what a container, a dyno or a unit would run."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.readme import blocks, said
from tests.running import SCRIPTS, Running, run, serving
from tests.servers import PostgresServer, wait_until

PATH = f"{SCRIPTS}:/usr/bin:/bin"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return the folder of the README's first service."""
    (tmp_path / "wsgi.py").write_text(blocks("python")[0])
    return tmp_path


def _line(language: str, keyword: str) -> str:
    [block] = [each for each in blocks(language) if keyword in each]
    found = re.search(rf"^{keyword} (.*)$", block, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_container_migrates_serves_and_is_probed(shop: Path) -> None:
    """Image's command and variables, migration job, Kubernetes' probes and init container, Compose's health check."""
    variables: dict[str, Any] = dict(each.split("=") for each in _line("dockerfile", "ENV").split())
    variables |= {"DATABASE_URL": f"sqlite:///{shop / 'shop.db'}", "APP_SECRET_KEY": "not-a-secret", "PATH": PATH}
    command = [each.replace("0.0.0.0:8000", "127.0.0.1:{port}") for each in json.loads(_line("dockerfile", "CMD"))]
    _, *healthy = json.loads(said("healthcheck:").removeprefix("healthcheck: {test: ").removesuffix("}"))
    [kubernetes] = [each for each in blocks("yaml") if "livenessProbe" in each]

    def done(words: list[str]) -> int:
        return run(words, shop, **variables).returncode

    with serving(command, shop, **variables, DATABASE_MIGRATE="false") as server:
        probe = [each.replace(":8000", f":{server.port}") for each in healthy]
        assert server.ask("/readyz").status == 503
        assert done(probe) == 1
        assert done(shlex.split(said("flask --app wsgi bootstrap migrate"))) == 0
        wait_until(lambda: done(probe) == 0, what="readiness after the migration")
        paths = re.findall(r"path: (/\w+)", kubernetes)
        wait_until(lambda: all(server.ask(path).status == 200 for path in paths * 8), what="every worker's readiness")
        assert done(json.loads(said('["python", "-m", "settings"'))) == 0
    assert done(probe) == 1


def test_herokus_procfile_releases_and_serves(shop: Path, postgres: PostgresServer) -> None:
    """Its URL begins with postgres://, and it says the port by PORT."""
    url = postgres.new_database().replace("postgresql://", "postgres://")
    variables: dict[str, Any] = {"APP_ENV": "production", "APP_NAME": "shop", "DATABASE_URL": url, "PATH": PATH}
    release = shlex.split(said("release:").removeprefix("release: "))
    assert "applied 0001" in run(release, shop, **variables).stdout
    web = Running(shlex.split(said("web:").removeprefix("web: ")), folder=shop, variables=variables)
    variables["PORT"] = web.port
    try:
        web.start()
        assert web.ask("/prices").json() == {"apple": 3}
    finally:
        web.close()


def test_systemds_credentials_are_read(shop: Path) -> None:
    """`%d` is where systemd puts the credentials of a unit."""
    (shop / "database-url").write_text(f"sqlite:///{shop / 'shop.db'}\n")
    words = said("Environment=").removeprefix("Environment=").replace("%d", str(shop))
    variables: dict[str, Any] = dict(each.split("=") for each in words.split())
    done = run(["python", "-m", "settings", "check", "--connect"], shop, PATH=PATH, **variables)
    assert done.returncode == 0, done.stdout
    assert "DATABASE_URL" not in done.stdout
