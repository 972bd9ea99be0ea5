"""What the JSON API answers to each refusal: a table from error class to code, status and text.

Two dialects. Header-signed JSON calls get ECR's modelled exceptions and the gateway's errors, all 400 but
``ServerException`` 500, ``NotImplementedException`` 501 and ``ServiceUnavailable`` 503. Calls that are presigned
or name their ``Action=`` get the names and statuses of the API reference's "Common Errors" where these exist.
Texts are ECR's, letter by letter, where they are known: clients match on fragments of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from moorage.domain import errors
from moorage.domain.errors import RegistryError
from moorage.web.messages import IN_THE_REGISTRY, SENTENCES, WITHIN, invalid, render

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as it goes on the wire: ``__type``, HTTP status, ``message`` and the error's further members."""

    code: str
    status: int
    message: str
    members: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``message`` is a template over the error's facts."""

    code: str
    message: str
    status: int = 400
    #: Code and status in the dialect of presigned and ``Action=`` calls, where they differ.
    query: tuple[str, int] | None = None
    #: Makes the members that this error has beside its message.
    members: Callable[[Facts], Mapping[str, object]] | None = None


#: SDKs slow down and try again.
THROTTLING: Final = "ThrottlingException"

_IN_REGISTRY: Final = "in the repository with name '{repository_name}' in registry with id '{registry_id}'"


def _said(
    error: type[RegistryError],
    code: str,
    status: int = 400,
    query: tuple[str, int] | None = None,
    members: Callable[[Facts], Mapping[str, object]] | None = None,
) -> Row:
    """A row whose sentence is the same on both faces."""
    return Row(code, SENTENCES[error], status, query, members)


def _part_members(facts: Facts) -> Mapping[str, object]:
    """Members of InvalidLayerPartException. Before any byte is valid there is no last one: the member is absent."""
    offset = facts["offset"]
    members = {
        "registryId": facts["registry_id"],
        "repositoryName": facts["repository_name"],
        "uploadId": facts["upload_id"],
    }
    return (
        members | {"lastValidByteReceived": offset - 1} if isinstance(offset, int) and offset > 0 else members
    )


TABLE: Final[Mapping[type[RegistryError], Row]] = {
    # Who is asking.
    errors.CredentialsMissing: Row(
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
        query=("MissingAuthenticationToken", 403),
    ),
    errors.CredentialsUnknown: Row(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        query=("InvalidClientTokenId", 403),
    ),
    errors.CredentialsExpired: Row(
        "ExpiredTokenException", "The security token included in the request is expired"
    ),
    errors.AccountSwitchedOff: _said(
        errors.AccountSwitchedOff, "UnrecognizedClientException", query=("OptInRequired", 403)
    ),
    errors.SignatureMismatch: Row(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details.",
        query=("IncompleteSignature", 400),
    ),
    errors.SignatureExpired: Row("InvalidSignatureException", "{text}", query=("RequestExpired", 400)),
    errors.PresignedRequestExpired: Row("InvalidSignatureException", "{text}", query=("RequestExpired", 400)),
    errors.SignatureIncomplete: Row(
        "IncompleteSignatureException", "{text}", query=("IncompleteSignature", 400)
    ),
    errors.AccessDenied: _said(errors.AccessDenied, "AccessDeniedException"),
    # The request itself.
    errors.OperationUnknown: Row(
        "UnknownOperationException",
        "Operation '{operation}' is not one of the Amazon ECR API.",
        query=("InvalidAction", 400),
    ),
    errors.OperationMissing: Row(
        "UnknownOperationException",
        "The request names no operation: it has neither X-Amz-Target nor Action.",
        query=("MissingAction", 400),
    ),
    errors.ServiceNotServed: Row(
        "UnknownOperationException",
        "Moorage does not serve '{service}'; it serves the Amazon ECR API and STS.",
        query=("InvalidAction", 400),
    ),
    # botocore and the other SDKs try 500, 502, 503 and 504 again, and leave 501 alone.
    errors.NotBuilt: _said(errors.NotBuilt, "NotImplementedException", status=501),
    errors.MalformedRequest: Row("SerializationException", "{text}", query=("InvalidParameterValue", 400)),
    errors.InvalidParameter: _said(errors.InvalidParameter, "InvalidParameterException"),
    errors.InvalidRequest: _said(errors.InvalidRequest, "InvalidParameterException"),
    errors.ConflictingParameters: Row(
        "InvalidParameterException", "{text}", query=("InvalidParameterCombination", 400)
    ),
    errors.MalformedQuery: _said(
        errors.MalformedQuery, "SerializationException", query=("MalformedQueryString", 404)
    ),
    errors.PageTokenInvalid: Row("InvalidParameterException", invalid("nextToken", "Invalid next token")),
    errors.BodyTooLarge: Row(
        "InvalidParameterException",
        "The request body is larger than the {limit} bytes that this operation takes.",
    ),
    errors.BodyIncomplete: _said(
        errors.BodyIncomplete, "SerializationException", query=("InvalidParameterValue", 400)
    ),
    errors.RepositoryNameInvalid: _said(errors.RepositoryNameInvalid, "InvalidParameterException"),
    errors.TagInvalid: _said(errors.TagInvalid, "InvalidParameterException"),
    errors.DigestInvalid: _said(errors.DigestInvalid, "InvalidParameterException"),
    errors.RegistryIdInvalid: Row(
        "InvalidParameterException",
        invalid("registryId", "Member must satisfy regular expression pattern: [0-9]{{12}}"),
    ),
    errors.ArnInvalid: Row("InvalidParameterException", invalid("resourceArn", "Invalid ARN")),
    errors.ResourceTagInvalid: Row("InvalidTagParameterException", "{text}"),
    errors.TooManyResourceTags: Row("TooManyTagsException", "A repository takes at most {limit} tags."),
    errors.LimitExceeded: _said(errors.LimitExceeded, "LimitExceededException"),
    # What does not exist.
    errors.RepositoryNotFound: _said(errors.RepositoryNotFound, "RepositoryNotFoundException"),
    errors.RepositoryPolicyNotFound: _said(
        errors.RepositoryPolicyNotFound, "RepositoryPolicyNotFoundException"
    ),
    errors.RegistryPolicyNotFound: _said(errors.RegistryPolicyNotFound, "RegistryPolicyNotFoundException"),
    errors.ImageNotFound: Row(
        "ImageNotFoundException",
        "The image with imageId {{imageDigest:'{image_digest}', imageTag:'{image_tag}'}} does not exist "
        + WITHIN,
    ),
    errors.LayerNotFound: _said(errors.LayerNotFound, "LayersNotFoundException"),
    errors.LayerInaccessible: Row(
        "LayerInaccessibleException",
        "The layer with digest '{digest}' "
        + IN_THE_REGISTRY
        + " cannot be downloaded: no image there refers to it",
    ),
    errors.UploadNotFound: _said(errors.UploadNotFound, "UploadNotFoundException"),
    # What the state forbids.
    errors.RepositoryAlreadyExists: Row(
        "RepositoryAlreadyExistsException",
        "The repository with name '{repository_name}' already exists in the registry with id '{registry_id}'",
    ),
    errors.RepositoryNotEmpty: Row(
        "RepositoryNotEmptyException",
        "The repository with name '{repository_name}' in registry with id '{registry_id}' cannot be deleted "
        "because it still contains images",
    ),
    errors.ImageAlreadyExists: Row(
        "ImageAlreadyExistsException",
        "Image with digest '{digest}' and tag '{tag}' already exists " + _IN_REGISTRY,
    ),
    errors.ImageTagAlreadyExists: _said(errors.ImageTagAlreadyExists, "ImageTagAlreadyExistsException"),
    errors.LayerAlreadyExists: Row(
        "LayerAlreadyExistsException", "The layer with digest '{digest}' already exists " + _IN_REGISTRY
    ),
    errors.UploadOutOfOrder: _said(errors.UploadOutOfOrder, "InvalidLayerPartException", members=_part_members),
    errors.UploadBusy: _said(errors.UploadBusy, "InvalidLayerPartException", members=_part_members),
    errors.EmptyUpload: Row(
        "EmptyUploadException",
        "The upload with id '{upload_id}' "
        + _IN_REGISTRY
        + " cannot be completed because it does not have any parts",
    ),
    errors.LayerPartTooSmall: Row(
        "LayerPartTooSmallException", "All layer parts except the last part should be at least 5MB"
    ),
    # The bytes.
    errors.ManifestInvalid: _said(errors.ManifestInvalid, "InvalidParameterException"),
    errors.ManifestTooLarge: Row(
        "InvalidParameterException",
        invalid("imageManifest", "Member must have length less than or equal to {limit}"),
    ),
    errors.ManifestDigestMismatch: _said(errors.ManifestDigestMismatch, "ImageDigestDoesNotMatchException"),
    errors.BlobDigestMismatch: _said(errors.BlobDigestMismatch, "InvalidLayerException"),
    errors.LayersMissing: _said(errors.LayersMissing, "LayersNotFoundException"),
    errors.ReferencedImagesMissing: _said(errors.ReferencedImagesMissing, "ReferencedImagesNotFoundException"),
    errors.PartLengthMismatch: Row(
        "InvalidLayerPartException",
        "The layer part has {received} bytes where partFirstByte and partLastByte announce {announced}",
        members=_part_members,
    ),
    errors.BlobTooLarge: _said(errors.BlobTooLarge, "LimitExceededException"),
    errors.BlobDamaged: _said(errors.BlobDamaged, "LayerInaccessibleException"),
    # The server.
    errors.Unavailable: _said(errors.Unavailable, "ServiceUnavailable", status=503),
    errors.TooManyRequests: _said(errors.TooManyRequests, THROTTLING),
}

#: Errors that never become the answer of a JSON call, and why.
UNREACHABLE: Final[Mapping[type[RegistryError], str]] = {
    errors.MethodNotAllowed: "paths and methods are answered before a dialect is known",
    errors.RouteUnknown: "paths and methods are answered before a dialect is known",
    errors.PageSizeInvalid: "n is a parameter of /v2/; maxResults is an InvalidParameter",
    errors.TooManyTagParameters: "tags in the query of a push exist on /v2/ only",
    errors.ImageReferencedByIndex: "BatchDeleteImage lists it among its failures",
    errors.LayerInUse: "the JSON API deletes no layers",
    errors.ContentRangeInvalid: "Content-Range is a header of /v2/",
    errors.RangeNotSatisfiable: "Range is a header of /v2/ and of downloads",
    errors.NoSuchEntity: "the command line looks after identities",
    errors.EntityAlreadyExists: "the command line looks after identities",
    errors.DeleteConflict: "the command line looks after identities",
    errors.MalformedPolicyDocument: "the command line looks after identities",
    errors.PolicyTooLarge: "the command line looks after identities",
    errors.WebIdentityInvalid: "web identities are STS's, which has a table of its own",
    errors.WebIdentityExpired: "web identities are STS's, which has a table of its own",
    errors.WebIdentityRejected: "web identities are STS's, which has a table of its own",
    errors.IssuerUnreachable: "web identities are STS's, which has a table of its own",
    errors.SessionTooLarge: "sessions are STS's, which has a table of its own",
}


def describe(error: RegistryError, *, is_query: bool) -> ErrorAnswer:
    """The answer to a refused call; ``is_query`` says whether it is presigned or names its ``Action=``.

    A class that has no row answers like its nearest ancestor that has one, else like an unforeseen failure.
    """
    row = next((TABLE[ancestor] for ancestor in type(error).__mro__ if ancestor in TABLE), None)
    if row is None:
        return unforeseen(is_operation_known=True)
    code, status = row.query if is_query and row.query else (row.code, row.status)
    members = row.members(error.facts) if row.members else {}
    return ErrorAnswer(code, status, render(row.message, error.facts), members)


def name(error: RegistryError) -> tuple[str, str] | None:
    """AWS's code and sentence for a refusal, also of the other face; None for what AWS does not have."""
    if not any(ancestor in TABLE for ancestor in type(error).__mro__):
        return None
    answer = describe(error, is_query=False)
    return answer.code, answer.message


def unforeseen(*, is_operation_known: bool) -> ErrorAnswer:
    """The answer to a failure that nobody foresaw. It says nothing of the failure: that is in the log only."""
    code = "ServerException" if is_operation_known else "InternalFailure"
    return ErrorAnswer(code, 500, "An unforeseen failure; the server's log tells more under this request's id.")
