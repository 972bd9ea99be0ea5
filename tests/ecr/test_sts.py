"""GetCallerIdentity, and refusals that clients of the query protocol can read."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.parsers import create_parser

from moorage.auth.credentials import AccessKey
from moorage.auth.sealing import MasterKey
from moorage.domain.names import RegistryId
from moorage.services import access_keys, principals
from tests.ecr.driver import ACCOUNT, KEY, OTHER_KEY, Answer, Driver, Key, Sent

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"


def parse(answer: Answer) -> dict[str, object]:
    """The answer as botocore's STS client understands it."""
    session = botocore.session.Session()
    model = session.get_service_model("sts").operation_model("GetCallerIdentity")
    parsed: dict[str, object] = create_parser("query").parse(
        {"status_code": answer.status, "headers": answer.headers, "body": answer.body}, model.output_shape
    )
    return parsed


def told(answer: Answer) -> tuple[int, str]:
    """Status and code of an error, as botocore reads them."""
    assert answer.headers["content-type"] == "text/xml"
    error = parse(answer)["Error"]
    assert isinstance(error, dict)
    assert answer.error_code == error["Code"]
    return answer.status, error["Code"]


def test_caller_identity(driver: Driver) -> None:
    """Account, user id and ARN of an account's root."""
    answer = driver.send(driver.sign(None, IDENTITY, service="sts", headers=FORM))
    parsed = parse(answer)
    assert answer.operation == "GetCallerIdentity"
    assert (parsed["Account"], parsed["UserId"]) == (ACCOUNT, ACCOUNT)
    assert parsed["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert ET.fromstring(answer.body).tag == (
        "{https://sts.amazonaws.com/doc/2011-06-15/}GetCallerIdentityResponse"
    )


def test_caller_identity_of_another_account(driver: Driver) -> None:
    """Each key says who holds it."""
    answer = driver.send(driver.sign(None, IDENTITY, service="sts", headers=FORM, key=OTHER_KEY))
    assert parse(answer)["Account"] == "999999999999"


def test_caller_identity_of_a_user(driver: Driver) -> None:
    """Its unique id, and its ARN with its path."""
    user = driver.database.write_now(principals.create_user, RegistryId(ACCOUNT), "alice", "/team/")
    key = Key("AKIAALICE", "the secret of a user")
    made = AccessKey(key.access_key_id, key.secret)
    driver.database.write_now(
        access_keys.create_access_key, RegistryId(ACCOUNT), "alice", made, MasterKey(bytes(32))
    )
    parsed = parse(driver.send(driver.sign(None, IDENTITY, service="sts", headers=FORM, key=key)))
    assert (parsed["Account"], parsed["UserId"]) == (ACCOUNT, user.unique_id)
    assert parsed["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alice"
    assert user.unique_id.startswith("AIDA")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_presigned_caller_identity(driver: Driver, method: str) -> None:
    """The form in which clients prove to others who they are."""
    parameters = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]
    answer = driver.send(driver.presign(None, parameters, service="sts", method=method))
    assert parse(answer)["Account"] == ACCOUNT


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"Action=AssumeRole&Version=2011-06-15&RoleArn=x", 400, "ValidationError"),
        (b"Action=AssumeRoleWithSAML&Version=2011-06-15", 501, "NotImplemented"),
        (b"Action=GetFederationToken&Version=2011-06-15", 501, "NotImplemented"),
        (b"Action=NoSuch&Version=2011-06-15", 400, "InvalidAction"),
        (b"Action=GetCallerIdentity&Version=2010-05-08", 400, "InvalidAction"),
        (b"Version=2011-06-15", 400, "MissingAction"),
        (b"\xff", 400, "InvalidParameterValue"),
        (b"Action=%00%1b", 400, "InvalidAction"),
        (b"Action=" + b"x" * 70_000, 400, "InvalidParameterValue"),
    ],
)
def test_refused_actions(driver: Driver, body: bytes, status: int, code: str) -> None:
    """What is not served is refused in XML, by name where STS has it."""
    assert told(driver.send(driver.sign(None, body, service="sts", headers=FORM))) == (status, code)


def test_refused_signatures(driver: Driver) -> None:
    """The codes are those of STS."""
    wrong = driver.sign(None, IDENTITY, service="sts", headers=FORM, key=replace(KEY, secret="x"))
    nobody = driver.sign(None, IDENTITY, service="sts", headers=FORM, key=Key("AKIDNOBODY", "x"))
    unsigned = Sent(headers=[(b"content-type", b"application/x-www-form-urlencoded")], body=IDENTITY)
    assert told(driver.send(wrong)) == (403, "SignatureDoesNotMatch")
    assert told(driver.send(nobody)) == (403, "InvalidClientTokenId")
    assert told(driver.send(unsigned)) == (403, "MissingAuthenticationToken")
    assert told(driver.send(Sent("POST", f"/?{IDENTITY.decode()}"))) == (403, "MissingAuthenticationToken")


def test_other_services_are_refused_in_xml(driver: Driver) -> None:
    """A client of IAM can read why it gets nothing."""
    body = b"Action=ListUsers&Version=2010-05-08"
    answer = driver.send(driver.sign(None, body, service="iam", headers=FORM))
    assert told(answer) == (400, "InvalidAction")
    assert b"does not serve &apos;iam&apos;" in answer.body or b"does not serve 'iam'" in answer.body


def test_a_form_signed_for_ecr_is_no_sts_call(driver: Driver) -> None:
    """The scope decides, whatever the content type that a client sends by habit."""
    answer = driver.send(driver.sign("DescribeRepositories", b"{}", headers=FORM))
    assert answer.json == {"repositories": []}
    identity = driver.send(driver.sign(None, IDENTITY, headers=FORM))
    assert identity.headers["content-type"] == "application/x-amz-json-1.1"
    assert identity.code == "UnknownOperationException"


def test_caller_identity_in_dev_mode(tmp_path: Path) -> None:
    """The account that the key id names."""
    driver = Driver(tmp_path, dev=True)
    try:
        key = Key("111122223333", "x")
        answer = driver.send(driver.sign(None, IDENTITY, service="sts", headers=FORM, key=key))
        assert parse(answer)["Account"] == "111122223333"
    finally:
        driver.close()
