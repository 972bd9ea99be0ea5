"""What the processes of a server take of the machine, and what the load itself takes."""

import os
import resource
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")

#: Seconds between two looks at the memory of a server whose speed is judged.
RARELY = 0.5


def family(process_id: int) -> list[int]:
    """A process and its descendants."""
    found = [process_id]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(process_id: int) -> float:
    """Processor time of a family so far."""
    ticks = 0
    for one in family(process_id):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def own_cpu_seconds() -> float:
    """Processor time of this process and of its children that ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def memory_bytes(process_id: int) -> int:
    """Memory of a family, shared pages counted once (the sum of PSS)."""
    total = 0
    for one in family(process_id):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


class PeakMemory:
    """Looks at a family's memory again and again while it is entered; ``raised`` is by how much it grew at most.

    Each look stops the processes for milliseconds: where speed is judged as well, ``RARELY`` is often enough.
    """

    def __init__(self, process_id: int, seconds: float = 0.1) -> None:
        self._process_id = process_id
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_often)
        self.before = memory_bytes(process_id)
        self.peak = self.before

    @property
    def raised(self) -> int:
        """Bytes."""
        return self.peak - self.before

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _look_often(self) -> None:
        while not self._ended.wait(self._seconds):
            self._look()

    def _look(self) -> None:
        self.peak = max(self.peak, memory_bytes(self._process_id))
