"""Lists page by page: ``maxResults`` in, ``nextToken`` in and out."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from moorage.auth import tokens
from moorage.auth.sealing import Keyring
from moorage.auth.tokens import PageScope, Scalar
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import ConflictingParameters
from moorage.ecr.dispatch import Call

#: Elements of a page when the client does not say.
DEFAULT_SIZE: Final = 100

Position = TypeVar("Position", bound=tuple[Scalar, ...])

# Members that say where a page begins and how long it is, or stand in the scope by themselves.
_NOT_FILTERS: Final = frozenset({"nextToken", "maxResults", "registryId", "repositoryName"})


@dataclass(frozen=True, slots=True)
class Page:
    """Where in which list an answer begins, and how many elements it may have.

    A token continues its own list only; the size of a page may change on the way.
    """

    size: int
    _keyring: Keyring
    _scope: PageScope
    _token: str | None
    _now: int

    def after(self, start: Position) -> Position:
        """The sort key after which the page begins, ``start`` for the first one. Raises ``PageTokenInvalid``."""
        if self._token is None:
            return start
        return cast("Position", tokens.read_page_token(self._keyring, self._scope, self._token, self._now))

    def continued(self, answer: dict[str, Any], last: tuple[Scalar, ...] | None) -> dict[str, Any]:
        """The answer, with a token when more follows after ``last``."""
        if last is not None:
            answer["nextToken"] = tokens.issue_page_token(self._keyring, self._scope, last, self._now)
        return answer


def open_page(
    call: Call, operation: str, registry: RegistryKey, request: dict[str, Any], default_size: int = DEFAULT_SIZE
) -> Page:
    """The page that a request asks for; whatever else it holds is what the list is filtered by."""
    filters = {name: value for name, value in request.items() if name not in _NOT_FILTERS}
    scope = PageScope(
        operation,
        registry.registry_id,
        registry.region,
        request.get("repositoryName"),
        tokens.fingerprint(filters) if filters else "",
    )
    return Page(
        request.get("maxResults", default_size),
        call.context.keyring,
        scope,
        request.get("nextToken"),
        call.caller.request.received_at,
    )


def refuse_paging(request: dict[str, Any], explicit: str) -> None:
    """Refuse ``nextToken`` and ``maxResults`` beside names or ids given one by one."""
    given = [name for name in ("nextToken", "maxResults") if name in request]
    if given:
        raise ConflictingParameters(text=f"{' and '.join(given)} cannot be given together with {explicit}")
