"""What was compiled from policies, by keys that stand for one text each and are never given out again."""

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

#: Entries that a process keeps; beyond that it begins anew.
MOST: Final = 16_384

Value = TypeVar("Value")


class PolicyCache:
    """Values by key, shared by the threads of a process.

    A transaction that writes may see what is never committed, under a key that another change gets in its place: it
    takes what is kept and keeps nothing (``without_keeping``).
    """

    def __init__(self, kept: dict[Hashable, Any] | None = None, *, keeps: bool = True) -> None:
        self._kept: dict[Hashable, Any] = {} if kept is None else kept
        self._keeps = keeps

    def without_keeping(self) -> "PolicyCache":
        """The same entries, for a transaction that writes."""
        return PolicyCache(self._kept, keeps=False)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this key; made, and as a rule kept, if there is none."""
        value: Value | None = self._kept.get(key)
        if value is None:
            value = make()
            if self._keeps:
                if len(self._kept) >= MOST:
                    self._kept.clear()
                self._kept[key] = value
        return value
