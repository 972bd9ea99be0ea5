"""What every blob store promises, asked of each adapter."""

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.blobs.base import BlobMissing, BlobStore, BlobStoreFailed, LocationRefused, Segment
from moorage.blobs.local import LocalBlobStore
from moorage.blobs.memory import MemoryBlobStore
from moorage.domain.digest import Digest

BOTH = ("sha256", "sha512")

NO_LOCATIONS = [
    "",
    "/etc/passwd",
    "../master.key",
    "blobs/sha256/../../master.key",
    "blobs/sha256/ab/" + "ab" * 32,
    "blobs/sha256/cd/" + "ab" * 32 + "." + "0" * 32,
    "blobs/sha256/ab/" + "AB" * 32 + "." + "0" * 32,
    "blobs/sha256/ab/" + "ab" * 32 + "." + "0" * 32 + "\n",
    "blobs/sha256/ab/" + "ab" * 32 + "." + "0" * 32 + "\0",
    "blobs/sha256/ab/" + "ab" * 32 + "." + "0" * 31 + "٣",
    "blobs/sha512/ab/" + "ab" * 32 + "." + "0" * 32,
    "blobs/md5/ab/" + "ab" * 16 + "." + "0" * 32,
    "/blobs/sha256/ab/" + "ab" * 32 + "." + "0" * 32,
    "uploads/../blobs/x",
    "uploads/ab/cd" + "0" * 30,
    "uploads/ab/ab" + "0" * 31,
]


@pytest.fixture(scope="module", params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    """An empty store of each kind; tests share it, because no location is ever used twice."""
    return LocalBlobStore(tmp_path_factory.mktemp("data")) if request.param == "local" else MemoryBlobStore()


def segment_of(store: BlobStore, data: bytes) -> Segment:
    """A closed segment that holds these bytes."""
    writer = store.create_segment()
    writer.write(data)
    return writer.close(is_kept=True)


def placed(store: BlobStore, data: bytes) -> str:
    """The location of a blob that holds these bytes."""
    return store.place(segment_of(store, data), Digest.of(data))


def content(store: BlobStore, location: str) -> bytes:
    """All bytes of a blob."""
    with closing(store.open(location)) as reader:
        return reader.read_at(0, reader.size)


def locations(store: BlobStore) -> set[str]:
    """Every location in use."""
    return {each.location for each in store.orphan_candidates(-1)}


# --- Writing a segment ---------------------------------------------------------------------------------------


def test_writer_tells_length_and_digests_while_bytes_arrive(store: BlobStore) -> None:
    """Length and digests are those of the bytes so far, and asking for them ends nothing."""
    writer = store.create_segment(BOTH)
    seen = []
    for piece in (b"", b"moor", memoryview(b"age")):
        writer.write(piece)
        seen.append((writer.length, writer.digests()))
    writer.discard()
    assert seen == [
        (len(data), {name: Digest.of(data, name) for name in BOTH}) for data in (b"", b"moor", b"moorage")
    ]


def test_close_returns_the_segment_when_all_is_written(store: BlobStore) -> None:
    """The segment names the writer's location and every byte."""
    writer = store.create_segment()
    writer.write(b"moorage")
    assert writer.close(is_kept=False) == Segment(writer.location, 7)


@pytest.mark.parametrize("ending", ["close", "discard"])
def test_write_is_refused_when_the_writer_has_ended(store: BlobStore, ending: str) -> None:
    """Nothing can be added to a segment that was closed or discarded."""
    writer = store.create_segment()
    if ending == "close":
        writer.close(is_kept=True)
    else:
        writer.discard()
    with pytest.raises(ValueError, match="closed or discarded"):
        writer.write(b"late")


def test_close_is_refused_when_the_segment_is_discarded(store: BlobStore) -> None:
    """A discarded segment cannot be handed on."""
    writer = store.create_segment()
    writer.discard()
    with pytest.raises(ValueError, match="closed or discarded"):
        writer.close(is_kept=True)


@pytest.mark.parametrize("is_closed", [False, True])
def test_discard_leaves_nothing_when_called_twice(store: BlobStore, is_closed: bool) -> None:
    """Discarding removes the segment, open or closed, as often as it is asked."""
    writer = store.create_segment()
    writer.write(b"moorage")
    if is_closed:
        writer.close(is_kept=True)
    writer.discard()
    writer.discard()
    assert writer.location not in locations(store)


@pytest.mark.parametrize("algorithm", ["md5", "SHA256", "sha256 ", ""])
def test_create_segment_is_refused_for_an_unknown_algorithm(store: BlobStore, algorithm: str) -> None:
    """Only what a digest may be made of is computed, and no file is left behind."""
    before = locations(store)
    with pytest.raises(ValueError, match="unknown digest algorithms"):
        store.create_segment([algorithm])
    assert locations(store) == before


# --- Composing -----------------------------------------------------------------------------------------------


@given(pieces=st.lists(st.binary(max_size=200), max_size=6))
def test_compose_joins_any_split_into_the_same_bytes(store: BlobStore, pieces: list[bytes]) -> None:
    """However bytes are cut into segments, the whole has the same digests, length and content."""
    whole = b"".join(pieces)
    segment, digests = store.compose([segment_of(store, piece) for piece in pieces], BOTH)
    assert digests == {name: Digest.of(whole, name) for name in BOTH}
    assert segment.length == len(whole)
    assert content(store, store.place(segment, digests["sha256"])) == whole


def test_compose_returns_a_single_segment_as_it_is(store: BlobStore) -> None:
    """One segment is only hashed again."""
    segment = segment_of(store, b"moorage")
    assert store.compose([segment], ["sha512"]) == (segment, {"sha512": Digest.of(b"moorage", "sha512")})


def test_compose_keeps_its_segments_when_it_makes_a_new_one(store: BlobStore) -> None:
    """The parts stay until they are discarded, so that the work can be done again."""
    parts = [segment_of(store, b"moor"), segment_of(store, b"age")]
    store.compose(parts, ["sha256"])
    assert {part.location for part in parts} <= locations(store)


def test_compose_takes_only_the_length_when_more_is_stored(store: BlobStore) -> None:
    """Bytes beyond a segment's length were never acknowledged, so they are left out."""
    parts = [Segment(segment_of(store, data).location, 4) for data in (b"moor-lost", b"ages-lost")]
    assert store.compose(parts, ["sha256"])[1] == {"sha256": Digest.of(b"moorages")}
    assert store.compose(parts[:1], ["sha256"])[1] == {"sha256": Digest.of(b"moor")}


@pytest.mark.parametrize("others", [[], [b"moor"]])
def test_compose_fails_when_a_segment_is_shorter_than_it_says(store: BlobStore, others: list[bytes]) -> None:
    """Acknowledged bytes that are missing are a failure, and no half-made segment stays."""
    parts = [segment_of(store, data) for data in others]
    parts.append(Segment(segment_of(store, b"age").location, 4))
    before = locations(store)
    with pytest.raises(BlobStoreFailed):
        store.compose(parts, ["sha256"])
    assert locations(store) == before


def test_compose_reports_a_segment_that_is_gone(store: BlobStore) -> None:
    """A segment that was discarded is missing, not empty, and no half-made segment stays."""
    gone = segment_of(store, b"moor")
    store.discard_segments([gone.location])
    part = segment_of(store, b"age")
    before = locations(store)
    with pytest.raises(BlobMissing) as caught:
        store.compose([part, gone], ["sha256"])
    assert caught.value.location == gone.location
    assert locations(store) == before


# --- Placing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", BOTH)
def test_place_names_the_digest_in_the_location(store: BlobStore, algorithm: str) -> None:
    """A location tells algorithm, shard and digest."""
    digest = Digest.of(b"moorage", algorithm)
    location = store.place(segment_of(store, b"moorage"), digest)
    assert location.startswith(f"blobs/{algorithm}/{digest.hex[:2]}/{digest.hex}.")


def test_place_gives_another_location_each_time(store: BlobStore) -> None:
    """Two copies of one blob have two locations, even when they come from one segment."""
    segment = segment_of(store, b"moorage")
    assert len({store.place(segment, Digest.of(b"moorage")) for _ in range(3)}) == 3


def test_place_keeps_the_segment_until_it_is_discarded(store: BlobStore) -> None:
    """The upload can go on when the row is not committed; the blob stays when the segment goes."""
    segment = segment_of(store, b"moorage")
    location = store.place(segment, Digest.of(b"moorage"))
    assert segment.location in locations(store)
    store.discard_segments([segment.location])
    assert content(store, location) == b"moorage"


def test_place_takes_only_the_length_when_more_is_stored(store: BlobStore) -> None:
    """A blob never holds bytes that its digest does not cover."""
    segment = Segment(segment_of(store, b"moorage-lost").location, 7)
    assert content(store, store.place(segment, Digest.of(b"moorage"))) == b"moorage"


def test_place_fails_when_the_segment_is_shorter_than_it_says(store: BlobStore) -> None:
    """A truncated segment never becomes a blob."""
    segment = Segment(segment_of(store, b"moor").location, 7)
    before = locations(store)
    with pytest.raises(BlobStoreFailed):
        store.place(segment, Digest.of(b"moorage"))
    assert locations(store) == before


def test_place_reports_a_segment_that_is_gone(store: BlobStore) -> None:
    """What was discarded cannot be placed."""
    segment = segment_of(store, b"moorage")
    store.discard_segments([segment.location])
    with pytest.raises(BlobMissing):
        store.place(segment, Digest.of(b"moorage"))


# --- Reading -------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=300), offset=st.integers(0, 400), length=st.integers(0, 400))
def test_read_at_equals_a_slice_for_any_range(store: BlobStore, data: bytes, offset: int, length: int) -> None:
    """Any range is that slice of the blob, cached or not."""
    with closing(store.open(placed(store, data))) as reader:
        expected = data[offset : offset + length]
        assert reader.size == len(data)
        assert reader.read_at(offset, length) == expected
        assert reader.read_cached_at(offset, length) in {expected, None}


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_read_at_is_refused_for_negative_numbers(store: BlobStore, offset: int, length: int) -> None:
    """A negative number never means "from the end"."""
    with closing(store.open(placed(store, b"moorage"))) as reader:
        with pytest.raises(ValueError, match="count from zero"):
            reader.read_at(offset, length)
        with pytest.raises(ValueError, match="count from zero"):
            reader.read_cached_at(offset, length)


def test_read_at_is_refused_when_the_reader_is_closed(store: BlobStore) -> None:
    """A closed reader reads nothing, and may be closed again."""
    reader = store.open(placed(store, b"moorage"))
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read_at(0, 1)


def test_reader_goes_on_when_the_blob_is_deleted(store: BlobStore) -> None:
    """A pull that has begun ends well."""
    location = placed(store, b"moorage")
    with closing(store.open(location)) as reader:
        store.delete(location)
        assert reader.read_at(0, 7) == b"moorage"


# --- Removing ------------------------------------------------------------------------------------------------


def test_open_reports_a_blob_that_was_deleted(store: BlobStore) -> None:
    """A deleted blob is missing; deleting it again is no error."""
    location = placed(store, b"moorage")
    store.delete(location)
    store.delete(location)
    with pytest.raises(BlobMissing) as caught:
        store.open(location)
    assert caught.value.location == location


def test_delete_leaves_other_copies_of_the_blob(store: BlobStore) -> None:
    """Deleting acts on a location, never on a digest."""
    first, second = placed(store, b"moorage"), placed(store, b"moorage")
    store.delete(first)
    assert content(store, second) == b"moorage"


def test_discard_segments_is_idempotent_for_several(store: BlobStore) -> None:
    """All named segments are gone, those that were gone before included."""
    names = [segment_of(store, b"part").location for _ in range(3)]
    store.discard_segments(names[:1])
    store.discard_segments(iter(names))
    assert not locations(store) & set(names)


# --- Locations that no store gave out ------------------------------------------------------------------------


@pytest.mark.parametrize("location", NO_LOCATIONS)
def test_every_method_refuses_a_location_that_no_store_gave_out(store: BlobStore, location: str) -> None:
    """A tampered row cannot name a file outside the store."""
    segment = Segment(location, 1)
    with pytest.raises(LocationRefused):
        store.open(location)
    with pytest.raises(LocationRefused):
        store.delete(location)
    with pytest.raises(LocationRefused):
        store.discard_segments([location])
    with pytest.raises(LocationRefused):
        store.place(segment, Digest.of(b""))
    with pytest.raises(LocationRefused):
        store.compose([segment, segment], ["sha256"])


def test_discard_segments_removes_nothing_when_one_location_is_refused(store: BlobStore) -> None:
    """A list with a blob's location in it is refused whole."""
    segment, location = segment_of(store, b"part"), placed(store, b"moorage")
    with pytest.raises(LocationRefused):
        store.discard_segments([segment.location, location])
    assert {segment.location, location} <= locations(store)


def test_blob_methods_refuse_the_location_of_a_segment(store: BlobStore) -> None:
    """Unfinished bytes cannot be served or deleted as a blob."""
    segment = segment_of(store, b"part")
    with pytest.raises(LocationRefused):
        store.open(segment.location)
    with pytest.raises(LocationRefused):
        store.delete(segment.location)


# --- The store as a whole ------------------------------------------------------------------------------------


def test_orphan_candidates_lists_segments_and_blobs_by_age(store: BlobStore) -> None:
    """What is stored is listed with its age; what is younger than asked for is not."""
    segment, location = segment_of(store, b"part"), placed(store, b"moorage")
    ages = {each.location: each.age_seconds for each in store.orphan_candidates(-1)}
    assert abs(ages[segment.location]) < 3_600
    assert abs(ages[location]) < 3_600
    assert not list(store.orphan_candidates(3_600))


def test_probe_leaves_nothing_behind(store: BlobStore) -> None:
    """A probe of a healthy store is silent and without trace."""
    before = locations(store)
    store.probe()
    assert locations(store) == before


def test_space_tells_free_and_total(store: BlobStore) -> None:
    """There is room, and no more free than there is in all."""
    space = store.space()
    assert 0 < space.free_bytes <= space.total_bytes
    assert 0 <= space.free_inodes <= space.total_inodes
