"""Pairs of use cases that meet, on every database: of two that cannot both be true one is refused; no row is wrong."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from moorage.domain.digest import Digest
from moorage.domain.errors import (
    ImageAlreadyExists,
    ImageNotFound,
    ImageReferencedByIndex,
    ImageTagAlreadyExists,
    LayerInUse,
    LayersMissing,
    LimitExceeded,
    ReferencedImagesMissing,
    RegistryError,
    RepositoryAlreadyExists,
    UploadBusy,
)
from moorage.domain.manifest import Manifest
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata.transaction import Transaction
from moorage.rules.tag_mutability import TagMutability
from moorage.services import image_batches, images, layers, repositories, uploads
from moorage.services.image_ids import ImageId
from moorage.services.uploads import PlacedBlob, StoredLayer, WriteTurn, WrittenSegment
from tests.support.callers import REGISTRY, enroll
from tests.support.content import Shelf
from tests.support.database import HOUR, Clock, execute, fresh_database, open_again
from tests.support.manifests import LAYER, distinct_image, index
from tests.support.racing import Call, Race, broken

ROUNDS = 8

FIRST, SECOND = distinct_image(1), distinct_image(2)


class Quay(Shelf):
    """A shelf whose use cases can be raced; each round has a repository of its own."""

    def __init__(self, race: Race) -> None:
        super().__init__(race.databases[0], enroll(race.databases[0]))
        self.race = race

    def rounds(self) -> Iterator[RepositoryName]:
        """Repositories with blobs, one for each round; afterwards no row is wrong."""
        for number in range(ROUNDS):
            yield self.repository(RepositoryName(f"team/round-{number}"))
        assert broken(self.database) == []

    def put(self, name: RepositoryName, manifest: Manifest, *tags: str) -> Call:
        """A push."""
        return lambda tx: images.put_image(
            tx, self.caller, REGISTRY, name, manifest, [Tag(tag) for tag in tags], is_repeat_refused=False
        )

    def delete(self, name: RepositoryName, manifest: Manifest) -> Call:
        """Delete an image over ``/v2/``."""
        return lambda tx: image_batches.delete_image(tx, self.caller, REGISTRY, name, manifest.digest)

    def untag(self, name: RepositoryName, *tags: str) -> Call:
        """Delete tags as the JSON API does: an image goes with its last one."""
        ids = [ImageId(tag=tag) for tag in tags]
        return lambda tx: image_batches.batch_delete_images(tx, self.caller, REGISTRY, name, ids)

    def find(self, name: RepositoryName, reference: str) -> Digest | None:
        """The digest of the image that a tag or digest names, None when there is none."""
        wanted = Digest.parse(reference) if ":" in reference else Tag(reference)
        try:
            found = self.database.read_now(images.get_image, self.caller, REGISTRY, name, wanted)
        except ImageNotFound:
            return None
        return Digest.parse(found.image.digest)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Quay]]:
    """Makes a quay with these settings."""
    made: list[Quay] = []

    def build(**settings: Any) -> Quay:
        database = fresh_database(tmp_path, clock=Clock(), **settings)
        made.append(Quay(Race(database, open_again(database))))
        return made[-1]

    yield build
    for quay in made:
        quay.race.close()
        for database in reversed(quay.race.databases):
            database.close()


@pytest.fixture
def quay(make: Callable[..., Quay]) -> Quay:
    """A quay with the default settings."""
    return make()


def kinds(outcomes: list[Any]) -> set[type]:
    """The refusals among the outcomes, by class."""
    return {type(outcome) for outcome in outcomes if isinstance(outcome, RegistryError)}


def test_an_immutable_tag_goes_to_one_image(quay: Quay) -> None:
    """Of two pushes of different images under it exactly one is acknowledged, and that one is there."""
    for name in quay.rounds():
        quay.database.write_now(
            repositories.put_tag_mutability, quay.caller, REGISTRY, name, TagMutability.IMMUTABLE, []
        )
        outcomes = quay.race.run(quay.put(name, FIRST, "v1"), quay.put(name, SECOND, "v1"))
        (winner,) = [outcome for outcome in outcomes if not isinstance(outcome, RegistryError)]
        assert kinds(outcomes) == {ImageTagAlreadyExists}
        assert str(quay.find(name, "v1")) == winner.digest


def test_a_mutable_tag_ends_at_one_of_two_images(quay: Quay) -> None:
    """Both pushes are acknowledged, the later one has it, and its history is a chain."""
    for name in quay.rounds():
        outcomes = quay.race.run(quay.put(name, FIRST, "v1"), quay.put(name, SECOND, "v1"))
        assert kinds(outcomes) == set()
        assert quay.find(name, "v1") in {FIRST.digest, SECOND.digest}


def test_the_last_tag_is_deleted_while_another_is_pushed(quay: Quay) -> None:
    """An acknowledged push is there, whether the deletion came before or after."""
    for name in quay.rounds():
        quay.push(FIRST, "old", name=name)
        outcomes = quay.race.run(quay.untag(name, "old"), quay.put(name, FIRST, "new"))
        assert kinds(outcomes) == set()
        assert (quay.find(name, "old"), quay.find(name, "new")) == (None, FIRST.digest)


def test_an_image_is_deleted_while_an_index_that_needs_it_is_pushed(quay: Quay) -> None:
    """Either the index is refused or the deletion is; there is no index without its child."""
    multi = index([FIRST])
    for name in quay.rounds():
        quay.push(FIRST, name=name)
        outcomes = quay.race.run(quay.delete(name, FIRST), quay.put(name, multi, "multi"))
        assert kinds(outcomes) in ({ReferencedImagesMissing}, {ImageReferencedByIndex})
        assert (quay.find(name, str(FIRST.digest)) is None) == (quay.find(name, "multi") is None)


def test_the_last_tag_of_a_child_is_deleted_while_its_index_is_pushed(quay: Quay) -> None:
    """As above, by the JSON API, which lists the refusal among its failures."""
    multi = index([FIRST])
    for name in quay.rounds():
        quay.push(FIRST, "child", name=name)
        (_, failures), pushed = quay.race.run(quay.untag(name, "child"), quay.put(name, multi, "multi"))
        assert isinstance(pushed, ReferencedImagesMissing) != bool(failures)


def test_an_index_and_its_child_are_deleted_at_once(quay: Quay) -> None:
    """The child may be refused, the index goes; nothing dangles."""
    multi = index([FIRST])
    for name in quay.rounds():
        quay.push(FIRST, name=name)
        quay.push(multi, name=name)
        outcomes = quay.race.run(quay.delete(name, multi), quay.delete(name, FIRST))
        assert kinds(outcomes[:1]) == set()
        assert kinds(outcomes[1:]) <= {ImageReferencedByIndex}
        assert quay.find(name, str(multi.digest)) is None


def test_a_layer_is_deleted_while_an_image_that_needs_it_is_pushed(quay: Quay) -> None:
    """Either the image is refused or the deletion is."""
    for name in quay.rounds():
        delete: Call = partial(_delete_layer, quay, name)
        outcomes = quay.race.run(delete, quay.put(name, FIRST, "v1"))
        assert kinds(outcomes) in ({LayersMissing}, {LayerInUse})


def _delete_layer(quay: Quay, name: RepositoryName, tx: Transaction) -> None:
    layers.delete_layer(tx, quay.caller, REGISTRY, name, Digest.of(LAYER))


def test_two_writers_take_one_upload_over(quay: Quay) -> None:
    """Whatever their order, one of them counts its bytes and the other none."""
    for name in quay.rounds():
        upload_id = quay.database.write_now(uploads.start_upload, quay.caller, REGISTRY, name)

        def begin(tx: Transaction, name: RepositoryName = name, upload_id: str = upload_id) -> WriteTurn:
            return uploads.begin_writing(tx, quay.caller, REGISTRY, name, upload_id, first_byte=0)

        turns = quay.race.run(begin, begin)
        assert len({turn.epoch for turn in turns}) == 2
        outcomes = quay.race.run(*(_add(turn, number) for number, turn in enumerate(turns)))
        assert kinds(outcomes) == {UploadBusy}
        assert [outcome for outcome in outcomes if not isinstance(outcome, RegistryError)] == [10]


def _add(turn: WriteTurn, number: int) -> Call:
    segment = WrittenSegment(f"segment-{number}", 10, "0" * 64)
    return lambda tx: uploads.add_segment(tx, turn, segment)


def test_an_upload_goes_on_while_it_is_completed(quay: Quay) -> None:
    """Bytes that were counted are never left out of the blob: one of the two is refused."""
    for name in quay.rounds():
        upload_id = quay.database.write_now(uploads.start_upload, quay.caller, REGISTRY, name)
        turn = quay.database.write_now(
            uploads.begin_writing, quay.caller, REGISTRY, name, upload_id, first_byte=None
        )
        placed = PlacedBlob(Digest.of(name.encode()), 0, f"blob-{name}")
        take_over: Call = partial(_begin, quay, name, upload_id)
        complete: Call = partial(_complete, turn, placed)
        stored, taken = quay.race.run(complete, take_over)
        assert isinstance(stored, StoredLayer) != isinstance(taken, WriteTurn)


def _complete(turn: WriteTurn, placed: PlacedBlob, tx: Transaction) -> StoredLayer:
    return uploads.complete_upload(tx, turn, placed, [])


def _begin(quay: Quay, name: RepositoryName, upload_id: str, tx: Transaction) -> WriteTurn:
    return uploads.begin_writing(tx, quay.caller, REGISTRY, name, upload_id, first_byte=None)


def test_two_job_workers_expire_the_same_uploads(make: Callable[..., Quay]) -> None:
    """Each upload is forgotten once, and its segments are handed to one of the two to be thrown away."""
    quay = make(upload_expiry_hours=1)
    clock: Any = quay.database._clock  # type: ignore[attr-defined]
    for name in quay.rounds():
        for number in range(3):
            upload_id = quay.database.write_now(uploads.start_upload, quay.caller, REGISTRY, name)
            turn = quay.database.write_now(
                uploads.begin_writing, quay.caller, REGISTRY, name, upload_id, first_byte=0
            )
            quay.database.write_now(_add(turn, number))
        clock.now += 2 * HOUR
        (one, first), (two, second) = quay.race.run(_expire, _expire)
        assert one + two == 3
        assert sorted(first + second) == ["segment-0", "segment-1", "segment-2"]


def _expire(tx: Transaction) -> tuple[int, list[str]]:
    return uploads.expire_uploads(tx, 100)


def test_the_same_blob_arrives_twice(quay: Quay) -> None:
    """One copy gets the row, and the other push is told that its copy is superfluous."""
    for name in quay.rounds():
        digest = Digest.of(str(name).encode())

        def store(
            tx: Transaction, copy: str, name: RepositoryName = name, digest: Digest = digest
        ) -> StoredLayer:
            placed = PlacedBlob(digest, 5, f"{copy}-{name}")
            return uploads.store_layer(tx, quay.caller, REGISTRY, name, placed, [])

        outcomes = quay.race.run(partial(store, copy="a"), partial(store, copy="b"))
        assert sorted(outcome.is_placed_used for outcome in outcomes) == [False, True]
        assert len({outcome.location for outcome in outcomes}) == 1


def test_a_repository_is_made_once(quay: Quay) -> None:
    """Of two that make it one is told that it exists."""
    for number in range(ROUNDS):
        create: Call = partial(_create, quay, RepositoryName(f"new/{number}"))
        assert kinds(quay.race.run(create, create)) == {RepositoryAlreadyExists}
    assert broken(quay.database) == []


def _create(quay: Quay, name: RepositoryName, tx: Transaction) -> None:
    repositories.create_repository(tx, quay.caller, REGISTRY, name)


def test_the_first_repository_of_a_registry_is_made_by_two(quay: Quay) -> None:
    """Different names, and a registry that has no row yet: both are there afterwards."""
    names = [RepositoryName("one"), RepositoryName("two")]
    outcomes = quay.race.run(*(partial(_create, quay, name) for name in names))
    assert kinds(outcomes) == set()
    assert broken(quay.database) == []


def test_a_repository_is_deleted_while_an_image_is_pushed(quay: Quay) -> None:
    """An image that was acknowledged is not in a repository that was deleted as an empty one."""
    for name in quay.rounds():
        delete: Call = partial(_delete_repository, quay, name)
        deleted, pushed = quay.race.run(delete, quay.put(name, FIRST, "v1"))
        assert isinstance(deleted, RegistryError) != isinstance(pushed, RegistryError)


def _delete_repository(quay: Quay, name: RepositoryName, tx: Transaction) -> None:
    repositories.delete_repository(tx, quay.caller, REGISTRY, name, is_forced=False)


@pytest.mark.parametrize("quota", ["images_per_repository", "tags_per_image", "open_uploads"])
def test_the_last_of_a_quota_goes_to_one(make: Callable[..., Quay], quota: str) -> None:
    """Two that both saw room for one more do not both take it."""
    quay = make(quotas={quota: 1})
    for name in quay.rounds():
        if quota == "tags_per_image":
            quay.push(FIRST, name=name)
        pairs: dict[str, tuple[Call, Call]] = {
            "images_per_repository": (quay.put(name, FIRST), quay.put(name, SECOND)),
            "tags_per_image": (quay.put(name, FIRST, "a"), quay.put(name, FIRST, "b")),
            "open_uploads": (partial(_start, quay, name), partial(_start, quay, name)),
        }
        outcomes = quay.race.run(*pairs[quota])
        assert sum(isinstance(outcome, LimitExceeded) for outcome in outcomes) == 1
        assert kinds(outcomes) == {LimitExceeded}
        execute(quay.database, "DELETE FROM upload")


def test_the_last_repository_of_the_quota_goes_to_one(make: Callable[..., Quay]) -> None:
    """The registry's count is read and raised by both."""
    quay = make(quotas={"repositories": 1})
    for number in range(ROUNDS):
        names = [RepositoryName(f"{number}/a"), RepositoryName(f"{number}/b")]
        outcomes = quay.race.run(*(partial(_create, quay, name) for name in names))
        assert sum(isinstance(outcome, LimitExceeded) for outcome in outcomes) == 1
        for name, outcome in zip(names, outcomes, strict=True):
            if outcome is None:
                quay.database.write_now(
                    repositories.delete_repository, quay.caller, REGISTRY, name, is_forced=False
                )
    assert broken(quay.database) == []


def _start(quay: Quay, name: RepositoryName, tx: Transaction) -> str:
    return uploads.start_upload(tx, quay.caller, REGISTRY, name)


def test_counts_are_right_after_a_crowd(quay: Quay) -> None:
    """Many pushes, moves and deletions in one repository through two handles: all are answered, no row is wrong."""
    name = quay.repository()
    manifests = [distinct_image(number) for number in range(6)]
    dice = random.Random(7)
    calls: list[Call] = []
    for _ in range(120):
        manifest, tag = dice.choice(manifests), f"t{dice.randrange(8)}"
        calls.append(
            dice.choice([quay.put(name, manifest, tag), quay.untag(name, tag), quay.delete(name, manifest)])
        )

    def run(number: int) -> object:
        try:
            return quay.race.databases[number % 2].write_now(calls[number])
        except RegistryError as refusal:
            return refusal

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(run, range(len(calls))))
    assert kinds(outcomes) <= {ImageNotFound, ImageAlreadyExists}
    assert broken(quay.database) == []
