"""STS, as far as registries need it: GetCallerIdentity, by which clients find out who they are.

STS speaks the query protocol: form-encoded in, XML out. Clients of the other services of that protocol, which are
not served, understand the refusal in the same form.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moorage.auth import sigv4
from moorage.domain import audit, errors
from moorage.domain.audit import Note
from moorage.domain.errors import RegistryError
from moorage.ecr import wire
from moorage.ecr.contract import API_VERSION
from moorage.ecr.errors import ErrorAnswer, describe
from moorage.ecr.events import note_caller, note_refusal
from moorage.web.authenticate import SignedCaller
from moorage.web.context import Context
from moorage.web.http import MAX_QUERY_PARAMETERS, Request, Response, find_parameter

VERSION: Final = "2011-06-15"
SERVICE: Final = "sts"

#: The largest body taken; GetCallerIdentity has 43 bytes.
MAX_BODY_BYTES: Final = 64 * 1024

_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"
_STS_VERSION: Final = f"Version={VERSION}".encode()
_ECR_VERSION: Final = f"Version={API_VERSION}".encode()
_FORM: Final = "application/x-www-form-urlencoded"

_GET_CALLER_IDENTITY: Final = "GetCallerIdentity"
_UNBUILT_ACTIONS: Final = frozenset(
    {
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "DecodeAuthorizationMessage",
        "GetAccessKeyInfo",
        "GetDelegatedAccessToken",
        "GetFederationToken",
        "GetSessionToken",
        "GetWebIdentityToken",
    }
)

#: Codes and statuses of STS, where they differ from those of ECR's ``Action=`` calls.
_CODES: Final[Mapping[type[RegistryError], tuple[str, int]]] = {
    errors.SignatureMismatch: ("SignatureDoesNotMatch", 403),
    errors.SignatureExpired: ("SignatureDoesNotMatch", 403),
    errors.PresignedRequestExpired: ("SignatureDoesNotMatch", 403),
    errors.CredentialsExpired: ("ExpiredToken", 403),
    errors.NotBuilt: ("NotImplemented", 501),
    errors.BodyTooLarge: ("InvalidParameterValue", 400),
    errors.BodyIncomplete: ("InvalidParameterValue", 400),
}


def speaks_xml(request: Request) -> bool:
    """Whether the client of a call speaks the query protocol: of STS, or of a service that is not served."""
    if request.header(b"x-amz-target") is not None or _ECR_VERSION in request.query_string:
        return False
    try:
        named = sigv4.claims(request.query_string, request.headers)
    except errors.MalformedQuery:
        return False
    if named is not None and named.service in {SERVICE, "ecr"}:
        return named.service == SERVICE
    return _STS_VERSION in request.query_string or _is_form(request)


def _is_form(request: Request) -> bool:
    content_type = request.header(b"content-type") or ""
    return content_type.partition(";")[0].strip().lower() == _FORM


async def answer_sts(context: Context, request: Request) -> Response:
    """Answer a call for which ``speaks_xml``."""
    request.note.source = audit.STS
    request_id = request.facts.request_id
    try:
        signed = await _authenticate(context, request)
        response = _xml(200, _identity(signed, request_id), request_id)
    except RegistryError as error:
        note_refusal(request, error)
        return refuse_error(error, request)
    response.operation = _GET_CALLER_IDENTITY
    return response


async def _authenticate(context: Context, request: Request) -> SignedCaller:
    """Who asks for GetCallerIdentity. Needs no permission, as with AWS.

    Raises what ``Authenticator.for_json`` raises, ``NotBuilt`` for other actions of STS, ``OperationUnknown``.
    """
    body = await request.body(MAX_BODY_BYTES)
    signed = await context.authenticator.for_json(request, body)
    note_caller(request.note, signed.caller)
    if signed.service != SERVICE and not signed.caller.is_trusted:
        raise errors.SignatureIncomplete(text="Credential should be scoped to correct service: 'sts'.")
    _check_action(request.note, [*request.query(), *_read_form(body)])
    return signed


def _read_form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError as error:
        raise errors.MalformedRequest(text="The request body cannot be read as a form") from error


def _check_action(note: Note, parameters: list[tuple[str, str]]) -> None:
    action = find_parameter(parameters, "Action")
    if action in _UNBUILT_ACTIONS or action == _GET_CALLER_IDENTITY:
        note.event = action
    if action is None:
        raise errors.OperationMissing
    if find_parameter(parameters, "Version") not in {None, VERSION}:
        raise errors.OperationUnknown(operation=action[:200])
    if action in _UNBUILT_ACTIONS:
        raise errors.NotBuilt(what=f"sts:{action}")
    if action != _GET_CALLER_IDENTITY:
        raise errors.OperationUnknown(operation=action[:200])


def _identity(signed: SignedCaller, request_id: str) -> str:
    """The answer."""
    caller = signed.caller
    return (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}">\n'
        "  <GetCallerIdentityResult>\n"
        f"    <Arn>{escape(caller.principal_arn)}</Arn>\n"
        f"    <UserId>{escape(signed.user_id)}</UserId>\n"
        f"    <Account>{escape(caller.account_id)}</Account>\n"
        "  </GetCallerIdentityResult>\n"
        f"  <ResponseMetadata>\n    <RequestId>{escape(request_id)}</RequestId>\n  </ResponseMetadata>\n"
        "</GetCallerIdentityResponse>\n"
    )


def _describe(error: RegistryError) -> ErrorAnswer:
    answer = describe(error, is_query=True)
    code, status = _CODES.get(type(error), (answer.code, answer.status))
    return ErrorAnswer(code, status, answer.message)


def refuse(answer: ErrorAnswer, request_id: str) -> Response:
    """An error as clients of the query protocol read it."""
    fault = "Sender" if answer.status < 500 else "Receiver"
    response = _xml(
        answer.status,
        f'<ErrorResponse xmlns="{_NAMESPACE}">\n'
        f"  <Error>\n    <Type>{fault}</Type>\n    <Code>{escape(answer.code)}</Code>\n"
        f"    <Message>{escape(_printable(answer.message))}</Message>\n  </Error>\n"
        f"  <RequestId>{escape(request_id)}</RequestId>\n"
        "</ErrorResponse>\n",
        request_id,
    )
    response.error_code = answer.code
    response.headers += wire.retry_headers(answer)
    return response


def refuse_error(error: RegistryError, request: Request) -> Response:
    """The answer to a refusal, in STS's words."""
    return refuse(_describe(error), request.facts.request_id)


def _printable(text: str) -> str:
    """XML has no form for control characters; what a client sent may come back in a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _xml(status: int, text: str, request_id: str) -> Response:
    body = text.encode()
    headers = [
        (b"content-type", b"text/xml"),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    return Response(status, headers, body)
