"""boto3's paginators: pages of every size, and lists that are resumed."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.boto import Boto
from tests.clients.images import MANIFEST
from tests.clients.pushing import new_manifest, push_image

pytestmark = pytest.mark.clients

COUNT = 8
NAME = "lists/images"
SBOM = "application/vnd.example.sbom"


@pytest.fixture(scope="module")
def ecr(python: Boto) -> Any:
    """A registry of its own with COUNT repositories, one of which holds COUNT tagged images."""
    client = python.client(region="ap-south-1")
    client.create_repository(repositoryName=NAME)
    for number in range(COUNT - 1):
        client.create_repository(repositoryName=f"lists/{number}")
    for number in range(COUNT):
        push_image(client, NAME, f"v{number}")
    return client


LISTS: list[tuple[str, dict[str, str], str, Callable[[dict[str, Any]], str]]] = [
    ("describe_repositories", {}, "repositories", lambda one: str(one["repositoryName"])),
    ("list_images", {"repositoryName": NAME}, "imageIds", lambda one: str(one["imageTag"])),
    ("describe_images", {"repositoryName": NAME}, "imageDetails", lambda one: str(one["imageTags"][0])),
]
EVERY_LIST = pytest.mark.parametrize(
    ("operation", "given", "member", "key"), LISTS, ids=[row[0] for row in LISTS]
)


@EVERY_LIST
@pytest.mark.parametrize("size", [1, 3, 7, COUNT, 1000])
def test_pages_of_any_size_hold_everything_once(
    ecr: Any,
    operation: str,
    given: dict[str, str],
    member: str,
    key: Callable[[dict[str, Any]], str],
    size: int,
) -> None:
    """No page is larger than asked for, none is empty, and together they are the whole list."""
    pages = [
        [key(one) for one in page[member]]
        for page in ecr.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": size})
    ]
    assert all(0 < len(page) <= size for page in pages)
    listed = [one for page in pages for one in page]
    assert len(listed) == len(set(listed)) == COUNT


@EVERY_LIST
@pytest.mark.parametrize(("first", "then"), [(3, 7), (7, 5), (1, 1000)])
def test_a_list_goes_on_where_it_was_cut_when_the_page_size_changes(
    ecr: Any,
    operation: str,
    given: dict[str, str],
    member: str,
    key: Callable[[dict[str, Any]], str],
    first: int,
    then: int,
) -> None:
    """``MaxItems`` cuts in the middle of a page; ``StartingToken`` takes it up with pages of another size.

    botocore goes back to the start of the page that was cut and skips what it gave out, within one page.
    """
    paginator = ecr.get_paginator(operation)
    begun = paginator.paginate(**given, PaginationConfig={"MaxItems": 5, "PageSize": first}).build_full_result()
    rest = paginator.paginate(
        **given, PaginationConfig={"StartingToken": begun["NextToken"], "PageSize": then}
    ).build_full_result()
    assert [len(begun[member]), len(rest[member])] == [5, COUNT - 5]
    assert len({key(one) for one in (*begun[member], *rest[member])}) == COUNT
    assert "NextToken" not in rest


@EVERY_LIST
def test_a_token_of_another_list_is_refused(
    ecr: Any, operation: str, given: dict[str, str], member: str, key: Callable[[dict[str, Any]], str]
) -> None:
    """As is one that the server never gave out."""
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="nextToken"):
        getattr(ecr, operation)(**given, nextToken="made-up")


def test_referrers_are_listed_page_by_page(ecr: Any) -> None:
    """No paginator of botocore knows this list; tokens are passed on by hand."""
    manifest = new_manifest(ecr, "lists/0")
    subject = ecr.put_image(repositoryName="lists/0", imageManifest=manifest)["image"]["imageId"]
    described = {"mediaType": MANIFEST, "digest": subject["imageDigest"], "size": len(manifest)}
    pushed = {push_image(ecr, "lists/0", None, subject=described, artifactType=SBOM) for _ in range(4)}
    asked = {"repositoryName": "lists/0", "subjectId": {"imageDigest": subject["imageDigest"]}}
    begun = ecr.list_image_referrers(**asked, maxResults=3)
    rest = ecr.list_image_referrers(**asked, maxResults=50, nextToken=begun["nextToken"])
    assert {one["digest"] for one in (*begun["referrers"], *rest["referrers"])} == pushed
    assert [len(begun["referrers"]), len(rest["referrers"])] == [3, 1]
