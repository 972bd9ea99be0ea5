"""The ECR JSON API over HTTP: ``POST /``, presigned ``GET /``, download URLs, and STS on the same path.

Order of a call: who claims to ask, where the body is large; room for it, the body within its limit, who is asking,
which operation, its input, the use case. Nothing but limits is told to a caller who has not proven who it is.
"""

from typing import Any, Final

from moorage.domain.audit import UNKNOWN_EVENT
from moorage.domain.caller import Caller
from moorage.domain.errors import (
    ConflictingParameters,
    MalformedQuery,
    NotBuilt,
    RegistryError,
    ServiceNotServed,
    SignatureIncomplete,
)
from moorage.ecr import contract, downloads, query, sts, wire
from moorage.ecr.bodies import SMALL, BodyBudget
from moorage.ecr.dispatch import Call
from moorage.ecr.errors import ErrorAnswer, describe, unforeseen
from moorage.ecr.events import note_caller, note_input, note_refusal
from moorage.ecr.operations import OPERATIONS
from moorage.ecr.shapes import Operation
from moorage.ecr.validation import validate
from moorage.web.asgi import plain_error
from moorage.web.context import Context
from moorage.web.http import Request, Response, find_parameter

_MEBIBYTE: Final = 1024 * 1024

#: Largest body of an operation. 20 MiB of a layer are 28 MiB in base64.
MAX_BODY_BYTES: Final = 8 * _MEBIBYTE
MAX_PART_BODY_BYTES: Final = 30 * _MEBIBYTE

#: Bytes of bodies that a process holds at once; while a part is decoded it takes three times its body.
BODY_BUDGET_BYTES: Final = 128 * _MEBIBYTE

#: What stands before the operation in calls of other services that share the protocol.
_OTHER_TARGETS: Final = {
    "SpencerFrontendService": "ecr-public",
    "AWSSecurityTokenServiceV20110615": "sts over JSON",
}

_HINT: Final = (
    "This is Moorage, a container registry. The Amazon ECR API is POST / with AWS Signature Version 4, "
    "the registry for docker and its kin is /v2/."
)


class JsonApi:
    """Answers every path that no other face answers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._budget = BodyBudget(BODY_BUDGET_BYTES)

    async def handle(self, request: Request) -> Response:
        """Answer one request; whatever is foreseen becomes an answer."""
        if request.path.startswith(downloads.PATH):
            return await downloads.get_download(self._context, request)
        if request.path != "/":
            return _elsewhere(request, 404)
        if request.method != "POST" and not (request.method == "GET" and _is_presigned(request)):
            return _elsewhere(request, 405)
        if sts.speaks_xml(request):
            return await sts.answer_sts(self._context, request)
        name = _note_operation(request)
        limit = MAX_PART_BODY_BYTES if name == "UploadLayerPart" else MAX_BODY_BYTES
        response = await self._answer(request, limit)
        response.operation = name
        return response

    def on_error(self, request: Request) -> Response:
        """The answer to a failure that nobody foresaw."""
        if request.path.startswith(downloads.PATH):
            return plain_error(request)
        if request.path == "/" and sts.speaks_xml(request):
            sts.note_call(request)
            return sts.refuse(unforeseen(is_operation_known=False), request.facts.request_id)
        name = _note_operation(request)
        response = wire.error_response(unforeseen(is_operation_known=bool(name)), request.facts.request_id)
        response.operation = name
        return response

    def refuse(self, request: Request, error: RegistryError) -> Response:
        """The answer when the server does not take the request on, or gave it up."""
        request.note.refusal = error
        if request.path.startswith(downloads.PATH):
            return downloads.refuse(request, error)
        if request.path == "/" and sts.speaks_xml(request):
            sts.note_call(request)
            return sts.refuse_error(error, request)
        response = wire.error_response(describe(error, is_query=_is_query(request)), request.facts.request_id)
        response.operation = _note_operation(request)
        return response

    async def _answer(self, request: Request, limit: int) -> Response:
        request_id = request.facts.request_id
        try:
            return wire.json_response(200, await self._carry_out(request, limit), request_id)
        except RegistryError as error:
            note_refusal(request, error)
            return wire.error_response(describe(error, is_query=_is_query(request)), request_id)

    async def _carry_out(self, request: Request, limit: int) -> dict[str, Any]:
        size = _body_size(request, limit)
        if size <= SMALL:
            return await self._call(request, await request.body(limit))
        # Room is for those alone who may turn out to be somebody.
        await self._context.authenticator.check_unread(request)
        async with self._budget.hold(size, request.load) as hold:
            async with hold.reading():
                body = await request.body(limit)
            return await self._call(request, body)

    async def _call(self, request: Request, body: bytes) -> dict[str, Any]:
        caller = await self._authenticate(request, body)
        note_caller(request.note, caller)
        operation, given = _read(request, body)
        checked = validate(operation, given)
        note_input(request.note, operation.name, checked, caller)
        handler = OPERATIONS.get(operation.name)
        if handler is None:
            raise NotBuilt(what=operation.name)
        return await handler(Call(caller, self._context, request.note), checked)

    async def _authenticate(self, request: Request, body: bytes) -> Caller:
        signed = await self._context.authenticator.for_json(request, body)
        if signed.service != "ecr":
            raise SignatureIncomplete(text="Credential should be scoped to correct service: 'ecr'.")
        return signed.caller


def _read(request: Request, body: bytes) -> tuple[Operation, dict[str, Any]]:
    """The operation and its input, not yet validated; from the body, or of a presigned call from the query."""
    targets = request.header_values(b"x-amz-target")
    if len(targets) > 1:
        raise ConflictingParameters(text="The request carries 'x-amz-target' more than once.")
    target = targets[0] if targets else None
    _refuse_other_services(target)
    parameters = query.split(request.query())
    operation = query.choose_operation(target, parameters)
    if parameters.input:
        return operation, query.read_input(operation, parameters, has_body=bool(body))
    return operation, wire.parse_json(body)


def _refuse_other_services(target: str | None) -> None:
    service = _OTHER_TARGETS.get((target or "").partition(".")[0])
    if service is not None:
        raise ServiceNotServed(service=service)


def _operation_name(request: Request) -> str:
    """The operation that a request seems to ask for, before anything is checked; empty when there is none such."""
    target = request.header(b"x-amz-target")
    if target is None:
        try:
            target = f"{contract.TARGET_PREFIX}.{find_parameter(request.query(), 'Action')}"
        except MalformedQuery:
            return ""
    prefix, _, name = target.partition(".")
    return name if prefix == contract.TARGET_PREFIX and name in contract.OPERATIONS else ""


def _note_operation(request: Request) -> str:
    """``_operation_name``, for the audit too."""
    name = _operation_name(request)
    request.note.event = name or UNKNOWN_EVENT
    return name


def _body_size(request: Request, limit: int) -> int:
    """Bytes that the body may come to take; one that announces too many is refused unread."""
    length = request.content_length
    if length is None:
        return limit if request.has_body else 0
    return length if length <= limit else 0


def _is_presigned(request: Request) -> bool:
    return b"X-Amz-Signature=" in request.query_string


def _is_query(request: Request) -> bool:
    """Whether errors are told as for presigned and ``Action=`` calls."""
    return bool(request.query_string) and (_is_presigned(request) or b"Action=" in request.query_string)


def _elsewhere(request: Request, status: int) -> Response:
    """Not a call of the API: says what this is and where to go."""
    answer = ErrorAnswer("UnknownOperationException", status, _HINT)
    response = wire.error_response(answer, request.facts.request_id)
    response.headers[0] = (b"content-type", b"application/json")
    if status == 405:
        response.headers.append((b"allow", b"POST"))
    return response
