"""Times of the last pull: gathered, coalesced, and kept while the database is away."""

import asyncio
from typing import Any

import pytest

from moorage.domain.caller import Caller
from moorage.domain.errors import TooManyRequests, Unavailable
from moorage.metadata import images, repositories
from moorage.metadata.database import Database
from moorage.metadata.images import ImageRow
from moorage.transfers import pulls
from moorage.transfers.pulls import COARSE_MICROSECONDS, PullTimes
from tests.support.callers import APP, REGISTRY
from tests.support.content import Shelf
from tests.support.manifests import CONFIG, LAYER, distinct_image


class RecordingDatabase:
    """Counts writes, and refuses them while it is away."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.writes: list[dict[int, int]] = []
        self.is_away = False
        self.is_busy = False
        self.is_away_after: int | None = None

    async def write(self, use_case: Any, noted: dict[int, int]) -> None:
        """Run it unless away."""
        if self.is_busy:
            raise TooManyRequests
        if self.is_away or self.is_away_after == len(self.writes):
            raise Unavailable(what="the metadata database")
        self.writes.append(dict(noted))
        await self.database.write(use_case, noted)


class Pulled:
    """Two images and what is known of their pulls."""

    def __init__(self, database: Database, caller: Caller) -> None:
        shelf = Shelf(database, caller)
        for blob in (CONFIG, LAYER):
            shelf.blob(blob)
        self.images = shelf.push_all([distinct_image(1), distinct_image(2)])
        self.database = RecordingDatabase(database)
        self.times = PullTimes(self.database)  # type: ignore[arg-type]

    def recorded(self) -> list[int | None]:
        """``last_pulled_at`` of the images."""
        repository = self.database.database.read_now(repositories.find_repository, REGISTRY, APP)
        assert repository is not None
        found: list[ImageRow | None] = [
            self.database.database.read_now(images.find_by_digest, repository.id, image.digest)
            for image in self.images
        ]
        return [image.last_pulled_at for image in found if image is not None]


@pytest.fixture
def pulled(database: Database, caller: Caller) -> Pulled:
    """Two images that nobody pulled yet."""
    return Pulled(database, caller)


def test_many_pulls_become_one_write(pulled: Pulled) -> None:
    """Of many pulls of an image only the last is written."""
    one, two = (image.id for image in pulled.images)
    for at in range(100, 200):
        pulled.times.note(one, at)
    pulled.times.note(two, 7)
    asyncio.run(pulled.times.flush())
    assert pulled.database.writes == [{one: 199, two: 7}]
    assert pulled.recorded() == [199, 7]


def test_a_pull_shortly_after_a_recorded_one_is_not_written(pulled: Pulled) -> None:
    """ECR: the time is coarse."""
    image = pulled.images[0]._replace(last_pulled_at=1_000)
    pulled.times.note_pull(image, 1_000 + COARSE_MICROSECONDS - 1)
    asyncio.run(pulled.times.flush())
    assert pulled.database.writes == []


def test_a_pull_long_after_the_recorded_one_is_written(pulled: Pulled) -> None:
    """So is the first of all."""
    one, two = pulled.images
    at = 1_000 + COARSE_MICROSECONDS
    pulled.times.note_pull(one._replace(last_pulled_at=1_000), at)
    pulled.times.note_pull(two, at)
    asyncio.run(pulled.times.flush())
    assert pulled.recorded() == [at, at]


def test_nothing_noted_is_nothing_written(pulled: Pulled) -> None:
    """An idle server does not write."""
    asyncio.run(pulled.times.flush())
    assert pulled.database.writes == []


def test_the_latest_pull_counts_whatever_the_order(pulled: Pulled) -> None:
    """Noted out of order, and written after a later one of another process."""
    image = pulled.images[0].id
    for at in (5, 9, 7):
        pulled.times.note(image, at)
    asyncio.run(pulled.times.flush())
    pulled.times.note(image, 8)
    asyncio.run(pulled.times.flush())
    assert pulled.recorded() == [9, None]


def test_pulls_are_kept_while_the_database_is_away(pulled: Pulled) -> None:
    """And those noted meanwhile are not overwritten by them."""
    one, two = (image.id for image in pulled.images)

    async def run() -> None:
        pulled.database.is_away = True
        pulled.times.note(one, 5)
        pulled.times.note(two, 6)
        await pulled.times.flush()
        pulled.times.note(one, 9)
        await pulled.times.flush()
        pulled.database.is_away, pulled.database.is_busy = False, True
        await pulled.times.flush()
        pulled.database.is_busy = False
        await pulled.times.flush()

    asyncio.run(run())
    assert pulled.database.writes == [{one: 9, two: 6}]
    assert pulled.recorded() == [9, 6]


def test_a_large_flush_does_not_hold_up_other_writes(pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written in pieces; those that could not be written are kept."""
    monkeypatch.setattr(pulls, "BATCH", 10)

    async def run() -> None:
        for image_id in range(1000, 1035):
            pulled.times.note(image_id, 1)
        pulled.database.is_away_after = 2
        await pulled.times.flush()
        pulled.database.is_away_after = None
        await pulled.times.flush()

    asyncio.run(run())
    assert [len(write) for write in pulled.database.writes] == [10, 10, 10, 5]
    assert sorted(image_id for write in pulled.database.writes for image_id in write) == [*range(1000, 1035)]


def test_a_pull_of_a_deleted_image_is_forgotten(pulled: Pulled) -> None:
    """Nothing fails for it."""
    pulled.times.note(404, 5)
    asyncio.run(pulled.times.flush())
    assert pulled.recorded() == [None, None]


def test_stopping_writes_what_is_left(pulled: Pulled) -> None:
    """Whether or not the time to write had come."""

    async def run() -> None:
        pulled.times.start()
        await asyncio.sleep(0)
        pulled.times.note(pulled.images[0].id, 5)
        await pulled.times.stop()

    asyncio.run(run())
    assert pulled.recorded() == [5, None]


def test_what_is_noted_is_written_now_and_then(pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody asking; a database that is away does not end it."""
    monkeypatch.setattr(pulls, "FLUSH_SECONDS", 0.001)

    async def run() -> None:
        pulled.database.is_away = True
        pulled.times.note(pulled.images[0].id, 5)
        pulled.times.start()
        for _ in range(20):
            await asyncio.sleep(0)
        pulled.database.is_away = False
        for _ in range(1_000_000):
            if pulled.database.writes:
                break
            await asyncio.sleep(0)
        await pulled.times.stop()

    asyncio.run(run())
    assert pulled.recorded() == [5, None]
