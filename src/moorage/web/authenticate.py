"""From a request to a ``Caller``: who is asking, proven or refused.

A handler cannot run without a caller, and only this module makes one from a request.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from moorage.auth import sessions, sigv4, tokens
from moorage.auth.sealing import Keyring, MasterKey
from moorage.auth.sessions import SessionClaims
from moorage.auth.tokens import DownloadClaims
from moorage.config import Settings
from moorage.domain.caller import ANONYMOUS, Caller
from moorage.domain.errors import (
    CredentialsExpired,
    CredentialsMissing,
    CredentialsUnknown,
    RegistryError,
    RegistryIdInvalid,
    ServiceNotServed,
)
from moorage.domain.iam import root_arn
from moorage.domain.names import RegistryId
from moorage.metadata.database import Database
from moorage.services import accounts
from moorage.services.accounts import KeyHolder
from moorage.services.sessions import check_session
from moorage.web.http import Request

SERVICES: Final = ("ecr", "sts")

#: A body longer than this is hashed beside the event loop.
_LONG_BODY: Final = 256 * 1024

#: Most keys whose holders are kept.
_MOST_HOLDERS: Final = 4_096

#: Later than any time, in microseconds.
_NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class SignedCaller:
    """A caller of the JSON API, with what the signature says about the call."""

    caller: Caller
    service: str
    form: Literal["header", "query"]


class Proof(NamedTuple):
    """A caller of ``/v2/``, and when the proof is over, in microseconds since the epoch."""

    caller: Caller
    expires_at: int


#: Told of every check: ``accepted`` or ``refused``, and the kind of refusal.
AuthenticationCounter = Callable[[str, str], None]


class _Counted:
    """A block that checks credentials: its outcome is counted. Holds nothing, so any number may use it at once."""

    __slots__ = ("_count",)

    def __init__(self, count: AuthenticationCounter) -> None:
        self._count = count

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            self._count("accepted", "")
        elif isinstance(error, RegistryError):
            self._count("refused", type(error).__name__)


class Authenticator:
    """Proves callers of both faces and of download URLs."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        master_key: MasterKey,
        keyring: Keyring,
        on_checked: AuthenticationCounter = lambda _result, _reason: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._keyring = keyring
        self._on_checked = on_checked
        self._counted = _Counted(on_checked)
        self._holders: dict[str, tuple[bytes, KeyHolder]] = {}
        # A sealed secret never changes, so opening it once is enough.
        self._open = lru_cache(maxsize=4_096)(
            lambda sealed, key_id: master_key.unseal(sealed, key_id.encode()).decode()
        )

    # --- JSON API --------------------------------------------------------------------------------------------

    async def for_json(self, request: Request, body: bytes) -> SignedCaller:
        """Who signed this request, by Signature Version 4 in the header or the query.

        Raises ``CredentialsMissing``, ``CredentialsUnknown``, ``SignatureMismatch`` and their kin, and
        ``ServiceNotServed`` for a signature scoped to another service.
        """
        with self._counted:
            if self._settings.dev:
                return self._trusted_json(request)
            return await self._prove_json(request, body)

    async def check_unread(self, request: Request) -> None:
        """Refuse whoever could not have signed this request whatever its body: it need not be read then.

        Proves nothing; ``for_json`` does, with the body. Raises what ``for_json`` raises.
        """
        if self._settings.dev:
            return
        try:
            signed = self._parse(request)
            if signed.session_token is None:
                await self._database.read(accounts.find_key_holder, signed.access_key_id)
            else:
                await self._check_session(request, signed, self._read_session(signed))
            sigv4.check_time(signed, request.facts.received_at)
        except RegistryError as refusal:
            self._on_checked("refused", type(refusal).__name__)
            raise

    async def _prove_json(self, request: Request, body: bytes) -> SignedCaller:
        signed = self._parse(request)
        digest = await _sha256(body)
        if signed.session_token is not None:
            return await self._prove_session(request, signed, digest)
        try:
            holder = await self._find_holder(signed.access_key_id)
        except CredentialsUnknown:
            sigv4.verify_against_nothing(signed, digest)
        secret = self._open(holder.sealed_secret, signed.access_key_id)
        sigv4.verify(signed, secret, digest, request.facts.received_at)
        caller = Caller(
            holder.account_id,
            holder.principal_arn,
            signed.access_key_id,
            signed.region,
            request.facts,
            unique_id=holder.unique_id,
            key_created_at=holder.key_created_at,
        )
        return SignedCaller(caller, signed.service, signed.form)

    async def _prove_session(self, request: Request, signed: sigv4.SignedRequest, digest: str) -> SignedCaller:
        """Who signed with temporary credentials. The token brings the secret along; whose it is, is read anew."""
        try:
            claims = self._read_session(signed)
        except CredentialsUnknown:
            sigv4.verify_against_nothing(signed, digest)
        sigv4.verify(signed, claims.secret_access_key, digest, request.facts.received_at)
        caller = await self._check_session(request, signed, claims)
        return SignedCaller(caller, signed.service, signed.form)

    def _read_session(self, signed: sigv4.SignedRequest) -> SessionClaims:
        return sessions.read_session_token(self._keyring, signed.session_token or "", signed.access_key_id)

    async def _check_session(
        self, request: Request, signed: sigv4.SignedRequest, claims: SessionClaims
    ) -> Caller:
        """Who asks in a session that is good. Raises ``CredentialsExpired``, ``CredentialsUnknown``, ``AccountSwitchedOff``."""
        session = claims.session
        if request.facts.received_at >= session.expires_at:
            raise CredentialsExpired
        caller = Caller(
            RegistryId(claims.account_id),
            claims.principal_arn,
            claims.own_key_id or claims.access_key_id,
            signed.region,
            request.facts,
            session=session,
            unique_id=session.unique_id,
            key_created_at=claims.key_created_at,
        )
        await self._database.read(check_session, caller)
        return caller

    async def _find_holder(self, access_key_id: str) -> KeyHolder:
        """Whose key it is, read anew after any commit (``Database.mark``). Raises what ``find_key_holder`` raises."""
        # Looked at before the row is read: a commit in between makes the next one read again.
        mark = self._database.mark()
        read_at, holder = self._holders.get(access_key_id, (None, None))
        if holder is not None and mark is not None and read_at == mark:
            return holder
        holder = await self._database.read(accounts.find_key_holder, access_key_id)
        if mark is not None:
            if len(self._holders) >= _MOST_HOLDERS:
                self._holders.clear()
            self._holders[access_key_id] = (mark, holder)
        return holder

    def _parse(self, request: Request) -> sigv4.SignedRequest:
        self._refuse_other_services(request)
        return sigv4.parse(request.method, request.raw_path, request.query_string, request.headers, SERVICES)

    def _refuse_other_services(self, request: Request) -> None:
        named = sigv4.claims(request.query_string, request.headers)
        if named is not None and named.service not in SERVICES:
            raise ServiceNotServed(service=named.service)

    def _trusted_json(self, request: Request) -> SignedCaller:
        named = sigv4.claims(request.query_string, request.headers)
        if named is not None and named.service not in SERVICES:
            raise ServiceNotServed(service=named.service)
        form: Literal["header", "query"] = "header" if request.header(b"authorization") else "query"
        if named is None:
            caller = self._trusted(request, "", self._settings.region)
            return SignedCaller(caller, "ecr", form)
        caller = self._trusted(request, named.access_key_id, named.region)
        return SignedCaller(caller, named.service, form)

    # --- /v2/ ------------------------------------------------------------------------------------------------

    def for_registry(self, request: Request, region: str, *, is_pull: bool = False) -> Caller:
        """Whose registry token this request carries, for a registry of this region.

        No database is asked: the key's state is read by ``authorize``, in the transaction of the use case. A pull
        without credentials may be let through to ``authorize`` by a setting, as nobody's.
        Raises ``CredentialsMissing``, ``CredentialsUnknown``, ``CredentialsExpired``.
        """
        if is_pull and self._settings.anonymous_pull and not self._settings.dev and _shows_nothing(request):
            return Caller(ANONYMOUS, ANONYMOUS, "", region, request.facts)
        with self._counted:
            return self.prove_registry(request, region).caller

    def prove_registry(self, request: Request, region: str) -> Proof:
        """``for_registry`` without counting, for whoever keeps the proof and says ``reused`` of each use."""
        headers = request.header_values(b"authorization")
        if len(headers) > 1:
            raise CredentialsUnknown  # A proxy in between may have judged by the other one.
        header = headers[0] if headers else None
        if self._settings.dev:
            return Proof(self._trusted_registry(request, header, region), _NEVER)
        if header is None:
            raise CredentialsMissing
        claims = tokens.read_registry_authorization(self._keyring, header, request.facts.received_at)
        caller = Caller(
            RegistryId(claims.account_id),
            claims.principal_arn,
            claims.access_key_id,
            region,
            request.facts,
            session=claims.session,
            unique_id=claims.unique_id,
            key_created_at=claims.key_created_at,
        )
        return Proof(caller, claims.expires_at)

    def reused(self) -> None:
        """A proof was good for one more request."""
        self._on_checked("accepted", "")

    def _trusted_registry(self, request: Request, header: str | None, region: str) -> Caller:
        """Any password will do; one that GetAuthorizationToken gave out still says whose it is."""
        try:
            claims = tokens.read_registry_authorization(self._keyring, header or "", request.facts.received_at)
        except (CredentialsUnknown, CredentialsExpired):
            return self._trusted(request, "", region)
        return self._trusted(request, claims.access_key_id, region)

    def _trusted(self, request: Request, access_key_id: str, region: str) -> Caller:
        """``--dev``: a key id of twelve digits names the account, any other means the default one."""
        try:
            account = RegistryId.parse(access_key_id)
        except RegistryIdInvalid:
            account = RegistryId(self._settings.account_id)
        arn = root_arn(account)
        return Caller(account, arn, access_key_id, region, request.facts, is_trusted=True, unique_id=account)

    # --- Download URLs ---------------------------------------------------------------------------------------

    def for_download(self, request: Request, token: str) -> tuple[Caller, DownloadClaims]:
        """Whom the token of a download URL was given to, and the blob that it opens.

        As with a registry token, the key's state is read by ``authorize``. Raises ``CredentialsUnknown``,
        ``CredentialsExpired``.
        """
        with self._counted:
            claims = tokens.read_download_token(self._keyring, token, request.facts.received_at)
            caller = Caller(
                RegistryId(claims.account_id),
                claims.principal_arn,
                claims.access_key_id,
                claims.region,
                request.facts,
                is_trusted=self._settings.dev,
                session=claims.session,
                unique_id=claims.unique_id,
                key_created_at=claims.key_created_at,
            )
            return caller, claims


def _shows_nothing(request: Request) -> bool:
    """Whether it has no credentials, or, as some clients without a login send them, empty ones."""
    headers = request.header_values(b"authorization")
    return not headers or headers == ["Basic Og=="]


async def _sha256(body: bytes) -> str:
    if len(body) > _LONG_BODY:
        return await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())
    return hashlib.sha256(body).hexdigest()
