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
from moorage.ecr.validation import REPOSITORY_NAME_CONSTRAINT

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


_IN_REGISTRY: Final = "in the repository with name '{repository_name}' in registry with id '{registry_id}'"
_IN_THE_REGISTRY: Final = (
    "in the repository with name '{repository_name}' in the registry with id '{registry_id}'"
)
_WITHIN: Final = "within the repository with name '{repository_name}' in the registry with id '{registry_id}'"
_FOR_PUSH: Final = (
    "required for pushing image into repository with name '{repository_name}' "
    "in the registry with id '{registry_id}' do not exist"
)
_TAG_PATTERN: Final = "[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}"


def _invalid(path: str, constraint: str) -> str:
    return f"Invalid parameter at '{path}' failed to satisfy constraint: '{constraint}'"


def _invalid_part(message: str) -> Row:
    return Row("InvalidLayerPartException", message, members=_part_members)


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
    errors.AccountSwitchedOff: Row(
        "UnrecognizedClientException",
        "The account of these credentials is switched off.",
        query=("OptInRequired", 403),
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
    errors.AccessDenied: Row(
        "AccessDeniedException",
        "User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}",
    ),
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
    errors.NotBuilt: Row(
        "NotImplementedException",
        "Moorage does not do this yet: {what} is not built. Nothing was changed.",
        status=501,
    ),
    errors.MalformedRequest: Row("SerializationException", "{text}", query=("InvalidParameterValue", 400)),
    errors.ParameterMissing: Row("InvalidParameterException", "{text}", query=("MissingParameter", 400)),
    errors.InvalidParameter: Row("InvalidParameterException", _invalid("{path}", "{constraint}")),
    errors.InvalidRequest: Row("InvalidParameterException", "{text}"),
    errors.ConflictingParameters: Row(
        "InvalidParameterException", "{text}", query=("InvalidParameterCombination", 400)
    ),
    errors.MalformedQuery: Row("SerializationException", "{text}", query=("MalformedQueryString", 404)),
    errors.PageTokenInvalid: Row("InvalidParameterException", _invalid("nextToken", "Invalid next token")),
    errors.BodyTooLarge: Row(
        "InvalidParameterException",
        "The request body is larger than the {limit} bytes that this operation takes.",
    ),
    errors.BodyIncomplete: Row(
        "SerializationException",
        "The request body ended before it was complete.",
        query=("InvalidParameterValue", 400),
    ),
    errors.RepositoryNameInvalid: Row(
        "InvalidParameterException", _invalid("repositoryName", REPOSITORY_NAME_CONSTRAINT)
    ),
    errors.TagInvalid: Row(
        "InvalidParameterException", _invalid("imageTag", f"must satisfy regular expression '{_TAG_PATTERN}'")
    ),
    errors.DigestInvalid: Row(
        "InvalidParameterException",
        "The digest '{digest}' is not 'sha256:' with 64 or 'sha512:' with 128 lower-case hexadecimal digits.",
    ),
    errors.RegistryIdInvalid: Row(
        "InvalidParameterException",
        _invalid("registryId", "Member must satisfy regular expression pattern: [0-9]{{12}}"),
    ),
    errors.ArnInvalid: Row("InvalidParameterException", _invalid("resourceArn", "Invalid ARN")),
    errors.ResourceTagInvalid: Row("InvalidTagParameterException", "{text}"),
    errors.TooManyResourceTags: Row("TooManyTagsException", "A repository takes at most {limit} tags."),
    errors.LimitExceeded: Row(
        "LimitExceededException", "The quota '{quota}' of {limit} has been reached. An operator can raise it."
    ),
    # What does not exist.
    errors.RepositoryNotFound: Row(
        "RepositoryNotFoundException",
        "The repository with name '{repository_name}' does not exist in the registry with id '{registry_id}'",
    ),
    errors.ImageNotFound: Row(
        "ImageNotFoundException",
        "The image with imageId {{imageDigest:'{image_digest}', imageTag:'{image_tag}'}} does not exist "
        + _WITHIN,
    ),
    errors.LayerNotFound: Row(
        "LayersNotFoundException", "The layer with digest '{digest}' does not exist " + _WITHIN
    ),
    errors.LayerInaccessible: Row(
        "LayerInaccessibleException",
        "The layer with digest '{digest}' "
        + _IN_THE_REGISTRY
        + " cannot be downloaded: no image there refers to it",
    ),
    errors.UploadNotFound: Row(
        "UploadNotFoundException", "The upload with id '{upload_id}' " + _IN_THE_REGISTRY + " does not exist"
    ),
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
    errors.ImageTagAlreadyExists: Row(
        "ImageTagAlreadyExistsException",
        "The image tag '{tag}' already exists in the '{repository_name}' repository and cannot be overwritten "
        "because the tag is immutable.",
    ),
    errors.LayerAlreadyExists: Row(
        "LayerAlreadyExistsException", "The layer with digest '{digest}' already exists " + _IN_REGISTRY
    ),
    errors.UploadOutOfOrder: _invalid_part("First byte of the layer part is {first_byte} instead of {offset}"),
    errors.UploadBusy: _invalid_part(
        "Another request continued the upload with id '{upload_id}'; its next byte is {offset}"
    ),
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
    errors.ManifestInvalid: Row(
        "InvalidParameterException", _invalid("ImageManifest", "Invalid JSON syntax") + ": {reason}"
    ),
    errors.ManifestTooLarge: Row(
        "InvalidParameterException",
        _invalid("imageManifest", "Member must have length less than or equal to {limit}"),
    ),
    errors.ManifestDigestMismatch: Row(
        "ImageDigestDoesNotMatchException",
        "The image manifest has the digest '{actual}', not the given '{given}'.",
    ),
    errors.BlobDigestMismatch: Row(
        "InvalidLayerException",
        "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the "
        "digest specified. The layer has the digest '{actual}', not the given '{given}'.",
    ),
    errors.LayersMissing: Row("LayersNotFoundException", "Layers with digests '{digests}' " + _FOR_PUSH),
    errors.ReferencedImagesMissing: Row(
        "ReferencedImagesNotFoundException", "Images with digests '{digests}' " + _FOR_PUSH
    ),
    errors.PartLengthMismatch: _invalid_part(
        "The layer part has {received} bytes where partFirstByte and partLastByte announce {announced}"
    ),
    errors.BlobTooLarge: Row("LimitExceededException", "A layer takes at most {limit} bytes."),
    errors.BlobDamaged: Row(
        "LayerInaccessibleException",
        "The stored layer with digest '{digest}' is gone or damaged. Pushing it again repairs it.",
    ),
    # The server.
    errors.Unavailable: Row(
        "ServiceUnavailable", "The request cannot be served now: {what}. Try again later.", status=503
    ),
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
}


def describe(error: RegistryError, *, is_query: bool) -> ErrorAnswer:
    """The answer to a refused call; ``is_query`` says whether it is presigned or names its ``Action=``.

    A class that has no row answers like its nearest ancestor that has one, else like an unforeseen failure.
    """
    row = next((TABLE[ancestor] for ancestor in type(error).__mro__ if ancestor in TABLE), None)
    if row is None:
        return unforeseen(is_operation_known=True)
    code, status = row.query if is_query and row.query else (row.code, row.status)
    message = row.message.format_map({name: _shown(fact) for name, fact in error.facts.items()}).rstrip()
    return ErrorAnswer(code, status, message, row.members(error.facts) if row.members else {})


def unforeseen(*, is_operation_known: bool) -> ErrorAnswer:
    """The answer to a failure that nobody foresaw. It says nothing of the failure: that is in the log only."""
    code = "ServerException" if is_operation_known else "InternalFailure"
    return ErrorAnswer(code, 500, "An unforeseen failure; the server's log tells more under this request's id.")


def _shown(fact: object) -> str:
    """ECR: an absent half is the word null, several digests stand in brackets."""
    if fact is None:
        return "null"
    if isinstance(fact, list | tuple):
        return f"[{', '.join(map(str, fact))}]"
    return str(fact)
