"""How many connections each of the processes has that share the listeners.

The kernel wakes all of them for a new connection, and who comes first has it: as a rule the same one again and again.
A connection then stays where it is, so that one process may have all the work while the others rest. Hence each says
in memory that they share how many connections it has, and one that is ahead of the others lets them go first.
"""

import mmap
import sys
from typing import Final

_BYTES: Final = 8

#: Of a process that is not there, or accepts nothing yet.
_ABSENT: Final = sys.maxsize

#: By how many connections one may be ahead of the least busy, beside this part of what that one has.
_LEAD: Final = 1
_LEAD_PART: Final = 8


class Shares:
    """The connections of ``processes`` numbered from 0. To be made before they are forked, of which each writes its own.

    A number is one aligned word: it is read whole or not at all, and an old one does no harm.
    """

    def __init__(self, processes: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, max(processes, 1) * _BYTES)).cast("q")
        for number in range(processes):
            self.leave(number)

    def leave(self, number: int) -> None:
        """That process accepts nothing any more, or nothing yet: nobody lets it go first."""
        self._counts[number] = _ABSENT

    def tell(self, number: int, connections: int) -> None:
        """That process has so many."""
        self._counts[number] = connections

    def is_ahead(self, number: int, connections: int) -> bool:
        """Whether that process, with so many, has so much more than another that this one should have the next."""
        least = min((count for other, count in enumerate(self._counts) if other != number), default=_ABSENT)
        return connections > least + least // _LEAD_PART + _LEAD


class Counted(set[object]):
    """The connections of one process, which tells the others of each that comes or goes."""

    def __init__(self, shares: Shares, number: int) -> None:
        super().__init__()
        self._shares = shares
        self._number = number
        self._is_accepting = False

    def begin(self) -> None:
        """This process accepts from now on."""
        self._is_accepting = True
        self._tell()

    def end(self) -> None:
        """It accepts nothing any more."""
        self._is_accepting = False
        self._shares.leave(self._number)

    def _tell(self) -> None:
        if self._is_accepting:
            self._shares.tell(self._number, len(self))

    def add(self, connection: object, /) -> None:
        """See ``set.add``."""
        super().add(connection)
        self._tell()

    def discard(self, connection: object, /) -> None:
        """See ``set.discard``."""
        super().discard(connection)
        self._tell()

    def is_ahead(self, more: int) -> bool:
        """Whether this process, with so many ``more`` that are not counted yet, should let another go first."""
        return self._shares.is_ahead(self._number, len(self) + more)
