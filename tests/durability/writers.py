"""The load: writers that push, move, delete and create at once, each in its own repository and in a shared one."""

import random
from collections.abc import Callable
from threading import Event

from tests.durability.content import Content, ManifestFile, choose_size
from tests.durability.journal import ABSENT, PRESENT, Journal, Thing, Violation
from tests.durability.uploads import Uploader, expect
from tests.durability.wire import NoAnswer, Wire

#: Where all writers move the same tags among the same images.
SHARED = "shared/images"
SHARED_TAGS = ("stable", "next", "candidate")
_COMMON_CONTENTS = 40


class Stop(Exception):
    """The round is over for this writer."""


class Writer:
    """Does one thing after another until told to stop; what it did not finish it takes up in the next round."""

    def __init__(self, name: str, wire: Wire, journal: Journal, shared: list[ManifestFile], seed: str) -> None:
        self.repository = f"writers/{name}"
        self.wire = wire
        self.chance = random.Random(f"{seed}/{name}")
        self.uploads = Uploader(wire, journal, self.chance)
        self.broken: list[str] = []
        self.journal = journal
        self._shared = shared
        self._seed = seed
        self._count = 0
        #: Images of this writer's repository that were acknowledged, and those that an index needs.
        self._images: list[ManifestFile] = []
        self._children: set[str] = set()
        self._tags: list[str] = []
        self._scratch: list[tuple[str, Content]] = []
        self._works: list[tuple[Callable[[], object], int]] = [
            (self._push_image, 8),
            (self._push_blob, 4),
            (self._push_index, 2),
            (self._move_shared_tag, 4),
            (self._move_own_tag, 2),
            (self._untag_shared, 1),
            (self._untag_own, 2),
            (self._delete_image, 1),
            (self._mount, 1),
            (self._create_scratch, 2),
            (self._delete_scratch, 1),
            (self._cancel_upload, 1),
        ]

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set; what went wrong is in ``broken``."""
        works, weights = zip(*self._works, strict=True)
        is_resuming = True
        while not stop.is_set():
            try:
                if is_resuming:
                    self._resume()
                    is_resuming = False
                self.chance.choices(works, weights)[0]()
            except NoAnswer:
                # The process that had this connection is gone; others may still serve.
                is_resuming = True
                stop.wait(0.01)
            except Violation as violation:
                self.broken.append(f"{self.repository}: {violation}")

    def _resume(self) -> None:
        """Finish most of what a kill left unfinished; some waits for a further kill."""
        self.broken += self.uploads.check()
        for upload in list(self.uploads.open):
            if self.chance.random() < 0.7:
                self.uploads.finish(upload)

    def resume_all(self) -> list[str]:
        """Finish every upload; returns the promises broken. Raises ``Violation``, ``NoAnswer``."""
        broken = self.uploads.check()
        for upload in list(self.uploads.open):
            self.uploads.finish(upload)
        return broken

    # --- Blobs -----------------------------------------------------------------------------------------------

    def _next_name(self) -> str:
        self._count += 1
        return f"{self.repository}/{self._count}"

    def _content(self) -> Content:
        """New bytes; at times those that other writers push as well, perhaps right now."""
        if self.chance.random() < 0.15:
            number = self.chance.randrange(_COMMON_CONTENTS)
            return Content.make(f"{self._seed}/common/{number}", 3000 * (number + 1))
        return Content.make(f"{self._seed}/{self._next_name()}", choose_size(self.chance))

    def _push_blob(self) -> Content:
        return self._push(self.repository, self._content())

    def _push(self, repository: str, content: Content) -> Content:
        """Push a blob in one of the four ways."""
        way = self.chance.choices(
            [self.push_at_once, self.push_put, self.push_chunks, self.push_parts], [3, 3, 3, 2]
        )[0]
        way(repository, content)
        return content

    def push_at_once(self, repository: str, content: Content) -> None:
        """One POST with all bytes."""
        operation = self.journal.begin({Thing("blob", repository, content.digest): PRESENT})
        path = f"/v2/{repository}/blobs/uploads/?digest={content.digest}"
        expect(self.wire.send("POST", path, content.data()), 201)
        self.journal.acknowledge(operation)

    def push_put(self, repository: str, content: Content) -> None:
        """POST, then PUT with all bytes."""
        upload = self.uploads.begin(repository, content)
        self.uploads.close(upload, content.data())

    def push_chunks(self, repository: str, content: Content) -> None:
        """POST, PATCHes, PUT."""
        self.uploads.finish(self.uploads.begin(repository, content))

    def push_parts(self, repository: str, content: Content) -> None:
        """The JSON API, part by part."""
        self.uploads.finish(self.uploads.begin_json(repository, content))

    def _mount(self) -> None:
        """Make a blob of the own repository one of the shared repository."""
        content = self._push_blob()
        operation = self.journal.begin({Thing("blob", SHARED, content.digest): PRESENT})
        path = f"/v2/{SHARED}/blobs/uploads/?mount={content.digest}&from={self.repository}"
        expect(self.wire.send("POST", path), 201)
        self.journal.acknowledge(operation)

    def _cancel_upload(self) -> None:
        upload = self.uploads.begin(self.repository, self._content())
        self.uploads.send_some(upload)
        self.uploads.cancel(upload)

    # --- Images ----------------------------------------------------------------------------------------------

    def _push_image(self) -> None:
        """Layers, config, manifest, under a tag of its own."""
        layers = [self._push_blob() for _ in range(self.chance.randint(1, 3))]
        config = self._push(self.repository, Content.make(f"{self._seed}/{self._next_name()}", 1500))
        image = ManifestFile.image(config, layers)
        tag = f"t{self._count}"
        if self.chance.random() < 0.5:
            self.put_manifest(image, tag)
        else:
            self.put_image(image, tag)
        self._images.append(image)

    def _push_index(self) -> None:
        if len(self._images) < 2:
            return
        children = self.chance.sample(self._images, 2)
        self._children |= {child.digest for child in children}
        self.put_manifest(ManifestFile.index(children, self._next_name()), f"index{self._count}")

    def _effects(self, repository: str, manifest: ManifestFile, tag: str) -> dict[Thing, str]:
        return {
            Thing("tag", repository, tag): manifest.digest,
            Thing("image", repository, manifest.digest): PRESENT,
        }

    def put_manifest(self, manifest: ManifestFile, tag: str) -> None:
        """An image of the own repository, under a tag, over ``/v2/``."""
        self._tags.append(tag)
        operation = self.journal.begin(self._effects(self.repository, manifest, tag))
        self._put(self.repository, manifest, tag)
        self.journal.acknowledge(operation)

    def _put(self, repository: str, manifest: ManifestFile, tag: str) -> None:
        path = f"/v2/{repository}/manifests/{tag}"
        expect(self.wire.send("PUT", path, manifest.body, {"Content-Type": manifest.media_type}), 201)

    def put_image(self, manifest: ManifestFile, tag: str) -> None:
        """An image of the own repository, under a tag, by the JSON API."""
        self._tags.append(tag)
        operation = self.journal.begin(self._effects(self.repository, manifest, tag))
        payload = {
            "repositoryName": self.repository,
            "imageManifest": manifest.body.decode(),
            "imageManifestMediaType": manifest.media_type,
            "imageTag": tag,
        }
        expect(self.wire.call("PutImage", payload), 200)
        self.journal.acknowledge(operation)

    def _delete_image(self) -> None:
        """Delete an image by its digest, and with it every tag it has."""
        candidates = [image for image in self._images if image.digest not in self._children]
        if not candidates:
            return
        image = self.chance.choice(candidates)
        tags = [Thing("tag", self.repository, tag) for tag in self._tags]
        if any(image.digest in (allowed := self.journal.allowed(tag)) and len(allowed) > 1 for tag in tags):
            return  # which tags it has is known after the next look
        self._images.remove(image)
        effects = {tag: ABSENT for tag in tags if self.journal.certain(tag) == image.digest}
        operation = self.journal.begin({Thing("image", self.repository, image.digest): ABSENT} | effects)
        answer = expect(
            self.wire.call(
                "BatchDeleteImage",
                {"repositoryName": self.repository, "imageIds": [{"imageDigest": image.digest}]},
            ),
            200,
        )
        if answer.json()["failures"]:
            raise Violation(f"BatchDeleteImage of {image.digest}: {answer.body!r}")
        self.journal.acknowledge(operation)

    # --- Tags ------------------------------------------------------------------------------------------------

    def _move_shared_tag(self) -> None:
        image, tag = self.chance.choice(self._shared), self.chance.choice(SHARED_TAGS)
        operation = self.journal.begin({Thing("tag", SHARED, tag): image.digest})
        self._put(SHARED, image, tag)
        self.journal.acknowledge(operation)

    def _move_own_tag(self) -> None:
        if self._images and self._tags:
            image = self.chance.choice(self._images)
            self.put_manifest(image, self.chance.choice(self._tags))

    def _untag_shared(self) -> None:
        self.untag(SHARED, self.chance.choice(SHARED_TAGS))

    def _untag_own(self) -> None:
        if self._tags:
            self.untag(self.repository, self.chance.choice(self._tags))

    def untag(self, repository: str, tag: str) -> None:
        """Untag; that the tag is not there may be so, when another was faster or it is gone already."""
        thing = Thing("tag", repository, tag)
        operation = self.journal.begin({thing: ABSENT})
        answer = expect(self.wire.send("DELETE", f"/v2/{repository}/manifests/{tag}"), 202, 404)
        if answer.status == 404:
            self.journal.refuse(operation)
        else:
            self.journal.acknowledge(operation)

    # --- Repositories ----------------------------------------------------------------------------------------

    def _create_scratch(self) -> None:
        """A repository with a blob in it."""
        name = f"scratch/{self.repository.rpartition('/')[2]}/{self._count}-{self.chance.randrange(10**9)}"
        operation = self.journal.begin({Thing("repository", name): PRESENT})
        expect(self.wire.call("CreateRepository", {"repositoryName": name}), 200)
        self.journal.acknowledge(operation)
        content = Content.make(f"{self._seed}/{name}", 2000)
        self.push_at_once(name, content)
        self._scratch.append((name, content))

    def _delete_scratch(self) -> None:
        if not self._scratch:
            return
        name, content = self._scratch.pop()
        effects = {Thing("repository", name): ABSENT, Thing("blob", name, content.digest): ABSENT}
        operation = self.journal.begin(effects)
        expect(self.wire.call("DeleteRepository", {"repositoryName": name, "force": True}), 200)
        self.journal.acknowledge(operation)


def prepare_shared(wire: Wire, journal: Journal, writers: int, seed: str) -> list[ManifestFile]:
    """The repositories of all writers, and the images among which they move tags."""
    for repository in (SHARED, *(f"writers/{number}" for number in range(writers))):
        operation = journal.begin({Thing("repository", repository): PRESENT})
        expect(wire.call("CreateRepository", {"repositoryName": repository}), 200)
        journal.acknowledge(operation)
    return [_prepare_image(wire, journal, f"{seed}/shared/{number}") for number in range(6)]


def _prepare_image(wire: Wire, journal: Journal, seed: str) -> ManifestFile:
    config, layer = Content.make(f"{seed}/config", 1200), Content.make(f"{seed}/layer", 20_000)
    image = ManifestFile.image(config, [layer])
    for content in (config, layer):
        operation = journal.begin({Thing("blob", SHARED, content.digest): PRESENT})
        path = f"/v2/{SHARED}/blobs/uploads/?digest={content.digest}"
        expect(wire.send("POST", path, content.data()), 201)
        journal.acknowledge(operation)
    operation = journal.begin({Thing("image", SHARED, image.digest): PRESENT})
    path = f"/v2/{SHARED}/manifests/{image.digest}"
    expect(wire.send("PUT", path, image.body, {"Content-Type": image.media_type}), 201)
    journal.acknowledge(operation)
    return image
