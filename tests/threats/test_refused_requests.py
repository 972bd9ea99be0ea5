"""Bad input to ``/v2/``, by its number in the list of threats: the expected answer and no trace.

Each request goes to the whole application; see ``world.refused`` for what must hold of it.
"""

import json

import pytest

from tests.fuzz.json_api import HOST
from tests.fuzz.values import NOBODY, digest_of
from tests.threats.world import (
    BAD_DIGESTS,
    LAYER,
    NAME,
    STILL,
    UNKNOWN_ID,
    Make,
    World,
    descriptor,
    manifest_of,
    refused,
    told,
)


def v2(method: str, path: str, data: bytes = b"", **headers: str) -> Make:
    """A request with a good token; ``<upload>`` in the path stands for the upload that is open."""
    return lambda world: world.ask(method, path.replace("<upload>", world.location), data, **headers)


PATH_NAMES = ("A", "a//b", "../x", "a/../b", "-a", "a_", "a", "a" * 257, "%C3%A4b", "a%2e%2eb", "a%00b", "a%5Cb", "a..;/b", "%c0%ae%c0%ae/x")  # fmt: skip


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        *(
            pytest.param(
                v2("POST", f"/v2/{name}/blobs/uploads/"),
                (400, "NAME_INVALID"),
                marks=[pytest.mark.threat(21), pytest.mark.incident(19)],
            )
            for name in PATH_NAMES
        ),
        *(
            pytest.param(
                v2("PUT", f"/v2/{NAME}/manifests/{tag}", manifest_of()),
                (400, "TAG_INVALID"),
                marks=pytest.mark.threat(22),
            )
            for tag in ("a" * 129, ".a", "-a", "%C3%A4", "latest%0A")
        ),
        *(
            pytest.param(
                v2("PUT", f"/v2/{NAME}/manifests/{digest}", manifest_of()),
                (400, "DIGEST_INVALID"),
                marks=[pytest.mark.threat(23), pytest.mark.incident(26)],
            )
            for digest in (*BAD_DIGESTS, "sha256:baddigeststring", "sha256+b64u:abc")
        ),
        *(
            pytest.param(
                v2("GET", f"/v2/{NAME}/tags/list?n={count}"),
                (400, "UNSUPPORTED"),
                marks=[pytest.mark.threat(24), pytest.mark.incident(17)],
            )
            for count in ("-1", "abc", "1.5", "%D9%A1")
        ),
        *(
            pytest.param(
                v2("PATCH", "<upload>", b"more", content_range=value),
                (416, "BLOB_UPLOAD_INVALID"),
                marks=pytest.mark.threat(29),
            )
            for value in ("0-3", "9-12", "11-14")
        ),
        *(
            pytest.param(
                v2("PATCH", "<upload>", b"more", content_range=value),
                (400, "SIZE_INVALID"),
                marks=pytest.mark.threat(30),
            )
            for value in ("10-12", "10-14", "13-10", "bytes 10-13/14", "a-b", "10-")
        ),
        pytest.param(
            v2("PATCH", "<upload>", b"more", content_length="10995116277760"),
            (413, "SIZE_INVALID"),
            marks=pytest.mark.threat(32),
        ),
        pytest.param(
            v2("POST", f"/v2/{NAME}/blobs/uploads/?digest={NOBODY}", b"other bytes"),
            (400, "DIGEST_INVALID"),
            marks=pytest.mark.threat(33),
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/blobs/uploads/{UNKNOWN_ID}?digest={digest_of(LAYER)}"),
            (404, "BLOB_UPLOAD_UNKNOWN"),
            marks=pytest.mark.threat(34),
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/v2", b"{" + b" " * 4_194_304 + b"}"),
            (413, "MANIFEST_INVALID"),
            marks=[pytest.mark.threat(41), pytest.mark.incident(17)],
        ),
        pytest.param(
            v2(
                "PUT",
                f"/v2/{NAME}/manifests/v2",
                manifest_of(),
                content_type="application/vnd.oci.image.index.v1+json",
            ),
            (400, "MANIFEST_INVALID"),
            marks=[pytest.mark.threat(42), pytest.mark.incident(16)],
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/v2", manifest_of(manifests=[])),
            (400, "MANIFEST_INVALID"),
            marks=[pytest.mark.threat(43), pytest.mark.incident(16)],
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/v2", manifest_of()[:-1] + b',"config":{}}'),
            (400, "MANIFEST_INVALID"),
            marks=[pytest.mark.threat(44), pytest.mark.incident(16)],
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/v2", manifest_of(layers=[descriptor(b"nowhere")])),
            (404, "MANIFEST_BLOB_UNKNOWN"),
            marks=pytest.mark.threat(45),
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/v2", manifest_of(layers=[descriptor(LAYER, size=3)])),
            (400, "MANIFEST_INVALID"),
            marks=pytest.mark.threat(46),
        ),
        pytest.param(
            v2("PUT", f"/v2/{STILL}/manifests/v1", manifest_of(a="b")),
            (400, "TAG_INVALID"),
            marks=[pytest.mark.threat(51), pytest.mark.incident(6)],
        ),
        pytest.param(
            v2(
                "PUT",
                f"/v2/{STILL}/manifests/{digest_of(manifest_of(a='b'))}?tag=new&tag=v1",
                manifest_of(a="b"),
            ),
            (400, "TAG_INVALID"),
            marks=[pytest.mark.threat(51), pytest.mark.incident(6)],
        ),
        pytest.param(
            v2("PUT", f"/v2/{NAME}/manifests/{NOBODY}", manifest_of()),
            (400, "DIGEST_INVALID"),
            marks=pytest.mark.threat(52),
        ),
    ],
)
def test_a_request_with_bad_input_is_refused(world: World, make: Make, expected: tuple[int, str]) -> None:
    """Status and code of the distribution-spec."""
    assert told(refused(world, make(world))) == expected


@pytest.mark.threat(16)
@pytest.mark.incident(3)
def test_another_account_touches_nothing(world: World) -> None:
    """A good token of another account is refused alike at what is there and at what is not."""
    for name in (NAME, "no/such"):
        for sent in (
            world.ask("PUT", f"/v2/{name}/manifests/v1", world.manifest, authorization=world.other_token),
            world.ask("POST", f"/v2/{name}/blobs/uploads/", authorization=world.other_token),
            world.ask("DELETE", f"/v2/{name}/manifests/v1", authorization=world.other_token),
            world.ask("PATCH", world.location.replace(NAME, name), b"x", authorization=world.other_token),
        ):
            assert told(refused(world, sent)) == (403, "DENIED")


@pytest.mark.threat(67)
def test_the_source_of_a_request_is_its_peer(world: World) -> None:
    """Whatever a header says of where it comes from."""
    sent = world.ask(
        "GET", f"/v2/{NAME}/manifests/gone", x_forwarded_for="203.0.113.9", forwarded="for=203.0.113.9"
    )
    answer = refused(world, sent)
    assert b'"source_ip":"127.0.0.1"' in answer.log
    assert b"203.0.113.9" not in answer.log


@pytest.mark.threat(66)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:1", "111111111111.dkr.ecr.us-east-1.amazonaws.com"]
)
def test_a_host_is_not_given_out_to_others(world: World, host: str) -> None:
    """Neither where an upload goes on nor what a repository is called comes from the Host of a request."""
    answer = world.send(world.ask("GET", world.location, host=host))
    assert host.encode() not in b"".join(value for name, value in answer.headers if name != b"www-authenticate")
    found = json.loads(world.call("DescribeRepositories", repositoryNames=[NAME]).body)
    assert found["repositories"][0]["repositoryUri"] == f"{HOST}/{NAME}"
