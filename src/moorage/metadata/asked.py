"""What a request is judged by and what it asks for, read by one statement: the caller's key, the policies that are to
be looked at, the repository, and the image or blob in it.

One statement is a snapshot of its own and a third of the cost of three. Each half may be missing without the other,
so that whoever judges does so before it looks at what exists.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, bindparam, literal_column, select
from sqlalchemy.sql.expression import FromClause

from moorage.domain.caller import Caller, RegistryKey
from moorage.metadata.accounts import KEY_STATE_COLUMNS, KeyState
from moorage.metadata.images import IMAGE_COLUMNS, ImageRow
from moorage.metadata.layers import LAYER_COLUMNS, LayerRow
from moorage.metadata.queries import Query
from moorage.metadata.repositories import REPOSITORY_COLUMNS, RepositoryRow
from moorage.metadata.tables import (
    access_key,
    account,
    blob,
    image,
    layer,
    principal,
    registry,
    repository,
    tag,
)
from moorage.metadata.transaction import Transaction


class Standing(NamedTuple):
    """What a request is judged by: the caller's key, and the policies of the registry and repository that are asked.

    Each is None where it does not exist, or has no policy. ``is_registry_active`` is whether the account of the
    registry is switched on, None where there is no such account.
    """

    key: KeyState | None
    registry_policy_id: int | None
    repository_id: int | None
    repository_policy_id: int | None
    is_registry_active: int | None


class AskedRepository(NamedTuple):
    """A repository, for a caller who may."""

    standing: Standing
    repository: RepositoryRow | None


class AskedImage(NamedTuple):
    """The live image that a tag or digest names in a repository."""

    standing: Standing
    image: ImageRow | None


class AskedLayer(NamedTuple):
    """A blob as a repository sees it."""

    standing: Standing
    layer: LayerRow | None


# --- Who asks ------------------------------------------------------------------------------------------------

_KEY_COUNT = len(KEY_STATE_COLUMNS)
#: The role of a session has no key of its own that could be switched off, or made anew.
_WITHOUT_KEY: Final[Mapping[Any, Any]] = {
    access_key.c.is_active: literal_column("1"),
    access_key.c.created_at: literal_column("0"),
}
_SESSION_COLUMNS = tuple(_WITHOUT_KEY.get(column, column) for column in KEY_STATE_COLUMNS)
#: The account of the registry, beside the caller's.
_OWNER = account.alias("owner")
_POLICY_COLUMNS = (registry.c.policy_id, repository.c.id, repository.c.policy_id, _OWNER.c.is_active)
_COUNT = _KEY_COUNT + len(_POLICY_COLUMNS)


def _nobody() -> FromClause:
    """A row for every request, whatever there is besides."""
    return select(literal_column("1").label("one")).subquery("request")


def _by_key() -> FromClause:
    return (
        _nobody()
        .outerjoin(access_key, access_key.c.id == bindparam("access_key_id"))
        .outerjoin(principal, principal.c.id == access_key.c.principal_id)
    )


def _by_session() -> FromClause:
    return _nobody().outerjoin(
        principal,
        and_(
            principal.c.account_id == bindparam("account_id"),
            principal.c.kind == bindparam("kind"),
            principal.c.name == bindparam("principal_name"),
        ),
    )


def _who(caller: Caller) -> dict[str, object]:
    """Parameters of ``_by_key`` or, for whoever took on a role, ``_by_session``.

    Users' and roots' own sessions go by the key that began them.
    """
    role_arn = None if caller.session is None else caller.session.role_arn
    if role_arn is None:
        return {"access_key_id": caller.access_key_id}
    resource = role_arn.rpartition(":")[2]
    kind = resource.partition("/")[0]
    return {"account_id": caller.account_id, "kind": kind, "principal_name": resource.rpartition("/")[2]}


def _standing(row: Sequence[Any]) -> Standing:
    key = None if row[0] is None else KeyState._make(row[:_KEY_COUNT])
    return Standing(key, *row[_KEY_COUNT:_COUNT])


# --- What is asked for ---------------------------------------------------------------------------------------


def _in_repository(who: FromClause) -> FromClause:
    """Whatever there is of who asks, registry and repository."""
    return (
        who.outerjoin(account, account.c.id == principal.c.account_id)
        .outerjoin(_OWNER, _OWNER.c.id == bindparam("registry_id"))
        .outerjoin(
            registry,
            and_(registry.c.account_id == bindparam("registry_id"), registry.c.region == bindparam("region")),
        )
        .outerjoin(
            repository,
            and_(
                repository.c.registry_id == registry.c.id,
                repository.c.name == bindparam("name"),
                repository.c.deleted_at.is_(None),
            ),
        )
    )


def _image_by_tag(source: FromClause) -> FromClause:
    return source.outerjoin(
        tag, and_(tag.c.repository_id == repository.c.id, tag.c.name == bindparam("reference"))
    ).outerjoin(image, image.c.id == tag.c.image_id)


def _image_by_digest(source: FromClause) -> FromClause:
    return source.outerjoin(
        image,
        and_(
            image.c.repository_id == repository.c.id,
            image.c.digest == bindparam("reference"),
            image.c.deleted_at.is_(None),
        ),
    )


def _layer(source: FromClause) -> FromClause:
    return source.outerjoin(
        layer, and_(layer.c.repository_id == repository.c.id, layer.c.digest == bindparam("reference"))
    ).outerjoin(blob, blob.c.id == layer.c.blob_id)


def _make_repository(row: Sequence[Any]) -> AskedRepository:
    found = row[_COUNT:]
    return AskedRepository(_standing(row), None if found[0] is None else RepositoryRow._make(found))


def _make_image(row: Sequence[Any]) -> AskedImage:
    found = row[_COUNT:]
    return AskedImage(_standing(row), None if found[0] is None else ImageRow._make(found))


def _make_layer(row: Sequence[Any]) -> AskedLayer:
    found = row[_COUNT:]
    return AskedLayer(_standing(row), None if found[0] is None else LayerRow._make(found))


class _Statements(NamedTuple):
    """The same questions, by whoever asks them in one way."""

    repository: Query[AskedRepository]
    image_by_tag: Query[AskedImage]
    image_by_digest: Query[AskedImage]
    layer: Query[AskedLayer]


def _statements(who: FromClause, columns: Sequence[Any]) -> _Statements:
    source = _in_repository(who)

    def ask(found_in: FromClause, more: Sequence[Any]) -> Select[Any]:
        return select(*columns, *_POLICY_COLUMNS, *more).select_from(found_in)

    return _Statements(
        Query(ask(source, REPOSITORY_COLUMNS), _make_repository),
        Query(ask(_image_by_tag(source), IMAGE_COLUMNS), _make_image),
        Query(ask(_image_by_digest(source), IMAGE_COLUMNS), _make_image),
        Query(ask(_layer(source), LAYER_COLUMNS), _make_layer),
    )


_BY_KEY = _statements(_by_key(), KEY_STATE_COLUMNS)
_BY_SESSION = _statements(_by_session(), _SESSION_COLUMNS)


def _of(caller: Caller) -> _Statements:
    return _BY_KEY if caller.session is None or caller.session.role_arn is None else _BY_SESSION


def ask_repository(tx: Transaction, caller: Caller, key: RegistryKey, name: str) -> AskedRepository:
    """A live repository, for this caller."""
    return tx.one(
        _of(caller).repository, **_who(caller), registry_id=key.registry_id, region=key.region, name=name
    )


def ask_image_by_tag(tx: Transaction, caller: Caller, key: RegistryKey, name: str, tag_name: str) -> AskedImage:
    """The image that a tag of a repository points to, for this caller."""
    return tx.one(
        _of(caller).image_by_tag,
        **_who(caller),
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=tag_name,
    )


def ask_image_by_digest(
    tx: Transaction, caller: Caller, key: RegistryKey, name: str, digest: str
) -> AskedImage:
    """The live image of this digest in a repository, for this caller."""
    return tx.one(
        _of(caller).image_by_digest,
        **_who(caller),
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=digest,
    )


def ask_layer(tx: Transaction, caller: Caller, key: RegistryKey, name: str, digest: str) -> AskedLayer:
    """The blob of this digest as a repository sees it, for this caller."""
    return tx.one(
        _of(caller).layer,
        **_who(caller),
        registry_id=key.registry_id,
        region=key.region,
        name=name,
        reference=digest,
    )
