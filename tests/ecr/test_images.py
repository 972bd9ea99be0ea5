"""PutImage, BatchGetImage, BatchDeleteImage."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest

from tests.ecr.driver import ACCOUNT, NOW, OCI_INDEX, OCI_MANIFEST, OTHER_ACCOUNT, Driver, descriptor, digest_of

MISSING = "sha256:" + "0" * 64
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with the repository ``app``."""
    driver.create("app")
    return driver


def index_of(*texts: str) -> str:
    """An index over these manifests."""
    entries = [descriptor(OCI_MANIFEST, text.encode()) for text in texts]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


# --- PutImage ------------------------------------------------------------------------------------------------


def test_put_image_keeps_every_byte(app: Driver) -> None:
    """The manifest comes back as it was sent, newline and all, and the digest is over those bytes."""
    text = app.image("app", "one") + "\n"
    expected = {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageId": {"imageDigest": digest_of(text), "imageTag": "v1"},
        "imageManifest": text,
        "imageManifestMediaType": OCI_MANIFEST,
    }
    assert app.ok("PutImage", repositoryName="app", imageManifest=text, imageTag="v1") == {"image": expected}
    got = app.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v1"}])
    assert got == {"images": [expected], "failures": []}


def test_put_image_without_tag_has_no_tag_in_the_answer(app: Driver) -> None:
    """A push by digest alone leaves the image untagged."""
    text = app.image("app", "one")
    answer = app.ok("PutImage", repositoryName="app", imageManifest=text, imageDigest=digest_of(text))
    assert answer["image"]["imageId"] == {"imageDigest": digest_of(text)}


def test_put_image_takes_the_media_type_from_the_request(app: Driver) -> None:
    """A manifest that names no media type needs one beside it, which is then what it is served with."""
    document = json.loads(app.image("app", "one"))
    del document["mediaType"]
    text = json.dumps(document)
    assert app.refused("PutImage", repositoryName="app", imageManifest=text) == "InvalidParameterException"
    answer = app.ok("PutImage", repositoryName="app", imageManifest=text, imageManifestMediaType=OCI_MANIFEST)
    assert answer["image"]["imageManifestMediaType"] == OCI_MANIFEST


def test_put_image_refuses_another_digest(app: Driver) -> None:
    """A digest that is not the manifest's changes nothing."""
    text = app.image("app", "one")
    assert app.refused("PutImage", repositoryName="app", imageManifest=text, imageDigest=MISSING) == (
        "ImageDigestDoesNotMatchException"
    )
    assert app.ok("ListImages", repositoryName="app") == {"imageIds": []}


@pytest.mark.parametrize("digest", ["sha256:abc", "SHA256:" + "0" * 64, "md5:" + "0" * 32, "latest"])
def test_put_image_refuses_a_malformed_digest(app: Driver, digest: str) -> None:
    """Only sha256 and sha512 in lower case are digests."""
    text = app.image("app", "one")
    assert app.refused("PutImage", repositoryName="app", imageManifest=text, imageDigest=digest) == (
        "InvalidParameterException"
    )


def test_put_image_by_sha512_is_known_by_it(app: Driver) -> None:
    """A manifest pushed under its sha512 digest is found under that digest."""
    text = app.image("app", "one")
    digest = app.ok(
        "PutImage",
        repositoryName="app",
        imageManifest=text,
        imageDigest=f"sha512:{sha512(text.encode()).hexdigest()}",
    )["image"]["imageId"]["imageDigest"]
    assert digest.startswith("sha512:")
    assert len(app.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageDigest": digest}])["images"]) == 1


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schemaVersion": 2}', '{"schemaVersion":2,"schemaVersion":2}', "null", "\x00"],
)
def test_put_image_refuses_junk(app: Driver, text: str) -> None:
    """Whatever is no manifest gets ECR's fragment that clients look for."""
    answer = app.call("PutImage", repositoryName="app", imageManifest=text)
    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert answer.message.startswith(
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
    )


def test_put_image_refuses_a_manifest_of_two_kinds(app: Driver) -> None:
    """A document that two clients could understand differently is refused (CVE-2021-41190)."""
    document = json.loads(app.image("app", "one")) | {"manifests": []}
    assert app.refused("PutImage", repositoryName="app", imageManifest=json.dumps(document)) == (
        "InvalidParameterException"
    )


def test_put_image_refuses_a_media_type_that_disagrees(app: Driver) -> None:
    """The media type beside the manifest and the one inside must be the same."""
    assert app.refused(
        "PutImage",
        repositoryName="app",
        imageManifest=app.image("app", "one"),
        imageManifestMediaType=OCI_INDEX,
    ) == ("InvalidParameterException")


def test_put_image_lists_missing_layers(app: Driver) -> None:
    """All that is missing is told at once, config first."""
    config, layer = b"config", b"layer"
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }
    answer = app.call("PutImage", repositoryName="app", imageManifest=json.dumps(manifest), imageTag="v1")
    assert answer.json == {
        "__type": "LayersNotFoundException",
        "message": f"Layers with digests '[{digest_of(config)}, {digest_of(layer)}]' required for pushing image "
        f"into repository with name 'app' in the registry with id '{ACCOUNT}' do not exist",
    }


def test_put_image_does_not_see_layers_of_another_repository(app: Driver) -> None:
    """A layer that only another repository has is missing."""
    app.create("other")
    text = app.image("other", "one")
    assert app.refused("PutImage", repositoryName="app", imageManifest=text) == "LayersNotFoundException"


def test_put_image_refuses_a_wrong_layer_size(app: Driver) -> None:
    """A descriptor whose size is not that of the stored layer is refused."""
    document = json.loads(app.image("app", "one"))
    document["layers"][0]["size"] += 1
    assert app.refused("PutImage", repositoryName="app", imageManifest=json.dumps(document)) == (
        "InvalidParameterException"
    )


def test_put_image_lists_missing_children_of_an_index(app: Driver) -> None:
    """An index needs its images in the same repository."""
    text = app.image("app", "one")
    answer = app.call("PutImage", repositoryName="app", imageManifest=index_of(text))
    assert answer.json == {
        "__type": "ReferencedImagesNotFoundException",
        "message": f"Images with digests '[{digest_of(text)}]' required for pushing image into repository with "
        f"name 'app' in the registry with id '{ACCOUNT}' do not exist",
    }


def test_put_image_again_is_refused(app: Driver) -> None:
    """ECR: neither manifest nor tag would change, also without a tag."""
    text = app.image("app", "one")
    app.ok("PutImage", repositoryName="app", imageManifest=text, imageTag="v1")
    answer = app.call("PutImage", repositoryName="app", imageManifest=text, imageTag="v1")
    assert answer.json == {
        "__type": "ImageAlreadyExistsException",
        "message": f"Image with digest '{digest_of(text)}' and tag 'v1' already exists in the repository with "
        f"name 'app' in registry with id '{ACCOUNT}'",
    }
    assert app.refused("PutImage", repositoryName="app", imageManifest=text) == "ImageAlreadyExistsException"


def test_put_image_under_a_second_tag_adds_it(app: Driver) -> None:
    """The same manifest may have several tags; it was pushed once."""
    text = app.image("app", "one")
    app.ok("PutImage", repositoryName="app", imageManifest=text, imageTag="v1")
    app.now += 1_000_000
    app.ok("PutImage", repositoryName="app", imageManifest=text, imageTag="v2")
    (detail,) = app.ok("DescribeImages", repositoryName="app")["imageDetails"]
    assert detail["imageTags"] == ["v1", "v2"]
    assert detail["imagePushedAt"] == NOW // 1000 / 1000


def test_put_image_moves_a_mutable_tag(app: Driver) -> None:
    """The image that loses its tag stays, untagged."""
    first = app.push("app", "one", "v1")
    second = app.push("app", "two", "v1")
    listed = app.ok("ListImages", repositoryName="app")["imageIds"]
    assert listed == [{"imageDigest": first}, {"imageDigest": second, "imageTag": "v1"}]


@pytest.mark.parametrize("seed", ["one", "two"])
def test_put_image_does_not_move_an_immutable_tag(driver: Driver, seed: str) -> None:
    """ECR: not even the identical image may be pushed again under an immutable tag."""
    driver.ok("CreateRepository", repositoryName="app", imageTagMutability="IMMUTABLE")
    driver.push("app", "one", "v1")
    if seed == "two":
        text = driver.image("app", seed)
    else:
        got = driver.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v1"}])
        text = got["images"][0]["imageManifest"]
    answer = driver.call("PutImage", repositoryName="app", imageManifest=text, imageTag="v1")
    assert answer.json == {
        "__type": "ImageTagAlreadyExistsException",
        "message": "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because "
        "the tag is immutable.",
    }


def test_put_image_moves_an_excluded_tag(driver: Driver) -> None:
    """An exclusion filter turns immutability round for the tags it matches."""
    driver.ok(
        "CreateRepository",
        repositoryName="app",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    driver.push("app", "one", "dev-1")
    digest = driver.push("app", "two", "dev-1")
    got = driver.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "dev-1"}])
    assert got["images"][0]["imageId"]["imageDigest"] == digest


@pytest.mark.parametrize("tag", ["x" * 129, ".x", "-x", "ä", "latest\n", "a b"])
def test_put_image_refuses_a_bad_tag(app: Driver, tag: str) -> None:
    """Tags have the OCI grammar, whatever the model lets through."""
    text = app.image("app", "one")
    assert app.refused("PutImage", repositoryName="app", imageManifest=text, imageTag=tag) == (
        "InvalidParameterException"
    )


def test_put_image_takes_the_tag_inside_schema_1(app: Driver) -> None:
    """Schema 1 needs no media type beside it, and without imageTag its own tag counts."""
    layer = app.upload("app", b"old layer")
    document = {"schemaVersion": 1, "name": "app", "tag": "old", "fsLayers": [{"blobSum": layer}]}
    text = json.dumps(document)
    image = app.ok("PutImage", repositoryName="app", imageManifest=text)["image"]
    assert image["imageId"] == {"imageDigest": digest_of(text), "imageTag": "old"}
    assert image["imageManifestMediaType"] == SCHEMA1
    assert image["imageManifest"] == text


def test_put_image_prefers_the_tag_of_the_request(app: Driver) -> None:
    """imageTag wins over the tag inside a schema 1 manifest."""
    layer = app.upload("app", b"old layer")
    document = {"schemaVersion": 1, "name": "app", "tag": "old", "fsLayers": [{"blobSum": layer}]}
    image = app.ok("PutImage", repositoryName="app", imageManifest=json.dumps(document), imageTag="new")
    assert image["image"]["imageId"]["imageTag"] == "new"


def test_put_image_into_a_missing_repository(driver: Driver) -> None:
    """Nothing is created by a push."""
    text = json.dumps({"schemaVersion": 1, "name": "x", "fsLayers": []})
    assert driver.refused("PutImage", repositoryName="nowhere", imageManifest=text) == (
        "RepositoryNotFoundException"
    )


def test_put_image_beyond_the_quota_of_images(tmp_path: Path) -> None:
    """The quota is named, and an image that is there already is not another one."""
    driver = Driver(tmp_path, quotas={"images_per_repository": 1})
    try:
        driver.create("app")
        driver.push("app", "one", "v1", "v2")
        text = driver.image("app", "two")
        answer = driver.call("PutImage", repositoryName="app", imageManifest=text)
        assert answer.code == "LimitExceededException"
        assert "images_per_repository" in answer.message
    finally:
        driver.close()


# --- BatchGetImage -------------------------------------------------------------------------------------------


def test_batch_get_by_digest_gives_one_element_per_tag(app: Driver) -> None:
    """ECR: an image with two tags comes twice when asked for by digest."""
    digest = app.push("app", "one", "v1", "v2")
    images = app.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageDigest": digest}])["images"]
    assert [one["imageId"]["imageTag"] for one in images] == ["v1", "v2"]
    assert {one["imageId"]["imageDigest"] for one in images} == {digest}


def test_batch_get_keeps_the_order_of_the_request(app: Driver) -> None:
    """Elements come in the order asked for; an untagged image has no tag."""
    first, second = app.push("app", "one"), app.push("app", "two", "v2")
    images = app.ok(
        "BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v2"}, {"imageDigest": first}]
    )["images"]
    assert [one["imageId"] for one in images] == [
        {"imageDigest": second, "imageTag": "v2"},
        {"imageDigest": first},
    ]


def test_batch_get_serves_stored_bytes_whatever_is_accepted(app: Driver) -> None:
    """Nothing is converted: a conversion would change the digest."""
    app.push("app", "one", "v1")
    images = app.ok(
        "BatchGetImage",
        repositoryName="app",
        imageIds=[{"imageTag": "v1"}],
        acceptedMediaTypes=[SCHEMA1, "what ever"],
    )["images"]
    assert images[0]["imageManifestMediaType"] == OCI_MANIFEST


@pytest.mark.parametrize(
    ("image_id", "code", "reason"),
    [
        ({"imageTag": "zz"}, "ImageNotFound", "Requested image not found"),
        ({"imageDigest": MISSING}, "ImageNotFound", "Requested image not found"),
        ({"imageTag": "zz", "imageDigest": MISSING}, "ImageNotFound", "Requested image not found"),
        (
            {"imageDigest": "nonsense"},
            "InvalidImageDigest",
            "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ),
        (
            {"imageTag": "a b"},
            "InvalidImageTag",
            "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9-_.]+'",
        ),
        ({}, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"),
        (
            {"imageTag": "v1", "imageDigest": MISSING},
            "ImageTagDoesNotMatchDigest",
            "Invalid request parameters: given tag does not map to the given digest",
        ),
    ],
)
@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage"])
def test_batch_calls_tell_each_failure(
    app: Driver, operation: str, image_id: dict[str, str], code: str, reason: str
) -> None:
    """What cannot be served is a failure with the id as it was sent; the call succeeds."""
    app.push("app", "one", "v1")
    answer = app.ok(operation, repositoryName="app", imageIds=[image_id])
    assert answer == {
        "images" if operation == "BatchGetImage" else "imageIds": [],
        "failures": [{"imageId": image_id, "failureCode": code, "failureReason": reason}],
    }


@pytest.mark.parametrize("operation", ["BatchGetImage", "BatchDeleteImage"])
def test_batch_calls_take_1_to_100_ids(app: Driver, operation: str) -> None:
    """An empty list and 101 ids are refused in ECR's words."""
    least = app.call(operation, repositoryName="app", imageIds=[])
    most = app.call(operation, repositoryName="app", imageIds=[{"imageTag": "x"}] * 101)
    start = "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length "
    assert least.message == start + "greater than or equal to 1'"
    assert most.message == start + "less than or equal to 100'"


def test_batch_get_counts_as_a_pull(app: Driver) -> None:
    """The time of the last pull shows once it is written."""
    app.push("app", "one", "v1")
    assert "lastRecordedPullTime" not in app.ok("DescribeImages", repositoryName="app")["imageDetails"][0]
    app.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v1"}])
    app.run(app.context.pulls.flush())
    (detail,) = app.ok("DescribeImages", repositoryName="app")["imageDetails"]
    assert detail["lastRecordedPullTime"] == NOW // 1000 / 1000


def test_batch_get_refuses_an_answer_that_would_not_fit(app: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tags on one large manifest must not exhaust the memory."""
    digest = app.push("app", "one", "v1", "v2")
    monkeypatch.setattr("moorage.services.image_batches.MAX_CONTENT_BYTES", 600)
    assert app.refused("BatchGetImage", repositoryName="app", imageIds=[{"imageDigest": digest}]) == (
        "InvalidParameterException"
    )
    app.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v1"}])


def test_batch_get_from_another_account_is_denied_like_a_missing_repository(app: Driver) -> None:
    """The refusal is the same whether or not the repository exists."""
    app.push("app", "one", "v1")
    answers = [
        app.call("BatchGetImage", registryId=OTHER_ACCOUNT, repositoryName=name, imageIds=[{"imageTag": "v1"}])
        for name in ("app", "nil")
    ]
    assert [answer.code for answer in answers] == ["AccessDeniedException"] * 2
    assert answers[0].message.replace("/app", "/nil") == answers[1].message


# --- BatchDeleteImage ----------------------------------------------------------------------------------------


def delete(driver: Driver, *ids: dict[str, str]) -> dict[str, Any]:
    """BatchDeleteImage in ``app``."""
    return driver.ok("BatchDeleteImage", repositoryName="app", imageIds=list(ids))


def test_delete_by_tag_removes_the_tag_alone(app: Driver) -> None:
    """While the image has another tag it stays."""
    digest = app.push("app", "one", "v1", "v2")
    removed = delete(app, {"imageTag": "v1"})
    assert removed == {"imageIds": [{"imageDigest": digest, "imageTag": "v1"}], "failures": []}
    assert app.ok("ListImages", repositoryName="app")["imageIds"] == [{"imageDigest": digest, "imageTag": "v2"}]


def test_delete_of_the_last_tag_deletes_the_image(app: Driver) -> None:
    """ECR: an image goes with its last tag."""
    app.push("app", "one", "v1")
    delete(app, {"imageTag": "v1"})
    assert app.ok("ListImages", repositoryName="app")["imageIds"] == []


def test_delete_by_digest_lists_every_tag(app: Driver) -> None:
    """Each pair that is gone is in the answer; an untagged image is a digest alone."""
    tagged, untagged = app.push("app", "one", "v1", "v2"), app.push("app", "two")
    removed = delete(app, {"imageDigest": tagged}, {"imageDigest": untagged})
    assert removed["imageIds"] == [
        {"imageDigest": tagged, "imageTag": "v1"},
        {"imageDigest": tagged, "imageTag": "v2"},
        {"imageDigest": untagged},
    ]


def test_delete_of_one_image_by_two_ids_lists_it_once(app: Driver) -> None:
    """Digest and tag of the same image in one call are one deletion and no failure."""
    digest = app.push("app", "one", "v1")
    removed = delete(app, {"imageDigest": digest}, {"imageTag": "v1"})
    assert removed == {"imageIds": [{"imageDigest": digest, "imageTag": "v1"}], "failures": []}


def test_delete_of_a_child_names_the_index_that_needs_it(app: Driver) -> None:
    """A child of a live index stays, even its last tag; after the index it may go."""
    text = app.image("app", "one")
    app.ok("PutImage", repositoryName="app", imageManifest=text, imageTag="child")
    index = index_of(text)
    app.ok("PutImage", repositoryName="app", imageManifest=index, imageTag="all")
    kept = delete(app, {"imageTag": "child"})
    assert kept["imageIds"] == []
    assert kept["failures"] == [
        {
            "imageId": {"imageTag": "child"},
            "failureCode": "ImageReferencedByManifestList",
            "failureReason": f"Requested image referenced by manifest list: [{digest_of(index)}]",
        }
    ]
    delete(app, {"imageTag": "all"})
    assert delete(app, {"imageTag": "child"})["failures"] == []


def test_size_of_an_index_is_that_of_its_largest_child(app: Driver) -> None:
    """ECR: an image counts config and layers, an index its largest child."""
    texts = [app.image("app", "x"), app.image("app", "a longer seed")]
    for text in texts:
        app.ok("PutImage", repositoryName="app", imageManifest=text)
    app.ok("PutImage", repositoryName="app", imageManifest=index_of(*texts), imageTag="all")
    details = app.ok("DescribeImages", repositoryName="app")["imageDetails"]
    sizes = [len(f"config of {seed}layer of {seed}") for seed in ("x", "a longer seed")]
    assert [one["imageSizeInBytes"] for one in details] == [*sizes, max(sizes)]


def test_digest_of_a_signed_schema_1_manifest_is_over_its_payload(app: Driver) -> None:
    """The signatures are stored and given back, and are no part of the digest."""
    layer = app.upload("app", b"old layer")
    payload = f'{{"schemaVersion":1,"name":"app","tag":"old","fsLayers":[{{"blobSum":"{layer}"}}]}}'
    head, tail = payload[:-1], payload[-1:]
    protected = _base64url(json.dumps({"formatLength": len(head), "formatTail": _base64url(tail)}))
    text = f'{head},"signatures":[{{"protected":"{protected}"}}]}}'
    image = app.ok("PutImage", repositoryName="app", imageManifest=text)["image"]
    assert image["imageId"]["imageDigest"] == f"sha256:{sha256(payload.encode()).hexdigest()}"
    assert image["imageManifest"] == text


def _base64url(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")
