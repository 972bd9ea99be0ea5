"""Uploads: from the first byte to a layer.

The bytes themselves go to the blob store outside any transaction; here is what the rows say of them. A writer
takes an upload over by raising its epoch and counts bytes only under the epoch it got, so of two writers one wins
and the other changes nothing. Each request writes its own segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import LimitExceeded, UploadBusy, UploadNotFound, UploadOutOfOrder
from moorage.domain.names import RepositoryName
from moorage.metadata import layers, uploads
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction
from moorage.metadata.uploads import SegmentRow, UploadRow
from moorage.services.repositories import open_for_push, open_repository

#: ECR: every part but the last of an upload by the JSON API has at least 5 MiB.
SMALLEST_PART = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WriteTurn:
    """The right to add to an upload, until somebody else takes it. ``offset`` is where the bytes go."""

    upload_id: str
    epoch: int
    offset: int
    registry: RegistryKey
    repository_name: RepositoryName
    repository_id: int
    part_count: int
    small_part_count: int


@dataclass(frozen=True, slots=True)
class WrittenSegment:
    """A segment that is closed and synced."""

    location: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PlacedBlob:
    """Bytes that lie at a location of their own, synced, waiting for their row."""

    digest: Digest
    size: int
    location: str


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """The outcome of a finished upload.

    ``is_placed_used`` is false when the bytes were stored already, at ``location``: then one copy is superfluous.
    ``was_there`` says whether the repository had the layer before.
    """

    digest: Digest
    is_placed_used: bool
    was_there: bool
    location: str


def start_upload(tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName) -> str:
    """Begin an upload; returns its id. Raises ``RepositoryNotFound``, ``LimitExceeded``."""
    repository = open_for_push(tx, caller, registry, name, "ecr:InitiateLayerUpload")
    limit = tx.settings.quotas.open_uploads
    if limit and uploads.has_at_least(tx, caller.account_id, limit):
        raise LimitExceeded(quota="open_uploads", limit=limit)
    upload_id = tx.new_uuid()
    uploads.add_upload(tx, upload_id, repository.id, caller.account_id)
    return upload_id


def get_upload(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, upload_id: str
) -> UploadRow:
    """The unfinished upload. Raises ``RepositoryNotFound``, ``UploadNotFound``."""
    repository = open_repository(tx, caller, registry, name, "ecr:UploadLayerPart")
    return _find(tx, repository, upload_id)


def _find(tx: Transaction, repository: RepositoryRow, upload_id: str) -> UploadRow:
    found = uploads.find_upload(tx, upload_id)
    if found is None or found.repository_id != repository.id:
        raise UploadNotFound(
            upload_id=upload_id, repository_name=repository.name, registry_id=repository.registry_id
        )
    return found


def begin_writing(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    upload_id: str,
    *,
    first_byte: int | None,
    action: str = "ecr:UploadLayerPart",
) -> WriteTurn:
    """Take the upload over to add bytes from ``first_byte`` on; None means wherever it stands.

    Raises ``RepositoryNotFound``, ``UploadNotFound``, ``UploadOutOfOrder``, ``UploadBusy``.
    """
    repository = open_repository(tx, caller, registry, name, action)
    found = _find(tx, repository, upload_id)
    if first_byte is not None and first_byte != found.length:
        raise UploadOutOfOrder(
            first_byte=first_byte,
            offset=found.length,
            upload_id=upload_id,
            repository_name=name,
            registry_id=registry.registry_id,
        )
    epoch = uploads.begin_writing(tx, found)
    turn = WriteTurn(
        upload_id,
        found.epoch if epoch is None else epoch,
        found.length,
        registry,
        name,
        repository.id,
        found.part_count,
        found.small_part_count,
    )
    if epoch is None:
        raise _taken_over(turn, found.length)
    return turn


def _taken_over(turn: WriteTurn, offset: int) -> UploadBusy:
    return UploadBusy(
        offset=offset,
        upload_id=turn.upload_id,
        repository_name=turn.repository_name,
        registry_id=turn.registry.registry_id,
    )


def check_turn(tx: Transaction, turn: WriteTurn) -> UploadRow:
    """The upload, still ours. Raises ``UploadNotFound``, ``UploadBusy``."""
    found = uploads.find_upload(tx, turn.upload_id)
    if found is None:
        raise UploadNotFound(
            upload_id=turn.upload_id,
            repository_name=turn.repository_name,
            registry_id=turn.registry.registry_id,
        )
    if found.epoch != turn.epoch:
        raise _taken_over(turn, found.length)
    return found


def add_segment(tx: Transaction, turn: WriteTurn, segment: WrittenSegment) -> int:
    """Count a synced segment; returns the bytes that the upload now holds.

    Raises ``UploadNotFound``, ``UploadBusy``, and counts nothing then.
    """
    found = check_turn(tx, turn)
    uploads.add_segment(tx, found.id, found.part_count, segment.location, segment.length, segment.sha256)
    is_small = segment.length < SMALLEST_PART
    uploads.advance(tx, found.id, segment.length, parts=1, small_parts=int(is_small))
    return found.length + segment.length


def list_segments(tx: Transaction, turn: WriteTurn) -> list[SegmentRow]:
    """What the upload holds so far, in order. Raises ``UploadNotFound``, ``UploadBusy``."""
    check_turn(tx, turn)
    return uploads.list_segments(tx, turn.upload_id)


def cancel_upload(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, upload_id: str
) -> list[str]:
    """Forget an upload; returns the locations of its segments, which are garbage once this is committed.

    Raises ``RepositoryNotFound``, ``UploadNotFound``.
    """
    repository = open_repository(tx, caller, registry, name, "ecr:UploadLayerPart")
    return _forget(tx, _find(tx, repository, upload_id))


def abandon_upload(tx: Transaction, turn: WriteTurn) -> list[str]:
    """Forget an upload whose bytes turned out wrong, unless another took it over; returns what is garbage."""
    found = uploads.find_upload(tx, turn.upload_id)
    return _forget(tx, found) if found is not None and found.epoch == turn.epoch else []


def expire_uploads(tx: Transaction, limit: int) -> tuple[int, list[str]]:
    """Forget uploads that nobody wrote to for too long; returns how many, and the locations of their segments."""
    before = tx.now - tx.settings.upload_expiry_hours * 3_600_000_000
    stale = uploads.list_stale(tx, before, limit)
    return len(stale), [location for upload in stale for location in _forget(tx, upload)]


def _forget(tx: Transaction, upload: UploadRow) -> list[str]:
    locations = [segment.location for segment in uploads.list_segments(tx, upload.id)]
    uploads.delete_upload(tx, upload.id)
    return locations


def complete_upload(
    tx: Transaction, turn: WriteTurn, placed: PlacedBlob, digests: Sequence[Digest]
) -> StoredLayer:
    """Turn an upload into a layer under each of these verified digests, and under its sha256.

    Raises ``UploadNotFound``, ``UploadBusy``.
    """
    check_turn(tx, turn)
    stored = _store(tx, turn.repository_id, placed, digests)
    uploads.delete_upload(tx, turn.upload_id)
    return stored


def store_layer(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    placed: PlacedBlob,
    digests: Sequence[Digest],
) -> StoredLayer:
    """Record a blob that came whole in one request. Raises ``RepositoryNotFound``."""
    repository = open_for_push(tx, caller, registry, name, "ecr:CompleteLayerUpload")
    return _store(tx, repository.id, placed, digests)


def _store(tx: Transaction, repository_id: int, placed: PlacedBlob, digests: Sequence[Digest]) -> StoredLayer:
    was_there = layers.find_layer(tx, repository_id, str(placed.digest)) is not None
    present = layers.find_blob(tx, str(placed.digest))
    blob_id = present.id if present else layers.add_blob(tx, str(placed.digest), placed.size, placed.location)
    for digest in {placed.digest, *digests}:
        layers.ensure_layer(tx, repository_id, str(digest), blob_id)
    return StoredLayer(
        placed.digest, present is None, was_there, present.location if present else placed.location
    )


def replace_copy(tx: Transaction, placed: PlacedBlob, damaged: str) -> bool:
    """Let the placed copy stand in for a damaged one, unless somebody did that already; returns whether it now does."""
    return layers.move_blob(tx, str(placed.digest), damaged, placed.location)
