"""Forget uploads that were left unfinished."""

import structlog

from moorage.blobs.base import BlobStore
from moorage.metadata.database import Database
from moorage.services import uploads
from moorage.transfers.threads import BlobThreads

#: Uploads per transaction.
BATCH = 100

_log = structlog.get_logger()


async def expire_uploads(database: Database, store: BlobStore, threads: BlobThreads) -> int:
    """Remove uploads that nobody wrote to for too long; returns how many.

    Rows first, bytes after: a crash in between leaves files that no row names.
    """
    removed = 0
    while True:
        count, locations = await database.write(uploads.expire_uploads, BATCH)
        await threads.run(store.discard_segments, locations)
        removed += count
        if count < BATCH:
            break
    if removed:
        _log.info("uploads_expired", uploads=removed)
    return removed
