"""Deleting images and tags: what goes, what stays, and what is answered."""

from collections.abc import Sequence

import pytest

from moorage.domain.digest import Digest
from moorage.domain.errors import ImageNotFound, ImageReferencedByIndex
from moorage.domain.names import Tag
from moorage.metadata import images, repositories, tags
from moorage.metadata.repositories import RepositoryRow
from moorage.services import image_batches, image_lists
from moorage.services.image_ids import ImageFailure, ImageFailureCode, ImageId
from tests.support.callers import APP, REGISTRY
from tests.support.content import Shelf
from tests.support.manifests import artifact, image_manifest, index

IMAGE = image_manifest()
DIGEST = str(IMAGE.digest)
ABSENT = str(Digest.of(b"absent"))


def delete(shelf: Shelf, *ids: ImageId) -> tuple[list[ImageId], list[ImageFailure]]:
    """``batch_delete_images`` in ``team/app``."""
    return shelf.database.write_now(image_batches.batch_delete_images, shelf.caller, shelf.registry, APP, ids)


def listed(shelf: Shelf) -> list[tuple[str, str | None]]:
    """Every (digest, tag) of ``team/app``."""
    found, _ = shelf.database.read_now(
        image_lists.list_images, shelf.caller, shelf.registry, APP, "ANY", (0, 0), 1000
    )
    return [(one.digest, one.tag) for one in found]


def repository_row(shelf: Shelf) -> RepositoryRow:
    """The row of ``team/app``."""
    row = shelf.database.read_now(repositories.find_repository, REGISTRY, APP)
    assert row is not None
    return row


def history(shelf: Shelf, tag: str) -> list[tuple[str | None, str | None]]:
    """From where to where the tag moved."""
    moves = shelf.database.read_now(tags.list_moves, repository_row(shelf).id, tag, 0, 100)
    return [(move.from_digest, move.to_digest) for move in moves]


def pairs(ids: Sequence[ImageId]) -> list[tuple[str | None, str | None]]:
    """Ids as tuples."""
    return [(one.digest, one.tag) for one in ids]


def test_a_tag_goes_and_the_image_stays_while_it_has_others(shelf: Shelf) -> None:
    """By tag only that tag is removed and answered."""
    shelf.push(IMAGE, "a", "b")
    removed, failures = delete(shelf, ImageId(tag="a"))
    assert (pairs(removed), failures) == ([(DIGEST, "a")], [])
    assert listed(shelf) == [(DIGEST, "b")]


def test_the_image_goes_with_its_last_tag(shelf: Shelf) -> None:
    """ECR: removing the last tag deletes the image, and the count of images says so."""
    shelf.push(IMAGE, "a")
    removed, _ = delete(shelf, ImageId(tag="a"))
    assert pairs(removed) == [(DIGEST, "a")]
    assert listed(shelf) == []
    assert repository_row(shelf).image_count == 0


def test_by_digest_every_tag_goes_and_is_answered(shelf: Shelf) -> None:
    """One element per tag of the image."""
    shelf.push(IMAGE, "a", "b")
    removed, _ = delete(shelf, ImageId(DIGEST))
    assert pairs(removed) == [(DIGEST, "a"), (DIGEST, "b")]
    assert listed(shelf) == []


def test_an_untagged_image_is_answered_by_digest_alone(shelf: Shelf) -> None:
    """There is no tag to tell."""
    shelf.push(IMAGE)
    assert pairs(delete(shelf, ImageId(DIGEST))[0]) == [(DIGEST, None)]


def test_digest_with_tag_removes_that_tag_only(shelf: Shelf) -> None:
    """Both together name the tag, not the image."""
    shelf.push(IMAGE, "a", "b")
    assert pairs(delete(shelf, ImageId(DIGEST, "a"))[0]) == [(DIGEST, "a")]
    assert listed(shelf) == [(DIGEST, "b")]


def test_digest_and_its_tag_in_one_call_are_one_removal(shelf: Shelf) -> None:
    """Ids that resolve to the same image give one element and no failure."""
    shelf.push(IMAGE, "a")
    removed, failures = delete(shelf, ImageId(DIGEST), ImageId(tag="a"))
    assert (pairs(removed), failures) == ([(DIGEST, "a")], [])


def test_tag_and_then_its_digest_remove_the_image(shelf: Shelf) -> None:
    """The other way round it is the same image that goes, with each of its tags answered once."""
    shelf.push(IMAGE, "a", "b")
    removed, failures = delete(shelf, ImageId(tag="a"), ImageId(DIGEST))
    assert (pairs(removed), failures) == ([(DIGEST, "a"), (DIGEST, "b")], [])
    assert listed(shelf) == []


def test_the_same_tag_named_twice_does_not_delete_the_image(shelf: Shelf) -> None:
    """A tag that the same call removed already is no reason to take the image and its other tags."""
    shelf.push(IMAGE, "a", "b")
    removed, failures = delete(shelf, ImageId(tag="a"), ImageId(DIGEST, "a"))
    assert (pairs(removed), failures) == ([(DIGEST, "a")], [])
    assert listed(shelf) == [(DIGEST, "b")]


def test_all_tags_in_one_call_take_the_image(shelf: Shelf) -> None:
    """The last of them is the image's last tag."""
    shelf.push(IMAGE, "a", "b")
    removed, failures = delete(shelf, ImageId(tag="a"), ImageId(tag="b"))
    assert (pairs(removed), failures) == ([(DIGEST, "a"), (DIGEST, "b")], [])
    assert listed(shelf) == []
    assert repository_row(shelf).image_count == 0


def test_the_same_id_twice_is_one_removal(shelf: Shelf) -> None:
    """Nothing is answered twice."""
    shelf.push(IMAGE)
    assert pairs(delete(shelf, ImageId(DIGEST), ImageId(DIGEST))[0]) == [(DIGEST, None)]


@pytest.mark.parametrize(
    ("image_id", "code"),
    [
        (ImageId(), ImageFailureCode.MISSING_DIGEST_AND_TAG),
        (ImageId("nonsense"), ImageFailureCode.INVALID_DIGEST),
        (ImageId(""), ImageFailureCode.INVALID_DIGEST),
        (ImageId("sha256:" + "A" * 64), ImageFailureCode.NOT_FOUND),
        (ImageId(ABSENT), ImageFailureCode.NOT_FOUND),
        (ImageId(tag="absent"), ImageFailureCode.NOT_FOUND),
        (ImageId(DIGEST, "absent"), ImageFailureCode.NOT_FOUND),
        (ImageId(tag="a/b"), ImageFailureCode.INVALID_TAG),
        (ImageId(tag=""), ImageFailureCode.INVALID_TAG),
        (ImageId(tag="latest\n"), ImageFailureCode.INVALID_TAG),
        (ImageId(ABSENT, "present"), ImageFailureCode.TAG_DOES_NOT_MATCH_DIGEST),
    ],
)
def test_an_id_that_names_no_image_is_a_failure(
    shelf: Shelf, image_id: ImageId, code: ImageFailureCode
) -> None:
    """It is echoed with its code, and the others of the call are served."""
    shelf.push(IMAGE, "present", "other")
    removed, failures = delete(shelf, image_id, ImageId(tag="other"))
    assert failures == [ImageFailure(image_id, code)]
    assert pairs(removed) == [(DIGEST, "other")]


def test_an_image_that_an_index_needs_stays_with_its_last_tag(shelf: Shelf) -> None:
    """ECR: even the tag stays; the failure names the indexes."""
    shelf.push(IMAGE, "child")
    parent = shelf.push(index([IMAGE]), "multi")
    removed, failures = delete(shelf, ImageId(tag="child"), ImageId(DIGEST))
    expected = (ImageFailureCode.REFERENCED_BY_INDEX, (parent.digest,))
    assert removed == []
    assert [(one.code, one.indexes) for one in failures] == [expected, expected]
    assert (DIGEST, "child") in listed(shelf)


def test_a_tag_of_a_needed_image_goes_while_another_stays(shelf: Shelf) -> None:
    """An index needs the image, not each of its tags."""
    shelf.push(IMAGE, "a", "b")
    shelf.push(index([IMAGE]))
    assert pairs(delete(shelf, ImageId(tag="a"))[0]) == [(DIGEST, "a")]


def test_an_index_and_its_child_do_not_go_in_one_call(shelf: Shelf) -> None:
    """ECR: ids are read against the state before the call, in either order; a second call takes the child."""
    shelf.push(IMAGE)
    parent = shelf.push(index([IMAGE]))
    removed, failures = delete(shelf, ImageId(parent.digest), ImageId(DIGEST))
    assert pairs(removed) == [(parent.digest, None)]
    assert [one.code for one in failures] == [ImageFailureCode.REFERENCED_BY_INDEX]
    assert pairs(delete(shelf, ImageId(DIGEST))[0]) == [(DIGEST, None)]


def test_a_referrer_stays_when_its_subject_is_deleted(shelf: Shelf) -> None:
    """A subject may be absent, so it may go."""
    shelf.push(IMAGE)
    referrer = shelf.push(artifact(IMAGE))
    assert pairs(delete(shelf, ImageId(DIGEST))[0]) == [(DIGEST, None)]
    assert listed(shelf) == [(referrer.digest, None)]


def test_a_deleted_image_can_be_pushed_again(shelf: Shelf) -> None:
    """It is a new image: new push time, no tags of old."""
    before = shelf.push(IMAGE, "a")
    delete(shelf, ImageId(DIGEST))
    after = shelf.push(IMAGE)
    assert after.id > before.id
    assert listed(shelf) == [(DIGEST, None)]


def test_a_deleted_image_needs_its_blobs_no_more(shelf: Shelf) -> None:
    """Its references are gone with it."""
    shelf.push(IMAGE)
    delete(shelf, ImageId(DIGEST))
    needs = [
        shelf.database.read_now(images.is_blob_needed, repository_row(shelf).id, str(blob.digest))
        for blob in IMAGE.required_blobs()
    ]
    assert needs == [False, False]


def test_every_removal_is_in_the_history_of_the_tag(shelf: Shelf) -> None:
    """By tag, with the image, and over ``/v2/``."""
    shelf.push(IMAGE, "a", "b", "c")
    shelf.database.write_now(image_batches.delete_tag, shelf.caller, REGISTRY, APP, Tag("a"))
    delete(shelf, ImageId(tag="b"))
    delete(shelf, ImageId(DIGEST))
    assert [history(shelf, tag) for tag in "abc"] == [[(None, DIGEST), (DIGEST, None)]] * 3


def test_untagging_over_v2_leaves_the_image(shelf: Shelf) -> None:
    """OCI: deleting the last tag leaves the manifest."""
    shelf.push(IMAGE, "a")
    shelf.database.write_now(image_batches.delete_tag, shelf.caller, REGISTRY, APP, Tag("a"))
    assert listed(shelf) == [(DIGEST, None)]
    with pytest.raises(ImageNotFound):
        shelf.database.write_now(image_batches.delete_tag, shelf.caller, REGISTRY, APP, Tag("a"))


def test_deleting_over_v2_takes_all_tags(shelf: Shelf) -> None:
    """OCI: a manifest goes by digest with whatever names it; a second time it is not found."""
    shelf.push(IMAGE, "a", "b")
    shelf.database.write_now(image_batches.delete_image, shelf.caller, REGISTRY, APP, IMAGE.digest)
    assert listed(shelf) == []
    with pytest.raises(ImageNotFound):
        shelf.database.write_now(image_batches.delete_image, shelf.caller, REGISTRY, APP, IMAGE.digest)


def test_deleting_over_v2_refuses_what_an_index_needs(shelf: Shelf) -> None:
    """Both faces guard it."""
    shelf.push(IMAGE)
    parent = shelf.push(index([IMAGE]))
    with pytest.raises(ImageReferencedByIndex) as refused:
        shelf.database.write_now(image_batches.delete_image, shelf.caller, REGISTRY, APP, IMAGE.digest)
    assert refused.value.facts["indexes"] == [parent.digest]
