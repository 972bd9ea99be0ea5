"""Passwords of sessions on ``/v2/``: good while the session is, and while there is whom it stands for."""

import base64
from dataclasses import replace

import pytest

from moorage.auth import tokens
from moorage.domain.caller import Session
from moorage.domain.names import RegistryId
from moorage.metadata.accounts import find_key
from moorage.metadata.sqlite import microseconds
from moorage.services import access_keys, accounts, principal_policies, principals
from tests.oci.driver import ACCOUNT, HOUR, REGION, Registry
from tests.support.identities import TRUST, allow

HOME = RegistryId(ACCOUNT)
LIST = "/v2/team/app/tags/list"


def session_of(role: principals.Principal) -> Session:
    """An hour of a role."""
    now = microseconds()
    return Session("ci", now, now + HOUR, role_arn=role.arn, unique_id=role.unique_id)


def status(registry: Registry, session: Session, path: str, key_id: str = "ASIAEXAMPLE") -> int:
    """What a path answers to the password of a session."""
    arn = f"arn:aws:iam::{ACCOUNT}:root"
    if session.role_arn is not None:
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/{session.name}"
    key = registry.database.read_now(find_key, key_id)
    claims = tokens.RegistryTokenClaims(
        ACCOUNT,
        arn,
        key_id,
        REGION,
        session.issued_at,
        session.expires_at,
        session.unique_id,
        0 if key is None else key.key_created_at,
        session,
    )
    password = tokens.issue_registry_token(registry.keyring, claims)
    header = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
    return registry.send("GET", path, account=None, authorization=header).status


@pytest.fixture
def builder(registry: Registry) -> principals.Principal:
    """A role that may list tags."""
    role = registry.database.write_now(principals.create_role, HOME, "builder", TRUST)
    may = allow("ecr:ListImages")
    registry.database.write_now(principal_policies.put_inline, HOME, "role", "builder", "may", may)
    return role


def test_a_role_s_session_opens_the_registry(registry: Registry, builder: principals.Principal) -> None:
    """The base, by which clients find out whether a password is good, and what the role may."""
    session = session_of(builder)
    assert status(registry, session, "/v2/") == 200
    assert status(registry, session, LIST) == 200
    narrow = replace(session, policies=(allow("ecr:PutImage"),))
    assert status(registry, narrow, LIST) == 403


def test_a_password_ends_with_its_session(registry: Registry, builder: principals.Principal) -> None:
    """It is read again at every request."""
    session = replace(session_of(builder), expires_at=microseconds() - 1)
    assert {status(registry, session, path) for path in ("/v2/", LIST)} == {403}


@pytest.mark.incident(12)
def test_a_password_ends_with_the_role(registry: Registry, builder: principals.Principal) -> None:
    """Another role of the same name is another role."""
    session = session_of(builder)
    registry.database.write_now(principal_policies.delete_inline, HOME, "role", "builder", "may")
    registry.database.write_now(principals.delete_principal, HOME, "role", "builder")
    assert status(registry, session, "/v2/") == 401
    registry.database.write_now(principals.create_role, HOME, "builder", TRUST)
    assert status(registry, session, "/v2/") == 401


def test_a_password_ends_with_the_account(registry: Registry, builder: principals.Principal) -> None:
    """As all that is given out in it does."""
    session = session_of(builder)
    registry.database.write_now(accounts.set_account_active, HOME, is_active=False)
    assert {status(registry, session, path) for path in ("/v2/", LIST)} == {403}


def test_the_password_of_ones_own_session_ends_with_the_key_that_began_it(registry: Registry) -> None:
    """For a root as for users, wherever it is used."""
    key_id, now = f"AKIA{ACCOUNT}", microseconds()
    session = Session("", now, now + HOUR, unique_id=ACCOUNT)
    assert [status(registry, session, path, key_id) for path in ("/v2/", LIST)] == [200, 200]
    registry.database.write_now(access_keys.set_key_active, HOME, key_id, is_active=False)
    assert {status(registry, session, path, key_id) for path in ("/v2/", LIST)} == {401}
