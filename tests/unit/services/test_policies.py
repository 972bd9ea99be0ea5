"""Managed policies: an account's own, and those of AWS."""

import json
from pathlib import Path

import pytest

from moorage.config import Quotas
from moorage.domain.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidRequest,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    PolicyTooLarge,
    RegistryError,
)
from moorage.metadata.database import Database
from moorage.services import policies, principal_policies
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import START, Clock, all_rows, fresh_database
from tests.support.identities import PULL, TRUST, add_alice, add_policy, allow

AWS_ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"

pytestmark = pytest.mark.usefixtures("caller")


def test_a_policy_is_kept_as_it_was_written(database: Database) -> None:
    """Under an ARN with its path."""
    text = PULL.replace(",", " ,\n")
    made = database.write_now(policies.create_policy, ACCOUNT, "pull", text, "/team/")
    assert made.arn == f"arn:aws:iam::{ACCOUNT}:policy/team/pull"
    assert (made.text, made.created_at, made.updated_at, made.is_of_aws) == (text, START, START, False)
    assert made.unique_id.startswith("ANPA")
    assert database.read_now(policies.get_policy, ACCOUNT, made.arn) == made
    assert database.read_now(policies.get_policy, ACCOUNT, "pull") == made


@pytest.mark.parametrize("name", ["pull", "PULL"])
def test_a_name_is_taken_once(database: Database, name: str) -> None:
    """Whatever its capitals, and whatever its path."""
    add_policy(database)
    with pytest.raises(EntityAlreadyExists):
        database.write_now(policies.create_policy, ACCOUNT, name, PULL, "/other/")


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("two words", PULL, InvalidRequest),
        ("pull", "", MalformedPolicyDocument),
        ("pull", "[]", MalformedPolicyDocument),
        ("pull", TRUST, MalformedPolicyDocument),
        ("pull", PULL.replace("Allow", "Perhaps"), MalformedPolicyDocument),
        ("pull", allow("ecr:Get" + "x" * 6200), PolicyTooLarge),
        ("pull", PULL + " " * 131_072, PolicyTooLarge),
    ],
)
def test_what_is_no_policy_of_an_identity_is_refused(
    database: Database, name: str, text: str, refusal: type[RegistryError]
) -> None:
    """Neither made nor put in place of one."""
    before = all_rows(database)
    with pytest.raises(refusal):
        database.write_now(policies.create_policy, ACCOUNT, name, text)
    assert all_rows(database) == before
    add_policy(database)
    if refusal is not InvalidRequest:
        with pytest.raises(refusal):
            database.write_now(policies.put_policy, ACCOUNT, "pull", text)
    assert database.read_now(policies.get_policy, ACCOUNT, "pull").text == PULL


def test_white_space_does_not_count(database: Database) -> None:
    """6,144 characters that say something."""
    base = allow("ecr:Get")
    size = len(base.replace(" ", ""))
    text = allow("ecr:Get" + "x" * (6_144 - size))
    assert len(text) > 6_144
    database.write_now(policies.create_policy, ACCOUNT, "long", text)
    with pytest.raises(PolicyTooLarge):
        database.write_now(
            policies.create_policy, ACCOUNT, "longer", text.replace("ecr:Get", "ecr:Getx"), "/x/"
        )


def test_a_policy_is_replaced(database: Database, clock: Clock) -> None:
    """It stays the same policy, and says when."""
    made = add_policy(database)
    clock.advance(seconds=5)
    put = database.write_now(policies.put_policy, ACCOUNT, "pull", allow("ecr:*"))
    assert (put.arn, put.unique_id, put.created_at) == (made.arn, made.unique_id, made.created_at)
    assert (put.text, put.updated_at) == (allow("ecr:*"), clock.now)


@pytest.mark.parametrize("reference", ["absent", f"arn:aws:iam::{ACCOUNT}:policy/absent"])
def test_a_policy_that_is_not_there_is_not_found(database: Database, reference: str) -> None:
    """By whatever it is called."""
    with pytest.raises(NoSuchEntity):
        database.read_now(policies.get_policy, ACCOUNT, reference)


def test_a_policy_of_another_path_is_another_one(database: Database) -> None:
    """An ARN is read whole."""
    add_policy(database)
    with pytest.raises(NoSuchEntity):
        database.read_now(policies.get_policy, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:policy/team/pull")


def test_policies_of_other_accounts_are_not_found(database: Database) -> None:
    """Their own can be attached there alone."""
    enroll(database, OTHER_ACCOUNT)
    made = add_policy(database)
    for reference in (made.arn, "pull"):
        with pytest.raises(NoSuchEntity):
            database.read_now(policies.get_policy, OTHER_ACCOUNT, reference)
    with pytest.raises(NoSuchEntity):
        database.write_now(policies.delete_policy, OTHER_ACCOUNT, "pull")


def test_policies_are_listed_by_pages(database: Database) -> None:
    """In bytewise order of their names."""
    for name in ("b", "a", "c"):
        add_policy(database, name)
    first = database.read_now(policies.list_policies, ACCOUNT, "", 2)
    rest = database.read_now(policies.list_policies, ACCOUNT, first[-1].name, 2)
    assert [[policy.name for policy in page] for page in (first, rest)] == [["a", "b"], ["c"]]


def test_an_account_has_so_many_policies(tmp_path: Path) -> None:
    """The refusal names the setting."""
    directory = tmp_path / "limited"
    directory.mkdir()
    database = fresh_database(directory, quotas=Quotas(policies_per_account=1))
    enroll(database)
    add_policy(database)
    with pytest.raises(LimitExceeded, match="policies_per_account"):
        add_policy(database, "second")
    database.close()


def test_a_policy_that_applies_to_somebody_is_not_removed(database: Database) -> None:
    """Nor one that bounds somebody."""
    add_alice(database)
    add_policy(database)
    database.write_now(principal_policies.attach_policy, ACCOUNT, "user", "alice", "pull")
    with pytest.raises(DeleteConflict, match="attached"):
        database.write_now(policies.delete_policy, ACCOUNT, "pull")
    database.write_now(principal_policies.detach_policy, ACCOUNT, "user", "alice", "pull")
    database.write_now(principal_policies.set_boundary, ACCOUNT, "user", "alice", "pull")
    with pytest.raises(DeleteConflict, match="boundary"):
        database.write_now(policies.delete_policy, ACCOUNT, "pull")
    database.write_now(principal_policies.set_boundary, ACCOUNT, "user", "alice", None)
    database.write_now(policies.delete_policy, ACCOUNT, "pull")
    assert database.read_now(policies.list_policies, ACCOUNT, "", 10) == []


# --- Those of AWS --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [AWS_ADMIN, "AdministratorAccess"])
def test_a_policy_of_aws_is_there_for_every_account(database: Database, reference: str) -> None:
    """By its ARN and by its name."""
    found = database.read_now(policies.get_policy, ACCOUNT, reference)
    assert (found.arn, found.is_of_aws) == (AWS_ADMIN, True)
    assert json.loads(found.text)["Statement"]


def test_a_policy_of_aws_cannot_be_changed(database: Database) -> None:
    """It is none of the account's."""
    with pytest.raises(NoSuchEntity):
        database.write_now(policies.put_policy, ACCOUNT, "AdministratorAccess", PULL)
    with pytest.raises(NoSuchEntity):
        database.write_now(policies.delete_policy, ACCOUNT, "AdministratorAccess")


def test_a_name_means_the_accounts_own_policy_first(database: Database) -> None:
    """Its ARN still means that of AWS."""
    own = add_policy(database, "AdministratorAccess")
    assert database.read_now(policies.get_policy, ACCOUNT, "AdministratorAccess") == own
    assert database.read_now(policies.get_policy, ACCOUNT, AWS_ADMIN).is_of_aws


def test_those_of_aws_are_listed() -> None:
    """With names to attach them by."""
    assert {"AdministratorAccess", "AmazonEC2ContainerRegistryPullOnly"} <= {
        policy.name for policy in policies.list_aws_policies()
    }
