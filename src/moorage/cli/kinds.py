"""The commands that are the same for users and for roles."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from moorage.cli import answers
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change, named, shown, tagged
from moorage.cli.desk import AccountOption, at_work, every, pairs
from moorage.config import Settings
from moorage.domain.audit import Elements
from moorage.domain.iam import PrincipalKind
from moorage.services import principals
from moorage.services.principals import Principal

UserName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
RoleName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the role.")]

Command = Callable[..., None]

_NAMES: Final[dict[PrincipalKind, object]] = {"user": UserName, "role": RoleName}
_TagsToPut = Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="Tags to put.")]
_KeysToTake = Annotated[list[str], typer.Argument(metavar="KEY", help="Keys of the tags to take.")]


def listing(kind: PrincipalKind, *columns: str) -> Command:
    """The command that lists all of a kind: to people as a table with these columns besides the name and the ARN."""

    def command(settings: Settings, account: AccountOption = None, output: OutputOption = Output.TEXT) -> None:
        with at_work(settings, account) as work:
            found = every(
                lambda after, limit: work.read(principals.list_principals, kind, after, limit),
                lambda one: one.name,
            )
        document = {f"{kind.capitalize()}s": [answers.principal(one) for one in found]}
        answers.show_list(document, output, f"{kind.capitalize()}Name", "Arn", *columns)

    return _described(command, f"List the {kind}s of an account.")


def removal(kind: PrincipalKind, condition: str) -> Command:
    """The command that removes one of a kind, and says in its help on which condition."""

    def command(settings: Settings, name: str, account: AccountOption = None) -> None:
        with at_work(settings, account) as work:
            change = Change[None](f"Delete{kind.capitalize()}", named(kind, name))
            work.write(change, principals.delete_principal, kind, name)
        typer.echo(f"{kind} {name} is removed")

    return _described(command, f"Remove a {kind} that {condition}.", kind)


def tagging(kind: PrincipalKind) -> Command:
    """The command that puts tags on one of a kind."""

    def command(settings: Settings, name: str, tags: _TagsToPut, account: AccountOption = None) -> None:
        given = pairs(tags)
        with at_work(settings, account) as work:
            change = Change[None](f"Tag{kind.capitalize()}", named(kind, name, tags=tagged(given)))
            work.write(change, principals.tag_principal, kind, name, given)
        typer.echo(f"{kind} {name} is tagged")

    return _described(command, f"Put tags on a {kind}; policies can ask for them.", kind)


def untagging(kind: PrincipalKind) -> Command:
    """The command that takes tags from one of a kind."""

    def command(settings: Settings, name: str, keys: _KeysToTake, account: AccountOption = None) -> None:
        with at_work(settings, account) as work:
            change = Change[None](f"Untag{kind.capitalize()}", named(kind, name, tagKeys=keys))
            work.write(change, principals.untag_principal, kind, name, keys)
        typer.echo(f"{kind} {name} is untagged")

    return _described(command, f"Take tags from a {kind}.", kind)


def made(principal: Principal) -> Elements:
    """What the audit tells of one that was made."""
    return {principal.kind: shown(answers.principal(principal))}


def _described(command: Command, meaning: str, kind: PrincipalKind | None = None) -> Command:
    """The same command with its help: what it is for, and whose name it takes."""
    command.__doc__ = meaning
    if kind is not None:
        command.__annotations__["name"] = _NAMES[kind]
    return command
