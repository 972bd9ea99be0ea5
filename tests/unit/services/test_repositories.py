"""Repositories: made, listed, deleted; their quota and their resource tags."""

from typing import Any

import pytest

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller
from moorage.domain.errors import (
    AccessDenied,
    ImageNotFound,
    InvalidParameter,
    LimitExceeded,
    RegistryError,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    ResourceTagInvalid,
    TooManyResourceTags,
)
from moorage.domain.names import RepositoryName
from moorage.metadata.database import Database
from moorage.metadata.repositories import RepositoryRow
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability
from moorage.services import images, repositories, tagging
from tests.support.callers import (
    ACCOUNT,
    APP,
    OTHER,
    OTHER_ACCOUNT,
    OTHER_REGISTRY,
    REGION,
    REGISTRY,
    enroll,
    root_of,
    trusted,
)
from tests.support.content import Shelf
from tests.support.database import START, fresh_database
from tests.support.manifests import image_manifest

ARN = RepositoryArn(REGION, ACCOUNT, APP)
IMAGE = image_manifest()


def create(database: Database, caller: Caller, name: str = APP, **settings: Any) -> RepositoryRow:
    """``create_repository`` in the default registry."""
    return database.write_now(
        repositories.create_repository,
        caller,
        REGISTRY,
        RepositoryName(name),
        **settings,
    )


def delete(shelf: Shelf, *, is_forced: bool = False) -> RepositoryRow:
    """``delete_repository`` of ``team/app``."""
    return shelf.database.write_now(
        repositories.delete_repository, shelf.caller, REGISTRY, APP, is_forced=is_forced
    )


def set_mutability(shelf: Shelf, setting: TagMutability, *filters: ExclusionFilter) -> RepositoryRow:
    """``put_tag_mutability`` of ``team/app``, and what it is then."""
    shelf.database.write_now(repositories.put_tag_mutability, shelf.caller, REGISTRY, APP, setting, filters)
    (row,) = shelf.database.read_now(repositories.describe_repositories, shelf.caller, REGISTRY, [APP])
    return row


def names(database: Database, caller: Caller, after: str = "", limit: int = 100) -> list[str]:
    """One page of the default registry's repositories."""
    page = database.read_now(repositories.list_repositories, caller, REGISTRY, after, limit)
    return [row.name for row in page.repositories]


def test_a_new_repository_is_mutable_and_empty(database: Database, caller: Caller) -> None:
    """ECR's defaults."""
    made = create(database, caller)
    assert (made.name, made.registry, made.created_at) == (APP, REGISTRY, START)
    assert (made.tag_mutability, made.filters, made.image_count) == ("MUTABLE", (), 0)


def test_a_name_is_taken_once(database: Database, caller: Caller) -> None:
    """In one registry; another account has names of its own."""
    create(database, caller)
    with pytest.raises(RepositoryAlreadyExists):
        create(database, caller)
    enroll(database, OTHER_ACCOUNT)
    other = root_of(OTHER_ACCOUNT)
    database.write_now(repositories.create_repository, other, OTHER_REGISTRY, APP)


def test_a_refused_creation_leaves_nothing(database: Database, caller: Caller) -> None:
    """Neither with wrong filters nor with wrong tags."""
    wrong: list[tuple[type[RegistryError], dict[str, Any]]] = [
        (InvalidParameter, {"tag_mutability": TagMutability.IMMUTABLE, "filters": [ExclusionFilter("v*")]}),
        (InvalidParameter, {"tag_mutability": TagMutability.IMMUTABLE_WITH_EXCLUSION}),
        (ResourceTagInvalid, {"resource_tags": [("aws:x", "y")]}),
        (TooManyResourceTags, {"resource_tags": [(f"k{number}", "") for number in range(51)]}),
    ]
    for error, settings in wrong:
        with pytest.raises(error):
            create(database, caller, **settings)
    assert names(database, caller) == []


def test_repositories_are_listed_page_by_page_by_name(database: Database, caller: Caller) -> None:
    """Bytewise order; a name that begins another is listed too, and no page repeats or misses one."""
    made = ["b", "a/b", "a", "a-b", "ab", "a.b", "a/a", "zz"]
    for name in made:
        create(database, caller, f"x{name}")
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = database.read_now(repositories.list_repositories, caller, REGISTRY, after, 3)
        found += [row.name for row in page.repositories]
        after = page.last
    assert found == sorted(f"x{name}" for name in made)


def test_a_full_page_that_is_the_last_says_so(database: Database, caller: Caller) -> None:
    """No page of nothing follows."""
    for name in ("aa", "bb"):
        create(database, caller, name)
    assert database.read_now(repositories.list_repositories, caller, REGISTRY, "", 2).last is None
    assert database.read_now(repositories.list_repositories, caller, REGISTRY, "", 1).last == "aa"


def test_another_region_is_another_registry(database: Database, caller: Caller) -> None:
    """Of the same account."""
    create(database, caller)
    elsewhere = REGISTRY.__class__(ACCOUNT, "eu-west-1")
    assert database.read_now(repositories.list_repositories, caller, elsewhere, "", 9).repositories == []
    with pytest.raises(RepositoryNotFound):
        database.read_now(repositories.describe_repositories, caller, elsewhere, [APP])


def test_described_repositories_come_as_asked(database: Database, caller: Caller) -> None:
    """In that order, each once; one that is missing fails the call, and is named."""
    create(database, caller)
    create(database, caller, OTHER)
    found = database.read_now(repositories.describe_repositories, caller, REGISTRY, [OTHER, APP, OTHER])
    assert [row.name for row in found] == [OTHER, APP]
    absent = RepositoryName("absent")
    with pytest.raises(RepositoryNotFound) as error:
        database.read_now(repositories.describe_repositories, caller, REGISTRY, [APP, absent])
    assert error.value.facts["repository_name"] == absent


def test_a_repository_with_images_is_deleted_by_force_only(shelf: Shelf) -> None:
    """Untagged ones count; the answer tells what was deleted."""
    shelf.push(IMAGE)
    with pytest.raises(RepositoryNotEmpty):
        delete(shelf)
    deleted = delete(shelf, is_forced=True)
    assert (deleted.name, deleted.image_count) == (APP, 1)
    with pytest.raises(RepositoryNotFound):
        delete(shelf, is_forced=True)


def test_a_repository_with_layers_alone_is_empty(shelf: Shelf) -> None:
    """What no image needs does not hold it."""
    delete(shelf)


def test_a_repository_made_anew_has_nothing_of_the_old_one(shelf: Shelf) -> None:
    """Neither images nor layers nor resource tags."""
    shelf.push(IMAGE, "v1")
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, [("team", "a")])
    delete(shelf, is_forced=True)
    create(shelf.database, shelf.caller)
    with pytest.raises(ImageNotFound):
        shelf.database.read_now(images.get_image, shelf.caller, REGISTRY, APP, IMAGE.digest)
    with pytest.raises(RegistryError, match="layers"):
        shelf.push(IMAGE)
    assert shelf.database.read_now(tagging.list_resource_tags, shelf.caller, ARN) == {}


def test_repositories_beyond_the_quota_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Per registry; a deletion makes room."""
    database = fresh_database(tmp_path_factory.mktemp("quota"), quotas={"repositories": 2})
    caller = enroll(database)
    create(database, caller, "aa")
    create(database, caller, "bb")
    with pytest.raises(LimitExceeded) as error:
        create(database, caller, "cc")
    assert error.value.facts == {"quota": "repositories", "limit": 2}
    database.write_now(repositories.delete_repository, caller, REGISTRY, RepositoryName("aa"), is_forced=False)
    create(database, caller, "cc")
    database.close()


def test_mutability_is_replaced_with_its_filters(shelf: Shelf) -> None:
    """Both fields together; tags that exist stay."""
    filters = [ExclusionFilter("dev-*"), ExclusionFilter("latest")]
    row = set_mutability(shelf, TagMutability.IMMUTABLE_WITH_EXCLUSION, *filters)
    assert row.tag_mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert repositories.exclusion_filters(row) == tuple(filters)
    row = set_mutability(shelf, TagMutability.MUTABLE)
    assert (row.tag_mutability, row.filters) == ("MUTABLE", ())


def test_a_trusted_push_makes_a_repository(database: Database) -> None:
    """In --dev alone, in an account that nobody made either."""
    opened = database.write_now(
        repositories.open_for_push, trusted(OTHER_ACCOUNT), OTHER_REGISTRY, APP, "ecr:PutImage"
    )
    assert opened.registry == OTHER_REGISTRY


def test_another_push_makes_none(database: Database, caller: Caller) -> None:
    """ECR: no implicit creation."""
    with pytest.raises(RepositoryNotFound):
        database.write_now(repositories.open_for_push, caller, REGISTRY, APP, "ecr:PutImage")
    assert names(database, caller) == []


# --- Resource tags -------------------------------------------------------------------------------------------


def test_resource_tags_are_added_and_replaced(shelf: Shelf) -> None:
    """Others stay; a value may be empty; keys are told apart by case."""
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, [("team", "a"), ("Team", "")])
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, [("team", "b")])
    found = shelf.database.read_now(tagging.list_resource_tags, shelf.caller, ARN)
    assert found == {"Team": "", "team": "b"}


def test_removing_resource_tags_ignores_what_is_not_there(shelf: Shelf) -> None:
    """Unknown keys are no error."""
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, [("a", "1"), ("b", "2")])
    shelf.database.write_now(tagging.untag_resource, shelf.caller, ARN, ["a", "absent"])
    assert shelf.database.read_now(tagging.list_resource_tags, shelf.caller, ARN) == {"b": "2"}


def test_fifty_resource_tags_are_all_there_may_be(shelf: Shelf) -> None:
    """Counted over several calls; replacing one adds none."""
    pairs = [(f"k{number}", "v") for number in range(50)]
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, pairs[:25])
    shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, pairs)
    with pytest.raises(TooManyResourceTags):
        shelf.database.write_now(tagging.tag_resource, shelf.caller, ARN, [("more", "v")])
    assert len(shelf.database.read_now(tagging.list_resource_tags, shelf.caller, ARN)) == 50


def test_resource_tags_of_another_account_are_out_of_reach(shelf: Shelf) -> None:
    """By its ARN too, whether the repository exists or not."""
    theirs = RepositoryArn(REGION, OTHER_ACCOUNT, APP)
    with pytest.raises(AccessDenied):
        shelf.database.read_now(tagging.list_resource_tags, shelf.caller, theirs)
