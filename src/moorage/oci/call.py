"""One call of the distribution API, as a handler gets it: proven, with its path read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from moorage.domain.audit import Elements, Note
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.names import RepositoryName
from moorage.metadata.database import UseCase
from moorage.services import repositories
from moorage.services.audit import Recording
from moorage.web.context import Context
from moorage.web.http import Request, Response

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(slots=True)
class Call:
    """Everything a handler needs.

    ``name`` is empty on paths that have none. ``reference`` is the last part of the path, unchecked: a tag, a
    digest or an upload's id.
    """

    context: Context
    request: Request
    caller: Caller
    registry: RegistryKey
    name: RepositoryName
    reference: str

    @property
    def note(self) -> Note:
        """What the audit records of the call."""
        return self.request.note

    def recording(self, describe: Callable[[Result], Elements | None]) -> Recording[Result]:
        """How a change is recorded whose result ``describe`` turns into response elements; None: nothing changed."""
        return Recording(self.request.note, describe)

    async def change(
        self,
        describe: Callable[[Result], Elements | None],
        use_case: UseCase[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Run a use case that changes something, and record it in the same transaction."""
        return await self.recording(describe).change(self.context.database, use_case, *args, **kwargs)

    async def refuse_early(self, action: str) -> None:
        """Refuse before the body is read: a caller who may not do this, or a repository that is missing.

        The push of a trusted caller makes the repository, so there is nothing to ask. Raises what
        ``repositories.open_repository`` raises.
        """
        if not self.caller.is_trusted:
            await self.context.database.read(
                repositories.open_repository, self.caller, self.registry, self.name, action
            )


Handler = Callable[[Call], Awaitable[Response]]
