"""OIDC issuers that roles of an account may trust: whose tokens, and for which audiences.

Conditions on their claims stand in the trust policies of the roles. Who may call these is the caller's business.
Source: the IAM API reference, CreateOpenIDConnectProvider and its kin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from moorage.domain import iam
from moorage.domain.errors import EntityAlreadyExists, InvalidRequest, LimitExceeded, NoSuchEntity
from moorage.domain.iam import Issuer
from moorage.domain.names import RegistryId
from moorage.metadata import identity_providers
from moorage.metadata.identity_providers import ProviderRow
from moorage.metadata.transaction import Transaction
from moorage.services import accounts

MAX_AUDIENCES: Final = 100


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An issuer, by its URL without https://, and who its tokens must be for."""

    arn: str
    issuer: str
    audiences: tuple[str, ...]
    created_at: int


def create_provider(
    tx: Transaction, account_id: RegistryId, url: str, audiences: Sequence[str]
) -> IdentityProvider:
    """Let roles of this account trust an issuer. An account has one provider of an issuer.

    Raises ``InvalidRequest``, ``NoSuchEntity`` for the account, ``EntityAlreadyExists``, ``LimitExceeded``.
    """
    issuer = Issuer.parse(url)
    _check_audiences(audiences)
    accounts.get_account(tx, account_id)
    if identity_providers.find_provider(tx, account_id, issuer) is not None:
        raise EntityAlreadyExists(kind="identity provider", name=issuer)
    limit = tx.settings.quotas.providers_per_account
    if limit and identity_providers.count_providers(tx, account_id) >= limit:
        raise LimitExceeded(quota="providers_per_account", limit=limit)
    identity_providers.add_provider(tx, account_id, issuer, audiences)
    return get_provider(tx, account_id, issuer)


def _check_audiences(audiences: Sequence[str]) -> None:
    if not 1 <= len(audiences) <= MAX_AUDIENCES or len(set(audiences)) < len(audiences):
        raise InvalidRequest(text=f"A provider has 1 to {MAX_AUDIENCES} audiences, each once")
    for audience in audiences:
        if not 1 <= len(audience) <= 255 or not audience.isprintable():
            raise InvalidRequest(text="An audience has 1 to 255 printable characters")


def get_provider(tx: Transaction, account_id: RegistryId, issuer: str) -> IdentityProvider:
    """A provider, by its issuer as AWS names it, or as a URL. Raises ``NoSuchEntity``."""
    return _provider(_get_row(tx, account_id, issuer))


def list_providers(tx: Transaction, account_id: RegistryId, after: str, limit: int) -> list[IdentityProvider]:
    """An account's providers in order of their issuers, those after ``after``. Raises ``NoSuchEntity``."""
    accounts.get_account(tx, account_id)
    return [_provider(row) for row in identity_providers.list_providers(tx, account_id, after, limit)]


def delete_provider(tx: Transaction, account_id: RegistryId, issuer: str) -> None:
    """Trust an issuer's tokens no more. Raises ``NoSuchEntity``."""
    identity_providers.delete_provider(tx, _get_row(tx, account_id, issuer).id)


def _get_row(tx: Transaction, account_id: RegistryId, issuer: str) -> ProviderRow:
    row = identity_providers.find_provider(tx, account_id, issuer.removeprefix("https://"))
    if row is None:
        raise NoSuchEntity(kind="identity provider", name=issuer[:300])
    return row


def _provider(row: ProviderRow) -> IdentityProvider:
    audiences = msgspec.json.decode(row.audiences, type=tuple[str, ...])
    return IdentityProvider(iam.provider_arn(row.account_id, row.issuer), row.issuer, audiences, row.created_at)
