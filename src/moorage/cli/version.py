"""``moorage version``."""

import platform
from typing import Annotated

import typer
import uvicorn
from pysqlite3 import dbapi2 as sqlite

import moorage


def register(application: typer.Typer) -> None:
    """Add the command, and ``--version``, which most programs have."""
    application.command("version")(version)
    application.callback()(_program)


def _show_and_end(is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


def _program(
    _is_asked: Annotated[
        bool,
        typer.Option("--version", callback=_show_and_end, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """A container registry that is Amazon ECR to its clients, on your own machines."""


def version() -> None:
    """Show the version of Moorage and of what it stands on."""
    typer.echo(f"moorage {moorage.__version__}")
    typer.echo(
        f"Python {platform.python_version()}, SQLite {sqlite.sqlite_version}, uvicorn {uvicorn.__version__}"
    )
