"""Load in processes of its own, so that it takes no turn from what judges it."""

import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, TypeVar

import uvloop

from tests.load.machine import own_cpu_seconds

Result = TypeVar("Result")


@dataclass
class Outcome:
    """What a generator saw. Latencies are seconds of whole answers; ``cpu`` is the generator's own."""

    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0

    def count(self, what: str, more: int = 1) -> None:
        """So many more of these."""
        self.statuses[what] = self.statuses.get(what, 0) + more

    def add(self, other: "Outcome") -> None:
        """Take in what another generator saw at the same time."""
        for what, number in other.statuses.items():
            self.statuses[what] = self.statuses.get(what, 0) + number
        self.latencies += other.latencies
        self.broken += other.broken
        self.seconds = max(self.seconds, other.seconds)
        self.cpu += other.cpu

    def rate(self, what: str) -> float:
        """How many of these there were in a second."""
        return self.statuses.get(what, 0) / self.seconds if self.seconds else 0.0


def run(load: Callable[..., Coroutine[Any, Any, Outcome]], *arguments: Any) -> Outcome:
    """Run a load to its end in this process."""
    begun, cpu = time.monotonic(), own_cpu_seconds()
    outcome = uvloop.run(load(*arguments))
    outcome.seconds = outcome.seconds or time.monotonic() - begun
    outcome.cpu = own_cpu_seconds() - cpu
    return outcome


class Crew:
    """Processes that are there already, so that starting them is not part of what is measured."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def start(self, load: Callable[..., Coroutine[Any, Any, Outcome]], *arguments: Any) -> Future[Outcome]:
        """Run a load in one of them."""
        return self._pool.submit(run, load, *arguments)


@contextmanager
def crew(size: int) -> Iterator[Crew]:
    """A crew, ended on leaving."""
    with ProcessPoolExecutor(size, mp_context=get_context("spawn")) as pool:
        for started in [pool.submit(time.sleep, 0.2) for _ in range(size)]:
            started.result()
        yield Crew(pool)
