"""The port of the metadata database: run a use case inside a transaction."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from moorage.metadata.transaction import Transaction

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

UseCase = Callable[Concatenate[Transaction, Arguments], Result]


class Database(Protocol):
    """Where metadata lives. A use case sees either all of another one's changes or none."""

    async def read(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a use case that changes nothing, on one snapshot. Raises what it raises, or ``Unavailable``."""

    def read_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """``read`` for code that runs outside an event loop."""

    def mark(self) -> bytes | None:
        """The same as long as nothing was committed, by whatever process; never waits.

        What was read after a mark was taken is what would be read now while the mark is the same. None where or when
        that cannot be told: then read.
        """

    async def write(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a use case and commit; when this returns, the change survives a power cut.

        Raises what the use case raises, with nothing changed, or ``Unavailable``. The use case may run more
        than once, so its transaction must be its only effect.
        """

    def write_now(
        self, use_case: UseCase[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """``write`` for code that runs outside an event loop: the command line and start-up."""

    async def probe(self) -> None:
        """Write and read something small. Raises ``Unavailable``."""

    def close(self) -> None:
        """Finish what is queued, then let go of every connection."""
