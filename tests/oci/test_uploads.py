"""Pushing blobs (OCI distribution-spec, "Pushing Blobs")."""

import asyncio
import gzip

import pytest

from tests.oci.driver import Body, Registry, Reply, sha256, sha512

BLOB = b"0123456789" * 300


def held(registry: Registry, location: str) -> str:
    """What the upload says it holds."""
    reply = registry.send("GET", location)
    assert reply.status == 204, reply
    return reply.headers["range"]


def finish(registry: Registry, location: str, content: bytes) -> Reply:
    """Close an upload that holds all of ``content``."""
    return registry.send("PUT", f"{location}?digest={sha256(content)}")


def test_post_begins_an_upload_at_a_relative_location(registry: Registry) -> None:
    """C11: 202 with where to go on, an empty range and the upload's id."""
    reply = registry.send("POST", "/v2/team/app/blobs/uploads/")
    upload_id = reply.headers["docker-upload-uuid"]
    assert reply.status == 202
    assert reply.headers["location"] == f"/v2/team/app/blobs/uploads/{upload_id}"
    assert reply.headers["range"] == "0-0"
    assert reply.headers["content-length"] == "0"


def test_put_with_the_whole_body_makes_a_blob(registry: Registry) -> None:
    """C12: 201 with a location that gives the bytes back."""
    location = registry.start_upload("team/app")
    reply = registry.send("PUT", f"{location}?digest={sha256(BLOB)}", BLOB)
    assert reply.status == 201
    assert reply.headers["location"] == f"/v2/team/app/blobs/{sha256(BLOB)}"
    assert reply.headers["docker-content-digest"] == sha256(BLOB)
    assert registry.send("GET", reply.headers["location"]).body == BLOB


def test_post_with_a_digest_takes_the_whole_blob_at_once(registry: Registry) -> None:
    """C13: 201 without an upload in between."""
    reply = registry.send("POST", f"/v2/team/app/blobs/uploads/?digest={sha256(BLOB)}", BLOB)
    assert reply.status == 201
    assert registry.send("GET", reply.headers["location"]).body == BLOB


def test_chunks_in_order_make_a_blob(registry: Registry) -> None:
    """C14: every chunk is answered by the range held so far."""
    location = registry.start_upload("team/app")
    for first in range(0, 3000, 1000):
        reply = registry.send(
            "PATCH", location, BLOB[first : first + 1000], content_range=f"{first}-{first + 999}"
        )
        assert (reply.status, reply.headers["range"]) == (202, f"0-{first + 999}")
        assert reply.headers["location"] == location
        assert reply.headers["docker-upload-uuid"] == location.rpartition("/")[2]
    assert finish(registry, location, BLOB).status == 201


def test_the_last_chunk_may_come_with_the_closing_put(registry: Registry) -> None:
    """C17: a PUT with a range of its own completes the blob."""
    location = registry.start_upload("team/app")
    registry.send("PATCH", location, BLOB[:2000], content_range="0-1999")
    reply = registry.send("PUT", f"{location}?digest={sha256(BLOB)}", BLOB[2000:], content_range="2000-2999")
    assert reply.status == 201
    assert registry.send("GET", reply.headers["location"]).body == BLOB


@pytest.mark.threat(29)
@pytest.mark.parametrize("first", [0, 500, 1500])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_out_of_order_is_416_and_the_upload_lives(registry: Registry, method: str, first: int) -> None:
    """C15, threat 29: overlap and gap are refused with where the upload stands, and it can go on from there."""
    location = registry.start_upload("team/app")
    registry.send("PATCH", location, BLOB[:1000], content_range="0-999")
    target = f"{location}?digest={sha256(BLOB)}" if method == "PUT" else location
    body = Body([BLOB[first : first + 100]])
    reply = registry.send(method, target, body, content_length="100", content_range=f"{first}-{first + 99}")
    assert reply.error == (
        416,
        "BLOB_UPLOAD_INVALID",
        f"First byte of the layer part is {first} instead of 1000",
    )
    assert reply.headers["location"] == location
    assert reply.headers["range"] == "0-999"
    assert reply.headers["docker-upload-uuid"] == location.rpartition("/")[2]
    assert not body.was_read
    assert held(registry, target) == "0-999"
    registry.send("PATCH", location, BLOB[1000:], content_range="1000-2999")
    assert finish(registry, location, BLOB).status == 201


def test_nothing_held_is_told_as_zero_to_zero(registry: Registry) -> None:
    """C15: the custom of every registry; no number of bytes is below one here."""
    assert held(registry, registry.start_upload("team/app")) == "0-0"


def test_a_stream_without_length_is_appended(registry: Registry) -> None:
    """C16: chunked transfer, neither Content-Length nor Content-Range."""
    location = registry.start_upload("team/app")
    reply = registry.send("PATCH", location, Body([BLOB[:1], BLOB[1:1700]]))
    assert (reply.status, reply.headers["range"]) == (202, "0-1699")
    registry.send("PATCH", location, Body([BLOB[1700:]]))
    assert finish(registry, location, BLOB).status == 201


@pytest.mark.threat(33)
def test_a_wrong_digest_ends_the_upload(registry: Registry) -> None:
    """C17, threat 33: 400, no blob, no upload."""
    location = registry.start_upload("team/app")
    reply = registry.send("PUT", f"{location}?digest={sha256(b'other')}", BLOB)
    assert reply.outcome == (400, "DIGEST_INVALID")
    assert registry.send("HEAD", f"/v2/team/app/blobs/{sha256(b'other')}").status == 404
    assert registry.send("HEAD", f"/v2/team/app/blobs/{sha256(BLOB)}").status == 404
    assert registry.send("GET", location).outcome == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_wrong_digest_of_a_whole_blob_is_refused(registry: Registry) -> None:
    """C13: nothing is stored under either digest."""
    reply = registry.send("POST", f"/v2/team/app/blobs/uploads/?digest={sha256(b'other')}", BLOB)
    assert reply.outcome == (400, "DIGEST_INVALID")
    assert registry.send("HEAD", f"/v2/team/app/blobs/{sha256(BLOB)}").status == 404


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:baddigeststring",
        "SHA256:" + "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "md5:" + "a" * 32,
    ],
)
def test_a_malformed_digest_closes_nothing(registry: Registry, digest: str) -> None:
    """Threat 23: 400 DIGEST_INVALID, and the upload lives."""
    location = registry.start_upload("team/app")
    assert registry.send("PUT", f"{location}?digest={digest}", BLOB).outcome == (400, "DIGEST_INVALID")
    assert held(registry, location) == "0-0"


def test_a_close_without_digest_is_refused(registry: Registry) -> None:
    """The digest is what a blob is known by; without one there is none."""
    location = registry.start_upload("team/app")
    assert registry.send("PUT", location, BLOB).outcome == (400, "DIGEST_INVALID")


def test_the_algorithm_may_be_known_only_at_the_close(registry: Registry) -> None:
    """C18: an upload begun without an algorithm is closed with sha512 and found under both digests."""
    location = registry.start_upload("team/app")
    registry.send("PATCH", location, BLOB[:100])
    reply = registry.send("PUT", f"{location}?digest={sha512(BLOB)}", BLOB[100:])
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, sha512(BLOB))
    assert reply.headers["location"].endswith(sha512(BLOB))
    for digest in (sha512(BLOB), sha256(BLOB)):
        pulled = registry.send("GET", f"/v2/team/app/blobs/{digest}")
        assert (pulled.body, pulled.headers["docker-content-digest"]) == (BLOB, digest)


@pytest.mark.parametrize(("algorithm", "status"), [("sha256", 202), ("sha512", 202), ("md5", 400), ("", 400)])
def test_an_algorithm_that_is_not_known_is_refused_at_once(
    registry: Registry, algorithm: str, status: int
) -> None:
    """C18: before the client sends a single byte."""
    reply = registry.send("POST", f"/v2/team/app/blobs/uploads/?digest-algorithm={algorithm}")
    assert reply.status == status
    assert reply.error_code == ("" if status == 202 else "DIGEST_INVALID")


@pytest.mark.threat(34)
def test_cancel_ends_the_upload(registry: Registry) -> None:
    """C19: 204, and the upload is unknown from then on."""
    location = registry.start_upload("team/app")
    assert registry.send("DELETE", location).status == 204
    for method in ("GET", "HEAD", "PATCH", "DELETE"):
        assert registry.send(method, location).outcome == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.threat(34)
def test_close_after_close_is_unknown(registry: Registry) -> None:
    """Threat 34: a finished upload is gone."""
    location = registry.start_upload("team/app")
    registry.send("PUT", f"{location}?digest={sha256(BLOB)}", BLOB)
    assert finish(registry, location, BLOB).outcome == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_the_smallest_blobs_are_blobs(registry: Registry, content: bytes) -> None:
    """C21: the empty blob and the empty object, by each way of pushing."""
    location = registry.start_upload("team/app")
    assert registry.send("PUT", f"{location}?digest={sha256(content)}", content).status == 201
    registry.create("team/other")
    assert registry.push_blob("team/other", content) == sha256(content)
    for name in ("team/app", "team/other"):
        reply = registry.send("GET", f"/v2/{name}/blobs/{sha256(content)}")
        assert (reply.status, reply.body, reply.headers["content-length"]) == (200, content, str(len(content)))


def test_one_blob_pushed_by_two_at_once_is_there(registry: Registry) -> None:
    """C21: both are told 201."""

    async def push_twice() -> list[Reply]:
        target = f"/v2/team/app/blobs/uploads/?digest={sha256(BLOB)}"
        return list(await asyncio.gather(*(registry.exchange("POST", target, BLOB) for _ in range(2))))

    assert [reply.status for reply in asyncio.run(push_twice())] == [201, 201]


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes=0-9",
        "bytes 0-9/10",
        "0-9/10",
        "-9",
        "0-",
        "9-0",
        "a-b",
        "0 - 9",
        "0-9,10-19",
        "\u0660-\u0669",
        "0-8",
        "0-10",
    ],
)
def test_a_content_range_that_is_wrong_is_refused_unread(registry: Registry, content_range: str) -> None:
    """C14, threat 30: another form, or another length than the body's; nothing is counted."""
    location = registry.start_upload("team/app")
    body = Body([b"0123456789"])
    encoded = content_range.encode().decode("latin-1")
    reply = registry.send("PATCH", location, body, content_length="10", content_range=encoded)
    assert reply.outcome == (400, "SIZE_INVALID")
    assert not body.was_read
    assert held(registry, location) == "0-0"


@pytest.mark.threat(30)
@pytest.mark.parametrize("pieces", [[b"01234"], [b"0123456789", b"0"]])
def test_a_chunk_of_another_length_than_announced_counts_nothing(
    registry: Registry, pieces: list[bytes]
) -> None:
    """Threat 30: chunked transfer with a Content-Range that the body does not keep."""
    location = registry.start_upload("team/app")
    reply = registry.send("PATCH", location, Body(pieces), content_range="0-9")
    assert reply.outcome == (400, "SIZE_INVALID")
    assert reply.headers["range"] == "0-0"
    assert held(registry, location) == "0-0"


@pytest.mark.threat(31)
def test_a_client_that_dies_resumes_from_what_came(registry: Registry) -> None:
    """Threat 31: what arrived is kept and told."""
    location = registry.start_upload("team/app")
    reply = registry.send("PATCH", location, Body([BLOB[:1200]], is_cut=True))
    assert reply.outcome == (400, "SIZE_INVALID")
    assert held(registry, location) == "0-1199"
    registry.send("PATCH", location, BLOB[1200:], content_range="1200-2999")
    assert finish(registry, location, BLOB).status == 201


@pytest.mark.threat(32)
def test_a_layer_over_the_limit_is_refused_unread(registry: Registry) -> None:
    """Threat 32: ten terabytes announced are 413 at once."""
    location = registry.start_upload("team/app")
    body = Body([b"x"])
    reply = registry.send("PATCH", location, body, content_length=str(10 * 2**40))
    assert reply.outcome == (413, "SIZE_INVALID")
    assert not body.was_read


@pytest.mark.threat(35)
def test_two_writers_of_one_upload_do_not_mix(registry: Registry) -> None:
    """Threat 35: one wins, the other is told 416; the bytes are those of the winner."""
    location = registry.start_upload("team/app")

    async def write_both() -> list[Reply]:
        bodies = (b"a" * 1000, b"b" * 1000)
        return list(
            await asyncio.gather(
                *(registry.exchange("PATCH", location, body, content_range="0-999") for body in bodies)
            )
        )

    replies = asyncio.run(write_both())
    assert sorted(reply.status for reply in replies) == [202, 416]
    winner = (b"a", b"b")[[reply.status for reply in replies].index(202)] * 1000
    assert finish(registry, location, winner).status == 201


@pytest.mark.threat(36)
@pytest.mark.incident(3)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "PUT", "DELETE"])
def test_an_upload_of_another_repository_is_unknown(registry: Registry, method: str) -> None:
    """Threat 36: an id opens nothing but the upload of its own repository."""
    registry.create("team/other")
    upload_id = registry.start_upload("team/app").rpartition("/")[2]
    target = f"/v2/team/other/blobs/uploads/{upload_id}?digest={sha256(BLOB)}"
    assert registry.send(method, target).outcome == (404, "BLOB_UPLOAD_UNKNOWN")
    assert held(registry, f"/v2/team/app/blobs/uploads/{upload_id}") == "0-0"


@pytest.mark.threat(38)
def test_too_many_open_uploads_are_refused_by_name(quota_of_one: Registry) -> None:
    """Threat 38: the quota is named, and the answer is not one that clients repeat."""
    quota_of_one.start_upload("team/app")
    reply = quota_of_one.send("POST", "/v2/team/app/blobs/uploads/")
    assert reply.error == (
        403,
        "DENIED",
        "The quota 'open_uploads' of 1 has been reached. An operator can raise it.",
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?digest={sha256(BLOB)}"),
        ("POST", f"blobs/uploads/?mount={sha256(BLOB)}&from=team/app"),
        ("PATCH", "blobs/uploads/ef4bcc5a-7bd5-4cf1-a49c-f4d3ba5a1e39"),
        ("PUT", f"blobs/uploads/ef4bcc5a-7bd5-4cf1-a49c-f4d3ba5a1e39?digest={sha256(BLOB)}"),
        ("PUT", "manifests/latest"),
    ],
)
def test_a_missing_repository_is_told_before_the_body_is_read(
    registry: Registry, method: str, path: str
) -> None:
    """ECR: 404 NAME_UNKNOWN in ECR's words."""
    body = Body([BLOB])
    reply = registry.send(method, f"/v2/missing/{path}", body)
    assert reply.error == (
        404,
        "NAME_UNKNOWN",
        "The repository with name 'missing' does not exist in the registry with id '000000000000'",
    )
    assert not body.was_read


@pytest.mark.threat(40)
def test_a_content_encoding_is_never_undone(registry: Registry) -> None:
    """Threat 40: what was sent is what is stored."""
    squeezed = gzip.compress(BLOB)
    target = f"/v2/team/app/blobs/uploads/?digest={sha256(squeezed)}"
    reply = registry.send("POST", target, squeezed, content_encoding="gzip")
    assert registry.send("GET", reply.headers["location"]).body == squeezed


# --- Mounts --------------------------------------------------------------------------------------------------


def test_mount_from_a_repository_that_has_the_blob(registry: Registry) -> None:
    """C20: 201, and the blob is there, whether or not an image needs it."""
    registry.create("team/other")
    digest = registry.push_blob("team/app", BLOB)
    reply = registry.send("POST", f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app")
    assert (reply.status, reply.headers["location"]) == (201, f"/v2/team/other/blobs/{digest}")
    assert reply.headers["docker-content-digest"] == digest
    assert registry.send("GET", reply.headers["location"]).body == BLOB


def test_mount_from_anywhere(registry: Registry) -> None:
    """C20: without a source any repository of the registry will do."""
    registry.create("team/other")
    digest = registry.push_blob("team/app", BLOB)
    assert registry.send("POST", f"/v2/team/other/blobs/uploads/?mount={digest}").status == 201


@pytest.mark.parametrize("source", ["&from=team/app", "&from=missing", "&from=UPPER", "&from=", ""])
def test_a_mount_that_cannot_be_is_a_fresh_upload(registry: Registry, source: str) -> None:
    """C20: 202 whatever the reason; the upload works."""
    registry.create("team/other")
    reply = registry.send("POST", f"/v2/team/other/blobs/uploads/?mount={sha256(BLOB)}{source}")
    assert reply.status == 202
    assert registry.send("PUT", f"{reply.headers['location']}?digest={sha256(BLOB)}", BLOB).status == 201


@pytest.mark.parametrize("source", ["&from=UPPER", "&from="])
def test_a_source_that_is_no_name_is_not_taken_for_any_source(registry: Registry, source: str) -> None:
    """An invalid source must not widen the search to every repository."""
    registry.create("team/other")
    digest = registry.push_blob("team/app", BLOB)
    assert registry.send("POST", f"/v2/team/other/blobs/uploads/?mount={digest}{source}").status == 202


def test_a_mount_of_no_digest_is_refused(registry: Registry) -> None:
    """C10: a malformed digest is 400."""
    reply = registry.send("POST", "/v2/team/app/blobs/uploads/?mount=sha256:bad&from=team/app")
    assert reply.outcome == (400, "DIGEST_INVALID")


def test_a_mount_does_not_reach_into_other_accounts(registry: Registry) -> None:
    """Threat 27: a blob that only another account holds answers like one that nobody holds."""
    registry.create("theirs", account="111111111111")
    host = "111111111111.dkr.ecr.us-east-1.amazonaws.com"
    pushed = registry.send(
        "POST", f"/v2/theirs/blobs/uploads/?digest={sha256(BLOB)}", BLOB, account="111111111111", host=host
    )
    assert pushed.status == 201
    for source in ("", "&from=theirs"):
        target = f"/v2/team/app/blobs/uploads/?mount={sha256(BLOB)}{source}"
        assert registry.send("POST", target).status == 202


def test_an_id_that_no_database_can_hold_is_unknown(registry: Registry) -> None:
    """A NUL has no place in a text of PostgreSQL; asking for it is no failure of the server."""
    reply = registry.send("GET", "/v2/team/app/blobs/uploads/a%00b")
    assert reply.outcome == (404, "BLOB_UPLOAD_UNKNOWN")
