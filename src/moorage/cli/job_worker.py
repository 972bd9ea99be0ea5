"""The process that runs jobs in the background, a child of ``moorage serve``."""

import asyncio
import signal

from moorage.jobs.schedule import run_forever
from moorage.web import log
from moorage.web.orders import Orders
from moorage.wiring import Worker, build_worker


def run(mine: Orders) -> None:
    """Run the jobs until told to stop, or until the supervisor is gone."""
    log.configure(mine.settings.log_level)
    asyncio.run(_serve(build_worker(mine.settings), mine))
    log.writer.flush()


async def _serve(worker: Worker, mine: Orders) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)

    def abandon() -> None:
        loop.call_soon_threadsafe(stop.set)

    mine.watch_parent(abandon)
    mine.ready()
    try:
        await run_forever(worker.jobs, stop)
    finally:
        await worker.close()
