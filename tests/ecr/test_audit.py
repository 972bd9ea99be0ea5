"""What is recorded of calls of the JSON API, of STS and of download URLs."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from moorage.domain.audit import HIDDEN, only_reads
from moorage.ecr.dispatch import OPERATIONS
from tests.ecr.driver import ACCOUNT, KEY, OTHER_ACCOUNT, OTHER_KEY, REGION, Driver, Key, Sent, digest_of
from tests.support.auditing import Trail, committed

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
DATA = b"the bytes of a layer"


def audited(driver: Driver, sent: Sent) -> list[dict[str, Any]]:
    """Everything that is recorded of one request, in the database first."""
    before = len(committed(driver.database))
    request = driver._request(sent)
    response = driver.run(driver.api.handle(request))
    return committed(driver.database)[before:] + Trail().see(request, response, "json")


def called(driver: Driver, operation: str, /, **given: Any) -> dict[str, Any]:
    """The one record of a call."""
    (record,) = audited(driver, driver.sign(operation, json.dumps(given).encode()))
    return record


def _uploading(driver: Driver) -> str:
    return str(driver.ok("InitiateLayerUpload", repositoryName="team/app")["uploadId"])


def _part(driver: Driver) -> dict[str, Any]:
    return {
        "repositoryName": "team/app",
        "uploadId": _uploading(driver),
        "partFirstByte": 0,
        "partLastByte": len(DATA) - 1,
        "layerPartBlob": b64encode(DATA).decode(),
    }


def _complete(driver: Driver) -> dict[str, Any]:
    part = _part(driver)
    driver.ok("UploadLayerPart", **part)
    return {
        "repositoryName": "team/app",
        "uploadId": part["uploadId"],
        "layerDigests": [digest_of(DATA.decode())],
    }


POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
    }
)
REGISTRY_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Replicate",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "ecr:CreateRepository",
                "Resource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*",
            }
        ],
    }
)


def _with_policy(driver: Driver) -> dict[str, Any]:
    driver.ok("SetRepositoryPolicy", repositoryName="team/app", policyText=POLICY)
    return {"repositoryName": "team/app"}


def _with_registry_policy(driver: Driver) -> dict[str, Any]:
    driver.ok("PutRegistryPolicy", policyText=REGISTRY_POLICY)
    return {}


#: The input of each operation that changes something, made after what it needs.
CHANGES: dict[str, Callable[[Driver], dict[str, Any]]] = {
    "CreateRepository": lambda _driver: {"repositoryName": "team/other"},
    "DeleteRepository": lambda _driver: {"repositoryName": "team/app"},
    "PutImageTagMutability": lambda _driver: {"repositoryName": "team/app", "imageTagMutability": "IMMUTABLE"},
    "PutImage": lambda driver: {"repositoryName": "team/app", "imageManifest": driver.image("team/app", "a")},
    "BatchDeleteImage": lambda driver: {
        "repositoryName": "team/app",
        "imageIds": [{"imageDigest": driver.push("team/app", "a", "1")}],
    },
    "InitiateLayerUpload": lambda _driver: {"repositoryName": "team/app"},
    "UploadLayerPart": _part,
    "CompleteLayerUpload": _complete,
    "PutAccountSetting": lambda _driver: {"name": "BLOB_MOUNTING", "value": "DISABLED"},
    "TagResource": lambda _driver: {"resourceArn": ARN, "tags": [{"Key": "team", "Value": "a"}]},
    "SetRepositoryPolicy": lambda _driver: {"repositoryName": "team/app", "policyText": POLICY},
    "DeleteRepositoryPolicy": _with_policy,
    "PutRegistryPolicy": lambda _driver: {"policyText": REGISTRY_POLICY},
    "DeleteRegistryPolicy": _with_registry_policy,
    "UntagResource": lambda _driver: {"resourceArn": ARN, "tagKeys": ["team"]},
}


#: What changes the registry itself, or makes another repository.
OF_NO_REPOSITORY = {"CreateRepository", "PutAccountSetting", "PutRegistryPolicy", "DeleteRegistryPolicy"}


def test_each_operation_that_changes_something_is_tried_here() -> None:
    """A new one needs a line above: it is to use ``Call.change``."""
    assert set(CHANGES) == {name for name in OPERATIONS if not only_reads(name)}


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_has_one_record_in_its_own_transaction(driver: Driver, operation: str) -> None:
    """With what was asked and what was answered, but for the bytes of layers."""
    driver.create("team/app")
    given = CHANGES[operation](driver)
    before = len(committed(driver.database))
    request = driver._request(driver.sign(operation, json.dumps(given).encode()))
    response = driver.run(driver.api.handle(request))
    assert isinstance(response.body, bytes)
    assert response.status == 200, response.body
    (record,) = committed(driver.database)[before:]
    assert Trail().see(request, response, "json") == []
    assert record["eventName"] == operation
    assert record["readOnly"] is False
    assert record["requestParameters"] == {name: given[name] for name in given if name != "layerPartBlob"}
    assert record["responseElements"] == json.loads(response.body)
    assert record["requestID"] == request.facts.request_id
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"


@pytest.mark.parametrize("operation", sorted(set(CHANGES) - OF_NO_REPOSITORY))
def test_a_change_names_its_repository(driver: Driver, operation: str) -> None:
    """By its ARN, also where the call itself has one."""
    driver.create("team/app")
    record = called(driver, operation, **CHANGES[operation](driver))
    assert record["resources"] == [{"ARN": ARN, "accountId": ACCOUNT}]


def test_a_refused_change_is_recorded_as_that(driver: Driver) -> None:
    """With the error's code and sentence, and no answer."""
    driver.create("team/app")
    record = called(driver, "CreateRepository", repositoryName="team/app")
    assert record["errorCode"] == "RepositoryAlreadyExistsException"
    assert "already exists" in record["errorMessage"]
    assert record["responseElements"] is None


def test_a_layer_that_was_there_is_recorded_as_the_refusal_that_it_is(driver: Driver) -> None:
    """Although the upload ends by it."""
    driver.create("team/app")
    driver.upload("team/app", DATA)
    (record,) = audited(driver, driver.sign("CompleteLayerUpload", json.dumps(_complete(driver)).encode()))
    assert record["errorCode"] == "LayerAlreadyExistsException"


def test_a_call_into_anothers_account_is_recorded_in_that_account(driver: Driver) -> None:
    """The one who owns the repository wants to know."""
    driver.create("team/app")
    given = {"repositoryName": "team/app", "registryId": ACCOUNT, "imageIds": [{"imageTag": "1"}]}
    (record,) = audited(driver, driver.sign("BatchGetImage", json.dumps(given).encode(), key=OTHER_KEY))
    assert record["errorCode"] == "AccessDeniedException"
    assert record["recipientAccountId"] == ACCOUNT
    assert record["userIdentity"]["accessKeyId"] == OTHER_KEY.access_key_id


def test_a_download_is_recorded_as_that_of_whoever_got_the_url(driver: Driver) -> None:
    """Whoever owns the registry."""
    driver.create("team/app")
    driver.push("team/app", "a", "1")
    opened = {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [opened]})
    driver.ok("SetRepositoryPolicy", repositoryName="team/app", policyText=policy)
    given = {"registryId": ACCOUNT, "repositoryName": "team/app", "layerDigest": digest_of(b"layer of a")}
    url = driver.ok("GetDownloadUrlForLayer", key=OTHER_KEY, **given)["downloadUrl"]
    (record,) = audited(driver, Sent("GET", url[url.index("/downloads/") :]))
    assert record["userIdentity"]["accountId"] == OTHER_ACCOUNT
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{OTHER_ACCOUNT}:root"
    assert record["recipientAccountId"] == ACCOUNT
    assert "errorCode" not in record


def test_a_wrong_signature_is_nobodys_but_claims_a_key(driver: Driver) -> None:
    """The body is not looked at."""
    wrong = Key(KEY.access_key_id, "x" * 40)
    (record,) = audited(driver, driver.sign("DescribeRepositories", b'{"maxResults":1}', key=wrong))
    assert record["errorCode"] == "InvalidSignatureException"
    assert record["eventName"] == "DescribeRepositories"
    assert record["userIdentity"] == {
        "type": "Unknown",
        "principalId": "",
        "accessKeyId": KEY.access_key_id,
    }
    assert record["requestParameters"] is None


def test_a_request_without_credentials_is_recorded(driver: Driver) -> None:
    """It claims no key."""
    sent = driver.sign("DescribeRepositories").without_header(b"authorization")
    (record,) = audited(driver, sent)
    assert record["errorCode"] == "MissingAuthenticationTokenException"
    assert record["userIdentity"] == {"type": "Unknown", "principalId": ""}


def test_an_operation_that_is_not_known_is_recorded_as_that(driver: Driver) -> None:
    """Its name is whatever a client sent, and stays out."""
    (record,) = audited(driver, driver.sign("Frobnicate"))
    assert record["eventName"] == "UnknownOperation"
    assert record["errorCode"] == "UnknownOperationException"


def test_who_asked_sts_is_recorded_as_a_call_of_sts(driver: Driver) -> None:
    """Under that service's name."""
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    (record,) = audited(driver, driver.sign(None, body, service="sts", headers=headers))
    assert (record["eventSource"], record["eventName"]) == ("sts.amazonaws.com", "GetCallerIdentity")
    assert record["readOnly"]


def test_no_secret_gets_into_any_record(driver: Driver) -> None:
    """Signatures, session tokens, registry tokens, page tokens, download tokens, keys, bytes of layers."""
    driver.create("team/app", "team/b", "team/c")
    records, secrets = [], {KEY.secret, b64encode(DATA).decode()}

    def note(sent: Sent) -> Any:
        records.extend(audited(driver, sent))
        secrets.update(value.decode() for name, value in sent.headers if name == b"authorization")
        query = parse_qs(urlsplit(sent.target).query)
        secrets.update(query.get("X-Amz-Signature", []) + query.get("token", []))
        return driver.send(sent)

    token = note(driver.sign("GetAuthorizationToken")).json["authorizationData"][0]["authorizationToken"]
    page = note(driver.sign("DescribeRepositories", b'{"maxResults":1}')).json["nextToken"]
    secrets.update({token, page})
    asked = json.dumps({"maxResults": 1, "nextToken": page}).encode()
    note(driver.sign("DescribeRepositories", asked))
    assert records[-1]["requestParameters"]["nextToken"] == HIDDEN
    note(driver.sign("UploadLayerPart", json.dumps(_part(driver)).encode()))
    note(driver.presign("DescribeRegistry"))
    note(driver.sign("DescribeRegistry", headers={"X-Amz-Security-Token": "the-session-token"}))
    note(driver.sign("DescribeRegistry", key=Key("THESECRETINTHEWRONGPLACE/+abc", "x")))
    digest = driver.push("team/app", "a", "1")
    layer = driver.ok("BatchGetImage", repositoryName="team/app", imageIds=[{"imageDigest": digest}])
    wanted = json.loads(layer["images"][0]["imageManifest"])["layers"][0]["digest"]
    asked = json.dumps({"repositoryName": "team/app", "layerDigest": wanted}).encode()
    url = urlsplit(note(driver.sign("GetDownloadUrlForLayer", asked)).json["downloadUrl"])
    note(Sent("GET", f"{url.path}?{url.query}"))
    assert records[-1]["eventName"] == "DownloadLayer"
    assert records[-1]["requestParameters"]["layerDigest"] == wanted
    note(Sent("GET", f"{url.path}?{url.query}x"))
    assert records[-1]["userIdentity"]["type"] == "Unknown"
    written = json.dumps(records)
    assert len(records) >= 10
    assert [secret for secret in {*secrets, "the-session-token", "THESECRET"} if secret in written] == []
