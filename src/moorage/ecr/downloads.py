"""Download URLs: what GetDownloadUrlForLayer gives out, and the route that they lead to.

    <proxy endpoint>/downloads/<digest>?token=<sealed claims>

The token stands in the query, because access logs, ours included, keep paths. It opens one blob of one
repository, for reading, for an hour, and only as long as the access key that asked for it would be let in.
"""

from typing import Final

from moorage.auth import tokens
from moorage.auth.tokens import DownloadClaims
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    AccessDenied,
    AuthenticationError,
    BlobDamaged,
    CredentialsUnknown,
    DigestInvalid,
    MalformedQuery,
    NotFound,
    RegistryError,
    TooManyRequests,
    Unavailable,
)
from moorage.domain.names import RegistryId, RepositoryName
from moorage.ecr.events import note_download
from moorage.metadata.layers import LayerRow
from moorage.services import layers
from moorage.web.asgi import plain
from moorage.web.blob_response import blob_response
from moorage.web.context import Context
from moorage.web.http import Request, Response, find_parameter
from moorage.web.messages import RETRY_AFTER, RETRY_SOON

PATH: Final = "/downloads/"

#: For the access log, beside the names of the API's operations.
OPERATION: Final = "DownloadLayer"

# What is wrong with a token is nobody's business who holds a wrong one.
_REFUSED: Final = (403, "This download URL is not valid, or not any more. Ask for another one.\n")
_REFUSALS: Final[dict[type[RegistryError], tuple[int, str]]] = {
    AuthenticationError: _REFUSED,
    AccessDenied: _REFUSED,
    DigestInvalid: _REFUSED,
    MalformedQuery: _REFUSED,
    NotFound: (404, "The layer does not exist any more.\n"),
    BlobDamaged: (500, "The stored layer is damaged. Pushing it again repairs it.\n"),
    Unavailable: (503, "The layer cannot be served now. Try again later.\n"),
    # Plain HTTP has no dialect of throttling: 503 is what clients of every kind come back after.
    TooManyRequests: (503, "There is too much to do now. Try again in a moment.\n"),
}


def download_url(
    context: Context, caller: Caller, registry: RegistryKey, name: RepositoryName, digest: Digest
) -> str:
    """The URL that opens one layer to this caller, for an hour and no longer than their session."""
    expires_at = caller.request.received_at + tokens.DOWNLOAD_TOKEN_LIFETIME
    claims = DownloadClaims(
        str(digest),
        registry.registry_id,
        registry.region,
        name,
        caller.account_id,
        caller.principal_arn,
        caller.access_key_id,
        min(expires_at, caller.session.expires_at) if caller.session else expires_at,
        caller.unique_id,
        caller.key_created_at,
        caller.session,
    )
    token = tokens.issue_download_token(context.keyring, claims)
    return f"{context.hosts.proxy_endpoint(registry)}{PATH}{claims.digest}?token={token}"


async def get_download(context: Context, request: Request) -> Response:
    """Answer GET and HEAD of a download URL, with ``Range``."""
    return _told(await _answer(context, request), request)


def refuse(request: Request, error: RegistryError) -> Response:
    """The answer to a download that the server does not take on, or gave up. Raises what no download can meet."""
    return _told(_refuse(error), request)


async def _answer(context: Context, request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        response = plain(405, "A download URL takes GET and HEAD.\n")
        response.headers.append((b"allow", b"GET, HEAD"))
        return response
    try:
        layer, digest = await _open_layer(context, request)
        return await blob_response(request, context.downloads, layer, digest)
    except RegistryError as error:
        request.note.refusal = error
        return _refuse(error)


async def _open_layer(context: Context, request: Request) -> tuple[LayerRow, str]:
    """The layer behind a URL. Raises ``CredentialsUnknown`` and its kin, ``NotFound``, ``Unavailable``."""
    token = find_parameter(request.query(), "token")
    if token is None:
        raise CredentialsUnknown
    caller, claims = context.authenticator.for_download(request, token)
    note_download(request.note, caller, claims)
    if request.path != PATH + claims.digest:
        raise CredentialsUnknown
    found = await context.database.read(
        layers.get_layer,
        caller,
        RegistryKey(RegistryId(claims.registry_id), claims.region),
        RepositoryName(claims.repository_name),
        Digest.parse(claims.digest),
    )
    return found, claims.digest


def _told(response: Response, request: Request) -> Response:
    """The answer with what the access log and the client go by."""
    response.operation = request.note.event = OPERATION
    response.headers.append((b"x-amzn-requestid", request.facts.request_id.encode()))
    return response


def _refuse(error: RegistryError) -> Response:
    """Raises the error again when it is none that a download can meet."""
    for ancestor in type(error).__mro__:
        if ancestor in _REFUSALS:
            response = plain(*_REFUSALS[ancestor])
            response.error_code = type(error).__name__
            if response.status == 503:
                response.headers.append(RETRY_SOON if isinstance(error, TooManyRequests) else RETRY_AFTER)
            return response
    raise error
