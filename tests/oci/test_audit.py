"""What is recorded of calls of the distribution API: AWS's names for what they do."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from moorage.domain.audit import MAX_TEXT, only_reads
from moorage.oci.routes import ROUTES, Route
from tests.oci import driver as driver_module
from tests.oci.driver import ACCOUNT, EMPTY_CONFIG, HOST, REGION, Body, Registry, manifest_of, sha256
from tests.support.auditing import Trail, committed

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
APP = "/v2/team/app"
BLOB = b"the bytes of a blob"

#: Names that are AWS's own; the others are ours, for what AWS has no call for (docs/audit.md).
AWS = {
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "CompleteLayerUpload",
    "DescribeRepositories",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "ListImageReferrers",
    "ListImages",
    "PutImage",
    "UploadLayerPart",
}
OURS = {"AbortLayerUpload", "CheckAuthorizationToken", "GetLayerUpload"}


class Call:
    """One request with all that was recorded of it."""

    def __init__(self, registry: Registry, method: str, target: str, body: bytes = b"", **headers: str) -> None:
        named = {"host": HOST, "authorization": registry.authorization(), "content-length": str(len(body))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        named = {name: value for name, value in named.items() if value}
        before = len(committed(registry.database))
        self.request = driver_module._request(method, target, named, Body([body] if body else []))
        self.response = asyncio.run(registry.api.handle(self.request))
        self.in_transaction = committed(registry.database)[before:]
        self.after = Trail().see(self.request, self.response)

    @property
    def record(self) -> dict[str, Any]:
        """The one record."""
        (record,) = self.in_transaction + self.after
        return record


Prepared = tuple[str, bytes]


def _image(registry: Registry) -> Prepared:
    registry.push_blob("team/app", EMPTY_CONFIG)
    return f"{APP}/manifests/1.0", manifest_of()


def _pushed(registry: Registry) -> Prepared:
    return f"{APP}/manifests/{registry.push_image('team/app', '1.0')}", b""


#: What each route that changes something is called with, after what it needs.
CHANGES: dict[tuple[str, str], Callable[[Registry], Prepared]] = {
    ("PUT", "put_manifest"): _image,
    ("DELETE", "delete_manifest"): _pushed,
    ("DELETE", "delete_blob"): lambda registry: (f"{APP}/blobs/{registry.push_blob('team/app', BLOB)}", b""),
    ("POST", "post_upload"): lambda _registry: (f"{APP}/blobs/uploads/", b""),
    ("PATCH", "patch_upload"): lambda registry: (registry.start_upload("team/app"), BLOB),
    ("PUT", "put_upload"): lambda registry: (
        f"{registry.start_upload('team/app')}?digest={sha256(BLOB)}",
        BLOB,
    ),
    ("DELETE", "delete_upload"): lambda registry: (registry.start_upload("team/app"), b""),
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.shape}")
def test_each_route_has_an_event_and_each_that_changes_something_is_tried_here(route: Route) -> None:
    """A new one needs a name, AWS's where there is one; a change needs a line above, and ``Call.change``."""
    assert route.event in AWS | OURS
    if route.action and route.event in AWS - {"ListImageReferrers"}:
        assert route.action == f"ecr:{route.event}"
    assert ((route.method, route.operation) in CHANGES) is not only_reads(route.event)


@pytest.mark.parametrize(("method", "operation"), CHANGES)
def test_a_change_has_one_record_in_its_own_transaction(
    registry: Registry, method: str, operation: str
) -> None:
    """It names who, what and where."""
    target, body = CHANGES[method, operation](registry)
    call = Call(registry, method, target, body)
    assert call.response.status < 300, call.response
    assert call.after == []
    (record,) = call.in_transaction
    (route,) = {route for route in ROUTES if (route.method, route.operation) == (method, operation)}
    assert (record["eventName"], record["readOnly"]) == (route.event, False)
    assert record["requestParameters"]["repositoryName"] == "team/app"
    assert record["responseElements"] is not None
    assert record["resources"] == [{"ARN": ARN, "accountId": ACCOUNT}]
    assert record["requestID"] == call.request.facts.request_id
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"


@pytest.mark.parametrize(
    ("method", "target", "event", "parameters"),
    [
        ("GET", "/v2/", "CheckAuthorizationToken", {}),
        ("GET", "/v2/_catalog", "DescribeRepositories", {}),
        ("GET", f"{APP}/manifests/1.0", "BatchGetImage", {"imageIds": [{"imageTag": "1.0"}]}),
        (
            "HEAD",
            f"{APP}/manifests/{sha256(b'')}",
            "BatchGetImage",
            {"imageIds": [{"imageDigest": sha256(b"")}]},
        ),
        ("GET", f"{APP}/blobs/{sha256(b'')}", "GetDownloadUrlForLayer", {"layerDigest": sha256(b"")}),
        ("HEAD", f"{APP}/blobs/{sha256(b'')}", "BatchCheckLayerAvailability", {"layerDigests": [sha256(b"")]}),
        ("GET", f"{APP}/blobs/uploads/u1", "GetLayerUpload", {"uploadId": "u1"}),
        ("GET", f"{APP}/tags/list", "ListImages", {}),
        (
            "GET",
            f"{APP}/referrers/{sha256(b'')}",
            "ListImageReferrers",
            {"subjectId": {"imageDigest": sha256(b"")}},
        ),
    ],
)
def test_a_read_is_recorded_by_awss_name_and_members(
    registry: Registry, method: str, target: str, event: str, parameters: dict[str, Any]
) -> None:
    """Whatever comes of it."""
    record = Call(registry, method, target).record
    where = {"repositoryName": "team/app"} if target.startswith(APP) else {}
    assert (record["eventName"], record["readOnly"]) == (event, True)
    assert record["requestParameters"] == {"registryId": ACCOUNT} | where | parameters
    assert record["responseElements"] is None


def test_a_push_has_its_manifest_and_the_image(registry: Registry) -> None:
    """A long manifest is cut."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    manifest = manifest_of(annotations={"a": "b" * MAX_TEXT})
    record = Call(registry, "PUT", f"{APP}/manifests/1.0", manifest).record
    text = record["requestParameters"]["imageManifest"]
    assert text.startswith(manifest.decode()[:MAX_TEXT])
    assert len(text) < MAX_TEXT + 50
    image = record["responseElements"]["image"]
    assert image["imageId"] == {"imageDigest": sha256(manifest), "imageTag": "1.0"}


def test_a_mount_tells_from_where(registry: Registry) -> None:
    """It is a change of the repository that gets the layer."""
    registry.create("team/base")
    digest = registry.push_blob("team/base", BLOB)
    call = Call(registry, "POST", f"{APP}/blobs/uploads/?mount={digest}&from=team/base")
    (record,) = call.in_transaction
    assert record["requestParameters"]["mountFrom"] == "team/base"
    assert record["responseElements"]["layerDigest"] == digest


def test_a_mount_that_cannot_be_is_recorded_as_the_upload_that_it_became(registry: Registry) -> None:
    """Once."""
    call = Call(registry, "POST", f"{APP}/blobs/uploads/?mount={sha256(BLOB)}&from=team/base")
    (record,) = call.in_transaction
    assert list(record["responseElements"]) == ["uploadId"]


def test_a_refusal_has_awss_code(registry: Registry) -> None:
    """As on the other face."""
    record = Call(registry, "GET", f"{APP}/manifests/missing").record
    assert record["errorCode"] == "ImageNotFoundException"
    record = Call(registry, "PUT", f"{APP}/manifests/1.0", manifest_of()).record
    assert (record["errorCode"], record["readOnly"]) == ("LayersNotFoundException", False)


def test_who_has_no_good_token_is_unknown_but_what_was_tried_is_told(registry: Registry) -> None:
    """The name and the tag are no secret; the token stays out."""
    for authorization in ("", "Basic QVdTOnBhc3N3b3Jk", "Bearer something"):
        record = Call(registry, "GET", f"{APP}/manifests/1.0", authorization=authorization).record
        assert record["userIdentity"] == {"type": "Unknown", "principalId": ""}
        assert record["requestParameters"]["imageIds"] == [{"imageTag": "1.0"}]
        assert record["errorCode"] in {"MissingAuthenticationTokenException", "UnrecognizedClientException"}
        assert "QVdT" not in json.dumps(record)


def test_a_key_that_is_gone_is_named(registry: Registry) -> None:
    """The token proves whose it was."""
    authorization = registry.authorization(key_id="AKIAGONE")
    record = Call(registry, "GET", f"{APP}/tags/list", authorization=authorization).record
    assert record["userIdentity"]["accessKeyId"] == "AKIAGONE"
    assert record["errorCode"] == "UnrecognizedClientException"


@pytest.mark.parametrize("path", ["/v2/elsewhere", f"{APP}/manifests", "/v2/../etc/passwd"])
def test_a_path_that_leads_nowhere_is_recorded_without_it(registry: Registry, path: str) -> None:
    """As a call that does not exist."""
    record = Call(registry, "GET", path).record
    assert (record["eventName"], record["requestParameters"]) == ("UnknownOperation", None)


def test_a_name_that_is_none_is_told_but_is_no_resource(registry: Registry) -> None:
    """Nothing of that name can exist."""
    record = Call(registry, "GET", "/v2/Team/APP/tags/list").record
    assert record["requestParameters"]["repositoryName"] == "Team/APP"
    assert "resources" not in record
    assert record["errorCode"] == "InvalidParameterException"


def test_no_query_gets_into_a_record(registry: Registry) -> None:
    """Whoever puts a token there finds it in no log."""
    call = Call(registry, "GET", f"{APP}/tags/list?token=hunter2&X-Amz-Signature=hunter3")
    assert "hunter" not in json.dumps(call.record)
