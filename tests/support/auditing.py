"""An audit log in memory, and what is recorded of a request that a face answered."""

import json
from typing import Any

from moorage.config import Settings
from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId
from moorage.ecr.events import name_refusal
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from moorage.transfers.audit_file import AuditFailed
from moorage.web.asgi import Exchange
from moorage.web.audit import AuditBuffer, AuditTrail
from moorage.web.http import Request, Response

DEFAULT = RegistryKey(RegistryId("000000000000"), "us-east-1")


class MemoryLog:
    """An audit log that can be made to fail. ``syncs`` counts."""

    def __init__(self) -> None:
        self.text = b""
        self.is_full = False
        self.syncs = 0

    def append(self, lines: bytes) -> None:
        """See ``AuditLog``."""
        if self.is_full:
            raise AuditFailed("testing")
        self.text += lines

    def sync(self) -> None:
        """See ``AuditLog``."""
        self.syncs += 1

    @property
    def records(self) -> list[dict[str, Any]]:
        """Everything that was written."""
        return [json.loads(line) for line in self.text.splitlines()]


class Trail:
    """The observer with a log and a clock of its own; ``dropped`` counts what was lost."""

    def __init__(self, reads: str = "all") -> None:
        self.log = MemoryLog()
        self.dropped = 0
        self.monotonic = 0.0
        self.buffer = AuditBuffer(self.log, self._drop)
        self.observer = AuditTrail(
            self.buffer, DEFAULT, reads, name_refusal, self._drop, lambda: self.monotonic
        )

    def _drop(self) -> None:
        self.dropped += 1

    def see(self, request: Request, response: Response, api: str = "v2") -> list[dict[str, Any]]:
        """Let it observe a request that was answered; returns what was written of it."""
        before = len(self.log.records)
        exchange = Exchange(request, api, response.status, response.operation, response.error_code)
        self.observer.finished(exchange)
        self.buffer.flush()
        return self.log.records[before:]


def committed(database: Database) -> list[dict[str, Any]]:
    """The records of changes, in the order in which they were committed."""

    def read(tx: Transaction) -> list[str]:
        return [row[0] for row in tx._connection.execute("SELECT record FROM audit ORDER BY id").fetchall()]

    return [json.loads(line) for line in database.read_now(read)]


def settings_of(directory: Any, **settings: Any) -> Settings:
    """Those of a server with its data there."""
    return Settings(data_dir=directory, **settings)
