"""Lists: tags, repositories, referrers, and their pages."""

from typing import Any

import msgspec
import pytest

from moorage.domain.media_types import OCI_INDEX
from moorage.oci import referrers
from tests.oci.driver import EMPTY_CONFIG, Registry, Reply, index_of, manifest_of, sha256

SUBJECT = sha256(b"subject")


def next_target(reply: Reply) -> str:
    """Where the Link header leads."""
    target, relation = reply.headers["link"].split(">; ")
    assert relation == 'rel="next"'
    assert target.startswith("</v2/")
    return target[1:]


# --- Tags ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tagged(registry: Registry) -> Registry:
    """A registry whose ``team/app`` has the tags a, B, c and _d."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    for tag in ("c", "a", "_d", "B"):
        registry.push_manifest("team/app", manifest_of(), tag)
    return registry


def test_tags_come_in_bytewise_order(tagged: Registry) -> None:
    """C29: as Go sorts them."""
    reply = tagged.send("GET", "/v2/team/app/tags/list")
    assert reply.json == {"name": "team/app", "tags": ["B", "_d", "a", "c"]}
    assert reply.headers["content-type"] == "application/json"
    assert "link" not in reply.headers


def test_pages_of_tags_lead_to_each_other(tagged: Registry) -> None:
    """C29: fewer than there are only with a Link, which is relative."""
    first = tagged.send("GET", "/v2/team/app/tags/list?n=3")
    assert first.json["tags"] == ["B", "_d", "a"]
    second = tagged.send("GET", next_target(first))
    assert second.json["tags"] == ["c"]
    assert "link" not in second.headers


@pytest.mark.threat(24)
@pytest.mark.incident(17)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("last=_d", ["a", "c"]),
        ("last=_d&n=1", ["a"]),
        ("last=zzz", []),
        ("last=C", ["_d", "a", "c"]),
        ("n=4", ["B", "_d", "a", "c"]),
        ("n=1000000000000", ["B", "_d", "a", "c"]),
        (f"n={'9' * 5000}", ["B", "_d", "a", "c"]),
        ("last=%00%F0%9F%9A%A2", ["B", "_d", "a", "c"]),
    ],
)
def test_a_page_begins_after_last(tagged: Registry, query: str, expected: list[str]) -> None:
    """C29, threat 24: last is exclusive, need not exist, and works without n; n is cut."""
    reply = tagged.send("GET", f"/v2/team/app/tags/list?{query}")
    assert (reply.status, reply.json["tags"]) == (200, expected)


def test_no_tags_are_an_empty_list_without_link(tagged: Registry) -> None:
    """C29: n=0."""
    reply = tagged.send("GET", "/v2/team/app/tags/list?n=0")
    assert (reply.json["tags"], "link" in reply.headers) == ([], False)


@pytest.mark.parametrize("n", ["-1", "abc", "", "+5", "1.5", "%D9%A3", "1_0"])
@pytest.mark.parametrize("path", ["/v2/team/app/tags/list", "/v2/_catalog"])
def test_a_page_size_that_is_no_number_is_refused(registry: Registry, path: str, n: str) -> None:
    """Threat 24: 400."""
    assert registry.send("GET", f"{path}?n={n}").outcome == (400, "UNSUPPORTED")


def test_tags_of_a_missing_repository(registry: Registry) -> None:
    """C29: 404 NAME_UNKNOWN."""
    assert registry.send("GET", "/v2/missing/tags/list").outcome == (404, "NAME_UNKNOWN")


def test_a_page_of_tags_has_a_hundred(registry: Registry) -> None:
    """ECR: a hundred unless asked for more, and the rest by Link."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    content = manifest_of()
    for start in (0, 60):
        query = "&".join(f"tag=t{number:03}" for number in range(start, start + 60))
        registry.send("PUT", f"/v2/team/app/manifests/{sha256(content)}?{query}", content)
    first = registry.send("GET", "/v2/team/app/tags/list")
    assert len(first.json["tags"]) == 100
    assert len(registry.send("GET", next_target(first)).json["tags"]) == 20
    assert len(registry.send("GET", "/v2/team/app/tags/list?n=500").json["tags"]) == 120


# --- Repositories --------------------------------------------------------------------------------------------


def test_the_catalog_lists_the_repositories_of_the_registry(registry: Registry) -> None:
    """In bytewise order, page by page, none of another account."""
    registry.create("z9")
    registry.create("team/api")
    registry.create("theirs", account="111111111111")
    assert registry.send("GET", "/v2/_catalog").json == {"repositories": ["team/api", "team/app", "z9"]}
    first = registry.send("GET", "/v2/_catalog?n=2")
    assert first.json == {"repositories": ["team/api", "team/app"]}
    second = registry.send("GET", next_target(first))
    assert (second.json, "link" in second.headers) == ({"repositories": ["z9"]}, False)


@pytest.mark.threat(24)
def test_an_empty_page_of_the_catalog(registry: Registry) -> None:
    """n=0: no entries, no Link."""
    reply = registry.send("GET", "/v2/_catalog?n=0")
    assert (reply.json, "link" in reply.headers) == ({"repositories": []}, False)


# --- Referrers -----------------------------------------------------------------------------------------------


def list_referrers(registry: Registry, query: str = "", subject: str = SUBJECT) -> Reply:
    """The answer for ``team/app``."""
    return registry.send("GET", f"/v2/team/app/referrers/{subject}{query}")


def test_a_subject_without_referrers_has_an_empty_list(registry: Registry) -> None:
    """C30: never 404, even when the subject does not exist."""
    reply = list_referrers(registry)
    assert (reply.status, reply.headers["content-type"]) == (200, OCI_INDEX)
    assert reply.json == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def push_referrer(registry: Registry, **members: Any) -> dict[str, Any]:
    """Push an image about SUBJECT; returns the descriptor that is expected in the list."""
    content = manifest_of(subject=SUBJECT, **members)
    digest = registry.push_manifest("team/app", content)
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": len(content),
        "artifactType": members.get("artifactType", "application/vnd.oci.image.config.v1+json"),
    }
    return entry | ({"annotations": members["annotations"]} if "annotations" in members else {})


def test_referrers_are_listed_with_type_and_annotations(registry: Registry) -> None:
    """C30: the artifact type, or else the type of the config; an index without one has none."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    subject = {"mediaType": OCI_INDEX, "digest": SUBJECT, "size": 2}
    index = index_of(subject=subject)
    expected = [
        push_referrer(registry),
        push_referrer(registry, artifactType="application/sbom", annotations={"a": "<b>\n", "c": ""}),
        {
            "mediaType": OCI_INDEX,
            "digest": registry.push_manifest("team/app", index),
            "size": len(index),
        },
    ]
    listed = list_referrers(registry).json["manifests"]
    assert listed == sorted(expected, key=lambda entry: entry["digest"])


def test_the_filter_leaves_one_type_and_says_so(registry: Registry) -> None:
    """C31: OCI-Filters-Applied, also when nothing is left."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    push_referrer(registry)
    wanted = push_referrer(registry, artifactType="application/sbom+json")
    reply = list_referrers(registry, "?artifactType=application/sbom%2Bjson")
    assert reply.json["manifests"] == [wanted]
    assert reply.headers["oci-filters-applied"] == "artifactType"
    none = list_referrers(registry, "?artifactType=other")
    assert (none.json["manifests"], none.headers["oci-filters-applied"]) == ([], "artifactType")
    assert "oci-filters-applied" not in list_referrers(registry).headers


def test_a_deleted_referrer_is_gone_at_once(registry: Registry) -> None:
    """C36: the list is read afresh."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    digest = push_referrer(registry)["digest"]
    registry.send("DELETE", f"/v2/team/app/manifests/{digest}")
    assert list_referrers(registry).json["manifests"] == []


def read_pages(registry: Registry, query: str = "") -> list[list[str]]:
    """Digests of every page."""
    reply = list_referrers(registry, query)
    pages = [[entry["digest"] for entry in reply.json["manifests"]]]
    while "link" in reply.headers:
        reply = registry.send("GET", next_target(reply))
        pages.append([entry["digest"] for entry in reply.json["manifests"]])
    return pages


def test_pages_of_referrers_end_by_their_number(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """C30: the Link keeps the filter; every referrer comes once."""
    monkeypatch.setattr(referrers, "MAX_ENTRIES", 20)
    registry.push_blob("team/app", EMPTY_CONFIG)
    for number in range(50):
        push_referrer(registry, artifactType="application/sbom", annotations={"number": str(number)})
    push_referrer(registry)
    pages = read_pages(registry, "?artifactType=application/sbom")
    assert [len(page) for page in pages] == [20, 20, 10]
    assert len({digest for page in pages for digest in page}) == 50


def test_pages_of_referrers_end_by_their_bytes(registry: Registry) -> None:
    """Threat 18: annotations of three mebibytes each come one at a time; one larger than a page comes alone."""
    registry.push_blob("team/app", EMPTY_CONFIG)
    for number in range(3):
        push_referrer(registry, annotations={"large": "x" * (4_190_000 - number)})
    assert [len(page) for page in read_pages(registry)] == [1, 1, 1]


def test_exactly_one_page_has_no_link(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """No empty page at the end."""
    monkeypatch.setattr(referrers, "MAX_ENTRIES", 16)
    registry.push_blob("team/app", EMPTY_CONFIG)
    for number in range(16):
        push_referrer(registry, annotations={"number": str(number)})
    assert [len(page) for page in read_pages(registry)] == [16]


@pytest.mark.parametrize("query", ["", "?last=sha256:bad"])
def test_a_malformed_digest_is_400(registry: Registry, query: str) -> None:
    """C30: as subject, and as the place where a page begins."""
    subject = SUBJECT if query else "sha256:bad"
    assert list_referrers(registry, query, subject).outcome == (400, "DIGEST_INVALID")


def test_referrers_in_a_missing_repository(registry: Registry) -> None:
    """404 NAME_UNKNOWN: there is no repository to have none in."""
    reply = registry.send("GET", f"/v2/missing/referrers/{SUBJECT}")
    assert reply.outcome == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("path", ["tags/list", f"referrers/{SUBJECT}"])
def test_head_of_a_list_tells_its_length(registry: Registry, path: str) -> None:
    """HEAD of everything that GET has."""
    got, head = (registry.send(method, f"/v2/team/app/{path}") for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))
    assert msgspec.json.decode(got.body)
