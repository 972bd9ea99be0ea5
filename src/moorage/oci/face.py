"""The OCI distribution API: authenticates, finds the registry and the handler, answers refusals."""

from typing import Final

from moorage.domain.caller import RegistryKey
from moorage.domain.errors import MethodNotAllowed, RegistryError, RouteUnknown
from moorage.domain.names import RepositoryName
from moorage.oci import errors, events
from moorage.oci.call import Call
from moorage.oci.routes import Place, Route, allowed_methods, find_route, read_path
from moorage.web.context import Context
from moorage.web.http import Request, Response

#: A header line of every answer.
API_VERSION: Final = (b"docker-distribution-api-version", b"registry/2.0")
_NAMELESS: Final = RepositoryName("")


class DistributionApi:
    """What answers below ``/v2/``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def handle(self, request: Request) -> Response:
        """Answer one request. Nothing of the path is told before it is known who asks."""
        operation = ""
        registry, place, route = self._note(request)
        try:
            request.note.caller = caller = self._context.authenticator.for_registry(
                request, registry.region, is_pull=route is not None and route.is_pull
            )
            if place is None:
                raise RouteUnknown
            if route is None:
                raise MethodNotAllowed(method=request.method)
            operation = route.operation
            name = _NAMELESS if place.name is None else events.parse_name(place.name)
            response = await route.handler(
                Call(self._context, request, caller, registry, name, place.reference)
            )
        except RegistryError as error:
            request.note.refusal = error
            response = errors.answer(error, request)
            if isinstance(error, MethodNotAllowed) and place is not None:
                response.headers.append((b"allow", allowed_methods(place.shape).encode()))
        return _finish(response, request, operation)

    def _note(self, request: Request) -> tuple[RegistryKey, Place | None, Route | None]:
        """Whose registry is meant, and what the request line says, for the audit too."""
        registry = self._context.hosts.registry_of(request.header(b"host"))
        place, route = _locate(request)
        events.noted(request.note, route, place, registry)
        return registry, place, route

    def refuse(self, request: Request, error: RegistryError) -> Response:
        """The answer when the server does not take the request on, or gave it up."""
        if request.note.registry is None:
            self._note(request)
        request.note.refusal = error
        return _finish(errors.answer(error, request), request, "")

    def on_error(self, request: Request) -> Response:
        """The answer when something went wrong that nobody foresaw."""
        return _finish(errors.unforeseen(request.facts.request_id), request, "")


def _locate(request: Request) -> tuple[Place | None, Route | None]:
    try:
        place = read_path(request.raw_path.decode("latin-1"))
    except RouteUnknown:
        return None, None
    return place, find_route(place.shape, request.method)


def _finish(response: Response, request: Request, operation: str) -> Response:
    response.operation = operation
    response.headers.append(API_VERSION)
    response.headers.append((b"x-request-id", request.facts.request_id.encode()))
    return response
