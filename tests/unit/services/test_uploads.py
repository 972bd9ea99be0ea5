"""What the rows say of uploads: who may write, what is counted, what is forgotten."""

import pytest

from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import LimitExceeded, UploadBusy, UploadNotFound, UploadOutOfOrder
from moorage.domain.names import RepositoryName
from moorage.metadata import uploads as rows
from moorage.metadata.database import Database
from moorage.services import repositories, uploads
from moorage.services.uploads import SMALLEST_PART, PlacedBlob, WriteTurn, WrittenSegment
from tests.support.callers import APP, OTHER, OTHER_ACCOUNT, OTHER_REGISTRY, REGISTRY, enroll, root_of
from tests.support.content import Shelf
from tests.support.database import Clock, fresh_database

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)


def start(shelf: Shelf, name: RepositoryName = APP) -> str:
    """``start_upload``."""
    return shelf.database.write_now(uploads.start_upload, shelf.caller, shelf.registry, name)


def begin(shelf: Shelf, upload_id: str, first_byte: int | None = None) -> WriteTurn:
    """``begin_writing``."""
    return shelf.database.write_now(
        uploads.begin_writing, shelf.caller, shelf.registry, APP, upload_id, first_byte=first_byte
    )


def add(shelf: Shelf, turn: WriteTurn, length: int = 7, location: str = "segment") -> int:
    """``add_segment``."""
    return shelf.database.write_now(uploads.add_segment, turn, WrittenSegment(location, length, DIGEST.hex))


def complete(shelf: Shelf, turn: WriteTurn, location: str = "blob") -> uploads.StoredLayer:
    """``complete_upload``."""
    placed = PlacedBlob(DIGEST, len(CONTENT), location)
    return shelf.database.write_now(uploads.complete_upload, turn, placed, [DIGEST])


def offset(shelf: Shelf, upload_id: str) -> int:
    """Where the upload stands."""
    return shelf.database.read_now(uploads.get_upload, shelf.caller, shelf.registry, APP, upload_id).length


def test_an_upload_id_is_a_uuid(shelf: Shelf) -> None:
    """8-4-4-4-12 hex digits, another one each time."""
    first, second = start(shelf), start(shelf)
    assert [len(part) for part in first.split("-")] == [8, 4, 4, 4, 12]
    assert first != second


def test_a_turn_begins_where_the_upload_stands(shelf: Shelf) -> None:
    """Each segment is counted once."""
    upload_id = start(shelf)
    assert begin(shelf, upload_id).offset == 0
    assert add(shelf, begin(shelf, upload_id)) == 7
    turn = begin(shelf, upload_id, 7)
    assert (turn.offset, turn.part_count, turn.small_part_count) == (7, 1, 1)
    assert add(shelf, turn, SMALLEST_PART) == 7 + SMALLEST_PART
    assert begin(shelf, upload_id).small_part_count == 1
    segments = shelf.database.read_now(uploads.list_segments, begin(shelf, upload_id))
    assert [(segment.number, segment.length) for segment in segments] == [(0, 7), (1, SMALLEST_PART)]


@pytest.mark.parametrize("first_byte", [-1, 1, 6, 8])
def test_a_turn_elsewhere_is_refused_and_takes_nothing_over(shelf: Shelf, first_byte: int) -> None:
    """The writer that is at work goes on."""
    upload_id = start(shelf)
    at_work = begin(shelf, upload_id)
    with pytest.raises(UploadOutOfOrder) as error:
        begin(shelf, upload_id, first_byte)
    assert error.value.facts["offset"] == 0
    assert add(shelf, at_work) == 7


def test_of_two_writers_one_counts_and_the_other_changes_nothing(shelf: Shelf) -> None:
    """The later one wins; the earlier one finds the epoch changed, whatever it wants to do."""
    upload_id = start(shelf)
    earlier, later = begin(shelf, upload_id), begin(shelf, upload_id)
    with pytest.raises(UploadBusy):
        add(shelf, earlier, 1000)
    with pytest.raises(UploadBusy):
        complete(shelf, earlier)
    with pytest.raises(UploadBusy):
        shelf.database.read_now(uploads.list_segments, earlier)
    assert shelf.database.write_now(uploads.abandon_upload, earlier) == []
    assert offset(shelf, upload_id) == 0
    assert add(shelf, later) == 7
    assert offset(shelf, upload_id) == 7


def test_a_turn_counts_only_until_another_one_begins(shelf: Shelf) -> None:
    """Also between two segments of the same writer."""
    upload_id = start(shelf)
    turn = begin(shelf, upload_id)
    add(shelf, turn)
    begin(shelf, upload_id)
    with pytest.raises(UploadBusy):
        add(shelf, turn, location="another")
    assert offset(shelf, upload_id) == 7


def test_an_upload_that_is_over_takes_nothing(shelf: Shelf) -> None:
    """Completed, cancelled or abandoned."""
    for end in ("complete", "cancel", "abandon"):
        upload_id = start(shelf)
        turn = begin(shelf, upload_id)
        if end == "complete":
            complete(shelf, turn, f"blob {end}")
        elif end == "cancel":
            shelf.database.write_now(uploads.cancel_upload, shelf.caller, REGISTRY, APP, upload_id)
        else:
            shelf.database.write_now(uploads.abandon_upload, turn)
        for use in (add, complete):
            with pytest.raises(UploadNotFound):
                use(shelf, turn)
        with pytest.raises(UploadNotFound):
            begin(shelf, upload_id)


def test_what_is_cancelled_is_told_to_be_garbage(shelf: Shelf) -> None:
    """Every segment's location, so that its bytes can go."""
    upload_id = start(shelf)
    for location in ("one", "two"):
        add(shelf, begin(shelf, upload_id), location=location)
    garbage = shelf.database.write_now(uploads.cancel_upload, shelf.caller, REGISTRY, APP, upload_id)
    assert garbage == ["one", "two"]


def test_the_first_copy_of_a_blob_is_kept(shelf: Shelf) -> None:
    """The second is told to be superfluous, and where the first one lies."""
    first = complete(shelf, begin(shelf, start(shelf)), "first")
    second = complete(shelf, begin(shelf, start(shelf)), "second")
    assert (first.is_placed_used, first.was_there, first.location) == (True, False, "first")
    assert (second.is_placed_used, second.was_there, second.location) == (False, True, "first")


def test_a_blob_is_stored_once_for_all_accounts(shelf: Shelf) -> None:
    """The bytes are shared, the right to see them is not: each account has sent all of them."""
    enroll(shelf.database, OTHER_ACCOUNT)
    theirs = Shelf(shelf.database, root_of(OTHER_ACCOUNT), registry=OTHER_REGISTRY)
    theirs.repository(APP, b"their own")
    complete(shelf, begin(shelf, start(shelf)), "ours")
    stored = complete(theirs, begin(theirs, start(theirs)), "theirs")
    assert (stored.is_placed_used, stored.was_there) == (False, False)


def test_a_damaged_copy_is_replaced_once(shelf: Shelf) -> None:
    """Of two pushes that both found it damaged, the second changes nothing."""
    complete(shelf, begin(shelf, start(shelf)), "damaged")
    repairs = [
        shelf.database.write_now(uploads.replace_copy, PlacedBlob(DIGEST, len(CONTENT), location), "damaged")
        for location in ("repair", "another repair")
    ]
    assert repairs == [True, False]
    assert complete(shelf, begin(shelf, start(shelf)), "third").location == "repair"


# --- Forgotten ones ------------------------------------------------------------------------------------------


def expire(shelf: Shelf, limit: int = 100) -> tuple[int, list[str]]:
    """``expire_uploads``."""
    return shelf.database.write_now(uploads.expire_uploads, limit)


def test_uploads_that_nobody_wrote_to_expire(shelf: Shelf, clock: Clock) -> None:
    """After a day, not before; those in use stay."""
    left, used = start(shelf), start(shelf)
    add(shelf, begin(shelf, left), location="left")
    clock.advance(hours=23)
    add(shelf, begin(shelf, used), location="used")
    clock.advance(hours=1)
    assert expire(shelf) == (0, [])
    clock.advance(seconds=1)
    assert expire(shelf) == (1, ["left"])
    assert offset(shelf, used) == 7
    with pytest.raises(UploadNotFound):
        offset(shelf, left)


def test_beginning_to_write_keeps_an_upload(shelf: Shelf, clock: Clock) -> None:
    """A long body is on its way."""
    upload_id = start(shelf)
    clock.advance(hours=24)
    turn = begin(shelf, upload_id)
    clock.advance(hours=23)
    assert expire(shelf) == (0, [])
    assert add(shelf, turn) == 7


def test_uploads_expire_in_batches_the_oldest_first(shelf: Shelf, clock: Clock) -> None:
    """All of them in the end."""
    for location in ("a", "b", "c"):
        add(shelf, begin(shelf, start(shelf)), location=location)
        clock.advance(seconds=1)
    clock.advance(hours=25)
    assert [expire(shelf, 2), expire(shelf, 2), expire(shelf, 2)] == [(2, ["a", "b"]), (1, ["c"]), (0, [])]


def test_uploads_of_a_deleted_repository_are_gone_and_expire(shelf: Shelf, clock: Clock) -> None:
    """They are not found at once, and their bytes go later."""
    upload_id = start(shelf)
    turn = begin(shelf, upload_id)
    add(shelf, turn, location="left")
    shelf.database.write_now(repositories.delete_repository, shelf.caller, REGISTRY, APP, is_forced=False)
    with pytest.raises(UploadNotFound):
        complete(shelf, turn)
    clock.advance(hours=25)
    assert expire(shelf) == (1, ["left"])


# --- Whose they are ------------------------------------------------------------------------------------------


def test_an_upload_is_known_in_its_repository_alone(shelf: Shelf) -> None:
    """Neither in another one nor in another account's of the same name."""
    shelf.repository(OTHER)
    enroll(shelf.database, OTHER_ACCOUNT)
    stranger = root_of(OTHER_ACCOUNT)
    shelf.database.write_now(repositories.create_repository, stranger, OTHER_REGISTRY, APP)
    upload_id = start(shelf)
    for who, registry, name in ((shelf.caller, REGISTRY, OTHER), (stranger, OTHER_REGISTRY, APP)):
        with pytest.raises(UploadNotFound):
            shelf.database.read_now(uploads.get_upload, who, registry, name, upload_id)
        with pytest.raises(UploadNotFound):
            shelf.database.write_now(uploads.cancel_upload, who, registry, name, upload_id)
    assert offset(shelf, upload_id) == 0


def test_open_uploads_beyond_the_quota_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Per account; one that is over makes room."""
    database: Database = fresh_database(tmp_path_factory.mktemp("quota"), quotas={"open_uploads": 2})
    caller: Caller = enroll(database)
    shelf = Shelf(database, caller)
    shelf.repository()
    first = start(shelf)
    start(shelf)
    with pytest.raises(LimitExceeded) as error:
        start(shelf)
    assert error.value.facts == {"quota": "open_uploads", "limit": 2}
    shelf.database.write_now(uploads.cancel_upload, caller, REGISTRY, APP, first)
    start(shelf)
    assert database.read_now(rows.has_at_least, caller.account_id, 2)
    database.close()
