"""When each job of the background runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from moorage.domain.errors import Unavailable

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job that runs again and again, ``every`` so many seconds."""

    name: str
    every: float
    run: Callable[[], Awaitable[object]]


async def run_forever(jobs: list[Periodic], stop: asyncio.Event) -> None:
    """Run the jobs until told to stop; what fails is logged and tried again at its next time.

    What is away, the database say, is told in a line each time; any other failure with its traceback.
    """
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(_repeat(job, stop))


async def _repeat(job: Periodic, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await job.run()
        except Unavailable as error:
            _log.warning("job_put_off", job=job.name, reason=error.facts["what"])
        except Exception:  # noqa: BLE001 - one failed run must not end the others; the log has all of it
            _log.exception("job_failed", job=job.name)
        try:
            await asyncio.wait_for(stop.wait(), job.every)
        except TimeoutError:
            continue
