"""Every operation against every kind of caller that must not get through; a new operation cannot be forgotten."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from moorage.ecr.contract import OPERATIONS as CONTRACT
from moorage.ecr.contract import SHAPES, TARGET_PREFIX
from moorage.ecr.operations import OPERATIONS
from moorage.metadata.queries import Statement
from moorage.metadata.tables import access_key, account
from moorage.metadata.transaction import Transaction
from tests.ecr.driver import ACCOUNT, KEY, OTHER_KEY, REGION, Answer, Driver, Sent, digest_of
from tests.support.database import all_rows

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
UPLOAD = "00000000-0000-4000-8000-000000000000"
MANIFEST = json.dumps({"schemaVersion": 1, "name": "app", "fsLayers": []})

POLICY = '{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:ListImages","Resource":"*"}}'

#: An input of each operation that would succeed, or fail for what is missing, with the right caller.
INPUTS: dict[str, dict[str, Any]] = {
    "BatchCheckLayerAvailability": {"repositoryName": "app", "layerDigests": [digest_of("x")]},
    "BatchDeleteImage": {"repositoryName": "app", "imageIds": [{"imageTag": "v1"}]},
    "BatchGetImage": {"repositoryName": "app", "imageIds": [{"imageTag": "v1"}]},
    "CompleteLayerUpload": {"repositoryName": "app", "uploadId": UPLOAD, "layerDigests": [digest_of("x")]},
    "CreateRepository": {"repositoryName": "new"},
    "DeleteRepository": {"repositoryName": "app", "force": True},
    "DeleteRegistryPolicy": {},
    "DeleteRepositoryPolicy": {"repositoryName": "app"},
    "DescribeImages": {"repositoryName": "app"},
    "DescribeRegistry": {},
    "DescribeRepositories": {},
    "GetAccountSetting": {"name": "BLOB_MOUNTING"},
    "GetAuthorizationToken": {},
    "GetDownloadUrlForLayer": {"repositoryName": "app", "layerDigest": digest_of("layer of one")},
    "GetRegistryPolicy": {},
    "GetRepositoryPolicy": {"repositoryName": "app"},
    "InitiateLayerUpload": {"repositoryName": "app"},
    "ListImageReferrers": {"repositoryName": "app", "subjectId": {"imageDigest": digest_of("x")}},
    "ListImages": {"repositoryName": "app"},
    "ListTagsForResource": {"resourceArn": ARN},
    "PutAccountSetting": {"name": "BLOB_MOUNTING", "value": "DISABLED"},
    "PutImage": {"repositoryName": "app", "imageManifest": MANIFEST, "imageTag": "v2"},
    "PutImageTagMutability": {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"},
    "PutRegistryPolicy": {"policyText": POLICY},
    "SetRepositoryPolicy": {"repositoryName": "app", "policyText": POLICY},
    "TagResource": {"resourceArn": ARN, "tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"resourceArn": ARN, "tagKeys": ["team"]},
    "UploadLayerPart": {
        "repositoryName": "app",
        "uploadId": UPLOAD,
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": "eA==",
    },
}

#: Operations that have no way to name another account's registry.
OWN_REGISTRY = {
    "DeleteRegistryPolicy",
    "DescribeRegistry",
    "GetAccountSetting",
    "GetAuthorizationToken",
    "GetRegistryPolicy",
    "PutAccountSetting",
    "PutRegistryPolicy",
}


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with an image in ``app``."""
    driver.ok("CreateRepository", repositoryName="app", tags=[{"Key": "team", "Value": "a"}])
    driver.push("app", "one", "v1")
    return driver


def body_of(operation: str) -> bytes:
    """The operation's input as bytes."""
    return json.dumps(INPUTS[operation]).encode()


def _switch_off_key(tx: Transaction) -> None:
    tx.run(Statement(update(access_key).where(access_key.c.id == KEY.access_key_id).values(is_active=0)))


def _switch_off_account(tx: Transaction) -> None:
    tx.run(Statement(update(account).where(account.c.id == ACCOUNT).values(is_active=0)))


def test_every_operation_is_in_these_tests() -> None:
    """What is built is tried with the wrong callers too."""
    assert INPUTS.keys() == OPERATIONS.keys()
    for name in OPERATIONS.keys() - OWN_REGISTRY:
        assert {"registryId", "resourceArn"} & SHAPES[CONTRACT[name].input].members.keys()


@pytest.mark.parametrize("operation", INPUTS)
def test_nobody_gets_in_without_credentials(app: Driver, operation: str) -> None:
    """No signature, no answer, no trace."""
    before = all_rows(app.database)
    target = f"{TARGET_PREFIX}.{operation}".encode()
    answer = app.send(Sent(headers=[(b"x-amz-target", target)], body=body_of(operation)))
    assert answer.code == "MissingAuthenticationTokenException"
    assert all_rows(app.database) == before


@pytest.mark.parametrize("operation", sorted(INPUTS.keys() - OWN_REGISTRY))
def test_nobody_gets_into_another_account(app: Driver, operation: str) -> None:
    """Without a policy the registry of another account is closed, and nothing in it changes."""
    before = all_rows(app.database)
    given = INPUTS[operation]
    named = {} if "resourceArn" in given else {"registryId": ACCOUNT}
    answer: Answer = app.call(operation, key=OTHER_KEY, **given, **named)
    assert (answer.status, answer.code) == (400, "AccessDeniedException")
    assert "arn:aws:iam::999999999999:root is not authorized to perform: ecr:" in answer.message
    assert all_rows(app.database) == before


@pytest.mark.threat(9)
@pytest.mark.parametrize("operation", INPUTS)
def test_a_key_that_is_switched_off_opens_nothing(app: Driver, operation: str) -> None:
    """From the moment it is switched off, whatever it is used for."""
    app.database.write_now(_switch_off_key)
    before = all_rows(app.database)
    answer = app.send(app.sign(operation, body_of(operation)))
    assert answer.code == "UnrecognizedClientException"
    assert all_rows(app.database) == before


@pytest.mark.threat(9)
@pytest.mark.parametrize("operation", INPUTS)
def test_an_account_that_is_switched_off_has_no_keys(app: Driver, operation: str) -> None:
    """The account closes all of its keys."""
    app.database.write_now(_switch_off_account)
    answer = app.send(app.sign(operation, body_of(operation)))
    assert (answer.code, "switched off" in answer.message) == ("UnrecognizedClientException", True)
