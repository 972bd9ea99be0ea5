"""Temporary credentials: an access key id, a secret, and a token in which both are sealed with whom they stand for.

Nothing of them is stored. A request brings the token along, which tells the secret that its signature is checked
with. It proves what was true when the session began: whoever reads one looks the principal up afresh.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from moorage.auth.credentials import generate_session_key
from moorage.auth.sealing import Keyring, SealBroken
from moorage.domain.caller import Session
from moorage.domain.errors import CredentialsUnknown
from moorage.domain.names import plain_text


class SessionClaims(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed in a session token.

    ``own_key_id`` is the long-lived key with which a user or root began the session, made at ``key_created_at``; empty
    and 0 for a role's.
    """

    access_key_id: str
    secret_access_key: str
    account_id: str
    principal_arn: str
    own_key_id: str
    key_created_at: int
    session: Session

    def __repr__(self) -> str:
        # The secret may not reach a log.
        return f"SessionClaims({self.access_key_id}, {self.principal_arn})"


@dataclass(frozen=True, slots=True)
class TemporaryCredentials:
    """What a client signs with while the session lasts. ``expires_at`` is microseconds since the epoch."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: int


_encode: Final = msgspec.msgpack.Encoder(enc_hook=plain_text).encode
_decode: Final = msgspec.msgpack.Decoder(SessionClaims).decode


def issue_credentials(
    keyring: Keyring,
    account_id: str,
    principal_arn: str,
    own_key_id: str,
    key_created_at: int,
    session: Session,
) -> TemporaryCredentials:
    """Make the credentials of a session."""
    key = generate_session_key()
    claims = SessionClaims(
        key.access_key_id,
        key.secret_access_key,
        account_id,
        principal_arn,
        own_key_id,
        key_created_at,
        session,
    )
    token = keyring.seal("session-token", _encode(claims))
    return TemporaryCredentials(key.access_key_id, key.secret_access_key, token, session.expires_at)


def read_session_token(keyring: Keyring, text: str, access_key_id: str) -> SessionClaims:
    """What a token claims that came with this access key id; whether its time is over is for the caller to see.

    Raises ``CredentialsUnknown`` when it was not made here or belongs to another key.
    """
    try:
        claims = _decode(keyring.unseal("session-token", text))
    except (SealBroken, msgspec.MsgspecError):
        raise CredentialsUnknown from None
    if claims.access_key_id != access_key_id:
        raise CredentialsUnknown
    return claims
