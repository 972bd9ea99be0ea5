"""``moorage policy``: what users and roles may do.

A policy is either managed, with a name in its account, and attached to any number of users and roles; or inline, part
of one user or role that is named by ``--user`` or ``--role``.
"""

import json
from collections.abc import Callable
from typing import Annotated

import typer

from moorage.cli import answers, simulate
from moorage.cli.answers import Output, OutputOption
from moorage.cli.changes import Change, named, shown
from moorage.cli.desk import (
    AccountOption,
    PathOption,
    RoleOption,
    UserOption,
    Work,
    at_work,
    every,
    note_unknown_keys,
    one_of,
    read_document,
)
from moorage.cli.flags import PlainUsage, fail, with_settings
from moorage.config import Settings
from moorage.domain import audit
from moorage.domain.audit import Elements
from moorage.domain.names import RegistryId, RepositoryName
from moorage.rules.policy.document import Kind
from moorage.services import policies, principal_policies, principals, resource_policies
from moorage.services.policies import ManagedPolicy

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the policy.")]
Reference = Annotated[
    str,
    typer.Argument(metavar="POLICY", help="Name or ARN of a managed policy: the account's own, or one of AWS."),
]
DocumentOption = Annotated[
    str,
    typer.Option("--document", metavar="FILE", help="File with the policy as JSON; - is standard input."),
]

_ATTACH_HELP = "Let a managed policy apply to a user or role, from the next request on."
_DETACH_HELP = "Let a managed policy apply to a user or role no more, from the next request on."


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(
        name="policy",
        add_completion=False,
        help="Policies of users and roles, and what all policies come to.",
        no_args_is_help=True,
    )
    for name, command in (
        ("create", create),
        ("put", put),
        ("list", list_policies),
        ("show", show),
        ("delete", delete),
        ("attach", attachment(principal_policies.attach_policy, "Attach", "attached to", _ATTACH_HELP)),
        ("detach", attachment(principal_policies.detach_policy, "Detach", "detached from", _DETACH_HELP)),
        ("boundary", boundary),
        ("lift", lift),
        ("simulate", simulate.simulate),
    ):
        made.command(name, cls=PlainUsage)(with_settings(command, "data_dir", "database"))
    return made


def lift(
    settings: Settings,
    repository: Annotated[str | None, typer.Option("--repository", help="Name of a repository.")] = None,
    registry: Annotated[bool, typer.Option("--registry", help="The policy of the registry itself.")] = False,
    region: Annotated[str | None, typer.Option("--region", help="Region of the registry.")] = None,
    account: AccountOption = None,
) -> None:
    """Take a repository's or the registry's policy away, also one that lets nobody do so; its text is printed."""
    if registry == (repository is not None):
        fail("name one: --repository NAME or --registry")
    where = region or settings.region
    with at_work(settings, account) as work:
        if repository is None:
            change = Change("DeleteRegistryPolicy", {}, _lifted, source=audit.ECR, region=where)
            text = work.write(change, resource_policies.lift_registry_policy, where)
        else:
            name = RepositoryName.parse(repository)
            change = _lifting(work.account, where, name)
            text = work.write(change, resource_policies.lift_repository_policy, where, name)
    typer.echo(text)


def _lifting(account: RegistryId, region: str, name: RepositoryName) -> Change[str]:
    parameters = {"registryId": account, "repositoryName": name}
    return Change(
        "DeleteRepositoryPolicy", parameters, _lifted, source=audit.ECR, region=region, repository=name
    )


def _lifted(text: str) -> Elements:
    return {"policyText": text}


def create(
    settings: Settings,
    name: Name,
    document: DocumentOption,
    path: PathOption = "/",
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a managed policy, which applies to nobody yet: `moorage policy attach` comes next."""
    text = read_document(document)
    parameters = {"policyName": name, "path": path, "policyDocument": text}
    change = Change("CreatePolicy", parameters, _told)
    with at_work(settings, account) as work:
        made = work.write(change, policies.create_policy, name, text, path)
    answers.show({"Policy": answers.policy(made)}, output)
    note_unknown_keys(text, Kind.IDENTITY)


def _told(made: ManagedPolicy) -> Elements:
    return {"policy": shown(answers.policy(made))}


def put(
    settings: Settings,
    name: Name,
    document: DocumentOption,
    user: UserOption = None,
    role: RoleOption = None,
    account: AccountOption = None,
) -> None:
    """Replace the text of a managed policy; or, with --user or --role, add or replace an inline one."""
    text = read_document(document)
    inline = None if user is None and role is None else one_of(user, role)
    with at_work(settings, account) as work:
        if inline is None:
            given = {"policyDocument": text, "setAsDefault": True}
            change = Change[ManagedPolicy](
                "CreatePolicyVersion", given, learned=lambda made: _of_policy(made.arn)
            )
            work.write(change, policies.put_policy, name, text)
        else:
            parameters = named(*inline, policyName=name, policyDocument=text)
            put_inline = Change[None](f"Put{inline[0].capitalize()}Policy", parameters)
            work.write(put_inline, principal_policies.put_inline, *inline, name, text)
    typer.echo(f"policy {name} is put")
    note_unknown_keys(text, Kind.IDENTITY)


def _of_policy(arn: str) -> Elements:
    return {"policyArn": arn}


def list_policies(
    settings: Settings,
    user: UserOption = None,
    role: RoleOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the managed policies of an account and of AWS; or, with --user or --role, what applies to one."""
    whom = None if user is None and role is None else one_of(user, role)
    with at_work(settings, account) as work:
        if whom is None:
            document = {"Policies": [answers.policy(policy) for policy in _all(work)]}
        else:
            found = work.read(principals.get_principal, *whom)
            attached = work.read(principal_policies.list_attached, *whom)
            inline = work.read(principal_policies.list_inline, *whom)
    if whom is None:
        answers.show_list(document, output, "PolicyName", "Arn", "UpdateDate")
    else:
        answers.show({found.kind.capitalize(): answers.applied(found, attached, inline)}, output)


def _all(work: Work) -> list[policies.ManagedPolicy]:
    own = every(
        lambda after, limit: work.read(policies.list_policies, after, limit), lambda policy: policy.name
    )
    return [*own, *policies.list_aws_policies()]


def show(
    settings: Settings,
    name: Reference,
    user: UserOption = None,
    role: RoleOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show a managed policy with its text; or, with --user or --role, an inline one."""
    whom = None if user is None and role is None else one_of(user, role)
    with at_work(settings, account) as work:
        if whom is None:
            found = answers.policy_with_text(work.read(policies.get_policy, name))
        else:
            kind, principal_name = whom
            text = work.read(principal_policies.get_inline, kind, principal_name, name)
            found = {f"{kind.capitalize()}Name": principal_name, "PolicyName": name}
            found |= {"PolicyDocument": json.loads(text)}
    answers.show({"Policy": found}, output)


def delete(
    settings: Settings,
    name: Name,
    user: UserOption = None,
    role: RoleOption = None,
    account: AccountOption = None,
) -> None:
    """Remove a managed policy that applies to nobody any more; or, with --user or --role, an inline one."""
    inline = None if user is None and role is None else one_of(user, role)
    with at_work(settings, account) as work:
        if inline is None:
            change = Change[str]("DeletePolicy", {}, learned=_of_policy)
            work.write(change, policies.delete_policy, name)
        else:
            delete_inline = Change[None](
                f"Delete{inline[0].capitalize()}Policy", named(*inline, policyName=name)
            )
            work.write(delete_inline, principal_policies.delete_inline, *inline, name)
    typer.echo(f"policy {name} is removed")


def attachment(use_case: Callable[..., str], verb: str, done: str, meaning: str) -> Callable[..., None]:
    """The command that runs a use case on a managed policy and one it applies to, and tells of it so."""

    def command(
        settings: Settings,
        policy: Reference,
        user: UserOption = None,
        role: RoleOption = None,
        account: AccountOption = None,
    ) -> None:
        kind, name = one_of(user, role)
        with at_work(settings, account) as work:
            change = Change(f"{verb}{kind.capitalize()}Policy", named(kind, name), learned=_of_policy)
            arn = work.write(change, use_case, kind, name, policy)
        typer.echo(f"{arn} is {done} {kind} {name}")

    command.__doc__ = meaning
    return command


def _boundary(arn: str | None) -> Elements:
    return {"permissionsBoundary": arn}


def boundary(
    settings: Settings,
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="Name or ARN of a managed policy.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Lift the boundary.")] = False,
    user: UserOption = None,
    role: RoleOption = None,
    account: AccountOption = None,
) -> None:
    """Let a managed policy bound what a user or role may do, whatever else allows it."""
    kind, name = one_of(user, role)
    if none == (policy is not None):
        fail("either POLICY or --none is needed")
    with at_work(settings, account) as work:
        event = f"{'Delete' if none else 'Put'}{kind.capitalize()}PermissionsBoundary"
        change = Change(event, named(kind, name), learned=_boundary)
        arn = work.write(change, principal_policies.set_boundary, kind, name, policy)
    typer.echo(f"{kind} {name} has no boundary" if arn is None else f"{kind} {name} is bounded by {arn}")
