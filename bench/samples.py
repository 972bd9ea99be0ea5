"""One measurement: what was done, how long it took, and which processes paid for it."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.servers import Server


@dataclass(frozen=True)
class Sample:
    """One measurement. ``units`` is requests, bytes or pushes; times are seconds."""

    units: float
    seconds: float
    server_cpu: float
    client_cpu: float

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def server_cpu_per_unit(self) -> float:
        """Processor seconds of the server's processes for one unit."""
        return self.server_cpu / self.units

    @property
    def client_share(self) -> float:
        """What part of all processor time went to the load generator."""
        return self.client_cpu / max(self.client_cpu + self.server_cpu, 1e-9)


def measure(server: Server, work: Callable[[], float]) -> Sample:
    """``work`` returns the units it did; its clients are child processes, which it waits for."""
    client, cpu, began = _children_cpu(), server.cpu_seconds(), time.perf_counter()
    units = work()
    seconds = time.perf_counter() - began
    return Sample(units, seconds, server.cpu_seconds() - cpu, _children_cpu() - client)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
