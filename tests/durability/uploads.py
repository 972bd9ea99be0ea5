"""Uploads that outlive the server: what was acknowledged of each, and how it goes on after a kill."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.durability.content import Content
from tests.durability.journal import PRESENT, Journal, Thing, Violation
from tests.durability.wire import Answer, Body, Wire, encode_part

#: ECR: the least size of every part but the last.
SMALLEST_PART = 5 * 1024 * 1024


@dataclass(slots=True, eq=False)
class Upload:
    """An unfinished upload. ``held`` bytes were acknowledged, up to ``sent`` may be there."""

    repository: str
    upload_id: str
    content: Content
    is_json: bool
    held: int = 0
    sent: int = 0
    is_closing: bool = False
    is_cancelled: bool = False

    @property
    def thing(self) -> Thing:
        """The blob that it becomes."""
        return Thing("blob", self.repository, self.content.digest)

    @property
    def path(self) -> str:
        """Where it is on ``/v2/``."""
        return f"/v2/{self.repository}/blobs/uploads/{self.upload_id}"

    def check_held(self, held: int) -> None:
        """Raises ``Violation`` unless the server holds all that it acknowledged and no more than was sent."""
        # On /v2/ nothing and one byte look alike.
        if not (self.held <= held <= self.sent or (held == 1 and self.held == 0)):
            raise Violation(
                f"upload {self.upload_id} holds {held} bytes; {self.held} acknowledged, {self.sent} sent"
            )


def expect(answer: Answer, *statuses: int) -> Answer:
    """Raises ``Violation`` for any other status."""
    if answer.status not in statuses:
        raise Violation(f"status {answer.status}, not {statuses}: {answer.body[:300]!r}")
    return answer


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    """A body for HTTP chunks."""
    return (data[start : start + size] for start in range(0, len(data), size))


class Uploader:
    """Sends uploads on, part by part, and keeps the list of those that are not finished."""

    def __init__(self, wire: Wire, journal: Journal, chance: random.Random) -> None:
        self._wire = wire
        self._journal = journal
        self.chance = chance
        self.open: list[Upload] = []
        #: Since the last check.
        self.cancelled: list[Upload] = []

    def begin(self, repository: str, content: Content) -> Upload:
        """Start an upload on ``/v2/``."""
        answer = expect(self._wire.send("POST", f"/v2/{repository}/blobs/uploads/"), 202)
        return self._began(Upload(repository, answer.headers["Docker-Upload-UUID"], content, is_json=False))

    def begin_json(self, repository: str, content: Content) -> Upload:
        """Start an upload with the JSON API."""
        answer = expect(self._wire.call("InitiateLayerUpload", {"repositoryName": repository}), 200)
        return self._began(Upload(repository, answer.json()["uploadId"], content, is_json=True))

    def _began(self, upload: Upload) -> Upload:
        self._journal.count()
        self.open.append(upload)
        return upload

    def finish(self, upload: Upload) -> None:
        """Send what is missing and make it a blob."""
        data = upload.content.data()
        if upload.is_json:
            self._send_parts(upload, data)
            self._complete(upload)
        else:
            self.close(upload, self._send_patches(upload, data))

    def send_some(self, upload: Upload) -> None:
        """Send a first chunk."""
        data = upload.content.data()
        self.patch(upload, data, self.chance.randint(2, len(data)))

    def close(self, upload: Upload, last: bytes) -> None:
        """Make it a blob with these last bytes."""
        upload.sent = max(upload.sent, upload.held + len(last))
        upload.is_closing = True
        operation = self._journal.begin({upload.thing: PRESENT})
        path = f"{upload.path}?digest={upload.content.digest}"
        expect(self._wire.send("PUT", path, last), 201)
        self._journal.acknowledge(operation)
        self.open.remove(upload)

    def cancel(self, upload: Upload) -> None:
        """End it: afterwards it is gone, and stays so."""
        upload.is_cancelled = True
        expect(self._wire.send("DELETE", upload.path), 204)
        self._journal.count()
        self.open.remove(upload)
        self.cancelled.append(upload)

    # --- /v2/ ------------------------------------------------------------------------------------------------

    def _send_patches(self, upload: Upload, data: bytes) -> bytes:
        """Send chunks of any size; returns what is left for the closing request, often nothing."""
        while upload.held < len(data):
            left = len(data) - upload.held
            if self.chance.random() < 0.15:
                return data[upload.held :]
            self.patch(upload, data, min(left, self.chance.randint(2, max(2 * left // 3, 1024))))
        return b""

    def patch(self, upload: Upload, data: bytes, size: int) -> None:
        """Send the next ``size`` bytes of all the data."""
        end = upload.held + size
        part = data[upload.held : end]
        headers = {}
        if self.chance.random() < 0.5:
            headers["Content-Range"] = f"{upload.held}-{end - 1}"
        body: Body = part if self.chance.random() < 0.5 else in_pieces(part, self.chance.randint(1000, 300_000))
        upload.sent = max(upload.sent, end)
        answer = expect(self._wire.send("PATCH", upload.path, body, headers), 202)
        if (stated := _end_of_range(answer)) != end:
            raise Violation(f"PATCH to {end} of {upload.upload_id} was acknowledged with {stated} bytes")
        upload.held = end
        self._journal.count()

    # --- JSON API --------------------------------------------------------------------------------------------

    def _send_parts(self, upload: Upload, data: bytes) -> None:
        while upload.held < len(data):
            end = min(upload.held + SMALLEST_PART, len(data))
            upload.sent = max(upload.sent, end)
            answer = expect(self._part(upload, data, upload.held, end), 200)
            if answer.json()["lastByteReceived"] != end - 1:
                raise Violation(f"part to {end} of {upload.upload_id}: {answer.body!r}")
            upload.held = end
            self._journal.count()

    def _part(self, upload: Upload, data: bytes, first: int, end: int) -> Answer:
        return self._wire.call(
            "UploadLayerPart",
            {
                "repositoryName": upload.repository,
                "uploadId": upload.upload_id,
                "partFirstByte": first,
                "partLastByte": end - 1,
                "layerPartBlob": encode_part(data[first:end]),
            },
        )

    def _complete(self, upload: Upload) -> None:
        upload.is_closing = True
        operation = self._journal.begin({upload.thing: PRESENT})
        answer = self._wire.call(
            "CompleteLayerUpload",
            {
                "repositoryName": upload.repository,
                "uploadId": upload.upload_id,
                "layerDigests": [upload.content.digest],
            },
        )
        # That the layer is there already is an acknowledgement too: clients go on with the image.
        if answer.status != 200 and b"LayerAlreadyExistsException" not in answer.body:
            expect(answer, 200)
        self._journal.acknowledge(operation)
        self.open.remove(upload)

    # --- After a kill ----------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Compare what the server holds of each upload with what it acknowledged; returns the promises broken.

        An upload that broke one is forgotten.
        """
        broken = [
            f"upload {upload.upload_id} is back after its end was acknowledged"
            for upload in self.cancelled
            if self._status(upload).status != 404
        ]
        self.cancelled.clear()
        for upload in list(self.open):
            try:
                self._check_open(upload)
            except Violation as violation:
                broken.append(str(violation))
                self.open.remove(upload)
        return broken

    def _status(self, upload: Upload) -> Answer:
        return expect(self._wire.send("GET", upload.path), 204, 404)

    def _check_open(self, upload: Upload) -> None:
        """The unanswered last request of an upload may have done its work: then the blob has to be there."""
        answer = self._status(upload)
        if answer.status == 204:
            held = _end_of_range(answer)
            upload.check_held(held)
            # Nothing and one byte look alike.
            upload.held = held if held > 1 else upload.held
            upload.is_closing = upload.is_cancelled = False
            return
        if not (upload.is_closing or upload.is_cancelled):
            raise Violation(f"upload {upload.upload_id} is gone with {upload.held} bytes acknowledged")
        if upload.is_closing and read_blob(self._wire, upload.repository, upload.content.digest) is None:
            raise Violation(
                f"upload {upload.upload_id} is gone, {upload.held} bytes acknowledged, and no "
                f"{upload.content.digest} in its place"
            )
        self.open.remove(upload)


def _end_of_range(answer: Answer) -> int:
    """The number of bytes that a Range of an upload stands for."""
    first, _, last = answer.headers["Range"].partition("-")
    if first != "0" or not last.isdigit():
        raise Violation(f"Range {answer.headers['Range']!r} of an upload")
    return int(last) + 1


def read_blob(wire: Wire, repository: str, digest: str) -> bytes | None:
    """The bytes of a blob, None where it is missing."""
    answer = expect(wire.send("GET", f"/v2/{repository}/blobs/{digest}"), 200, 404)
    return answer.body if answer.status == 200 else None
