"""Blobs: every upload style in every algorithm, reading whole and in part, wrong digests, mounts."""

from collections.abc import Callable

from tests.conformance.suite import expectations, uploads
from tests.conformance.suite.content import Blob, digest_of, name
from tests.conformance.suite.expectations import Unsupported, expect
from tests.conformance.suite.management import delete_blob
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run
from tests.conformance.suite.uploads import NOTHING, UUID, Ending, Upload

Style = Callable[[Run, Blob, Ending], None]

SMALL = 512
# Three chunks, the last of them short.
LARGE = 3 * uploads.SMALLEST_CHUNK - 5

STYLES: tuple[tuple[str, Api, Style, int], ...] = (
    ("post only", Api.BLOB_POST_ONLY, uploads.post_only, SMALL),
    ("post, put", Api.BLOB_POST_PUT, uploads.post_put, SMALL),
    ("one chunk", Api.BLOB_PATCH_CHUNKED, uploads.chunked, SMALL),
    ("stream", Api.BLOB_PATCH_STREAM, uploads.stream, SMALL),
    ("stream in two requests", Api.BLOB_PATCH_STREAM, uploads.stream_twice, LARGE),
    ("chunks", Api.BLOB_PATCH_CHUNKED, uploads.chunked, LARGE),
    ("chunks, the last in the put", Api.BLOB_PATCH_CHUNKED, uploads.chunked_and_put, LARGE),
    ("chunks out of order", Api.BLOB_PATCH_CHUNKED, uploads.chunked_out_of_order, LARGE),
    (
        "chunks out of order, the last in the put",
        Api.BLOB_PATCH_CHUNKED,
        uploads.chunked_out_of_order_and_put,
        LARGE,
    ),
    ("two uploads of one blob", Api.BLOB_PATCH_CHUNKED, uploads.side_by_side, SMALL),
)

# Of 2048 bytes: what is asked for, and the first and last byte that come; None where nothing can.
RANGES = (
    ("bytes=500-1499", (500, 1499)),
    ("bytes=500-", (500, 2047)),
    ("bytes=-500", (1548, 2047)),
    ("bytes=2000-5000", (2000, 2047)),
    ("bytes=0-0", (0, 0)),
    ("bytes=500-0", None),
    ("bytes=5000-10000", None),
)
RANGED = 2048


def check_blobs(run: Run, algorithm: str) -> None:
    """All groups of one digest algorithm."""
    run.report.group(f"{algorithm} blobs")
    missing(run, algorithm)
    for title, api, push, size in STYLES:
        pushed(run, Blob.random(size, algorithm), title, api, push)
    mounts(run, algorithm)
    sessions(run, algorithm)
    ranges(run, algorithm)
    well_known(run, algorithm)
    wrong_digests(run, algorithm)


def missing(run: Run, algorithm: str) -> None:
    """A blob that was never pushed is 404."""
    absent = Blob.random(SMALL, algorithm).digest
    with run.report.check("absent blob, get: 404", Api.BLOB_GET):
        answer = run.registry.send("GET", run.blob(absent))
        expectations.status(answer, 404)
        expectations.error_code(answer, "BLOB_UNKNOWN")
    with run.report.check("absent blob, head: 404", Api.BLOB_HEAD):
        expectations.status(run.registry.send("HEAD", run.blob(absent)), 404)
    with run.report.check("malformed digest: 400 or 404", Api.BLOB_GET):
        answer = run.registry.send("GET", run.blob(f"{algorithm}:short"))
        expectations.status(answer, 400, 404)


def pushed(run: Run, blob: Blob, title: str, api: Api, push: Style) -> None:
    """Push a blob in one style, read it, delete it."""
    with run.report.check(title, api) as check:
        push(run, blob, uploads.stored)
    if check.passed:
        read(run, blob)
        delete_blob(run, blob.digest)


def read(run: Run, blob: Blob) -> None:
    """HEAD and GET of a blob that is there."""
    with run.report.check("blob head", Api.BLOB_HEAD):
        answer = run.registry.send("HEAD", run.blob(blob.digest))
        expectations.status(answer, 200)
        expectations.length(answer, len(blob.data))
        expectations.digest(answer, blob.digest, required=run.is_dev)
    with run.report.check("blob get", Api.BLOB_GET):
        answer = run.registry.send("GET", run.blob(blob.digest))
        expectations.status(answer, 200)
        expectations.length(answer, len(blob.data))
        expectations.body(answer, blob.data)
        expectations.digest(answer, blob.digest, required=run.is_dev)


def mounts(run: Run, algorithm: str) -> None:
    """Mounts with a source, without one, of nothing, and from nowhere."""
    for title, api, source in (
        ("mount", Api.BLOB_MOUNT_SOURCE, run.other_repository),
        ("mount without a source", Api.BLOB_MOUNT_ANONYMOUS, ""),
    ):
        blob = Blob.random(SMALL, algorithm)
        with run.report.check(title, api):
            uploads.stored(run, Upload.begin(run, run.other_repository).close(blob.digest, blob.data), blob)
            mount(run, blob, source)
        read(run, blob)
        delete_blob(run, blob.digest)
        delete_blob(run, blob.digest, run.other_repository)
    for title, source in (
        ("mount of an absent blob begins an upload", run.other_repository),
        ("mount from an absent repository begins an upload", name("absent")),
    ):
        with run.report.check(title, Api.BLOB_MOUNT_SOURCE):
            mount_of_nothing(run, Blob.random(SMALL, algorithm), source)


def mount(run: Run, blob: Blob, source: str) -> None:
    """Mount a blob that the other repository holds; where the registry begins an upload instead, use it."""
    answer = run.registry.send("POST", run.uploads(), headers=NOTHING, parameters=_mount(blob, source))
    if answer.status == 202:
        uploads.stored(run, Upload.of(run, answer).close(blob.digest, blob.data), blob)
        raise Unsupported(f"{answer}: began an upload in place of the mount")
    uploads.stored(run, answer, blob)


def mount_of_nothing(run: Run, blob: Blob, source: str) -> None:
    """What cannot be mounted becomes an upload, and that works."""
    answer = run.registry.send("POST", run.uploads(), headers=NOTHING, parameters=_mount(blob, source))
    uploads.stored(run, Upload.of(run, answer).close(blob.digest, blob.data), blob)
    expectations.status(run.registry.send("DELETE", run.blob(blob.digest)), 202, 400, 405)


def _mount(blob: Blob, source: str) -> list[tuple[str, str]]:
    return [("mount", blob.digest), *([("from", source)] if source else [])]


def sessions(run: Run, algorithm: str) -> None:
    """What an upload is before it is closed: named by a UUID, told about, cancelled, unknown."""
    blob = Blob.random(SMALL, algorithm)
    with run.report.check("each upload has a UUID", Api.BLOB_POST_PUT):
        locations = {Upload.begin(run).location for _ in range(2)}
        expect(len(locations) == 2, f"two uploads have one location: {locations}")
        for location in locations:
            expect(bool(UUID.search(location)), f"no UUID in {location}")
    with run.report.check("an upload tells what it holds", Api.BLOB_PATCH_CHUNKED):
        upload = Upload.begin(run)
        upload.ask()
        upload.patch(blob.data)
        upload.ask()
    with run.report.check("an upload is unknown once closed", Api.BLOB_POST_PUT):
        upload = Upload.begin(run)
        uploads.stored(run, upload.close(blob.digest, blob.data), blob)
        unknown_upload(run, upload)
        expectations.status(run.registry.send("DELETE", run.blob(blob.digest)), 202, 400, 405)
    if run.is_dev:
        cancelled(run)
        with run.report.check("algorithm named when the upload begins", Api.BLOB_POST_PUT):
            upload = Upload.begin(run, parameters=[("digest-algorithm", algorithm)])
            uploads.stored(run, upload.close(blob.digest, blob.data), blob)
            expectations.status(run.registry.send("DELETE", run.blob(blob.digest)), 202, 400, 405)


def cancelled(run: Run) -> None:
    """Uploads are cancelled with 204, and are unknown from then on."""
    with run.report.check("cancel", Api.BLOB_CANCEL):
        upload = Upload.begin(run)
        expectations.status(upload.cancel(), 204)
        unknown_upload(run, upload)
    with run.report.check("cancel after a chunk", Api.BLOB_CANCEL):
        upload = Upload.begin(run)
        upload.patch(Blob.random(SMALL).data)
        expectations.status(upload.cancel(), 204)
        unknown_upload(run, upload)
    with run.report.check("cancel of an unknown upload: 404", Api.BLOB_CANCEL):
        answer = upload.cancel()
        expectations.status(answer, 404)
        expectations.error_code(answer, "BLOB_UPLOAD_UNKNOWN")
    with run.report.check("unknown algorithm when the upload begins: 400", Api.BLOB_POST_PUT):
        answer = run.registry.send(
            "POST", run.uploads(), headers=NOTHING, parameters=[("digest-algorithm", "md5")]
        )
        expectations.status(answer, 400)


def unknown_upload(run: Run, upload: Upload) -> None:
    """GET of an upload that is no more: 404."""
    answer = run.registry.send("GET", upload.location)
    expectations.status(answer, 404)
    expectations.error_code(answer, "BLOB_UPLOAD_UNKNOWN")


def ranges(run: Run, algorithm: str) -> None:
    """Parts of a blob (RFC 9110, 14.2)."""
    blob = Blob.random(RANGED, algorithm)
    with run.report.check("blob for ranges", Api.BLOB_POST_PUT):
        uploads.post_put(run, blob)
    for asked, part in RANGES:
        with run.report.check(f"range {asked}", Api.BLOB_RANGE):
            in_part(run, blob, asked, part)
    delete_blob(run, blob.digest)


def in_part(run: Run, blob: Blob, asked: str, part: tuple[int, int] | None) -> None:
    """One GET with a Range: 206 with that part, or 416 where there is none."""
    answer = run.registry.send("GET", run.blob(blob.digest), headers={"Range": asked})
    if answer.status == 200 and answer.body == blob.data:
        raise Unsupported(f"Range {asked}: the whole blob came")
    if part is None:
        expectations.status(answer, 416)
        return
    first, last = part
    expectations.status(answer, 206)
    expectations.header(
        answer, "Content-Range", *(f"bytes {first}-{last}/{total}" for total in (len(blob.data), "*"))
    )
    expectations.length(answer, last - first + 1)
    expectations.body(answer, blob.data[first : last + 1])


def well_known(run: Run, algorithm: str) -> None:
    """The blob of no bytes and the empty JSON object, in every style that can carry them."""
    for title, data in (("no bytes", b""), ("{}", b"{}")):
        blob = Blob.of(data, algorithm)
        for style, api, push in (
            ("post only", Api.BLOB_POST_ONLY, uploads.post_only),
            ("post, put", Api.BLOB_POST_PUT, uploads.post_put),
        ):
            pushed(run, blob, f"{title}: {style}", api, push)


def wrong_digests(run: Run, algorithm: str) -> None:
    """Bytes that do not have the digest they come under are refused in every style, and not kept."""
    for title, api, push in (
        ("post only", Api.BLOB_POST_ONLY, uploads.post_only),
        ("post, put", Api.BLOB_POST_PUT, uploads.post_put),
        ("chunks", Api.BLOB_PATCH_CHUNKED, uploads.chunked),
        ("chunks, the last in the put", Api.BLOB_PATCH_CHUNKED, uploads.chunked_and_put),
        ("stream", Api.BLOB_PATCH_STREAM, uploads.stream),
    ):
        with run.report.check(f"wrong digest, {title}: 400", api):
            push(run, Blob.spoilt(LARGE, algorithm), uploads.refused)
    blob = Blob.random(SMALL)
    for title, digest in (
        ("malformed", f"{algorithm}:short"),
        ("of no algorithm", blob.digest.partition(":")[2]),
        ("of an unknown algorithm", f"md5:{digest_of(blob.data, 'md5').partition(':')[2]}"),
    ):
        with run.report.check(f"digest {title}: 400", Api.BLOB_POST_PUT):
            expectations.status(Upload.begin(run).close(digest, blob.data), 400)
    with run.report.check("no digest at all: 400", Api.BLOB_POST_PUT):
        expectations.status(Upload.begin(run).close("", blob.data), 400)
