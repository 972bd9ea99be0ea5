"""``moorage credentials``: access keys for the accounts of a server, running or not."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from moorage.auth.credentials import AccessKey, generate_access_key, render_credentials_file
from moorage.cli.changes import Change
from moorage.cli.desk import at_work
from moorage.cli.flags import with_settings
from moorage.config import Settings
from moorage.services import operators
from moorage.wiring import seal_key


class Output(StrEnum):
    """How the new key is shown."""

    CREDENTIALS = "credentials"
    ENV = "env"
    JSON = "json"


def register(application: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Access keys of accounts.", no_args_is_help=True)
    group.callback()(_group)
    group.command("create")(with_settings(create, "data_dir", "database"))
    application.add_typer(group, name="credentials")


def _group() -> None:
    """Access keys of accounts."""


def create(
    settings: Settings,
    account: Annotated[str, typer.Option("--account", help="Account of the key, twelve digits.")],
    output: Annotated[
        Output, typer.Option("--output", help="As a credentials file, as exports for a shell, or as JSON.")
    ] = Output.CREDENTIALS,
) -> None:
    """Make a root access key for an account, which is made too if it does not exist. Its secret is shown once."""
    key = generate_access_key()
    change = Change[None]("CreateAccessKey", {}, lambda _: operators.root_key_elements(key.access_key_id))
    with at_work(settings, account) as work:
        sealed = seal_key(work.desk.master_key, key)
        work.write(change, operators.create_root_key, key.access_key_id, sealed, work.desk.region)
    typer.echo(render(key, account, output))


def render(key: AccessKey, account: str, output: Output) -> str:
    """The key as the user asked for it."""
    match output:
        case Output.JSON:
            document = {
                "Account": account,
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
            }
            return json.dumps(document, indent=2)
        case Output.ENV:
            return f"export AWS_ACCESS_KEY_ID={key.access_key_id} AWS_SECRET_ACCESS_KEY={key.secret_access_key}"
        case Output.CREDENTIALS:
            return render_credentials_file(key).rstrip()
