"""``moorage account``: the accounts of a server."""

from typing import Annotated

import typer

from moorage.cli import answers
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change, shown
from moorage.cli.desk import at_work, every
from moorage.cli.flags import PlainUsage, with_settings
from moorage.config import Settings
from moorage.domain import audit
from moorage.domain.audit import Elements
from moorage.services import accounts
from moorage.services.accounts import Account

Number = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Twelve digits.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(name="account", add_completion=False, help="Accounts.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", list_accounts),
        ("show", show),
        ("disable", disable),
        ("enable", enable),
    ):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    account: Number,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make an account. Its root gets a key from `moorage credentials create`."""
    change = Change[Account]("CreateAccount", {"accountName": name}, _told, source=audit.ORGANIZATIONS)
    with at_work(settings, account) as work:
        made = work.write(change, accounts.create_account, name)
    answers.show({"Account": answers.account(made)}, output)


def _told(made: Account) -> Elements:
    return {"account": shown(answers.account(made))}


def _switch(event: str, account: str) -> Change[None]:
    """AWS can only close accounts for good, so the names are ours."""
    return Change(event, {"accountId": account}, source=audit.ORGANIZATIONS)


def list_accounts(settings: Settings, output: OutputOption = Output.TEXT) -> None:
    """List all accounts."""
    with at_work(settings) as work:
        database = work.desk.database
        found = every(
            lambda after, limit: database.read_now(accounts.list_accounts, after, limit),
            lambda account: account.account_id,
        )
    document = {"Accounts": [answers.account(account) for account in found]}
    answers.show_list(document, output, "Id", "Name", "Status", "CreateDate")


def show(settings: Settings, account: Number, output: OutputOption = Output.TEXT) -> None:
    """Show an account."""
    with at_work(settings, account) as work:
        found = work.read(accounts.get_account)
    answers.show({"Account": answers.account(found)}, output)


def disable(settings: Settings, account: Number) -> None:
    """Refuse every key of an account from the next request on, and every token that it was given."""
    with at_work(settings, account) as work:
        work.write(_switch("DisableAccount", account), accounts.set_account_active, is_active=False)
    typer.echo(f"account {account} is switched off")


def enable(settings: Settings, account: Number) -> None:
    """Accept the keys of an account again."""
    with at_work(settings, account) as work:
        work.write(_switch("EnableAccount", account), accounts.set_account_active, is_active=True)
    typer.echo(f"account {account} is switched on")
