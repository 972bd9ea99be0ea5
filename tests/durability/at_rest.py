"""What lies in a data directory whose server is stopped: a sound database, and a file for every row."""

from dataclasses import dataclass, field
from pathlib import Path

import pysqlite3

from tests.durability.databases import Database


@dataclass
class AtRest:
    """What was found. Files without rows are garbage, not loss; they are counted only."""

    broken: list[str] = field(default_factory=list)
    blobs: int = 0
    blob_bytes: int = 0
    segments: int = 0
    files_without_rows: int = 0
    bytes_without_rows: int = 0


def inspect(data_dir: Path, database: Database | None = None) -> AtRest:
    """Check the database of a stopped server, SQLite's by default, and compare its rows with the files."""
    found = AtRest()
    if database is None:
        blobs, segments = _inspect_sqlite(data_dir, found)
    else:
        found.broken += database.damage()
        blobs, segments = database.rows()
    found.blobs, found.segments = len(blobs), len(segments)
    found.blob_bytes = sum(size for _, size in blobs)
    _compare(found, data_dir, dict(blobs + segments))
    return found


def _inspect_sqlite(data_dir: Path, found: AtRest) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Location and size of each blob and of each segment."""
    connection = pysqlite3.connect(f"file:{data_dir / 'metadata.db'}?mode=ro", uri=True)
    try:
        for pragma in ("integrity_check", "foreign_key_check"):
            rows = connection.execute(f"PRAGMA {pragma}").fetchall()
            found.broken += [f"{pragma}: {row}" for row in rows if row != ("ok",)]
        blobs = connection.execute("SELECT location, size FROM blob WHERE deleted_at IS NULL").fetchall()
        segments = connection.execute("SELECT location, length FROM segment").fetchall()
    finally:
        connection.close()
    return blobs, segments


def _compare(found: AtRest, data_dir: Path, rows: dict[str, int]) -> None:
    files = {
        str(path.relative_to(data_dir)): path.stat().st_size
        for top in ("blobs", "uploads")
        for path in (data_dir / top).rglob("*")
        if path.is_file()
    }
    for location, size in rows.items():
        if location not in files:
            found.broken.append(f"{location} has a row and no file")
        elif files[location] != size:
            found.broken.append(f"{location} has {files[location]} bytes, its row says {size}")
    strays = [size for location, size in files.items() if location not in rows]
    found.files_without_rows, found.bytes_without_rows = len(strays), sum(strays)
