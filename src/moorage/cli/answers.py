"""How the commands that look after identities show what there is: to people as lines, to programs as JSON.

The JSON has the names and shapes of the IAM API's answers as ``aws iam`` prints them (docs/access.md), so that what
reads those reads these.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from moorage.services.access_keys import KeyFacts
from moorage.services.accounts import Account
from moorage.services.identity_providers import IdentityProvider
from moorage.services.policies import ManagedPolicy
from moorage.services.principals import Principal

Document = dict[str, Any]


class Output(StrEnum):
    """For whom an answer is."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", help="Lines for people, or JSON for programs.")]


def show(document: Document, output: Output) -> None:
    """Print an answer about one thing, which is the document's only member."""
    typer.echo(json.dumps(document, indent=2) if output is Output.JSON else _lines(document))


def show_list(document: Document, output: Output, *columns: str) -> None:
    """Print a list, which is the document's only member: to people as a table with these of its columns."""
    if output is Output.JSON:
        typer.echo(json.dumps(document, indent=2))
        return
    (entries,) = document.values()
    typer.echo(_table([columns, *([_cell(entry.get(column)) for column in columns] for entry in entries)]))


def _lines(document: Document) -> str:
    (facts,) = document.values()
    width = max(map(len, facts))
    return "\n".join(f"{name:{width}}  {_block(value, width + 2)}" for name, value in facts.items())


def _block(value: object, column: int) -> str:
    """A value beside its name; what has parts takes several lines, all from the same column on."""
    if value and isinstance(value, dict | list):
        return json.dumps(value, indent=2).replace("\n", "\n" + " " * column)
    return _cell(value)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(value: object) -> str:
    if value is None or value == []:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).isoformat()


# --- Documents -----------------------------------------------------------------------------------------------


def account(found: Account) -> Document:
    """As the Organizations API shows an account; it has no name unless it was given one."""
    return {
        "Id": found.account_id,
        "Name": found.name,
        "Status": "ACTIVE" if found.is_active else "SUSPENDED",
        "CreateDate": _time(found.created_at),
    }


def principal(found: Principal) -> Document:
    """A user or role."""
    title = found.kind.capitalize()
    document: Document = {
        "Path": found.path,
        f"{title}Name": found.name,
        f"{title}Id": found.unique_id,
        "Arn": found.arn,
        "CreateDate": _time(found.created_at),
    }
    if found.trust_policy is not None:
        document["AssumeRolePolicyDocument"] = json.loads(found.trust_policy)
        document["MaxSessionDuration"] = found.max_session_seconds
    if found.boundary is not None:
        document["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": found.boundary,
        }
    document["Tags"] = [{"Key": key, "Value": value} for key, value in found.tags.items()]
    return document


def applied(found: Principal, attached: Sequence[str], inline: Mapping[str, str]) -> Document:
    """A user or role with the policies that apply to it, as GetAccountAuthorizationDetails shows them."""
    listed = f"{found.kind.capitalize()}PolicyList"
    return principal(found) | {
        "AttachedManagedPolicies": [attachment(arn) for arn in attached],
        listed: [
            {"PolicyName": name, "PolicyDocument": json.loads(text)} for name, text in sorted(inline.items())
        ],
    }


def attachment(arn: str) -> Document:
    """A managed policy as something attached."""
    return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}


def policy(found: ManagedPolicy) -> Document:
    """A managed policy without its text. Those of AWS have neither an id nor times here."""
    document: Document = {"PolicyName": found.name, "Arn": found.arn, "Path": found.path}
    if found.is_of_aws:
        return document
    return document | {
        "PolicyId": found.unique_id,
        "CreateDate": _time(found.created_at),
        "UpdateDate": _time(found.updated_at),
    }


def policy_with_text(found: ManagedPolicy) -> Document:
    """A managed policy with what it says."""
    return policy(found) | {"Document": json.loads(found.text)}


def key(found: KeyFacts) -> Document:
    """An access key without its secret. That of a root has no user."""
    owner = {} if found.user_name is None else {"UserName": found.user_name}
    return owner | {
        "AccessKeyId": found.access_key_id,
        "Status": "Active" if found.is_active else "Inactive",
        "CreateDate": _time(found.created_at),
    }


def provider(found: IdentityProvider) -> Document:
    """An OIDC identity provider; AWS shows its URL without the scheme."""
    return {
        "Arn": found.arn,
        "Url": found.issuer,
        "ClientIDList": list(found.audiences),
        "CreateDate": _time(found.created_at),
    }
