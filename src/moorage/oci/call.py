"""One call of the distribution API, as a handler gets it: proven, with its path read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.names import RepositoryName
from moorage.services import repositories
from moorage.web.context import Context
from moorage.web.http import Request, Response


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
