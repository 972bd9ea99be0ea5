"""A use case that waits for a thread of a database, and where its outcome goes."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from moorage.metadata.transaction import Transaction


class Pending:
    """``outcome`` or ``refusal`` is what came of it so far; the caller hears of it when the commit is durable."""

    __slots__ = ("future", "outcome", "refusal", "use_case")

    def __init__(self, use_case: Callable[[Transaction], Any]) -> None:
        self.use_case = use_case
        self.future: Future[Any] = Future()
        # Once queued a use case runs whatever its caller does; this keeps a cancellation from tearing the future.
        self.future.set_running_or_notify_cancel()
        self.outcome: Any = None
        self.refusal: BaseException | None = None

    def resolve(self) -> None:
        """Tell the caller what came of it."""
        if self.refusal is None:
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.refusal)
