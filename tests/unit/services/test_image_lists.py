"""Lists of images, tags and referrers: complete, in order, page by page."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain.digest import Digest
from moorage.domain.errors import ImageNotFound
from moorage.metadata import images
from moorage.metadata.images import TagStatus
from moorage.services import image_batches, image_lists
from moorage.services.image_ids import ImageFailureCode, ImageId
from moorage.services.image_lists import Referrer
from tests.support.callers import APP, OTHER, REGISTRY, enroll
from tests.support.content import Shelf
from tests.support.database import temporary_database
from tests.support.manifests import artifact, distinct_image, image_manifest, index, schema1

IMAGES = [distinct_image(number) for number in range(5)]
SUBJECT = image_manifest()
SBOM = "application/vnd.example.sbom"
SIGNATURE = "application/vnd.example.signature"


def page_by_page(shelf: Shelf, status: TagStatus, size: int) -> list[tuple[str, str | None]]:
    """ListImages to its end."""
    found: list[tuple[str, str | None]] = []
    after: tuple[int, int] | None = (0, 0)
    while after is not None:
        page, after = shelf.database.read_now(
            image_lists.list_images, shelf.caller, REGISTRY, APP, status, after, size
        )
        assert len(page) == size or after is None
        found += [(one.digest, one.tag) for one in page]
    return found


def details_by_page(shelf: Shelf, status: TagStatus, size: int) -> list[tuple[str, list[str]]]:
    """DescribeImages to its end."""
    found: list[tuple[str, list[str]]] = []
    after: int | None = 0
    while after is not None:
        page, after = shelf.database.read_now(
            image_lists.list_image_details, shelf.caller, REGISTRY, APP, status, after, size
        )
        assert len(page) == size or after is None
        found += [(one.image.digest, one.tags) for one in page]
    return found


def referrers(shelf: Shelf, types: Sequence[str] = (), limit: int = 100) -> list[Referrer]:
    """The first page of the referrers of ``SUBJECT``."""
    return shelf.database.read_now(
        image_lists.list_referrers, shelf.caller, REGISTRY, APP, SUBJECT.digest, types, "", limit
    )[0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_images_are_listed_page_by_page(shelf: Shelf, size: int) -> None:
    """One element per tag and one per untagged image; a page may end between two tags of one image."""
    digests = [str(image.digest) for image in IMAGES]
    shelf.push(IMAGES[0], "a", "b", "c")
    shelf.push(IMAGES[1])
    shelf.push(IMAGES[2], "d", "e")
    shelf.push(IMAGES[3])
    tagged = [(digests[0], "a"), (digests[0], "b"), (digests[0], "c"), (digests[2], "d"), (digests[2], "e")]
    untagged = [(digests[1], None), (digests[3], None)]
    assert page_by_page(shelf, "TAGGED", size) == tagged
    assert page_by_page(shelf, "UNTAGGED", size) == untagged
    assert set(page_by_page(shelf, "ANY", size)) == {*tagged, *untagged}
    assert len(page_by_page(shelf, "ANY", size)) == 7


@pytest.mark.parametrize("size", [1, 2, 100])
def test_image_details_are_listed_page_by_page(shelf: Shelf, size: int) -> None:
    """One element per image, all of the same push time, each with all of its tags."""
    shelf.push(IMAGES[0], "b", "a")
    shelf.push(IMAGES[1])
    shelf.push(IMAGES[2], "c")
    digests = [str(image.digest) for image in IMAGES]
    assert details_by_page(shelf, "ANY", size) == [
        (digests[0], ["b", "a"]),
        (digests[1], []),
        (digests[2], ["c"]),
    ]
    assert details_by_page(shelf, "TAGGED", size) == [(digests[0], ["b", "a"]), (digests[2], ["c"])]
    assert details_by_page(shelf, "UNTAGGED", size) == [(digests[1], [])]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    pushes=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", "c", "d", None])), max_size=12),
    size=st.integers(1, 4),
)
def test_no_page_repeats_or_misses_anything(pushes: list[tuple[int, str | None]], size: int) -> None:
    """Whatever moved where before: pages together are the whole list, which is what tags and images say."""
    tags: dict[str, str] = {}
    digests: dict[str, None] = {}
    with temporary_database() as database:
        shelf = Shelf(database, enroll(database))
        shelf.repository()
        for number, tag in pushes:
            shelf.push(IMAGES[number], *([tag] if tag else []))
            digest = str(IMAGES[number].digest)
            digests[digest] = None
            if tag:
                tags[tag] = digest
        tagged = {(digest, tag) for tag, digest in tags.items()}
        untagged = {(digest, None) for digest in digests.keys() - tags.values()}
        for status, expected in (("TAGGED", tagged), ("UNTAGGED", untagged), ("ANY", tagged | untagged)):
            found = page_by_page(shelf, status, size)  # type: ignore[arg-type]
            assert len(found) == len(expected)
            assert set(found) == expected
        assert [digest for digest, _ in details_by_page(shelf, "ANY", size)] == list(digests)


def test_tags_are_listed_bytewise(shelf: Shelf) -> None:
    """One that begins another is listed too; upper case before lower case, as bytes are."""
    shelf.push(SUBJECT, *(made := ["v1", "v1.0", "v10", "V1", "1", "_", "a-", "a.b"]))
    found: list[str] = []
    more = True
    while more:
        after = found[-1] if found else ""
        page, more = shelf.database.read_now(image_lists.list_tags, shelf.caller, REGISTRY, APP, after, 3)
        found += page
    assert found == sorted(made)


def test_no_tags_asked_for_are_none(shelf: Shelf) -> None:
    """A limit of 0 is an empty list without a next page."""
    shelf.push(SUBJECT, "v1")
    assert shelf.database.read_now(image_lists.list_tags, shelf.caller, REGISTRY, APP, "", 0) == ([], False)


# --- Described by id -----------------------------------------------------------------------------------------


def describe(shelf: Shelf, *ids: ImageId, status: TagStatus = "ANY") -> list[tuple[str, list[str]]]:
    """DescribeImages by ids."""
    found = shelf.database.read_now(image_lists.describe_images, shelf.caller, REGISTRY, APP, ids, status)
    return [(one.image.digest, one.tags) for one in found]


def test_an_image_is_described_once_with_all_its_tags(shelf: Shelf) -> None:
    """However often and by whatever it is named."""
    shelf.push(SUBJECT, "a", "b")
    digest = str(SUBJECT.digest)
    assert describe(shelf, ImageId(tag="b"), ImageId(digest), ImageId(digest, "a")) == [(digest, ["a", "b"])]


def test_one_unknown_id_fails_the_call(shelf: Shelf) -> None:
    """ECR: there is no list of failures; the refusal names the id."""
    shelf.push(SUBJECT, "a")
    with pytest.raises(ImageNotFound) as error:
        describe(shelf, ImageId(tag="a"), ImageId(tag="absent"))
    assert (error.value.facts["image_digest"], error.value.facts["image_tag"]) == (None, "absent")


def test_ids_and_status_both_apply(shelf: Shelf) -> None:
    """An untagged image is not among the tagged ones."""
    shelf.push(SUBJECT)
    digest = ImageId(str(SUBJECT.digest))
    assert describe(shelf, digest, status="TAGGED") == []
    assert len(describe(shelf, digest, status="UNTAGGED")) == 1


# --- Several at once -----------------------------------------------------------------------------------------


def test_images_are_got_in_the_order_asked(shelf: Shelf) -> None:
    """By digest one element per tag, by tag one; failures are echoed."""
    shelf.push(IMAGES[0], "a", "b")
    shelf.push(IMAGES[1])
    ids = [
        ImageId(str(IMAGES[1].digest)),
        ImageId(tag="absent"),
        ImageId(str(IMAGES[0].digest)),
        ImageId(tag="b"),
    ]
    found, failures = shelf.database.read_now(image_batches.batch_get_images, shelf.caller, REGISTRY, APP, ids)
    expected = [(IMAGES[1], None), (IMAGES[0], "a"), (IMAGES[0], "b"), (IMAGES[0], "b")]
    assert [(one.content, one.tag) for one in found] == [(image.content, tag) for image, tag in expected]
    assert [(one.image_id, one.code) for one in failures] == [(ids[1], ImageFailureCode.NOT_FOUND)]


# --- Referrers -----------------------------------------------------------------------------------------------


def test_referrers_are_listed_with_type_and_annotations(shelf: Shelf) -> None:
    """Of this subject in this repository alone; the subject itself need not be there."""
    made = artifact(SUBJECT, SBOM, tool="example")
    shelf.push(made)
    shelf.push(artifact(IMAGES[0], SBOM))
    shelf.repository(OTHER)
    shelf.push(artifact(SUBJECT, SIGNATURE), name=OTHER)
    (found,) = referrers(shelf)
    assert (found.image.digest, found.image.artifact_type) == (str(made.digest), SBOM)
    assert found.annotations == {"tool": "example"}


def test_a_referrer_without_artifact_type_has_that_of_its_config(shelf: Shelf) -> None:
    """OCI distribution-spec, "Listing Referrers"."""
    shelf.push(image_manifest(subject=SUBJECT))
    shelf.push(
        index(
            [], subject={"mediaType": SUBJECT.media_type, "digest": str(SUBJECT.digest), "size": SUBJECT.size}
        )
    )
    found = {one.image.media_type.rsplit(".", 2)[-2]: one.image.artifact_type for one in referrers(shelf)}
    assert found == {"manifest": "application/vnd.oci.image.config.v1+json", "index": None}


def test_referrers_are_filtered_by_type(shelf: Shelf) -> None:
    """By several of them too."""
    for number in range(3):
        shelf.push(artifact(SUBJECT, SBOM, number=str(number)))
    shelf.push(artifact(SUBJECT, SIGNATURE))
    assert len(referrers(shelf)) == 4
    assert [one.image.artifact_type for one in referrers(shelf, [SIGNATURE])] == [SIGNATURE]
    assert len(referrers(shelf, [SIGNATURE, SBOM])) == 4
    assert referrers(shelf, ["absent"]) == []


@pytest.mark.parametrize("types", [[], [SBOM]])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_referrers_are_listed_page_by_page(shelf: Shelf, size: int, types: list[str]) -> None:
    """In the order of their digests; a page that ends the list says so."""
    for number in range(6):
        shelf.push(artifact(SUBJECT, SBOM if number % 2 else SIGNATURE, number=str(number)))
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = shelf.database.read_now(
            image_lists.list_referrers, shelf.caller, REGISTRY, APP, SUBJECT.digest, types, after, size
        )
        assert len(page) <= size
        found += [one.image.digest for one in page]
    assert found == sorted(found)
    assert len(found) == (3 if types else 6)


def test_a_rare_type_among_many_referrers_costs_a_bounded_look(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be short, even empty, and then says where to go on; nothing is missed in the end."""
    monkeypatch.setattr(image_lists, "MOST_REFERRERS_READ", 4)
    for number in range(20):
        shelf.push(artifact(SUBJECT, SIGNATURE, number=str(number)))
    rare = shelf.push(artifact(SUBJECT, SBOM))
    read: list[int] = []
    list_rows = images.list_referrers

    def count(*arguments: object) -> list[images.ImageRow]:
        rows = list_rows(*arguments)  # type: ignore[arg-type]
        read.append(len(rows))
        return rows

    monkeypatch.setattr(images, "list_referrers", count)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        read.clear()
        page, after = shelf.database.read_now(
            image_lists.list_referrers, shelf.caller, REGISTRY, APP, SUBJECT.digest, [SBOM], after, 2
        )
        assert sum(read) <= 4 + 3
        found += [one.image.digest for one in page]
    assert found == [rare.digest]


def test_schema1_has_no_referrers_and_no_annotations(shelf: Shelf) -> None:
    """It is listed like any image."""
    shelf.push(schema1(), "old")
    found = shelf.database.read_now(
        image_lists.list_referrers, shelf.caller, REGISTRY, APP, Digest.of(b"x"), [], "", 10
    )
    assert found == ([], None)
    assert [tags for _, tags in details_by_page(shelf, "ANY", 10)] == [["old"]]
