"""``moorage key``: access keys of users. Those of roots are made by ``moorage credentials``, and listed here too."""

import json
import os
from enum import StrEnum
from typing import Annotated

import typer

from moorage.auth.credentials import (
    AccessKey,
    check_access_key,
    generate_access_key,
    render_credentials_file,
)
from moorage.cli import answers
from moorage.cli.answers import OutputOption
from moorage.cli.changes import Change, shown
from moorage.cli.desk import AccountOption, UserOption, at_work, every
from moorage.cli.flags import PlainUsage, fail, with_settings
from moorage.config import Settings
from moorage.domain.audit import Elements
from moorage.services import access_keys
from moorage.services.access_keys import KeyFacts

KeyId = Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID", help="Id of the key.")]

#: Where the AWS tools look for a key, and so does ``--from-environment``.
_ID, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


class KeyOutput(StrEnum):
    """How a new key is shown."""

    TEXT = "text"
    ENV = "env"
    JSON = "json"


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(name="key", add_completion=False, help="Access keys of users.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", list_keys),
        ("disable", disable),
        ("enable", enable),
        ("delete", delete),
    ):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    user: Annotated[str, typer.Option("--user", help="Name of the user.")],
    from_environment: Annotated[
        bool, typer.Option("--from-environment", help=f"Take the key from {_ID} and {_SECRET}.")
    ] = False,
    account: AccountOption = None,
    output: Annotated[
        KeyOutput, typer.Option("--output", help="As a credentials file, as exports for a shell, or as JSON.")
    ] = KeyOutput.TEXT,
) -> None:
    """Give a user an access key. Its secret is shown now and never again; one that you brought is not shown."""
    key = imported_key() if from_environment else generate_access_key()
    change = Change("CreateAccessKey", {"userName": user}, _told)
    with at_work(settings, account) as work:
        made = work.write(change, access_keys.create_access_key, user, key, work.desk.master_key)
    typer.echo(render_imported(made, output) if from_environment else render_new(made, key, output))


def _told(made: KeyFacts) -> Elements:
    return {"accessKey": shown(answers.key(made))}


def imported_key() -> AccessKey:
    """The key of the environment; ends the program when there is none or it has not the form of one."""
    missing = [name for name in (_ID, _SECRET) if not os.environ.get(name)]
    if missing:
        fail(f"--from-environment needs {' and '.join(missing)}")
    try:
        return check_access_key(os.environ[_ID], os.environ[_SECRET])
    except ValueError as error:
        fail(f"--from-environment: {error}")


def render_new(made: KeyFacts, key: AccessKey, output: KeyOutput) -> str:
    """The key as the user asked for it, the only time that its secret is shown."""
    match output:
        case KeyOutput.JSON:
            document = answers.key(made) | {"SecretAccessKey": key.secret_access_key}
            return json.dumps({"AccessKey": document}, indent=2)
        case KeyOutput.ENV:
            return f"export {_ID}={key.access_key_id} {_SECRET}={key.secret_access_key}"
        case KeyOutput.TEXT:
            return render_credentials_file(key).rstrip()


def render_imported(made: KeyFacts, output: KeyOutput) -> str:
    """That the key is taken, without the secret: whoever brought it knows it."""
    if output is KeyOutput.JSON:
        return json.dumps({"AccessKey": answers.key(made)}, indent=2)
    return f"access key {made.access_key_id} is {made.user_name}'s"


def list_keys(
    settings: Settings,
    user: UserOption = None,
    account: AccountOption = None,
    output: OutputOption = answers.Output.TEXT,
) -> None:
    """List the keys of a user, or of all users and the root of an account, without their secrets."""
    with at_work(settings, account) as work:
        if user is None:
            found = every(
                lambda after, limit: work.read(access_keys.list_access_keys, after, limit),
                lambda key: key.access_key_id,
            )
        else:
            found = work.read(access_keys.list_user_keys, user)
    document = {"AccessKeyMetadata": [answers.key(key) for key in found]}
    answers.show_list(document, output, "AccessKeyId", "UserName", "Status", "CreateDate")


def _switch(access_key_id: str, status: str) -> Change[KeyFacts]:
    return Change("UpdateAccessKey", {"accessKeyId": access_key_id, "status": status}, learned=_owner)


def _owner(key: KeyFacts) -> Elements:
    return {"userName": key.user_name}


def disable(settings: Settings, access_key_id: KeyId, account: AccountOption = None) -> None:
    """Refuse a key from the next request on, and every token that it was given."""
    with at_work(settings, account) as work:
        change = _switch(access_key_id, "Inactive")
        work.write(change, access_keys.set_key_active, access_key_id, is_active=False)
    typer.echo(f"access key {access_key_id} is switched off")


def enable(settings: Settings, access_key_id: KeyId, account: AccountOption = None) -> None:
    """Accept a key again."""
    with at_work(settings, account) as work:
        change = _switch(access_key_id, "Active")
        work.write(change, access_keys.set_key_active, access_key_id, is_active=True)
    typer.echo(f"access key {access_key_id} is switched on")


def delete(settings: Settings, access_key_id: KeyId, account: AccountOption = None) -> None:
    """Remove a key for good."""
    with at_work(settings, account) as work:
        change = Change("DeleteAccessKey", {"accessKeyId": access_key_id}, learned=_owner)
        work.write(change, access_keys.delete_access_key, access_key_id)
    typer.echo(f"access key {access_key_id} is removed")
