"""``moorage version``."""

import platform

import typer
import uvicorn
from pysqlite3 import dbapi2 as sqlite

import moorage


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("version")(version)


def version() -> None:
    """Show the version of Moorage and of what it stands on."""
    typer.echo(f"moorage {moorage.__version__}")
    typer.echo(
        f"Python {platform.python_version()}, SQLite {sqlite.sqlite_version}, uvicorn {uvicorn.__version__}"
    )
