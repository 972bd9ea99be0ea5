"""How Alembic brings a database to the newest revision.

Apart from what looks whether that is needed, which hardly any start finds: Alembic takes a tenth of a second to load.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection | None, scripts: Path) -> Config:
    """Alembic's configuration, for the migrations in this directory, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, scripts: Path) -> None:
    """Run every migration that is missing, inside the transaction that is open on the connection."""
    command.upgrade(configuration(connection, scripts), "head")
