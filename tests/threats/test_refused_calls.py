"""Bad input to the JSON API, by its number in the list of threats: the expected answer and no trace.

Each request goes to the whole application; see ``world.refused`` for what must hold of it.
"""

import base64
import json
from typing import Any

import pytest

from tests.fuzz.json_api import HOST
from tests.fuzz.requests import Sent
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


def api(operation: str, **given: Any) -> Make:
    """A well-signed call."""
    return lambda world: world.calls.signed(operation, json.dumps(given).encode())


def body(text: str | bytes, operation: str = "CreateRepository") -> Make:
    """A well-signed call with this body."""
    data = text.encode() if isinstance(text, str) else text
    return lambda world: world.calls.signed(operation, data)


def part(first: int, last: int, blob: bytes, **changes: Any) -> Make:
    """A layer part for the upload that is open."""

    def make(world: World) -> Sent:
        given = {
            "repositoryName": NAME,
            "uploadId": world.upload_id,
            "partFirstByte": first,
            "partLastByte": last,
        }
        given |= {"layerPartBlob": base64.b64encode(blob).decode()} | changes
        return world.calls.signed("UploadLayerPart", json.dumps(given).encode())

    return make


def end(**changes: Any) -> Make:
    """An end of the upload that is open."""

    def make(world: World) -> Sent:
        given = {
            "repositoryName": NAME,
            "uploadId": world.upload_id,
            "layerDigests": [digest_of(b"0123456789")],
        }
        return world.calls.signed("CompleteLayerUpload", json.dumps(given | changes).encode())

    return make


def image(manifest: bytes, name: str = NAME, **given: Any) -> Make:
    """A PutImage."""
    return api("PutImage", repositoryName=name, imageManifest=manifest.decode(), **given)


BAD_NAMES = ("A", "a//b", "../x", "a/../b", "-a", "a_", "a", "a" * 257, "\u00e4\u00f6", "a%2eb", "ab/", "a\0b")
BAD_TAGS = ("", "a" * 129, ".a", "-a", "\u00e4", "latest\n")
BAD_JSON = (
    "not json", "[]", "[" * 10_000, '{"repositoryName":"ab","repositoryName":"cd"}', '{"repositoryName":NaN}',
    '{"maxResults":1e400}', '{"repositoryName":"\\ud800"}', b'\xef\xbb\xbf{"repositoryName":"ab"}', b'{"repositoryName":"\xff"}',
    '{"repositoryName":1}', '{"repositoryName":["ab"]}', '{"repositoryName":"ab","tags":{}}', '{"repositoryName":"ab","imageScanningConfiguration":1}',
)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "code"),
    [
        *(
            pytest.param(
                api("CreateRepository", repositoryName=name),
                "InvalidParameterException",
                marks=[pytest.mark.threat(21), pytest.mark.incident(19)],
            )
            for name in BAD_NAMES
        ),
        *(
            pytest.param(
                image(manifest_of(), imageTag=tag), "InvalidParameterException", marks=pytest.mark.threat(22)
            )
            for tag in BAD_TAGS
        ),
        *(
            pytest.param(
                image(manifest_of(), imageDigest=digest),
                "InvalidParameterException",
                marks=[pytest.mark.threat(23), pytest.mark.incident(26)],
            )
            for digest in BAD_DIGESTS
        ),
        *(
            pytest.param(
                api("DescribeRepositories", maxResults=count),
                "InvalidParameterException",
                marks=[pytest.mark.threat(24), pytest.mark.incident(17)],
            )
            for count in (0, -1, 1001, 10**9)
        ),
        pytest.param(
            api("DescribeRepositories", nextToken="forged"),
            "InvalidParameterException",
            marks=pytest.mark.threat(25),
        ),
        *(
            pytest.param(body(text), "SerializationException", marks=pytest.mark.threat(26))
            for text in BAD_JSON
        ),
        pytest.param(body("{}", "NoSuchOperation"), "UnknownOperationException", marks=pytest.mark.threat(27)),
        pytest.param(
            part(0, 9, b"0123456789"), "InvalidLayerPartException", marks=pytest.mark.threat(37), id="overlap"
        ),
        pytest.param(part(11, 11, b"x"), "InvalidLayerPartException", marks=pytest.mark.threat(37), id="gap"),
        pytest.param(
            part(10, 19, b"x"), "InvalidLayerPartException", marks=pytest.mark.threat(37), id="too few bytes"
        ),
        pytest.param(
            part(10, 10, bytes(20_971_521)),
            "InvalidParameterException",
            marks=pytest.mark.threat(37),
            id="large",
        ),
        pytest.param(
            part(10, 10, b"x", uploadId=UNKNOWN_ID), "UploadNotFoundException", marks=pytest.mark.threat(37)
        ),
        pytest.param(
            part(10, 10, b"x", repositoryName=STILL),
            "UploadNotFoundException",
            marks=[pytest.mark.threat(36), pytest.mark.incident(3)],
        ),
        pytest.param(
            end(layerDigests=[NOBODY]), "InvalidLayerException", marks=pytest.mark.threat(37), id="wrong digest"
        ),
        pytest.param(end(uploadId=UNKNOWN_ID), "UploadNotFoundException", marks=pytest.mark.threat(37)),
        pytest.param(
            image(manifest_of(a="x" * 4_194_304)), "InvalidParameterException", marks=pytest.mark.threat(41)
        ),
        pytest.param(
            image(manifest_of(), imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json"),
            "InvalidParameterException",
            marks=[pytest.mark.threat(42), pytest.mark.incident(16)],
        ),
        pytest.param(
            image(manifest_of(manifests=[])),
            "InvalidParameterException",
            marks=[pytest.mark.threat(43), pytest.mark.incident(16)],
        ),
        pytest.param(
            image(manifest_of()[:-1] + b',"layers":[]}'),
            "InvalidParameterException",
            marks=[pytest.mark.threat(44), pytest.mark.incident(16)],
        ),
        pytest.param(
            image(manifest_of(layers=[descriptor(b"nowhere")])),
            "LayersNotFoundException",
            marks=pytest.mark.threat(45),
        ),
        pytest.param(
            image(manifest_of(layers=[descriptor(LAYER, size=1)])),
            "InvalidParameterException",
            marks=pytest.mark.threat(46),
        ),
        pytest.param(
            image(manifest_of(layers=[descriptor(LAYER)] * 10_001)),
            "InvalidParameterException",
            marks=pytest.mark.threat(49),
        ),
        pytest.param(
            image(manifest_of(a="b"), STILL, imageTag="v1"),
            "ImageTagAlreadyExistsException",
            marks=[pytest.mark.threat(51), pytest.mark.incident(6)],
        ),
        pytest.param(
            image(manifest_of(a="b"), imageDigest=NOBODY),
            "ImageDigestDoesNotMatchException",
            marks=pytest.mark.threat(52),
        ),
    ],
)
def test_a_call_with_bad_input_is_refused(world: World, make: Make, code: str) -> None:
    """Status 400 and the code of ECR's own words."""
    assert told(refused(world, make(world))) == (400, code)


@pytest.mark.threat(28)
@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", b"/", 405), ("PUT", b"/", 405), ("GET", b"/x", 404)]
)
def test_the_json_api_takes_post(world: World, method: str, target: bytes, status: int) -> None:
    """Anything else is told where to go."""
    assert refused(world, Sent(method, target, [(b"host", HOST.encode())])).status == status
