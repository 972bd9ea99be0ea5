"""The export of changes: in order, once, and not before it is safe to forget them."""

import asyncio
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from moorage.jobs import audit as module
from moorage.jobs.audit import AuditExport, forget_exported
from moorage.metadata import audit
from moorage.metadata.database import Database
from moorage.transfers.audit_file import AuditFailed
from tests.support.auditing import MemoryLog
from tests.support.database import Clock, execute, fresh_database


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    """One that keeps records for two hours."""
    database = fresh_database(tmp_path, clock=clock, audit_retention_hours=2)
    yield database
    database.close()


@pytest.fixture
def log() -> MemoryLog:
    """Where records are exported to."""
    return MemoryLog()


@pytest.fixture
def export(database: Database, log: MemoryLog, tmp_path: Path) -> AuditExport:
    """The job."""
    return AuditExport(database, log, tmp_path / "audit/export.lock")


def change(database: Database, *numbers: int) -> None:
    """Commit changes, each with its record."""
    for number in numbers:
        database.write_now(audit.add_record, f"{number}\n")


def left(database: Database) -> list[Any]:
    """Records that are still there, exported or not."""
    return [int(row[0]) for row in execute(database, "SELECT record FROM audit ORDER BY id")]


def test_changes_are_exported_in_their_order_and_once(
    database: Database, log: MemoryLog, export: AuditExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many batches as it takes."""
    monkeypatch.setattr(module, "BATCH", 20)
    change(database, *range(50))
    assert asyncio.run(export.export()) == 50
    change(database, 50)
    assert [asyncio.run(export.export()) for _ in range(2)] == [1, 0]
    assert log.text.split() == [b"%d" % number for number in range(51)]


def test_a_log_that_fails_delays_the_export_and_loses_nothing(
    database: Database, log: MemoryLog, export: AuditExport
) -> None:
    """It is told of once, not each second."""
    change(database, 1, 2)
    log.is_full = True
    with capture_logs() as lines:
        assert [asyncio.run(export.export()) for _ in range(3)] == [0, 0, 0]
    assert [line["event"] for line in lines] == ["audit_export_failed"]
    log.is_full = False
    assert asyncio.run(export.export()) == 2
    assert log.text == b"1\n2\n"


def test_what_is_not_synced_is_exported_again(
    database: Database, log: MemoryLog, export: AuditExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather twice than not at all."""
    change(database, 1)

    def fail() -> None:
        raise AuditFailed("testing")

    with monkeypatch.context() as failing:
        failing.setattr(log, "sync", fail)
        assert asyncio.run(export.export()) == 0
    assert asyncio.run(export.export()) == 1
    assert log.text == b"1\n1\n"


def test_one_exports_at_a_time(database: Database, log: MemoryLog, export: AuditExport, tmp_path: Path) -> None:
    """Of several servers on one database."""
    change(database, 1)
    asyncio.run(export.export())
    change(database, 2)
    with (tmp_path / "audit/export.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert asyncio.run(export.export()) == 0
    assert asyncio.run(export.export()) == 1
    assert log.text == b"1\n2\n"


def test_exported_records_are_kept_for_a_while_and_others_until_they_are(
    database: Database, export: AuditExport, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting says for how long."""
    monkeypatch.setattr(module, "BATCH", 2)
    change(database, 1, 2, 3, 4, 5)
    asyncio.run(export.export())
    change(database, 6)
    clock.advance(hours=1)
    assert asyncio.run(forget_exported(database)) == 0
    clock.advance(hours=1)
    assert asyncio.run(forget_exported(database)) == 5
    assert left(database) == [6]
