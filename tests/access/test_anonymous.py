"""Pulls without credentials: where a setting permits it and a repository's policy says so, and nowhere else."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.oci.face import DistributionApi
from moorage.services.accounts import set_account_active
from moorage.web.http import Message, Request, Response
from tests.access.office import APP, LIB, REGISTRY, Office
from tests.access.people import PULL

EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
PULLS = [
    ("GET", f"{APP}/manifests/v1"),
    ("HEAD", f"{APP}/manifests/v1"),
    ("GET", f"{APP}/tags/list"),
    ("GET", f"{APP}/referrers/sha256:{'0' * 64}"),
]


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Office]:
    """A server that permits it."""
    directory = tmp_path / "open"
    directory.mkdir()
    made = Office(directory, anonymous_pull=True)
    yield made
    made.driver.close()


def ask(office: Office, method: str, path: str, authorization: str | None = None) -> Response:
    """A request to ``/v2/`` as whoever this says."""
    headers = [(b"host", b"localhost:5050"), (b"content-length", b"0")]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode()))
    raw = f"/v2/{path}".encode()
    scope = {
        "method": method,
        "scheme": "http",
        "path": raw.decode(),
        "raw_path": raw,
        "query_string": b"",
        "headers": headers,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    request = Request(scope, receive, office.facts("v2"))
    return asyncio.run(DistributionApi(office.driver.context).handle(request))


def is_challenged(response: Response) -> bool:
    """Whether it is ECR's challenge, byte for byte."""
    challenge = b'Basic realm="http://localhost:5050/",service="ecr.amazonaws.com"'
    return (response.status, response.body, dict(response.headers).get(b"www-authenticate")) == (
        401,
        b"Not Authorized\n",
        challenge,
    )


@pytest.mark.parametrize(("method", "path"), PULLS)
@pytest.mark.parametrize("authorization", [None, "Basic Og=="])
def test_a_repository_that_is_open_to_everybody_is_pulled(
    open_office: Office, method: str, path: str, authorization: str | None
) -> None:
    """Some clients send a name and a password that are empty."""
    open_office.put_repository_policy(APP, EVERYBODY)
    assert ask(open_office, method, path, authorization).status == 200


@pytest.mark.parametrize(("method", "path"), PULLS)
def test_without_the_setting_a_policy_opens_nothing_to_nobody(office: Office, method: str, path: str) -> None:
    """It is off unless somebody switches it on."""
    office.put_repository_policy(APP, EVERYBODY)
    assert is_challenged(ask(office, method, path))


@pytest.mark.parametrize("path", [f"{LIB}/manifests/v1", "absent/app/manifests/v1"])
def test_other_repositories_ask_who_it_is(open_office: Office, path: str) -> None:
    """Those that exist and those that do not alike, so that a client with a login uses it."""
    open_office.put_repository_policy(APP, EVERYBODY)
    assert is_challenged(ask(open_office, "GET", path))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "_catalog"),
        ("POST", f"{APP}/blobs/uploads/"),
        ("PUT", f"{APP}/manifests/v2"),
        ("DELETE", f"{APP}/manifests/v1"),
        ("GET", f"{APP}/blobs/uploads/x"),
    ],
)
def test_nothing_but_pulls_is_open(open_office: Office, method: str, path: str) -> None:
    """Whatever the policy allows: a login still finds its challenge."""
    open_office.put_repository_policy(APP, EVERYBODY)
    assert is_challenged(ask(open_office, method, path))


def test_credentials_that_are_wrong_are_not_no_credentials(open_office: Office) -> None:
    """Who shows some is judged by them."""
    open_office.put_repository_policy(APP, EVERYBODY)
    assert is_challenged(ask(open_office, "GET", f"{APP}/manifests/v1", "Basic QVdTOng="))


def test_a_registrys_policy_opens_nothing_to_everybody(open_office: Office) -> None:
    """That is each repository's own affair; what the registry denies is denied."""
    statement = '{"Statement":{"Effect":"%s","Principal":"*","Action":"ecr:*","Resource":"*"}}'
    open_office.driver.ok("PutRegistryPolicy", policyText=statement % "Allow")
    assert is_challenged(ask(open_office, "GET", f"{APP}/manifests/v1"))
    open_office.put_repository_policy(APP, EVERYBODY)
    assert ask(open_office, "GET", f"{APP}/manifests/v1").status == 200
    open_office.driver.ok("PutRegistryPolicy", policyText=statement.replace("ecr:*", "ecr:BatchGet*") % "Deny")
    assert is_challenged(ask(open_office, "GET", f"{APP}/manifests/v1"))


def test_a_policy_for_accounts_opens_nothing_to_everybody(open_office: Office) -> None:
    """However many it names."""
    principal = {"AWS": ["012345678910", "999999999999"]}
    open_office.put_repository_policy(APP, {"Effect": "Allow", "Principal": principal, "Action": [*PULL]})
    assert is_challenged(ask(open_office, "GET", f"{APP}/manifests/v1"))


def test_an_account_that_is_switched_off_is_open_to_nobody(open_office: Office) -> None:
    """Nor are its blobs and manifests that were pulled before."""
    open_office.put_repository_policy(APP, EVERYBODY)
    assert ask(open_office, "GET", f"{APP}/manifests/v1").status == 200
    open_office.database.write_now(set_account_active, REGISTRY.registry_id, is_active=False)
    assert is_challenged(ask(open_office, "GET", f"{APP}/manifests/v1"))
