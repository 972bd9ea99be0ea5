"""``moorage user``: the users of an account."""

from typing import Annotated

import typer

from moorage.cli import answers
from moorage.cli.answers import Output, OutputOption
from moorage.cli.desk import AccountOption, PathOption, TagOption, at_work, every, pairs
from moorage.cli.flags import with_settings
from moorage.config import Settings
from moorage.services import access_keys, principal_policies, principals

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(name="user", add_completion=False, help="Users of an account.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", list_users),
        ("show", show),
        ("delete", delete),
        ("tag", tag),
        ("untag", untag),
    ):
        made.command(name)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    name: Name,
    path: PathOption = "/",
    tags: TagOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a user, who may do nothing yet: `moorage policy attach` and `moorage key create` come next."""
    given = pairs(tags)
    with at_work(settings, account) as work:
        made = work.write(principals.create_user, name, path, given)
    answers.show({"User": answers.principal(made)}, output)


def list_users(settings: Settings, account: AccountOption = None, output: OutputOption = Output.TEXT) -> None:
    """List the users of an account."""
    with at_work(settings, account) as work:
        found = every(
            lambda after, limit: work.read(principals.list_principals, "user", after, limit),
            lambda user: user.name,
        )
    document = {"Users": [answers.principal(user) for user in found]}
    answers.show_list(document, output, "UserName", "Arn", "CreateDate")


def show(
    settings: Settings, name: Name, account: AccountOption = None, output: OutputOption = Output.TEXT
) -> None:
    """Show a user with its policies and its keys, without their secrets."""
    with at_work(settings, account) as work:
        found = work.read(principals.get_principal, "user", name)
        attached = work.read(principal_policies.list_attached, "user", name)
        inline = work.read(principal_policies.list_inline, "user", name)
        keys = work.read(access_keys.list_user_keys, name)
    listed = {"AccessKeys": [answers.key(key) for key in keys]}
    answers.show({"User": answers.applied(found, attached, inline) | listed}, output)


def delete(settings: Settings, name: Name, account: AccountOption = None) -> None:
    """Remove a user that has neither keys nor policies any more."""
    with at_work(settings, account) as work:
        work.write(principals.delete_principal, "user", name)
    typer.echo(f"user {name} is removed")


def tag(
    settings: Settings,
    name: Name,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Tags to put.")],
    account: AccountOption = None,
) -> None:
    """Put tags on a user; policies can ask for them."""
    given = pairs(tags)
    with at_work(settings, account) as work:
        work.write(principals.tag_principal, "user", name, given)
    typer.echo(f"user {name} is tagged")


def untag(
    settings: Settings,
    name: Name,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys of the tags to take.")],
    account: AccountOption = None,
) -> None:
    """Take tags from a user."""
    with at_work(settings, account) as work:
        work.write(principals.untag_principal, "user", name, keys)
    typer.echo(f"user {name} is untagged")
