"""Who is asking, and with what request: everything ``authorize`` may judge by."""

from dataclasses import dataclass
from typing import Literal

from moorage.domain.names import RegistryId

Face = Literal["json", "v2"]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known of the request whoever sends it. Times are microseconds since the epoch, UTC."""

    request_id: str
    face: Face
    source_ip: str
    is_tls: bool
    user_agent: str
    received_at: int


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal with the region its request is for.

    ``access_key_id`` is the key it proved itself with; its state is read afresh inside each transaction.
    ``is_trusted`` is set by ``--dev`` alone: such a caller exists without a row and may do everything.
    """

    account_id: RegistryId
    principal_arn: str
    access_key_id: str
    region: str
    request: RequestFacts
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """One registry: an account in a region."""

    registry_id: RegistryId
    region: str
