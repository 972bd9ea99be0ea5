"""What a request is about decides: images, tags, addresses, times, and who asks."""

from dataclasses import replace
from typing import Any

import pytest

from moorage.domain.arn import RepositoryArn
from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import AccessDenied, LayersMissing, RegistryError
from moorage.domain.manifest import Manifest
from moorage.domain.names import RepositoryName, Tag
from moorage.services import image_batches, images, registry_settings, repositories, tagging
from moorage.services.conditions import TimeMatters
from moorage.services.image_ids import ImageId
from tests.access.office import APP, REGISTRY, Office
from tests.access.people import allow, deny
from tests.access.routes import MANIFEST_BODY

V1, V2 = Tag("v1"), Tag("v2")
#: Noon of the day that the office's clock shows.
LATER, EARLIER = "2016-12-17T00:00:00Z", "2016-12-16T00:00:00Z"


def pull(office: Office, caller: Caller, reference: Tag | Digest = V1) -> str:
    """Pull from ``app/web``; returns the digest."""
    return office.database.read_now(images.get_image, caller, REGISTRY, APP, reference).image.digest


def with_facts(caller: Caller, **facts: Any) -> Caller:
    """The same caller with another request."""
    return replace(caller, request=replace(caller.request, **facts))


# --- Images --------------------------------------------------------------------------------------------------


def test_a_pull_of_one_tag_alone(office: Office) -> None:
    """By that tag, by no digest."""
    caller = office.hire("alice", allow("ecr:*", Condition={"StringEquals": {"ecr:ImageTag": "v1"}}))
    digest = Digest.parse(pull(office, caller))
    for reference in (V2, digest):
        with pytest.raises(AccessDenied):
            pull(office, caller, reference)


def test_a_denied_tag_guards_its_name_and_not_what_has_no_tag(office: Office) -> None:
    """A pull by digest names none; another Deny keeps that out."""
    by_name = deny("ecr:BatchGetImage", Condition={"StringLike": {"ecr:ImageTag": "v*"}})
    nameless = deny("ecr:BatchGetImage", Condition={"Null": {"ecr:ImageTag": "true"}})
    digest = Digest.parse(office.digests[APP])
    caller = office.hire("alice", allow("*"), by_name)
    assert pull(office, caller, digest) == str(digest)
    with pytest.raises(AccessDenied):
        pull(office, caller, V1)
    office.put_policy("alice", allow("*"), by_name, nameless)
    for reference in (V1, digest):
        with pytest.raises(AccessDenied):
            pull(office, caller, reference)


def test_a_digest_that_is_denied_is_denied_by_its_tag_too(office: Office) -> None:
    """What a tag turns out to point to counts."""
    digest = office.digests[APP]
    caller = office.hire(
        "alice", allow("*"), deny("*", Condition={"StringEquals": {"ecr:ImageDigest": digest}})
    )
    for reference in (V1, Digest.parse(digest)):
        with pytest.raises(AccessDenied, match="with an explicit deny in an identity-based policy"):
            pull(office, caller, reference)
    with pytest.raises(AccessDenied):
        office.database.read_now(image_batches.batch_get_images, caller, REGISTRY, APP, [ImageId(tag="v1")])


def test_several_images_are_judged_one_by_one(office: Office) -> None:
    """One that is not allowed refuses the call."""
    caller = office.hire("alice", allow("ecr:*", Condition={"StringEquals": {"ecr:ImageTag": "v1"}}))
    get = image_batches.batch_get_images
    assert len(office.database.read_now(get, caller, REGISTRY, APP, [ImageId(tag="v1")])[0]) == 1
    for more in (ImageId(tag="v2"), ImageId(digest=office.digests[APP])):
        with pytest.raises(AccessDenied):
            office.database.read_now(get, caller, REGISTRY, APP, [ImageId(tag="v1"), more])


@pytest.mark.parametrize("way", ["by digest in a batch", "by tag in a batch", "by digest", "by tag"])
def test_a_guarded_tag_is_not_deleted_in_any_way(office: Office, way: str) -> None:
    """An image takes its tags along, so these have to be allowed as well."""
    caller = office.hire("alice", allow("*"), deny("*", Condition={"StringLike": {"ecr:ImageTag": "v*"}}))
    digest = office.digests[APP]
    delete: dict[str, tuple[Any, Any]] = {
        "by digest in a batch": (image_batches.batch_delete_images, [ImageId(digest=digest)]),
        "by tag in a batch": (image_batches.batch_delete_images, [ImageId(tag="v1")]),
        "by digest": (image_batches.delete_image, Digest.parse(digest)),
        "by tag": (image_batches.delete_tag, V1),
    }
    use_case, what = delete[way]
    with pytest.raises(AccessDenied):
        office.database.write_now(use_case, caller, REGISTRY, APP, what)
    assert pull(office, office.root()) == digest


def push(office: Office, caller: Caller, *tags: Tag) -> None:
    """Push an image whose config is missing: who is let through is told so."""
    manifest = Manifest.parse(MANIFEST_BODY.encode(), None)
    office.database.write_now(images.put_image, caller, REGISTRY, APP, manifest, tags, is_repeat_refused=False)


def test_a_push_has_to_be_allowed_each_of_its_tags(office: Office) -> None:
    """Also before its manifest is read."""
    caller = office.hire("alice", allow("ecr:*", Condition={"StringLike": {"ecr:ImageTag": "dev-*"}}))
    one, two = Tag("dev-1"), Tag("dev-2")
    with pytest.raises(LayersMissing):
        push(office, caller, one, two)
    office.database.read_now(images.check_push, caller, REGISTRY, APP, [one, two], None)
    for tags in ((one, V1), ()):
        with pytest.raises(AccessDenied):
            push(office, caller, *tags)
        with pytest.raises(AccessDenied):
            office.database.read_now(images.check_push, caller, REGISTRY, APP, tags, None)


def test_a_push_by_tag_is_not_refused_before_its_digest_is_known(office: Office) -> None:
    """A policy may ask for it; then the manifest decides."""
    digest = str(Manifest.parse(MANIFEST_BODY.encode(), None).digest)
    may = office.hire("alice", allow("ecr:*", Condition={"StringEquals": {"ecr:ImageDigest": digest}}))
    may_not = office.hire("bob", allow("ecr:*", Condition={"StringEquals": {"ecr:ImageDigest": "sha256:0"}}))
    for caller, refusal in ((may, LayersMissing), (may_not, AccessDenied)):
        office.database.read_now(images.check_push, caller, REGISTRY, APP, [V1], None)
        with pytest.raises(refusal):
            push(office, caller, V1)


# --- Resource tags -------------------------------------------------------------------------------------------


def test_the_tags_of_a_repository_decide_about_it(office: Office) -> None:
    """As they are at the time of the request."""
    caller = office.hire("alice", allow("ecr:*", Condition={"StringEquals": {"ecr:ResourceTag/Team": "web"}}))
    with pytest.raises(AccessDenied):
        pull(office, caller)
    arn = RepositoryArn(REGISTRY.region, REGISTRY.registry_id, APP)
    office.database.write_now(tagging.tag_resource, office.root(), arn, [("team", "web")])
    pull(office, caller)
    office.database.write_now(tagging.tag_resource, office.root(), arn, [("team", "lib")])
    with pytest.raises(AccessDenied):
        pull(office, caller)


def test_a_repository_with_tags_takes_the_right_to_tag(office: Office) -> None:
    """And the tags have to be those that are allowed."""
    may_make = office.hire("alice", allow("ecr:CreateRepository"))
    may_tag = office.hire(
        "bob",
        allow(
            "ecr:CreateRepository",
            "ecr:TagResource",
            Condition={"StringEquals": {"aws:RequestTag/team": "web"}},
        ),
    )

    def create(caller: Caller, name: str, *tags: tuple[str, str]) -> None:
        office.database.write_now(
            repositories.create_repository, caller, REGISTRY, RepositoryName(name), resource_tags=tags
        )

    create(may_make, "made/plain")
    create(may_tag, "made/tagged", ("team", "web"))
    for caller, tags in ((may_make, [("team", "web")]), (may_tag, [("team", "lib")]), (may_tag, [])):
        with pytest.raises(AccessDenied):
            create(caller, "made/not", *tags)


def test_an_account_setting_is_allowed_by_its_name(office: Office) -> None:
    """``ecr:AccountSetting``."""
    caller = office.hire(
        "alice", allow("ecr:*", Condition={"StringEquals": {"ecr:AccountSetting": "BLOB_MOUNTING"}})
    )
    put = registry_settings.put_account_setting
    office.database.write_now(put, caller, REGISTRY, "BLOB_MOUNTING", "DISABLED")
    with pytest.raises(AccessDenied):
        office.database.write_now(put, caller, REGISTRY, "REGISTRY_POLICY_SCOPE", "V1")


# --- The request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "facts", "others"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"source_ip": "10.9.8.7"}, {"source_ip": "11.0.0.1"}),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"is_tls": True}, {"is_tls": False}),
        ({"StringLike": {"aws:UserAgent": "docker/*"}}, {"user_agent": "docker/27"}, {"user_agent": ""}),
        ({"DateLessThan": {"aws:CurrentTime": LATER}}, {}, {"received_at": 1_482_000_000_000_000}),
        ({"DateGreaterThan": {"aws:CurrentTime": EARLIER}}, {}, {"received_at": 1}),
        ({"NumericLessThan": {"aws:EpochTime": "1481919000"}}, {}, {"received_at": 1_481_919_001_000_000}),
    ],
)
def test_how_a_request_comes_decides(
    office: Office, condition: dict[str, Any], facts: dict[str, Any], others: dict[str, Any]
) -> None:
    """One that comes so is let through, another is not."""
    caller = office.hire("alice", allow("ecr:*", Condition=condition))
    pull(office, with_facts(caller, **facts))
    with pytest.raises(AccessDenied):
        pull(office, with_facts(caller, **others))


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:username": "alice"}},
        {"StringEquals": {"aws:PrincipalTag/Team": "web"}},
        {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/al*"}},
        {"StringLike": {"aws:userid": "AIDA*"}},
        {"StringEquals": {"aws:RequestedRegion": REGISTRY.region, "aws:PrincipalType": "User"}},
        {"StringEquals": {"aws:PrincipalAccount": REGISTRY.registry_id}},
    ],
)
def test_who_asks_decides(office: Office, condition: dict[str, Any]) -> None:
    """By what is known of them; it is the policy of the repository that asks here."""
    alice, root = office.hire("alice", tags={"team": "web"}), office.root()
    statement = deny("ecr:BatchGetImage", Condition=condition)
    del statement["Resource"]
    office.put_repository_policy(APP, statement | {"Principal": "*"})
    with pytest.raises(AccessDenied, match="with an explicit deny in a resource-based policy"):
        pull(office, alice)
    if not {"aws:RequestedRegion", "aws:PrincipalAccount"} & {*condition.get("StringEquals", {})}:
        pull(office, root)


# --- What is decided for good --------------------------------------------------------------------------------


def test_what_depends_on_the_time_is_not_decided_for_good(office: Office) -> None:
    """Neither an Allow nor a Deny that asks for it; what does not come to asking is."""
    timely = {"DateLessThan": {"aws:CurrentTime": LATER}}
    allowed = office.hire("alice", allow("ecr:*", Condition=timely))
    not_denied = office.hire(
        "bob", allow("*"), deny("*", Condition={"DateGreaterThan": {"aws:EpochTime": LATER}})
    )
    elsewhere = office.hire("carol", allow("*"), deny("ecr:PutImage", Condition=timely))
    for caller in (allowed, not_denied):
        pull(office, caller)
        with pytest.raises(TimeMatters):
            pull(office, replace(caller, is_lasting=True))
    pull(office, replace(elsewhere, is_lasting=True))


def test_a_refusal_of_a_caller_without_rights_names_what_is_missing(office: Office) -> None:
    """ECR's sentence."""
    with pytest.raises(RegistryError) as refusal:
        pull(office, office.hire("alice"))
    assert isinstance(refusal.value, AccessDenied)
    assert refusal.value.facts["reason"] == (
        "because no identity-based policy allows the ecr:BatchGetImage action"
    )
