"""``moorage config``: the settings as they take effect, and their schema."""

import json
from typing import Annotated, Any

import typer

from moorage.cli.flags import with_settings
from moorage.config import Settings

HIDDEN = "(hidden)"


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("config")(with_settings(show))


def show(
    settings: Settings,
    schema: Annotated[bool, typer.Option("--schema", help="Show the JSON Schema of all settings.")] = False,
) -> None:
    """Show the settings that take effect, without their secrets."""
    document = Settings.model_json_schema() if schema else visible(settings)
    typer.echo(json.dumps(document, indent=2))


def visible(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values; a secret that is set shows only that it is."""
    document = settings.model_dump(mode="json")
    for name, field in Settings.model_fields.items():
        if not field.repr and document[name]:
            document[name] = HIDDEN
    return document
