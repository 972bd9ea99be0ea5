"""Who is asking, and with what request: everything ``authorize`` may judge by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

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


#: Stands for the account of whoever has none, as in CloudTrail.
ANONYMOUS: Final = RegistryId("anonymous")


@dataclass(frozen=True, slots=True)
class Session:
    """What temporary credentials of STS carry besides the principal that they stand for.

    ``role_arn`` is the role taken on; None for the session of a user or root itself (GetSessionToken). ``unique_id``
    is that of the role, user or root when the session began: another one of the same name is somebody else.
    ``policies`` narrow what the principal may do: texts, and ARNs of managed policies. ``facts`` are condition keys,
    in small letters, that stay what they were when the session began, such as ``aws:federatedprovider``. Times are
    microseconds since the epoch, UTC.
    """

    name: str
    issued_at: int
    expires_at: int
    role_arn: str | None = None
    policies: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    unique_id: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal with the region its request is for.

    ``access_key_id`` is the key it proved itself with; its state is read afresh inside each transaction. ``unique_id`` is
    that of the user, role or root, ``key_created_at`` when the key was made, 0 for a session of a role: another
    principal of that name, or another key of that id, is somebody else's (``is_held_by``).
    With temporary credentials there is a ``session``. That of a role has a key of its own, which is no row, and its
    ``principal_arn`` is ``arn:aws:sts::…:assumed-role/role/session``; that of a user or root goes by their own ARN
    and by the key that it was begun with, so that it ends with that key.
    ``is_trusted`` is set by ``--dev`` alone: such a caller exists without a row and may do everything.
    ``is_lasting`` says that what is decided now will be the answer at other times too: then nothing that depends on
    the time can be decided.
    """

    account_id: RegistryId
    principal_arn: str
    access_key_id: str
    region: str
    request: RequestFacts
    is_trusted: bool = False
    session: Session | None = None
    is_lasting: bool = False
    unique_id: str = ""
    key_created_at: int = 0

    def is_held_by(self, unique_id: str, key_created_at: int) -> bool:
        """Whether a principal and its key, as they are now, are those that this caller was proven by."""
        return self.unique_id == unique_id and self.key_created_at == key_created_at

    @property
    def user_id(self) -> str:
        """What AWS calls the principal's id: AIDA… of a user, the account of its root, AROA… with a session's name."""
        session = self.session
        return f"{self.unique_id}:{session.name}" if session and session.role_arn else self.unique_id

    @property
    def is_anonymous(self) -> bool:
        """Whether it showed no credentials."""
        return self.account_id == ANONYMOUS


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """One registry: an account in a region."""

    registry_id: RegistryId
    region: str
