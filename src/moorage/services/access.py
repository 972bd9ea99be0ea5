"""Who may do what: the one decision behind both faces."""

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import AccessDenied, AccountSwitchedOff, CredentialsUnknown
from moorage.domain.names import RepositoryName
from moorage.metadata import accounts
from moorage.metadata.accounts import KeyState
from moorage.metadata.transaction import Transaction


def authorize(
    tx: Transaction,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    repository_name: RepositoryName | None = None,
) -> None:
    """Allow this caller this action on a registry or one of its repositories, or raise.

    The key's own state is read in this very transaction: a key that was switched off opens nothing from then on.
    Comes before existence, so that a refusal says nothing of what is there. An account's root may do everything
    in its own account and nothing in another's; nobody else may do anything.

    Raises ``CredentialsUnknown``, ``AccountSwitchedOff``, ``AccessDenied``.
    """
    if not caller.is_trusted:
        judge(accounts.find_key_state(tx, caller.access_key_id), caller, action, registry, repository_name)


def judge(
    key: KeyState | None,
    caller: Caller,
    action: str,
    registry: RegistryKey,
    repository_name: RepositoryName | None = None,
) -> None:
    """``authorize`` on what was read already, by the statement that also reads what is asked for (``metadata/asked``).

    Judges by the key alone, before anybody looks at what exists.
    """
    if caller.is_trusted:
        return
    if key is None or not key.is_key_active:
        raise CredentialsUnknown
    if not key.is_account_active:
        raise AccountSwitchedOff
    is_own = key.account_id == registry.registry_id
    if is_own and key.principal_kind == "root":
        return
    raise AccessDenied(
        principal=caller.principal_arn,
        action=action,
        resource=_resource(registry, repository_name),
        reason=f"because no {'identity' if is_own else 'resource'}-based policy allows the {action} action",
    )


def _resource(registry: RegistryKey, repository_name: RepositoryName | None) -> str:
    if repository_name is None:
        return "*"
    return str(RepositoryArn(registry.region, registry.registry_id, repository_name))
