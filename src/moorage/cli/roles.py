"""``moorage role``: the roles of an account."""

from typing import Annotated

import typer

from moorage.cli import answers, kinds
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change, tagged
from moorage.cli.desk import (
    AccountOption,
    PathOption,
    TagOption,
    at_work,
    note_unknown_keys,
    pairs,
    read_document,
)
from moorage.cli.flags import PlainUsage, fail, with_settings
from moorage.config import Settings
from moorage.domain.iam import DEFAULT_SESSION, LONGEST_SESSION, SHORTEST_SESSION
from moorage.rules.policy.document import Kind
from moorage.services import principal_policies, principals
from moorage.services.principals import Principal

_TRUST_HELP = "File with the policy that says who may assume the role; - is standard input."
_SECONDS_HELP = f"Seconds that a session lasts at most, {SHORTEST_SESSION} to {LONGEST_SESSION}."


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(name="role", add_completion=False, help="Roles of an account.", no_args_is_help=True)
    for name, command in (
        ("create", create),
        ("list", kinds.listing("role", "MaxSessionDuration", "CreateDate")),
        ("show", show),
        ("update", update),
        ("delete", kinds.removal("role", "has no policies any more")),
        ("tag", kinds.tagging("role")),
        ("untag", kinds.untagging("role")),
    ):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def create(
    settings: Settings,
    name: kinds.RoleName,
    trust: Annotated[str, typer.Option("--trust", metavar="FILE", help=_TRUST_HELP)],
    path: PathOption = "/",
    max_session: Annotated[int, typer.Option("--max-session", help=_SECONDS_HELP)] = DEFAULT_SESSION,
    tags: TagOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a role, which may do nothing yet: `moorage policy attach` comes next."""
    given, text = pairs(tags), read_document(trust)
    parameters = {
        "roleName": name,
        "path": path,
        "assumeRolePolicyDocument": text,
        "maxSessionDuration": max_session,
        "tags": tagged(given),
    }
    change = Change("CreateRole", parameters, kinds.made)
    with at_work(settings, account) as work:
        made = work.write(change, principals.create_role, name, text, path, given, max_session)
    answers.show({"Role": answers.principal(made)}, output)
    note_unknown_keys(text, Kind.TRUST)


def show(
    settings: Settings, name: kinds.RoleName, account: AccountOption = None, output: OutputOption = Output.TEXT
) -> None:
    """Show a role with its policies."""
    with at_work(settings, account) as work:
        found = work.read(principals.get_principal, "role", name)
        attached = work.read(principal_policies.list_attached, "role", name)
        inline = work.read(principal_policies.list_inline, "role", name)
    answers.show({"Role": answers.applied(found, attached, inline)}, output)


def update(
    settings: Settings,
    name: kinds.RoleName,
    trust: Annotated[str | None, typer.Option("--trust", metavar="FILE", help=_TRUST_HELP)] = None,
    max_session: Annotated[int | None, typer.Option("--max-session", help=_SECONDS_HELP)] = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Change who may assume a role, or for how long; sessions that were begun go on."""
    if trust is None and max_session is None:
        fail("one of --trust and --max-session is needed")
    text = None if trust is None else read_document(trust)
    # With both it has the name of what matters more.
    event = "UpdateRole" if text is None else "UpdateAssumeRolePolicy"
    parameters = {"roleName": name, "policyDocument": text, "maxSessionDuration": max_session}
    change = Change[Principal](event, parameters)
    with at_work(settings, account) as work:
        changed = work.write(change, principals.update_role, name, text, max_session)
    answers.show({"Role": answers.principal(changed)}, output)
    if text is not None:
        note_unknown_keys(text, Kind.TRUST)
