"""STS, as far as registries need it: who one is, and sessions of roles, of web identities and of users themselves.

STS speaks the query protocol: form-encoded in, XML out. Clients of the other services of that protocol, which are
not served, understand the refusal in the same form.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moorage.auth import sessions as temporary
from moorage.auth import sigv4
from moorage.domain import audit, errors
from moorage.domain.audit import WebIdentityUser
from moorage.domain.errors import RegistryError
from moorage.ecr import sts_errors, sts_xml, wire
from moorage.ecr.contract import API_VERSION
from moorage.ecr.errors import ErrorAnswer
from moorage.ecr.events import note_caller, note_refusal
from moorage.ecr.sts_input import Form, read_form, read_own_seconds, read_wanted, require
from moorage.ecr.sts_xml import VERSION, Members
from moorage.services import sessions
from moorage.services.sessions import Granted, Wanted
from moorage.web.authenticate import SignedCaller
from moorage.web.context import Context
from moorage.web.http import MAX_QUERY_PARAMETERS, Request, Response

SERVICE: Final = "sts"

#: The largest body taken; a web identity's token may have 20,000 bytes.
MAX_BODY_BYTES: Final = 64 * 1024

_STS_VERSION: Final = f"Version={VERSION}".encode()
_ECR_VERSION: Final = f"Version={API_VERSION}".encode()
_FORM: Final = "application/x-www-form-urlencoded"

#: The only operation here that is not signed: the token is what proves who asks.
_WEB_IDENTITY: Final = "AssumeRoleWithWebIdentity"
_UNBUILT_ACTIONS: Final = frozenset(
    {
        "AssumeRoleWithSAML",
        "AssumeRoot",
        "DecodeAuthorizationMessage",
        "GetAccessKeyInfo",
        "GetDelegatedAccessToken",
        "GetFederationToken",
        "GetWebIdentityToken",
    }
)


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
    note_call(request)
    try:
        action, result = await _carry_out(context, request)
    except RegistryError as error:
        note_refusal(request, error)
        return refuse_error(error, request)
    request_id = request.facts.request_id
    response = _xml(200, sts_xml.answer(action, result, request_id), request_id)
    response.operation = action
    return response


def note_call(request: Request, body: bytes = b"") -> None:
    """For the audit: which action a call seems to ask for, before anything is checked, so that a refusal has it too."""
    request.note.source = audit.STS
    try:
        given = [*request.query(), *_parse(body)]
    except RegistryError:
        return  # Its own refusal will say so.
    named = next((value for name, value in given if name == "Action"), "")
    if named in ACTIONS or named in _UNBUILT_ACTIONS:
        request.note.event = named


async def _carry_out(context: Context, request: Request) -> tuple[str, Members]:
    """The operation and its result.

    Raises what ``Authenticator.for_json`` raises, ``NotBuilt`` for other actions of STS, ``OperationUnknown``,
    and what the operations raise.
    """
    body = await request.body(MAX_BODY_BYTES)
    note_call(request, body)
    if _is_web_identity(request, body):
        form = read_form([*request.query(), *_parse(body)])
        _check_action(form)
        return _WEB_IDENTITY, await _assume_role_with_web_identity(context, request, form)
    signed = await context.authenticator.for_json(request, body)
    note_caller(request.note, signed.caller)
    if signed.service != SERVICE and not signed.caller.is_trusted:
        raise errors.SignatureIncomplete(text="Credential should be scoped to correct service: 'sts'.")
    form = read_form([*request.query(), *_parse(body)])
    action = _check_action(form)
    return action, await _SIGNED[action](context, request, signed, form)


def _is_web_identity(request: Request, body: bytes) -> bool:
    """Whether it asks for the one operation that needs no signature; whoever signs it all the same is not asked why."""
    try:
        given = [*request.query(), *_parse(body)]
    except RegistryError:
        return False  # Who asks is looked at first, then what cannot be read.
    return ("Action", _WEB_IDENTITY) in given


def _parse(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError as error:
        raise errors.MalformedRequest(text="The request body cannot be read as a form") from error


def _check_action(form: Form) -> str:
    action = form.get("Action")
    if action is None:
        raise errors.OperationMissing
    if form.get("Version") not in {None, VERSION}:
        raise errors.OperationUnknown(operation=action[:200])
    if action in _UNBUILT_ACTIONS:
        raise errors.NotBuilt(what=f"sts:{action}")
    if action not in ACTIONS:
        raise errors.OperationUnknown(operation=action[:200])
    return action


# --- Operations ----------------------------------------------------------------------------------------------


async def _get_caller_identity(
    _context: Context, _request: Request, signed: SignedCaller, _form: Form
) -> Members:
    """Needs no permission, as with AWS."""
    caller = signed.caller
    return [("Arn", caller.principal_arn), ("UserId", caller.user_id), ("Account", caller.account_id)]


async def _assume_role(context: Context, request: Request, signed: SignedCaller, form: Form) -> Members:
    wanted = read_wanted("AssumeRole", form)
    _note_wanted(request, wanted)
    granted = await context.database.read(sessions.assume_role, signed.caller, wanted)
    return _role_result(context, request, granted)


async def _get_session_token(context: Context, request: Request, signed: SignedCaller, form: Form) -> Members:
    seconds = read_own_seconds("GetSessionToken", form)
    request.note.add(durationSeconds=seconds)
    granted = await context.database.read(sessions.get_session_token, signed.caller, seconds)
    return [_credentials(context, request, granted)]


async def _assume_role_with_web_identity(context: Context, request: Request, form: Form) -> Members:
    wanted = read_wanted(_WEB_IDENTITY, form)
    if wanted.tags or wanted.external_id is not None:
        raise errors.NotBuilt(what=f"sts:{_WEB_IDENTITY} with Tags or ExternalId")
    _note_wanted(request, wanted)
    token = require(form, "WebIdentityToken")
    account_id, now = wanted.role.account_id, request.facts.received_at
    identity = await context.web_identities.prove(account_id, token, now)
    request.note.web_identity = WebIdentityUser(identity.provider.arn, identity.audience, identity.subject)
    granted = await context.database.read(
        sessions.assume_role_with_web_identity, request.facts, identity.provider, identity.claims, wanted
    )
    _note_issued(
        request,
        subjectFromWebIdentityToken=identity.subject,
        audience=identity.audience,
        provider=identity.provider.arn,
    )
    return [
        *_role_result(context, request, granted),
        ("SubjectFromWebIdentityToken", identity.subject),
        ("Audience", identity.audience),
        ("Provider", identity.provider.arn),
    ]


def _note_wanted(request: Request, wanted: Wanted) -> None:
    """For the audit: what is asked for; the token is no part of it."""
    request.note.add(
        roleArn=str(wanted.role),
        roleSessionName=wanted.name,
        durationSeconds=wanted.seconds,
        policy=wanted.policy,
    )


def _role_result(context: Context, request: Request, granted: Granted) -> Members:
    session = granted.session
    user_id = f"{session.unique_id}:{session.name}"
    user: Members = [("AssumedRoleId", user_id), ("Arn", granted.principal_arn)]
    size = granted.packed_percent
    packed: Members = [] if size is None else [("PackedPolicySize", str(size))]
    _note_issued(request, assumedRoleUser={"assumedRoleId": user_id, "arn": granted.principal_arn})
    return [_credentials(context, request, granted), ("AssumedRoleUser", user), *packed]


def _credentials(context: Context, request: Request, granted: Granted) -> tuple[str, Members]:
    made = temporary.issue_credentials(
        context.keyring,
        granted.account_id,
        granted.principal_arn,
        granted.own_key_id,
        granted.key_created_at,
        granted.session,
    )
    told = {"accessKeyId": made.access_key_id, "expiration": audit.event_time(made.expires_at)}
    _note_issued(request, credentials=told)
    return sts_xml.credentials(made)


def _note_issued(request: Request, **elements: Any) -> None:
    """For the audit: what was given out, and to whom; what opens anything is no part of it."""
    request.note.issued = {**(request.note.issued or {}), **elements}


_SIGNED: Final[Mapping[str, Callable[[Context, Request, SignedCaller, Form], Awaitable[Members]]]] = {
    "AssumeRole": _assume_role,
    "GetCallerIdentity": _get_caller_identity,
    "GetSessionToken": _get_session_token,
}

#: Every operation that is answered.
ACTIONS: Final = frozenset({*_SIGNED, _WEB_IDENTITY})


# --- Refusals ------------------------------------------------------------------------------------------------


def refuse(answer: ErrorAnswer, request_id: str) -> Response:
    """An error as clients of the query protocol read it."""
    fault = "Sender" if answer.status < 500 else "Receiver"
    response = _xml(
        answer.status,
        f'<ErrorResponse xmlns="{sts_xml.NAMESPACE}">\n'
        f"  <Error>\n    <Type>{fault}</Type>\n    <Code>{escape(answer.code)}</Code>\n"
        f"    <Message>{escape(sts_xml.printable(answer.message))}</Message>\n  </Error>\n"
        f"  <RequestId>{escape(request_id)}</RequestId>\n"
        "</ErrorResponse>\n",
        request_id,
    )
    response.error_code = answer.code
    response.headers += wire.retry_headers(answer)
    return response


def refuse_error(error: RegistryError, request: Request) -> Response:
    """The answer to a refusal, in STS's words."""
    return refuse(sts_errors.describe(error), request.facts.request_id)


def _xml(status: int, text: str, request_id: str) -> Response:
    body = text.encode()
    headers = [
        (b"content-type", b"text/xml"),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    return Response(status, headers, body)
