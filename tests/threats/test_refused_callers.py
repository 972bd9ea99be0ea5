"""Nobody, in every way: callers that are refused by both faces, with a line in the log and no trace.

Each request goes to the whole application; see ``world.refused`` for what must hold of it.
"""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from moorage.ecr.contract import TARGET_PREFIX
from tests.fuzz.json_api import HOST, SIGNED
from tests.fuzz.requests import Sent
from tests.support import signing
from tests.support.signing import Scope
from tests.threats.world import NAME, Make, World, refused, told


def signed_call(world: World, **changes: str) -> Sent:
    """A call that would make a repository, signed with these changes to its scope."""
    body = b'{"repositoryName":"made/by-nobody"}'
    moment = datetime.now(UTC) + timedelta(minutes=float(changes.pop("minutes", "0")))
    key_id, secret = world.calls._key
    facts = {"access_key_id": key_id, "secret": secret} | changes
    scope = Scope(moment=moment.strftime("%Y%m%dT%H%M%SZ"), **facts)
    headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("host", HOST),
        ("x-amz-date", scope.moment),
        ("x-amz-target", f"{TARGET_PREFIX}.CreateRepository"),
    ]
    headers.append(("authorization", signing.header_value(scope, headers, SIGNED, body)))
    sent = [(name.encode(), value.encode()) for name, value in headers]
    return Sent("POST", b"/", [*sent, (b"content-length", str(len(body)).encode())], (body,))


def without(sent: Sent, name: bytes) -> Sent:
    """The same without one header."""
    return Sent(sent.method, sent.target, [pair for pair in sent.headers if pair[0] != name], sent.pieces)


def doubled(sent: Sent, name: bytes) -> Sent:
    """The same with one header twice."""
    twice = [pair for pair in sent.headers if pair[0] == name]
    return Sent(sent.method, sent.target, [*sent.headers, *twice], sent.pieces)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(
            lambda world: without(signed_call(world), b"authorization"),
            "MissingAuthenticationTokenException",
            marks=pytest.mark.threat(1),
        ),
        pytest.param(
            lambda world: signed_call(world, access_key_id="AKIAUNKNOWNUNKNOWNUN"),
            "UnrecognizedClientException",
            marks=pytest.mark.threat(2),
        ),
        pytest.param(
            lambda world: signed_call(world, secret="x" * 40),
            "InvalidSignatureException",
            marks=pytest.mark.threat(3),
        ),
        pytest.param(
            lambda world: signed_call(world, minutes="-16"),
            "InvalidSignatureException",
            marks=pytest.mark.threat(4, 11),
        ),
        pytest.param(
            lambda world: signed_call(world, minutes="16"),
            "InvalidSignatureException",
            marks=pytest.mark.threat(4),
        ),
        pytest.param(
            lambda world: Sent(
                "POST", b"/", signed_call(world).headers, (b'{"repositoryName":"made/by-others"}',)
            ),
            "InvalidSignatureException",
            marks=pytest.mark.threat(5),
        ),
        pytest.param(
            lambda world: signed_call(world, service="sts"),
            "IncompleteSignatureException",
            marks=pytest.mark.threat(6),
        ),
        pytest.param(
            lambda world: doubled(signed_call(world), b"authorization"),
            "IncompleteSignatureException",
            marks=pytest.mark.threat(8),
        ),
        pytest.param(
            lambda world: doubled(signed_call(world), b"host"),
            "IncompleteSignatureException",
            marks=pytest.mark.threat(8),
        ),
        pytest.param(
            lambda world: Sent(
                "POST",
                b"/",
                [*signed_call(world).headers, (b"x-amz-security-token", b"stolen")],
                signed_call(world).pieces,
            ),
            "IncompleteSignatureException",
            marks=pytest.mark.threat(9),
        ),
    ],
)
def test_a_call_of_nobody_is_refused(world: World, make: Make, code: str) -> None:
    """Status 400, as ECR's JSON API has it; the code says what is wrong."""
    assert told(refused(world, make(world))) == (400, code)


@pytest.mark.threat(6)
def test_a_region_is_part_of_what_is_signed(world: World) -> None:
    """A scope that was changed on the way fails; one that was signed so is another, empty registry."""
    sent = signed_call(world)
    moved = [(name, value.replace(b"/us-east-1/", b"/eu-west-1/")) for name, value in sent.headers]
    assert told(refused(world, Sent("POST", b"/", moved, sent.pieces))) == (400, "InvalidSignatureException")


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", marks=pytest.mark.threat(13)),
        pytest.param("Basic %%%", marks=pytest.mark.threat(13)),
        pytest.param("Bearer x", marks=pytest.mark.threat(13)),
        pytest.param("Basic " + base64.b64encode(b"root:x").decode(), marks=pytest.mark.threat(14)),
        pytest.param("Basic " + base64.b64encode(b"AWS:guessed").decode(), marks=pytest.mark.threat(13)),
    ],
)
def test_a_push_of_nobody_is_refused(world: World, authorization: str) -> None:
    """401 with ECR's challenge, whatever the request would have done."""
    for sent in (
        world.ask("PUT", f"/v2/{NAME}/manifests/v2", world.manifest, authorization=authorization),
        world.ask("POST", f"/v2/{NAME}/blobs/uploads/", authorization=authorization),
        world.ask("PATCH", world.location, b"more", authorization=authorization),
        world.ask("DELETE", f"/v2/{NAME}/manifests/v1", authorization=authorization),
    ):
        answer = refused(world, sent)
        assert told(answer) == (401, "Not Authorized")
        assert (answer.header(b"www-authenticate") or b"").endswith(b'service="ecr.amazonaws.com"')
