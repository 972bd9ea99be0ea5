"""What a server keeps: whether a refused request changed it, and whether it fits together."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from moorage.metadata.sqlite import connect
from tests.fuzz.requests import Answer, Sent

#: What a refused request must leave as it is, each as one number.
_COUNTS: Final = {
    "repositories": "SELECT count(*) FROM repository WHERE deleted_at IS NULL",
    "images": "SELECT count(*) FROM image WHERE deleted_at IS NULL",
    "manifests": "SELECT count(*) FROM manifest",
    "tags": "SELECT count(*) FROM tag",
    "tag events": "SELECT count(*) FROM tag_event",
    "layers": "SELECT count(*) FROM layer",
    "blobs": "SELECT count(*) FROM blob WHERE deleted_at IS NULL",
    "resource tags": "SELECT count(*) FROM resource_tag",
    "settings": "SELECT count(*) FROM account_setting",
    "uploads": "SELECT count(*) FROM upload",
    "segments": "SELECT count(*) FROM segment",
    "bytes of uploads": "SELECT coalesce(sum(length), 0) FROM upload",
}
#: One statement: it is asked after every change, and a dozen of them cost more than most requests do.
_COUNT_ALL: Final = f"SELECT {', '.join(f'({statement})' for statement in _COUNTS.values())}"

#: A wrong digest ends an upload.
_MAY_SHRINK: Final = frozenset({"uploads", "segments", "bytes of uploads"})

#: Each finds rows that contradict others.
_CONTRADICTIONS: Final = {
    "a registry miscounts its repositories": """
        SELECT id FROM registry WHERE repository_count <> (SELECT count(*) FROM repository
            WHERE registry_id = registry.id AND deleted_at IS NULL)""",
    "a repository miscounts its images": """
        SELECT id FROM repository WHERE deleted_at IS NULL AND image_count <> (SELECT count(*) FROM image
            WHERE repository_id = repository.id AND deleted_at IS NULL)""",
    "an image miscounts its tags": """
        SELECT id FROM image WHERE deleted_at IS NULL AND tag_count <> (SELECT count(*) FROM tag
            WHERE image_id = image.id)
        AND repository_id IN (SELECT id FROM repository WHERE deleted_at IS NULL)""",
    "a tag names an image that is gone": """
        SELECT tag.name FROM tag JOIN image ON image.id = tag.image_id
        JOIN repository ON repository.id = tag.repository_id
        WHERE image.deleted_at IS NOT NULL AND repository.deleted_at IS NULL""",
    "an image lacks a blob": """
        SELECT reference.digest FROM image_reference AS reference JOIN image ON image.id = reference.image_id
        JOIN repository ON repository.id = image.repository_id
        WHERE reference.kind = 'blob' AND image.deleted_at IS NULL AND repository.deleted_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM layer WHERE layer.repository_id = image.repository_id
            AND layer.digest = reference.digest)""",
    "an upload miscounts its bytes": """
        SELECT id FROM upload WHERE length <> (SELECT coalesce(sum(length), 0) FROM segment
            WHERE upload_id = upload.id)""",
}


class Traces:
    """Watches the database and the directory of one server from outside."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._database = connect(data_dir / "metadata.db")
        self._version = self._data_version()
        self._counts = self._count()

    def close(self) -> None:
        """Look no more."""
        self._database.close()

    def left_by(self, sent: Sent, answer: Answer) -> list[str]:
        """What a refused request changed: nothing, but that a refused end may end an upload."""
        version = self._data_version()
        if version == self._version:
            return []
        self._version, before, self._counts = version, self._counts, self._count()
        if answer.status < 400 or sent.is_cut:
            return []
        return [
            f"{name} went from {before[name]} to {count}"
            for name, count in self._counts.items()
            if count > before[name] or (count < before[name] and name not in _MAY_SHRINK)
        ]

    def standing(self) -> frozenset[str]:
        """Names of the repositories of the first registry, that of the root key."""
        statement = """SELECT name FROM repository WHERE deleted_at IS NULL
            AND registry_id = (SELECT min(id) FROM registry)"""
        return frozenset(name for (name,) in self._database.execute(statement))

    def contradictions(self) -> Iterator[str]:
        """Everything that does not fit together, between two requests."""
        for meaning, statement in _CONTRADICTIONS.items():
            found = self._database.execute(statement).fetchmany(3)
            if found:
                yield f"{meaning}: {found}"
        (verdict,) = self._database.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            yield f"the database is damaged: {verdict}"
        named, kept = self._named(), self._kept()
        yield from (f"nothing names the file {name}" for name in sorted(kept - named)[:5])
        yield from (f"the file {name} is gone" for name in sorted(named - kept)[:5])

    def _named(self) -> set[str]:
        statement = "SELECT location FROM blob WHERE deleted_at IS NULL UNION ALL SELECT location FROM segment"
        return {location for (location,) in self._database.execute(statement)}

    def _kept(self) -> set[str]:
        return {
            f"{place}/{name}".removeprefix(f"{self._data_dir}/")
            for folder in ("blobs", "uploads")
            for place, _, names in os.walk(self._data_dir / folder)
            for name in names
        }

    def _data_version(self) -> int:
        """A number that changes whenever somebody else has committed a change."""
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _count(self) -> dict[str, int]:
        return dict(zip(_COUNTS, self._database.execute(_COUNT_ALL).fetchone(), strict=True))
