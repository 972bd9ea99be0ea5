"""Users at the registry's door with good tokens: what they may not do is refused in ECR's words, and leaves nothing behind."""

import asyncio
import json
from hashlib import sha256
from typing import Any

import pytest

from moorage.auth import tokens
from moorage.auth.tokens import RegistryTokenClaims
from moorage.domain.caller import Caller
from moorage.oci.face import DistributionApi
from moorage.web.http import Message, Request, Response
from tests.access.office import APP, Office
from tests.access.people import OURS, PULL, allow, arn, deny
from tests.access.routes import MANIFEST_BODY
from tests.support.database import all_rows

HOUR = 3_600_000_000
TYPE = b"application/vnd.oci.image.manifest.v1+json"


def ask(office: Office, caller: Caller, method: str, path: str, body: bytes = b"") -> Response:
    """A request to ``/v2/`` with the caller's token."""
    claims = RegistryTokenClaims.of(caller, office.driver.now, office.driver.now + HOUR)
    token = tokens.issue_registry_token(office.driver.context.keyring, claims)
    raw, _, query = path.partition("?")
    scope = {
        "method": method,
        "scheme": "http",
        "path": f"/v2/{raw}",
        "raw_path": f"/v2/{raw}".encode(),
        "query_string": query.encode(),
        "headers": [
            (b"host", b"localhost:5050"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", TYPE),
            (b"authorization", b"Basic " + tokens.as_authorization_token(token).encode()),
        ],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    request = Request(scope, receive, office.facts("v2"))
    return asyncio.run(DistributionApi(office.driver.context).handle(request))


def told(response: Response) -> tuple[int, str, str]:
    """Status, code and message of a refusal."""
    assert isinstance(response.body, bytes)
    (error,) = json.loads(response.body)["errors"]
    return response.status, error["code"], error["message"]


@pytest.mark.threat(17)
@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", f"{APP}/blobs/uploads/", "InitiateLayerUpload"),
        ("POST", f"{APP}/blobs/uploads/?digest=sha256:{'0' * 64}", "InitiateLayerUpload"),
        ("PUT", f"{APP}/manifests/v2", "PutImage"),
        ("DELETE", f"{APP}/manifests/v1", "BatchDeleteImage"),
    ],
)
def test_who_may_only_pull_does_not_push(office: Office, method: str, path: str, action: str) -> None:
    """Told so in one sentence, that of IAM."""
    puller = office.hire("puller", allow(*PULL))
    before = all_rows(office.database)
    sentence = (
        f"User: arn:aws:iam::{OURS}:user/puller is not authorized to perform: ecr:{action} on resource: {arn(APP)} "
        f"because no identity-based policy allows the ecr:{action} action"
    )
    assert told(ask(office, puller, method, path, MANIFEST_BODY.encode())) == (403, "DENIED", sentence)
    assert all_rows(office.database) == before
    assert ask(office, puller, "GET", f"{APP}/manifests/v1").status == 200


@pytest.mark.threat(18)
@pytest.mark.parametrize(
    "statements",
    [
        (allow("ecr:*"), deny("ecr:BatchGet*")),
        (allow("ecr:*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}),),
        (allow("ecr:*"), deny("ecr:*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})),
        ({"Effect": "Allow", "NotAction": "ecr:Batch*", "Resource": "*"},),
        ({"Effect": "Allow", "Action": "*", "NotResource": arn("app/*")},),
        (allow("ecr:*"), deny("*", Resource="arn:aws:ecr:*:*:repository/?pp/w*")),
    ],
)
def test_what_denies_or_cannot_be_judged_keeps_a_pull_out(office: Office, statements: tuple[Any, ...]) -> None:
    """An explicit Deny beats every Allow; a condition on a key that nobody knows fails closed."""
    assert told(ask(office, office.hire("alice", *statements), "GET", f"{APP}/manifests/v1"))[:2] == (
        403,
        "DENIED",
    )


@pytest.mark.threat(18)
def test_a_policy_with_an_operator_that_nobody_knows_is_not_kept(office: Office) -> None:
    """Nor judged by, then."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "ecr:*",
        "Condition": {"Equals": {"aws:username": "a"}},
    }
    text = json.dumps({"Statement": [statement]})
    given = {"repositoryName": APP, "policyText": text}
    assert office.driver.refused("SetRepositoryPolicy", **given) == "InvalidParameterException"


@pytest.mark.threat(19)
@pytest.mark.parametrize("is_met", [True, False])
def test_everybody_means_nobody_whose_condition_is_not_met(office: Office, is_met: bool) -> None:
    """The Principal alone opens nothing."""
    place = "127.0.0.0/8" if is_met else "203.0.113.0/24"
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "ecr:*",
        "Condition": {"IpAddress": {"aws:SourceIp": place}},
    }
    office.put_repository_policy(APP, statement)
    for caller in (office.stranger(), office.hire("alice")):
        assert (ask(office, caller, "GET", f"{APP}/tags/list").status == 200) is is_met


@pytest.mark.threat(18)
def test_who_may_not_add_parts_sends_no_bytes(office: Office) -> None:
    """Neither a blob in one request nor the last bytes of an upload; one without a body still goes through."""
    alice = office.hire("alice", allow("ecr:*"), deny("ecr:UploadLayerPart"))
    empty, full = (f"digest=sha256:{sha256(data).hexdigest()}" for data in (b"", b"x"))
    begun = ask(office, alice, "POST", f"{APP}/blobs/uploads/")
    upload = dict(begun.headers)[b"location"].decode().removeprefix("/v2/")
    for method, path in (("POST", f"{APP}/blobs/uploads/"), ("PUT", upload)):
        status, code, message = told(ask(office, alice, method, f"{path}?{full}", b"x"))
        assert (status, code) == (403, "DENIED")
        assert "ecr:UploadLayerPart" in message
    assert ask(office, alice, "PUT", f"{upload}?{empty}").status == 201


def test_a_policy_that_cannot_be_read_any_more_denies_everything(office: Office) -> None:
    """Neither its Denies nor its Allows are known, so nothing is allowed beside it."""
    alice = office.hire("alice", allow("*"))
    assert ask(office, alice, "GET", f"{APP}/manifests/v1").status == 200
    office.put_policy("alice", allow("*"), {"Effect": "Perhaps"})
    assert told(ask(office, alice, "GET", f"{APP}/manifests/v1"))[:2] == (403, "DENIED")
