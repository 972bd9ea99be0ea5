"""Pulling, pushing and deleting manifests, by tag and by digest."""

import asyncio

import pytest

from moorage.domain.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from moorage.metadata import images, repositories
from moorage.metadata.images import ImageRow
from moorage.metadata.transaction import Transaction
from moorage.rules.tag_mutability import TagMutability
from tests.oci.driver import (
    ACCOUNT,
    EMPTY_CONFIG,
    OTHER_ACCOUNT,
    Body,
    Registry,
    descriptor,
    index_of,
    manifest_of,
    sha256,
    sha512,
)

LAYER = b"layer"
MANIFEST = manifest_of(LAYER)
DIGEST = sha256(MANIFEST)
UNKNOWN = sha256(b"unknown")


@pytest.fixture
def pushed(registry: Registry) -> Registry:
    """The registry with one image under the tag ``v1``."""
    registry.push_image("team/app", "v1", LAYER)
    return registry


def put(registry: Registry, reference: str, content: bytes, media_type: str = OCI_MANIFEST) -> tuple[int, str]:
    """Status and code of a push to ``team/app``."""
    return registry.send("PUT", f"/v2/team/app/manifests/{reference}", content, content_type=media_type).outcome


# --- Pull ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["v1", DIGEST, DIGEST.replace(":", "%3A")])
def test_a_manifest_comes_back_byte_for_byte(pushed: Registry, reference: str) -> None:
    """C6: the bytes, their type, length and digest, by tag and by digest."""
    reply = pushed.send("GET", f"/v2/team/app/manifests/{reference}")
    assert (reply.status, reply.body, reply.operation) == (200, MANIFEST, "get_manifest")
    assert reply.headers["content-type"] == OCI_MANIFEST
    assert reply.headers["content-length"] == str(len(MANIFEST))
    assert reply.headers["docker-content-digest"] == DIGEST
    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("reference", ["v1", DIGEST])
def test_head_of_a_manifest_tells_the_same_without_a_body(pushed: Registry, reference: str) -> None:
    """C7: every header that GET has."""
    got = pushed.send("GET", f"/v2/team/app/manifests/{reference}")
    reply = pushed.send("HEAD", f"/v2/team/app/manifests/{reference}")
    assert (reply.status, reply.body, reply.operation) == (200, b"", "head_manifest")
    assert {**reply.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("reference", ["v2", UNKNOWN, ".INVALID_MANIFEST_NAME", "a" * 129, "v1%2Fx", "v1%00"])
def test_a_manifest_that_is_not_there_is_404(pushed: Registry, method: str, reference: str) -> None:
    """C6: a tag that could not even exist is not there either."""
    reply = pushed.send(method, f"/v2/team/app/manifests/{reference}")
    assert reply.outcome == (404, "MANIFEST_UNKNOWN")
    if method == "GET":
        assert reply.error == (404, "MANIFEST_UNKNOWN", "Requested image not found")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "reference", ["sha256:baddigeststring", f"SHA256:{'a' * 64}", f"sha256:{'A' * 64}", f"md5:{'a' * 32}"]
)
def test_a_malformed_digest_is_400(pushed: Registry, method: str, reference: str) -> None:
    """C10, threat 23: DIGEST_INVALID."""
    reply = pushed.send(method, f"/v2/team/app/manifests/{reference}")
    assert reply.outcome == (400, "DIGEST_INVALID")


def test_accept_is_not_asked(pushed: Registry) -> None:
    """ECR converts on pull by tag, which changes the digest; Moorage serves what was pushed."""
    reply = pushed.send("GET", "/v2/team/app/manifests/v1", accept=DOCKER_MANIFEST)
    assert (reply.status, reply.headers["content-type"]) == (200, OCI_MANIFEST)


def test_a_client_that_has_it_already_gets_304(pushed: Registry) -> None:
    """RFC 9110: If-None-Match with the entity tag of the last answer."""
    etag = pushed.send("GET", "/v2/team/app/manifests/v1").headers["etag"]
    reply = pushed.send("GET", "/v2/team/app/manifests/v1", if_none_match=etag)
    assert (reply.status, reply.body) == (304, b"")
    assert pushed.send("GET", "/v2/team/app/manifests/v1", if_none_match='"other"').status == 200


def pulled_at(registry: Registry) -> int | None:
    """When the image was last pulled, once what is noted is written."""
    asyncio.run(registry.context.pulls.flush())

    def find(tx: Transaction) -> ImageRow:
        repository = repositories.find_repository(tx, registry.key, "team/app")
        assert repository is not None
        return images.list_images(tx, repository.id, "ANY", 0, 1)[0]

    return registry.database.read_now(find).last_pulled_at


def test_only_a_get_is_a_pull(pushed: Registry) -> None:
    """HEAD and 304 leave the time of the last pull alone."""
    etag = f'"{DIGEST}"'
    pushed.send("HEAD", "/v2/team/app/manifests/v1")
    pushed.send("GET", "/v2/team/app/manifests/v1", if_none_match=etag)
    assert pulled_at(pushed) is None
    pushed.send("GET", "/v2/team/app/manifests/v1")
    assert pulled_at(pushed) is not None


# --- Push ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["v1", DIGEST])
def test_push_answers_with_a_pullable_location(registry: Registry, reference: str) -> None:
    """C22: 201, the location gives the bytes back."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    registry.push_blob("team/app", LAYER)
    reply = registry.send(
        "PUT", f"/v2/team/app/manifests/{reference}", MANIFEST, content_type=f"{OCI_MANIFEST}; charset=utf-8"
    )
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, DIGEST)
    assert "oci-subject" not in reply.headers
    got = registry.send("GET", reply.headers["location"])
    assert (got.body, got.headers["content-type"]) == (MANIFEST, OCI_MANIFEST)


def test_push_under_a_wrong_digest_is_refused(pushed: Registry) -> None:
    """C23: DIGEST_INVALID, nothing stored."""
    assert put(pushed, UNKNOWN, MANIFEST) == (400, "DIGEST_INVALID")
    assert pushed.send("HEAD", f"/v2/team/app/manifests/{UNKNOWN}").status == 404


@pytest.mark.parametrize("tag", ["%0Alatest", "latest%0A", "-a", "a%20b", "%C3%A9", "a" * 129, "a%2Fb"])
def test_push_to_a_tag_not_of_the_form_is_refused_unread(registry: Registry, tag: str) -> None:
    """Threat 22: TAG_INVALID."""
    body = Body([MANIFEST])
    assert registry.send("PUT", f"/v2/team/app/manifests/{tag}", body).outcome == (400, "TAG_INVALID")
    assert not body.was_read


def test_a_manifest_of_nearly_four_mebibytes_is_taken(registry: Registry) -> None:
    """C24: 390 annotations of 10,000 bytes."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    large = manifest_of(annotations={f"a{number}": "x" * 10_000 for number in range(390)})
    digest = registry.push_manifest("team/app", large, "large")
    assert registry.send("GET", f"/v2/team/app/manifests/{digest}").body == large


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_manifest_over_four_mebibytes_is_413(registry: Registry, is_chunked: bool) -> None:
    """C24, threat 41: refused by its announced length, or as soon as it is over."""
    content = b" " * (4 * 1024 * 1024 + 1)
    body = Body([content])
    headers = {} if is_chunked else {"content_length": str(len(content))}
    reply = registry.send("PUT", "/v2/team/app/manifests/v1", body, **headers)
    assert reply.error == (413, "MANIFEST_INVALID", "A manifest takes at most 4194304 bytes")
    assert body.was_read == is_chunked


@pytest.mark.parametrize("make", [manifest_of, index_of])
def test_a_subject_is_told_even_when_it_is_missing(registry: Registry, make: object) -> None:
    """C25: OCI-Subject, of images and of indexes."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    subject = {"mediaType": OCI_MANIFEST, "digest": UNKNOWN, "size": 2}
    content = manifest_of(subject=UNKNOWN) if make is manifest_of else index_of(subject=subject)
    reply = registry.send("PUT", "/v2/team/app/manifests/v1", content)
    assert (reply.status, reply.headers["oci-subject"]) == (201, UNKNOWN)


def test_missing_layers_are_told_by_name(registry: Registry) -> None:
    """C26, threat 45: ECR's sentence, the specification's code."""
    reply = registry.send("PUT", "/v2/team/app/manifests/v1", MANIFEST)
    assert reply.error == (
        404,
        "MANIFEST_BLOB_UNKNOWN",
        (
            f"Layers with digests '[{sha256(EMPTY_CONFIG)}, {sha256(LAYER)}]' required for pushing image into "
            "repository with name 'team/app' in the registry with id '000000000000' do not exist"
        ),
    )


def test_missing_children_are_told_by_name(registry: Registry) -> None:
    """C26: an index needs its images in its own repository."""
    reply = registry.send("PUT", "/v2/team/app/manifests/v1", index_of(MANIFEST))
    status, code, message = reply.error
    assert (status, code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert message.startswith(f"Images with digests '[{DIGEST}]' required for pushing image")


@pytest.mark.threat(50, 54)
@pytest.mark.parametrize(
    "content",
    [
        manifest_of(),
        index_of(),
        manifest_of(unknown={"kept": [1, 2.5, None]}),
        manifest_of(
            layers=[
                descriptor(b"elsewhere", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
                | {"urls": ["http://169.254.169.254/latest"]}
            ]
        ),
        manifest_of(annotations={"title": "<script>alert(1)</script>\r\nX: y"}),
    ],
    ids=["no layers", "empty index", "unknown members", "foreign layer", "hostile annotation"],
)
def test_what_is_odd_but_legal_is_stored_as_it_is(registry: Registry, content: bytes) -> None:
    """C26, threats 50 and 54: stored and never looked into."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    digest = registry.push_manifest("team/app", content)
    assert registry.send("GET", f"/v2/team/app/manifests/{digest}").body == content


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"blablabla", OCI_MANIFEST),
        (b"", OCI_MANIFEST),
        (MANIFEST, DOCKER_MANIFEST),
        (MANIFEST, "application/octet-stream"),
        (MANIFEST[:-1] + b',"manifests":[]}', OCI_MANIFEST),
        (MANIFEST[:-1] + b',"layers":[]}', OCI_MANIFEST),
        (MANIFEST.replace(b'"size":5', b'"size":6'), OCI_MANIFEST),
        (b"[" * 10_000, OCI_MANIFEST),
    ],
    ids=["text", "nothing", "other type", "no type", "two kinds", "twice", "wrong size", "depth"],
)
def test_a_manifest_that_is_wrong_is_refused(pushed: Registry, content: bytes, media_type: str) -> None:
    """Threats 26, 42, 43, 44 and 46: MANIFEST_INVALID, the tag stays where it is."""
    assert put(pushed, "v1", content, media_type) == (400, "MANIFEST_INVALID")
    assert pushed.send("HEAD", "/v2/team/app/manifests/v1").headers["docker-content-digest"] == DIGEST


@pytest.mark.threat(47)
def test_a_layer_of_another_repository_counts_as_missing(registry: Registry) -> None:
    """Threat 47: whoever holds it, here it is not."""
    registry.create("team/other")
    registry.push_blob("team/other", LAYER)
    registry.push_blob("team/app", EMPTY_CONFIG)
    assert put(registry, "v1", MANIFEST) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_tag_parameters_tag_a_push_by_digest(registry: Registry) -> None:
    """C27: ten tags and more, each told by OCI-Tag."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    content = manifest_of()
    names = [f"t{number}" for number in range(12)]
    query = "&".join(f"tag={name}" for name in names)
    reply = registry.send("PUT", f"/v2/team/app/manifests/{sha256(content)}?{query}", content)
    assert (reply.status, reply.headers["oci-tag"]) == (201, ", ".join(names))
    assert registry.send("GET", "/v2/team/app/tags/list").json["tags"] == sorted(names)


@pytest.mark.threat(51)
@pytest.mark.parametrize(
    ("reference", "query", "outcome"),
    [
        (DIGEST, "&".join(f"tag=t{number}" for number in range(101)), (414, "TAG_INVALID")),
        (DIGEST, "tag=ok&tag=-bad", (400, "TAG_INVALID")),
        ("v1", "tag=other", (400, "UNSUPPORTED")),
        (DIGEST, "tag=%FF", (400, "UNSUPPORTED")),
    ],
    ids=["too many", "malformed", "with a tag", "not utf-8"],
)
def test_tag_parameters_that_are_wrong_store_nothing(
    registry: Registry, reference: str, query: str, outcome: tuple[int, str]
) -> None:
    """C27: refused before the body is read."""
    body = Body([MANIFEST])
    assert registry.send("PUT", f"/v2/team/app/manifests/{reference}?{query}", body).outcome == outcome
    assert not body.was_read


def test_a_manifest_by_sha512_keeps_that_digest(registry: Registry) -> None:
    """C28: pushed and pulled by sha512, and its tags return that digest."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    content = manifest_of()
    digest = sha512(content)
    reply = registry.send("PUT", f"/v2/team/app/manifests/{digest}?tag=long", content)
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    for reference in (digest, "long"):
        got = registry.send("GET", f"/v2/team/app/manifests/{reference}")
        assert (got.body, got.headers["docker-content-digest"]) == (content, digest)


def test_the_same_push_again_is_fine_under_a_mutable_tag(pushed: Registry) -> None:
    """ECR: 201, unlike PutImage."""
    assert put(pushed, "v1", MANIFEST) == (201, "")


@pytest.mark.parametrize("query", ["manifests/v1", f"manifests/{sha256(manifest_of())}?tag=v1"])
def test_an_immutable_tag_stays(registry: Registry, query: str) -> None:
    """Threat 51: by every way of pushing; clients match on the sentence."""
    registry.create("fixed", tag_mutability=TagMutability.IMMUTABLE)
    digest = registry.push_image("fixed", "v1", LAYER)
    reply = registry.send("PUT", f"/v2/fixed/{query}", manifest_of())
    assert reply.error == (
        400,
        "TAG_INVALID",
        (
            "The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten because the "
            "tag is immutable."
        ),
    )
    assert registry.send("HEAD", "/v2/fixed/manifests/v1").headers["docker-content-digest"] == digest


def test_the_same_push_to_an_immutable_tag_is_refused(registry: Registry) -> None:
    """ECR: even the very same image."""
    registry.create("fixed", tag_mutability=TagMutability.IMMUTABLE)
    registry.push_image("fixed", "v1", LAYER)
    assert registry.send("PUT", "/v2/fixed/manifests/v1", MANIFEST).outcome == (400, "TAG_INVALID")


def test_a_quota_is_refused_by_name(quota_of_one: Registry) -> None:
    """A second image where one is allowed."""
    quota_of_one.push_image("team/app", "v1", LAYER)
    reply = quota_of_one.send("PUT", "/v2/team/app/manifests/v2", manifest_of())
    assert reply.outcome == (403, "DENIED")
    assert "images_per_repository" in reply.error[2]


def test_a_push_cut_short_stores_nothing(pushed: Registry) -> None:
    """The client went away in the middle of the manifest."""
    body = Body([MANIFEST], is_cut=True)
    reply = pushed.send("PUT", "/v2/team/app/manifests/cut", body)
    assert reply.outcome == (400, "SIZE_INVALID")
    assert pushed.send("HEAD", "/v2/team/app/manifests/cut").status == 404


# --- Delete --------------------------------------------------------------------------------------------------


def test_deleting_a_tag_leaves_the_image(pushed: Registry) -> None:
    """C33: 202, the other tag and the digest stay, also when it was the last tag."""
    put(pushed, "v2", MANIFEST)
    for tag, others in (("v1", ["v2"]), ("v2", [])):
        assert pushed.send("DELETE", f"/v2/team/app/manifests/{tag}").status == 202
        assert pushed.send("GET", f"/v2/team/app/manifests/{tag}").status == 404
        assert pushed.send("GET", "/v2/team/app/tags/list").json["tags"] == others
        assert pushed.send("GET", f"/v2/team/app/manifests/{DIGEST}").status == 200


def test_deleting_an_image_takes_its_tags(pushed: Registry) -> None:
    """C34, C36: gone at once by digest and by every tag."""
    put(pushed, "v2", MANIFEST)
    assert pushed.send("DELETE", f"/v2/team/app/manifests/{DIGEST}").status == 202
    for reference in (DIGEST, "v1", "v2"):
        for method in ("GET", "HEAD"):
            assert pushed.send(method, f"/v2/team/app/manifests/{reference}").status == 404


def test_an_image_that_an_index_needs_is_not_deleted(pushed: Registry) -> None:
    """ECR: the index has to go first."""
    index = pushed.push_manifest("team/app", index_of(MANIFEST), "multi")
    reply = pushed.send("DELETE", f"/v2/team/app/manifests/{DIGEST}")
    assert reply.error == (405, "UNSUPPORTED", f"Requested image referenced by manifest list: [{index}]")
    assert pushed.send("DELETE", f"/v2/team/app/manifests/{index}").status == 202
    assert pushed.send("DELETE", f"/v2/team/app/manifests/{DIGEST}").status == 202


def test_an_index_is_pulled_as_an_index(pushed: Registry) -> None:
    """Nested indexes too."""
    index = index_of(MANIFEST)
    pushed.push_manifest("team/app", index, "multi")
    nested = index_of().replace(b"[]", b"[%b]" % _index_descriptor(index))
    digest = pushed.push_manifest("team/app", nested)
    for reference in ("multi", digest):
        reply = pushed.send("GET", f"/v2/team/app/manifests/{reference}")
        assert (reply.status, reply.headers["content-type"]) == (200, OCI_INDEX)


def _index_descriptor(index: bytes) -> bytes:
    return b'{"mediaType":"%b","digest":"%b","size":%d}' % (
        OCI_INDEX.encode(),
        sha256(index).encode(),
        len(index),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_manifests_of_a_missing_repository_are_name_unknown(registry: Registry, method: str) -> None:
    """C34: 404 NAME_UNKNOWN rather than MANIFEST_UNKNOWN."""
    reply = registry.send(method, f"/v2/missing/manifests/{DIGEST}")
    assert reply.outcome == (404, "NAME_UNKNOWN")


def test_a_repository_that_another_account_has_is_not_told(registry: Registry) -> None:
    """Threat 16: refused alike, whether or not it exists."""
    messages = {
        registry.send("GET", f"/v2/{name}/manifests/v1", account=OTHER_ACCOUNT).error[2].replace(name, "NAME")
        for name in ("team/app", "team/none")
    }
    sentence = (
        f"User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: ecr:BatchGetImage on resource: "
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/NAME because no resource-based policy allows the "
        "ecr:BatchGetImage action"
    )
    assert messages == {sentence}
