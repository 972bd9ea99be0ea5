"""Bodies from the event loop are gathered whole, in order, in memory that a disk can take as it lies there."""

import asyncio
import ctypes
import random
from collections.abc import AsyncIterator

import pytest

from moorage.blobs.files import ALIGNMENT
from moorage.domain.errors import BodyIncomplete
from moorage.transfers.bodies import BATCH, batches

CONTENT = random.Random(9).randbytes(2 * BATCH + 1_000)


async def body(size: int, *, is_cut_short: bool = False) -> AsyncIterator[bytes]:
    """The content in pieces."""
    for at in range(0, len(CONTENT), size):
        yield CONTENT[at : at + size]
    if is_cut_short:
        raise BodyIncomplete


@pytest.mark.parametrize("size", [1_000, 65_537, BATCH, BATCH + 1, len(CONTENT)])
def test_batches_are_whole_but_for_the_last_whatever_the_pieces(size: int) -> None:
    """Also where one piece fills more than a batch: the next begins in the same memory only once this one is used."""

    async def gather() -> list[bytes]:
        return [bytes(batch) async for batch in batches(body(size))]

    found = asyncio.run(gather())
    assert b"".join(found) == CONTENT
    assert [len(batch) for batch in found] == [BATCH, BATCH, 1_000]


def test_each_batch_begins_on_a_page() -> None:
    """Elsewhere the disk would refuse it, and the upload go through the page cache."""

    async def places() -> list[int]:
        return [ctypes.addressof(ctypes.c_char.from_buffer(batch)) async for batch in batches(body(65_537))]

    assert {place % ALIGNMENT for place in asyncio.run(places())} == {0}


def test_what_came_before_a_client_left_is_handed_on() -> None:
    """A PATCH keeps it."""
    found = bytearray()

    async def gather() -> None:
        async for batch in batches(body(65_537, is_cut_short=True)):
            found.extend(batch)

    with pytest.raises(BodyIncomplete):
        asyncio.run(gather())
    assert bytes(found) == CONTENT
