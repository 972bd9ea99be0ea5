"""A start loads what it needs and no more: loading is most of the time that it takes."""

import json
import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

from moorage.metadata.migrate import known_revisions, newest_revision, scripts
from moorage.metadata.upgrade import configuration
from tests.architecture.source import LATE
from tests.support.migrations import run_migrations

#: What is loaded after the start of a server on SQLite, that of the supervisor and of its children together.
_SERVE = """
import gc, json, os, sys
from pathlib import Path
from moorage import cli
cli.load()
from moorage import wiring
from moorage.config import Settings
settings = Settings(data_dir=Path(sys.argv[1]))
wiring.prepare(settings)
wiring.build_app(settings)
wiring.build_worker(settings)
print(json.dumps([gc.isenabled(), sorted(sys.modules)]), flush=True)
os._exit(0)
"""

#: Loaded by what is late, or by a library for a purpose that is none of ours.
_HEAVY = {
    "alembic",
    "cryptography.x509",
    "mako",
    "psycopg",
    "psycopg_binary",
    "pygments",
    "rich",
    "sqlalchemy.dialects.postgresql",
}


def start(data_dir: Path) -> tuple[bool, set[str]]:
    """Whether garbage is collected after a start, and the modules that are loaded then."""
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, str(data_dir)], capture_output=True, text=True, timeout=60, check=True
    )
    is_collecting, loaded = json.loads(done.stdout)
    return is_collecting, set(loaded)


def test_serving_on_sqlite_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """Neither Alembic nor the driver of PostgreSQL, nor what makes certificates or colours; nor does the first start."""
    for _ in range(2):
        is_collecting, loaded = start(tmp_path)
        assert loaded & (LATE | _HEAVY) - {"moorage.cli.main", "structlog"} == set()
        assert {"moorage.cli.serve", "structlog"} <= loaded
        assert is_collecting


def test_a_start_that_migrates_loads_alembic(tmp_path: Path) -> None:
    """The test above looks at the right names."""
    run_migrations(tmp_path / "metadata.db", known_revisions()[0])
    assert {"alembic", "moorage.metadata.upgrade"} <= start(tmp_path)[1]


def test_the_files_of_migrations_are_called_by_their_revisions() -> None:
    """Which are known and which one is the newest is read off their names, and Alembic says the same."""
    alembic = ScriptDirectory.from_config(configuration(None, scripts()))
    assert newest_revision() == alembic.get_current_head()
    assert known_revisions() == [script.revision for script in alembic.walk_revisions()][::-1]
