"""Proves web identities: the token is one of an issuer that the account trusts, and meant for it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from moorage.domain.errors import WebIdentityInvalid
from moorage.domain.names import RegistryId
from moorage.metadata.database import Database
from moorage.services import sessions
from moorage.services.identity_providers import IdentityProvider
from moorage.transfers.issuer_keys import IssuerKeys

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """Who a token proves somebody to be: its provider, the audience that it is for, and all claims."""

    provider: IdentityProvider
    audience: str
    claims: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """Who it is among those of the issuer."""
        return str(self.claims["sub"])


class Unproven(Protocol):
    """What a token says of itself, to be believed of nothing but where to look for its key."""

    @property
    def issuer(self) -> str:
        """Whose token it claims to be, as a URL."""

    @property
    def key_id(self) -> str | None:
        """Which of the issuer's keys it claims to be signed with."""


class TokenChecks(Protocol):
    """What ``auth.web_identity`` does, as far as it is needed here."""

    def read(self, token: str) -> Unproven:
        """Whose token it claims to be. Raises ``WebIdentityInvalid``."""

    def read_keys(self, document: bytes) -> list[dict[str, Any]]:
        """The keys of an issuer's document. Raises ``ValueError``."""

    def find_key(self, keys: list[dict[str, Any]], key_id: str | None) -> dict[str, Any] | None:
        """The key of this id, if it is there."""

    def verify(self, token: str, key: Mapping[str, Any], issuer: str, now: int) -> Mapping[str, Any]:
        """The claims of a genuine token at a time in seconds. Raises as ``WebIdentities.prove`` does."""


class WebIdentities:
    """``load`` imports ``auth.web_identity``, which brings much along, when the first token comes."""

    def __init__(self, database: Database, keys: IssuerKeys, load: Callable[[], TokenChecks]) -> None:
        self._database = database
        self._keys = keys
        self._load = load

    async def prove(self, account_id: RegistryId, token: str, now: int) -> WebIdentity:
        """Check a token for the roles of an account; ``now`` is microseconds since the epoch.

        Raises ``WebIdentityInvalid``, ``WebIdentityExpired``, ``WebIdentityRejected``, ``IssuerUnreachable``.
        """
        checks = await asyncio.to_thread(self._load)
        unproven = checks.read(token)
        provider = await self._database.read(
            sessions.get_trusted_provider, account_id, _without_scheme(unproven.issuer)
        )
        if not self._keys.takes(unproven.issuer):
            raise WebIdentityInvalid(text="The issuer of the web identity token is not an https:// URL")
        key = await self._keys.find(
            unproven.issuer, lambda keys: checks.find_key(keys, unproven.key_id), checks.read_keys
        )
        if key is None:
            raise WebIdentityInvalid(text="Couldn't retrieve verification key from your identity provider")
        claims = await asyncio.to_thread(checks.verify, token, key, unproven.issuer, now // _MICROSECONDS)
        return WebIdentity(provider, _audience(claims, provider), claims)


def _without_scheme(issuer: str) -> str:
    for scheme in ("https://", "http://"):
        if issuer.startswith(scheme):
            return issuer.removeprefix(scheme)
    raise WebIdentityInvalid(text="The issuer of the web identity token is not an https:// URL")


def _audience(claims: Mapping[str, Any], provider: IdentityProvider) -> str:
    """The audience that the account trusts the issuer for."""
    given = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    for audience in given:
        if isinstance(audience, str) and audience in provider.audiences:
            return audience
    raise WebIdentityInvalid(text="Incorrect token audience")
