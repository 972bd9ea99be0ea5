"""Users and roles: made, shown, tagged, removed."""

from pathlib import Path
from typing import Any

import pytest

from moorage.config import Quotas
from moorage.domain.caller import Caller
from moorage.domain.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidRequest,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    PolicyTooLarge,
    RegistryError,
    ResourceTagInvalid,
)
from moorage.domain.iam import PrincipalKind
from moorage.metadata.database import Database
from moorage.metadata.principals import find_principal
from moorage.services import accounts, principal_policies, principals
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import START, all_rows, fresh_database
from tests.support.identities import PULL, TRUST, add_alice, add_builder, add_policy

BOTH: list[PrincipalKind] = ["user", "role"]

pytestmark = pytest.mark.usefixtures("caller")


def epoch_of(database: Database, kind: PrincipalKind, name: str) -> int:
    """Changes with whatever applies to a principal."""
    row = database.read_now(find_principal, ACCOUNT, kind, name)
    assert row is not None
    return row.policy_epoch


def add(database: Database, kind: PrincipalKind, name: str, **facts: Any) -> principals.Principal:
    """A user or role."""
    if kind == "user":
        return database.write_now(principals.create_user, ACCOUNT, name, **facts)
    return database.write_now(principals.create_role, ACCOUNT, name, TRUST, **facts)


@pytest.mark.parametrize(("kind", "prefix"), [("user", "AIDA"), ("role", "AROA")])
def test_a_principal_has_an_arn_and_an_id_of_its_own(
    database: Database, kind: PrincipalKind, prefix: str
) -> None:
    """Of AWS's forms."""
    made = add(database, kind, "alice", path="/team/", tags=[("Team", "a")])
    assert made.arn == f"arn:aws:iam::{ACCOUNT}:{kind}/team/alice"
    assert made.unique_id.startswith(prefix)
    assert len(made.unique_id) == 21
    assert made.unique_id.isalnum()
    assert made.unique_id.isupper()
    assert (made.created_at, made.tags, made.boundary) == (START, {"Team": "a"}, None)
    assert database.read_now(principals.get_principal, ACCOUNT, kind, "alice") == made


def test_who_comes_back_is_somebody_else(database: Database) -> None:
    """What was said of the unique id of the one who left does not hold for the one of the same name."""
    first = add_alice(database)
    database.write_now(principals.delete_principal, ACCOUNT, "user", "alice")
    second = add_alice(database)
    assert (first.arn, first.unique_id != second.unique_id) == (second.arn, True)


def test_a_user_and_a_role_may_share_a_name(database: Database) -> None:
    """They have different ARNs."""
    add(database, "user", "alice")
    assert add(database, "role", "alice").kind == "role"


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", ["alice", "ALICE", "Alice"])
def test_names_differ_in_more_than_capitals(database: Database, kind: PrincipalKind, name: str) -> None:
    """AWS: names are told apart as they are written, but not by their capitals alone."""
    add(database, kind, "alice")
    with pytest.raises(EntityAlreadyExists):
        add(database, kind, name)


def test_names_are_those_of_one_account(database: Database) -> None:
    """Another one's alice is somebody else."""
    enroll(database, OTHER_ACCOUNT)
    add_alice(database)
    database.write_now(principals.create_user, OTHER_ACCOUNT, "alice")
    database.write_now(principals.delete_principal, OTHER_ACCOUNT, "user", "alice")
    assert database.read_now(principals.get_principal, ACCOUNT, "user", "alice").name == "alice"


def test_an_account_is_needed(database: Database) -> None:
    """It is not made along the way: a mistyped one would be."""
    with pytest.raises(NoSuchEntity, match="account"):
        database.write_now(principals.create_user, OTHER_ACCOUNT, "alice")
    with pytest.raises(NoSuchEntity):
        database.read_now(principals.list_principals, OTHER_ACCOUNT, "user", "", 10)


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"name": "two words"}, InvalidRequest),
        ({"name": "x" * 65}, InvalidRequest),
        ({"path": "team"}, InvalidRequest),
        ({"tags": [("", "a")]}, ResourceTagInvalid),
        ({"tags": [("aws:a", "b")]}, ResourceTagInvalid),
        ({"tags": [("team", "a"), ("Team", "b")]}, InvalidRequest),
        ({"tags": [(f"key{number}", "a") for number in range(51)]}, InvalidRequest),
    ],
)
def test_what_is_not_of_the_grammar_is_refused(
    database: Database, facts: dict[str, Any], refusal: type[RegistryError]
) -> None:
    """Nothing is kept of it."""
    before = all_rows(database)
    with pytest.raises(refusal):
        add(database, "user", **({"name": "alice"} | facts))
    assert all_rows(database) == before


@pytest.mark.parametrize("kind", BOTH)
def test_principals_are_listed_by_pages(database: Database, kind: PrincipalKind) -> None:
    """In bytewise order of their names; the other kind and the root are not among them."""
    for name in ("b", "a", "C", "d", "e"):
        add(database, kind, name)
    add(database, "role" if kind == "user" else "user", "other")
    first = database.read_now(principals.list_principals, ACCOUNT, kind, "", 3)
    rest = database.read_now(principals.list_principals, ACCOUNT, kind, first[-1].name, 3)
    assert [one.name for one in first] == ["C", "a", "b"]
    assert [one.name for one in rest] == ["d", "e"]


@pytest.mark.parametrize("kind", BOTH)
def test_an_account_has_so_many_of_them(tmp_path: Path, kind: PrincipalKind) -> None:
    """The refusal names the setting; 0 lifts it."""
    quotas = Quotas(users_per_account=1, roles_per_account=1)
    for limited in (quotas, Quotas(users_per_account=0, roles_per_account=0)):
        (tmp_path / str(limited.users_per_account)).mkdir()
        database = fresh_database(tmp_path / str(limited.users_per_account), quotas=limited)
        enroll(database)
        add(database, kind, "first")
        if limited is quotas:
            with pytest.raises(LimitExceeded, match=f"{kind}s_per_account"):
                add(database, kind, "second")
        else:
            add(database, kind, "second")
        database.close()


# --- Roles ---------------------------------------------------------------------------------------------------


def test_a_role_keeps_its_trust_policy_as_it_was_written(database: Database) -> None:
    """White space too."""
    spaced = TRUST.replace(",", " ,\n")
    role = database.write_now(principals.create_role, ACCOUNT, "builder", spaced)
    assert (role.trust_policy, role.max_session_seconds) == (spaced, 3600)


@pytest.mark.parametrize(
    ("trust", "refusal"),
    [("{}", MalformedPolicyDocument), (PULL, MalformedPolicyDocument), ("x" * 2049, PolicyTooLarge)],
)
def test_a_role_needs_a_policy_that_says_who_may_assume_it(
    database: Database, trust: str, refusal: type[RegistryError]
) -> None:
    """A policy of another kind is none."""
    with pytest.raises(refusal):
        database.write_now(principals.create_role, ACCOUNT, "builder", trust)
    add_builder(database)
    with pytest.raises(refusal):
        database.write_now(principals.update_role, ACCOUNT, "builder", trust)


@pytest.mark.parametrize(("seconds", "is_taken"), [(899, False), (900, True), (43_200, True), (43_201, False)])
def test_sessions_of_a_role_last_between_bounds(database: Database, seconds: int, is_taken: bool) -> None:
    """Fifteen minutes and twelve hours."""
    add_builder(database)
    if is_taken:
        role = database.write_now(principals.update_role, ACCOUNT, "builder", None, max_session_seconds=seconds)
        assert (role.max_session_seconds, role.trust_policy) == (seconds, TRUST)
    else:
        with pytest.raises(InvalidRequest):
            database.write_now(principals.update_role, ACCOUNT, "builder", None, max_session_seconds=seconds)
        with pytest.raises(InvalidRequest):
            add(database, "role", "other", max_session_seconds=seconds)


def test_who_may_assume_a_role_can_be_changed(database: Database) -> None:
    """The longest session stays."""
    add(database, "role", "builder", max_session_seconds=7200)
    other = TRUST.replace("root", "user/alice")
    role = database.write_now(principals.update_role, ACCOUNT, "builder", other)
    assert (role.trust_policy, role.max_session_seconds) == (other, 7200)


# --- Tags ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BOTH)
def test_tags_are_put_and_taken(database: Database, kind: PrincipalKind) -> None:
    """A key that differs in its capitals alone is the same one."""
    add(database, kind, "alice", tags=[("Team", "a"), ("cost", "1")])
    database.write_now(principals.tag_principal, ACCOUNT, kind, "alice", [("team", "b"), ("new", "2")])
    assert database.read_now(principals.get_principal, ACCOUNT, kind, "alice").tags == {
        "cost": "1",
        "new": "2",
        "team": "b",
    }
    database.write_now(principals.untag_principal, ACCOUNT, kind, "alice", ["team", "absent"])
    assert database.read_now(principals.get_principal, ACCOUNT, kind, "alice").tags == {"cost": "1", "new": "2"}


def test_tags_are_never_too_many(database: Database) -> None:
    """Fifty, however they come."""
    add(database, "user", "alice", tags=[(f"key{number}", "a") for number in range(50)])
    database.write_now(principals.tag_principal, ACCOUNT, "user", "alice", [("KEY7", "b")])
    with pytest.raises(InvalidRequest, match="50 tags"):
        database.write_now(principals.tag_principal, ACCOUNT, "user", "alice", [("another", "b")])


@pytest.mark.parametrize("kind", BOTH)
def test_what_was_derived_is_out_of_date_with_the_tags(database: Database, kind: PrincipalKind) -> None:
    """Conditions may ask for them."""
    add(database, kind, "alice")
    epochs = [epoch_of(database, kind, "alice")]
    database.write_now(principals.tag_principal, ACCOUNT, kind, "alice", [("team", "b")])
    epochs.append(epoch_of(database, kind, "alice"))
    database.write_now(principals.untag_principal, ACCOUNT, kind, "alice", ["team"])
    epochs.append(epoch_of(database, kind, "alice"))
    assert epochs == sorted(set(epochs))


# --- Removed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BOTH)
def test_who_still_has_policies_is_not_removed(database: Database, kind: PrincipalKind) -> None:
    """First what belongs to it, as with AWS."""
    add(database, kind, "alice")
    add_policy(database)
    database.write_now(principal_policies.attach_policy, ACCOUNT, kind, "alice", "pull")
    with pytest.raises(DeleteConflict, match="detach all policies"):
        database.write_now(principals.delete_principal, ACCOUNT, kind, "alice")
    database.write_now(principal_policies.detach_policy, ACCOUNT, kind, "alice", "pull")
    database.write_now(principal_policies.put_inline, ACCOUNT, kind, "alice", "own", PULL)
    with pytest.raises(DeleteConflict, match="delete policies"):
        database.write_now(principals.delete_principal, ACCOUNT, kind, "alice")
    database.write_now(principal_policies.delete_inline, ACCOUNT, kind, "alice", "own")
    database.write_now(principals.delete_principal, ACCOUNT, kind, "alice")
    with pytest.raises(NoSuchEntity):
        database.read_now(principals.get_principal, ACCOUNT, kind, "alice")


def test_a_root_is_no_user(database: Database, caller: Caller) -> None:
    """It can be neither shown nor removed as one."""
    for kind in BOTH:
        with pytest.raises(NoSuchEntity):
            database.write_now(principals.delete_principal, ACCOUNT, kind, "root")
    assert database.read_now(accounts.find_key_holder, caller.access_key_id).account_id == ACCOUNT
