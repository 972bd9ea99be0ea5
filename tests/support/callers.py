"""Who asks, in tests: the root of an account, and the caller that ``--dev`` makes."""

import dataclasses

from moorage.domain.caller import Caller, Face, RegistryKey, RequestFacts
from moorage.domain.iam import root_arn
from moorage.domain.names import RegistryId, RepositoryName
from moorage.metadata.accounts import find_key
from moorage.metadata.database import Database
from moorage.services.accounts import create_root_key
from tests.support.database import START

ACCOUNT = RegistryId("000000000000")
OTHER_ACCOUNT = RegistryId("111111111111")
REGION = "us-east-1"
REGISTRY = RegistryKey(ACCOUNT, REGION)
OTHER_REGISTRY = RegistryKey(OTHER_ACCOUNT, REGION)

APP = RepositoryName("team/app")
OTHER = RepositoryName("team/other")


def request_facts(face: Face = "json") -> RequestFacts:
    """Facts of a request that nothing is remarkable about."""
    return RequestFacts("4a1f2c1e-0000-4000-8000-000000000001", face, "127.0.0.1", False, "test", START)


def root_of(account: RegistryId = ACCOUNT) -> Caller:
    """The root of an account; its key is known only after ``enroll``."""
    key = f"AKIA{account}"
    arn = root_arn(account)
    return Caller(account, arn, key, REGION, request_facts(), unique_id=account, key_created_at=START)


def proven(database: Database, caller: Caller) -> Caller:
    """The same caller by the key that it has now, switched off or not."""
    key = database.read_now(find_key, caller.access_key_id)
    assert key is not None
    return dataclasses.replace(caller, unique_id=key.unique_id, key_created_at=key.key_created_at)


def trusted(account: RegistryId = ACCOUNT) -> Caller:
    """The caller that ``--dev`` makes of whatever credentials it is given."""
    return dataclasses.replace(root_of(account), is_trusted=True)


def enroll(database: Database, *accounts: RegistryId) -> Caller:
    """Give the accounts' roots their keys; returns the first root. Without accounts, the default one."""
    enrolled = accounts or (ACCOUNT,)
    for account in enrolled:
        database.write_now(create_root_key, account, root_of(account).access_key_id, b"sealed")
    return proven(database, root_of(enrolled[0]))
