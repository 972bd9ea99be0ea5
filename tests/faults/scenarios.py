"""What is pushed, pulled and deleted while something fails, and the steps that the server takes for it.

The steps of a scenario are those that its requests take, in no order; a call that comes several times stands there
several times. ``~`` marks what happens after the commit or beside it: its failure is only logged, and the answer is
the ordinary one. ``test_steps`` compares each list with what the server really does, so none of them is dead and
none is missing.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moorage.metadata.sqlite import connect
from moorage.metadata.write_lock import WriteLock
from tests.durability.content import Content, ManifestFile
from tests.durability.journal import ABSENT, PRESENT, Thing, Violation
from tests.durability.uploads import expect, read_blob
from tests.durability.writers import Writer

MEBIBYTE = 1024 * 1024

EXPIRY_SECONDS = 15.0


class Middle(random.Random):
    """No chance: always the middle, so that every run takes the same steps."""

    def random(self) -> float:
        """One half."""
        return 0.5

    def randint(self, a: int, b: int) -> int:
        """Half way."""
        return (a + b) // 2


@dataclass
class Stage:
    """Where one scenario is played: a repository of its own, with all that is needed made beforehand."""

    writer: Writer
    content: Content
    image: ManifestFile
    data_dir: Path

    @property
    def repository(self) -> str:
        """The repository's name."""
        return self.writer.repository


def _nothing(_stage: Stage) -> None:
    """Nothing has to be there."""


@dataclass(frozen=True)
class Scenario:
    """``act`` is what fails; afterwards ``again`` has to succeed, by default the same."""

    act: Callable[[Stage], Any]
    steps: Sequence[str]
    size: int = 1000
    prepare: Callable[[Stage], Any] = _nothing
    again: Callable[[Stage], Any] | None = None
    process: str = "moorage-web"
    lacks_links: bool = False
    #: Steps that are not looked at: a checkpoint comes when the log has grown, wherever that is.
    ignored: tuple[str, ...] = ("write database", "sync database", "truncate database", "truncate log")
    #: Bytes of the database's log at its beginning, so that a checkpoint comes only where one is meant to.
    longest_log: int = 4 * MEBIBYTE
    #: Whether each of several like steps fails, or the first and the last.
    fails_everywhere: bool = False
    #: Whether the server is ended at each kind of step in CI too; what only repeats others is ended in ``make proof``.
    ends_in_ci: bool = False
    #: Whether a read that failed once may be made again within the same request: a small blob's ready answer
    #: (docs/adr/0010) leaves what it cannot read to the ordinary way, which may find the disk well.
    is_read_again: bool = False

    def repeat(self, stage: Stage) -> None:
        """What has to succeed once nothing fails any more."""
        (self.again or self.act)(stage)


# --- Blobs in ------------------------------------------------------------------------------------------------


def push_whole(stage: Stage) -> None:
    """One POST."""
    stage.writer.push_at_once(stage.repository, stage.content)


def push_put(stage: Stage) -> None:
    """POST, then PUT with the bytes."""
    stage.writer.push_put(stage.repository, stage.content)


def push_chunk(stage: Stage) -> None:
    """POST, PATCH with all bytes, PUT."""
    upload = stage.writer.uploads.begin(stage.repository, stage.content)
    stage.writer.uploads.patch(upload, upload.content.data(), stage.content.size)
    stage.writer.uploads.close(upload, b"")


def push_chunks(stage: Stage) -> None:
    """POST, two PATCHes, PUT."""
    stage.writer.push_chunks(stage.repository, stage.content)


def push_parts(stage: Stage) -> None:
    """The JSON API, two parts."""
    stage.writer.push_parts(stage.repository, stage.content)


def cancel(stage: Stage) -> None:
    """POST, PATCH, DELETE."""
    upload = stage.writer.uploads.begin(stage.repository, stage.content)
    stage.writer.uploads.send_some(upload)
    stage.writer.uploads.cancel(upload)


def push_wrong(stage: Stage) -> None:
    """POST, PATCH, PUT with the digest of other bytes, which ends the upload."""
    wire = stage.writer.wire
    location = expect(wire.send("POST", f"/v2/{stage.repository}/blobs/uploads/"), 202).headers["Location"]
    expect(wire.send("PATCH", location, stage.content.data()), 202)
    expect(wire.send("PUT", f"{location}?digest={stage.image.digest}"), 400)
    expect(wire.send("GET", location), 404)


def mount(stage: Stage) -> None:
    """A blob of the shared repository becomes one of this one."""
    writer, layer = stage.writer, stage.content
    operation = writer.journal.begin({Thing("blob", f"{stage.repository}/b", layer.digest): PRESENT})
    path = f"/v2/{stage.repository}/b/blobs/uploads/?mount={layer.digest}&from={stage.repository}"
    expect(writer.wire.send("POST", path), 201)
    writer.journal.acknowledge(operation)


def make_mountable(stage: Stage) -> None:
    """The blob, and a second repository."""
    push_whole(stage)
    create(stage)


def begin(stage: Stage) -> None:
    """POST, PATCH: an upload that nobody finishes."""
    stage.writer.uploads.send_some(stage.writer.uploads.begin(stage.repository, stage.content))


def await_expiry(stage: Stage) -> None:
    """Make unfinished uploads look as if nobody had written to them for years, and wait until they are gone."""
    writer = stage.writer
    for upload in list(writer.uploads.open):
        upload.is_cancelled = True
        forget_use(stage.data_dir / "metadata.db", upload.upload_id)
        until = time.monotonic() + EXPIRY_SECONDS
        while expect(writer.wire.send("GET", upload.path), 204, 404).status != 404:
            if time.monotonic() > until:
                raise Violation(f"upload {upload.upload_id} does not expire")
            time.sleep(0.02)
        writer.uploads.open.remove(upload)


def forget_use(database: Path, upload_id: str) -> None:
    """Set the time of an upload's last use to the beginning of time."""
    lock = WriteLock(database)
    connection = connect(database)
    with lock.turn(EXPIRY_SECONDS):
        connection.execute("UPDATE upload SET updated_at = 0 WHERE id = ?", (upload_id,))
        connection.close()
    lock.close()


def pull(stage: Stage) -> None:
    """GET of a blob. Raises ``Violation`` for other bytes than those that were pushed."""
    if read_blob(stage.writer.wire, stage.repository, stage.content.digest) != stage.content.data():
        raise Violation(f"{stage.content.digest} has other bytes")


# --- Manifests, deletion, repositories -----------------------------------------------------------------------


def push_needs(stage: Stage) -> None:
    """What the image needs."""
    push_whole(stage)
    config = Content.make(f"{stage.content.seed}/config", 100)
    stage.writer.push_at_once(stage.repository, config)


def put_manifest(stage: Stage) -> None:
    """PUT by tag."""
    stage.writer.put_manifest(stage.image, "tag")


def put_image(stage: Stage) -> None:
    """The JSON API."""
    stage.writer.put_image(stage.image, "tag")


def push_image(stage: Stage) -> None:
    """The image with all that it needs."""
    push_needs(stage)
    put_manifest(stage)


def delete_image(stage: Stage) -> None:
    """BatchDeleteImage by digest, its tag included."""
    writer = stage.writer
    things = Thing("image", stage.repository, stage.image.digest), Thing("tag", stage.repository, "tag")
    operation = writer.journal.begin(dict.fromkeys(things, ABSENT))
    ids = [{"imageDigest": stage.image.digest}]
    expect(writer.wire.call("BatchDeleteImage", {"repositoryName": stage.repository, "imageIds": ids}), 200)
    writer.journal.acknowledge(operation)


def untag(stage: Stage) -> None:
    """DELETE of a tag."""
    stage.writer.untag(stage.repository, "tag")


def delete_blob(stage: Stage) -> None:
    """DELETE of a layer."""
    writer = stage.writer
    operation = writer.journal.begin({Thing("blob", stage.repository, stage.content.digest): ABSENT})
    path = f"/v2/{stage.repository}/blobs/{stage.content.digest}"
    expect(writer.wire.send("DELETE", path), 202, 404)
    writer.journal.acknowledge(operation)


def create(stage: Stage) -> None:
    """CreateRepository of one beside."""
    name = f"{stage.repository}/b"
    operation = stage.writer.journal.begin({Thing("repository", name): PRESENT})
    answer = stage.writer.wire.call("CreateRepository", {"repositoryName": name})
    if b"RepositoryAlreadyExistsException" not in answer.body:
        expect(answer, 200)
    stage.writer.journal.acknowledge(operation)


def delete_repository(stage: Stage) -> None:
    """DeleteRepository of it."""
    name = f"{stage.repository}/b"
    operation = stage.writer.journal.begin({Thing("repository", name): ABSENT})
    answer = stage.writer.wire.call("DeleteRepository", {"repositoryName": name, "force": True})
    if b"RepositoryNotFoundException" not in answer.body:
        expect(answer, 200)
    stage.writer.journal.acknowledge(operation)


def then(*acts: Callable[[Stage], Any]) -> Callable[[Stage], None]:
    """One after the other."""

    def all_of_them(stage: Stage) -> None:
        for act in acts:
            act(stage)

    return all_of_them


def put_large_manifests(stage: Stage) -> None:
    """As many bytes of manifests as make the log due for a checkpoint."""
    for number in range(4):
        note = f"{stage.content.seed}/{number}/" + "x" * (7 * MEBIBYTE // 2)
        stage.writer.put_manifest(ManifestFile.index([], note), f"large{number}")


# --- The table -----------------------------------------------------------------------------------------------

COMMIT: Final = ("write log", "sync log")
SEGMENT: Final = ("create segment", "write segment", "sync segment")
KEPT: Final = (*SEGMENT, "sync segment directory")
#: Several segments become one, piece by piece.
JOINED: Final = ("create segment", "sync segment", "sync segment directory")
COPIED: Final = ("read segment", "write segment")
PLACE: Final = ("link blob", "sync blob directory")

SCENARIOS: Final[dict[str, Scenario]] = {
    "whole": Scenario(push_whole, (*SEGMENT, *PLACE, *COMMIT, "unlink segment~"), ends_in_ci=True),
    "whole, large": Scenario(
        push_whole,
        (*SEGMENT, "flush segment~", "write segment", *PLACE, *COMMIT, "unlink segment~"),
        size=17 * MEBIBYTE,
    ),
    "whole, copied": Scenario(
        push_whole,
        (
            *SEGMENT,
            "read segment",
            "create blob",
            "write blob",
            "sync blob",
            "sync blob directory",
            *COMMIT,
            "unlink segment~",
        ),
        lacks_links=True,
        ends_in_ci=True,
    ),
    "whole, there already": Scenario(
        push_whole,
        # All that is committed is the audit's record.
        (*SEGMENT, *PLACE, *COMMIT, "unlink segment~", "unlink blob~", "sync blob directory~"),
        prepare=push_whole,
    ),
    "put": Scenario(push_put, (*COMMIT * 3, *SEGMENT, *PLACE, "unlink segment~")),
    "chunk": Scenario(
        push_chunk, (*COMMIT * 5, *KEPT, *PLACE, "unlink segment~"), fails_everywhere=True, ends_in_ci=True
    ),
    "chunks": Scenario(
        push_chunks, (*COMMIT * 7, *KEPT * 2, *JOINED, *COPIED * 2, *PLACE, "unlink segment~"), ends_in_ci=True
    ),
    "parts": Scenario(
        push_parts, (*COMMIT * 7, *KEPT * 2, *JOINED, *COPIED * 6, *PLACE, "unlink segment~"), size=6 * MEBIBYTE
    ),
    "wrong": Scenario(push_wrong, (*COMMIT * 5, *KEPT, "unlink segment~")),
    "cancel": Scenario(cancel, (*COMMIT * 4, *KEPT, "unlink segment~")),
    "expiry": Scenario(
        await_expiry,
        ("write log~", "sync log~", "unlink segment~"),
        prepare=begin,
        again=then(await_expiry, begin, await_expiry),
        process="moorage-jobs",
        ends_in_ci=True,
    ),
    "pull": Scenario(pull, ("read blob",), prepare=push_whole, is_read_again=True),
    "pull, large": Scenario(pull, ("read blob",), prepare=push_whole, size=5 * MEBIBYTE),
    "mount": Scenario(mount, COMMIT, prepare=make_mountable),
    "manifest": Scenario(put_manifest, COMMIT, prepare=push_needs, ends_in_ci=True),
    "PutImage": Scenario(put_image, COMMIT, prepare=push_needs, again=put_manifest),
    "delete image": Scenario(
        delete_image, COMMIT, prepare=push_image, again=then(push_image, delete_image), ends_in_ci=True
    ),
    "delete tag": Scenario(untag, COMMIT, prepare=push_image, again=then(push_image, untag)),
    "delete blob": Scenario(delete_blob, COMMIT, prepare=push_whole, again=then(push_whole, delete_blob)),
    "create repository": Scenario(create, COMMIT),
    "delete repository": Scenario(
        delete_repository, COMMIT, prepare=create, again=then(create, delete_repository)
    ),
    "checkpoint": Scenario(
        put_large_manifests,
        ("write database~", "sync database~", "truncate database~", "truncate log~"),
        ignored=("write log", "sync log"),
        longest_log=MEBIBYTE,
        ends_in_ci=True,
    ),
}
