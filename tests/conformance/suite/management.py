"""Deletes: accepted, and done by the time they are."""

from typing import Any

from tests.conformance.suite import expectations, manifests
from tests.conformance.suite.content import Blob, name
from tests.conformance.suite.data_sets import Builder
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run

DISABLED = (400, 405)


def delete_blob(run: Run, digest: str, repository: str = "") -> None:
    """A blob is deleted with 202, and is gone at once."""
    path = run.blob(digest, repository)
    with run.report.check("blob deleted", Api.BLOB_DELETE) as deleted:
        expectations.status(run.registry.send("DELETE", path), 202, or_unsupported=DISABLED)
    if deleted.passed:
        with run.report.check("blob gone", Api.BLOB_DELETE_ATOMIC):
            expectations.status(run.registry.send("HEAD", path), 404)


def delete_manifest(run: Run, digest: str) -> None:
    """A manifest is deleted by its digest with 202, and is gone at once."""
    with run.report.check("manifest deleted", Api.MANIFEST_DELETE) as deleted:
        answer = run.registry.send("DELETE", run.manifest(digest))
        expectations.status(answer, 202, or_unsupported=DISABLED)
    if deleted.passed:
        with run.report.check("manifest gone", Api.MANIFEST_DELETE_ATOMIC):
            expectations.status(manifests.head(run, digest), 404)


def delete_tag(run: Run, tag: str) -> None:
    """A tag is deleted with 202, and is gone at once, from the list too."""
    with run.report.check(f"tag {tag} deleted", Api.TAG_DELETE) as deleted:
        answer = run.registry.send("DELETE", run.manifest(tag))
        expectations.status(answer, 202, or_unsupported=DISABLED)
    if deleted.passed:
        with run.report.check(f"tag {tag} gone", Api.TAG_DELETE_ATOMIC):
            expectations.status(manifests.get(run, tag), 404)
            listed: Any = run.registry.send("GET", run.tags).json
            expectations.expect(tag not in (listed.get("tags") or ()), f"{tag} is still listed")


def check_deletes(run: Run) -> None:
    """What a delete leaves, what it takes along, and what it says where there is nothing."""
    run.report.group("deletes")
    _tag_alone(run)
    _manifest_with_tags(run)
    absent = Blob.random().digest
    with run.report.check("absent blob: 404", Api.BLOB_DELETE):
        answer = run.registry.send("DELETE", run.blob(absent))
        expectations.status(answer, 404, or_unsupported=DISABLED)
    with run.report.check("absent manifest: 404", Api.MANIFEST_DELETE):
        answer = run.registry.send("DELETE", run.manifest(absent))
        expectations.status(answer, 404, or_unsupported=DISABLED)
    with run.report.check("absent tag: 404", Api.TAG_DELETE):
        answer = run.registry.send("DELETE", run.manifest(name("absent")))
        expectations.status(answer, 404, or_unsupported=DISABLED)
    with run.report.check("absent repository: 404", Api.MANIFEST_DELETE):
        answer = run.registry.send("DELETE", f"/v2/{name('absent')}/manifests/{absent}")
        expectations.status(answer, 404, or_unsupported=DISABLED)


def _tag_alone(run: Run) -> None:
    builder = Builder("tags")
    digest = builder.image()
    tags = [name("one"), name("two")]
    with run.report.check("a tag goes alone", Api.TAG_DELETE):
        manifests.put_image(run, builder, digest, *tags)
        answer = run.registry.send("DELETE", run.manifest(tags[0]))
        expectations.status(answer, 202, or_unsupported=DISABLED)
        expectations.status(manifests.get(run, tags[0]), 404)
        for reference in (tags[1], digest):
            expectations.status(manifests.get(run, reference), 200)


def _manifest_with_tags(run: Run) -> None:
    builder = Builder("tags")
    digest = builder.image()
    tags = [name("one"), name("two")]
    with run.report.check("a manifest takes its tags along", Api.MANIFEST_DELETE):
        manifests.put_image(run, builder, digest, *tags)
        answer = run.registry.send("DELETE", run.manifest(digest))
        expectations.status(answer, 202, or_unsupported=DISABLED)
        for reference in (digest, *tags):
            expectations.status(manifests.get(run, reference), 404)
    with run.report.check("a manifest can be pushed again", Api.MANIFEST_PUT_DIGEST):
        manifests.put_image(run, builder, digest, tags[0])
        expectations.status(manifests.get(run, tags[0]), 200)
    delete_manifest(run, digest)
