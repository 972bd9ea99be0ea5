"""Repositories: make, describe, delete, and their tag mutability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import LimitExceeded, RepositoryAlreadyExists, RepositoryNotEmpty, RepositoryNotFound
from moorage.domain.names import RepositoryName
from moorage.metadata import asked, registries, repositories, resource_policies
from moorage.metadata.asked import Standing
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction, one_statement
from moorage.rules.resource_tags import check_resource_tags, merge_resource_tags
from moorage.rules.tag_mutability import ExclusionFilter, TagMutability, check_filters
from moorage.services import access
from moorage.services.about import of_tags
from moorage.services.access import EVERY_REPOSITORY, NOTHING, About, authorize, judge

_DESCRIBE: Final = "ecr:DescribeRepositories"

#: Repositories that one transaction looks at to find those that a caller may see, and a statement's worth more.
MOST_LOOKED_AT: Final = 1_024

#: Rows that one statement reads however small the page is, or who may see little costs a statement for each row.
LEAST_READ: Final = 256


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """Some repositories in the order of their names; ``last`` is where the next page continues, if there is one.

    A page may be short, even empty, and still be continued. ``last`` may be the name of one that is not shown.
    """

    repositories: list[RepositoryRow]
    last: str | None


@one_statement
def open_repository(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    action: str,
    abouts: Sequence[About] = (NOTHING,),
) -> RepositoryRow:
    """The repository, for a caller who may do ``action`` in it, with each of ``abouts``.

    Raises what ``authorize`` raises, then ``RepositoryNotFound``.
    """
    return open_standing(tx, caller, registry, name, action, abouts)[0]


def open_standing(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    action: str,
    abouts: Sequence[About] = (NOTHING,),
) -> tuple[RepositoryRow, Standing]:
    """``open_repository``, with what the caller is judged by, for use cases that have more to judge."""
    found = asked.ask_repository(tx, caller, registry, name)
    for about in abouts:
        judge(tx, found.standing, caller, action, registry, name, about)
    if found.repository is None:
        raise RepositoryNotFound(repository_name=name, registry_id=registry.registry_id)
    return found.repository, found.standing


def open_for_push(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    action: str,
    abouts: Sequence[About] = (NOTHING,),
) -> RepositoryRow:
    """``open_repository``, but a push in ``--dev`` makes a repository that is missing."""
    try:
        return open_repository(tx, caller, registry, name, action, abouts)
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
    about = of_tags(resource_tags)
    authorize(tx, caller, "ecr:CreateRepository", registry, name, about)
    if resource_tags:
        authorize(tx, caller, "ecr:TagResource", registry, name, about)
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
    return [open_repository(tx, caller, registry, name, _DESCRIBE) for name in dict.fromkeys(names)]


def list_repositories(
    tx: Transaction, caller: Caller, registry: RegistryKey, after: str, limit: int
) -> RepositoryPage:
    """The repositories of the registry that the caller may see, page by page in the order of names.

    Raises ``AccessDenied`` for a caller who may see none of them, nor any that could be.
    """
    standing = access.ask(tx, caller, registry)
    # Also what refuses a key that is not good, whatever there is to see.
    sees_all = access.may(tx, standing, caller, _DESCRIBE, registry, EVERY_REPOSITORY)
    page: list[RepositoryRow] = []
    last, looked_at, has_more = after, 0, True
    count = max(limit + 1, LEAST_READ)
    while has_more and looked_at < MOST_LOOKED_AT:
        rows = repositories.list_repositories(tx, registry, last, count)
        for row in rows:
            if len(page) == limit:
                return RepositoryPage(page, last)
            if _sees(tx, caller, registry, standing, row):
                page.append(row)
            last = row.name
        looked_at += len(rows)
        has_more = len(rows) == count
    if not (page or has_more or after or sees_all):
        judge(tx, standing, caller, _DESCRIBE, registry, EVERY_REPOSITORY)
    return RepositoryPage(page, last if has_more else None)


def _sees(
    tx: Transaction, caller: Caller, registry: RegistryKey, standing: Standing, row: RepositoryRow
) -> bool:
    of_row = standing._replace(repository_id=row.id, repository_policy_id=row.policy_id)
    return access.may(tx, of_row, caller, _DESCRIBE, registry, RepositoryName(row.name))


def delete_repository(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, *, is_forced: bool
) -> RepositoryRow:
    """Delete a repository, with its images only when forced; returns what it was.

    Raises ``RepositoryNotFound``, ``RepositoryNotEmpty``.
    """
    found = open_repository(tx, caller, registry, name, "ecr:DeleteRepository")
    if found.image_count and not is_forced:
        raise RepositoryNotEmpty(repository_name=name, registry_id=registry.registry_id)
    resource_policies.put_repository_policy(tx, found.id, found.policy_id, None)
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
