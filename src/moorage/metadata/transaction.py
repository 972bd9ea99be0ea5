"""One open transaction: all that a use case may touch."""

import base64
import secrets
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Dialect

from moorage.config import Settings
from moorage.metadata.manifest_cache import ManifestCache
from moorage.metadata.policy_cache import PolicyCache
from moorage.metadata.queries import Query, Statement

Result = TypeVar("Result")
Read = TypeVar("Read", bound=Callable[..., Any])

_MARK = "is_one_statement"


def one_statement(use_case: Read) -> Read:
    """Mark a use case that reads, as a rule by a single statement.

    Such a statement is a snapshot of its own, so a database may spare it the beginning and the end of a
    transaction. When the use case turns out to need another statement, it is run again from the start in one.
    """
    use_case.__dict__[_MARK] = True
    return use_case


def is_one_statement(use_case: Callable[..., Any]) -> bool:
    """Whether a use case was marked so."""
    return _MARK in getattr(use_case, "__dict__", ())


class SnapshotNeeded(Exception):
    """A use case wants a second statement where only one sees the same state."""


class Cursor(Protocol):
    """The part of a database driver's cursor that is used."""

    @property
    def rowcount(self) -> int:
        """Rows that the last change touched."""

    def fetchone(self) -> Sequence[Any] | None:
        """The next row, or None."""

    def fetchall(self) -> list[Sequence[Any]]:
        """The rows that are left."""


class Connection(Protocol):
    """The part of a database driver's connection that is used."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement with named parameters."""


class Transaction:
    """Reads and writes inside one database transaction, with its time, ids and settings.

    ``now`` is in microseconds since the epoch and the same for the whole transaction.
    """

    __slots__ = ("_connection", "_dialect", "manifests", "now", "policies", "settings")

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        settings: Settings,
        manifests: ManifestCache,
        policies: PolicyCache,
        now: int,
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self.settings = settings
        self.manifests = manifests
        self.policies = policies
        self.now = now

    def new_uuid(self) -> str:
        """A random id of the form 8-4-4-4-12."""
        return str(uuid.uuid4())

    def new_unique_id(self, prefix: str) -> str:
        """A random id of AWS's form: the prefix and 17 characters of base32."""
        return prefix + base64.b32encode(secrets.token_bytes(11))[:17].decode()

    def find(self, query: Query[Result], **parameters: object) -> Result | None:
        """The first row, or None."""
        row = self._execute(query, parameters).fetchone()
        return None if row is None else query.make(row)

    def one(self, query: Query[Result], **parameters: object) -> Result:
        """The row of a query that always has one: an aggregate, or a change that returns what it made."""
        row = self._execute(query, parameters).fetchone()
        assert row is not None
        return query.make(row)

    def all(self, query: Query[Result], **parameters: object) -> list[Result]:
        """Every row."""
        make = query.make
        return [make(row) for row in self._execute(query, parameters).fetchall()]

    def run(self, statement: Statement, **parameters: object) -> int:
        """Make a change; returns how many rows it touched."""
        return self._execute(statement, parameters).rowcount

    def _execute(self, statement: Statement, parameters: dict[str, object]) -> Cursor:
        compiled = statement.compiled(self._dialect)
        if compiled.constants:
            parameters = compiled.constants | parameters
        return self._connection.execute(compiled.sql, parameters)


class LoneStatement(Transaction):
    """A transaction without beginning and end: room for one statement."""

    #: Of the class until a statement was run: one is made for every request.
    _is_used = False

    def _execute(self, statement: Statement, parameters: dict[str, object]) -> Cursor:
        if self._is_used:
            raise SnapshotNeeded
        self._is_used = True
        return super()._execute(statement, parameters)
