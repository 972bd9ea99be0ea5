"""The table of the JSON API's errors."""

from collections.abc import Iterator
from typing import Any

import pytest

from moorage.domain import errors
from moorage.domain.errors import RegistryError
from moorage.ecr.contract import EXCEPTIONS
from moorage.ecr.errors import TABLE, UNREACHABLE, ErrorAnswer, describe, unforeseen

#: Errors of the API reference's "Common Errors", with their statuses.
COMMON_ERRORS = {
    "AccessDeniedException": 400,
    "IncompleteSignature": 400,
    "InvalidAction": 400,
    "InvalidParameterCombination": 400,
    "InvalidParameterValue": 400,
    "InvalidQueryParameter": 400,
    "MissingAction": 400,
    "MissingParameter": 400,
    "RequestExpired": 400,
    "ThrottlingException": 400,
    "ValidationError": 400,
    "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403,
    "OptInRequired": 403,
    "MalformedQueryString": 404,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}

#: What stands before the operations answers header-signed calls with, all 400.
GATEWAY_ERRORS = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
}

NOT_BUILT = "NotImplementedException"


def descendants(of: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Every error class below one."""
    for child in of.__subclasses__():
        yield child
        yield from descendants(child)


#: Classes that only gather others.
GROUPS = {
    errors.AuthenticationError,
    errors.RequestError,
    errors.NotFound,
    errors.Conflict,
    errors.ContentError,
}

DOMAIN_ERRORS = [
    error for error in descendants(RegistryError) if error.__module__.startswith(f"{errors.__name__}.")
]


def make(error: type[RegistryError], **facts: object) -> RegistryError:
    """An error with a recognizable text for each fact that is not given."""
    return error(**{name: facts.get(name, f"<{name}>") for name in error.fields})


def message(error: RegistryError) -> str:
    """The text of a header-signed call's error."""
    return describe(error, is_query=False).message


@pytest.mark.parametrize("error", DOMAIN_ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_row_or_a_reason(error: type[RegistryError]) -> None:
    """A new error class is answered on purpose, or listed as one that never gets here."""
    assert sum([error in TABLE, error in UNREACHABLE, error in GROUPS]) == 1


@pytest.mark.parametrize("is_query", [False, True])
@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.__name__)
def test_every_row_renders_with_the_facts_of_its_class(error: type[RegistryError], is_query: bool) -> None:
    """Templates use facts that exist, and leave no brace of theirs behind."""
    answer = describe(make(error), is_query=is_query)

    assert answer.message
    assert "{{" not in answer.message
    assert "}}" not in answer.message


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.__name__)
def test_every_code_of_a_header_signed_call_is_known(error: type[RegistryError]) -> None:
    """Modelled errors and the gateway's are 400; only three statuses differ."""
    answer = describe(make(error), is_query=False)

    expected = {"ServiceUnavailable": 503, NOT_BUILT: 501}.get(answer.code, 400)
    assert answer.status == expected
    assert answer.code in {*EXCEPTIONS, *GATEWAY_ERRORS, "ServiceUnavailable", NOT_BUILT}


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.__name__)
def test_every_code_of_a_query_call_has_the_published_status(error: type[RegistryError]) -> None:
    """Presigned and Action= calls get the common errors' names, and else the modelled exceptions."""
    answer = describe(make(error), is_query=True)

    known = dict.fromkeys(EXCEPTIONS, 400) | {NOT_BUILT: 501, "ExpiredTokenException": 400} | COMMON_ERRORS
    assert known[answer.code] == answer.status


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.__name__)
def test_members_are_those_of_the_model(error: type[RegistryError]) -> None:
    """An error carries no member that its shape does not have."""
    answer = describe(make(error, offset=5), is_query=False)

    if answer.members:
        assert {"message", *answer.members} == set(EXCEPTIONS[answer.code])


ID = "012345678910"
NAMED: dict[str, Any] = {"repository_name": "team/app", "registry_id": ID}
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            errors.RepositoryNotFound(**NAMED),
            "RepositoryNotFoundException",
            f"The repository with name 'team/app' does not exist in the registry with id '{ID}'",
        ),
        (
            errors.RepositoryAlreadyExists(**NAMED),
            "RepositoryAlreadyExistsException",
            f"The repository with name 'team/app' already exists in the registry with id '{ID}'",
        ),
        (
            errors.RepositoryNotEmpty(**NAMED),
            "RepositoryNotEmptyException",
            (
                f"The repository with name 'team/app' in registry with id '{ID}' cannot be deleted "
                "because it still contains images"
            ),
        ),
        (
            errors.ImageNotFound(image_digest=A, image_tag=None, **NAMED),
            "ImageNotFoundException",
            (
                f"The image with imageId {{imageDigest:'{A}', imageTag:'null'}} does not exist within the repository "
                f"with name 'team/app' in the registry with id '{ID}'"
            ),
        ),
        (
            errors.ImageNotFound(image_digest=None, image_tag="v1", **NAMED),
            "ImageNotFoundException",
            (
                "The image with imageId {imageDigest:'null', imageTag:'v1'} does not exist within the repository "
                f"with name 'team/app' in the registry with id '{ID}'"
            ),
        ),
        (
            errors.ImageAlreadyExists(digest=A, tag="v1", **NAMED),
            "ImageAlreadyExistsException",
            (
                f"Image with digest '{A}' and tag 'v1' already exists in the repository with name 'team/app' "
                f"in registry with id '{ID}'"
            ),
        ),
        (
            errors.ImageTagAlreadyExists(tag="v1", repository_name="team/app"),
            "ImageTagAlreadyExistsException",
            (
                "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten "
                "because the tag is immutable."
            ),
        ),
        (
            errors.LayersMissing(digests=[A, B], **NAMED),
            "LayersNotFoundException",
            (
                f"Layers with digests '[{A}, {B}]' required for pushing image into repository with name 'team/app' "
                f"in the registry with id '{ID}' do not exist"
            ),
        ),
        (
            errors.ReferencedImagesMissing(digests=(A,), **NAMED),
            "ReferencedImagesNotFoundException",
            (
                f"Images with digests '[{A}]' required for pushing image into repository with name 'team/app' "
                f"in the registry with id '{ID}' do not exist"
            ),
        ),
        (
            errors.LayerNotFound(digest=A, **NAMED),
            "LayersNotFoundException",
            (
                f"The layer with digest '{A}' does not exist within the repository with name 'team/app' "
                f"in the registry with id '{ID}'"
            ),
        ),
        (
            errors.LayerPartTooSmall(),
            "LayerPartTooSmallException",
            "All layer parts except the last part should be at least 5MB",
        ),
        (
            errors.EmptyUpload(upload_id="u", **NAMED),
            "EmptyUploadException",
            (
                f"The upload with id 'u' in the repository with name 'team/app' in registry with id '{ID}' "
                "cannot be completed because it does not have any parts"
            ),
        ),
        (
            errors.UploadNotFound(upload_id="u", **NAMED),
            "UploadNotFoundException",
            (
                f"The upload with id 'u' in the repository with name 'team/app' in the registry with id '{ID}' "
                "does not exist"
            ),
        ),
        (
            errors.LayerAlreadyExists(digest=A, **NAMED),
            "LayerAlreadyExistsException",
            (
                f"The layer with digest '{A}' already exists in the repository with name 'team/app' "
                f"in registry with id '{ID}'"
            ),
        ),
        (
            errors.UploadOutOfOrder(first_byte=0, offset=11304960, upload_id="u", **NAMED),
            "InvalidLayerPartException",
            "First byte of the layer part is 0 instead of 11304960",
        ),
        (
            errors.ArnInvalid(arn="x"),
            "InvalidParameterException",
            "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
        ),
        (
            errors.PageTokenInvalid(),
            "InvalidParameterException",
            "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid next token'",
        ),
        (
            errors.RepositoryNameInvalid(repository_name="X"),
            "InvalidParameterException",
            (
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
                "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"
            ),
        ),
        (
            errors.AccessDenied(
                principal="arn:aws:iam::123456789012:user/bob",
                action="ecr:GetAuthorizationToken",
                resource="*",
                reason="because no identity-based policy allows the ecr:GetAuthorizationToken action",
            ),
            "AccessDeniedException",
            (
                "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: ecr:GetAuthorizationToken "
                "on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action"
            ),
        ),
        (
            errors.CredentialsUnknown(),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            errors.CredentialsExpired(),
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        (errors.CredentialsMissing(), "MissingAuthenticationTokenException", "Missing Authentication Token"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RegistryError) else "",
)
def test_known_texts_come_out_exactly(error: RegistryError, code: str, text: str) -> None:
    """Clients match on these letters."""
    assert describe(error, is_query=False) == ErrorAnswer(
        code, 400, text, describe(error, is_query=False).members
    )


def test_invalid_manifest_begins_with_ecrs_text_and_says_why() -> None:
    """The known sentence first, then what is wrong."""
    assert message(errors.ManifestInvalid(reason="config is missing")) == (
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax': config is missing"
    )


def test_part_out_of_order_carries_where_to_go_on() -> None:
    """The members of InvalidLayerPartException let a client resume."""
    error = errors.UploadOutOfOrder(first_byte=0, offset=10, upload_id="u", **NAMED)

    assert describe(error, is_query=False).members == {
        "registryId": ID,
        "repositoryName": "team/app",
        "uploadId": "u",
        "lastValidByteReceived": 9,
    }


def test_part_of_an_empty_upload_has_no_last_valid_byte() -> None:
    """No byte is valid yet, and the member cannot say so."""
    error = errors.UploadOutOfOrder(first_byte=5, offset=0, upload_id="u", **NAMED)

    assert "lastValidByteReceived" not in describe(error, is_query=False).members


def test_text_of_a_client_is_not_a_template() -> None:
    """Braces in names stay what they are."""
    assert "'{0}{repository_name}'" in message(errors.DigestInvalid(digest="{0}{repository_name}"))


def test_what_is_not_built_is_named_and_not_retried() -> None:
    """501 is none of the statuses that SDKs try again."""
    answer = describe(errors.NotBuilt(what="scanOnPush"), is_query=False)

    assert (answer.code, answer.status) == ("NotImplementedException", 501)
    assert "scanOnPush" in answer.message


def test_error_without_a_row_answers_like_its_ancestor() -> None:
    """A subclass keeps the meaning of its parent."""

    class Special(errors.RepositoryNotFound):
        """A special case."""

    assert describe(Special(**NAMED), is_query=False) == describe(
        errors.RepositoryNotFound(**NAMED), is_query=False
    )


def test_unreachable_error_answers_like_a_failure() -> None:
    """Should one get here after all, nothing is made up."""
    assert describe(errors.RouteUnknown(), is_query=False) == unforeseen(is_operation_known=True)


def test_unforeseen_failure_is_named_by_how_far_the_call_came() -> None:
    """Inside an operation ServerException, before InternalFailure; both 500 and retried."""
    inside, before = unforeseen(is_operation_known=True), unforeseen(is_operation_known=False)

    assert (inside.code, inside.status) == ("ServerException", 500)
    assert (before.code, before.status) == ("InternalFailure", 500)
