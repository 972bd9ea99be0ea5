"""Resource tags of repositories."""

from collections.abc import Sequence

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller, RegistryKey
from moorage.metadata import repositories
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction
from moorage.rules.resource_tags import check_resource_tags, merge_resource_tags, remove_resource_tags
from moorage.services.about import of_tag_keys, of_tags
from moorage.services.access import NOTHING, About
from moorage.services.repositories import open_repository


def _open(
    tx: Transaction, caller: Caller, arn: RepositoryArn, action: str, about: About = NOTHING
) -> RepositoryRow:
    registry = RegistryKey(arn.registry_id, arn.region)
    return open_repository(tx, caller, registry, arn.repository_name, action, [about])


def tag_resource(tx: Transaction, caller: Caller, arn: RepositoryArn, pairs: Sequence[tuple[str, str]]) -> None:
    """Add or replace resource tags; others stay.

    Raises ``ResourceTagInvalid``, ``TooManyResourceTags``, ``RepositoryNotFound``.
    """
    tags = check_resource_tags(pairs)
    found = _open(tx, caller, arn, "ecr:TagResource", of_tags(pairs))
    # Merged to be counted; only what is new or changed is written.
    merge_resource_tags(repositories.list_resource_tags(tx, found.id), tags)
    repositories.put_resource_tags(tx, found.id, tags)


def untag_resource(tx: Transaction, caller: Caller, arn: RepositoryArn, keys: Sequence[str]) -> None:
    """Remove resource tags; keys that are not there are ignored.

    Raises ``ResourceTagInvalid`` for a reserved key, ``RepositoryNotFound``.
    """
    found = _open(tx, caller, arn, "ecr:UntagResource", of_tag_keys(keys))
    present = repositories.list_resource_tags(tx, found.id)
    for key in present.keys() - remove_resource_tags(present, keys).keys():
        repositories.delete_resource_tag(tx, found.id, key)


def list_resource_tags(tx: Transaction, caller: Caller, arn: RepositoryArn) -> dict[str, str]:
    """The repository's resource tags by key. Raises ``RepositoryNotFound``."""
    found = _open(tx, caller, arn, "ecr:ListTagsForResource")
    return repositories.list_resource_tags(tx, found.id)
