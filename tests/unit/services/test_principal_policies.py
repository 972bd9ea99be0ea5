"""Which policies apply to whom; every change of that is known to whoever derived something from it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.config import Quotas
from moorage.domain.errors import (
    InvalidRequest,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    PolicyTooLarge,
    RegistryError,
)
from moorage.domain.iam import PrincipalKind
from moorage.metadata.database import Database
from moorage.metadata.principals import find_principal
from moorage.metadata.transaction import Transaction
from moorage.services import policies, principals
from moorage.services.principal_policies import (
    attach_policy,
    delete_inline,
    detach_policy,
    get_inline,
    list_attached,
    list_inline,
    put_inline,
    set_boundary,
)
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import all_rows, fresh_database
from tests.support.identities import PULL, TRUST, add_alice, add_builder, add_policy, allow

Who = tuple[PrincipalKind, str]

ALICE: Who = ("user", "alice")
BUILDER: Who = ("role", "builder")

BOTH = pytest.mark.parametrize("who", [ALICE, BUILDER])


@pytest.fixture
def people(database: Database) -> Database:
    """The user alice, the role builder and the policies pull and push."""
    enroll(database)
    add_alice(database)
    add_builder(database)
    add_policy(database)
    add_policy(database, "push")
    return database


def epochs(database: Database) -> dict[Who, int]:
    """Those of both."""
    rows = {who: database.read_now(find_principal, ACCOUNT, *who) for who in (ALICE, BUILDER)}
    return {who: row.policy_epoch for who, row in rows.items() if row}


@BOTH
def test_policies_are_attached_and_detached(people: Database, who: Who) -> None:
    """By name or ARN; in order of their ARNs."""
    aws = people.write_now(attach_policy, ACCOUNT, *who, "AmazonEC2ContainerRegistryPullOnly")
    own = people.write_now(attach_policy, ACCOUNT, *who, f"arn:aws:iam::{ACCOUNT}:policy/pull")
    assert people.read_now(list_attached, ACCOUNT, *who) == [own, aws]
    assert people.write_now(detach_policy, ACCOUNT, *who, aws) == aws
    assert people.read_now(list_attached, ACCOUNT, *who) == [own]


def test_attaching_again_changes_nothing(people: Database) -> None:
    """As with AWS."""
    people.write_now(attach_policy, ACCOUNT, *ALICE, "pull")
    before = all_rows(people)
    people.write_now(attach_policy, ACCOUNT, *ALICE, "pull")
    assert all_rows(people) == before


def test_what_is_not_attached_cannot_be_detached(people: Database) -> None:
    """Somebody meant another policy."""
    with pytest.raises(NoSuchEntity):
        people.write_now(detach_policy, ACCOUNT, *ALICE, "pull")


@pytest.mark.parametrize(
    "call",
    [
        lambda tx, who: attach_policy(tx, ACCOUNT, who[0], who[1], "pull"),
        lambda tx, who: detach_policy(tx, ACCOUNT, who[0], who[1], "pull"),
        lambda tx, who: set_boundary(tx, ACCOUNT, who[0], who[1], "pull"),
        lambda tx, who: put_inline(tx, ACCOUNT, who[0], who[1], "own", PULL),
        lambda tx, who: delete_inline(tx, ACCOUNT, who[0], who[1], "own"),
        lambda tx, who: list_attached(tx, ACCOUNT, who[0], who[1]),
        lambda tx, who: list_inline(tx, ACCOUNT, who[0], who[1]),
    ],
)
def test_nobody_is_given_anything_who_is_not_there(
    people: Database, call: Callable[[Transaction, Who], object]
) -> None:
    """A role's name is no user's."""
    before = all_rows(people)
    with pytest.raises(NoSuchEntity):
        people.write_now(call, ("user", "builder"))
    assert all_rows(people) == before


@pytest.mark.parametrize("give", [attach_policy, set_boundary])
@pytest.mark.parametrize(
    ("reference", "refusal"),
    [
        ("absent", NoSuchEntity),
        (f"arn:aws:iam::{OTHER_ACCOUNT}:policy/pull", NoSuchEntity),
        ("arn:aws:iam::aws:policy/NoSuchPolicy", NoSuchEntity),
        (f"arn:aws:iam::{ACCOUNT}:user/alice", InvalidRequest),
    ],
)
def test_only_a_policy_that_is_there_can_be_given(
    people: Database, give: Callable[..., object], reference: str, refusal: type[RegistryError]
) -> None:
    """Not another account's either, even one that exists."""
    enroll(people, OTHER_ACCOUNT)
    people.write_now(policies.create_policy, OTHER_ACCOUNT, "pull", PULL)
    before = all_rows(people)
    with pytest.raises(refusal):
        people.write_now(give, ACCOUNT, *ALICE, reference)
    assert all_rows(people) == before


def test_so_many_policies_are_attached(tmp_path: Path) -> None:
    """The refusal names the setting."""
    directory = tmp_path / "limited"
    directory.mkdir()
    database = fresh_database(directory, quotas=Quotas(attached_policies_per_principal=1))
    enroll(database)
    add_alice(database)
    add_policy(database)
    database.write_now(attach_policy, ACCOUNT, *ALICE, "pull")
    with pytest.raises(LimitExceeded, match="attached_policies_per_principal"):
        database.write_now(attach_policy, ACCOUNT, *ALICE, "AdministratorAccess")
    database.close()


@BOTH
def test_a_boundary_is_set_replaced_and_lifted(people: Database, who: Who) -> None:
    """One at a time."""
    for reference in ("pull", "AdministratorAccess"):
        arn = people.write_now(set_boundary, ACCOUNT, *who, reference)
        assert people.read_now(principals.get_principal, ACCOUNT, *who).boundary == arn
    assert people.write_now(set_boundary, ACCOUNT, *who, None) is None
    assert people.read_now(principals.get_principal, ACCOUNT, *who).boundary is None


# --- Inline --------------------------------------------------------------------------------------------------


@BOTH
def test_inline_policies_are_put_and_removed(people: Database, who: Who) -> None:
    """As they were written; putting one again replaces it."""
    people.write_now(put_inline, ACCOUNT, *who, "own", PULL)
    people.write_now(put_inline, ACCOUNT, *who, "another", PULL)
    people.write_now(put_inline, ACCOUNT, *who, "own", allow("ecr:*"))
    assert people.read_now(list_inline, ACCOUNT, *who) == {"another": PULL, "own": allow("ecr:*")}
    assert people.read_now(get_inline, ACCOUNT, *who, "own") == allow("ecr:*")
    people.write_now(delete_inline, ACCOUNT, *who, "own")
    with pytest.raises(NoSuchEntity):
        people.read_now(get_inline, ACCOUNT, *who, "own")
    with pytest.raises(NoSuchEntity):
        people.write_now(delete_inline, ACCOUNT, *who, "own")


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("a/b", PULL, InvalidRequest),
        ("own", TRUST, MalformedPolicyDocument),
        ("own", "no", MalformedPolicyDocument),
    ],
)
def test_what_is_no_policy_is_not_put(
    people: Database, name: str, text: str, refusal: type[RegistryError]
) -> None:
    """Nothing is kept of it."""
    before = all_rows(people)
    with pytest.raises(refusal):
        people.write_now(put_inline, ACCOUNT, *ALICE, name, text)
    assert all_rows(people) == before


@pytest.mark.parametrize(("who", "limit"), [(ALICE, 2_048), (BUILDER, 10_240)])
def test_inline_policies_have_a_size_together(people: Database, who: Who, limit: int) -> None:
    """White space does not count; what is replaced does not count any more."""
    base = len(allow("ecr:").replace(" ", ""))
    half = allow("ecr:" + "x" * (limit // 2 - base))
    people.write_now(put_inline, ACCOUNT, *who, "first", half)
    people.write_now(put_inline, ACCOUNT, *who, "second", half)
    with pytest.raises(PolicyTooLarge):
        people.write_now(put_inline, ACCOUNT, *who, "third", PULL)
    people.write_now(put_inline, ACCOUNT, *who, "second", half)
    with pytest.raises(PolicyTooLarge):
        people.write_now(put_inline, ACCOUNT, *who, "second", half.replace("ecr:", "ecr:x"))


# --- Epochs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: attach_policy(tx, ACCOUNT, *ALICE, "push"),
        lambda tx: detach_policy(tx, ACCOUNT, *ALICE, "pull"),
        lambda tx: put_inline(tx, ACCOUNT, *ALICE, "own", allow("ecr:*")),
        lambda tx: delete_inline(tx, ACCOUNT, *ALICE, "own"),
        lambda tx: set_boundary(tx, ACCOUNT, *ALICE, "push"),
        lambda tx: set_boundary(tx, ACCOUNT, *ALICE, None),
    ],
)
def test_every_change_raises_the_epoch_of_whom_it_concerns(
    people: Database, change: Callable[[Transaction], object]
) -> None:
    """And of nobody else."""
    people.write_now(attach_policy, ACCOUNT, *ALICE, "pull")
    people.write_now(put_inline, ACCOUNT, *ALICE, "own", PULL)
    people.write_now(set_boundary, ACCOUNT, *ALICE, "pull")
    before = epochs(people)
    people.write_now(change)
    after = epochs(people)
    assert (after[ALICE] > before[ALICE], after[BUILDER]) == (True, before[BUILDER])


def test_a_new_text_raises_the_epoch_of_all_whom_it_concerns(people: Database) -> None:
    """Those it applies to and those it bounds."""
    people.write_now(attach_policy, ACCOUNT, *ALICE, "pull")
    people.write_now(set_boundary, ACCOUNT, *BUILDER, "pull")
    before = epochs(people)
    people.write_now(policies.put_policy, ACCOUNT, "push", allow("ecr:*"))
    assert epochs(people) == before
    people.write_now(policies.put_policy, ACCOUNT, "pull", allow("ecr:*"))
    assert all(epoch > before[who] for who, epoch in epochs(people).items())
