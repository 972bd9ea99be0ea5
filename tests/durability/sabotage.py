"""A ``moorage`` that was damaged on purpose: one kind of sync is only pretended.

    python -m tests.durability.sabotage directory-syncs serve --data-dir …

Nobody but the judge of the power cuts starts it: a judge that lets this server pass would let any pass.
"""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pysqlite3

from moorage.cli import main


def _pretend(is_pretended: Callable[[int], bool]) -> None:
    """Have ``os.fsync`` do nothing for what has such a mode among segments and blobs."""
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        parts = Path(f"/proc/self/fd/{descriptor}").readlink().parts
        is_stored = "uploads" in parts or "blobs" in parts
        if not (is_stored and is_pretended(os.fstat(descriptor).st_mode)):
            sync(descriptor)

    os.fsync = fsync  # type: ignore[assignment]


class _Careless(pysqlite3.Connection):  # type: ignore[misc]
    """A connection that does not let itself be told to sync at each commit."""

    def execute(self, statement: str, *arguments: Any) -> Any:
        return super().execute(statement.replace("synchronous=FULL", "synchronous=NORMAL"), *arguments)


def _be_careless() -> None:
    connect = pysqlite3.connect
    pysqlite3.connect = lambda *args, **options: connect(*args, factory=_Careless, **options)


#: What can be damaged. The database's is what SQLite itself would do by default in many programs.
DAMAGES: Final[Mapping[str, Callable[[], None]]] = {
    "file-syncs": lambda: _pretend(stat.S_ISREG),
    "directory-syncs": lambda: _pretend(stat.S_ISDIR),
    "database-syncs": _be_careless,
}

if __name__ == "__main__":
    DAMAGES[sys.argv.pop(1)]()
    main()
