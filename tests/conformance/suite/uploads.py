"""Every way to push a blob, as a client does it. Each returns when the registry did right and fails where not."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.conformance.suite import expectations
from tests.conformance.suite.content import Blob
from tests.conformance.suite.expectations import Unsupported, expect
from tests.conformance.suite.registry import Answer, Parameters
from tests.conformance.suite.run import Run

OCTETS = {"Content-Type": "application/octet-stream"}
NOTHING = {"Content-Length": "0"}
SMALLEST_CHUNK = 1024
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass
class Upload:
    """An open upload: where it goes on, what it holds, and the smallest chunk that the registry wants."""

    run: Run
    location: str
    least: int = SMALLEST_CHUNK
    sent: int = 0
    _asked: str = field(default="", repr=False)

    @classmethod
    def begin(cls, run: Run, repository: str = "", parameters: Parameters = ()) -> "Upload":
        """POST without a body: 202 and a Location."""
        answer = run.registry.send("POST", run.uploads(repository), headers=NOTHING, parameters=parameters)
        return cls.of(run, answer)

    @classmethod
    def of(cls, run: Run, answer: Answer) -> "Upload":
        """The upload that an answer opened, whatever was asked for."""
        expectations.status(answer, 202)
        least = int(answer.header("OCI-Chunk-Min-Length") or 0)
        return cls(run, expectations.header(answer, "Location"), max(least, SMALLEST_CHUNK))

    def patch(self, chunk: bytes) -> None:
        """The next chunk, its range given: 202, the next Location, and the Range that is now held."""
        answer = self._send("PATCH", chunk, self.sent)
        self._advance(answer, len(chunk))

    def stream(self, data: bytes) -> None:
        """All the rest in one PATCH of unknown length."""
        answer = self.run.registry.send("PATCH", self.location, headers=OCTETS, body=data, streamed=True)
        self._advance(answer, len(data))

    def refuse(self, chunk: bytes, start: int, close_as: str = "") -> None:
        """A chunk that does not come next, as PATCH or as the closing PUT: 416, and the upload goes on.

        GET on the very URL that was refused, its digest parameter included, then tells where.
        """
        answer = self._send("PUT" if close_as else "PATCH", chunk, start, close_as)
        expectations.status(answer, 416)
        self.ask(self._asked)

    def ask(self, url: str = "") -> None:
        """GET of the upload: 204, a Location, and exactly the Range that is held."""
        answer = self.run.registry.send("GET", url or self.location)
        expectations.status(answer, 204)
        self._hold(answer)

    def close(self, digest: str, rest: bytes | None = None) -> Answer:
        """The closing PUT, with the last chunk or without; the caller says what must come of it."""
        return self._send("PUT", rest or b"", self.sent, digest, whole=rest is None or not self.sent)

    def cancel(self) -> Answer:
        """DELETE of the upload."""
        return self.run.registry.send("DELETE", self.location, headers=NOTHING)

    def _send(self, method: str, chunk: bytes, start: int, digest: str = "", *, whole: bool = False) -> Answer:
        headers = dict(OCTETS)
        if not whole:
            headers["Content-Range"] = f"{start}-{start + len(chunk) - 1}"
        parameters = [("digest", digest)] if digest else []
        answer = self.run.registry.send(
            method, self.location, headers=headers, body=chunk, parameters=parameters
        )
        self._asked = answer.request.url
        return answer

    def _advance(self, answer: Answer, count: int) -> None:
        expectations.status(answer, 202)
        self.sent += count
        self._hold(answer)

    def _hold(self, answer: Answer) -> None:
        self.location = expectations.header(answer, "Location")
        # An upload that holds nothing has no last byte to name; registries say 0-0.
        held = [f"0-{self.sent - 1}"] if self.sent else []
        found = expectations.header(answer, "Range", *held)
        expect(bool(re.fullmatch(r"0-\d+", found)), f"{answer}: Range is {found!r}, expected 0-<last byte>")


def stored(run: Run, answer: Answer, blob: Blob) -> None:
    """201, the digest, and a Location that gives the bytes back."""
    expectations.status(answer, 201)
    expectations.digest(answer, blob.digest, required=run.is_dev)
    read = run.registry.send("GET", expectations.header(answer, "Location"))
    expectations.status(read, 200)
    expectations.body(read, blob.data)


def refused(run: Run, answer: Answer, blob: Blob) -> None:
    """400 for bytes that do not have the digest, and nothing under that digest."""
    expectations.status(answer, 400)
    expectations.error_code(answer, "DIGEST_INVALID", "BLOB_UPLOAD_INVALID")
    expectations.status(run.registry.send("HEAD", run.blob(blob.digest)), 404)


Ending = Callable[[Run, Answer, Blob], None]


def post_only(run: Run, blob: Blob, end: Ending = stored) -> None:
    """One POST with everything. 202 instead means that the registry wants a PUT after it."""
    answer = run.registry.send(
        "POST", run.uploads(), headers=OCTETS, body=blob.data, parameters=[("digest", blob.digest)]
    )
    if answer.status != 202:
        end(run, answer, blob)
        return
    end(run, Upload.of(run, answer).close(blob.digest, blob.data), blob)
    raise Unsupported(f"{answer}: a POST with everything began an upload")


def post_put(run: Run, blob: Blob, end: Ending = stored) -> None:
    """POST, then everything in one PUT."""
    end(run, Upload.begin(run).close(blob.digest, blob.data), blob)


def chunked(run: Run, blob: Blob, end: Ending = stored) -> None:
    """Chunks in order, then a PUT without a body."""
    upload = Upload.begin(run)
    for chunk in chunks(blob.data, upload.least):
        upload.patch(chunk)
    end(run, upload.close(blob.digest), blob)


def chunked_and_put(run: Run, blob: Blob, end: Ending = stored) -> None:
    """Chunks in order, the last of them in the PUT."""
    upload = Upload.begin(run)
    *first, last = chunks(blob.data, upload.least)
    for chunk in first:
        upload.patch(chunk)
    end(run, upload.close(blob.digest, last), blob)


def chunked_out_of_order(run: Run, blob: Blob, end: Ending = stored) -> None:
    """Before each right chunk a wrong one, ahead of its turn or sent again: refused, and the upload survives."""
    upload = Upload.begin(run)
    for chunk in chunks(blob.data, upload.least):
        start = _wrong_start(blob, upload)
        upload.refuse(blob.data[start : start + upload.least], start)
        upload.patch(chunk)
    end(run, upload.close(blob.digest), blob)


def chunked_out_of_order_and_put(run: Run, blob: Blob, end: Ending = stored) -> None:
    """The same, where the last chunk is in the PUT, and is once put before its turn."""
    upload = Upload.begin(run)
    *first, last = chunks(blob.data, upload.least)
    for chunk in first:
        start = _wrong_start(blob, upload)
        is_last = start + upload.least >= len(blob.data)
        upload.refuse(blob.data[start : start + upload.least], start, blob.digest if is_last else "")
        upload.patch(chunk)
    upload.refuse(blob.data[: upload.least], 0)
    end(run, upload.close(blob.digest, last), blob)


def stream(run: Run, blob: Blob, end: Ending = stored) -> None:
    """One PATCH of unknown length, then a PUT without a body."""
    upload = Upload.begin(run)
    upload.stream(blob.data)
    end(run, upload.close(blob.digest), blob)


def stream_twice(run: Run, blob: Blob, end: Ending = stored) -> None:
    """Two such PATCH requests: the second goes on where the first ended."""
    upload = Upload.begin(run)
    half = len(blob.data) // 2
    upload.stream(blob.data[:half])
    upload.stream(blob.data[half:])
    end(run, upload.close(blob.digest), blob)


def side_by_side(run: Run, blob: Blob, end: Ending = stored) -> None:
    """The same blob in two uploads at once: both are stored."""
    uploads = [Upload.begin(run), Upload.begin(run)]
    for upload in uploads:
        upload.patch(blob.data)
    for upload in uploads:
        end(run, upload.close(blob.digest), blob)


def chunks(data: bytes, size: int) -> Sequence[bytes]:
    """The bytes in pieces of one size, the last as long as what is left."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def _wrong_start(blob: Blob, upload: Upload) -> int:
    """Where a chunk would begin that skips one; the beginning where nothing is left to skip to."""
    ahead = upload.sent + upload.least
    return ahead if ahead < len(blob.data) else 0
