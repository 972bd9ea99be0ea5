"""Changes of identities that meet, on every database: of two that cannot both be true one is refused."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from moorage.auth.credentials import generate_access_key
from moorage.auth.sealing import MasterKey
from moorage.domain.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
    RegistryError,
)
from moorage.metadata.principals import find_principal
from moorage.metadata.transaction import Transaction
from moorage.services import access_keys, policies, principal_policies, principals
from tests.support.callers import ACCOUNT, enroll
from tests.support.database import execute, fresh_database, open_again
from tests.support.identities import PULL, allow
from tests.support.racing import Race

ROUNDS = 6
MASTER_KEY = MasterKey(bytes(32))


@pytest.fixture
def race(tmp_path: Path) -> Iterator[Race]:
    """Two handles on a database with the default account."""
    database = fresh_database(tmp_path)
    enroll(database)
    race = Race(database, open_again(database))
    yield race
    race.close()
    for handle in reversed(race.databases):
        handle.close()


def users(race: Race) -> Iterator[str]:
    """A user and a managed policy of the same name for each round."""
    for number in range(ROUNDS):
        name = f"round-{number}"
        race.databases[0].write_now(principals.create_user, ACCOUNT, name)
        race.databases[0].write_now(policies.create_policy, ACCOUNT, name, PULL)
        yield name


def refused(outcomes: list[Any]) -> set[type]:
    """The refusals among the outcomes; one of two succeeded."""
    refusals = {type(outcome) for outcome in outcomes if isinstance(outcome, RegistryError)}
    assert len([outcome for outcome in outcomes if not isinstance(outcome, RegistryError)]) == 1
    return refusals


def call(use_case: Callable[..., Any], *arguments: Any) -> Callable[[Transaction], Any]:
    """A use case on the default account."""
    return lambda tx: use_case(tx, ACCOUNT, *arguments)


def test_a_policy_is_attached_or_removed(race: Race) -> None:
    """Nobody is left with a policy that is not there."""
    for name in users(race):
        attach = call(principal_policies.attach_policy, "user", name, name)
        assert refused(race.run(attach, call(policies.delete_policy, name))) <= {NoSuchEntity, DeleteConflict}
    assert_nothing_dangles(race)


def test_a_policy_bounds_somebody_or_is_removed(race: Race) -> None:
    """A boundary that is not there would bound nothing, or everything."""
    for name in users(race):
        bound = call(principal_policies.set_boundary, "user", name, name)
        assert refused(race.run(bound, call(policies.delete_policy, name))) <= {NoSuchEntity, DeleteConflict}
    assert_nothing_dangles(race)


def test_a_user_is_given_a_policy_or_removed(race: Race) -> None:
    """Attached or inline."""
    for number, name in enumerate(users(race)):
        give = (
            call(principal_policies.attach_policy, "user", name, name)
            if number % 2
            else call(principal_policies.put_inline, "user", name, "own", PULL)
        )
        delete = call(principals.delete_principal, "user", name)
        assert refused(race.run(give, delete)) <= {NoSuchEntity, DeleteConflict}


def test_a_user_is_given_a_key_or_removed(race: Race) -> None:
    """A key that is nobody's would open nothing, and could not be given again."""
    for name in users(race):
        give = call(access_keys.create_access_key, name, generate_access_key(), MASTER_KEY)
        delete = call(principals.delete_principal, "user", name)
        assert refused(race.run(give, delete)) <= {NoSuchEntity, DeleteConflict}


def test_the_last_key_of_a_quota_is_given_once(race: Race) -> None:
    """Of two that come together."""
    for name in users(race):
        race.databases[0].write_now(
            access_keys.create_access_key, ACCOUNT, name, generate_access_key(), MASTER_KEY
        )
        keys = [call(access_keys.create_access_key, name, generate_access_key(), MASTER_KEY) for _ in range(2)]
        assert refused(race.run(*keys)) == {LimitExceeded}


def test_a_name_is_taken_once(race: Race) -> None:
    """Whatever its capitals."""
    for number in range(ROUNDS):
        both = [call(principals.create_user, name) for name in (f"alice{number}", f"ALICE{number}")]
        assert refused(race.run(*both)) == {EntityAlreadyExists}


def test_no_change_of_a_policy_is_missed(race: Race) -> None:
    """Whoever is given a policy while its text is replaced has an epoch that tells of both, or of the later one."""
    for name in users(race):
        before = epoch_of(race, name)
        outcomes = race.run(
            call(principal_policies.attach_policy, "user", name, name),
            call(policies.put_policy, name, allow("ecr:*")),
        )
        assert not any(isinstance(outcome, Exception) for outcome in outcomes)
        assert epoch_of(race, name) > before
        assert race.databases[0].read_now(policies.get_policy, ACCOUNT, name).text == allow("ecr:*")


def epoch_of(race: Race, name: str) -> int:
    """That of a user."""
    row = race.databases[0].read_now(partial(find_principal, account_id=ACCOUNT, kind="user", name=name))
    assert row is not None
    return row.policy_epoch


def assert_nothing_dangles(race: Race) -> None:
    """Every policy that is attached or bounds somebody is there."""
    there = {policy.arn for policy in race.databases[0].read_now(policies.list_policies, ACCOUNT, "", 100)}
    attached = execute(race.databases[0], "SELECT policy_arn FROM policy_attachment")
    bounding = execute(race.databases[0], "SELECT boundary FROM principal WHERE boundary IS NOT NULL")
    assert {arn for (arn,) in [*attached, *bounding]} <= there
