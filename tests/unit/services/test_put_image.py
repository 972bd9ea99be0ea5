"""Pushing images: what must be there, what a repeat does, what immutability forbids."""

from collections.abc import Iterator

import pytest

from moorage.domain import media_types
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    ImageAlreadyExists,
    ImageTagAlreadyExists,
    LayersMissing,
    LimitExceeded,
    ManifestInvalid,
    ReferencedImagesMissing,
    RegistryError,
    RepositoryNotFound,
)
from moorage.domain.manifest import Manifest
from moorage.domain.names import Tag
from moorage.metadata import layers, repositories, tags
from moorage.metadata.database import Database
from moorage.metadata.images import ImageRow
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability
from moorage.services import image_batches, images
from moorage.services.image_ids import ImageId
from moorage.services.images import ImageContent, Reference
from moorage.services.repositories import put_tag_mutability
from tests.support.callers import APP, OTHER, REGISTRY, enroll
from tests.support.content import Shelf
from tests.support.database import Clock, fresh_database
from tests.support.manifests import (
    CONFIG,
    CONFIG_TYPE,
    LAYER,
    LAYER_TYPE,
    artifact,
    describe_blob,
    distinct_image,
    image_manifest,
    index,
    schema1,
    signed_schema1,
)

IMAGE = image_manifest()
NEWER = distinct_image(2)


def get(shelf: Shelf, reference: Reference) -> ImageContent:
    """``get_image`` in ``team/app``."""
    return shelf.database.read_now(images.get_image, shelf.caller, REGISTRY, APP, reference)


def set_mutability(shelf: Shelf, setting: TagMutability, *filters: str) -> None:
    """``put_tag_mutability`` in ``team/app``."""
    patterns = [ExclusionFilter(pattern) for pattern in filters]
    shelf.database.write_now(put_tag_mutability, shelf.caller, REGISTRY, APP, setting, patterns)


def image_count(shelf: Shelf) -> int:
    """Live images of ``team/app``."""
    row = shelf.database.read_now(repositories.find_repository, REGISTRY, APP)
    assert row is not None
    return row.image_count


# --- What comes back -----------------------------------------------------------------------------------------


def test_a_manifest_comes_back_byte_for_byte(shelf: Shelf) -> None:
    """White space and the newline at the end are part of it."""
    manifest = Manifest.parse(b"  " + IMAGE.content + b"\n\n", None)
    shelf.push(manifest, "v1")
    assert get(shelf, manifest.digest).content == manifest.content
    assert get(shelf, Tag("v1")).image.digest == str(manifest.digest)


def test_a_sha512_manifest_is_found_under_its_digest(shelf: Shelf) -> None:
    """The digest's algorithm is the client's choice."""
    manifest = image_manifest(digest_algorithm="sha512")
    shelf.push(manifest)
    assert get(shelf, manifest.digest).content == manifest.content


def test_an_image_is_as_large_as_its_layers_and_config(shelf: Shelf) -> None:
    """The same layer twice counts twice; a foreign one by what the manifest says."""
    foreign = describe_blob(b"elsewhere", media_types.DOCKER_FOREIGN_LAYER, urls=["https://192.0.2.1/layer"])
    manifest = image_manifest([LAYER, LAYER, foreign])
    assert shelf.push(manifest).size == 2 * len(LAYER) + len(CONFIG) + len(b"elsewhere")


def test_an_index_is_as_large_as_its_largest_child(shelf: Shelf) -> None:
    """ECR: not the sum."""
    shelf.blob(b"a larger layer")
    small, large = image_manifest(), image_manifest([b"a larger layer"])
    sizes = [image.size for image in shelf.push_all([small, large])]
    assert shelf.push(index([small, large])).size == max(sizes)


def test_the_media_types_of_blobs_are_those_of_the_last_manifest(shelf: Shelf) -> None:
    """What availability answers as mediaType."""
    shelf.push(IMAGE)
    repository = shelf.database.read_now(repositories.find_repository, REGISTRY, APP)
    assert repository is not None
    found = [
        shelf.database.read_now(layers.find_layer, repository.id, str(Digest.of(blob)))
        for blob in (CONFIG, LAYER)
    ]
    assert [row.media_type for row in found if row] == [CONFIG_TYPE, LAYER_TYPE]


def test_an_artifact_tells_its_subject_and_type(shelf: Shelf) -> None:
    """Both lists of images and of referrers show them; the subject itself need not be there."""
    image = shelf.push(artifact(IMAGE, "application/vnd.example.sbom"))
    assert image.subject_digest == str(IMAGE.digest)
    assert image.artifact_media_type == image.artifact_type == "application/vnd.example.sbom"


# --- What must be there --------------------------------------------------------------------------------------


def refused(shelf: Shelf, manifest: Manifest) -> RegistryError:
    """Why the manifest is refused, after a look that nothing of it stayed."""
    before = image_count(shelf)
    with pytest.raises(RegistryError) as error:
        shelf.push(manifest, "tag")
    assert image_count(shelf) == before
    with pytest.raises(RegistryError):
        get(shelf, Tag("tag"))
    return error.value


def test_every_missing_blob_is_named(shelf: Shelf) -> None:
    """All of them in one refusal, each once, in the order of the manifest."""
    manifest = image_manifest([LAYER, b"absent", b"absent"], config=b"{ }")
    error = refused(shelf, manifest)
    assert isinstance(error, LayersMissing)
    assert error.facts["digests"] == [str(Digest.of(b"{ }")), str(Digest.of(b"absent"))]


def test_a_blob_of_another_repository_is_missing(shelf: Shelf) -> None:
    """A digest alone opens nothing."""
    shelf.repository(OTHER, b"theirs")
    assert isinstance(refused(shelf, image_manifest([b"theirs"])), LayersMissing)


def test_foreign_layers_need_not_be_there(shelf: Shelf) -> None:
    """They stay where they are, and their addresses are kept, not fetched."""
    foreign = describe_blob(b"elsewhere", media_types.DOCKER_FOREIGN_LAYER, urls=["http://169.254.169.254/"])
    shelf.push(image_manifest([foreign]))


def test_every_missing_child_is_named(shelf: Shelf) -> None:
    """The children of an index are images of the same repository."""
    shelf.push(IMAGE)
    absent = [distinct_image(1), distinct_image(2)]
    error = refused(shelf, index([IMAGE, *absent]))
    assert isinstance(error, ReferencedImagesMissing)
    assert error.facts["digests"] == [str(manifest.digest) for manifest in absent]


def test_a_deleted_child_is_missing(shelf: Shelf) -> None:
    """What is gone is not there."""
    shelf.push(IMAGE)
    ids = [ImageId(str(IMAGE.digest))]
    shelf.database.write_now(image_batches.batch_delete_images, shelf.caller, REGISTRY, APP, ids)
    assert isinstance(refused(shelf, index([IMAGE])), ReferencedImagesMissing)


def test_an_index_of_an_index_is_taken(shelf: Shelf) -> None:
    """Nothing forbids nesting."""
    shelf.push(IMAGE)
    inner = index([IMAGE])
    shelf.push(inner)
    shelf.push(index([inner]))


@pytest.mark.parametrize("size", [0, len(LAYER) - 1, len(LAYER) + 1])
def test_a_wrong_blob_size_is_refused(shelf: Shelf, size: int) -> None:
    """A descriptor must tell the truth about the stored bytes."""
    manifest = image_manifest([describe_blob(LAYER) | {"size": size}])
    assert isinstance(refused(shelf, manifest), ManifestInvalid)


@pytest.mark.parametrize("wrong", [{"size": 1}, {"mediaType": media_types.DOCKER_MANIFEST}])
def test_a_child_that_is_described_wrongly_is_refused(shelf: Shelf, wrong: dict[str, object]) -> None:
    """Size and media type of an index's entries too."""
    shelf.push(IMAGE)
    entry = {"mediaType": IMAGE.media_type, "digest": str(IMAGE.digest), "size": IMAGE.size, **wrong}
    assert isinstance(refused(shelf, index([], manifests=[entry])), ManifestInvalid)


def test_a_missing_repository_is_refused(shelf: Shelf) -> None:
    """Nobody gets one by pushing, but in --dev."""
    with pytest.raises(RepositoryNotFound):
        shelf.push(IMAGE, name=OTHER)


# --- Repeats and moves ---------------------------------------------------------------------------------------


def test_a_repeat_is_refused_by_the_json_api(shelf: Shelf) -> None:
    """ECR: neither manifest nor tag changes."""
    shelf.push(IMAGE, "v1", is_repeat_refused=True)
    with pytest.raises(ImageAlreadyExists) as error:
        shelf.push(IMAGE, "v1", is_repeat_refused=True)
    assert error.value.facts["tag"] == "v1"
    with pytest.raises(ImageAlreadyExists) as error:
        shelf.push(IMAGE, is_repeat_refused=True)
    assert error.value.facts["tag"] is None


def test_a_repeat_over_v2_answers_the_image(shelf: Shelf) -> None:
    """A client may push again after a lost answer."""
    assert shelf.push(IMAGE, "v1").id == shelf.push(IMAGE, "v1").id
    assert image_count(shelf) == 1


def test_a_new_tag_on_the_same_image_keeps_its_push_time(shelf: Shelf, clock: Clock) -> None:
    """ECR: imagePushedAt is that of the digest."""
    before = shelf.push(IMAGE, "v1", is_repeat_refused=True)
    clock.advance(hours=1)
    after = shelf.push(IMAGE, "v2", is_repeat_refused=True)
    assert (after.id, after.pushed_at) == (before.id, before.pushed_at)


def test_a_tag_moves_and_the_old_image_stays(shelf: Shelf) -> None:
    """It becomes untagged; it is not deleted."""
    shelf.push(IMAGE, "latest")
    shelf.push(NEWER, "latest")
    assert get(shelf, Tag("latest")).image.digest == str(NEWER.digest)
    assert get(shelf, IMAGE.digest).image.tag_count == 0
    assert get(shelf, NEWER.digest).image.tag_count == 1


def test_the_history_tells_every_move(shelf: Shelf) -> None:
    """From, to, when and by whom; a repeat is no move."""
    shelf.push(IMAGE, "latest")
    shelf.push(IMAGE, "latest")
    shelf.push(NEWER, "latest")
    row = shelf.database.read_now(repositories.find_repository, REGISTRY, APP)
    assert row is not None
    moves = shelf.database.read_now(tags.list_moves, row.id, "latest", 0, 10)
    assert [(move.from_digest, move.to_digest) for move in moves] == [
        (None, str(IMAGE.digest)),
        (str(IMAGE.digest), str(NEWER.digest)),
    ]
    assert {move.principal for move in moves} == {shelf.caller.principal_arn}
    later = shelf.database.read_now(tags.list_moves, row.id, "latest", moves[0].id, 10)
    assert later == moves[1:]


def test_several_tags_are_put_together(shelf: Shelf) -> None:
    """One push, many names, each once."""
    image = shelf.push(IMAGE, "a", "b", "a")
    assert shelf.database.read_now(tags.list_tags_of_image, image.id) == ["a", "b"]
    assert get(shelf, IMAGE.digest).image.tag_count == 2


# --- Immutability --------------------------------------------------------------------------------------------


def test_an_immutable_tag_does_not_move(shelf: Shelf) -> None:
    """Whoever pushes, and whatever the tag is called."""
    set_mutability(shelf, TagMutability.IMMUTABLE)
    shelf.push(IMAGE, "latest")
    with pytest.raises(ImageTagAlreadyExists):
        shelf.push(NEWER, "latest")
    assert get(shelf, Tag("latest")).image.digest == str(IMAGE.digest)


@pytest.mark.parametrize("is_repeat_refused", [True, False])
def test_an_immutable_tag_refuses_the_identical_image(shelf: Shelf, is_repeat_refused: bool) -> None:
    """ECR: also the same image again, over either face."""
    set_mutability(shelf, TagMutability.IMMUTABLE)
    shelf.push(IMAGE, "v1")
    with pytest.raises(ImageTagAlreadyExists):
        shelf.push(IMAGE, "v1", is_repeat_refused=is_repeat_refused)


def test_one_immutable_tag_refuses_the_whole_push(shelf: Shelf) -> None:
    """The other tags are not put, and the image is not there."""
    shelf.push(IMAGE, "v1")
    set_mutability(shelf, TagMutability.IMMUTABLE)
    with pytest.raises(ImageTagAlreadyExists):
        shelf.push(NEWER, "new", "v1")
    assert image_count(shelf) == 1


def test_an_immutable_repository_takes_new_tags_and_untagged_images(shelf: Shelf) -> None:
    """Only what exists is fixed."""
    set_mutability(shelf, TagMutability.IMMUTABLE)
    shelf.push(IMAGE, "v1")
    shelf.push(IMAGE, "v2")
    shelf.push(NEWER)


@pytest.mark.parametrize(
    ("setting", "tag", "is_fixed"),
    [
        (TagMutability.IMMUTABLE_WITH_EXCLUSION, "dev-1", False),
        (TagMutability.IMMUTABLE_WITH_EXCLUSION, "v1", True),
        (TagMutability.MUTABLE_WITH_EXCLUSION, "dev-1", True),
        (TagMutability.MUTABLE_WITH_EXCLUSION, "v1", False),
    ],
)
def test_exclusion_filters_turn_the_setting_round(
    shelf: Shelf, setting: TagMutability, tag: str, is_fixed: bool
) -> None:
    """For the tags they match, and for no others."""
    set_mutability(shelf, setting, "dev-*")
    shelf.push(IMAGE, tag)
    if is_fixed:
        with pytest.raises(ImageTagAlreadyExists):
            shelf.push(NEWER, tag)
    else:
        shelf.push(NEWER, tag)


def test_accept_identical_push_relaxes_v2_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The setting lets the very same image pass over ``/v2/``; another image and the JSON API are refused."""
    database = fresh_database(tmp_path_factory.mktemp("relaxed"), accept_identical_push=True)
    shelf = Shelf(database, enroll(database))
    shelf.repository()
    set_mutability(shelf, TagMutability.IMMUTABLE)
    shelf.push(IMAGE, "v1")
    shelf.push(IMAGE, "v1")
    with pytest.raises(ImageTagAlreadyExists):
        shelf.push(IMAGE, "v1", is_repeat_refused=True)
    with pytest.raises(ImageTagAlreadyExists):
        shelf.push(NEWER, "v1")
    database.close()


# --- Quotas --------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """A shelf where two of everything is all there may be."""
    quotas = {"images_per_repository": 2, "tags_per_image": 2}
    database: Database = fresh_database(tmp_path_factory.mktemp("small"), quotas=quotas)
    shelf = Shelf(database, enroll(database))
    shelf.repository()
    yield shelf
    database.close()


def limit_hit(shelf: Shelf, manifest: Manifest, *tags: str) -> object:
    """The quota that the push exceeds."""
    with pytest.raises(LimitExceeded) as error:
        shelf.push(manifest, *tags)
    return error.value.facts["quota"]


def test_images_beyond_the_quota_are_refused(small: Shelf) -> None:
    """A repeat is no new image, and a deletion makes room."""
    small.push_all([distinct_image(1), distinct_image(2)])
    assert limit_hit(small, distinct_image(3)) == "images_per_repository"
    small.push(distinct_image(2), "tag")
    ids = [ImageId(str(distinct_image(1).digest))]
    small.database.write_now(image_batches.batch_delete_images, small.caller, REGISTRY, APP, ids)
    small.push(distinct_image(3))


def test_tags_beyond_the_quota_are_refused(small: Shelf) -> None:
    """In one push or in several; the tags that an image has already do not count again."""
    small.push(distinct_image(1), "a", "b")
    small.push(distinct_image(1), "a", "b")
    assert limit_hit(small, distinct_image(1), "c") == "tags_per_image"
    assert limit_hit(small, distinct_image(2), "c", "d", "e") == "tags_per_image"
    small.push(distinct_image(2), "a")
    small.push(distinct_image(1), "c")


# --- Schema 1 ------------------------------------------------------------------------------------------------


@pytest.mark.threat(53)
def test_a_schema1_manifest_is_stored_as_sent(shelf: Shelf) -> None:
    """Its layers say no sizes; the image has those of the stored blobs."""
    image = shelf.push(schema1(), "old")
    assert image.size == len(LAYER)
    assert get(shelf, Tag("old")).content == schema1().content


def test_signatures_of_one_account_are_not_told_to_another(shelf: Shelf) -> None:
    """Two signed manifests with the same payload have one digest and different bytes; each gets its own back."""
    shelf.repository(OTHER)
    first, second = signed_schema1(signature=b"first"), signed_schema1(signature=b"another")
    assert first.digest == second.digest
    shelf.push(first)
    image: ImageRow = shelf.push(second, name=OTHER)
    found = shelf.database.read_now(images.get_image, shelf.caller, REGISTRY, OTHER, second.digest)
    assert found.content == second.content
    assert image.manifest_size == len(found.content)


def test_the_media_type_of_one_account_is_not_told_to_another(shelf: Shelf) -> None:
    """The same bytes without a mediaType may be two things; each repository is told what was pushed to it."""
    shelf.repository(OTHER)
    content = IMAGE.content.replace(
        f'"mediaType": "{media_types.OCI_MANIFEST}", "config"'.encode(), b'"config"'
    )
    assert content != IMAGE.content
    shelf.push(Manifest.parse(content, media_types.OCI_MANIFEST))
    image = shelf.push(Manifest.parse(content, media_types.DOCKER_MANIFEST), name=OTHER)
    assert image.media_type == media_types.DOCKER_MANIFEST
