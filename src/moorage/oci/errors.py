"""What ``/v2/`` answers to each refusal: a table from error class to code, status and text.

Codes are those of the OCI distribution-spec, "Error Codes", and three that it does not have: TAG_INVALID, which ECR
answers for immutable tags and clients match on, UNAVAILABLE and UNKNOWN. Texts are ECR's where they are known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from moorage.domain import errors
from moorage.domain.errors import RegistryError
from moorage.web.http import Request, Response
from moorage.web.messages import RETRY_AFTER, RETRY_SOON, SENTENCES, invalid, render

Facts = Mapping[str, object]
Headers = list[tuple[bytes, bytes]]

_HOST_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``message`` is a template over the error's facts."""

    code: str
    status: int
    message: str
    #: Makes the headers that this refusal carries.
    headers: Callable[[Facts], Headers] | None = None


def _said(
    error: type[RegistryError], code: str, status: int, headers: Callable[[Facts], Headers] | None = None
) -> Row:
    """A row whose sentence is the same on both faces."""
    return Row(code, status, SENTENCES[error], headers)


def _upload_headers(facts: Facts) -> Headers:
    """Where the upload stands, so that the client can go on from there (OCI, "Pushing a blob in chunks")."""
    location = f"/v2/{facts['repository_name']}/blobs/uploads/{facts['upload_id']}"
    offset = facts["offset"]
    assert isinstance(offset, int)
    return [
        (b"location", location.encode()),
        (b"range", b"0-%d" % max(offset - 1, 0)),
        (b"docker-upload-uuid", str(facts["upload_id"]).encode()),
    ]


def _retry_headers(_facts: Facts) -> Headers:
    return [RETRY_AFTER]


def _retry_soon(_facts: Facts) -> Headers:
    return [RETRY_SOON]


TABLE: Final[Mapping[type[RegistryError], Row]] = {
    # Who is asking. A 401 has ECR's own body, see ``challenge``.
    errors.CredentialsMissing: Row("UNAUTHORIZED", 401, "Not Authorized"),
    errors.CredentialsUnknown: Row("UNAUTHORIZED", 401, "Not Authorized"),
    errors.CredentialsExpired: Row(
        "DENIED", 403, "Your authorization token has expired. Reauthenticate and try again."
    ),
    errors.AccountSwitchedOff: _said(errors.AccountSwitchedOff, "DENIED", 403),
    errors.AccessDenied: _said(errors.AccessDenied, "DENIED", 403),
    # The request itself.
    errors.NotBuilt: _said(errors.NotBuilt, "UNSUPPORTED", 405),
    errors.InvalidParameter: _said(errors.InvalidParameter, "UNSUPPORTED", 400),
    errors.InvalidRequest: _said(errors.InvalidRequest, "UNSUPPORTED", 400),
    errors.MalformedQuery: _said(errors.MalformedQuery, "UNSUPPORTED", 400),
    errors.MethodNotAllowed: Row("UNSUPPORTED", 405, "The method {method} is not supported here"),
    errors.RouteUnknown: Row("UNSUPPORTED", 404, "The path is not one of the OCI distribution API"),
    errors.BodyTooLarge: Row("MANIFEST_INVALID", 413, "A manifest takes at most {limit} bytes"),
    errors.BodyIncomplete: _said(errors.BodyIncomplete, "SIZE_INVALID", 400),
    errors.PageSizeInvalid: Row(
        "UNSUPPORTED", 400, invalid("n", "Member must be a number of entries, not {value}")
    ),
    errors.PageTokenInvalid: Row("UNSUPPORTED", 400, invalid("next", "Invalid next token")),
    errors.RepositoryNameInvalid: _said(errors.RepositoryNameInvalid, "NAME_INVALID", 400),
    errors.TagInvalid: _said(errors.TagInvalid, "TAG_INVALID", 400),
    errors.DigestInvalid: _said(errors.DigestInvalid, "DIGEST_INVALID", 400),
    # Clients take 429 for a rate and try again in vain, and hide the text of a 400: they show that of DENIED at once.
    errors.LimitExceeded: _said(errors.LimitExceeded, "DENIED", 403),
    errors.TooManyTagParameters: Row("TAG_INVALID", 414, "One push takes at most {limit} tag parameters"),
    # What does not exist.
    errors.RepositoryNotFound: _said(errors.RepositoryNotFound, "NAME_UNKNOWN", 404),
    errors.ImageNotFound: Row("MANIFEST_UNKNOWN", 404, "Requested image not found"),
    errors.LayerNotFound: _said(errors.LayerNotFound, "BLOB_UNKNOWN", 404),
    errors.UploadNotFound: _said(errors.UploadNotFound, "BLOB_UPLOAD_UNKNOWN", 404),
    # What the state forbids.
    errors.ImageTagAlreadyExists: _said(errors.ImageTagAlreadyExists, "TAG_INVALID", 400),
    errors.ImageReferencedByIndex: Row(
        "UNSUPPORTED", 405, "Requested image referenced by manifest list: {indexes}"
    ),
    errors.LayerInUse: Row(
        "UNSUPPORTED",
        405,
        "The layer with digest '{digest}' cannot be deleted: an image in the repository with name "
        "'{repository_name}' refers to it",
    ),
    errors.UploadOutOfOrder: _said(errors.UploadOutOfOrder, "BLOB_UPLOAD_INVALID", 416, _upload_headers),
    errors.UploadBusy: _said(errors.UploadBusy, "BLOB_UPLOAD_INVALID", 416, _upload_headers),
    # The bytes.
    errors.ManifestInvalid: _said(errors.ManifestInvalid, "MANIFEST_INVALID", 400),
    errors.ManifestTooLarge: Row("MANIFEST_INVALID", 413, "A manifest takes at most {limit} bytes"),
    errors.ManifestDigestMismatch: _said(errors.ManifestDigestMismatch, "DIGEST_INVALID", 400),
    errors.BlobDigestMismatch: _said(errors.BlobDigestMismatch, "DIGEST_INVALID", 400),
    errors.LayersMissing: _said(errors.LayersMissing, "MANIFEST_BLOB_UNKNOWN", 404),
    errors.ReferencedImagesMissing: _said(errors.ReferencedImagesMissing, "MANIFEST_BLOB_UNKNOWN", 404),
    errors.PartLengthMismatch: Row(
        "SIZE_INVALID",
        400,
        "The layer part has {received} bytes where the request announced {announced}",
        _upload_headers,
    ),
    errors.ContentRangeInvalid: Row(
        "SIZE_INVALID", 400, "The Content-Range '{value}' is not first-last, or not of the length of the body"
    ),
    errors.BlobTooLarge: _said(errors.BlobTooLarge, "SIZE_INVALID", 413),
    # Final for a client, as a 5xx would not be: asking again does not bring the bytes back.
    errors.BlobDamaged: _said(errors.BlobDamaged, "BLOB_UNKNOWN", 404),
    # The server.
    errors.Unavailable: _said(errors.Unavailable, "UNAVAILABLE", 503, _retry_headers),
    # ECR: 429 also where the server as a whole is meant. Some clients try again on that alone.
    errors.TooManyRequests: _said(errors.TooManyRequests, "TOOMANYREQUESTS", 429, _retry_soon),
}

#: Errors that never become the answer of a call here, and why.
UNREACHABLE: Final[Mapping[type[RegistryError], str]] = {
    errors.SignatureMismatch: "signatures belong to the JSON API",
    errors.SignatureExpired: "signatures belong to the JSON API",
    errors.PresignedRequestExpired: "signatures belong to the JSON API",
    errors.SignatureIncomplete: "signatures belong to the JSON API",
    errors.OperationUnknown: "operations belong to the JSON API",
    errors.OperationMissing: "operations belong to the JSON API",
    errors.ServiceNotServed: "services belong to the JSON API",
    errors.MalformedRequest: "the only JSON that is read here is a manifest: ManifestInvalid",
    errors.ConflictingParameters: "no parameters of /v2/ exclude each other",
    errors.RegistryIdInvalid: "the Host names the registry, and one that does not means the default",
    errors.ArnInvalid: "no ARN is taken here",
    errors.ResourceTagInvalid: "resource tags belong to the JSON API",
    errors.TooManyResourceTags: "resource tags belong to the JSON API",
    errors.LayerInaccessible: "a pull serves every layer that the repository has",
    errors.RepositoryAlreadyExists: "a push makes a repository only where it finds none, in the same transaction",
    errors.RepositoryPolicyNotFound: "policies belong to the JSON API",
    errors.RegistryPolicyNotFound: "policies belong to the JSON API",
    errors.RepositoryNotEmpty: "repositories are deleted by the JSON API",
    errors.ImageAlreadyExists: "pushing the same again is fine here",
    errors.LayerAlreadyExists: "pushing the same again is fine here",
    errors.EmptyUpload: "an empty blob is fine here",
    errors.LayerPartTooSmall: "chunks here may have any size",
    errors.RangeNotSatisfiable: "blob_response answers it itself, alike on both faces",
    errors.NoSuchEntity: "the command line looks after identities",
    errors.EntityAlreadyExists: "the command line looks after identities",
    errors.DeleteConflict: "the command line looks after identities",
    errors.MalformedPolicyDocument: "the command line looks after identities",
    errors.PolicyTooLarge: "the command line looks after identities",
    errors.WebIdentityInvalid: "web identities belong to STS",
    errors.WebIdentityExpired: "web identities belong to STS",
    errors.WebIdentityRejected: "web identities belong to STS",
    errors.IssuerUnreachable: "web identities belong to STS",
    errors.SessionTooLarge: "sessions belong to STS",
}


def answer(error: RegistryError, request: Request) -> Response:
    """The answer to a refused call.

    A class that has no row answers like its nearest ancestor that has one; where none has, that is an unforeseen
    failure: ``error`` is raised again.
    """
    row = next((TABLE[ancestor] for ancestor in type(error).__mro__ if ancestor in TABLE), None)
    if row is None:
        raise error
    if row.status == 401:
        return challenge(request)
    headers = row.headers(error.facts) if row.headers else []
    return _envelope(row.status, row.code, render(row.message, error.facts), headers)


def challenge(request: Request) -> Response:
    """ECR: Basic with a realm that is a URL, a service that clients parse, and a body that is not JSON."""
    host = request.header(b"host") or "localhost"
    if not _HOST_LETTERS.issuperset(host):
        host = "localhost"
    realm = f'Basic realm="{request.scheme}://{host}/",service="ecr.amazonaws.com"'
    body = b"Not Authorized\n"
    headers = [
        (b"www-authenticate", realm.encode()),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Response(401, headers, body, error_code="UNAUTHORIZED")


def unforeseen(request_id: str) -> Response:
    """The answer to a failure that nobody foresaw. It says nothing of the failure: that is in the log only."""
    message = f"An unforeseen failure; the server's log tells more under the request id {request_id}"
    return _envelope(500, "UNKNOWN", message, [])


def _envelope(status: int, code: str, message: str, headers: Headers) -> Response:
    body = msgspec.json.encode({"errors": [{"code": code, "message": message}]}) + b"\n"
    own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return Response(status, [*headers, *own], body, error_code=code)
