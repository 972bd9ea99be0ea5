"""Repositories: make, describe, delete, and their tag mutability."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import LimitExceeded, RepositoryAlreadyExists, RepositoryNotEmpty, RepositoryNotFound
from moorage.domain.names import RepositoryName
from moorage.metadata import asked, registries, repositories
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction, one_statement
from moorage.rules.resource_tags import check_resource_tags, merge_resource_tags
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability, check_filters
from moorage.services.access import authorize, judge


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """Some repositories in the order of their names; ``last`` is where the next page continues, if there is one."""

    repositories: list[RepositoryRow]
    last: str | None


@one_statement
def open_repository(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, action: str
) -> RepositoryRow:
    """The repository, for a caller who may do ``action`` in it.

    Raises what ``authorize`` raises, then ``RepositoryNotFound``.
    """
    found = asked.ask_repository(tx, caller.access_key_id, registry, name)
    judge(found.key, caller, action, registry, name)
    if found.repository is None:
        raise RepositoryNotFound(repository_name=name, registry_id=registry.registry_id)
    return found.repository


def open_for_push(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, action: str
) -> RepositoryRow:
    """``open_repository``, but a push in ``--dev`` makes a repository that is missing."""
    try:
        return open_repository(tx, caller, registry, name, action)
    except RepositoryNotFound:
        if not caller.is_trusted:
            raise
        return create_repository(tx, caller, registry, name)


def create_repository(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    *,
    tag_mutability: TagMutability = TagMutability.MUTABLE,
    filters: Sequence[ExclusionFilter] = (),
    resource_tags: Sequence[tuple[str, str]] = (),
) -> RepositoryRow:
    """Make a repository.

    Raises ``RepositoryAlreadyExists``, ``LimitExceeded``, ``ResourceTagInvalid``, ``TooManyResourceTags``,
    ``InvalidParameter`` for filters that do not fit the mutability.
    """
    authorize(tx, caller, "ecr:CreateRepository", registry, name)
    if resource_tags:
        authorize(tx, caller, "ecr:TagResource", registry, name)
    check_filters(tag_mutability, filters)
    tags = merge_resource_tags({}, check_resource_tags(resource_tags))
    if repositories.find_repository(tx, registry, name) is not None:
        raise RepositoryAlreadyExists(repository_name=name, registry_id=registry.registry_id)
    _check_quota(tx, registry)
    repositories.add_repository(tx, registry, name, tag_mutability.value, _patterns(filters))
    made = repositories.find_repository(tx, registry, name)
    assert made is not None
    repositories.put_resource_tags(tx, made.id, tags)
    return made


def _check_quota(tx: Transaction, registry: RegistryKey) -> None:
    limit = tx.settings.quotas.repositories
    if not limit:
        return
    if registries.get_repository_count(tx, registries.ensure_registry(tx, registry)) >= limit:
        raise LimitExceeded(quota="repositories", limit=limit)


def describe_repositories(
    tx: Transaction, caller: Caller, registry: RegistryKey, names: Sequence[RepositoryName]
) -> list[RepositoryRow]:
    """The named repositories in the order asked for, each once; one that is missing fails the whole call."""
    return [
        open_repository(tx, caller, registry, name, "ecr:DescribeRepositories") for name in dict.fromkeys(names)
    ]


def list_repositories(
    tx: Transaction, caller: Caller, registry: RegistryKey, after: str, limit: int
) -> RepositoryPage:
    """Every repository of the registry, page by page in the order of names."""
    authorize(tx, caller, "ecr:DescribeRepositories", registry)
    found = repositories.list_repositories(tx, registry, after, limit + 1)
    last = found[limit - 1].name if len(found) > limit else None
    return RepositoryPage(found[:limit], last)


def delete_repository(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, *, is_forced: bool
) -> RepositoryRow:
    """Delete a repository, with its images only when forced; returns what it was.

    Raises ``RepositoryNotFound``, ``RepositoryNotEmpty``.
    """
    found = open_repository(tx, caller, registry, name, "ecr:DeleteRepository")
    if found.image_count and not is_forced:
        raise RepositoryNotEmpty(repository_name=name, registry_id=registry.registry_id)
    repositories.mark_deleted(tx, found.id)
    return found


def put_tag_mutability(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    tag_mutability: TagMutability,
    filters: Sequence[ExclusionFilter],
) -> None:
    """Replace the mutability of tags and its exclusion filters; tags that exist stay as they are.

    Raises ``InvalidParameter`` for filters that do not fit, ``RepositoryNotFound``.
    """
    check_filters(tag_mutability, filters)
    found = open_repository(tx, caller, registry, name, "ecr:PutImageTagMutability")
    repositories.set_tag_mutability(tx, found.id, tag_mutability.value, _patterns(filters))


def exclusion_filters(repository: RepositoryRow) -> tuple[ExclusionFilter, ...]:
    """The filters that turn the repository's mutability round."""
    return tuple(ExclusionFilter(pattern) for pattern in repository.filters)


def _patterns(filters: Sequence[ExclusionFilter]) -> tuple[str, ...]:
    return tuple(exclusion.filter for exclusion in filters)
