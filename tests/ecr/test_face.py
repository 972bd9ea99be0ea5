"""How calls arrive: HTTP, signatures, operations and dialects."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain.caller import RequestFacts
from moorage.ecr.contract import OPERATIONS as CONTRACT
from moorage.ecr.contract import TARGET_PREFIX
from moorage.ecr.operations import OPERATIONS
from moorage.web.http import Request
from tests.ecr.driver import (
    ACCOUNT,
    KEY,
    MINUTE,
    OTHER_KEY,
    REGION,
    SECOND,
    Answer,
    Driver,
    Key,
    Sent,
    check_answer,
    digest_of,
)
from tests.support.database import execute
from tests.unit.ecr import contract_inputs

UNBUILT = sorted(set(CONTRACT) - set(OPERATIONS))


def told(answer: Answer) -> tuple[int, str]:
    """Status and code of an error."""
    return answer.status, answer.code


# --- Paths and methods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 405),
        ("HEAD", "/", 405),
        ("PUT", "/", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/favicon.ico", 404),
        ("POST", "/index.php", 404),
        ("GET", "//", 404),
    ],
)
def test_other_paths_and_methods_are_told_where_to_go(
    driver: Driver, method: str, target: str, status: int
) -> None:
    """Whoever comes with a browser learns what this is."""
    answer = driver.send(Sent(method, target))
    assert answer.status == status
    assert "Moorage" in answer.message
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert answer.operation == ""


# --- Who is asking -------------------------------------------------------------------------------------------


def test_a_call_without_credentials(driver: Driver) -> None:
    """Nothing is told but that credentials are missing, whatever is asked for."""
    for target in (f"{TARGET_PREFIX}.DescribeRepositories", f"{TARGET_PREFIX}.NoSuch", "Else.What"):
        answer = driver.send(Sent(headers=[(b"x-amz-target", target.encode())], body=b"junk"))
        assert told(answer) == (400, "MissingAuthenticationTokenException")
        assert answer.message == "Missing Authentication Token"


def test_a_call_with_an_unknown_key(driver: Driver) -> None:
    """A key that does not exist, whatever the body holds."""
    for body in (b"{}", b"junk"):
        answer = driver.send(driver.sign("DescribeRepositories", body, key=Key("AKIDNOBODY", "secret")))
        assert told(answer) == (400, "UnrecognizedClientException")


def test_a_call_with_a_wrong_secret(driver: Driver) -> None:
    """The signature is not the one that the secret makes."""
    answer = driver.send(driver.sign("DescribeRepositories", key=replace(KEY, secret="wrong")))
    assert told(answer) == (400, "InvalidSignatureException")
    assert answer.operation == "DescribeRepositories"


def test_a_body_that_was_changed(driver: Driver) -> None:
    """The body is part of what is signed."""
    sent = replace(driver.sign("DescribeRepositories"), body=b'{"maxResults":1}')
    assert told(driver.send(sent)) == (400, "InvalidSignatureException")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off(driver: Driver, minutes: int) -> None:
    """A quarter of an hour either way is too much; the text helps to see it."""
    sent = driver.sign("DescribeRepositories")
    driver.now += minutes * MINUTE
    answer = driver.send(sent)
    assert told(answer) == (400, "InvalidSignatureException")
    assert "15 min." in answer.message


def test_another_target_than_the_signed_one(driver: Driver) -> None:
    """The operation is signed: it can be neither changed nor doubled nor left out of the signature."""
    sent = driver.sign("DescribeRepositories")
    target = (b"x-amz-target", f"{TARGET_PREFIX}.DescribeRegistry".encode())
    changed = replace(sent, headers=[target if pair[0] == target[0] else pair for pair in sent.headers])
    doubled = replace(sent, headers=[*sent.headers, target])
    without = driver.sign(None, target="/")
    unsigned = replace(without, headers=[*without.headers, target])
    assert driver.send(changed).code == "InvalidSignatureException"
    assert driver.send(doubled).code == "IncompleteSignatureException"
    assert driver.send(unsigned).code == "IncompleteSignatureException"


def test_credentials_in_header_and_query(driver: Driver) -> None:
    """Two sets of credentials are one too many."""
    presigned = driver.presign("DescribeRepositories")
    headers = [*presigned.headers, *(p for p in driver.sign(None).headers if p[0] == b"authorization")]
    assert told(driver.send(replace(presigned, headers=headers))) == (400, "IncompleteSignature")


def test_a_signature_for_sts_opens_nothing_here(driver: Driver) -> None:
    """The scope of a signature says what it is for."""
    answer = driver.send(driver.sign("DescribeRepositories", service="sts"))
    assert told(answer) == (400, "IncompleteSignatureException")


def test_another_account_sees_its_own_registry(driver: Driver) -> None:
    """Without registryId the registry is the caller's."""
    driver.create("app")
    assert driver.call("DescribeRepositories", key=OTHER_KEY).json == {"repositories": []}
    denied = driver.call("DescribeRepositories", key=OTHER_KEY, registryId=ACCOUNT)
    assert denied.json == {
        "__type": "AccessDeniedException",
        "message": "User: arn:aws:iam::999999999999:root is not authorized to perform: "
        "ecr:DescribeRepositories on resource: arn:aws:ecr:us-west-2:012345678910:repository/* because no resource-based policy allows the "
        "ecr:DescribeRepositories action",
    }


# --- Which operation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [f"{TARGET_PREFIX}.NoSuch", "Some_V1.DescribeRepositories", "x.y"])
def test_an_unknown_operation(driver: Driver, target: str) -> None:
    """An operation that does not exist is told to who has proven who it is."""
    answer = driver.send(driver.sign(target))
    assert told(answer) == (400, "UnknownOperationException")
    assert answer.operation == ""


def test_no_operation(driver: Driver) -> None:
    """A signed call that names none."""
    answer = driver.send(driver.sign(None))
    assert told(answer) == (400, "UnknownOperationException")
    assert "names no operation" in answer.message


@pytest.mark.parametrize(
    ("target", "service"),
    [
        ("SpencerFrontendService.DescribeRepositories", "ecr-public"),
        ("AWSOrganizationsV20161128.X", "organizations"),
    ],
)
def test_a_service_that_is_not_served(driver: Driver, target: str, service: str) -> None:
    """The error names the service that was meant."""
    answer = driver.send(driver.sign(target, service=service))
    assert told(answer) == (400, "UnknownOperationException")
    assert f"does not serve '{service}'" in answer.message


def test_a_target_of_another_service_under_our_scope(driver: Driver) -> None:
    """ecr-public is told apart by its target too."""
    answer = driver.send(driver.sign("SpencerFrontendService.DescribeRepositories"))
    assert "does not serve 'ecr-public'" in answer.message


@pytest.mark.parametrize("operation", UNBUILT)
@settings(max_examples=3, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_an_operation_that_is_not_built_says_so(driver: Driver, operation: str, data: st.DataObject) -> None:
    """Valid input or not: first the caller and the input are checked, then the operation is named."""
    given = data.draw(contract_inputs.values(CONTRACT[operation].input))
    answer = driver.call(operation, **given)
    assert told(answer) == (501, "NotImplementedException")
    assert answer.message == f"Moorage does not do this yet: {operation} is not built. Nothing was changed."
    denied = driver.send(driver.sign(operation, json.dumps(given).encode(), key=replace(KEY, secret="x")))
    assert denied.code == "InvalidSignatureException"


# --- Bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"maxResults":"1"}',
        b'{"maxResults":1,"maxResults":2}',
        b'{"maxResults":NaN}',
        b'{"nextToken":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"[" * 10_000,
        b'{"x":' * 10_000,
    ],
)
def test_a_body_that_cannot_be_read(driver: Driver, body: bytes) -> None:
    """Whatever is not one JSON object of the right types."""
    assert told(driver.send(driver.sign("DescribeRepositories", body))) == (400, "SerializationException")


def test_an_empty_body_and_nulls_are_nothing(driver: Driver) -> None:
    """Nothing, null and unknown members are the same as an empty object."""
    for body in (b"", b"{}", b'{"repositoryNames":null}', b'{"newMember":{"a":[1]}}'):
        assert driver.send(driver.sign("DescribeRepositories", body)).json == {"repositories": []}


@pytest.mark.threat(26)
@pytest.mark.incident(17)
def test_a_body_over_the_limit(driver: Driver) -> None:
    """Eight mebibytes for all operations but UploadLayerPart, announced or not; it is refused unread."""
    body = b" " * (8 * 1024 * 1024 + 1)
    sent = driver.sign("DescribeRepositories", body)
    chunked = driver.sign("DescribeRepositories", body, headers={"Transfer-Encoding": "chunked"})
    for one in (sent, chunked):
        assert told(driver.send(one)) == (400, "InvalidParameterException")
    assert driver.send(driver.sign("DescribeRepositories", b"{}".rjust(8 * 1024 * 1024))).status == 200


def test_answers_are_compact(driver: Driver) -> None:
    """No spaces, so that lengths are those of ECR."""
    assert driver.call("DescribeRepositories").body == b'{"repositories":[]}'


# --- Presigned calls and Action= -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_presigned_call(driver: Driver, method: str) -> None:
    """The input stands in the query, lists by repetition."""
    driver.create("a1", "b2", "c3")
    parameters = [("repositoryNames", "b2"), ("repositoryNames", "a1")]
    answer = driver.send(driver.presign("DescribeRepositories", parameters, method=method))
    check_answer("DescribeRepositories", answer)
    assert [one["repositoryName"] for one in answer.json["repositories"]] == ["b2", "a1"]


def test_a_presigned_call_works_for_its_own_method_only(driver: Driver) -> None:
    """A URL signed for POST is nothing for GET, and the other way round."""
    for signed, used in (("POST", "GET"), ("GET", "POST")):
        sent = driver.presign("DescribeRepositories", method=signed)
        assert told(driver.send(replace(sent, method=used))) == (400, "IncompleteSignature")


@pytest.mark.threat(11)
def test_a_presigned_call_expires(driver: Driver) -> None:
    """After the seconds it was signed for it is over."""
    sent = driver.presign("DescribeRepositories", expires=60)
    driver.now += MINUTE - SECOND
    assert driver.send(sent).status == 200
    driver.now += SECOND
    assert told(driver.send(sent)) == (400, "RequestExpired")


def test_a_presigned_write(driver: Driver) -> None:
    """Structures are read as the literals that botocore writes."""
    parameters = [
        ("repositoryName", "app"),
        ("imageScanningConfiguration", "{'scanOnPush': False}"),
        ("tags", '{"Key": "team", "Value": "a"}'),
    ]
    assert driver.send(driver.presign("CreateRepository", parameters)).status == 200
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
    assert driver.ok("ListTagsForResource", resourceArn=arn)["tags"] == [{"Key": "team", "Value": "a"}]


def test_input_in_query_and_body_is_refused(driver: Driver) -> None:
    """Nobody could tell which one counts."""
    sent = driver.sign("DescribeRepositories", b"{}", target="/?maxResults=1&Action=DescribeRepositories")
    assert told(driver.send(sent)) == (400, "InvalidParameterCombination")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_operation_named_by_action(driver: Driver, method: str) -> None:
    """Action and Version name the operation where there is no target."""
    parameters = [("Action", "DescribeRepositories"), ("Version", "2015-09-21"), ("maxResults", "5")]
    answer = driver.send(driver.presign(None, parameters, method=method))
    assert (answer.status, answer.json) == (200, {"repositories": []})
    assert answer.operation == "DescribeRepositories"


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ([("Action", "NoSuch")], 400, "InvalidAction"),
        ([("Action", "DescribeRepositories"), ("Version", "2010-05-08")], 400, "InvalidAction"),
        ([], 400, "MissingAction"),
        ([("Action", "DescribeRepositories"), ("maxResults", "x")], 400, "InvalidParameterValue"),
        (
            [("Action", "StartImageScan"), ("repositoryName", "app"), ("imageId", "{}")],
            501,
            "NotImplementedException",
        ),
    ],
)
def test_errors_of_query_calls(
    driver: Driver, parameters: list[tuple[str, str]], status: int, code: str
) -> None:
    """Presigned calls have the names and statuses of the API reference."""
    assert told(driver.send(driver.presign(None, parameters))) == (status, code)


def test_authentication_errors_of_query_calls(driver: Driver) -> None:
    """They are 403 there."""
    action = [("Action", "DescribeRepositories"), ("Version", "2015-09-21")]
    unknown = driver.presign(None, action, key=Key("AKIDNOBODY", "secret"))
    assert told(driver.send(unknown)) == (403, "InvalidClientTokenId")
    unsigned = Sent("POST", "/?Action=DescribeRepositories&Version=2015-09-21")
    assert told(driver.send(unsigned)) == (403, "MissingAuthenticationToken")


# --- Trouble -------------------------------------------------------------------------------------------------


def on_error(driver: Driver, sent: Sent) -> Any:
    """The answer to an unforeseen failure of this request."""
    path, _, query = sent.target.partition("?")
    facts = RequestFacts("the-id", "json", "", False, "", 0)
    scope = {
        "method": sent.method,
        "path": path,
        "query_string": query.encode(),
        "headers": sent.headers,
        "scheme": "http",
    }

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body is not read again")

    return driver.api.on_error(Request(scope, receive, facts))


def test_an_unforeseen_failure(driver: Driver) -> None:
    """Inside an operation it is ServerException, before one is known InternalFailure; nothing of it is told."""
    inside = on_error(driver, driver.sign("PutImage"))
    assert (inside.status, inside.operation) == (500, "PutImage")
    assert json.loads(inside.body)["__type"] == "ServerException"
    assert (b"x-amzn-requestid", b"the-id") in inside.headers
    before = on_error(driver, Sent("GET", "/?%zz&x=%ff"))
    assert (before.status, json.loads(before.body)["__type"]) == (500, "InternalFailure")


@pytest.mark.threat(69)
def test_a_database_that_is_gone(driver: Driver) -> None:
    """Trying again later is right: 503."""
    driver.create("app")
    sent = driver.sign("DescribeRepositories")
    execute(driver.database, "ALTER TABLE repository RENAME TO elsewhere")
    answer = driver.send(sent)
    execute(driver.database, "ALTER TABLE elsewhere RENAME TO repository")
    assert told(answer) == (503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "5"


def test_dev_mode_takes_any_credentials(tmp_path: Path) -> None:
    """A key id of twelve digits names the account, nothing the default one; a push makes its repository."""
    driver = Driver(tmp_path, dev=True)
    try:
        named = driver.call("DescribeRegistry", key=Key("111122223333", "x"))
        assert named.json["registryId"] == "111122223333"
        target = f"{TARGET_PREFIX}.InitiateLayerUpload".encode()
        unsigned = driver.send(
            Sent(headers=[(b"x-amz-target", target)], body=b'{"repositoryName":"made/by-push"}')
        )
        assert unsigned.status == 200
        (made,) = driver.ok("DescribeRepositories")["repositories"]
        assert (made["repositoryName"], made["registryId"]) == ("made/by-push", ACCOUNT)
        doubled = Sent(headers=[(b"x-amz-target", target), (b"x-amz-target", target)])
        assert driver.send(doubled).code == "InvalidParameterException"
    finally:
        driver.close()


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_any_valid_input_has_a_foreseen_answer(driver: Driver, data: st.DataObject) -> None:
    """Whatever the contract lets through ends in an answer of the contract, never in a failure."""
    operation = data.draw(st.sampled_from(sorted(OPERATIONS)))
    given = data.draw(contract_inputs.values(CONTRACT[operation].input))
    if data.draw(st.booleans()) and "repositoryName" in given:
        driver.call("CreateRepository", repositoryName="app")
        given["repositoryName"] = "app"
    given.pop("registryId", None)
    assert driver.call(operation, **given).status in {200, 400, 501}


def test_a_push_and_a_pull_with_every_operation_between(driver: Driver) -> None:
    """The calls of a client that uses this API alone, in their order."""
    driver.create("app")
    layer, config = random.Random(1).randbytes(100_000), b"{}"
    asked = driver.ok(
        "BatchCheckLayerAvailability", repositoryName="app", layerDigests=[digest_of(layer), digest_of(config)]
    )
    assert {one["layerAvailability"] for one in asked["layers"]} == {"UNAVAILABLE"}
    driver.upload("app", layer)
    driver.upload("app", config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/x", "digest": digest_of(config), "size": 2},
        "layers": [{"mediaType": "application/y", "digest": digest_of(layer), "size": len(layer)}],
    }
    driver.ok("PutImage", repositoryName="app", imageManifest=json.dumps(manifest), imageTag="v1")
    (image,) = driver.ok("BatchGetImage", repositoryName="app", imageIds=[{"imageTag": "v1"}])["images"]
    assert json.loads(image["imageManifest"]) == manifest
    url = driver.ok("GetDownloadUrlForLayer", repositoryName="app", layerDigest=digest_of(layer))["downloadUrl"]
    assert driver.send(Sent("GET", url.removeprefix("http://localhost:5050"))).body == layer
