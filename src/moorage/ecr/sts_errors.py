"""What STS answers to each refusal: where its codes, statuses and sentences are not those of ECR's ``Action=`` calls."""

from collections.abc import Mapping
from typing import Final

from moorage.domain import errors
from moorage.domain.errors import RegistryError
from moorage.ecr.errors import ErrorAnswer
from moorage.ecr.errors import describe as describe_for_ecr
from moorage.web.messages import render

#: Codes and statuses of STS, where they differ from those of ECR's ``Action=`` calls.
_CODES: Final[Mapping[type[RegistryError], tuple[str, int]]] = {
    errors.SignatureMismatch: ("SignatureDoesNotMatch", 403),
    errors.SignatureExpired: ("SignatureDoesNotMatch", 403),
    errors.PresignedRequestExpired: ("SignatureDoesNotMatch", 403),
    errors.CredentialsExpired: ("ExpiredToken", 403),
    errors.AccessDenied: ("AccessDenied", 403),
    errors.InvalidRequest: ("ValidationError", 400),
    errors.ResourceTagInvalid: ("ValidationError", 400),
    errors.NotBuilt: ("NotImplemented", 501),
    errors.BodyTooLarge: ("InvalidParameterValue", 400),
    errors.BodyIncomplete: ("InvalidParameterValue", 400),
}

#: What is refused by STS alone: code, status and sentence.
_ROWS: Final[Mapping[type[RegistryError], tuple[str, int, str]]] = {
    errors.WebIdentityInvalid: ("InvalidIdentityToken", 400, "{text}"),
    errors.WebIdentityExpired: (
        "ExpiredTokenException",
        400,
        "Token expired: current date/time {now} must be before the expiration date/time {expires_at}",
    ),
    errors.WebIdentityRejected: ("IDPRejectedClaim", 403, "{text}"),
    errors.IssuerUnreachable: ("IDPCommunicationError", 400, "{text}"),
    errors.MalformedPolicyDocument: ("MalformedPolicyDocument", 400, "{text}"),
    errors.PolicyTooLarge: (
        "ValidationError",
        400,
        "Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to {limit}",
    ),
    errors.SessionTooLarge: (
        "PackedPolicyTooLarge",
        400,
        "Packed size of session tags and policies is {percent}% of what a session takes",
    ),
    errors.NoSuchEntity: ("NoSuchEntity", 404, "The {kind} with name {name} cannot be found."),
}


def describe(error: RegistryError) -> ErrorAnswer:
    """The answer to a refused call of STS."""
    row = _ROWS.get(type(error))
    if row is not None:
        return ErrorAnswer(row[0], row[1], render(row[2], error.facts))
    answer = describe_for_ecr(error, is_query=True)
    code, status = _CODES.get(type(error), (answer.code, answer.status))
    return ErrorAnswer(code, status, answer.message)
