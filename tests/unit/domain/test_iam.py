"""What identities are called."""

from collections.abc import Callable

import pytest

from moorage.domain.errors import InvalidRequest
from moorage.domain.iam import Issuer, Path, PolicyArn, PolicyName, PrincipalName, principal_arn, provider_arn

ACCOUNT = "123456789012"

GOOD: list[tuple[Callable[[str], str], str]] = [
    (PrincipalName.parse, "a"),
    (PrincipalName.parse, "Ann_B+c=d,e.f@g-h"),
    (PrincipalName.parse, "x" * 64),
    (PolicyName.parse, "x" * 128),
    (Path.parse, "/"),
    (Path.parse, "/team/ci/"),
    (Path.parse, f"/{'x' * 510}/"),
]

BAD: list[tuple[Callable[[str], str], str]] = [
    (PrincipalName.parse, ""),
    (PrincipalName.parse, "x" * 65),
    (PrincipalName.parse, "two words"),
    (PrincipalName.parse, "a/b"),
    (PrincipalName.parse, "line\n"),
    (PrincipalName.parse, "é"),
    (PrincipalName.parse, "a:b"),
    (PrincipalName.parse, "a*"),
    (PolicyName.parse, ""),
    (PolicyName.parse, "x" * 129),
    (PolicyName.parse, "tab\t"),
    (Path.parse, ""),
    (Path.parse, "team"),
    (Path.parse, "/team"),
    (Path.parse, "team/"),
    (Path.parse, "/te am/"),
    (Path.parse, "/é/"),
    (Path.parse, "/team/\n"),
    (Path.parse, f"/{'x' * 511}/"),
    (Issuer.parse, "http://issuer.example.com"),
    (Issuer.parse, "issuer.example.com"),
    (Issuer.parse, "https://"),
    (Issuer.parse, "https://user@issuer.example.com"),
    (Issuer.parse, "https://issuer.example.com?a=b"),
    (Issuer.parse, "https://issuer.example.com/#a"),
    (Issuer.parse, "https://issuer.example.com/\n"),
    (Issuer.parse, f"https://{'x' * 248}"),
]


@pytest.mark.parametrize(("parse", "text"), GOOD)
def test_a_name_of_the_grammar_is_itself(parse: Callable[[str], str], text: str) -> None:
    """IAM's characters and lengths."""
    assert parse(text) == text


@pytest.mark.parametrize(("parse", "text"), BAD)
def test_anything_else_is_refused(parse: Callable[[str], str], text: str) -> None:
    """With a sentence, and nothing is ever trimmed to fit."""
    with pytest.raises(InvalidRequest):
        parse(text)


@pytest.mark.parametrize("issuer", ["issuer.example.com", "issuer.example.com:8443/realms/ci", "a.example/id/"])
def test_an_issuer_is_named_without_its_scheme(issuer: str) -> None:
    """As AWS names it, whatever follows the host."""
    assert Issuer.parse(f"https://{issuer}") == issuer


@pytest.mark.parametrize(
    "text",
    [
        f"arn:aws:iam::{ACCOUNT}:policy/pull",
        f"arn:aws:iam::{ACCOUNT}:policy/team/ci/pull",
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::aws:policy/service-role/Some",
    ],
)
def test_the_arn_of_a_policy_is_read_and_written(text: str) -> None:
    """An account's, or AWS's."""
    assert str(PolicyArn.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pull",
        f"arn:aws:iam::{ACCOUNT}:user/alice",
        f"arn:aws:iam::{ACCOUNT}:policy",
        f"arn:aws:iam::{ACCOUNT}:policy/",
        f"arn:aws:iam::{ACCOUNT}:policy//",
        f"arn:aws:iam::{ACCOUNT}:policy/two words",
        f"arn:aws:iam:us-east-1:{ACCOUNT}:policy/pull",
        f"arn:aws:ecr::{ACCOUNT}:policy/pull",
        "arn:aws:iam::1234:policy/pull",
        "arn:aws:iam:::policy/pull",
        f"arn:aws:iam::{ACCOUNT}:policy/pull\n",
        f"arn:aws:iam::{ACCOUNT}:policy/{'x' * 2000}",
    ],
)
def test_what_is_no_arn_of_a_policy_is_refused(text: str) -> None:
    """Whichever part it lacks."""
    with pytest.raises(InvalidRequest, match="not that of a managed policy"):
        PolicyArn.parse(text)


def test_arns_are_those_of_aws() -> None:
    """The path stands between kind and name; a root has neither."""
    assert principal_arn(ACCOUNT, "user", "/", "alice") == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert principal_arn(ACCOUNT, "role", "/ci/", "builder") == f"arn:aws:iam::{ACCOUNT}:role/ci/builder"
    assert principal_arn(ACCOUNT, "root", "/", "root") == f"arn:aws:iam::{ACCOUNT}:root"
    assert provider_arn(ACCOUNT, "a.example/id") == f"arn:aws:iam::{ACCOUNT}:oidc-provider/a.example/id"
