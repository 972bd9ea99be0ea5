"""Pulling and deleting blobs."""

import pytest

from tests.oci.driver import EMPTY_CONFIG, Registry, manifest_of, sha256

BLOB = bytes(range(256)) * 8
DIGEST = sha256(BLOB)
PATH = f"/v2/team/app/blobs/{DIGEST}"


@pytest.fixture
def pushed(registry: Registry) -> Registry:
    """The registry with one blob of 2,048 bytes."""
    registry.push_blob("team/app", BLOB)
    return registry


def test_a_blob_comes_back_whole(pushed: Registry) -> None:
    """C8: with length and digest, and as nothing a browser would run (threat 21)."""
    reply = pushed.send("GET", PATH)
    assert (reply.status, reply.body, reply.operation) == (200, BLOB, "get_blob")
    expected = {
        "content-length": "2048",
        "content-type": "application/octet-stream",
        "docker-content-digest": DIGEST,
        "etag": f'"{DIGEST}"',
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "cache-control": "private, max-age=31536000, immutable",
    }
    assert {name: reply.headers[name] for name in expected} == expected


def test_head_of_a_blob_tells_the_same_without_a_body(pushed: Registry) -> None:
    """C8: every header that GET has; a range is for GET alone."""
    got = pushed.send("GET", PATH)
    reply = pushed.send("HEAD", PATH, range="bytes=0-9")
    assert (reply.status, reply.body, reply.operation) == (200, b"", "head_blob")
    assert {**reply.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_blob_that_is_not_there_is_404(registry: Registry, method: str) -> None:
    """C8: BLOB_UNKNOWN, in ECR's words."""
    reply = registry.send(method, PATH)
    assert reply.outcome == (404, "BLOB_UNKNOWN")
    if method == "GET":
        assert reply.error[2] == (
            f"The layer with digest '{DIGEST}' does not exist within the repository with name 'team/app' in the "
            "registry with id '000000000000'"
        )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("digest", ["", "sha256:bad", "sha256:" + "A" * 64, "latest", "sha256%3Abad", "%2e%2e"])
def test_a_malformed_digest_is_400(registry: Registry, method: str, digest: str) -> None:
    """C10, threat 23: DIGEST_INVALID."""
    assert registry.send(method, f"/v2/team/app/blobs/{digest}").outcome == (400, "DIGEST_INVALID")


def test_an_encoded_colon_is_understood(pushed: Registry) -> None:
    """Careful clients encode it."""
    assert pushed.send("GET", PATH.replace(":", "%3a")).body == BLOB


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=500-1499", BLOB[500:1500], "bytes 500-1499/2048"),
        ("bytes=500-", BLOB[500:], "bytes 500-2047/2048"),
        ("bytes=-500", BLOB[-500:], "bytes 1548-2047/2048"),
        ("bytes=2000-5000", BLOB[2000:], "bytes 2000-2047/2048"),
        ("bytes=0-0", BLOB[:1], "bytes 0-0/2048"),
        ("bytes=-5000", BLOB, "bytes 0-2047/2048"),
    ],
)
def test_a_range_is_served(pushed: Registry, asked: str, part: bytes, content_range: str) -> None:
    """C9: 206 with the length of the part."""
    reply = pushed.send("GET", PATH, range=asked)
    assert (reply.status, reply.body) == (206, part)
    assert reply.headers["content-range"] == content_range
    assert reply.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"])
def test_a_range_outside_the_blob_is_416(pushed: Registry, asked: str) -> None:
    """C9: with the size, so that the client can ask again."""
    reply = pushed.send("GET", PATH, range=asked)
    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["content-range"] == "bytes */2048"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes", "bytes=a-b", "bytes=-"])
def test_a_range_that_is_not_understood_is_the_whole(pushed: Registry, asked: str) -> None:
    """RFC 9110: ignored rather than refused."""
    reply = pushed.send("GET", PATH, range=asked)
    assert (reply.status, reply.body) == (200, BLOB)


@pytest.mark.parametrize(
    ("condition", "status"), [(f'"{DIGEST}"', 206), ('"other"', 200), (f'W/"{DIGEST}"', 200)]
)
def test_if_range_guards_the_range(pushed: Registry, condition: str, status: int) -> None:
    """RFC 9110: of anything but this very blob the whole is wanted."""
    assert pushed.send("GET", PATH, range="bytes=0-9", if_range=condition).status == status


def test_a_client_that_has_it_already_gets_304(pushed: Registry) -> None:
    """RFC 9110: If-None-Match."""
    reply = pushed.send("GET", PATH, if_none_match=f'"other", W/"{DIGEST}"')
    assert (reply.status, reply.body) == (304, b"")


@pytest.mark.incident(7)
def test_a_blob_goes_from_its_repository_alone(pushed: Registry) -> None:
    """C35, C36, threat 7: gone at once, and a read in another repository does not bring it back."""
    pushed.create("team/other")
    pushed.push_blob("team/other", BLOB)
    assert pushed.send("DELETE", PATH).status == 202
    assert pushed.send("GET", f"/v2/team/other/blobs/{DIGEST}").body == BLOB
    for method in ("GET", "HEAD", "DELETE"):
        assert pushed.send(method, PATH).outcome == (404, "BLOB_UNKNOWN")


def test_a_blob_that_an_image_needs_stays(registry: Registry) -> None:
    """405 until the image is gone."""
    digest = registry.push_image("team/app", "v1")
    path = f"/v2/team/app/blobs/{sha256(EMPTY_CONFIG)}"
    assert registry.send("DELETE", path).outcome == (405, "UNSUPPORTED")
    assert registry.send("HEAD", path).status == 200
    registry.send("DELETE", f"/v2/team/app/manifests/{digest}")
    assert registry.send("DELETE", path).status == 202


def test_a_blob_of_another_repository_is_not_there(pushed: Registry) -> None:
    """A digest alone opens nothing."""
    pushed.create("team/other")
    for method in ("GET", "HEAD"):
        assert pushed.send(method, f"/v2/team/other/blobs/{DIGEST}").status == 404


@pytest.fixture
def damaged(pushed: Registry) -> Registry:
    """The blob's only copy is shorter than its row says."""
    for location in list(pushed.store._stored):
        pushed.store.keep(location, BLOB[:100])
    return pushed


@pytest.mark.threat(72)
def test_damage_is_told_and_never_served(damaged: Registry) -> None:
    """Threat 72: not a byte of it."""
    reply = damaged.send("GET", PATH)
    assert reply.outcome == (404, "BLOB_UNKNOWN")
    assert "damaged" in reply.error[2]


def test_a_push_that_asks_first_repairs_a_damaged_blob(damaged: Registry) -> None:
    """HEAD does not claim that it is there, so the client sends it again."""
    assert damaged.send("HEAD", PATH).status == 404
    damaged.push_blob("team/app", BLOB)
    assert damaged.send("HEAD", PATH).status == 200
    assert damaged.send("GET", PATH).body == BLOB


def test_a_damaged_blob_is_not_mounted(damaged: Registry) -> None:
    """The client gets an upload instead, and what it sends repairs both repositories."""
    damaged.create("team/other")
    reply = damaged.send("POST", f"/v2/team/other/blobs/uploads/?mount={DIGEST}&from=team/app")
    assert reply.status == 202
    damaged.push_blob("team/other", BLOB)
    assert damaged.send("GET", PATH).body == BLOB


def test_a_manifest_is_not_a_blob(registry: Registry) -> None:
    """Manifests and blobs are kept apart."""
    digest = registry.push_image("team/app", "v1")
    assert digest == sha256(manifest_of())
    assert registry.send("GET", f"/v2/team/app/blobs/{digest}").status == 404
