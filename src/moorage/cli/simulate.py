"""``moorage policy simulate``: what the policies say to a request, and why."""

import json
from typing import Annotated, Any

import typer

from moorage.cli.answers import Output, OutputOption
from moorage.cli.desk import AccountOption, at_work
from moorage.cli.given_keys import read_context
from moorage.config import Settings
from moorage.rules.policy.statements import Statement
from moorage.services.simulation import Simulation
from moorage.services.simulation import simulate as ask

PrincipalOption = Annotated[
    str,
    typer.Option("--principal", help="Who asks: root, user/NAME, role/NAME, the ARN of one, or anonymous."),
]
ActionOption = Annotated[str, typer.Option("--action", help="What for, as ecr:BatchGetImage.")]
ResourceOption = Annotated[str, typer.Option("--resource", help="A repository by its name or ARN, or *.")]
ContextOption = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="KEY=VALUE", help="A condition key of the request; may be repeated."),
]


def simulate(
    settings: Settings,
    principal: PrincipalOption,
    action: ActionOption,
    resource: ResourceOption = "*",
    context: ContextOption = None,
    account: AccountOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Say whether a request would be allowed, by which statement, and what each of the others came to."""
    given = read_context(context)
    with at_work(settings, account) as work:
        found = work.read(ask, principal, action, resource, given)
    typer.echo(json.dumps(_document(found), indent=2) if output is Output.JSON else _lines(found))


def _lines(found: Simulation) -> str:
    verdict = "allowed" if found.is_allowed else "denied"
    lines = [
        f"{verdict}: {found.principal} {found.action} on {found.resource}",
        f"  {found.reason}{_decisive(found)}",
        *(f"  {line}" for line in found.lines),
    ]
    if found.not_given:
        keys = " and ".join(found.not_given)
        lines.append(
            f"  note: not given: {keys}; every real request has it, so it may be judged otherwise (--context)"
        )
    if found.resource_exists is False:
        lines.append("  note: there is no such repository, so it has neither a policy nor tags")
    return "\n".join(lines)


def _decisive(found: Simulation) -> str:
    statement = _statement(found)
    return "" if statement is None else f": {found.decision.policy}, statement {statement.label}"


def _statement(found: Simulation) -> Statement | None:
    return None if found.is_closed else found.decision.statement


def _document(found: Simulation) -> dict[str, Any]:
    statement = _statement(found)
    return {
        "Simulation": {
            "Principal": found.principal,
            "Action": found.action,
            "Resource": found.resource,
            "ResourceExists": found.resource_exists,
            "Decision": "allowed" if found.is_allowed else "denied",
            "Reason": found.reason,
            "NotGiven": list(found.not_given),
            "Policy": None if found.is_closed else found.decision.policy or None,
            "Statement": None if statement is None else statement.label,
            "Statements": [
                {
                    "Layer": line.layer.value,
                    "Policy": line.policy,
                    "Statement": line.statement,
                    "Effect": line.effect,
                    "Applies": line.obstacle is None,
                    "Obstacle": None if line.obstacle is None else line.obstacle.value,
                    "UnmetConditions": list(line.unmet),
                    "UnknownConditionKeys": list(line.unknown),
                }
                for line in found.lines
            ],
        }
    }
