"""Calls and answers that were published for ECR over the years, replayed.

The facts are those of the API reference of 2018 and of the Python client's documentation of 2017 and 2021. An
answer must hold every member that was published with its value; further members are newer ones. Dates, tokens,
request ids and digests that were made up for print are replaced; accounts are ours.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.ecr.driver import (
    ACCOUNT,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    SECOND,
    Answer,
    Driver,
    digest_of,
)

LAYER = "sha256:8e3fa21c4cc40232e835a6761332d225c7af3235c5755f44ada2ed9d0e4ab7e8"
LAYER_SIZE = 91768077
CONFIG = "sha256:5b52b314511a611975c2c65e695d920acdf8ae8848fe0ef00b7d018d1f118b64"
AMAZONLINUX = "sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807"
XENIAL = "sha256:7a64bc9c8843b0a8c8b8a7e4715b7615e4e1b0d8ca3c7e7a76ec8250899c397a"
PRECISE = "sha256:764f63476bdff6d83a09ba2a818f0d35757063724a9ac3ba5019c56f74ebf42a"

#: Three spaces a level: the bytes whose digest the reference prints.
AMAZONLINUX_MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": 1486, "digest": CONFIG},
        "layers": [{"mediaType": DOCKER_LAYER, "size": LAYER_SIZE, "digest": LAYER}],
    },
    indent=3,
)

LIFECYCLE_POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Expire images older than 14 days",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    },
    indent=2,
)
#: As it was sent, and as ECR answered with it.
SENT_POLICY = (
    '{\n  "Version": "2012-10-17", "Statement": [\n    {\n      "Sid": "AllowPull", "Effect": "Allow", '
    '"Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Principal": "*"}\n  ]\n}'
)
ANSWERED_POLICY = """\
{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Sid" : "AllowPull",
    "Effect" : "Allow",
    "Principal" : "*",
    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ]
  } ]
}"""


def lacks(actual: Any, published: Any, path: str = "") -> list[str]:
    """Where an answer falls short of what was published."""
    if isinstance(published, dict):
        if not isinstance(actual, dict):
            return [path]
        missing = [f"{path}.{name}" for name in published if name not in actual]
        return missing + [
            place
            for name, value in published.items()
            if name in actual
            for place in lacks(actual[name], value, f"{path}.{name}")
        ]
    if isinstance(published, list):
        if not isinstance(actual, list) or len(actual) != len(published):
            return [path]
        pairs = enumerate(zip(actual, published, strict=True))
        return [place for index, (one, other) in pairs for place in lacks(one, other, f"{path}[{index}]")]
    return [] if actual == published else [f"{path}: {actual!r}, not {published!r}"]


@pytest.fixture
def aws(tmp_path: Path) -> Any:
    """A server that gives out AWS's host names."""
    driver = Driver(tmp_path, registry_host="{account}.dkr.ecr.{region}.amazonaws.com")
    yield driver
    driver.close()


def send(driver: Driver, operation: str, request: dict[str, Any], region: str = "us-west-2") -> Answer:
    """A published request."""
    answer = driver.call(operation, region=region, **request)
    assert answer.status == 200, answer.body
    return answer


def arn(name: str, region: str = "us-west-2") -> str:
    """A repository's ARN."""
    return f"arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}"


# --- The API reference of 2018 -------------------------------------------------------------------------------


def test_reference_batch_check_layer_availability(aws: Driver) -> None:
    """A layer of an image, with its media type; the length is the published one."""
    aws.create("amazonlinux")
    aws.place_layer("amazonlinux", LAYER, LAYER_SIZE, DOCKER_LAYER)
    answer = send(
        aws, "BatchCheckLayerAvailability", {"layerDigests": [LAYER], "repositoryName": "amazonlinux"}
    )
    assert answer.json == {
        "failures": [],
        "layers": [
            {
                "layerAvailability": "AVAILABLE",
                "layerDigest": LAYER,
                "layerSize": LAYER_SIZE,
                "mediaType": DOCKER_LAYER,
            }
        ],
    }
    assert answer.headers["content-length"] == "233"


def test_reference_batch_delete_image_by_tag(aws: Driver) -> None:
    """One tag of several; the length is the published one."""
    aws.create("ubuntu")
    aws.place_image("ubuntu", XENIAL, "xenial", "latest")
    answer = send(aws, "BatchDeleteImage", {"repositoryName": "ubuntu", "imageIds": [{"imageTag": "xenial"}]})
    assert answer.json == {"failures": [], "imageIds": [{"imageDigest": XENIAL, "imageTag": "xenial"}]}
    assert answer.headers["content-length"] == "138"


def test_reference_batch_delete_image_by_digest(aws: Driver) -> None:
    """An image with all its tags; the length is the published one."""
    aws.create("ubuntu")
    aws.place_image("ubuntu", XENIAL, "xenial", "latest")
    answer = send(aws, "BatchDeleteImage", {"repositoryName": "ubuntu", "imageIds": [{"imageDigest": XENIAL}]})
    assert answer.json == {
        "failures": [],
        "imageIds": [
            {"imageDigest": XENIAL, "imageTag": "xenial"},
            {"imageDigest": XENIAL, "imageTag": "latest"},
        ],
    }
    assert answer.headers["content-length"] == "248"


def amazonlinux(driver: Driver) -> None:
    """The repository of the samples with the blobs of their image."""
    driver.create("amazonlinux")
    driver.place_layer("amazonlinux", LAYER, LAYER_SIZE)
    driver.place_layer("amazonlinux", CONFIG, 1486)


def put_amazonlinux(driver: Driver, tag: str) -> Answer:
    """PutImage of the samples' image."""
    request = {
        "imageManifest": AMAZONLINUX_MANIFEST,
        "repositoryName": "amazonlinux",
        "imageTag": tag,
    }
    return send(driver, "PutImage", request)


def image_tagged(tag: str) -> dict[str, Any]:
    """The samples' image as it was published."""
    return {
        "imageId": {"imageDigest": AMAZONLINUX, "imageTag": tag},
        "imageManifest": AMAZONLINUX_MANIFEST,
        "registryId": ACCOUNT,
        "repositoryName": "amazonlinux",
    }


def test_reference_put_image(aws: Driver) -> None:
    """The digest is the published one, so the bytes are."""
    amazonlinux(aws)
    assert lacks(put_amazonlinux(aws, "2016.09").json, {"image": image_tagged("2016.09")}) == []


def test_reference_batch_get_image(aws: Driver) -> None:
    """The same image by a tag."""
    amazonlinux(aws)
    put_amazonlinux(aws, "latest")
    answer = send(aws, "BatchGetImage", {"repositoryName": "amazonlinux", "imageIds": [{"imageTag": "latest"}]})
    assert lacks(answer.json, {"failures": [], "images": [image_tagged("latest")]}) == []


def test_reference_list_images(aws: Driver) -> None:
    """Two tags of one image; the length is the published one."""
    amazonlinux(aws)
    put_amazonlinux(aws, "2016.09")
    put_amazonlinux(aws, "latest")
    answer = send(aws, "ListImages", {"repositoryName": "amazonlinux"})
    assert answer.json == {
        "imageIds": [
            {"imageDigest": AMAZONLINUX, "imageTag": "2016.09"},
            {"imageDigest": AMAZONLINUX, "imageTag": "latest"},
        ]
    }
    assert answer.headers["content-length"] == "235"


def test_reference_describe_images(aws: Driver) -> None:
    """Tagged and untagged images with their sizes and times."""
    published: list[dict[str, Any]] = [
        {
            "imageDigest": "sha256:7c70a5ebcc7fcaa22974a71175ba674efce3951fbec624943c891e9d256927c1",
            "imagePushedAt": 1452721263,
            "imageSizeInBytes": 44194573,
        },
        {
            "imageDigest": "sha256:abdc090336ba4503bd72d0961a4f3d45134900d9a793d3f0c06a64d2555fbab7",
            "imagePushedAt": 1481916613,
            "imageSizeInBytes": 39142127,
            "imageTags": ["precise"],
        },
        {
            "imageDigest": "sha256:78dea3347768ba553ee8971cfb2dfa4c3efcd96db84ebfcdda59ba8d6057941b",
            "imagePushedAt": 1452721207,
            "imageSizeInBytes": 65747044,
        },
        {
            "imageDigest": XENIAL,
            "imagePushedAt": 1481916523,
            "imageSizeInBytes": 50223482,
            "imageTags": ["xenial", "latest"],
        },
        {
            "imageDigest": "sha256:881befbe6f54c1e85029fe3a11554342bf765a0849600ecb8fa2f922798b4925",
            "imagePushedAt": 1481916647,
            "imageSizeInBytes": 65770577,
            "imageTags": ["trusty"],
        },
    ]
    aws.create("ubuntu")
    for one in published:
        aws.now = one["imagePushedAt"] * SECOND
        aws.place_image("ubuntu", one["imageDigest"], *one.get("imageTags", ()), size=one["imageSizeInBytes"])
        one |= {"registryId": ACCOUNT, "repositoryName": "ubuntu"}
    answer = send(aws, "DescribeImages", {"repositoryName": "ubuntu"})
    assert lacks(answer.json, {"imageDetails": published}) == []
    assert ["imageTags" in one for one in answer.json["imageDetails"]] == [
        False,
        True,
        False,
        True,
        True,
    ]


def test_reference_create_repository(aws: Driver) -> None:
    """A name with a namespace, in the region of the signature."""
    answer = send(aws, "CreateRepository", {"repositoryName": "project-a/nginx-web-app"}, "us-east-1")
    repository = {
        "registryId": ACCOUNT,
        "repositoryArn": arn("project-a/nginx-web-app", "us-east-1"),
        "repositoryName": "project-a/nginx-web-app",
    }
    assert lacks(answer.json, {"repository": repository}) == []


def test_reference_delete_repository(aws: Driver) -> None:
    """By force, with what is in it."""
    aws.call("CreateRepository", region="us-east-1", repositoryName="ubuntu")
    answer = send(aws, "DeleteRepository", {"repositoryName": "ubuntu", "force": True}, "us-east-1")
    repository = {
        "registryId": ACCOUNT,
        "repositoryArn": arn("ubuntu", "us-east-1"),
        "repositoryName": "ubuntu",
    }
    assert lacks(answer.json, {"repository": repository}) == []


def test_reference_describe_repositories(aws: Driver) -> None:
    """All of the registry, each with its URI and time. The published order means nothing; ours is by name."""
    made = {
        "ubuntu": 1450223349,
        "amazonlinux": 1481915414,
        "iis": 1481845593,
        "windows_sample_app": 1479253336,
    }
    for name, moment in made.items():
        aws.now = moment * SECOND
        aws.create(name)
    published = [
        {
            "createdAt": moment,
            "registryId": ACCOUNT,
            "repositoryArn": arn(name),
            "repositoryName": name,
            "repositoryUri": f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/{name}",
        }
        for name, moment in sorted(made.items())
    ]
    assert lacks(send(aws, "DescribeRepositories", {}).json, {"repositories": published}) == []


def test_reference_get_authorization_token(aws: Driver) -> None:
    """Twelve hours later, with milliseconds, and an endpoint with its scheme."""
    aws.now = 1448835579809000
    (entry,) = send(aws, "GetAuthorizationToken", {}, "us-east-1").json["authorizationData"]
    token = entry.pop("authorizationToken")
    assert entry == {
        "expiresAt": 1448878779.809,
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com",
    }
    # What "AWS:" looks like in base64, as far as whole bytes go.
    assert token.startswith("QVdTO")
    assert "".join(token.split()) == token


@dataclass(frozen=True)
class Unbuilt:
    """A published call of an operation that is not built yet."""

    operation: str
    request: dict[str, Any] = field(default_factory=dict)


SAMPLE = {"repositoryName": "project-a/amazon-ecs-sample"}


@pytest.mark.parametrize(
    "sample",
    [
        Unbuilt("DeleteLifecyclePolicy", SAMPLE),
        Unbuilt("GetLifecyclePolicy", SAMPLE),
        Unbuilt("GetLifecyclePolicyPreview", SAMPLE),
        Unbuilt("PutLifecyclePolicy", SAMPLE | {"lifecyclePolicyText": LIFECYCLE_POLICY}),
        Unbuilt("StartLifecyclePolicyPreview", SAMPLE | {"lifecyclePolicyText": LIFECYCLE_POLICY}),
    ],
    ids=lambda sample: sample.operation,
)
def test_reference_calls_that_are_not_built(aws: Driver, sample: Unbuilt) -> None:
    """They are understood, and refused by name."""
    answer = aws.call(sample.operation, **sample.request)
    assert (answer.status, answer.code) == (501, "NotImplementedException")
    assert sample.operation in answer.message


def test_reference_calls_for_repository_policies(aws: Driver) -> None:
    """All three answer with the policy in ECR's own layout, in as many bytes as the reference says."""
    aws.create("ubuntu")
    request = {"policyText": SENT_POLICY, "repositoryName": "ubuntu"}
    for answer in (
        send(aws, "SetRepositoryPolicy", request),
        send(aws, "GetRepositoryPolicy", {"repositoryName": "ubuntu"}),
        send(aws, "DeleteRepositoryPolicy", {"repositoryName": "ubuntu"}),
    ):
        expected = {"policyText": ANSWERED_POLICY, "registryId": ACCOUNT, "repositoryName": "ubuntu"}
        assert (answer.json, answer.headers["content-length"]) == (expected, "301")


def test_reference_request_with_a_misprint(aws: Driver) -> None:
    """The published request of DeleteLifecyclePolicy has a comma too many, which is no JSON."""
    body = b'{"repositoryName": "project-a/amazon-ecs-sample",}'
    assert aws.send(aws.sign("DeleteLifecyclePolicy", body)).code == "SerializationException"


# --- The Python client's documentation of 2017 and 2021 ------------------------------------------------------


def test_client_batch_delete_image(aws: Driver) -> None:
    """A tag goes, and with it the image."""
    aws.create("ubuntu")
    aws.place_image("ubuntu", PRECISE, "precise")
    answer = send(aws, "BatchDeleteImage", {"imageIds": [{"imageTag": "precise"}], "repositoryName": "ubuntu"})
    assert answer.json == {"failures": [], "imageIds": [{"imageDigest": PRECISE, "imageTag": "precise"}]}


def test_client_batch_get_image(aws: Driver) -> None:
    """A manifest of schema 1, which has no media type of its own, as it was pushed."""
    aws.create("ubuntu")
    layer = aws.upload("ubuntu", b"a layer of long ago")
    beginning = '{\n "schemaVersion": 1,\n "name": "ubuntu",\n "tag": "precise",\n'
    manifest = f'{beginning} "fsLayers": [{{"blobSum": "{layer}"}}]\n}}'
    send(aws, "PutImage", {"repositoryName": "ubuntu", "imageManifest": manifest})
    answer = send(aws, "BatchGetImage", {"imageIds": [{"imageTag": "precise"}], "repositoryName": "ubuntu"})
    image = {
        "imageId": {"imageDigest": digest_of(manifest), "imageTag": "precise"},
        "imageManifest": manifest,
        "registryId": ACCOUNT,
        "repositoryName": "ubuntu",
    }
    assert lacks(answer.json, {"failures": [], "images": [image]}) == []


def test_client_create_repository(aws: Driver) -> None:
    """A name with a namespace."""
    answer = send(aws, "CreateRepository", {"repositoryName": "project-a/nginx-web-app"})
    repository = {
        "registryId": ACCOUNT,
        "repositoryArn": arn("project-a/nginx-web-app"),
        "repositoryName": "project-a/nginx-web-app",
    }
    assert lacks(answer.json, {"repository": repository}) == []


def test_client_delete_repository(aws: Driver) -> None:
    """A repository that holds images, by force."""
    aws.create("ubuntu")
    aws.place_image("ubuntu", PRECISE, "precise")
    answer = send(aws, "DeleteRepository", {"force": True, "repositoryName": "ubuntu"})
    repository = {"registryId": ACCOUNT, "repositoryArn": arn("ubuntu"), "repositoryName": "ubuntu"}
    assert lacks(answer.json, {"repository": repository}) == []


def test_client_describe_repositories(aws: Driver) -> None:
    """No parameters: all of them."""
    aws.create("ubuntu", "test")
    published = [
        {"registryId": ACCOUNT, "repositoryArn": arn(name), "repositoryName": name}
        for name in ("test", "ubuntu")
    ]
    assert lacks(send(aws, "DescribeRepositories", {}).json, {"repositories": published}) == []


def test_client_get_authorization_token(aws: Driver) -> None:
    """No parameters: the default registry."""
    (entry,) = send(aws, "GetAuthorizationToken", {}).json["authorizationData"]
    assert entry["proxyEndpoint"] == f"https://{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
    assert entry.keys() == {"authorizationToken", "expiresAt", "proxyEndpoint"}


def test_client_list_images(aws: Driver) -> None:
    """One tagged image."""
    aws.create("ubuntu")
    aws.place_image("ubuntu", PRECISE, "precise")
    answer = send(aws, "ListImages", {"repositoryName": "ubuntu"})
    assert answer.json == {"imageIds": [{"imageDigest": PRECISE, "imageTag": "precise"}]}
