"""Many readers at once get small pieces, so that slow ones hold little memory between them."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from moorage.blobs.base import BlobReader, BlobStore
from moorage.transfers.downloads import PIECE, PIECES_BUDGET, SMALLEST_PIECE, Downloads
from moorage.transfers.threads import BlobThreads


class Zeros:
    """A blob of zeros that is in memory."""

    def read_cached_at(self, _offset: int, length: int) -> bytes:
        return bytes(length)

    def close(self) -> None:
        """Nothing to let go of."""


async def held(readers: int, length: int = 8 * PIECE) -> list[int]:
    """Bytes that each of so many readers holds when it has taken a piece and asked for another, one after the other."""
    downloads = Downloads(cast("BlobStore", None), cast("BlobThreads", None))
    streams: list[AsyncIterator[bytes]] = [
        downloads.stream(cast("BlobReader", Zeros()), 0, length) for _ in range(readers)
    ]
    return [len(await anext(stream)) + len(await anext(stream)) for stream in streams]


@pytest.mark.parametrize("readers", [1, 4])
def test_a_few_readers_get_large_pieces(readers: int) -> None:
    assert asyncio.run(held(readers)) == [2 * PIECE] * readers


@pytest.mark.parametrize("readers", [200, 600, 4096])
def test_the_pieces_of_many_readers_stay_within_the_budget(readers: int) -> None:
    """Those who came first have large ones still; beyond the budget there are only the smallest."""
    assert sum(asyncio.run(held(readers))) <= PIECES_BUDGET + readers * 2 * SMALLEST_PIECE


def test_an_only_piece_counts_until_it_is_taken() -> None:
    """Else those who ask for little and do not read it would hold any amount."""
    assert sum(asyncio.run(held(4096, PIECE))) <= PIECES_BUDGET + 4096 * 2 * SMALLEST_PIECE


def test_what_is_over_is_room_for_others() -> None:
    async def play() -> int:
        downloads = Downloads(cast("BlobStore", None), cast("BlobThreads", None))
        for _ in range(100):
            assert [len(piece) async for piece in downloads.stream(cast("BlobReader", Zeros()), 0, PIECE)] == [
                PIECE,
                0,
            ]
        return len(await anext(downloads.stream(cast("BlobReader", Zeros()), 0, PIECE)))

    assert asyncio.run(play()) == PIECE
