"""Many readers at once get small pieces, so that slow ones hold little memory between them."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from moorage.blobs.base import BlobReader, BlobStore
from moorage.transfers.downloads import PIECE, PIECES_BUDGET, SMALLEST_PIECE, Downloads
from moorage.transfers.threads import BlobThreads


class Zeros:
    """A blob of zeros that is in memory."""

    def read_cached_at(self, _offset: int, length: int) -> bytes:
        return bytes(length)

    def close(self) -> None:
        """Nothing to let go of."""


async def first_pieces(readers: int) -> list[int]:
    """Lengths of the pieces that each of so many readers gets second, when all have begun."""
    downloads = Downloads(cast("BlobStore", None), cast("BlobThreads", None))
    streams: list[AsyncIterator[bytes]] = [
        downloads.stream(cast("BlobReader", Zeros()), 0, 8 * PIECE) for _ in range(readers)
    ]
    for stream in streams:
        await anext(stream)
    return [len(await anext(stream)) for stream in streams]


def test_a_few_readers_get_large_pieces() -> None:
    assert asyncio.run(first_pieces(4)) == [PIECE] * 4


def test_the_pieces_of_many_readers_stay_within_the_budget() -> None:
    assert sum(asyncio.run(first_pieces(200))) <= PIECES_BUDGET


def test_a_crowd_of_readers_gets_the_smallest_pieces() -> None:
    assert set(asyncio.run(first_pieces(600))) == {SMALLEST_PIECE}
