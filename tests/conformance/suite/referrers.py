"""Referrers: listed at once with all that must be said of them, filtered, paged, gone when deleted."""

from typing import Any

from tests.conformance.suite import expectations, manifests, tags, uploads
from tests.conformance.suite.content import Blob, name
from tests.conformance.suite.data_sets import (
    OCI_INDEX,
    SIGNATURE,
    STATEMENT,
    Builder,
    DataSet,
    Descriptor,
)
from tests.conformance.suite.expectations import Failure, Unsupported, expect
from tests.conformance.suite.management import DISABLED
from tests.conformance.suite.registry import Answer
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run

PAGES = 50
# Six of them do not fit into 4 MiB, which is as much as a client need take.
MANY = 6
HEAVY = 100


def page(answer: Answer) -> list[Descriptor]:
    """The descriptors of one answer, which must be an image index in form and type."""
    expectations.status(answer, 200)
    expectations.header(answer, "Content-Type", OCI_INDEX)
    document: Any = answer.json
    expect(document.get("schemaVersion") == 2, f"{answer}: schemaVersion is not 2")
    expect(document.get("mediaType") == OCI_INDEX, f"{answer}: mediaType is not that of an index")
    found = document.get("manifests")
    if not isinstance(found, list):
        raise Failure(f"{answer}: manifests is no list")
    return found


def referrers_of(run: Run, subject: str, artifact_type: str = "") -> list[Descriptor]:
    """All referrers of a subject, page after page; with a filter, once the registry says that it applied it."""
    parameters = [("artifactType", artifact_type)] if artifact_type else []
    answer = run.registry.send("GET", run.referrers(subject), parameters=parameters)
    found = page(answer)
    if artifact_type and "artifactType" not in answer.listed("OCI-Filters-Applied"):
        raise Unsupported(f"{answer}: OCI-Filters-Applied does not name artifactType")
    for _ in range(PAGES):
        following = tags.next_page(answer)
        if not following:
            return found
        answer = run.registry.send("GET", following)
        found += page(answer)
    raise Failure(f"{PAGES} pages of referrers and no end")


def agree(found: list[Descriptor], wanted: list[Descriptor]) -> None:
    """The same referrers, each once, with the same facts; annotations may be more than those of the document."""
    digests = [entry.get("digest") for entry in found]
    expected = [entry["digest"] for entry in wanted]
    expect(sorted(map(str, digests)) == sorted(expected), f"listed: {digests}, expected {expected}")
    for entry in wanted:
        other = found[digests.index(entry["digest"])]
        for key in ("mediaType", "size", "artifactType"):
            expect(other.get(key) == entry.get(key), f"{key} is {other.get(key)}, expected {entry.get(key)}")
        annotations = other.get("annotations") or {}
        expect(entry.get("annotations", {}).items() <= annotations.items(), f"annotations are {annotations}")


def list_set(run: Run, data: DataSet) -> None:
    """The referrers of a set, all and by type."""
    for subject, wanted in data.referrers.items():
        with run.report.check("referrers", Api.REFERRERS):
            agree(referrers_of(run, subject), wanted)
        kinds = sorted({entry["artifactType"] for entry in wanted if "artifactType" in entry})
        for kind in (*kinds, "application/vnd.example.nothing"):
            with run.report.check(f"referrers of type {kind}", Api.REFERRERS):
                chosen = [entry for entry in wanted if entry.get("artifactType") == kind]
                agree(referrers_of(run, subject, kind), chosen)


def check_empty(run: Run) -> None:
    """Referrers of what is not there: an empty index, never 404."""
    for algorithm in ("sha256", "sha512"):
        with run.report.check(f"no referrers, {algorithm}: an empty index", Api.REFERRERS):
            answer = run.registry.send("GET", run.referrers(Blob.random(algorithm=algorithm).digest))
            expect(page(answer) == [], f"{answer}: not empty")
    with run.report.check("referrers of a malformed digest: 400", Api.REFERRERS):
        expectations.status(run.registry.send("GET", run.referrers("sha256:not-a-digest")), 400)
    with run.report.check("referrers of a tag: 400", Api.REFERRERS):
        expectations.status(run.registry.send("GET", run.referrers("latest")), 400)


def check_referrers(run: Run) -> None:
    """More of them than fit in one answer, and one that goes away."""
    run.report.group("many referrers")
    builder = Builder("many referrers")
    subject = Blob.random().digest
    absent: Descriptor = {"mediaType": OCI_INDEX, "digest": subject, "size": 1}
    weight = {f"example.weight.{i}": "w" * 10_000 for i in range(HEAVY)}
    for number in range(MANY):
        kind = STATEMENT if number % 2 else SIGNATURE
        builder.artifact(kind=kind, subject=absent, annotations={**weight, "example.name": name("many")})
    data = builder.set
    with run.report.check("referrers to list", Api.MANIFEST_PUT_SUBJECT) as pushed:
        for blob in data.blobs.values():
            uploads.post_put(run, blob)
        for digest, document in data.documents.items():
            manifests.accepted(run, manifests.put(run, document, digest), document)
    if pushed.passed:
        list_set(run, data)
    gone = next(iter(data.documents))
    with run.report.check("a deleted referrer is no longer listed", Api.REFERRERS):
        answer = run.registry.send("DELETE", run.manifest(gone))
        expectations.status(answer, 202, or_unsupported=DISABLED)
        wanted = [entry for entry in data.referrers[subject] if entry["digest"] != gone]
        agree(referrers_of(run, subject), wanted)
