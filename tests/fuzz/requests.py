"""What the fuzzers send and get: requests that can be written to a file and sent again, and their answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request in the pieces in which its body arrives; ``is_cut`` when the client goes away after them."""

    method: str
    #: Path and query as they are sent.
    target: bytes
    headers: Headers
    pieces: Sequence[bytes] = (b"",)
    is_cut: bool = False

    @property
    def body(self) -> bytes:
        """All that comes."""
        return b"".join(self.pieces)

    def header(self, name: bytes) -> bytes | None:
        """The first header of this lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    def describe(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "method": self.method,
            "target": self.target.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers],
            "pieces": [piece.decode("latin-1") for piece in self.pieces],
            "is_cut": self.is_cut,
        }

    @classmethod
    def read(cls, described: dict[str, Any]) -> "Sent":
        """What ``describe`` wrote."""
        return cls(
            described["method"],
            described["target"].encode("latin-1"),
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in described["headers"]],
            [piece.encode("latin-1") for piece in described["pieces"]],
            described["is_cut"],
        )


@dataclass(slots=True)
class Answer:
    """What came of it. ``status`` 0 means no answer at all; ``failure`` is what the application raised."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False
    seconds: float = 0.0
    failure: str = ""
    #: Lines of the log that were written meanwhile.
    log: bytes = b""
    #: What it changed though it was refused.
    traces: Sequence[str] = ()

    def header(self, name: bytes) -> bytes | None:
        """The first header of this lower-case name."""
        return next((value for key, value in self.headers if key == name), None)
