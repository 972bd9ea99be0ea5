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

#: Where directories are made in memory; None on machines that have no such place.
IN_MEMORY: Final = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory where the machine lets us, gone at the end."""
    directory = Path(tempfile.mkdtemp(prefix="moorage-", dir=IN_MEMORY))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
