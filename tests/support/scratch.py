"""Directories for tests that are not about a disk.

A server makes 512 directories for its bytes and syncs what it writes: on a disk that takes longer than most tests.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")

#: Bytes of it that tests may fill; containers as a rule have 64 MiB.
_NEEDED: Final = 2 * 1024**3


def _is_roomy(place: Path) -> bool:
    return os.access(place, os.W_OK) and shutil.disk_usage(place).free >= _NEEDED


#: Where directories are made in memory; None on machines that have no such place, or little of it.
IN_MEMORY: Final = _SHARED_MEMORY if _is_roomy(_SHARED_MEMORY) else None


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory where the machine lets us, gone at the end."""
    directory = Path(tempfile.mkdtemp(prefix="moorage-", dir=IN_MEMORY))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
