"""Conformance checks: an answer that is wrong in any one thing is seen."""

import json
from collections.abc import Callable

import pytest

from tests.conformance.suite import expectations, manifests, referrers, tags
from tests.conformance.suite.content import Blob
from tests.conformance.suite.data_sets import OCI_INDEX, Builder, Document, large_manifest
from tests.conformance.suite.expectations import Failure, Unsupported
from tests.conformance.suite.registry import (
    Answer,
    Registry,
    Request,
    error_body_faults,
    warning_faults,
    with_parameters,
)
from tests.conformance.suite.report import Report
from tests.conformance.suite.run import Run

RUN = Run(Registry("http://127.0.0.1:1"), Report(), "team/app", "team/other", "1.1+dev")


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """An answer to a GET; header names are written with underscores."""
    named = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
    return Answer(Request("GET", "http://registry.test/v2/"), status, named, body)


@pytest.mark.parametrize(
    "check",
    [
        lambda: expectations.status(answer(500), 200, 404),
        lambda: expectations.header(answer(), "Location"),
        lambda: expectations.header(answer(Location="/a"), "Location", "/b"),
        lambda: expectations.length(answer(Content_Length="3"), 4),
        lambda: expectations.body(answer(body=b"abc"), b"abd"),
        lambda: expectations.body(answer(body=b"abc"), b"ab"),
        lambda: expectations.digest(answer(), "sha256:00", required=True),
        lambda: expectations.digest(answer(Docker_Content_Digest="sha256:11"), "sha256:00", required=False),
        lambda: expectations.error_code(answer(404, b'{"errors":[{"code":"DENIED"}]}'), "NAME_UNKNOWN"),
    ],
)
def test_an_expectation_fails_when_it_is_not_met(check: Callable[[], None]) -> None:
    """Each function tells one thing that is wrong."""
    with pytest.raises(Failure):
        check()


def test_a_digest_may_be_missing_when_it_is_not_required() -> None:
    """The header is optional in 1.1."""
    expectations.digest(answer(), "sha256:00", required=False)


def test_a_status_may_say_that_something_is_not_supported() -> None:
    """That is no failure."""
    with pytest.raises(Unsupported):
        expectations.status(answer(405), 202, or_unsupported=(400, 405))


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no"}]}', 0),
        (b'{"errors":[{"code":"RANGE_INVALID"}]}', 1),
        (b'{"error":"no"}', 1),
        (b"[1]", 1),
        (b"{", 1),
        (b"", 0),
    ],
)
def test_an_error_body_in_json_must_have_the_specified_form(body: bytes, faults: int) -> None:
    """A list of errors, each with a code of the specification's."""
    refusal = answer(404, body, Content_Type="application/json; charset=utf-8")
    assert len(list(error_body_faults(refusal))) == faults


def test_an_own_error_code_is_allowed_when_it_was_announced() -> None:
    """ECR has codes that the specification does not know."""
    refusal = answer(400, b'{"errors":[{"code":"TAG_INVALID"}]}', Content_Type="application/json")
    assert not list(error_body_faults(refusal, frozenset({"TAG_INVALID"})))


@pytest.mark.parametrize(("line", "faults"), [('299 - "soon"', 0), ('199 - "soon"', 1), ("299 - soon", 1)])
def test_a_warning_must_have_the_specified_form(line: str, faults: int) -> None:
    """Code 299, no agent, a quoted text."""
    assert len(list(warning_faults(answer(Warning=line)))) == faults


def test_parameters_are_added_behind_those_of_a_location() -> None:
    """What a registry put into a Location is kept as it is."""
    added = with_parameters("/v2/a/blobs/uploads/1?_state=a%2Fb", [("digest", "sha256:00")])
    assert added == "/v2/a/blobs/uploads/1?_state=a%2Fb&digest=sha256%3A00"


def listing(*names: str, name: str = "team/app") -> Answer:
    """A list of tags."""
    return answer(body=json.dumps({"name": name, "tags": names}).encode())


@pytest.mark.parametrize("wrong", [listing("b", "a"), listing("a", name="team/other"), answer(404)])
def test_a_list_of_tags_must_be_sorted_and_of_the_repository(wrong: Answer) -> None:
    """Bytewise or without regard to case, but sorted."""
    with pytest.raises(Failure):
        tags.listed(RUN, wrong)


def test_a_list_of_tags_may_be_sorted_either_way() -> None:
    """The specification allows two orders."""
    assert tags.listed(RUN, listing("B", "a")) == ["B", "a"]
    assert tags.listed(RUN, listing("a", "B")) == ["a", "B"]


def test_a_link_must_lead_to_the_next_page() -> None:
    """RFC 5988, with rel next."""
    assert (
        tags.next_page(answer(Link='</v2/a/tags/list?n=1&last=b>; rel="next"')) == "/v2/a/tags/list?n=1&last=b"
    )
    assert tags.next_page(answer()) == ""
    with pytest.raises(Failure):
        tags.next_page(answer(Link='</v2/a/tags/list>; rel="prev"'))


def subject_and_referrer() -> Document:
    """An artifact with a subject."""
    builder = Builder("referrer")
    subject = {"mediaType": OCI_INDEX, "digest": Blob.random().digest, "size": 1}
    return builder.set.documents[builder.artifact(subject=subject, annotations={"a": "b"})]


@pytest.mark.parametrize("change", [{"size": 0}, {"artifactType": ""}, {"mediaType": "x"}, {"annotations": {}}])
def test_a_referrer_must_be_listed_with_all_that_is_known_of_it(change: dict[str, object]) -> None:
    """Media type, size, artifact type and annotations."""
    listed = subject_and_referrer().listed
    referrers.agree([listed], [listed])
    with pytest.raises(Failure):
        referrers.agree([listed | change], [listed])


def test_referrers_must_be_listed_once_each() -> None:
    """Neither missing, nor twice, nor others."""
    listed, other = subject_and_referrer().listed, subject_and_referrer().listed
    for found in ([], [listed, listed], [listed, other]):
        with pytest.raises(Failure):
            referrers.agree(found, [listed])


@pytest.mark.parametrize("change", ["body", "content-type", "content-length", "docker-content-digest"])
def test_a_manifest_must_come_back_as_it_was_pushed(change: str) -> None:
    """Bytes, media type, length and digest."""
    document = subject_and_referrer()
    headers = {
        "content-type": [document.media_type],
        "content-length": [str(len(document.body))],
        "docker-content-digest": [document.digest],
    }
    request = Request("GET", "http://registry.test/v2/team/app/manifests/v1")
    manifests.same(RUN, Answer(request, 200, headers, document.body), document)
    body = document.body + b" " if change == "body" else document.body
    headers |= {change: ["other"]} if change != "body" else {}
    with pytest.raises(Failure):
        manifests.same(RUN, Answer(request, 200, headers, body), document)


def test_the_large_manifest_is_nearly_four_mebibytes() -> None:
    """Registries are to take 4 MiB, so it must be below that and not far."""
    (document,) = large_manifest().documents.values()
    assert 3_900_000 < len(document.body) < 4 * 1024 * 1024
