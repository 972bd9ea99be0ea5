"""Changes with their records: both in one transaction, so that neither is there without the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar

from moorage.domain.audit import Elements, Note, record
from moorage.domain.caller import RegistryKey
from moorage.domain.names import RegistryId
from moorage.metadata import audit
from moorage.metadata.audit import AuditRow
from moorage.metadata.database import Database, UseCase
from moorage.metadata.transaction import Transaction

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Recording(Generic[Result]):
    """How a change that a call makes is recorded: ``describe`` turns its result into the record's response elements.

    None of ``describe`` means that nothing was changed after all. Without a note nothing is recorded: that is for what
    no call asked for.
    """

    note: Note | None
    describe: Callable[[Result], Elements | None]

    async def change(
        self,
        database: Database,
        use_case: UseCase[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """``Database.write``, with the record in the same transaction. Raises what that raises."""
        if self.note is None:
            return await database.write(use_case, *args, **kwargs)
        result, is_recorded = await database.write(self.recorded, use_case, *args, **kwargs)
        self.note.is_recorded |= is_recorded
        return result

    def change_now(
        self,
        database: Database,
        use_case: UseCase[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """``change`` for code that runs outside an event loop: the command line."""
        return database.write_now(self.recorded, use_case, *args, **kwargs)[0]

    def recorded(
        self,
        tx: Transaction,
        use_case: UseCase[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> tuple[Result, bool]:
        """The use case with its record, in a transaction that is under way; also whether there is a record."""
        result = use_case(tx, *args, **kwargs)
        return result, self._add(tx, result)

    def _add(self, tx: Transaction, result: Result) -> bool:
        elements = self.describe(result)
        if elements is None or self.note is None:
            return False
        audit.add_record(tx, record(self.note, tx.new_uuid(), default_registry(tx), elements=elements).decode())
        return True


#: For what no call asked for.
UNRECORDED: Final[Recording[Any]] = Recording(None, lambda _result: None)


def default_registry(tx: Transaction) -> RegistryKey:
    """The registry of calls that name none."""
    return RegistryKey(RegistryId(tx.settings.account_id), tx.settings.region)


def list_unexported(tx: Transaction, limit: int) -> list[AuditRow]:
    """The oldest records that are in no file yet."""
    return audit.list_unexported(tx, limit)


def mark_exported(tx: Transaction, ids: list[int]) -> None:
    """These records are in the file, and will stay there."""
    audit.mark_exported(tx, ids)


def forget_exported(tx: Transaction, limit: int) -> int:
    """Remove records that were exported long enough ago; returns how many."""
    return audit.delete_exported(tx, tx.now - tx.settings.audit_retention_hours * 3_600_000_000, limit)
