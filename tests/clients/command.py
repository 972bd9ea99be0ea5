"""Runs a client program with a time limit, and says readably what went wrong."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

SECONDS = 120


class CommandFailed(AssertionError):
    """A client ended with a status other than 0, or not in time; the message holds its output."""


@dataclass(frozen=True)
class Ran:
    """What a finished client printed."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return msgspec.json.decode(self.out)


def run(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    stdin: str | bytes = b"",
    seconds: float = SECONDS,
) -> Ran:
    """Run ``argv`` with ``stdin`` as its input; ``CommandFailed`` unless it ends in time with status 0."""
    words = [str(word) for word in argv]
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            words, env=dict(environment), input=given, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as slow:
        text = _both(slow.stdout, slow.stderr)
        raise CommandFailed(f"$ {shlex.join(words)}\nnot done within {seconds} s\n{text}") from None
    if done.returncode != 0:
        text = _both(done.stdout, done.stderr)
        raise CommandFailed(f"$ {shlex.join(words)}\nstatus {done.returncode}\n{text}")
    return Ran(done.stdout.decode(), done.stderr.decode(errors="replace"))


def moorage() -> Path:
    """The program under test, of this interpreter's environment."""
    return Path(sys.executable).parent / "moorage"


def succeeds(argv: Sequence[str | Path], environment: Mapping[str, str]) -> bool:
    """Whether ``argv`` ends with status 0; for asking whether something is up yet."""
    return subprocess.run(argv, env=dict(environment), capture_output=True, check=False).returncode == 0


def _both(out: bytes | None, err: bytes | None) -> str:
    return "\n".join(part.decode(errors="replace").strip() for part in (out, err) if part)
