"""A server with users and policies to try, asked through its use cases and its faces."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from moorage.domain.caller import Caller, Face, RegistryKey, RequestFacts
from moorage.domain.names import RegistryId, RepositoryName
from moorage.metadata import accounts, policies, principals, repositories, resource_policies
from moorage.metadata.transaction import Transaction
from moorage.services.principals import create_user
from tests.access.evaluating import Json
from tests.access.people import OURS, REGION, policy
from tests.ecr.driver import KEY, OTHER_KEY, Driver
from tests.support.callers import proven

REGISTRY = RegistryKey(RegistryId(OURS), REGION)
APP = RepositoryName("app/web")
LIB = RepositoryName("lib/base")


class Office:
    """One server with two repositories, each with an image ``v1``."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.driver = Driver(directory, **settings)
        self.database = self.driver.database
        self.driver.create(APP, LIB)
        self.digests = {name: self.driver.push(name, name, "v1") for name in (APP, LIB)}

    def facts(self, face: Face = "json", **changes: Any) -> RequestFacts:
        """Of a request that comes now, from here, in plain HTTP."""
        request_id = "00000000-0000-4000-8000-000000000000"
        facts = RequestFacts(request_id, face, "127.0.0.1", False, "test", self.driver.now)
        return replace(facts, **changes)

    def root(self) -> Caller:
        """The root of the account."""
        return self._caller(OURS, "root", KEY.access_key_id)

    def stranger(self) -> Caller:
        """The root of another account."""
        return self._caller("999999999999", "root", OTHER_KEY.access_key_id)

    def hire(self, name: str, *statements: Json, tags: dict[str, str] | None = None) -> Caller:
        """A user with one policy of these statements."""
        self.database.write_now(_hire, name, statements, tags or {})
        return self._caller(OURS, f"user/{name}", f"AKIA{name}")

    def _caller(self, account: str, resource: str, key_id: str) -> Caller:
        arn = f"arn:aws:iam::{account}:{resource}"
        return proven(self.database, Caller(RegistryId(account), arn, key_id, REGION, self.facts()))

    def put_policy(self, name: str, *statements: Json) -> None:
        """Replace a user's policy."""
        self.database.write_now(_put_policy, name, statements)

    def close_key(self, name: str) -> None:
        """Switch a user's key off."""
        self.database.write_now(_switch_off, f"AKIA{name}")

    def put_repository_policy(self, name: str, *statements: Json) -> None:
        """Replace a repository's policy, unchecked."""
        self.database.write_now(_put_repository_policy, name, json.dumps(policy(*statements)))


def _hire(tx: Transaction, name: str, statements: tuple[Json, ...], tags: dict[str, str]) -> None:
    create_user(tx, RegistryId(OURS), name, tags=list(tags.items()))
    row = principals.find_principal(tx, OURS, "user", name)
    assert row is not None
    accounts.add_key(tx, f"AKIA{name}", row.id, b"sealed")
    _put_policy(tx, name, statements)


def _put_policy(tx: Transaction, name: str, statements: tuple[Json, ...]) -> None:
    row = principals.find_principal(tx, OURS, "user", name)
    assert row is not None
    policies.put_inline(tx, row.id, "own", json.dumps(policy(*statements)))
    principals.raise_epoch(tx, row.id)


def _switch_off(tx: Transaction, key_id: str) -> None:
    tx._connection.execute(f"UPDATE access_key SET is_active = 0 WHERE id = '{key_id}'")


def _put_repository_policy(tx: Transaction, name: str, text: str) -> None:
    row = repositories.find_repository(tx, REGISTRY, name)
    assert row is not None
    resource_policies.put_repository_policy(tx, row.id, row.policy_id, text)
