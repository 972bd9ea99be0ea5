"""What a test and the server that it makes fail say to each other: one small file each way.

The test writes which call is to fail; the server writes which calls it came by and which of them it failed.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

#: What a call can be made to do. EXIT ends every process of the server before the call, EXIT_AFTER after it.
EXIT = "exit"
EXIT_AFTER = "exit after"
EIO = "EIO"
ENOSPC = "ENOSPC"
#: Nothing fails; what the server does is written down.
TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Order:
    """Fail the ``nth`` step that is ``step`` (``sync segment``) in processes whose name begins with ``process``.

    With ``is_standing`` all that follow fail as well. ``lacks_links`` has a file system that cannot link.
    """

    step: str
    action: str
    nth: int = 1
    process: str = "moorage-web"
    is_standing: bool = False
    lacks_links: bool = False


class Control:
    """The directory with the two files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._orders = directory / "orders"
        self._events = directory / "events"

    def arm(self, order: Order) -> None:
        """From the next call on. What was written down before is forgotten."""
        self._events.write_bytes(b"")
        draft = self._directory / "draft"
        draft.write_text(json.dumps(asdict(order)))
        draft.rename(self._orders)

    def disarm(self) -> None:
        """Nothing fails any more."""
        self._orders.unlink(missing_ok=True)

    def version(self) -> int:
        """Tells whether the orders are other ones; 0 while there are none."""
        try:
            return self._orders.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def read(self) -> Order:
        """The orders. Raises ``FileNotFoundError``."""
        return Order(**json.loads(self._orders.read_text()))

    def note(self, event: str) -> None:
        """Write down what happened, whole lines from any process."""
        descriptor = os.open(self._events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        _WRITE(descriptor, f"{event}\n".encode())
        os.close(descriptor)

    def events(self) -> list[str]:
        """What was written down since it was armed."""
        return self._events.read_text().splitlines() if self._events.exists() else []


#: As it was before anybody made it fail.
_WRITE = os.write
