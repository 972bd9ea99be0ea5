"""Layers: what a repository has, what is mounted from another one, what may be deleted."""

import pytest

from moorage.domain.caller import RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    AccessDenied,
    InvalidRequest,
    LayerInaccessible,
    LayerInUse,
    LayerNotFound,
    NotBuilt,
    RepositoryNotFound,
)
from moorage.domain.names import RepositoryName
from moorage.services import image_batches, layers, registry_settings, repositories
from moorage.services.image_ids import ImageId
from tests.support.callers import (
    ACCOUNT,
    APP,
    OTHER,
    OTHER_ACCOUNT,
    OTHER_REGISTRY,
    REGISTRY,
    enroll,
    root_of,
    trusted,
)
from tests.support.content import Shelf
from tests.support.manifests import CONFIG, CONFIG_TYPE, LAYER, image_manifest

DIGEST = Digest.of(LAYER)
ABSENT = Digest.of(b"absent")
IMAGE = image_manifest()


def has(shelf: Shelf, digest: Digest = DIGEST, name: RepositoryName = APP) -> bool:
    """Whether the repository has the blob."""
    try:
        shelf.database.read_now(layers.get_layer, shelf.caller, shelf.registry, name, digest)
    except LayerNotFound:
        return False
    return True


def mount(
    shelf: Shelf, source: RepositoryName | None, digest: Digest = DIGEST, name: RepositoryName = OTHER
) -> bool:
    """Mount a blob into ``team/other``."""
    write = shelf.database.write_now
    return write(layers.mount_layer, shelf.caller, shelf.registry, name, digest, source) is not None


def remove(shelf: Shelf, digest: Digest = DIGEST, name: RepositoryName = APP) -> None:
    """Delete a blob from ``team/app``."""
    shelf.database.write_now(layers.delete_layer, shelf.caller, shelf.registry, name, digest)


@pytest.fixture
def both(shelf: Shelf) -> Shelf:
    """The shelf with a second repository that lacks ``LAYER``."""
    shelf.repository(OTHER, CONFIG)
    return shelf


def test_a_layer_is_what_its_repository_has(both: Shelf) -> None:
    """Another one of the same registry has it only if it was put there."""
    assert has(both)
    assert not has(both, name=OTHER)


def test_availability_is_told_in_the_order_asked(shelf: Shelf) -> None:
    """A digest of an unknown algorithm is well formed and unavailable."""
    shelf.push(IMAGE)
    asked = [str(ABSENT), str(Digest.of(CONFIG)), "md5:d41d8cd98f00b204e9800998ecf8427e", str(ABSENT)]
    found = shelf.database.read_now(layers.check_layers, shelf.caller, REGISTRY, APP, asked)
    assert [one.digest for one in found] == asked
    assert [one.layer is not None for one in found] == [False, True, False, False]
    assert found[1].layer is not None
    assert (found[1].layer.size, found[1].layer.media_type) == (len(CONFIG), CONFIG_TYPE)


def test_a_layer_can_be_downloaded_once_an_image_needs_it(shelf: Shelf) -> None:
    """ECR: before that it is inaccessible; config blobs count as layers."""

    def download(digest: Digest) -> str:
        found = shelf.database.read_now(layers.get_downloadable_layer, shelf.caller, REGISTRY, APP, digest)
        return found.digest

    with pytest.raises(LayerInaccessible):
        download(DIGEST)
    shelf.push(IMAGE)
    for digest in (DIGEST, Digest.of(CONFIG)):
        assert download(digest) == str(digest)
    with pytest.raises(LayerNotFound):
        download(ABSENT)


# --- Deleting ------------------------------------------------------------------------------------------------


def test_a_layer_that_nothing_needs_is_deleted(shelf: Shelf) -> None:
    """From its repository alone; a second time it is not found."""
    shelf.repository(OTHER, LAYER)
    remove(shelf)
    assert not has(shelf)
    assert has(shelf, name=OTHER)
    with pytest.raises(LayerNotFound):
        remove(shelf)


def test_a_layer_that_an_image_needs_stays(shelf: Shelf) -> None:
    """Until the image is gone."""
    shelf.push(IMAGE)
    with pytest.raises(LayerInUse):
        remove(shelf)
    ids = [ImageId(str(IMAGE.digest))]
    shelf.database.write_now(image_batches.batch_delete_images, shelf.caller, REGISTRY, APP, ids)
    remove(shelf)


@pytest.mark.incident(7)
def test_a_deleted_layer_does_not_come_back_by_another_repository(both: Shelf) -> None:
    """Reading it elsewhere warms nothing here."""
    assert mount(both, APP)
    remove(both)
    assert has(both, name=OTHER)
    assert not has(both)


# --- Mounting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [APP, None])
def test_a_layer_is_mounted_from_another_repository(both: Shelf, source: RepositoryName | None) -> None:
    """Named or found; no image needs to need it."""
    assert mount(both, source)
    assert has(both, name=OTHER)


@pytest.mark.parametrize("source", [APP, OTHER, RepositoryName("absent"), None])
def test_what_is_not_there_is_not_mounted(both: Shelf, source: RepositoryName | None) -> None:
    """A source that does not exist answers like one without the blob."""
    assert not mount(both, source, ABSENT)


def test_a_layer_that_is_there_already_is_mounted(both: Shelf) -> None:
    """Nothing changes, and the client need not send it."""
    assert mount(both, APP)
    assert mount(both, APP)


def test_a_sha512_layer_is_mounted_under_the_digest_asked_for(both: Shelf) -> None:
    """Both names lead to the same bytes."""
    digest = Digest.of(b"twice named", "sha512")
    both.blob(b"twice named", APP, digest)
    assert mount(both, None, digest)
    assert has(both, digest, OTHER)


def test_nothing_is_mounted_from_another_account(both: Shelf) -> None:
    """Neither named nor found."""
    enroll(both.database, OTHER_ACCOUNT)
    theirs = Shelf(both.database, root_of(OTHER_ACCOUNT), registry=OTHER_REGISTRY, store=both.store)
    theirs.repository(RepositoryName("secret"), b"secret")
    for source in (RepositoryName("secret"), None):
        assert not mount(both, source, Digest.of(b"secret"))


def test_nothing_is_mounted_from_another_region(both: Shelf) -> None:
    """A registry is an account in one region."""
    elsewhere = Shelf(both.database, both.caller, registry=RegistryKey(ACCOUNT, "eu-west-1"), store=both.store)
    elsewhere.repository(APP, b"far")
    assert not mount(both, None, Digest.of(b"far"))


def test_nothing_is_mounted_from_a_deleted_repository(both: Shelf) -> None:
    """Its layers are gone with it."""
    both.database.write_now(repositories.delete_repository, both.caller, REGISTRY, APP, is_forced=True)
    assert not mount(both, APP)
    assert not mount(both, None)


def test_mounting_into_a_missing_repository_is_refused(shelf: Shelf) -> None:
    """Only the source is never told to be missing."""
    with pytest.raises(RepositoryNotFound):
        mount(shelf, APP)


def test_a_trusted_mount_makes_its_repository(shelf: Shelf) -> None:
    """In --dev."""
    shelf.caller = trusted()
    assert mount(shelf, APP)
    assert has(shelf, name=OTHER)


# --- Account settings ----------------------------------------------------------------------------------------


def put_setting(shelf: Shelf, name: str, value: str) -> None:
    """``put_account_setting`` in the default registry."""
    shelf.database.write_now(registry_settings.put_account_setting, shelf.caller, REGISTRY, name, value)


def test_mounting_can_be_switched_off(both: Shelf) -> None:
    """And on again."""
    put_setting(both, "BLOB_MOUNTING", "DISABLED")
    assert not mount(both, APP)
    put_setting(both, "BLOB_MOUNTING", "ENABLED")
    assert mount(both, APP)


def test_a_setting_has_a_default(shelf: Shelf) -> None:
    """Before any put, the value in force."""
    for name, values in registry_settings.ACCOUNT_SETTINGS.items():
        found = shelf.database.read_now(registry_settings.get_account_setting, shelf.caller, REGISTRY, name)
        assert found == values[0]


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("NO_SUCH_SETTING", "ENABLED", InvalidRequest),
        ("BLOB_MOUNTING", "MAYBE", InvalidRequest),
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR", NotBuilt),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(
    shelf: Shelf, name: str, value: str, refusal: type[Exception]
) -> None:
    """Unknown ones and those whose effect is not built."""
    with pytest.raises(refusal):
        put_setting(shelf, name, value)


def test_settings_of_another_account_are_out_of_reach(shelf: Shelf) -> None:
    """Like everything of it."""
    with pytest.raises(AccessDenied):
        shelf.database.read_now(
            registry_settings.get_account_setting, shelf.caller, OTHER_REGISTRY, "BLOB_MOUNTING"
        )
