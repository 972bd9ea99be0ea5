"""The request itself is wrong."""

from moorage.domain.errors.base import RegistryError


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
