"""The table of operations that are built, and what each of them is called with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from moorage.domain.audit import Note
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.names import RegistryId
from moorage.ecr import contract
from moorage.metadata.database import UseCase
from moorage.services.audit import Recording
from moorage.web.context import Context

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call of the JSON API, with all that an operation needs besides its input."""

    caller: Caller
    context: Context
    note: Note

    async def change(
        self,
        answer: Callable[[Result], dict[str, Any]],
        use_case: UseCase[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> dict[str, Any]:
        """Run a use case that changes something and record it in the same transaction; returns the call's answer.

        ``answer`` makes that of the use case's result, and the record tells of it too.
        """
        recording = Recording(self.note, answer)
        return answer(await recording.change(self.context.database, use_case, *args, **kwargs))

    def registry(self, registry_id: str | None = None) -> RegistryKey:
        """The registry that a call means: the caller's own unless it names another, in the region it is signed for.

        Raises ``RegistryIdInvalid``.
        """
        account = self.caller.account_id if registry_id is None else RegistryId.parse(registry_id)
        return RegistryKey(account, self.caller.region)


Handler = Callable[[Call, dict[str, Any]], Awaitable[dict[str, Any]]]

#: Operations by AWS's name. What the contract has and this has not is answered as not built. Filled by importing
#: ``moorage.ecr.operations``.
OPERATIONS: Final[dict[str, Handler]] = {}


def operation(name: str) -> Callable[[Handler], Handler]:
    """Enter a function in the table: it takes the validated input and gives the output, or raises ``RegistryError``."""
    if name not in contract.OPERATIONS:
        raise ValueError(f"the contract has no operation {name}")

    def register(handler: Handler) -> Handler:
        OPERATIONS[name] = handler
        return handler

    return register
