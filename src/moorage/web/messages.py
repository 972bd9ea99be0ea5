"""Sentences that both faces say alike: templates over the facts of an error, by class.

Clients and their users match on fragments of them, whichever face a refusal comes from, so they live in one place.
Texts are ECR's, letter by letter, where they are known.
"""

from collections.abc import Mapping
from typing import Final

from moorage.domain import errors
from moorage.domain.errors import RegistryError

#: Header of every 503: the seconds after which it is worth trying again.
RETRY_AFTER: Final = (b"retry-after", b"5")

#: Header of every answer that turns a request away for there are too many.
RETRY_SOON: Final = (b"retry-after", b"1")

#: ECR: the text still shows the grammar of 2015, which clients match on; accepted is the wider one of the model.
REPOSITORY_NAME_CONSTRAINT: Final = (
    "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'"
)

IN_THE_REGISTRY: Final = (
    "in the repository with name '{repository_name}' in the registry with id '{registry_id}'"
)
WITHIN: Final = "within the repository with name '{repository_name}' in the registry with id '{registry_id}'"
_FOR_PUSH: Final = (
    "required for pushing image into repository with name '{repository_name}' "
    "in the registry with id '{registry_id}' do not exist"
)


def invalid(path: str, constraint: str) -> str:
    """ECR's sentence for a parameter that fails a constraint."""
    return f"Invalid parameter at '{path}' failed to satisfy constraint: '{constraint}'"


SENTENCES: Final[Mapping[type[RegistryError], str]] = {
    # Who is asking.
    errors.AccountSwitchedOff: "The account of these credentials is switched off.",
    errors.AccessDenied: (
        "User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"
    ),
    # The request itself.
    errors.NotBuilt: "Moorage does not do this yet: {what} is not built. Nothing was changed.",
    errors.InvalidParameter: invalid("{path}", "{constraint}"),
    errors.InvalidRequest: "{text}",
    errors.MalformedQuery: "{text}",
    errors.BodyIncomplete: "The request body ended before it was complete.",
    errors.RepositoryNameInvalid: invalid("repositoryName", REPOSITORY_NAME_CONSTRAINT),
    errors.TagInvalid: invalid(
        "imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}'"
    ),
    errors.DigestInvalid: (
        "The digest '{digest}' is not 'sha256:' with 64 or 'sha512:' with 128 lower-case hexadecimal digits."
    ),
    errors.LimitExceeded: "The quota '{quota}' of {limit} has been reached. An operator can raise it.",
    errors.ResourceTagInvalid: "{text}",
    errors.MalformedPolicyDocument: "The policy is malformed: {text}",
    errors.PolicyTooLarge: "Maximum policy size of {limit} characters exceeded for {what}",
    # What does not exist.
    errors.NoSuchEntity: "The {kind} with name {name} cannot be found.",
    errors.RepositoryNotFound: (
        "The repository with name '{repository_name}' does not exist in the registry with id '{registry_id}'"
    ),
    errors.RepositoryPolicyNotFound: (
        "Repository policy does not exist for the repository with name '{repository_name}' "
        "in the registry with id '{registry_id}'"
    ),
    errors.RegistryPolicyNotFound: "Registry policy does not exist in the registry with id '{registry_id}'",
    errors.LayerNotFound: "The layer with digest '{digest}' does not exist " + WITHIN,
    errors.UploadNotFound: "The upload with id '{upload_id}' " + IN_THE_REGISTRY + " does not exist",
    # What the state forbids.
    errors.EntityAlreadyExists: "The {kind} with name {name} already exists.",
    errors.DeleteConflict: "{text}",
    errors.ImageTagAlreadyExists: (
        "The image tag '{tag}' already exists in the '{repository_name}' repository and cannot be overwritten "
        "because the tag is immutable."
    ),
    errors.UploadOutOfOrder: "First byte of the layer part is {first_byte} instead of {offset}",
    errors.UploadBusy: "Another request continued the upload with id '{upload_id}'; its next byte is {offset}",
    # The bytes.
    errors.ManifestInvalid: invalid("ImageManifest", "Invalid JSON syntax") + ": {reason}",
    errors.ManifestDigestMismatch: "The image manifest has the digest '{actual}', not the given '{given}'.",
    errors.BlobDigestMismatch: (
        "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the "
        "digest specified. The layer has the digest '{actual}', not the given '{given}'."
    ),
    errors.LayersMissing: "Layers with digests '{digests}' " + _FOR_PUSH,
    errors.ReferencedImagesMissing: "Images with digests '{digests}' " + _FOR_PUSH,
    errors.BlobTooLarge: "A layer takes at most {limit} bytes.",
    errors.BlobDamaged: (
        "The stored layer with digest '{digest}' is gone or damaged. Pushing it again repairs it."
    ),
    # The server.
    errors.Unavailable: "The request cannot be served now: {what}. Try again later.",
    errors.TooManyRequests: "Rate exceeded",
}


def render(template: str, facts: Mapping[str, object]) -> str:
    """Fill a sentence with the facts of an error."""
    return template.format_map({name: _shown(fact) for name, fact in facts.items()}).rstrip()


def _shown(fact: object) -> str:
    """ECR: an absent half is the word null, several digests stand in brackets."""
    if fact is None:
        return "null"
    if isinstance(fact, list | tuple):
        return f"[{', '.join(map(str, fact))}]"
    return str(fact)
