"""Threads for work that blocks: hashing, writing, syncing and cold reads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: More threads than cores, because most of their time goes to waiting for a disk.
THREADS = 16


class BlobThreads:
    """Runs a blob store's blocking calls beside the event loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    async def run(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """The result of the call, or what it raises.

        A caller that is cancelled leaves the call running to its end: a half-done write is worse than a late one.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(call, *args, **kwargs))

    def start(
        self, call: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> None:
        """Run a call that nobody waits for; it must report its own failures."""
        self._pool.submit(call, *args, **kwargs)

    def close(self) -> None:
        """Wait for what is running."""
        self._pool.shutdown(wait=True)
