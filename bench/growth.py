"""Fills a metadata database with images, straight through its tables: a million pushes would take hours."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pysqlite3
from sqlalchemy import Connection, create_engine, func, select, update

from bench.seeds import CONFIG, MANIFEST, digest_of, manifest
from moorage.metadata.tables import image, image_reference, repository, tag
from moorage.metadata.tables import manifest as manifest_table

BATCH = 10_000
PUSHED_AT = 1_700_000_000_000_000


@dataclass(frozen=True)
class Shelf:
    """A repository of the database and the one layer that all of its images have."""

    name: str
    layer: bytes

    @classmethod
    def make(cls, number: int) -> "Shelf":
        """The repository of this number."""
        name = f"bench/growth-{number}"
        return cls(name, hashlib.shake_256(name.encode()).digest(1024))

    def image(self, number: int) -> bytes:
        """The manifest of an image, tagged ``v<number>``."""
        return manifest(self.layer, str(number))


def grow(database: Path, shelves: list[Shelf], present: int, wanted: int) -> None:
    """Add the images ``present`` to ``wanted``, one after the other to each repository. No server may be running."""
    engine = create_engine(f"sqlite:///{database}", module=pysqlite3)
    with engine.begin() as connection:
        ids = {
            row.name: row.id
            for row in connection.execute(select(repository.c.id, repository.c.name))
            if row.name in {shelf.name for shelf in shelves}
        }
        for begin in range(present, wanted, BATCH):
            numbers = range(begin, min(begin + BATCH, wanted))
            _add(
                connection,
                [(ids[_of(shelves, number).name], _of(shelves, number), number) for number in numbers],
            )
        for which in ids.values():
            count = select(func.count()).where(image.c.repository_id == which).scalar_subquery()
            connection.execute(update(repository).where(repository.c.id == which).values(image_count=count))
    engine.dispose()


def _of(shelves: list[Shelf], number: int) -> Shelf:
    return shelves[number % len(shelves)]


def _add(connection: Connection, images: list[tuple[int, Shelf, int]]) -> None:
    """The rows that as many calls of PutImage make, but for the history of the tags."""
    first = _next_id(connection)
    rows = list(_rows(images, first))
    connection.execute(manifest_table.insert(), [one["manifest"] for one in rows])
    connection.execute(image.insert(), [one["image"] for one in rows])
    connection.execute(tag.insert(), [one["tag"] for one in rows])
    connection.execute(image_reference.insert(), [one["reference"] for one in rows])


def _next_id(connection: Connection) -> int:
    """An id that neither an image nor a manifest has."""
    found = [connection.execute(select(func.max(one.c.id))).scalar() or 0 for one in (image, manifest_table)]
    return max(found) + 1


def _rows(images: list[tuple[int, Shelf, int]], first: int) -> Iterator[dict[str, dict[str, object]]]:
    for which, (repository_id, shelf, number) in enumerate(images, first):
        body = shelf.image(number)
        digest = digest_of(body)
        yield {
            "manifest": {"id": which, "digest": digest, "media_type": MANIFEST, "content": body},
            "image": {
                "id": which,
                "repository_id": repository_id,
                "manifest_id": which,
                "digest": digest,
                "media_type": MANIFEST,
                "manifest_size": len(body),
                "size": 9 * len(shelf.layer),
                "artifact_media_type": CONFIG,
                "artifact_type": CONFIG,
                "pushed_at": PUSHED_AT + number,
                "tag_count": 1,
            },
            "tag": {
                "repository_id": repository_id,
                "name": f"v{number}",
                "image_id": which,
                "pushed_at": PUSHED_AT + number,
            },
            "reference": {
                "image_id": which,
                "repository_id": repository_id,
                "kind": "blob",
                "digest": digest_of(shelf.layer),
            },
        }
