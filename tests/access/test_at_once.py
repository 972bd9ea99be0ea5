"""Policies hold from the next request on, in every process; what was never committed never holds."""

import contextlib
import json

import pytest

from moorage.domain.caller import Caller
from moorage.domain.errors import AccessDenied, CredentialsUnknown
from moorage.domain.names import Tag
from moorage.metadata import policies, principals
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from moorage.services import images, resource_policies
from moorage.services.accounts import set_account_active
from moorage.services.repositories import list_repositories
from tests.access.office import APP, REGISTRY, Office
from tests.access.people import OURS, allow, deny, policy
from tests.support.database import execute, open_again


def pull(database: Database, caller: Caller) -> None:
    """Pull ``app/web:v1``."""
    database.read_now(images.get_image, caller, REGISTRY, APP, Tag("v1"))


@pytest.mark.incident(8)
def test_a_users_policy_holds_in_every_process_from_the_next_request_on(office: Office) -> None:
    """Given, changed and taken away."""
    caller = office.hire("alice")
    another = open_again(office.database)
    for statements, is_allowed in (((allow("ecr:*"),), True), ((deny("ecr:*"),), False), ((), False)):
        office.put_policy("alice", *statements)
        for database in (office.database, another):
            with contextlib.nullcontext() if is_allowed else pytest.raises(AccessDenied):
                pull(database, caller)
    another.close()


def test_a_repositorys_policy_holds_in_every_process_from_the_next_request_on(office: Office) -> None:
    """Set, replaced, deleted."""
    stranger, root = office.stranger(), office.root()
    another = open_again(office.database)
    for action, is_allowed in (
        ("ecr:BatchGetImage", True),
        ("ecr:PutImage", False),
        ("ecr:*", True),
        ("", False),
    ):
        if action:
            text = json.dumps(policy({"Effect": "Allow", "Principal": "*", "Action": action}))
            office.database.write_now(
                resource_policies.set_repository_policy, root, REGISTRY, APP, text, is_forced=False
            )
        else:
            office.database.write_now(resource_policies.delete_repository_policy, root, REGISTRY, APP)
        for database in (office.database, another):
            with contextlib.nullcontext() if is_allowed else pytest.raises(AccessDenied):
                pull(database, stranger)
    another.close()


def test_a_key_that_is_switched_off_opens_nothing(office: Office) -> None:
    """Whatever its user may."""
    caller = office.hire("alice", allow("*"))
    pull(office.database, caller)
    office.close_key("alice")
    with pytest.raises(CredentialsUnknown):
        pull(office.database, caller)


def test_what_was_undone_is_not_remembered(office: Office) -> None:
    """A policy that a transaction wrote and judged by is gone with it, though the next one gets its number."""
    caller = office.hire("alice")

    def write_and_fail(tx: Transaction) -> None:
        row = principals.find_principal(tx, OURS, "user", "alice")
        assert row is not None
        policies.put_inline(tx, row.id, "own", json.dumps(policy(allow("*"))))
        principals.raise_epoch(tx, row.id)
        images.get_image(tx, caller, REGISTRY, APP, Tag("v1"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        office.database.write_now(write_and_fail)
    office.put_policy("alice", deny("*"))
    with pytest.raises(AccessDenied):
        pull(office.database, caller)


@pytest.mark.parametrize("of", ["repository", "registry"])
def test_a_policy_whose_text_is_gone_denies_everything(office: Office, of: str) -> None:
    """Even to the root, whom the policy allowed everything."""
    text = json.dumps(policy({"Effect": "Allow", "Principal": "*", "Action": "ecr:*", "Resource": "*"}))
    if of == "repository":
        office.database.write_now(
            resource_policies.set_repository_policy, office.root(), REGISTRY, APP, text, is_forced=False
        )
    else:
        office.database.write_now(resource_policies.put_registry_policy, office.root(), REGISTRY, text)
    # In a process that did not read it before.
    another = open_again(office.database)
    execute(office.database, "DELETE FROM resource_policy")
    with pytest.raises(AccessDenied, match="with an explicit deny in a resource-based policy"):
        pull(another, office.root())
    another.close()


def test_the_registry_of_an_account_that_is_switched_off_is_closed_to_others(office: Office) -> None:
    """In every process, whatever its policies allow, until it is switched on again."""
    office.put_repository_policy(APP, {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"})
    stranger = office.stranger()
    another = open_again(office.database)
    for is_active in (True, False, True):
        office.database.write_now(set_account_active, REGISTRY.registry_id, is_active=is_active)
        for database in (office.database, another):
            refused = pytest.raises(AccessDenied, match="because the registry's account is disabled")
            with contextlib.nullcontext() if is_active else refused:
                pull(database, stranger)
    another.close()


def test_whom_no_policy_lets_in_learns_nothing_of_the_account(office: Office) -> None:
    """The refusal is the same whether it is switched off or not."""
    refusals = []
    for is_active in (True, False):
        office.database.write_now(set_account_active, REGISTRY.registry_id, is_active=is_active)
        with pytest.raises(AccessDenied) as refusal:
            pull(office.database, office.stranger())
        refusals.append(refusal.value.facts)
    assert refusals[0] == refusals[1]


def test_a_list_shows_nothing_of_an_account_that_is_switched_off(office: Office) -> None:
    """As of one whose repositories the caller may not describe."""
    office.put_repository_policy(APP, {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"})
    office.database.write_now(set_account_active, REGISTRY.registry_id, is_active=False)
    with pytest.raises(AccessDenied):
        office.database.read_now(list_repositories, office.stranger(), REGISTRY, "", 10)
