"""Who may do what: asked in the transaction itself, before anything is said of what exists."""

from collections.abc import Callable

import pytest

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import AccessDenied, AccountSwitchedOff, CredentialsUnknown, RegistryError
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata.database import Database
from moorage.metadata.transaction import Transaction
from moorage.rules.tag_mutability import TagMutability
from moorage.services import (
    accounts,
    image_batches,
    image_lists,
    images,
    layers,
    registry_settings,
    repositories,
    resource_policies,
    tagging,
    uploads,
)
from moorage.services.access import authorize
from moorage.services.image_ids import ImageId
from moorage.services.uploads import PlacedBlob
from tests.support.callers import (
    ACCOUNT,
    APP,
    OTHER_ACCOUNT,
    OTHER_REGISTRY,
    REGION,
    REGISTRY,
    enroll,
    proven,
    root_of,
    trusted,
)
from tests.support.content import Shelf
from tests.support.database import all_rows, execute
from tests.support.manifests import image_manifest

DIGEST = Digest.of(b"content")
ARN = RepositoryArn(REGION, ACCOUNT, APP)
ABSENT_ARN = RepositoryArn(REGION, ACCOUNT, RepositoryName("absent"))

POLICY = '{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*"}}'

#: Every use case that a request can reach, as a call on a repository of the default registry.
CALLS: dict[str, Callable[[Transaction, Caller, RepositoryName], object]] = {
    "get_image": lambda tx, who, name: images.get_image(tx, who, REGISTRY, name, Tag("v1")),
    "put_image": lambda tx, who, name: images.put_image(
        tx, who, REGISTRY, name, image_manifest(), [], is_repeat_refused=False
    ),
    "batch_get_images": lambda tx, who, name: image_batches.batch_get_images(
        tx, who, REGISTRY, name, [ImageId(tag="v1")]
    ),
    "batch_delete_images": lambda tx, who, name: image_batches.batch_delete_images(
        tx, who, REGISTRY, name, [ImageId(tag="v1")]
    ),
    "delete_image": lambda tx, who, name: image_batches.delete_image(tx, who, REGISTRY, name, DIGEST),
    "delete_tag": lambda tx, who, name: image_batches.delete_tag(tx, who, REGISTRY, name, Tag("v1")),
    "list_images": lambda tx, who, name: image_lists.list_images(tx, who, REGISTRY, name, "ANY", (0, 0), 10),
    "list_image_details": lambda tx, who, name: image_lists.list_image_details(
        tx, who, REGISTRY, name, "ANY", 0, 10
    ),
    "describe_images": lambda tx, who, name: image_lists.describe_images(
        tx, who, REGISTRY, name, [ImageId(tag="v1")], "ANY"
    ),
    "list_tags": lambda tx, who, name: image_lists.list_tags(tx, who, REGISTRY, name, "", 10),
    "list_referrers": lambda tx, who, name: image_lists.list_referrers(
        tx, who, REGISTRY, name, DIGEST, [], "", 10
    ),
    "get_layer": lambda tx, who, name: layers.get_layer(tx, who, REGISTRY, name, DIGEST),
    "get_downloadable_layer": lambda tx, who, name: layers.get_downloadable_layer(
        tx, who, REGISTRY, name, DIGEST
    ),
    "check_layers": lambda tx, who, name: layers.check_layers(tx, who, REGISTRY, name, [str(DIGEST)]),
    "delete_layer": lambda tx, who, name: layers.delete_layer(tx, who, REGISTRY, name, DIGEST),
    "mount_layer": lambda tx, who, name: layers.mount_layer(tx, who, REGISTRY, name, DIGEST, None),
    "describe_repositories": lambda tx, who, name: repositories.describe_repositories(
        tx, who, REGISTRY, [name]
    ),
    "delete_repository": lambda tx, who, name: repositories.delete_repository(
        tx, who, REGISTRY, name, is_forced=True
    ),
    "put_tag_mutability": lambda tx, who, name: repositories.put_tag_mutability(
        tx, who, REGISTRY, name, TagMutability.IMMUTABLE, []
    ),
    "start_upload": lambda tx, who, name: uploads.start_upload(tx, who, REGISTRY, name),
    "get_upload": lambda tx, who, name: uploads.get_upload(tx, who, REGISTRY, name, "upload"),
    "begin_writing": lambda tx, who, name: uploads.begin_writing(
        tx, who, REGISTRY, name, "upload", first_byte=None
    ),
    "cancel_upload": lambda tx, who, name: uploads.cancel_upload(tx, who, REGISTRY, name, "upload"),
    "store_layer": lambda tx, who, name: uploads.store_layer(
        tx, who, REGISTRY, name, PlacedBlob(DIGEST, 7, "somewhere"), []
    ),
    "tag_resource": lambda tx, who, name: tagging.tag_resource(
        tx, who, RepositoryArn(REGION, ACCOUNT, name), [("a", "b")]
    ),
    "untag_resource": lambda tx, who, name: tagging.untag_resource(
        tx, who, RepositoryArn(REGION, ACCOUNT, name), ["a"]
    ),
    "list_resource_tags": lambda tx, who, name: tagging.list_resource_tags(
        tx, who, RepositoryArn(REGION, ACCOUNT, name)
    ),
    "check_push": lambda tx, who, name: images.check_push(tx, who, REGISTRY, name, [], None),
    "set_repository_policy": lambda tx, who, name: resource_policies.set_repository_policy(
        tx, who, REGISTRY, name, POLICY, is_forced=False
    ),
    "get_repository_policy": lambda tx, who, name: resource_policies.get_repository_policy(
        tx, who, REGISTRY, name
    ),
    "delete_repository_policy": lambda tx, who, name: resource_policies.delete_repository_policy(
        tx, who, REGISTRY, name
    ),
    "put_registry_policy": lambda tx, who, name: resource_policies.put_registry_policy(
        tx, who, REGISTRY, POLICY
    ),
    "get_registry_policy": lambda tx, who, name: resource_policies.get_registry_policy(tx, who, REGISTRY),
    "delete_registry_policy": lambda tx, who, name: resource_policies.delete_registry_policy(tx, who, REGISTRY),
    "create_repository": lambda tx, who, name: repositories.create_repository(tx, who, REGISTRY, name),
    "list_repositories": lambda tx, who, name: repositories.list_repositories(tx, who, REGISTRY, "", 10),
    "describe_registry": lambda tx, who, name: registry_settings.describe_registry(tx, who, REGISTRY),
    "get_account_setting": lambda tx, who, name: registry_settings.get_account_setting(
        tx, who, REGISTRY, "BLOB_MOUNTING"
    ),
    "put_account_setting": lambda tx, who, name: registry_settings.put_account_setting(
        tx, who, REGISTRY, "BLOB_MOUNTING", "DISABLED"
    ),
}

#: Use cases that take a caller, by the modules that hold them.
MODULES = (
    image_batches,
    image_lists,
    images,
    layers,
    registry_settings,
    repositories,
    resource_policies,
    tagging,
    uploads,
)


def switch_off(database: Database, table: str) -> None:
    """Make every key, or every account, inactive."""
    execute(database, f"UPDATE {table} SET is_active = 0")


def become(database: Database, kind: str) -> None:
    """Turn every root into alice of another kind."""
    execute(
        database,
        f"UPDATE principal SET kind = '{kind}', path = '/team/', name = 'alice', unique_id = 'AIDALICE'",
    )


def test_every_use_case_that_takes_a_caller_is_tried_here() -> None:
    """A new one cannot be forgotten: it has ``caller`` among its parameters."""
    public = {
        name
        for module in MODULES
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and "caller" in getattr(value, "__annotations__", {})
        and not name.startswith("_")
    }
    inner = {"open_repository", "open_standing", "open_for_push", "untag"}
    assert public - inner == CALLS.keys()


@pytest.mark.parametrize("name", ["team/app", "absent"])
@pytest.mark.parametrize("call", CALLS)
def test_another_account_is_denied_whether_or_not_it_exists(shelf: Shelf, call: str, name: str) -> None:
    """The refusal says nothing of what is there, and nothing changes."""
    enroll(shelf.database, OTHER_ACCOUNT)
    stranger = root_of(OTHER_ACCOUNT)
    before = all_rows(shelf.database)
    with pytest.raises(AccessDenied) as error:
        shelf.database.write_now(CALLS[call], stranger, RepositoryName(name))
    assert error.value.facts["principal"] == stranger.principal_arn
    assert error.value.facts["resource"] in {
        "*",
        *(str(RepositoryArn(REGION, ACCOUNT, RepositoryName(one))) for one in ("*", name)),
    }
    assert all_rows(shelf.database) == before


@pytest.mark.parametrize(
    ("table", "refusal"), [("access_key", CredentialsUnknown), ("account", AccountSwitchedOff)]
)
@pytest.mark.parametrize("call", CALLS)
def test_what_was_switched_off_opens_nothing_from_then_on(
    shelf: Shelf, call: str, table: str, refusal: type[RegistryError]
) -> None:
    """A caller that was authenticated before is asked again in the transaction."""
    switch_off(shelf.database, table)
    before = all_rows(shelf.database)
    with pytest.raises(refusal):
        shelf.database.write_now(CALLS[call], shelf.caller, APP)
    assert all_rows(shelf.database) == before


@pytest.mark.parametrize("kind", ["user", "role", "something else"])
@pytest.mark.parametrize("call", CALLS)
def test_who_is_no_root_may_do_nothing(shelf: Shelf, call: str, kind: str) -> None:
    """Whatever applies to it: nobody is let in by what is not understood."""
    become(shelf.database, kind)
    before = all_rows(shelf.database)
    with pytest.raises(AccessDenied, match="because no identity-based policy allows the ecr:"):
        shelf.database.write_now(CALLS[call], proven(shelf.database, shelf.caller), APP)
    assert all_rows(shelf.database) == before


def test_a_root_may_do_everything_in_its_account(shelf: Shelf) -> None:
    """Whatever the repository is called."""
    shelf.database.read_now(authorize, shelf.caller, "ecr:DeleteRepository", REGISTRY, APP)
    shelf.database.read_now(authorize, shelf.caller, "ecr:GetAuthorizationToken", REGISTRY)


def test_an_unknown_key_is_unknown(database: Database) -> None:
    """Nothing was ever enrolled."""
    with pytest.raises(CredentialsUnknown):
        database.read_now(authorize, root_of(), "ecr:PutImage", REGISTRY, APP)


def test_a_refusal_tells_who_may_not_do_what_and_why(shelf: Shelf) -> None:
    """The facts of ECR's sentence."""
    with pytest.raises(AccessDenied) as error:
        shelf.database.read_now(authorize, shelf.caller, "ecr:PutImage", OTHER_REGISTRY, APP)
    assert error.value.facts == {
        "principal": "arn:aws:iam::000000000000:root",
        "action": "ecr:PutImage",
        "resource": "arn:aws:ecr:us-east-1:111111111111:repository/team/app",
        "reason": "because no resource-based policy allows the ecr:PutImage action",
    }


def test_the_trusted_caller_of_dev_needs_no_row(database: Database) -> None:
    """It is never asked for a key."""
    database.read_now(authorize, trusted(), "ecr:DeleteRepository", OTHER_REGISTRY, APP)


# --- Keys ----------------------------------------------------------------------------------------------------


def test_a_key_tells_whose_it_is(database: Database) -> None:
    """With the sealed secret that a signature is checked against."""
    database.write_now(accounts.create_root_key, ACCOUNT, "AKIAONE", b"one")
    database.write_now(accounts.create_root_key, ACCOUNT, "AKIATWO", b"two")
    holder = database.read_now(accounts.find_key_holder, "AKIATWO")
    assert (holder.account_id, holder.sealed_secret) == (ACCOUNT, b"two")
    assert holder.principal_arn == "arn:aws:iam::000000000000:root"
    assert holder.unique_id == "000000000000"


def test_a_user_has_an_arn_with_its_path(database: Database, caller: Caller) -> None:
    """And the unique id that it was given."""
    become(database, "user")
    holder = database.read_now(accounts.find_key_holder, caller.access_key_id)
    assert holder.principal_arn == "arn:aws:iam::000000000000:user/team/alice"
    assert holder.unique_id == "AIDALICE"


@pytest.mark.parametrize(
    ("table", "refusal"), [("access_key", CredentialsUnknown), ("account", AccountSwitchedOff)]
)
def test_a_key_that_is_switched_off_is_nobodys(
    database: Database, caller: Caller, table: str, refusal: type[RegistryError]
) -> None:
    """Also when its account is."""
    switch_off(database, table)
    with pytest.raises(refusal):
        database.read_now(accounts.find_key_holder, caller.access_key_id)


def test_the_first_key_is_the_first(database: Database) -> None:
    """By this a first start is told from a later one."""
    assert not database.read_now(accounts.has_any_key)
    enroll(database)
    assert database.read_now(accounts.has_any_key)
