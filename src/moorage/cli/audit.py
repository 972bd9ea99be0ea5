"""``moorage audit tail``: the audit log by repository and principal, as it is and as it grows."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec
import typer

from moorage.cli.audit_records import Record, render
from moorage.cli.flags import fail, with_settings
from moorage.config import Settings
from moorage.transfers.audit_file import audit_path, rotated

#: Seconds between two looks at a log that did not grow.
POLL_SECONDS: Final = 0.2


class Output(StrEnum):
    """How records are shown."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for; what is empty does not matter."""

    repository: str = ""
    principal: str = ""

    def find(self, line: bytes) -> Record | None:
        """The record of a line, if it is one and is asked for."""
        try:
            record = msgspec.json.decode(line, type=Record)
        except (ValueError, RecursionError):
            return None
        if self.repository and not self._is_about(record):
            return None
        if self.principal and self.principal not in record.user_identity.names():
            return None
        return record

    def _is_about(self, record: Record) -> bool:
        named = (record.request_parameters or {}).get("repositoryName")
        end = f":repository/{self.repository}"
        return named == self.repository or any(one.ARN.endswith(end) for one in record.resources)


def register(application: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The audit log.", no_args_is_help=True)
    group.callback()(_group)
    group.command("tail")(with_settings(tail, "data_dir"))
    application.add_typer(group, name="audit")


def _group() -> None:
    """The audit log."""


def tail(
    settings: Settings,
    repository: Annotated[str, typer.Option("--repository", help="Only calls about this repository.")] = "",
    principal: Annotated[
        str,
        typer.Option(
            "--principal",
            help="Only calls by this ARN, user/NAME, role/NAME, name, root, operator:NAME, anonymous, access key or account.",
        ),
    ] = "",
    lines: Annotated[int, typer.Option("--lines", min=0, help="How many of the last records to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is recorded from now on.")] = False,
    output: Annotated[
        Output, typer.Option("--output", help="A line to read each, or the records.")
    ] = Output.TEXT,
) -> None:
    """Show the last records of the audit log: what was read, refused and changed, by both APIs."""
    path = audit_path(settings)
    if path is None:
        fail(
            "audit_file: the audit log goes to standard output of the server, where it can be filtered", code=1
        )
    wanted = Wanted(repository, principal)
    try:
        with path.open("rb") as file:
            found = last_lines(file, path, wanted, lines)
            for line in found:
                show(line, wanted, output)
            if not found and lines and not follow:
                typer.echo(f"{path} has no such record", err=True)
            if follow:
                with contextlib.suppress(KeyboardInterrupt):
                    for line in new_lines(file, path):
                        show(line, wanted, output)
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", code=1)


def show(line: bytes, wanted: Wanted, output: Output) -> None:
    """Write a record if it is asked for."""
    record = wanted.find(line)
    if record is not None:
        typer.echo(line.decode().rstrip("\n") if output is Output.JSON else render(record))


def last_lines(file: IO[bytes], path: Path, wanted: Wanted, count: int) -> list[bytes]:
    """The last lines that are asked for, of this file and of those that it follows."""
    found = _last(file, wanted, count)
    number = 1
    while len(found) < count and rotated(path, number).exists():
        with rotated(path, number).open("rb") as older:
            found.extendleft(reversed(_last(older, wanted, count - len(found))))
        number += 1
    return list(found)


def _last(file: IO[bytes], wanted: Wanted, count: int) -> deque[bytes]:
    return deque((line for line in whole_lines(file) if wanted.find(line) is not None), maxlen=count)


def whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines up to the end; before one that is not complete yet the file stands as if it had not been read."""
    while True:
        begin = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(begin)
            return
        yield line


def new_lines(file: IO[bytes], path: Path) -> Generator[bytes, None, None]:
    """Lines as they come, for ever, also across rotations."""
    with contextlib.ExitStack() as opened:
        while True:
            is_rotated = _identity(path) not in {None, _identity(file)}
            # What was written before it was rotated is there now, and nothing will follow.
            yield from whole_lines(file)
            if is_rotated:
                later = _successor(file, path)
                opened.close()
                file = opened.enter_context(later.open("rb"))
            else:
                time.sleep(POLL_SECONDS)


def _successor(file: IO[bytes], path: Path) -> Path:
    """The file that was begun when this one was full; the oldest that is left when this one is gone itself."""
    later = path
    for number in range(1, 1_001):
        candidate = rotated(path, number)
        if _identity(candidate) in {None, _identity(file)}:
            break
        later = candidate
    return later


def _identity(file: Path | IO[bytes]) -> tuple[int, int] | None:
    try:
        facts = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino
