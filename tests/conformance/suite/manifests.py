"""Manifests: pushed by tag and digest, read back byte for byte, refused where they are not what they say."""

import json

from tests.conformance.suite import expectations, uploads
from tests.conformance.suite.content import Blob, digest_of, name
from tests.conformance.suite.data_sets import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Builder,
    DataSet,
    Document,
)
from tests.conformance.suite.expectations import Unsupported, expect
from tests.conformance.suite.registry import Answer, Parameters
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run

ACCEPT = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
OVER_ANY_LIMIT = 900


def put(
    run: Run, document: Document, reference: str, parameters: Parameters = (), media_type: str = ""
) -> Answer:
    """PUT of a document; the caller says what must come of it."""
    headers = {"Content-Type": media_type or document.media_type}
    return run.registry.send(
        "PUT", run.manifest(reference), headers=headers, body=document.body, parameters=parameters
    )


def get(run: Run, reference: str) -> Answer:
    """GET of a manifest, with the media types of the specification accepted."""
    return run.registry.send("GET", run.manifest(reference), headers=ACCEPT)


def head(run: Run, reference: str) -> Answer:
    """HEAD of a manifest, likewise."""
    return run.registry.send("HEAD", run.manifest(reference), headers=ACCEPT)


def accepted(run: Run, answer: Answer, document: Document) -> None:
    """201, the right digest, OCI-Subject where there is a subject, and a Location that gives the bytes back."""
    expectations.status(answer, 201)
    expectations.digest(answer, document.digest, required=run.is_dev)
    if document.subject:
        expectations.header(answer, "OCI-Subject", document.subject)
    location = expectations.header(answer, "Location")
    same(run, run.registry.send("GET", location, headers=ACCEPT), document)


def same(run: Run, answer: Answer, document: Document) -> None:
    """The document, exactly as it was pushed, under its media type without parameters."""
    described(run, answer, document)
    expectations.body(answer, document.body)


def described(run: Run, answer: Answer, document: Document) -> None:
    """The status line and headers of a document, whether its body comes along or not."""
    expectations.status(answer, 200)
    expectations.header(answer, "Content-Type", document.media_type)
    expectations.length(answer, len(document.body))
    expectations.digest(answer, document.digest, required=run.is_dev)


def put_image(run: Run, builder: Builder, digest: str, *tags: str) -> None:
    """Push what an image needs and the image by digest and by each tag, as a step of another check."""
    for blob in builder.set.blobs.values():
        uploads.post_put(run, blob)
    document = builder.set.documents[digest]
    for reference in (digest, *tags):
        accepted(run, put(run, document, reference), document)


def push(run: Run, data: DataSet) -> None:
    """The documents of a set by digest, then by tag."""
    for digest, document in data.documents.items():
        apis = [Api.MANIFEST_PUT_DIGEST, *([Api.MANIFEST_PUT_SUBJECT] if document.subject else [])]
        tags = [tag for tag, tagged in data.tags.items() if tagged == digest]
        if data.is_spoilt:
            with run.report.check("manifest under a wrong digest: 400", *apis):
                refused(run, document)
        elif data.with_tag_parameters:
            with run.report.check("manifest put by digest with tags", *apis, Api.MANIFEST_PUT_TAG_PARAMETER):
                put_with_tags(run, document, tags)
        else:
            with run.report.check("manifest put by digest", *apis):
                accepted(run, put(run, document, digest), document)
            for tag in tags:
                with run.report.check(f"manifest put by tag {tag}", Api.MANIFEST_PUT_TAG, *apis[1:]):
                    accepted(run, put(run, document, tag), document)


def put_with_tags(run: Run, document: Document, tags: list[str]) -> None:
    """One PUT by digest that sets tags, each of them named in OCI-Tag."""
    answer = put(run, document, document.digest, [("tag", tag) for tag in tags])
    accepted(run, answer, document)
    lacking = set(tags) - set(answer.listed("OCI-Tag"))
    if lacking:
        raise Unsupported(f"{answer}: OCI-Tag does not name {', '.join(sorted(lacking))}")


def refused(run: Run, document: Document) -> None:
    """400, and nothing under the digest."""
    answer = put(run, document, document.digest)
    expectations.status(answer, 400)
    expectations.error_code(answer, "DIGEST_INVALID", "MANIFEST_INVALID")
    expectations.status(get(run, document.digest), 404)


def read(run: Run, data: DataSet) -> None:
    """HEAD and GET of everything in a set, by digest and by tag."""
    if data.is_spoilt:
        return
    references = [(digest, digest, "digest") for digest in data.documents]
    references += [(tag, digest, f"tag {tag}") for tag, digest in data.tags.items()]
    for reference, digest, title in references:
        document, is_tag = data.documents[digest], reference != digest
        with run.report.check(
            f"manifest head by {title}", Api.MANIFEST_HEAD_TAG if is_tag else Api.MANIFEST_HEAD_DIGEST
        ):
            described(run, head(run, reference), document)
        with run.report.check(
            f"manifest get by {title}", Api.MANIFEST_GET_TAG if is_tag else Api.MANIFEST_GET_DIGEST
        ):
            same(run, get(run, reference), document)


def check_manifests(run: Run) -> None:
    """What the data sets do not ask: absent ones, malformed digests, moved tags, odd bytes, missing content."""
    run.report.group("manifests")
    _absent(run)
    _malformed_digest(run)
    _exact_bytes(run)
    _moved_tag(run)
    _missing_content(run)
    _over_any_limit(run)


def _absent(run: Run) -> None:
    for title, reference, by_get, by_head in (
        ("digest", Blob.random().digest, Api.MANIFEST_GET_DIGEST, Api.MANIFEST_HEAD_DIGEST),
        ("tag", name("absent"), Api.MANIFEST_GET_TAG, Api.MANIFEST_HEAD_TAG),
    ):
        with run.report.check(f"absent manifest by {title}: 404", by_get):
            answer = get(run, reference)
            expectations.status(answer, 404)
            expectations.error_code(answer, "MANIFEST_UNKNOWN")
        with run.report.check(f"absent manifest by {title}, head: 404", by_head):
            expectations.status(head(run, reference), 404)
    with run.report.check("absent repository: 404", Api.MANIFEST_GET_TAG):
        answer = run.registry.send("GET", f"/v2/{name('absent')}/manifests/latest", headers=ACCEPT)
        expectations.status(answer, 404)
        expectations.error_code(answer, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")


def _malformed_digest(run: Run) -> None:
    builder = Builder("malformed")
    document = builder.set.documents[builder.image(layers=[])]
    wrong = "sha256:not-a-digest"
    with run.report.check("put by a malformed digest: 400", Api.MANIFEST_PUT_DIGEST):
        for blob in builder.set.blobs.values():
            uploads.post_put(run, blob)
        expectations.status(put(run, document, wrong), 400)
    with run.report.check("get by a malformed digest: 400 or 404", Api.MANIFEST_GET_DIGEST):
        expectations.status(get(run, wrong), 400, 404)
    with run.report.check("put by a tag that is too long: refused", Api.MANIFEST_PUT_TAG):
        expectations.status(put(run, document, "t" * 129), 400, 404)


def _exact_bytes(run: Run) -> None:
    builder = Builder("bytes")
    digest = builder.image(layers=[])
    facts = json.loads(builder.set.documents.pop(digest).body)
    body = ("\n" + json.dumps(facts | {"annotations": {"é": "\u2028"}}, indent=3) + "\n\n").encode()
    odd = Document(body, digest_of(body), OCI_MANIFEST)
    builder.set.documents[odd.digest] = odd
    with run.report.check("white space and escapes stay as they are", Api.MANIFEST_PUT_DIGEST):
        put_image(run, builder, odd.digest)
    with run.report.check("parameters of a pushed media type are dropped", Api.MANIFEST_PUT_TAG):
        answer = put(run, odd, name("typed"), media_type=f"{OCI_MANIFEST}; charset=utf-8")
        accepted(run, answer, odd)
    with run.report.check("what is no JSON: 400", Api.MANIFEST_PUT_TAG):
        answer = put(run, Document(b"{", "", OCI_MANIFEST), name("broken"))
        expectations.status(answer, 400)
        expectations.error_code(answer, "MANIFEST_INVALID")


def _moved_tag(run: Run) -> None:
    builder = Builder("moved")
    old, new = builder.image(), builder.image()
    tag = name("moved")
    with run.report.check("a tag moves to what was pushed last", Api.MANIFEST_PUT_TAG):
        put_image(run, builder, old, tag)
        put_image(run, builder, new, tag)
        read_by = {tag: new, old: old, new: new}
        for reference, digest in read_by.items():
            answer = get(run, reference)
            same(run, answer, builder.set.documents[digest])
    with run.report.check("the same push again is accepted", Api.MANIFEST_PUT_TAG):
        put_image(run, builder, new, tag)


def _missing_content(run: Run) -> None:
    """A registry may take what refers to nothing, or refuse it; then with the right code."""
    builder = Builder("sparse")
    absent = Blob.random()
    layer = builder.descriptor(absent.data, "application/vnd.oci.image.layer.v1.tar")
    lacking_layer = builder.image(layers=[layer])
    lacking_config = Builder("sparse").set
    child = builder.descriptor(absent.data, OCI_MANIFEST)
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}).encode()
    cases = {
        "layer": builder.set.documents[lacking_layer],
        "child": Document(body, digest_of(body), OCI_INDEX),
        "config": _without_config(lacking_config),
    }
    for blob in builder.set.blobs.values():
        uploads.post_put(run, blob)
    for title, document in cases.items():
        with run.report.check(f"an absent {title} is allowed or refused by its name", Api.MANIFEST_PUT_DIGEST):
            answer = put(run, document, document.digest)
            expectations.status(answer, 201, 400, 404)
            codes = answer.error_codes
            expect(answer.status == 201 or "MANIFEST_BLOB_UNKNOWN" in codes, str(answer))


def _without_config(data: DataSet) -> Document:
    """An image whose config was never pushed."""
    config = {"mediaType": OCI_CONFIG, "digest": Blob.random().digest, "size": 2}
    facts = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
    body = json.dumps(facts).encode()
    document = Document(body, digest_of(body), OCI_MANIFEST)
    data.documents[document.digest] = document
    return document


def _over_any_limit(run: Run) -> None:
    """A manifest of 9 MB is taken or refused, best with 413, and the connection survives that."""
    builder = Builder("oversized")
    filler = {f"example.filler.{i}": "f" * 10_000 for i in range(OVER_ANY_LIMIT)}
    document = builder.set.documents[builder.image(layers=[], annotations=filler)]
    with run.report.check("a manifest of 9 MB: 201 or 413", Api.MANIFEST_PUT_DIGEST):
        for blob in builder.set.blobs.values():
            uploads.post_put(run, blob)
        expectations.status(put(run, document, document.digest), 201, 413, or_unsupported=(400,))
        expectations.status(run.registry.send("GET", "/v2/"), 200)
