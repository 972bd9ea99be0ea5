"""What is recorded of each call: one line of JSON, shaped like an event of AWS CloudTrail.

A ``Note`` gathers what is known of a call while it is answered; ``record`` makes the line of it. Credentials never
get into a note: it holds names, digests, and the access key id. Members and their order are CloudTrail's ("record
contents", event version 1.08); ``docs/audit.md`` has a sample and what each call is named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller, RegistryKey, RequestFacts, Session
from moorage.domain.errors import RegistryError
from moorage.domain.json_lines import escaped
from moorage.domain.names import plain_text

ECR: Final = "ecr.amazonaws.com"
STS: Final = "sts.amazonaws.com"
IAM: Final = "iam.amazonaws.com"
#: AWS keeps accounts in this service.
ORGANIZATIONS: Final = "organizations.amazonaws.com"

#: A request that names no operation of ours.
UNKNOWN_EVENT: Final = "UnknownOperation"

#: Characters of one text, and bytes of one record, beyond which it is cut. A repository policy has at most so many; of
#: a manifest, which may have four million, the beginning is shown.
MAX_TEXT: Final = 10_240
MAX_RECORD: Final = 64 * 1024

#: Characters of an error's sentence; repositories of a record that had to be cut.
MAX_MESSAGE: Final = 1_024
MOST_RESOURCES: Final = 10

#: AWS: stands for what must not be seen.
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"

#: Members of requests that open something, or are the bytes of a layer.
_HIDDEN: Final = frozenset({"nextToken"})
_LEFT_OUT: Final = frozenset({"layerPartBlob"})

_READS: Final = ("Get", "List", "Describe", "BatchGet", "BatchCheck", "Check", "Validate", "Download")

#: What a claimed access key id must look like to be shown: a secret that stands in its place does not.
_KEY_ID: Final = re.compile("[A-Z0-9]{8,32}")

Elements = Mapping[str, Any]

_JSON: Final = msgspec.json.Encoder(enc_hook=plain_text)


def only_reads(event: str) -> bool:
    """Whether calls of this name change nothing, told by AWS's own way of naming them."""
    return event.startswith(_READS) or event == UNKNOWN_EVENT


class _Issuer(msgspec.Struct, rename="camel"):
    type: str
    principal_id: str
    arn: str
    account_id: str
    user_name: str


class _Attributes(msgspec.Struct, rename="camel"):
    creation_date: str


class _Session(msgspec.Struct, rename="camel", omit_defaults=True):
    session_issuer: _Issuer | UnsetType = UNSET
    attributes: _Attributes | UnsetType = UNSET


class _Identity(msgspec.Struct, rename="camel", omit_defaults=True):
    type: str
    principal_id: str
    arn: str | UnsetType = UNSET
    account_id: str | UnsetType = UNSET
    access_key_id: str | UnsetType = UNSET
    user_name: str | UnsetType = UNSET
    session_context: _Session | UnsetType = UNSET
    identity_provider: str | UnsetType = UNSET


class _Resource(msgspec.Struct):
    ARN: str
    accountId: str  # noqa: N815 - AWS's spelling


class _Event(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The members in AWS's order; a default is left out."""

    event_version: str
    user_identity: _Identity
    event_time: str
    event_source: str
    event_name: str
    aws_region: str
    source_ip_address: str = msgspec.field(name="sourceIPAddress")
    user_agent: str
    request_parameters: Elements | None
    response_elements: Elements | None
    error_code: str | UnsetType = UNSET
    error_message: str | UnsetType = UNSET
    additional_event_data: Elements | UnsetType = UNSET
    request_id: str = msgspec.field(name="requestID")
    event_id: str = msgspec.field(name="eventID")
    read_only: bool
    resources: list[_Resource] | UnsetType = UNSET
    event_type: str
    management_event: bool
    recipient_account_id: str
    event_category: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call came to nothing: AWS's code for it, and the sentence that goes with it."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class WebIdentityUser:
    """Whoever a token proved: its provider's ARN, the audience that it was for, and the subject."""

    provider_arn: str
    audience: str
    subject: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs a command on the server's own machine: a user of the system, by name and by a lasting id."""

    name: str
    unique_id: str


@dataclass(slots=True)
class Note:
    """What is known of a call so far. Nobody but its own request changes it.

    ``claimed_key`` is the access key id of credentials that were not proven. ``parameters`` are those that ``add``
    let through: cut, and without what must not be seen. ``issued`` tells of credentials that the call gave out: it is
    recorded like a change, whatever is said of reads. ``is_recorded`` is set once a change has its record in its transaction.
    """

    facts: RequestFacts
    event: str = UNKNOWN_EVENT
    source: str = ECR
    caller: Caller | None = None
    web_identity: WebIdentityUser | None = None
    operator: Operator | None = None
    claimed_key: str = ""
    registry: RegistryKey | None = None
    repositories: list[RepositoryArn] = field(default_factory=list)
    parameters: dict[str, Any] | None = None
    refusal: RegistryError | None = None
    issued: Elements | None = None
    is_recorded: bool = False

    @property
    def is_read_only(self) -> bool:
        """Whether the call changes nothing. STS changes nothing that is kept."""
        return self.source == STS or only_reads(self.event)

    def add(self, **parameters: Any) -> None:
        """Further request parameters; None stands for one that was not given. Long texts are cut."""
        given = _bounded_members(parameters)
        self.parameters = given if self.parameters is None else self.parameters | given


def record(
    note: Note,
    event_id: str,
    default: RegistryKey,
    *,
    elements: Elements | None = None,
    failure: Failure | None = None,
    omitted: int = 0,
) -> bytes:
    """One line, its newline included, of at most about ``MAX_RECORD`` bytes.

    ``default`` is the registry of calls that named none. ``elements`` is the answer of a change, or what was issued; what
    reads answer is never recorded, for among it are passwords and download URLs. ``omitted`` records of such calls were left out before.
    """
    registry = note.registry or default
    event = _Event(
        event_version="1.08",
        user_identity=_identity(note),
        event_time=event_time(note.facts.received_at),
        event_source=note.source,
        event_name=note.event,
        aws_region=registry.region,
        source_ip_address=note.facts.source_ip,
        user_agent=note.facts.user_agent,
        request_parameters=note.parameters,
        response_elements=None if elements is None else _bounded_members(elements),
        error_code=failure.code if failure else UNSET,
        error_message=_cut(failure.message, MAX_MESSAGE) if failure and failure.message else UNSET,
        additional_event_data={"omittedRecords": omitted} if omitted else UNSET,
        request_id=note.facts.request_id,
        event_id=event_id,
        read_only=note.is_read_only,
        resources=[_Resource(str(arn), str(arn.registry_id)) for arn in note.repositories] or UNSET,
        event_type="AwsApiCall",
        management_event=True,
        recipient_account_id=str(registry.registry_id),
        event_category="Management",
    )
    return _encode(event)


def _encode(event: _Event) -> bytes:
    line = escaped(_JSON.encode(event))
    if len(line) >= MAX_RECORD:
        # What CloudTrail does with too large a part.
        event.request_parameters = event.response_elements = {"omitted": True}
        if event.resources is not UNSET:
            event.resources = event.resources[:MOST_RESOURCES]
        line = escaped(_JSON.encode(event))
    return line + b"\n"


def event_time(micros: int) -> str:
    """A time as CloudTrail writes it: UTC, down to the second."""
    return _second(micros // 1_000_000)


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bounded_members(members: Elements) -> dict[str, Any]:
    """Members with what must not be seen hidden or left out, and what is long cut."""
    return {
        name: HIDDEN if name in _HIDDEN else _bounded(value)
        for name, value in members.items()
        if name not in _LEFT_OUT and value is not None
    }


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else _cut(value, MAX_TEXT)
    # To ask an abstract class costs more than all the rest, and nearly all of it is JSON.
    if value.__class__ is dict or isinstance(value, Mapping):
        return _bounded_members(value)
    if isinstance(value, (list, tuple)):
        return [_bounded(element) for element in value]
    return value


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def claimed_key(text: str) -> str:
    """An access key id that somebody claims to hold, or nothing if it has not the form of one."""
    return text if _KEY_ID.fullmatch(text) else ""


def _identity(note: Note) -> _Identity:
    caller = note.caller
    if note.web_identity is not None:
        user = note.web_identity
        return _Identity(
            "WebIdentityUser",
            f"{user.provider_arn}:{user.audience}:{user.subject}",
            user_name=user.subject,
            identity_provider=user.provider_arn,
        )
    if note.operator is not None:
        account_id = UNSET if note.registry is None else str(note.registry.registry_id)
        operator = note.operator
        return _Identity("Operator", operator.unique_id, account_id=account_id, user_name=operator.name)
    if caller is None:
        return _Identity("Unknown", "", access_key_id=note.claimed_key or UNSET)
    _, _, resource = caller.principal_arn.rpartition(":")
    kind, _, name = resource.partition("/")
    account, arn = str(caller.account_id), caller.principal_arn
    key: str | UnsetType = caller.access_key_id or UNSET
    if resource == "root":
        return _Identity("Root", account, arn, account, key)
    if kind == "user":
        context = UNSET if caller.session is None else _Session(attributes=_attributes(caller.session))
        return _Identity("IAMUser", caller.user_id, arn, account, key, name.rpartition("/")[2], context)
    if kind == "assumed-role":
        return _Identity("AssumedRole", caller.user_id, arn, account, key, UNSET, _role_session(caller, name))
    return _Identity("AWSAccount", resource, account_id=account, access_key_id=key)


def _role_session(caller: Caller, name: str) -> _Session:
    """The session of a role, issued by the role; ``name`` is that of both, as the caller's ARN has it."""
    account, role = str(caller.account_id), name.partition("/")[0]
    session = caller.session
    arn = (
        session.role_arn if session is not None and session.role_arn else f"arn:aws:iam::{account}:role/{role}"
    )
    issuer = _Issuer("Role", caller.unique_id, arn, account, role)
    return _Session(issuer, UNSET if session is None else _attributes(session))


def _attributes(session: Session) -> _Attributes:
    return _Attributes(event_time(session.issued_at))
