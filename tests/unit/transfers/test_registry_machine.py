"""Any sequence of pushes, moves, deletions and broken uploads, against a model that is simple enough to believe."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from moorage.domain.digest import Digest
from moorage.domain.errors import (
    BlobDigestMismatch,
    BodyIncomplete,
    ImageReferencedByIndex,
    LayerInUse,
    LayersMissing,
    NotFound,
    ReferencedImagesMissing,
    Unavailable,
    UploadOutOfOrder,
)
from moorage.domain.manifest import Manifest
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata import repositories as repository_rows
from moorage.metadata import tags as tag_rows
from moorage.metadata.repositories import RepositoryRow
from moorage.services import image_batches, image_lists, images, layers, repositories, uploads
from moorage.services.image_ids import ImageFailureCode, ImageId
from tests.support.callers import APP, OTHER, REGISTRY, enroll
from tests.support.content import Shelf
from tests.support.database import fresh_database
from tests.support.manifests import artifact, image_manifest, index
from tests.support.postgresql import SERVER
from tests.support.transfers import Harbour, body

Result = TypeVar("Result")

BLOBS = [b"{}", b"config", b"layer one", b"layer two"]
IMAGES = [
    image_manifest([BLOBS[2]], config=BLOBS[1]),
    image_manifest([BLOBS[2], BLOBS[3]], config=BLOBS[1]),
    image_manifest([BLOBS[3]], config=BLOBS[0]),
]
MANIFESTS = [*IMAGES, index(IMAGES[:2]), index([IMAGES[2]]), artifact(IMAGES[0])]
TAGS = ["a", "b", "c"]

names = st.sampled_from([APP, OTHER])
blobs = st.sampled_from(BLOBS)
manifests = st.sampled_from(MANIFESTS)
tags = st.sampled_from(TAGS)


@dataclass
class Model:
    """One repository as a user thinks of it."""

    blobs: set[Digest] = field(default_factory=set)
    images: dict[Digest, Manifest] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    #: Every state that a tag was in, None where it was gone.
    history: dict[str, list[Digest | None]] = field(default_factory=dict)

    def lacks_blobs(self, manifest: Manifest) -> bool:
        """Whether a push of it must be refused."""
        return any(needed.digest not in self.blobs for needed in manifest.required_blobs())

    def lacks_children(self, manifest: Manifest) -> bool:
        """Whether a push of it must be refused."""
        return any(child.digest not in self.images for child in manifest.required_manifests())

    def needs_blob(self, digest: Digest) -> bool:
        """Whether one of its images needs the blob."""
        return any(
            needed.digest == digest for image in self.images.values() for needed in image.required_blobs()
        )

    def has_index_of(self, digest: Digest) -> bool:
        """Whether one of its indexes needs the image."""
        return any(
            child.digest == digest for image in self.images.values() for child in image.required_manifests()
        )

    def tags_of(self, digest: Digest) -> list[str]:
        """The image's tags."""
        return [tag for tag, target in self.tags.items() if target == digest]

    def move(self, tag: str, to: Digest | None) -> None:
        """Point a tag elsewhere, or remove it."""
        if self.tags.get(tag) == to:
            return
        self.history.setdefault(tag, [None]).append(to)
        if to is None:
            del self.tags[tag]
        else:
            self.tags[tag] = to

    def delete(self, digest: Digest) -> None:
        """Remove an image with its tags."""
        for tag in self.tags_of(digest):
            self.move(tag, None)
        del self.images[digest]


@dataclass
class Open:
    """An upload that is not finished."""

    name: RepositoryName
    content: bytes = b""


class RegistryMachine(RuleBasedStateMachine):
    """Two repositories of one registry, a memory blob store, and some open uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.database = fresh_database(self.directory)
        self.caller = enroll(self.database)
        self.harbour = Harbour(self.database)
        self.shelf = Shelf(self.database, self.caller, store=self.harbour.store)
        self.loop = asyncio.new_event_loop()
        self.models: dict[RepositoryName, Model] = {}
        self.uploads: dict[str, Open] = {}
        for name in (APP, OTHER):
            self.create(name)

    def teardown(self) -> None:
        """Let go of everything."""
        self.loop.close()
        self.harbour.threads.close()
        self.database.close()
        shutil.rmtree(self.directory)

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run a transfer to its end."""
        return self.loop.run_until_complete(call)

    # --- Repositories ----------------------------------------------------------------------------------------

    def create(self, name: RepositoryName) -> None:
        """Make the repository."""
        self.database.write_now(repositories.create_repository, self.caller, REGISTRY, name)
        self.models[name] = Model()

    @rule(name=names)
    def make_anew(self, name: RepositoryName) -> None:
        """Nothing of the old repository is in the new one; its uploads are gone."""
        self.database.write_now(repositories.delete_repository, self.caller, REGISTRY, name, is_forced=True)
        self.create(name)
        for upload_id in [each for each, upload in self.uploads.items() if upload.name == name]:
            with pytest.raises(NotFound):
                self.find_upload(upload_id)
            del self.uploads[upload_id]

    # --- Blobs -----------------------------------------------------------------------------------------------

    @rule(name=names, content=blobs, is_right=st.booleans())
    def push_blob(self, name: RepositoryName, content: bytes, is_right: bool) -> None:
        """In one request, with a right or a wrong digest."""
        digest = Digest.of(content if is_right else content + b"!")
        push = self.harbour.uploads.receive_whole(
            self.caller, REGISTRY, name, body(content), length=None, digest=digest
        )
        if is_right:
            self.run(push)
            self.models[name].blobs.add(digest)
        else:
            with pytest.raises(BlobDigestMismatch):
                self.run(push)

    @rule(name=names, content=blobs)
    def mount_blob(self, name: RepositoryName, content: bytes) -> None:
        """From wherever it is."""
        digest = Digest.of(content)
        is_there = any(digest in model.blobs for model in self.models.values())
        mounted = self.database.write_now(layers.mount_layer, self.caller, REGISTRY, name, digest, None)
        assert (mounted is not None) == is_there
        if mounted:
            self.models[name].blobs.add(digest)

    @rule(name=names, content=blobs)
    def delete_blob(self, name: RepositoryName, content: bytes) -> None:
        """Unless an image needs it."""
        digest, model = Digest.of(content), self.models[name]

        def delete() -> None:
            self.database.write_now(layers.delete_layer, self.caller, REGISTRY, name, digest)

        if digest not in model.blobs:
            with pytest.raises(NotFound):
                delete()
        elif model.needs_blob(digest):
            with pytest.raises(LayerInUse):
                delete()
        else:
            delete()
            model.blobs.remove(digest)

    # --- Uploads ---------------------------------------------------------------------------------------------

    def find_upload(self, upload_id: str) -> int:
        """Where the upload stands."""
        name = self.uploads[upload_id].name
        found = self.database.read_now(uploads.get_upload, self.caller, REGISTRY, name, upload_id)
        return found.length

    @rule(name=names, chunk=st.sampled_from([b"", b"layer", b"{}"]))
    def start_upload(self, name: RepositoryName, chunk: bytes) -> None:
        """Begin one, perhaps with a first chunk."""
        upload_id = self.database.write_now(uploads.start_upload, self.caller, REGISTRY, name)
        self.uploads[upload_id] = Open(name, chunk)
        self.run(
            self.harbour.uploads.receive(
                self.caller, REGISTRY, name, upload_id, body(chunk), first_byte=0, length=len(chunk)
            )
        )

    @precondition(lambda self: self.uploads)
    @rule(
        data=st.data(), chunk=st.sampled_from([b"", b"layer", b" one", b" two", b"{}"]), fate=st.integers(0, 4)
    )
    def add_chunk(self, data: st.DataObject, chunk: bytes, fate: int) -> None:
        """One that arrives, one that is cut off, one elsewhere, one that cannot be written or synced."""
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        upload = self.uploads[upload_id]
        first_byte = len(upload.content) + (1 if fate == 2 else 0)
        patch = self.harbour.uploads.receive(
            self.caller,
            REGISTRY,
            upload.name,
            upload_id,
            body(*filter(None, [chunk]), is_cut=fate == 1),  # HTTP brings no empty pieces
            first_byte=first_byte,
            length=None,
        )
        self.harbour.store.failing = {3: {"write"}, 4: {"close"}}.get(fate, set())
        is_written = bool(chunk) or fate in {0, 1, 2}
        refusal = {1: BodyIncomplete, 2: UploadOutOfOrder, 3: Unavailable, 4: Unavailable}.get(fate)
        with pytest.raises(refusal) if refusal and is_written else nullcontext():
            self.run(patch)
        self.harbour.store.failing = set()
        if fate in {0, 1}:
            upload.content += chunk
        assert self.find_upload(upload_id) == len(upload.content)

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), rest=st.sampled_from([b"", b" one", b"{}"]), fate=st.integers(0, 3))
    def finish_upload(self, data: st.DataObject, rest: bytes, fate: int) -> None:
        """With the right digest, a wrong one, or a store that fails in between."""
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        upload = self.uploads[upload_id]
        content = upload.content + rest
        put = self.harbour.uploads.receive_last(
            self.caller,
            REGISTRY,
            upload.name,
            upload_id,
            body(rest),
            first_byte=None,
            length=len(rest),
            digest=Digest.of(content if fate else content + b"!"),
        )
        self.harbour.store.failing = {2: {"place"}, 3: {"close", "compose"}}.get(fate, set())
        try:
            self.run(put)
        except BlobDigestMismatch:
            assert fate == 0
            del self.uploads[upload_id]
        except Unavailable:
            assert fate in {2, 3}
        else:
            self.models[upload.name].blobs.add(Digest.of(content))
            del self.uploads[upload_id]
        self.harbour.store.failing = set()

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def cancel_upload(self, data: st.DataObject) -> None:
        """Throw one away."""
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        self.run(
            self.harbour.uploads.cancel(self.caller, REGISTRY, self.uploads.pop(upload_id).name, upload_id)
        )

    # --- Images ----------------------------------------------------------------------------------------------

    @rule(name=names, manifest=manifests, wanted=st.lists(tags, max_size=2))
    def push_image(self, name: RepositoryName, manifest: Manifest, wanted: list[str]) -> None:
        """Refused while it lacks anything; then every tag points to it."""
        model = self.models[name]
        if model.lacks_blobs(manifest) or model.lacks_children(manifest):
            with pytest.raises((LayersMissing, ReferencedImagesMissing)):
                self.shelf.push(manifest, *wanted, name=name)
            return
        self.shelf.push(manifest, *wanted, name=name)
        model.images[manifest.digest] = manifest
        for tag in wanted:
            model.move(tag, manifest.digest)

    @rule(name=names, content=st.just(BLOBS), manifest=manifests, tag=tags)
    def push_everything(self, name: RepositoryName, content: list[bytes], manifest: Manifest, tag: str) -> None:
        """An image with all that it needs, as a client does it."""
        for blob in content:
            self.push_blob(name, blob, is_right=True)
        for child in manifest.required_manifests():
            self.push_image(name, next(each for each in IMAGES if each.digest == child.digest), [])
        self.push_image(name, manifest, [tag])

    @rule(name=names, tag=tags)
    def untag(self, name: RepositoryName, tag: str) -> None:
        """Over ``/v2/``: the image stays."""
        model = self.models[name]

        def delete() -> None:
            self.database.write_now(image_batches.delete_tag, self.caller, REGISTRY, name, Tag(tag))

        if tag in model.tags:
            delete()
            model.move(tag, None)
        else:
            with pytest.raises(NotFound):
                delete()

    @rule(name=names, manifest=manifests)
    def delete_image(self, name: RepositoryName, manifest: Manifest) -> None:
        """Over ``/v2/``: with all tags, unless an index needs it."""
        model, digest = self.models[name], manifest.digest

        def delete() -> None:
            self.database.write_now(image_batches.delete_image, self.caller, REGISTRY, name, digest)

        if digest not in model.images:
            with pytest.raises(NotFound):
                delete()
        elif model.has_index_of(digest):
            with pytest.raises(ImageReferencedByIndex):
                delete()
        else:
            delete()
            model.delete(digest)

    @rule(name=names, data=st.data())
    def batch_delete(self, name: RepositoryName, data: st.DataObject) -> None:
        """By the JSON API: read against the state before the call, then one id after the other."""
        by_tag = [ImageId(tag=tag) for tag in TAGS]
        both = [ImageId(str(digest), tag) for tag, digest in self.models[name].tags.items()]
        digests = [ImageId(str(manifest.digest)) for manifest in MANIFESTS]
        wrong = [ImageId(str(MANIFESTS[0].digest), tag) for tag in TAGS]
        kinds = st.sampled_from([kind for kind in (by_tag, both, both, digests, wrong) if kind])
        ids = data.draw(st.lists(kinds.flatmap(st.sampled_from), min_size=1, max_size=4))
        model = self.models[name]
        before = Model(images=dict(model.images), tags=dict(model.tags))
        removed, failures = self.database.write_now(
            image_batches.batch_delete_images, self.caller, REGISTRY, name, ids
        )
        expected: set[tuple[str, str | None]] = set()
        for image_id in ids:
            digest = before.tags.get(image_id.tag) if image_id.tag else _digest(image_id)
            is_found = digest in before.images and image_id.digest in {None, str(digest)}
            if digest is None or not is_found or digest not in model.images:
                continue
            named = model.tags_of(digest)
            if image_id.tag is not None and image_id.tag not in named:
                continue
            if image_id.tag is not None and len(named) > 1:
                model.move(image_id.tag, None)
                expected.add((str(digest), image_id.tag))
            elif not before.has_index_of(digest):
                expected |= {(str(digest), tag) for tag in named} or {(str(digest), None)}
                model.delete(digest)
        assert len(removed) == len(expected)
        assert {(one.digest, one.tag) for one in removed} == expected
        for failure in failures:
            if failure.code is ImageFailureCode.REFERENCED_BY_INDEX:
                assert failure.indexes

    # --- What always holds -----------------------------------------------------------------------------------

    def row(self, name: RepositoryName) -> RepositoryRow:
        """The repository's row."""
        found = self.database.read_now(repository_rows.find_repository, REGISTRY, name)
        assert found is not None
        return found

    @invariant()
    def images_and_tags_are_those_of_the_model(self) -> None:
        """Lists, counts and manifests by tag and digest."""
        for name, model in self.models.items():
            found, _ = self.database.read_now(
                image_lists.list_image_details, self.caller, REGISTRY, name, "ANY", 0, 1000
            )
            assert {one.image.digest: sorted(one.tags) for one in found} == {
                str(digest): sorted(model.tags_of(digest)) for digest in model.images
            }
            assert [one.image.tag_count for one in found] == [len(one.tags) for one in found]
            assert self.row(name).image_count == len(model.images)
            for tag, digest in model.tags.items():
                got = self.database.read_now(images.get_image, self.caller, REGISTRY, name, Tag(tag))
                assert got.content == model.images[digest].content

    @invariant()
    def every_needed_blob_is_there_byte_for_byte(self) -> None:
        """And every other one that the model has."""
        for name, model in self.models.items():
            for image in model.images.values():
                assert not model.lacks_blobs(image)
                assert not model.lacks_children(image)
            for digest in model.blobs:
                layer = self.database.read_now(layers.get_layer, self.caller, REGISTRY, name, digest)
                reader = self.harbour.store.open(layer.location)
                assert Digest.of(reader.read_at(0, layer.size + 1)) == digest

    @invariant()
    def the_history_tells_every_move(self) -> None:
        """Each move begins where the one before ended."""
        for name, model in self.models.items():
            for tag, states in model.history.items():
                moves = self.database.read_now(tag_rows.list_moves, self.row(name).id, tag, 0, 1000)
                texts = [None if state is None else str(state) for state in states]
                assert [(move.from_digest, move.to_digest) for move in moves] == list(pairwise(texts))

    @invariant()
    def what_is_stored_is_what_rows_name(self) -> None:
        """Nothing acknowledged is lost, nothing is left behind."""
        assert self.harbour.lost() == set()
        assert self.run(self.harbour.garbage()) == set()


def _digest(image_id: ImageId) -> Digest | None:
    return Digest.parse(image_id.digest) if image_id.digest else None


#: All of its statements come in the first few; the sequences are the same on every database.
EXAMPLES = 10 if SERVER else 30

RegistryMachine.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None)
TestRegistryMachine = RegistryMachine.TestCase
