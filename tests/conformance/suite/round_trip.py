"""A data set from the first blob to the last delete."""

from tests.conformance.suite import blobs, management, manifests, referrers, tags, uploads
from tests.conformance.suite.data_sets import DataSet
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run

# Sets take turns, so that every style meets every kind of content sooner or later.
STYLES = (
    (Api.BLOB_POST_PUT, uploads.post_put),
    (Api.BLOB_POST_ONLY, uploads.post_only),
    (Api.BLOB_PATCH_STREAM, uploads.stream),
    (Api.BLOB_PATCH_CHUNKED, uploads.chunked),
)


def check_data_set(run: Run, data: DataSet) -> None:
    """Push, list, read, look up, delete: tags first, then documents from the top, then blobs."""
    run.report.group(f"data set {data.name}")
    push_blobs(run, data)
    manifests.push(run, data)
    tags.list_set(run, data)
    manifests.read(run, data)
    for blob in data.blobs.values():
        blobs.read(run, blob)
    referrers.list_set(run, data)
    for tag in data.tags:
        management.delete_tag(run, tag)
    if not data.is_spoilt:
        for digest in reversed(data.documents):
            management.delete_manifest(run, digest)
    for digest in data.blobs:
        management.delete_blob(run, digest)


def push_blobs(run: Run, data: DataSet) -> None:
    """The blobs of a set, each in another style."""
    for turn, blob in enumerate(data.blobs.values()):
        api, push = STYLES[turn % len(STYLES)]
        with run.report.check(f"blob pushed ({api.value.partition(': ')[2]})", api):
            push(run, blob)
