"""boto3: every operation that is built, its errors by class, and what is said of those that are not built."""

import base64
import hashlib
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError

from moorage.ecr.operations import OPERATIONS
from tests.clients.boto import Boto
from tests.clients.images import CONFIG, MANIFEST
from tests.clients.pushing import MEBIBYTE, new_manifest, push_image, push_layer
from tests.serving import ACCOUNT, REGION, Credentials

pytestmark = pytest.mark.clients

ABSENT = "sha256:" + "0" * 64
NO_IMAGE = {"imageTag": "nope"}


def test_every_built_operation_is_called_by_these_tests() -> None:
    """An operation that is built later gets its test here."""
    sources = [*Path(__file__).parent.glob("test_boto3*.py"), Path(__file__).parent / "pushing.py"]
    text = "\n".join(path.read_text() for path in sources)
    missing = [name for name in OPERATIONS if not re.search(rf"[.]{xform_name(name)}\(", text)]
    assert missing == []


# --- Repositories --------------------------------------------------------------------------------------------


def test_create_repository_answers_as_ecr_does(ecr: Any, python: Boto) -> None:
    """All members that clients of any year read, the date as a date."""
    made = ecr.create_repository(repositoryName="boto3/made", tags=[{"Key": "team", "Value": "blue"}])[
        "repository"
    ]
    assert abs(made.pop("createdAt") - datetime.now(UTC)) < timedelta(minutes=1)
    assert made == {
        "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/boto3/made",
        "registryId": ACCOUNT,
        "repositoryName": "boto3/made",
        "repositoryUri": f"localhost:{python.served.address.rsplit(':', 1)[1]}/boto3/made",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


def test_describe_repositories_answers_what_create_repository_did(ecr: Any) -> None:
    """The two answers hold the same repository."""
    made = ecr.create_repository(repositoryName="boto3/described")["repository"]
    assert ecr.describe_repositories(repositoryNames=["boto3/described"])["repositories"] == [made]


def test_delete_repository_takes_its_images_along_when_forced(ecr: Any, boto_repository: str) -> None:
    """Nothing of the repository is described afterwards."""
    push_image(ecr, boto_repository, "v1")
    ecr.delete_repository(repositoryName=boto_repository, force=True)
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName=boto_repository)


def test_put_image_tag_mutability_holds_for_every_tag_but_the_excluded(ecr: Any, boto_repository: str) -> None:
    """An immutable tag refuses another image, one that a filter excludes takes it."""
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    answer = ecr.put_image_tag_mutability(
        repositoryName=boto_repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert answer["imageTagMutabilityExclusionFilters"] == filters
    push_image(ecr, boto_repository, "dev-1")
    push_image(ecr, boto_repository, "dev-1")
    push_image(ecr, boto_repository, "v1")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        push_image(ecr, boto_repository, "v1")


def test_resource_tags_are_listed_until_they_are_taken_off(ecr: Any, boto_repository: str) -> None:
    """TagResource adds and replaces, UntagResource removes, ListTagsForResource shows."""
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{boto_repository}"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "3"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "3"}]


# --- Layers --------------------------------------------------------------------------------------------------


def test_a_layer_uploaded_in_parts_is_available(ecr: Any, boto_repository: str) -> None:
    """Three parts, the last a short one, make one layer of their size."""
    content = hashlib.sha256(b"parts").digest() * (11 * MEBIBYTE // 32) + b"end"
    digest = push_layer(ecr, boto_repository, content, 5 * MEBIBYTE)
    answer = ecr.batch_check_layer_availability(repositoryName=boto_repository, layerDigests=[digest, ABSENT])
    found = {layer["layerDigest"]: layer for layer in answer["layers"]}
    assert found[digest]["layerAvailability"] == "AVAILABLE"
    assert found[digest]["layerSize"] == len(content)
    assert found[ABSENT]["layerAvailability"] == "UNAVAILABLE"


def test_a_part_of_the_largest_size_is_taken(ecr: Any, boto_repository: str) -> None:
    """20 MiB, which is 28 MB in base64."""
    content = bytes(20 * MEBIBYTE)
    assert push_layer(ecr, boto_repository, content, len(content)).startswith("sha256:")


def test_the_download_url_gives_the_layer_out_when_fetched(ecr: Any, boto_repository: str) -> None:
    """No credentials are needed besides the URL."""
    digest = push_layer(ecr, boto_repository, b"to be fetched")
    push_image_of(ecr, boto_repository, digest, len(b"to be fetched"))
    answer = ecr.get_download_url_for_layer(repositoryName=boto_repository, layerDigest=digest)
    with urllib.request.urlopen(answer["downloadUrl"], timeout=10) as got:
        assert got.read() == b"to be fetched"


def push_image_of(ecr: Any, repository: str, layer: str, size: int) -> None:
    """Push an image that uses a layer."""
    descriptor = {"mediaType": "application/octet-stream", "digest": layer, "size": size}
    push_image(ecr, repository, "v1", layers=[descriptor])


# --- Images --------------------------------------------------------------------------------------------------


def test_batch_get_image_returns_the_manifest_that_put_image_was_given(ecr: Any, boto_repository: str) -> None:
    """Byte for byte; what is not there is listed as a failure."""
    manifest = new_manifest(ecr, boto_repository)
    ecr.put_image(repositoryName=boto_repository, imageManifest=manifest, imageTag="v1")
    ids = [{"imageTag": "v1"}, {"imageTag": "nope"}]
    answer = ecr.batch_get_image(repositoryName=boto_repository, imageIds=ids)
    assert [image["imageManifest"] for image in answer["images"]] == [manifest]
    assert answer["images"][0]["imageManifestMediaType"] == MANIFEST
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"


def test_describe_images_shows_an_image_once_with_all_its_tags(ecr: Any, boto_repository: str) -> None:
    """Size, date and media types of what was pushed."""
    manifest = new_manifest(ecr, boto_repository)
    for tag in ("b", "a"):
        ecr.put_image(repositoryName=boto_repository, imageManifest=manifest, imageTag=tag)
    (image,) = ecr.describe_images(repositoryName=boto_repository)["imageDetails"]
    assert sorted(image["imageTags"]) == ["a", "b"]
    assert image["imageSizeInBytes"] > 0
    assert image["artifactMediaType"] == CONFIG
    assert abs(image["imagePushedAt"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_batch_delete_image_untags_before_it_deletes(ecr: Any, boto_repository: str) -> None:
    """The first of two tags leaves the image, the last one takes it along."""
    manifest = new_manifest(ecr, boto_repository)
    for tag in ("a", "b"):
        ecr.put_image(repositoryName=boto_repository, imageManifest=manifest, imageTag=tag)
    ecr.batch_delete_image(repositoryName=boto_repository, imageIds=[{"imageTag": "a"}])
    left = ecr.list_images(repositoryName=boto_repository)["imageIds"]
    assert [image["imageTag"] for image in left] == ["b"]
    answer = ecr.batch_delete_image(repositoryName=boto_repository, imageIds=[{"imageTag": "b"}])
    assert answer["failures"] == []
    assert ecr.list_images(repositoryName=boto_repository)["imageIds"] == []


def test_list_images_tells_tagged_from_untagged(ecr: Any, boto_repository: str) -> None:
    """The filter by tag status lets the right ones through."""
    tagged, untagged = push_image(ecr, boto_repository, "v1"), push_image(ecr, boto_repository, None)
    for status, digest in (("TAGGED", tagged), ("UNTAGGED", untagged)):
        answer = ecr.list_images(repositoryName=boto_repository, filter={"tagStatus": status})
        assert [image["imageDigest"] for image in answer["imageIds"]] == [digest]


def test_list_image_referrers_finds_what_names_the_image_as_its_subject(ecr: Any, boto_repository: str) -> None:
    """An artifact is listed under its subject, with its type."""
    manifest = new_manifest(ecr, boto_repository)
    subject = ecr.put_image(repositoryName=boto_repository, imageManifest=manifest, imageTag="v1")["image"][
        "imageId"
    ]
    descriptor = {"mediaType": MANIFEST, "digest": subject["imageDigest"], "size": len(manifest)}
    sbom = push_image(
        ecr, boto_repository, None, subject=descriptor, artifactType="application/vnd.example.sbom"
    )
    answer = ecr.list_image_referrers(
        repositoryName=boto_repository, subjectId={"imageDigest": subject["imageDigest"]}
    )
    assert [(one["digest"], one["artifactType"]) for one in answer["referrers"]] == [
        (sbom, "application/vnd.example.sbom")
    ]


# --- The registry and who is asking --------------------------------------------------------------------------


def test_describe_registry_names_the_account(ecr: Any) -> None:
    """The registry of the key's account, without replication."""
    answer = ecr.describe_registry()
    assert (answer["registryId"], answer["replicationConfiguration"]) == (ACCOUNT, {"rules": []})


def test_an_account_setting_reads_back_as_it_was_put(python: Boto) -> None:
    """In a region of its own, since the setting holds for the whole registry."""
    ecr = python.client(region="eu-north-1")
    ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"


def test_the_authorization_token_opens_the_registry_for_twelve_hours(ecr: Any) -> None:
    """Basic credentials of docker, good at the endpoint that comes with them."""
    (data,) = ecr.get_authorization_token()["authorizationData"]
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
    assert abs(data["expiresAt"] - datetime.now(UTC) - timedelta(hours=12)) < timedelta(minutes=1)
    request = urllib.request.Request(
        f"{data['proxyEndpoint']}/v2/", headers={"Authorization": f"Basic {data['authorizationToken']}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_sts_says_who_is_asking(python: Boto) -> None:
    """The root of the account whose key it is."""
    answer = python.client("sts").get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


# --- Refusals ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Furnished:
    """A repository with an image tagged v1, a layer that no image uses and an upload without parts."""

    ecr: Any
    name: str
    manifest: str
    layer: str
    upload: str

    def put(self, manifest: str, **given: str) -> object:
        """Push a manifest."""
        return self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, **given)

    def create(self, name: str, **tags: str) -> object:
        """Make a repository with resource tags."""
        pairs = [{"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items()]
        return self.ecr.create_repository(repositoryName=name, tags=pairs)

    def complete(self, upload: str) -> object:
        """Complete an upload."""
        return self.ecr.complete_layer_upload(repositoryName=self.name, uploadId=upload, layerDigests=[ABSENT])

    def download(self, layer: str) -> object:
        """Ask where a layer can be downloaded."""
        return self.ecr.get_download_url_for_layer(repositoryName=self.name, layerDigest=layer)

    def upload_from(self, first: int) -> object:
        """Add a part that begins at a byte."""
        return self.ecr.upload_layer_part(
            repositoryName=self.name,
            uploadId=self.upload,
            partFirstByte=first,
            partLastByte=first + 3,
            layerPartBlob=b"part",
        )


@pytest.fixture(scope="module")
def furnished(ecr: Any) -> Furnished:
    """One for all tests of refusals: a refusal changes nothing."""
    name = "boto3/furnished"
    ecr.create_repository(repositoryName=name)
    manifest = new_manifest(ecr, name)
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")
    layer = push_layer(ecr, name, b"there already")
    return Furnished(ecr, name, manifest, layer, ecr.initiate_layer_upload(repositoryName=name)["uploadId"])


REFUSED: list[tuple[str, Callable[[Furnished], object]]] = [
    ("RepositoryAlreadyExistsException", lambda at: at.create(at.name)),
    ("RepositoryNotEmptyException", lambda at: at.ecr.delete_repository(repositoryName=at.name)),
    ("RepositoryNotFoundException", lambda at: at.ecr.list_images(repositoryName="boto3/absent")),
    ("InvalidParameterException", lambda at: at.create("Upper/Case")),
    ("InvalidParameterException", lambda at: at.put("no manifest")),
    ("TooManyTagsException", lambda at: at.create("boto3/new", **{f"t{n}": "" for n in range(51)})),
    ("InvalidTagParameterException", lambda at: at.create("boto3/new", aws_reserved="")),
    ("ImageAlreadyExistsException", lambda at: at.put(at.manifest, imageTag="v1")),
    ("ImageDigestDoesNotMatchException", lambda at: at.put(at.manifest, imageDigest=ABSENT)),
    ("LayersNotFoundException", lambda at: at.put(at.manifest.replace(layer_of(at.manifest), ABSENT))),
    ("ImageNotFoundException", lambda at: at.ecr.describe_images(repositoryName=at.name, imageIds=[NO_IMAGE])),
    ("LayersNotFoundException", lambda at: at.download(ABSENT)),
    ("LayerInaccessibleException", lambda at: at.download(at.layer)),
    ("LayerAlreadyExistsException", lambda at: push_layer(at.ecr, at.name, b"there already")),
    ("EmptyUploadException", lambda at: at.complete(at.upload)),
    ("UploadNotFoundException", lambda at: at.complete("00000000-0000-0000-0000-000000000000")),
    ("InvalidLayerPartException", lambda at: at.upload_from(5)),
]


@pytest.mark.parametrize(("name", "call"), REFUSED)
def test_a_refusal_has_the_class_that_programs_catch(
    furnished: Furnished, name: str, call: Callable[[Furnished], object]
) -> None:
    """Each is an attribute of ``client.exceptions``, and its code is its name."""
    with pytest.raises(getattr(furnished.ecr.exceptions, name)) as refused:
        call(furnished)
    assert refused.value.response["Error"]["Code"] == name


def layer_of(manifest: str) -> str:
    """The digest of the only layer of a manifest."""
    return manifest[manifest.rindex("sha256:") :][: len(ABSENT)]


def test_a_refused_part_says_where_to_go_on(furnished: Furnished) -> None:
    """The members of the error are read like those of an answer."""
    with pytest.raises(furnished.ecr.exceptions.InvalidLayerPartException) as refused:
        furnished.upload_from(5)
    answer = refused.value.response
    assert (answer["registryId"], answer["repositoryName"], answer["uploadId"]) == (
        ACCOUNT,
        furnished.name,
        furnished.upload,
    )


def test_a_layer_of_other_bytes_is_refused(ecr: Any, boto_repository: str) -> None:
    """The digest of the bytes decides, not the one that the client names."""
    upload = ecr.initiate_layer_upload(repositoryName=boto_repository)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=boto_repository, uploadId=upload, partFirstByte=0, partLastByte=3, layerPartBlob=b"part"
    )
    with pytest.raises(ecr.exceptions.InvalidLayerException):
        ecr.complete_layer_upload(repositoryName=boto_repository, uploadId=upload, layerDigests=[ABSENT])


def test_a_layer_whose_first_part_is_small_is_refused(ecr: Any, boto_repository: str) -> None:
    """Every part but the last takes 5 MiB at least."""
    with pytest.raises(ecr.exceptions.LayerPartTooSmallException):
        push_layer(ecr, boto_repository, b"eight by", part_size=4)


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_key_is_refused_by_the_code_that_programs_know(python: Boto, known: bool) -> None:
    """A wrong secret and an unknown key are told apart, as AWS does."""
    key = Credentials(python.served.credentials.access_key_id if known else "AKIAUNKNOWN", "wrong")
    with pytest.raises(ClientError) as refused:
        python.client_of(key).describe_repositories()
    expected = "InvalidSignatureException" if known else "UnrecognizedClientException"
    assert refused.value.response["Error"]["Code"] == expected


# --- What is not built ---------------------------------------------------------------------------------------

# Where a member of the model takes only what a pattern allows.
_GIVEN = {
    "registryId": ACCOUNT,
    "repositoryName": "boto3/absent",
    "imageDigest": ABSENT,
    "ecrRepositoryPrefix": "mirror",
    "principalArn": f"arn:aws:iam::{ACCOUNT}:role/reader",
    "signingProfileArn": f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p",
    "resourceArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/absent",
    "prefix": "mirror",
    "replicationBackfillId": "00000000-0000-0000-0000-000000000000",
    "region": "eu-west-1",
    "filter": "mirror",
}


def sample(shape: Any, name: str = "") -> Any:
    """The smallest value that a shape of botocore's model allows."""
    if name in _GIVEN and shape.type_name == "string":
        return _GIVEN[name]
    match shape.type_name:
        case "structure":
            return {member: sample(shape.members[member], member) for member in shape.required_members}
        case "list":
            return [sample(shape.member, name) for _ in range(shape.metadata.get("min", 0))]
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(shape.metadata.get("min", 0), 1)
        case "boolean":
            return False
        case other:
            raise AssertionError(f"no sample for {other} {name}")


def test_every_operation_that_is_not_built_answers_501(ecr: Any) -> None:
    """It names itself, and no client tries again."""
    model = ecr.meta.service_model
    said = {}
    for name in set(model.operation_names) - set(OPERATIONS):
        shape = model.operation_model(name).input_shape
        with pytest.raises(ClientError) as refused:
            getattr(ecr, xform_name(name))(**sample(shape))
        answer = refused.value.response
        said[name] = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"])
    wrong = {name: (status, text) for name, (status, text) in said.items() if status != 501 or name not in text}
    assert wrong == {}


@pytest.mark.parametrize("waiter", ["image_scan_complete", "lifecycle_policy_preview_complete"])
def test_a_waiter_gives_up_at_once_when_what_it_waits_for_is_not_built(ecr: Any, waiter: str) -> None:
    """Instead of asking for ten minutes; the message says why."""
    given = {"imageId": {"imageTag": "v1"}} if waiter == "image_scan_complete" else {}
    with pytest.raises(WaiterError, match="is not built"):
        ecr.get_waiter(waiter).wait(repositoryName="boto3/absent", **given)
