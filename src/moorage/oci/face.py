"""The OCI distribution API: authenticates, finds the registry and the handler, answers refusals."""

from functools import lru_cache
from typing import Final

from moorage.domain.errors import MethodNotAllowed, RegistryError
from moorage.domain.names import RepositoryName
from moorage.oci import errors
from moorage.oci.call import Call
from moorage.oci.routes import Place, Route, allowed_methods, find_route, read_path
from moorage.web.context import Context
from moorage.web.http import Request, Response

#: A header line of every answer.
API_VERSION: Final = (b"docker-distribution-api-version", b"registry/2.0")
_NAMELESS: Final = RepositoryName("")

# A pure function of its argument; refusals are not kept.
_parse_name = lru_cache(maxsize=4_096)(RepositoryName.parse)


class DistributionApi:
    """What answers below ``/v2/``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def handle(self, request: Request) -> Response:
        """Answer one request. Nothing of the path is looked at before it is known who asks."""
        operation = ""
        try:
            registry = self._context.hosts.registry_of(request.header(b"host"))
            caller = self._context.authenticator.for_registry(request, registry.region)
            place = read_path(request.raw_path.decode("latin-1"))
            route = _find(place, request.method)
            operation = route.operation
            name = _NAMELESS if place.name is None else _parse_name(place.name)
            call = Call(self._context, request, caller, registry, name, place.reference)
            response = await route.handler(call)
        except RegistryError as error:
            response = errors.answer(error, request)
            if isinstance(error, MethodNotAllowed):
                response.headers.append((b"allow", allowed_methods(place.shape).encode()))
        return _finish(response, request, operation)

    def refuse(self, request: Request, error: RegistryError) -> Response:
        """The answer when the server does not take the request on, or gave it up."""
        return _finish(errors.answer(error, request), request, "")

    def on_error(self, request: Request) -> Response:
        """The answer when something went wrong that nobody foresaw."""
        return _finish(errors.unforeseen(request.facts.request_id), request, "")


def _find(place: Place, method: str) -> Route:
    route = find_route(place.shape, method)
    if route is None:
        raise MethodNotAllowed(method=method)
    return route


def _finish(response: Response, request: Request, operation: str) -> Response:
    response.operation = operation
    response.headers.append(API_VERSION)
    response.headers.append((b"x-request-id", request.facts.request_id.encode()))
    return response
