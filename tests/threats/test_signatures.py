"""Cases 1 to 12: signatures as bytes on a socket, with everything that no client would send."""

import hashlib
from dataclasses import replace

import pytest

from tests.serving import Credentials
from tests.threats.wire import PREFIX, SIGNED, Attacker, Headers

INCOMPLETE = (400, "IncompleteSignatureException")
MISMATCH = (400, "InvalidSignatureException")
HASH = hashlib.sha256(b"{}").hexdigest()


def told(attacker: Attacker, headers: Headers, body: bytes = b"{}", path: str = "/") -> tuple[int, str]:
    """What the server says to a call with these headers."""
    return attacker.send("POST", path, headers, body).told


@pytest.mark.threat(8)
@pytest.mark.incident(11)
@pytest.mark.parametrize("name", ["authorization", "x-amz-date", "x-amz-target"])
def test_8_a_header_that_steers_may_not_come_twice(owner: Attacker, name: str) -> None:
    """Not even with the same value: which one counts would be the reader's choice."""
    headers = owner.sign("DescribeRepositories")
    assert told(owner, [*headers, *(pair for pair in headers if pair[0] == name)]) == INCOMPLETE


@pytest.mark.threat(10)
@pytest.mark.incident(10)
@pytest.mark.parametrize(
    "announced",
    ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0" * 64, hashlib.sha256().hexdigest()],
)
def test_10_no_announced_hash_stands_for_the_body(owner: Attacker, announced: str) -> None:
    """Row 10: the hash of the body that came is what counts, signed or not."""
    headers = owner.sign("DescribeRepositories")
    assert told(owner, [*headers, ("x-amz-content-sha256", announced)]) == MISMATCH
    answer = owner.send("POST", "/", [*headers, ("x-amz-content-sha256", HASH)], b"{}")
    assert answer.status == 200


@pytest.mark.threat(10)
@pytest.mark.incident(10)
def test_10_credentials_stand_in_one_place(owner: Attacker) -> None:
    """Header and query together are refused, whichever of them is good."""
    path = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    assert told(owner, owner.sign("DescribeRepositories"), path=path) == (400, "IncompleteSignature")


@pytest.mark.threat(7, 12)
@pytest.mark.incident(11)
@pytest.mark.parametrize("left_out", ["host", "x-amz-target"])
def test_12_what_says_where_and_what_is_signed(owner: Attacker, left_out: str) -> None:
    """Cases 7 and 12: an unsigned target or host could be exchanged on the way."""
    signed = tuple(name for name in SIGNED if name != left_out)
    assert told(owner, owner.sign("DescribeRepositories", signed=signed)) == INCOMPLETE


@pytest.mark.threat(11)
@pytest.mark.incident(11)
@pytest.mark.parametrize(
    "query",
    ["x-amz-target=x", "X-Amz-Target=x", "%58-Amz-Target=x", "X-Amz-Date=20200101T000000Z"],
)
def test_11_the_query_does_not_override_a_header(owner: Attacker, query: str) -> None:
    """Row 11: no second copy in another case, another encoding or another place."""
    answer = owner.send("POST", f"/?{query}", owner.sign("DescribeRepositories"), b"{}")
    assert (answer.status, answer.json["__type"]) in {INCOMPLETE, (400, "IncompleteSignature")}


@pytest.mark.incident(19)
@pytest.mark.parametrize("path", ["//", "/./", "/x/..", "/%2F", "/;", "/index.html"])
def test_19_only_one_path_is_the_api(owner: Attacker, path: str) -> None:
    """Paths that become ``/`` when somebody tidies them up are not served."""
    assert told(owner, owner.sign("DescribeRepositories"), path=path) == (404, "UnknownOperationException")


@pytest.mark.threat(7)
@pytest.mark.incident(11)
def test_7_another_target_under_a_good_signature(owner: Attacker) -> None:
    """The signed name of the operation is the one that is carried out."""
    headers = [
        (name, f"{PREFIX}.DeleteRepository" if name == "x-amz-target" else value)
        for name, value in owner.sign("DescribeRepositories")
    ]
    assert told(owner, headers) == MISMATCH


@pytest.mark.threat(2, 3)
def test_2_and_3_a_wrong_half_of_a_key(owner: Attacker) -> None:
    """A wrong secret and an unknown id, with a body so large that it is not read."""
    large = b'{"nextToken":"' + b"a" * 1_000_000 + b'"}'
    guessed = replace(owner, key=Credentials(owner.key.access_key_id, "x" * 40))
    unknown = replace(owner, key=Credentials("AKIAUNKNOWNUNKNOWNUN", "x" * 40))
    assert told(guessed, guessed.sign("DescribeRepositories", large), large) == MISMATCH
    assert told(unknown, unknown.sign("DescribeRepositories", large), large) == (
        400,
        "UnrecognizedClientException",
    )
