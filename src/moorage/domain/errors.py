"""Everything a request can be refused for: one class per meaning, facts as named fields.

No wire codes and no statuses here: ``ecr/errors.py`` and ``oci/errors.py`` are the tables that turn a class
into a code, a status and a text. A class's docstring is its meaning in one sentence.

    RegistryError
    ├── AuthenticationError     who is asking is not established
    ├── AccessDenied            who is asking may not
    ├── RequestError            the request itself is wrong
    ├── NotFound                what it names does not exist
    ├── Conflict                the state of the registry forbids it
    ├── ContentError            the bytes that were sent are not acceptable
    ├── Unavailable             the server cannot serve it now
    └── TooManyRequests         the server has too much to do
"""

from typing import ClassVar


class RegistryError(Exception):
    """The request cannot be carried out. Never raised itself."""

    #: Names of the facts that must be given when the error is made.
    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **facts: object) -> None:
        if set(facts) != set(self.fields):
            raise TypeError(f"{type(self).__name__} takes {self.fields}, not {tuple(facts)}")
        self.facts = facts
        super().__init__(self.__doc__)

    def __str__(self) -> str:
        return f"{self.__doc__} {self.facts}" if self.facts else str(self.__doc__)


# --- Who is asking -------------------------------------------------------------------------------------------


class AuthenticationError(RegistryError):
    """It is not established who is asking."""


class CredentialsMissing(AuthenticationError):
    """The request carries no credentials."""


class CredentialsUnknown(AuthenticationError):
    """The access key or token does not exist, is inactive or cannot be read."""


class CredentialsExpired(AuthenticationError):
    """The token is genuine but its time is over."""


class AccountSwitchedOff(AuthenticationError):
    """The account of these credentials is switched off."""


class SignatureMismatch(AuthenticationError):
    """The signature is not the one that the secret key makes over this request."""


class SignatureExpired(AuthenticationError):
    """The request was signed too long ago, too far ahead, or its presigned time is over.

    ``text`` is the sentence for the client, with both times in it.
    """

    fields = ("text",)


class PresignedRequestExpired(SignatureExpired):
    """A presigned request is used after the time it was signed for."""


class SignatureIncomplete(AuthenticationError):
    """The credentials lack a part or have one of the wrong form; ``text`` says which."""

    fields = ("text",)


class WebIdentityInvalid(AuthenticationError):
    """The token of a web identity is not one of an issuer that the account trusts; ``text`` says why."""

    fields = ("text",)


class WebIdentityExpired(AuthenticationError):
    """The token of a web identity is genuine but its time is over; both are seconds since the epoch."""

    fields = ("now", "expires_at")


class WebIdentityRejected(AuthenticationError):
    """The token of a web identity is genuine but is not good now; ``text`` says why."""

    fields = ("text",)


class IssuerUnreachable(AuthenticationError):
    """The issuer of a web identity does not tell its keys; ``text`` says why."""

    fields = ("text",)


class AccessDenied(RegistryError):
    """The principal may not do this."""

    fields = ("principal", "action", "resource", "reason")


# --- The request itself --------------------------------------------------------------------------------------


class RequestError(RegistryError):
    """The request itself is wrong."""


class OperationUnknown(RequestError):
    """No such operation."""

    fields = ("operation",)


class OperationMissing(RequestError):
    """The request names no operation."""


class ServiceNotServed(RequestError):
    """The call is for a service that Moorage does not serve."""

    fields = ("service",)


class NotBuilt(RequestError):
    """Moorage does not do this yet, and says so rather than pretend."""

    fields = ("what",)


class MalformedRequest(RequestError):
    """The body cannot be read: not JSON, or a member of the wrong JSON type."""

    fields = ("text",)


class InvalidParameter(RequestError):
    """A parameter fails a constraint; ``path`` and ``constraint`` are in ECR's words."""

    fields = ("path", "constraint")


class InvalidRequest(RequestError):
    """A parameter is refused with a sentence of its own."""

    fields = ("text",)


class ConflictingParameters(RequestError):
    """Parameters that exclude each other were given together."""

    fields = ("text",)


class MalformedQuery(RequestError):
    """The query string cannot be read."""

    fields = ("text",)


class PageTokenInvalid(RequestError):
    """The page token is not one this server gave out for this list."""


class MethodNotAllowed(RequestError):
    """The resource exists but does not take this method."""

    fields = ("method",)


class RouteUnknown(RequestError):
    """No such path."""


class BodyTooLarge(RequestError):
    """The body is larger than this operation takes."""

    fields = ("limit",)


class BodyIncomplete(RequestError):
    """The client went away or sent fewer bytes than it announced."""


class PageSizeInvalid(RequestError):
    """``n`` is not a number of entries."""

    fields = ("value",)


class RepositoryNameInvalid(RequestError):
    """The repository name is not of the form that both specifications ask for."""

    fields = ("repository_name",)


class TagInvalid(RequestError):
    """The tag is not of the OCI form."""

    fields = ("tag",)


class DigestInvalid(RequestError):
    """The digest is not ``sha256:`` or ``sha512:`` with lower-case hex of the right length."""

    fields = ("digest",)


class RegistryIdInvalid(RequestError):
    """The registry id is not twelve digits."""

    fields = ("registry_id",)


class ArnInvalid(RequestError):
    """The ARN is not that of a repository here."""

    fields = ("arn",)


class ResourceTagInvalid(RequestError):
    """A resource tag's key or value is not allowed."""

    fields = ("text",)


class TooManyResourceTags(RequestError):
    """A repository takes at most 50 resource tags."""

    fields = ("limit",)


class LimitExceeded(RequestError):
    """A quota is exhausted; ``quota`` names the setting that holds it."""

    fields = ("quota", "limit")


class MalformedPolicyDocument(RequestError):
    """The text is no policy of the kind that is needed here; ``text`` says why."""

    fields = ("text",)


class PolicyTooLarge(RequestError):
    """A policy, or several together, have more characters than they may, white space not counted."""

    fields = ("what", "limit")


class SessionTooLarge(RequestError):
    """Policies and tags of a session, packed, are more than a session takes; ``percent`` of it."""

    fields = ("percent",)


class TooManyTagParameters(RequestError):
    """One push names more tags than are taken at once."""

    fields = ("limit",)


# --- What does not exist -------------------------------------------------------------------------------------


class NotFound(RegistryError):
    """What the request names does not exist."""


class RepositoryNotFound(NotFound):
    """The repository does not exist."""

    fields = ("repository_name", "registry_id")


class RepositoryPolicyNotFound(NotFound):
    """The repository has no policy."""

    fields = ("repository_name", "registry_id")


class RegistryPolicyNotFound(NotFound):
    """The registry has no policy."""

    fields = ("registry_id",)


class ImageNotFound(NotFound):
    """The image does not exist; ``image_digest`` and ``image_tag`` are as asked, None where not given."""

    fields = ("image_digest", "image_tag", "repository_name", "registry_id")


class LayerNotFound(NotFound):
    """The layer or blob does not exist in this repository."""

    fields = ("digest", "repository_name", "registry_id")


class LayerInaccessible(NotFound):
    """The layer exists, but no image of the repository needs it yet."""

    fields = ("digest", "repository_name", "registry_id")


class UploadNotFound(NotFound):
    """The upload does not exist, is finished, expired, or belongs to another repository."""

    fields = ("upload_id", "repository_name", "registry_id")


class NoSuchEntity(NotFound):
    """The account, user, role, key, policy or identity provider does not exist."""

    fields = ("kind", "name")


# --- What the state forbids ----------------------------------------------------------------------------------


class Conflict(RegistryError):
    """The state of the registry forbids it."""


class RepositoryAlreadyExists(Conflict):
    """A repository of this name exists."""

    fields = ("repository_name", "registry_id")


class RepositoryNotEmpty(Conflict):
    """The repository still holds images."""

    fields = ("repository_name", "registry_id")


class EntityAlreadyExists(Conflict):
    """An account, user, role, key, policy or identity provider of this name exists."""

    fields = ("kind", "name")


class DeleteConflict(Conflict):
    """Something still belongs to what is to be removed; ``text`` says what."""

    fields = ("text",)


class ImageAlreadyExists(Conflict):
    """Neither the manifest nor the tag would change; ``tag`` is None when none was given."""

    fields = ("digest", "tag", "repository_name", "registry_id")


class ImageTagAlreadyExists(Conflict):
    """The tag is immutable and taken."""

    fields = ("tag", "repository_name")


class ImageReferencedByIndex(Conflict):
    """An index of the repository needs the image; ``indexes`` are its digests."""

    fields = ("indexes",)


class LayerAlreadyExists(Conflict):
    """The repository already holds this layer."""

    fields = ("digest", "repository_name", "registry_id")


class LayerInUse(Conflict):
    """An image of the repository needs the blob."""

    fields = ("digest", "repository_name")


class UploadOutOfOrder(Conflict):
    """The part does not continue where the upload stands; ``offset`` is the number of bytes it holds."""

    fields = ("first_byte", "offset", "upload_id", "repository_name", "registry_id")


class UploadBusy(Conflict):
    """Another request took the upload over while this one was writing; ``offset`` is what it holds."""

    fields = ("offset", "upload_id", "repository_name", "registry_id")


class EmptyUpload(Conflict):
    """The upload has no parts. ``/v2/`` accepts an empty blob, the JSON API does not."""

    fields = ("upload_id", "repository_name", "registry_id")


class LayerPartTooSmall(Conflict):
    """A part other than the last has under 5 MiB."""


# --- The bytes -----------------------------------------------------------------------------------------------


class ContentError(RegistryError):
    """The bytes that were sent are not acceptable."""


class ManifestInvalid(ContentError):
    """The manifest cannot be read or contradicts itself; ``reason`` says how."""

    fields = ("reason",)


class ManifestTooLarge(ContentError):
    """The manifest is larger than is taken."""

    fields = ("limit",)


class ManifestDigestMismatch(ContentError):
    """The manifest's bytes have another digest than the one given."""

    fields = ("given", "actual")


class BlobDigestMismatch(ContentError):
    """The blob's bytes have another digest than the one given."""

    fields = ("given", "actual")


class LayersMissing(ContentError):
    """The manifest needs layers that the repository does not hold."""

    fields = ("digests", "repository_name", "registry_id")


class ReferencedImagesMissing(ContentError):
    """The index needs images that the repository does not hold."""

    fields = ("digests", "repository_name", "registry_id")


class PartLengthMismatch(ContentError):
    """A part has another length than its range says."""

    fields = ("announced", "received", "offset", "upload_id", "repository_name", "registry_id")


class ContentRangeInvalid(ContentError):
    """The ``Content-Range`` of a part cannot be read."""

    fields = ("value",)


class BlobTooLarge(ContentError):
    """The blob is larger than a layer may be."""

    fields = ("limit",)


class BlobDamaged(ContentError):
    """The stored bytes are gone or not what they should be; pushing them again repairs it."""

    fields = ("digest",)


class RangeNotSatisfiable(ContentError):
    """The ``Range`` asked for lies outside the blob of ``size`` bytes."""

    fields = ("size",)


# --- The server ----------------------------------------------------------------------------------------------


class Unavailable(RegistryError):
    """The server cannot serve this now; trying again later is right."""

    fields = ("what",)


class TooManyRequests(RegistryError):
    """The server has as much to do as it takes on; nothing was begun, and trying again in a moment is right."""
