"""ListImages, DescribeImages, ListImageReferrers."""

import json
from typing import Any

import pytest

from tests.ecr.driver import ACCOUNT, NOW, OCI_INDEX, OCI_MANIFEST, Driver, digest_of

MISSING = "sha256:" + "0" * 64


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with the repository ``app``."""
    driver.create("app")
    return driver


def pages(driver: Driver, operation: str, member: str, sizes: list[int], **given: Any) -> list[Any]:
    """Every element of a list, read in pages of these sizes in turn; no page is longer than asked for."""
    seen: list[Any] = []
    request: dict[str, Any] = {}
    for turn in range(100):
        size = sizes[turn % len(sizes)]
        page = driver.ok(operation, repositoryName="app", maxResults=size, **given, **request)
        assert len(page[member]) <= size
        seen += page[member]
        if "nextToken" not in page:
            return seen
        request = {"nextToken": page["nextToken"]}
    raise AssertionError("the list does not end")


SIZES = [[1], [2], [3], [1, 2, 7], [5], [1000]]


# --- ListImages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES)
def test_list_pages_break_between_two_tags_of_an_image(app: Driver, sizes: list[int]) -> None:
    """Elements are counted, not images; each (digest, tag) comes once, an untagged image by digest alone."""
    first, second = app.push("app", "one", "v1", "v2", "v3"), app.push("app", "two")
    third = app.push("app", "three", "w1")
    assert pages(app, "ListImages", "imageIds", sizes) == [
        {"imageDigest": first, "imageTag": "v1"},
        {"imageDigest": first, "imageTag": "v2"},
        {"imageDigest": first, "imageTag": "v3"},
        {"imageDigest": second},
        {"imageDigest": third, "imageTag": "w1"},
    ]


def test_a_last_page_that_is_full_has_no_token(app: Driver) -> None:
    """A token means that more follows."""
    app.push("app", "one", "v1", "v2")
    assert "nextToken" not in app.ok("ListImages", repositoryName="app", maxResults=2)


@pytest.mark.parametrize(("status", "count"), [("TAGGED", 2), ("UNTAGGED", 1), ("ANY", 3)])
def test_list_by_tag_status(app: Driver, status: str, count: int) -> None:
    """TAGGED gives tags, UNTAGGED digests, ANY both."""
    app.push("app", "one", "v1", "v2")
    app.push("app", "two")
    given = {"repositoryName": "app", "filter": {"tagStatus": status}}
    found = app.ok("ListImages", **given)["imageIds"]
    assert len(found) == count
    assert all(("imageTag" in one) == (status == "TAGGED") for one in found if status != "ANY")


def test_untagged_images_can_be_piped_to_delete(app: Driver) -> None:
    """What UNTAGGED lists is what BatchDeleteImage takes."""
    app.push("app", "one", "v1")
    app.push("app", "two")
    app.push("app", "three")
    ids = app.ok("ListImages", repositoryName="app", filter={"tagStatus": "UNTAGGED"})["imageIds"]
    removed = app.ok("BatchDeleteImage", repositoryName="app", imageIds=ids)
    assert removed == {"imageIds": ids, "failures": []}


@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages"])
@pytest.mark.parametrize(
    ("status", "is_shown"), [("ACTIVE", True), ("ANY", True), ("ARCHIVED", False), ("ACTIVATING", False)]
)
def test_lists_by_image_status(app: Driver, operation: str, status: str, is_shown: bool) -> None:
    """Nothing can be archived yet, so every image is active and a list of archived ones is truly empty."""
    app.push("app", "one", "v1")
    member = "imageIds" if operation == "ListImages" else "imageDetails"
    answer = app.ok(operation, repositoryName="app", filter={"imageStatus": status})
    assert len(answer[member]) == int(is_shown)
    assert "nextToken" not in answer


def test_a_token_is_bound_to_its_filter(app: Driver) -> None:
    """The token of one list does not continue another one."""
    app.push("app", "one", "v1", "v2")
    token = app.ok("ListImages", repositoryName="app", maxResults=1)["nextToken"]
    for given in (
        {"repositoryName": "app", "filter": {"tagStatus": "TAGGED"}},
        {"repositoryName": "other"},
    ):
        assert app.refused("ListImages", nextToken=token, **given) == "InvalidParameterException"
    app.create("other")
    assert app.refused("ListImages", repositoryName="other", nextToken=token) == "InvalidParameterException"


def test_lists_of_a_missing_repository(driver: Driver) -> None:
    """Each list names the repository that does not exist, whatever it is filtered by."""
    archived = {"imageStatus": "ARCHIVED"}
    for operation in ("ListImages", "DescribeImages"):
        for given in ({}, {"filter": archived}):
            assert driver.refused(operation, repositoryName="nowhere", **given) == (
                "RepositoryNotFoundException"
            )


# --- DescribeImages ------------------------------------------------------------------------------------------


def test_describe_tells_all_that_is_known(app: Driver) -> None:
    """Every member of an ordinary image; of scans nothing, because there was none."""
    digest = app.push("app", "one", "v1", "v2")
    assert app.ok("DescribeImages", repositoryName="app") == {
        "imageDetails": [
            {
                "registryId": ACCOUNT,
                "repositoryName": "app",
                "imageDigest": digest,
                "imageTags": ["v1", "v2"],
                "imageSizeInBytes": len("config of onelayer of one"),
                "imagePushedAt": 1481918742.123,
                "imageManifestMediaType": OCI_MANIFEST,
                "artifactMediaType": "application/vnd.oci.image.config.v1+json",
                "imageStatus": "ACTIVE",
            }
        ]
    }


def test_describe_leaves_out_the_tags_of_an_untagged_image(app: Driver) -> None:
    """imageTags is absent, not empty."""
    app.push("app", "one")
    assert "imageTags" not in app.ok("DescribeImages", repositoryName="app")["imageDetails"][0]


def test_describe_by_id_gives_each_image_once_with_all_tags(app: Driver) -> None:
    """Two ids of one image are one detail."""
    digest = app.push("app", "one", "v1", "v2")
    other = app.push("app", "two")
    ids = [{"imageDigest": other}, {"imageTag": "v2"}, {"imageDigest": digest}, {"imageTag": "v1"}]
    details = app.ok("DescribeImages", repositoryName="app", imageIds=ids)["imageDetails"]
    assert [(one["imageDigest"], one.get("imageTags")) for one in details] == [
        (other, None),
        (digest, ["v1", "v2"]),
    ]


@pytest.mark.parametrize(
    ("image_id", "shown"),
    [
        ({"imageDigest": MISSING}, f"{{imageDigest:'{MISSING}', imageTag:'null'}}"),
        ({"imageTag": "zz"}, "{imageDigest:'null', imageTag:'zz'}"),
    ],
)
def test_describe_fails_for_one_unknown_id(app: Driver, image_id: dict[str, str], shown: str) -> None:
    """ECR: there are no failures here, one unknown id fails the call."""
    app.push("app", "one", "v1")
    answer = app.call("DescribeImages", repositoryName="app", imageIds=[{"imageTag": "v1"}, image_id])
    assert answer.json == {
        "__type": "ImageNotFoundException",
        "message": f"The image with imageId {shown} does not exist within the repository with name 'app' in "
        f"the registry with id '{ACCOUNT}'",
    }


def test_describe_applies_ids_and_filter_together(app: Driver) -> None:
    """Of the named images those are shown that have the tag status."""
    tagged, untagged = app.push("app", "one", "v1"), app.push("app", "two")
    ids = [{"imageDigest": tagged}, {"imageDigest": untagged}]
    given = {"repositoryName": "app", "imageIds": ids, "filter": {"tagStatus": "UNTAGGED"}}
    details = app.ok("DescribeImages", **given)["imageDetails"]
    assert [one["imageDigest"] for one in details] == [untagged]


@pytest.mark.parametrize("sizes", SIZES)
def test_describe_pages_count_images(app: Driver, sizes: list[int]) -> None:
    """Each image comes once, with all its tags, whatever sizes the pages have."""
    digests = [app.push("app", f"image {number}", *(["a", "b"] if number == 2 else [])) for number in range(5)]
    details = pages(app, "DescribeImages", "imageDetails", sizes)
    assert [one["imageDigest"] for one in details] == digests
    assert details[2]["imageTags"] == ["a", "b"]


def test_describe_refuses_ids_together_with_paging(app: Driver) -> None:
    """Named images are not paged."""
    app.push("app", "one", "v1")
    ids = [{"imageTag": "v1"}]
    for paging in ({"maxResults": 1}, {"nextToken": "x"}):
        assert app.refused("DescribeImages", repositoryName="app", imageIds=ids, **paging) == (
            "InvalidParameterException"
        )


def test_images_that_appear_between_pages_come_at_the_end(app: Driver) -> None:
    """A push while somebody pages repeats nothing and skips nothing."""
    first, second = app.push("app", "one"), app.push("app", "two")
    page = app.ok("DescribeImages", repositoryName="app", maxResults=1)
    third = app.push("app", "three")
    rest = app.ok("DescribeImages", repositoryName="app", nextToken=page["nextToken"])
    seen = [one["imageDigest"] for one in page["imageDetails"] + rest["imageDetails"]]
    assert seen == [first, second, third]


# --- ListImageReferrers --------------------------------------------------------------------------------------


def attach(driver: Driver, subject: str, seed: str, artifact_type: str) -> dict[str, Any]:
    """Push an artifact about ``subject``; returns it as it should be listed."""
    subject_descriptor = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 7}
    members: dict[str, Any] = {
        "artifactType": artifact_type,
        "subject": subject_descriptor,
        "annotations": {"made-by": seed},
    }
    text = driver.image("app", seed, **members)
    driver.ok("PutImage", repositoryName="app", imageManifest=text)
    return {
        "digest": digest_of(text),
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "size": len(text),
        "annotations": {"made-by": seed},
        "artifactStatus": "ACTIVE",
    }


def test_referrers_are_listed_with_type_and_annotations(app: Driver) -> None:
    """Each artifact whose subject the image is, in the order of digests."""
    subject = app.push("app", "one", "v1")
    made = [attach(app, subject, "sbom", "application/sbom"), attach(app, subject, "sig", "application/sig")]
    answer = app.ok("ListImageReferrers", repositoryName="app", subjectId={"imageDigest": subject})
    assert answer == {"referrers": sorted(made, key=lambda one: str(one["digest"]))}


def test_a_referrer_shows_its_subject_when_described(app: Driver) -> None:
    """DescribeImages tells what an artifact is about."""
    subject = app.push("app", "one")
    attach(app, subject, "sbom", "application/sbom")
    details = app.ok("DescribeImages", repositoryName="app")["imageDetails"]
    assert details[1]["subjectManifestDigest"] == subject
    assert details[1]["artifactMediaType"] == "application/sbom"


def test_referrers_by_type_and_status(app: Driver) -> None:
    """The filters apply; nothing is archived."""
    subject = app.push("app", "one")
    attach(app, subject, "sbom", "application/sbom")
    wanted = attach(app, subject, "sig", "application/sig")
    given = {"repositoryName": "app", "subjectId": {"imageDigest": subject}}
    by_type = {"artifactTypes": ["application/sig", "application/none"]}
    assert app.ok("ListImageReferrers", **given, filter=by_type) == {"referrers": [wanted]}
    assert app.ok("ListImageReferrers", **given, filter={"artifactStatus": "ARCHIVED"}) == {"referrers": []}
    both = app.ok("ListImageReferrers", **given, filter={"artifactStatus": "ANY"})
    assert len(both["referrers"]) == 2


@pytest.mark.parametrize("sizes", [[1], [2], [3], [50]])
def test_referrer_pages(app: Driver, sizes: list[int]) -> None:
    """Every referrer comes once, in the order of digests."""
    subject = app.push("app", "one")
    digests = sorted(attach(app, subject, f"a{number}", "application/a")["digest"] for number in range(5))
    found = pages(app, "ListImageReferrers", "referrers", sizes, subjectId={"imageDigest": subject})
    assert [one["digest"] for one in found] == digests


def test_referrers_of_an_unknown_subject_are_none(app: Driver) -> None:
    """A subject need not exist; a digest that is none is refused."""
    given = {"repositoryName": "app"}
    assert app.ok("ListImageReferrers", **given, subjectId={"imageDigest": MISSING}) == {"referrers": []}
    assert app.refused("ListImageReferrers", **given, subjectId={"imageDigest": "v1"}) == (
        "InvalidParameterException"
    )


def test_referrers_page_is_at_most_50(app: Driver) -> None:
    """This list has smaller pages than the others."""
    answer = app.call(
        "ListImageReferrers", repositoryName="app", subjectId={"imageDigest": MISSING}, maxResults=51
    )
    assert "'Member must have value less than or equal to 50'" in answer.message


def test_an_index_without_images_has_no_size(app: Driver) -> None:
    """An empty index is legal; its size is nothing."""
    text = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    app.ok("PutImage", repositoryName="app", imageManifest=text)
    (detail,) = app.ok("DescribeImages", repositoryName="app")["imageDetails"]
    assert (detail["imageSizeInBytes"], detail["imageManifestMediaType"]) == (0, OCI_INDEX)
    assert detail["imagePushedAt"] == NOW // 1000 / 1000
    assert "artifactMediaType" not in detail
