"""Write the migration that brings the last revision's schema to ``metadata/tables.py``.

Usage: .venv/bin/python scripts/new_migration.py "what it does". Read what it wrote before committing it.
"""

import sys
import tempfile
from pathlib import Path

import pysqlite3
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from moorage.metadata.migrate import scripts
from moorage.metadata.sqlite import connect
from moorage.metadata.upgrade import configuration


def main(message: str) -> None:
    """Upgrade an empty database to the last revision, then let Alembic write the difference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.db"
        engine = create_engine("sqlite://", module=pysqlite3, creator=lambda: connect(path), poolclass=NullPool)
        with engine.connect() as connection:
            config = configuration(connection, scripts())
            count = len(list(ScriptDirectory.from_config(config).walk_revisions()))
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=f"{count + 1:04}")


if __name__ == "__main__":
    main(sys.argv[1])
