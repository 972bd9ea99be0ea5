"""``moorage migrate``: bring the metadata database to the schema of this version."""

from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

from moorage.cli.flags import fail, with_settings
from moorage.cli.serve import REFUSALS, take_lock
from moorage.config import Settings
from moorage.wiring import check_schema, migrate


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("migrate")(with_settings(run, "data_dir", "database"))


def run(
    settings: Settings,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 unless the schema is this version's.")
    ] = False,
) -> None:
    """Create or upgrade the schema of the metadata database. With SQLite serve does it too."""
    try:
        if check:
            check_schema(settings)
            typer.echo("the database is at the schema of this version")
        else:
            _migrate(settings)
    except DBAPIError as error:
        fail(
            " ".join(str(error.orig).split()), "the role needs the right to create tables in its schema", code=1
        )
    except (*REFUSALS, OSError) as error:
        fail(str(error), code=1)


def _migrate(settings: Settings) -> None:
    # With SQLite no server may run meanwhile; with PostgreSQL writers wait until the schema is changed.
    lock = take_lock(settings)
    before, after = migrate(settings)
    lock.close()
    if before == after:
        typer.echo(f"nothing to do: the database is at revision {after}")
    else:
        typer.echo(f"migrated: {before or 'empty'} → {after}")
