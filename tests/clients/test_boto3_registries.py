"""boto3 and curl: several accounts and regions in one server, presigned calls and download URLs."""

import base64
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.boto import Boto
from tests.clients.command import CommandFailed, Ran, run
from tests.clients.images import LAYER
from tests.clients.pushing import push_image, push_layer
from tests.serving import ACCOUNT, REGION

pytestmark = pytest.mark.clients

OTHER_ACCOUNT = "210987654321"
OTHER_REGION = "eu-west-1"
CONTENT = b"moored at every byte of this layer"


def curl(*argv: str | Path) -> Ran:
    """curl, without the tester's settings and proxies; answers of 400 and above fail."""
    return run(["curl", "--disable", "--silent", "--show-error", "--fail-with-body", *argv], {})


# --- Accounts and regions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("account", "region"), [(OTHER_ACCOUNT, REGION), (ACCOUNT, OTHER_REGION)])
def test_registries_of_one_server_know_nothing_of_each_other(
    python: Boto, ecr: Any, account: str, region: str
) -> None:
    """The same name is free in another account, and in another region of the same account."""
    other = python.client(account=account, region=region)
    name = f"registries/{account}/{region}"
    digests = []
    for client in (ecr, other):
        client.create_repository(repositoryName=name)
        digests.append(push_image(client, name, "v1"))
    (image,) = other.describe_images(repositoryName=name)["imageDetails"]
    assert [image["imageDigest"]] == digests[1:]
    assert image["registryId"] == account


def test_a_repository_uri_names_account_and_region_when_the_registry_is_not_the_default(python: Boto) -> None:
    """By the host name, the server knows which registry docker means."""
    other = python.client(account=OTHER_ACCOUNT, region=OTHER_REGION)
    made = other.create_repository(repositoryName="registries/named")["repository"]
    port = python.served.address.rsplit(":", 1)[1]
    host = f"{OTHER_ACCOUNT}.dkr.ecr.{OTHER_REGION}.localhost:{port}"
    assert made["repositoryUri"] == f"{host}/registries/named"
    assert made["repositoryArn"] == f"arn:aws:ecr:{OTHER_REGION}:{OTHER_ACCOUNT}:repository/registries/named"


def test_the_host_name_chooses_the_registry_that_tags_are_listed_of(python: Boto) -> None:
    """The same path leads to two registries by two names; curl resolves the second one by itself."""
    other = python.client(account=OTHER_ACCOUNT, region=OTHER_REGION)
    other.create_repository(repositoryName="registries/by-host")
    push_image(other, "registries/by-host", "far")
    (data,) = other.get_authorization_token()["authorizationData"]
    host = data["proxyEndpoint"].removeprefix("http://")
    answer = curl(
        *("--resolve", f"{host}:127.0.0.1"),
        *("--user", base64.b64decode(data["authorizationToken"]).decode()),
        f"http://{host}/v2/registries/by-host/tags/list",
    )
    assert answer.json == {"name": "registries/by-host", "tags": ["far"]}


def test_another_account_is_refused_until_a_policy_lets_it_in(
    python: Boto, ecr: Any, boto_repository: str
) -> None:
    """``registryId`` alone opens nothing, and the refusal says who asked for what."""
    other = python.client(account=OTHER_ACCOUNT)
    with pytest.raises(ClientError, match=f"{OTHER_ACCOUNT}:root is not authorized") as refused:
        other.describe_images(registryId=ACCOUNT, repositoryName=boto_repository)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


# --- Presigned calls -----------------------------------------------------------------------------------------


def presigned(ecr: Any, method: str, repository: str, *argv: str) -> Ran:
    """Presign a description of one repository and have curl call it, with the headers that were signed."""
    url = ecr.generate_presigned_url(
        "describe_repositories", Params={"repositoryNames": [repository]}, ExpiresIn=60, HttpMethod=method
    )
    target = f"{ecr.meta.service_model.metadata['targetPrefix']}.DescribeRepositories"
    headers = ("--header", f"X-Amz-Target: {target}", "--header", "Content-Type: application/x-amz-json-1.1")
    return curl("--request", method, *headers, *argv, url)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_curl_calls_what_boto3_presigned(ecr: Any, boto_repository: str, method: str) -> None:
    """The input travels in the query; whoever holds the URL needs no key."""
    (found,) = presigned(ecr, method, boto_repository).json["repositories"]
    assert found["repositoryName"] == boto_repository


def test_a_presigned_call_is_refused_when_its_input_was_changed(ecr: Any, boto_repository: str) -> None:
    """The signature covers the input."""
    with pytest.raises(CommandFailed, match="signature"):
        presigned(ecr, "POST", boto_repository, "--url-query", "maxResults=1")


# --- Download URLs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(python: Boto) -> str:
    """The download URL of a layer of CONTENT."""
    ecr = python.client()
    ecr.create_repository(repositoryName="registries/download")
    digest = push_layer(ecr, "registries/download", CONTENT)
    layer = {"mediaType": LAYER, "digest": digest, "size": len(CONTENT)}
    push_image(ecr, "registries/download", "v1", layers=[layer])
    answer = ecr.get_download_url_for_layer(repositoryName="registries/download", layerDigest=digest)
    return str(answer["downloadUrl"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("0-5", CONTENT[:6]), ("7-8", CONTENT[7:9]), ("30-", CONTENT[30:]), ("-5", CONTENT[-5:])],
)
def test_curl_downloads_the_range_it_asks_for(url: str, wanted: str, expected: bytes) -> None:
    """From the start, from the middle, to the end, and the last bytes."""
    assert curl("--range", wanted, url).out.encode() == expected


def test_curl_resumes_a_download_that_was_cut(url: str, tmp_path: Path) -> None:
    """What is on the disk already is not fetched again."""
    file = tmp_path / "layer"
    file.write_bytes(CONTENT[:11])
    curl("--continue-at", "-", "--output", file, url)
    assert file.read_bytes() == CONTENT


def test_a_download_url_opens_no_other_layer(url: str) -> None:
    """The token in it is for one digest."""
    digest = url.partition("/downloads/")[2].partition("?")[0]
    with pytest.raises(CommandFailed, match="not valid"):
        curl(url.replace(digest, "sha256:" + "0" * 64))
