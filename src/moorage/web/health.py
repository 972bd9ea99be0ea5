"""``/livez`` and ``/readyz``: tiny, for anyone, never in a queue with requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from moorage.web.asgi import plain
from moorage.web.http import Request, Response

#: Raises when what it looks at cannot serve.
Probe = Callable[[], Awaitable[None]]

CACHE_SECONDS = 1.0
PROBE_SECONDS = 2.0

_logger = structlog.get_logger()


class Health:
    """Answers whether this process lives, and whether it can serve.

    Each probe runs at most once in ``CACHE_SECONDS`` and has ``PROBE_SECONDS``; only its name is shown.
    """

    def __init__(self, probes: Mapping[str, Probe], clock: Callable[[], float] = time.monotonic) -> None:
        self._probes = dict(probes)
        self._clock = clock
        self._is_draining = False
        self._failing: tuple[str, ...] = ()
        self._fresh_until = float("-inf")
        self._lock = asyncio.Lock()

    def drain(self) -> None:
        """Be not ready from now on."""
        self._is_draining = True

    async def live(self, _request: Request) -> Response:
        """200 as long as the process answers at all."""
        return plain(200, "ok\n")

    async def ready(self, _request: Request) -> Response:
        """200, or 503 with the names of what does not work."""
        if self._is_draining:
            return plain(503, "draining\n")
        failing = await self._probe()
        return plain(503, "".join(f"{name}\n" for name in failing)) if failing else plain(200, "ok\n")

    async def _probe(self) -> tuple[str, ...]:
        async with self._lock:
            if self._clock() >= self._fresh_until:
                names = list(self._probes)
                results = await asyncio.gather(*(self._works(name) for name in names))
                self._failing = tuple(name for name, works in zip(names, results, strict=True) if not works)
                self._fresh_until = self._clock() + CACHE_SECONDS
            return self._failing

    async def _works(self, name: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._probes[name]()
        except Exception:  # whatever it is, it cannot serve; the log says why
            _logger.warning("probe_failed", probe=name, exc_info=True)
            return False
        return True
