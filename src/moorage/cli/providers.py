"""``moorage provider``: OIDC issuers whose tokens the roles of an account may trust."""

from typing import Annotated

import typer

from moorage.cli import answers
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change
from moorage.cli.desk import AccountOption, at_work, every
from moorage.cli.flags import PlainUsage, with_settings
from moorage.config import Settings
from moorage.domain import iam
from moorage.domain.audit import Elements
from moorage.services import identity_providers
from moorage.services.identity_providers import IdentityProvider

Issuer = Annotated[str, typer.Argument(metavar="URL", help="The issuer's URL, as in the iss of its tokens.")]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        name="provider",
        add_completion=False,
        help="OIDC identity providers of an account.",
        no_args_is_help=True,
    )
    for name, command in (("create", create), ("list", list_providers), ("delete", delete)):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    url: Issuer,
    audience: Annotated[
        list[str], typer.Option("--audience", help="The aud of tokens that are taken; may be repeated.")
    ],
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let roles trust an issuer; which of its tokens assume a role says the role's trust policy."""
    change = Change("CreateOpenIDConnectProvider", {"url": url, "clientIDList": audience}, _told)
    with at_work(settings, account) as work:
        made = work.write(change, identity_providers.create_provider, url, audience)
    answers.show({"OpenIDConnectProvider": answers.provider(made)}, output)


def _told(made: IdentityProvider) -> Elements:
    return {"openIDConnectProviderArn": made.arn}


def list_providers(
    settings: Settings, account: AccountOption = None, output: OutputOption = Output.TEXT
) -> None:
    """List the providers of an account."""
    with at_work(settings, account) as work:
        found = every(
            lambda after, limit: work.read(identity_providers.list_providers, after, limit),
            lambda provider: provider.issuer,
        )
    document = {"OpenIDConnectProviderList": [answers.provider(provider) for provider in found]}
    answers.show_list(document, output, "Url", "ClientIDList", "Arn", "CreateDate")


def delete(settings: Settings, url: Issuer, account: AccountOption = None) -> None:
    """Trust an issuer's tokens no more."""
    with at_work(settings, account) as work:
        arn = iam.provider_arn(work.account, url.removeprefix("https://"))
        change = Change[None]("DeleteOpenIDConnectProvider", {"openIDConnectProviderArn": arn})
        work.write(change, identity_providers.delete_provider, url)
    typer.echo(f"provider {url} is removed")
