"""``moorage user``: the users of an account."""

import typer

from moorage.cli import answers, kinds
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change, tagged
from moorage.cli.desk import AccountOption, PathOption, TagOption, at_work, pairs
from moorage.cli.flags import PlainUsage, with_settings
from moorage.config import Settings
from moorage.services import access_keys, principal_policies, principals


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(name="user", add_completion=False, help="Users of an account.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", kinds.listing("user", "CreateDate")),
        ("show", show),
        ("delete", kinds.removal("user", "has neither keys nor policies any more")),
        ("tag", kinds.tagging("user")),
        ("untag", kinds.untagging("user")),
    ):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    name: kinds.UserName,
    path: PathOption = "/",
    tags: TagOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a user, who may do nothing yet: `moorage policy attach` and `moorage key create` come next."""
    given = pairs(tags)
    with at_work(settings, account) as work:
        change = Change("CreateUser", {"userName": name, "path": path, "tags": tagged(given)}, kinds.made)
        made = work.write(change, principals.create_user, name, path, given)
    answers.show({"User": answers.principal(made)}, output)


def show(
    settings: Settings, name: kinds.UserName, account: AccountOption = None, output: OutputOption = Output.TEXT
) -> None:
    """Show a user with its policies and its keys, without their secrets."""
    with at_work(settings, account) as work:
        found = work.read(principals.get_principal, "user", name)
        attached = work.read(principal_policies.list_attached, "user", name)
        inline = work.read(principal_policies.list_inline, "user", name)
        keys = work.read(access_keys.list_user_keys, name)
    listed = {"AccessKeys": [answers.key(key) for key in keys]}
    answers.show({"User": answers.applied(found, attached, inline) | listed}, output)
