"""Hashing a run of bytes with several algorithms at once."""

import hashlib
from collections.abc import Sequence

from moorage.domain.digest import ALGORITHMS, Digest


class Hashes:
    """Running hashes; large updates release the interpreter lock."""

    __slots__ = ("_running",)

    def __init__(self, algorithms: Sequence[str]) -> None:
        """Raises ``ValueError`` for an algorithm that digests may not have."""
        unknown = set(algorithms) - set(ALGORITHMS)
        if unknown:
            raise ValueError(f"unknown digest algorithms: {sorted(unknown)}")
        self._running = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}

    def update(self, data: bytes | memoryview) -> None:
        """Take in more bytes."""
        for running in self._running.values():
            running.update(data)

    def digests(self) -> dict[str, Digest]:
        """The digests of all bytes so far, by algorithm."""
        return {name: Digest(name, running.hexdigest()) for name, running in self._running.items()}
