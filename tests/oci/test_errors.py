"""The table of refusals: complete, in the specification's codes, and in the same words as the JSON API."""

import asyncio
from collections.abc import Iterator

import pytest

from moorage.domain import errors as domain
from moorage.domain.errors import RegistryError, Unavailable
from moorage.ecr import errors as json_api
from moorage.oci import errors
from moorage.oci.errors import TABLE, UNREACHABLE
from moorage.web.http import Request, Response
from moorage.web.messages import SENTENCES
from tests.oci.driver import Registry

FACTS: dict[str, object] = {
    "account_id": "000000000000",
    "action": "ecr:PutImage",
    "actual": "sha256:1111",
    "announced": 10,
    "constraint": "must be so",
    "digest": "sha256:2222",
    "digests": ["sha256:3333", "sha256:4444"],
    "first_byte": 7,
    "given": "sha256:5555",
    "image_digest": None,
    "image_tag": "v1",
    "indexes": ["sha256:6666"],
    "limit": 9,
    "method": "BREW",
    "offset": 4,
    "path": "imageTag",
    "principal": "arn:aws:iam::111111111111:root",
    "quota": "open_uploads",
    "reason": "because so",
    "received": 8,
    "registry_id": "000000000000",
    "repository_name": "team/app",
    "resource": "*",
    "tag": "v1",
    "text": "A sentence",
    "upload_id": "u-1",
    "value": "x-y",
    "what": "the disk",
}

CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}
#: ECR's for immutable tags; 5xx answers are outside the specification's list.
OWN_CODES = {"TAG_INVALID", "UNAVAILABLE"}

#: What goes on the wire, whole: status and message by class.
ANSWERS = {
    "AccessDenied": (
        403,
        "DENIED",
        "User: arn:aws:iam::111111111111:root is not authorized to perform: ecr:PutImage on resource: * because so",
    ),
    "AccountSwitchedOff": (403, "DENIED", "The account of these credentials is switched off."),
    "BlobDamaged": (
        404,
        "BLOB_UNKNOWN",
        "The stored layer with digest 'sha256:2222' is gone or damaged. Pushing it again repairs it.",
    ),
    "BlobDigestMismatch": (
        400,
        "DIGEST_INVALID",
        (
            "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match "
            "the digest specified. The layer has the digest 'sha256:1111', not the given 'sha256:5555'."
        ),
    ),
    "BlobTooLarge": (413, "SIZE_INVALID", "A layer takes at most 9 bytes."),
    "BodyIncomplete": (400, "SIZE_INVALID", "The request body ended before it was complete."),
    "BodyTooLarge": (413, "MANIFEST_INVALID", "A manifest takes at most 9 bytes"),
    "ContentRangeInvalid": (
        400,
        "SIZE_INVALID",
        "The Content-Range 'x-y' is not first-last, or not of the length of the body",
    ),
    "CredentialsExpired": (
        403,
        "DENIED",
        "Your authorization token has expired. Reauthenticate and try again.",
    ),
    "DigestInvalid": (
        400,
        "DIGEST_INVALID",
        (
            "The digest 'sha256:2222' is not 'sha256:' with 64 or 'sha512:' with 128 lower-case hexadecimal "
            "digits."
        ),
    ),
    "ImageNotFound": (404, "MANIFEST_UNKNOWN", "Requested image not found"),
    "ImageReferencedByIndex": (
        405,
        "UNSUPPORTED",
        "Requested image referenced by manifest list: [sha256:6666]",
    ),
    "ImageTagAlreadyExists": (
        400,
        "TAG_INVALID",
        (
            "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten because the "
            "tag is immutable."
        ),
    ),
    "InvalidParameter": (
        400,
        "UNSUPPORTED",
        "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must be so'",
    ),
    "InvalidRequest": (400, "UNSUPPORTED", "A sentence"),
    "LayerInUse": (
        405,
        "UNSUPPORTED",
        (
            "The layer with digest 'sha256:2222' cannot be deleted: an image in the repository with name "
            "'team/app' refers to it"
        ),
    ),
    "LayerNotFound": (
        404,
        "BLOB_UNKNOWN",
        (
            "The layer with digest 'sha256:2222' does not exist within the repository with name 'team/app' in the "
            "registry with id '000000000000'"
        ),
    ),
    "LayersMissing": (
        404,
        "MANIFEST_BLOB_UNKNOWN",
        (
            "Layers with digests '[sha256:3333, sha256:4444]' required for pushing image into repository with "
            "name 'team/app' in the registry with id '000000000000' do not exist"
        ),
    ),
    "LimitExceeded": (
        403,
        "DENIED",
        "The quota 'open_uploads' of 9 has been reached. An operator can raise it.",
    ),
    "MalformedQuery": (400, "UNSUPPORTED", "A sentence"),
    "ManifestDigestMismatch": (
        400,
        "DIGEST_INVALID",
        "The image manifest has the digest 'sha256:1111', not the given 'sha256:5555'.",
    ),
    "ManifestInvalid": (
        400,
        "MANIFEST_INVALID",
        (
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax': because so"
        ),
    ),
    "ManifestTooLarge": (413, "MANIFEST_INVALID", "A manifest takes at most 9 bytes"),
    "MethodNotAllowed": (405, "UNSUPPORTED", "The method BREW is not supported here"),
    "NotBuilt": (
        405,
        "UNSUPPORTED",
        "Moorage does not do this yet: the disk is not built. Nothing was changed.",
    ),
    "PageSizeInvalid": (
        400,
        "UNSUPPORTED",
        (
            "Invalid parameter at 'n' failed to satisfy constraint: 'Member must be a number of entries, not x-y'"
        ),
    ),
    "PageTokenInvalid": (
        400,
        "UNSUPPORTED",
        "Invalid parameter at 'next' failed to satisfy constraint: 'Invalid next token'",
    ),
    "PartLengthMismatch": (
        400,
        "SIZE_INVALID",
        "The layer part has 8 bytes where the request announced 10",
    ),
    "ReferencedImagesMissing": (
        404,
        "MANIFEST_BLOB_UNKNOWN",
        (
            "Images with digests '[sha256:3333, sha256:4444]' required for pushing image into repository with "
            "name 'team/app' in the registry with id '000000000000' do not exist"
        ),
    ),
    "RepositoryNameInvalid": (
        400,
        "NAME_INVALID",
        (
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
            "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''"
        ),
    ),
    "RepositoryNotFound": (
        404,
        "NAME_UNKNOWN",
        "The repository with name 'team/app' does not exist in the registry with id '000000000000'",
    ),
    "RouteUnknown": (404, "UNSUPPORTED", "The path is not one of the OCI distribution API"),
    "TagInvalid": (
        400,
        "TAG_INVALID",
        (
            "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression "
            "'[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}''"
        ),
    ),
    "TooManyTagParameters": (414, "TAG_INVALID", "One push takes at most 9 tag parameters"),
    "TooManyRequests": (429, "TOOMANYREQUESTS", "Rate exceeded"),
    "Unavailable": (
        503,
        "UNAVAILABLE",
        "The request cannot be served now: the disk. Try again later.",
    ),
    "UploadBusy": (
        416,
        "BLOB_UPLOAD_INVALID",
        "Another request continued the upload with id 'u-1'; its next byte is 4",
    ),
    "UploadNotFound": (
        404,
        "BLOB_UPLOAD_UNKNOWN",
        (
            "The upload with id 'u-1' in the repository with name 'team/app' in the registry with id "
            "'000000000000' does not exist"
        ),
    ),
    "UploadOutOfOrder": (416, "BLOB_UPLOAD_INVALID", "First byte of the layer part is 7 instead of 4"),
}


def every_class(base: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    """All that can be raised, from below a class on; what other tests made does not count."""
    for child in base.__subclasses__():
        if child.__module__.startswith(f"{domain.__name__}."):
            yield child
            yield from every_class(child)


def made(error: type[RegistryError]) -> RegistryError:
    """An error of this class with facts of the kind it takes."""
    return error(**{name: FACTS[name] for name in error.fields})


def answered(registry: Registry, error: RegistryError) -> Response:
    """The answer to a GET of the base that fails with this error."""

    async def read(*_args: object) -> None:
        raise error

    registry.context.database.read = read  # type: ignore[method-assign, assignment]
    return asyncio.run(registry.api.handle(request(registry)))


def request(registry: Registry) -> Request:
    """A GET of the base."""
    scope = {
        "method": "GET",
        "path": "/v2/",
        "scheme": "https",
        "query_string": b"",
        "headers": [(b"host", b"registry"), (b"authorization", registry.authorization().encode())],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    return Request(scope, receive, registry.caller().request)


def is_family(error: type[RegistryError]) -> bool:
    """Whether the class only groups others."""
    return error.__base__ is RegistryError and not error.fields and bool(error.__subclasses__())


def test_every_refusal_has_a_row_or_a_reason_why_not() -> None:
    """A new class of error must be thought of here."""
    known = {error for error in every_class() if not is_family(error) or error is Unavailable}
    assert known == TABLE.keys() | UNREACHABLE.keys()
    assert not TABLE.keys() & UNREACHABLE.keys()


def test_codes_are_those_of_the_specification() -> None:
    """C3: and two of our own."""
    assert {row.code for row in TABLE.values()} <= CODES | OWN_CODES


@pytest.mark.parametrize("error", TABLE, ids=lambda error: error.__name__)
def test_every_refusal_is_answered_to_the_letter(registry: Registry, error: type[RegistryError]) -> None:
    """C3: the body of every row."""
    response = answered(registry, made(error))
    if response.status == 401:
        assert response.body == b"Not Authorized\n"
        return
    status, code, message = ANSWERS[error.__name__]
    quoted = message.replace('"', '\\"')
    expected = f'{{"errors":[{{"code":"{code}","message":"{quoted}"}}]}}\n'.encode()
    assert (response.status, response.body, response.error_code) == (status, expected, code)
    headers = dict(response.headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == str(len(expected)).encode()


def test_401_are_those_that_a_login_mends() -> None:
    """Whoever is refused by policy or by time must not be asked for the password again."""
    assert {error for error, row in TABLE.items() if row.status == 401} == {
        domain.CredentialsMissing,
        domain.CredentialsUnknown,
    }


def test_both_faces_say_the_same() -> None:
    """A sentence that both faces have is the same in both tables."""
    shared = SENTENCES.keys() & json_api.TABLE.keys()
    assert {error: SENTENCES[error] for error in shared} == {
        error: json_api.TABLE[error].message for error in shared
    }


def test_unavailable_says_when_to_come_back(registry: Registry) -> None:
    """Threat 69: 503 with Retry-After."""
    response = answered(registry, Unavailable(what="the disk"))
    assert dict(response.headers)[b"retry-after"] == b"5"


def test_a_refusal_without_a_row_is_unforeseen(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not answered with something made up: the application logs it and answers 500."""
    monkeypatch.setattr(errors, "TABLE", {})
    with pytest.raises(Unavailable):
        answered(registry, Unavailable(what="the disk"))


def test_the_unforeseen_says_nothing_but_its_request_id(registry: Registry) -> None:
    """The text of the failure is in the log only."""
    response = registry.api.on_error(request(registry))
    assert response.status == 500
    assert response.body == (
        b'{"errors":[{"code":"UNKNOWN","message":"An unforeseen failure; the server\'s log tells more under the '
        b'request id request"}]}\n'
    )
    assert (b"x-request-id", b"request") in response.headers


def test_the_challenge_follows_the_scheme(registry: Registry) -> None:
    """The realm is the address that the client used."""
    response = errors.challenge(request(registry))
    assert (
        b"www-authenticate",
        b'Basic realm="https://registry/",service="ecr.amazonaws.com"',
    ) in response.headers
