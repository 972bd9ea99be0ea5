"""DescribeRegistry, account settings, resource tags and GetAuthorizationToken."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from moorage.auth import tokens
from tests.ecr.driver import ACCOUNT, HOUR, KEY, NOW, OTHER_ACCOUNT, REGION, Driver

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"


def test_describe_registry(driver: Driver) -> None:
    """The registry is there without being made, and replicates nothing."""
    assert driver.ok("DescribeRegistry") == {
        "registryId": ACCOUNT,
        "replicationConfiguration": {"rules": []},
    }


# --- Account settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"), ("REGISTRY_POLICY_SCOPE", "V2"), ("BLOB_MOUNTING", "ENABLED")],
)
def test_account_setting_before_any_put(driver: Driver, name: str, value: str) -> None:
    """Every setting has a default, which may also be put."""
    assert driver.ok("GetAccountSetting", name=name) == {"name": name, "value": value}
    assert driver.ok("PutAccountSetting", name=name, value=value) == {"name": name, "value": value}


def test_account_setting_that_is_enforced(driver: Driver) -> None:
    """What is put is what is in force."""
    driver.ok("PutAccountSetting", name="BLOB_MOUNTING", value="DISABLED")
    assert driver.ok("GetAccountSetting", name="BLOB_MOUNTING")["value"] == "DISABLED"


def test_account_setting_without_effect_is_refused(driver: Driver) -> None:
    """A value that would change nothing yet is refused by name."""
    answer = driver.call("PutAccountSetting", name="BASIC_SCAN_TYPE_VERSION", value="CLAIR")
    assert (answer.status, "BASIC_SCAN_TYPE_VERSION=CLAIR" in answer.message) == (501, True)
    assert driver.ok("GetAccountSetting", name="BASIC_SCAN_TYPE_VERSION")["value"] == "AWS_NATIVE"


@pytest.mark.parametrize(("name", "value"), [("NO_SUCH", "x"), ("BLOB_MOUNTING", "SOMETIMES")])
def test_account_setting_that_does_not_exist(driver: Driver, name: str, value: str) -> None:
    """Unknown names and values are invalid parameters."""
    assert driver.refused("PutAccountSetting", name=name, value=value) == "InvalidParameterException"


def test_account_setting_of_an_unknown_name(driver: Driver) -> None:
    """Also when read."""
    assert driver.refused("GetAccountSetting", name="NO_SUCH") == "InvalidParameterException"


# --- Resource tags -------------------------------------------------------------------------------------------


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with the repository ``app``, tagged ``team=a``."""
    driver.ok("CreateRepository", repositoryName="app", tags=[{"Key": "team", "Value": "a"}])
    return driver


def tags_of(driver: Driver) -> dict[str, str]:
    """ListTagsForResource as a dictionary."""
    return {tag["Key"]: tag["Value"] for tag in driver.ok("ListTagsForResource", resourceArn=ARN)["tags"]}


def test_tag_adds_and_replaces(app: Driver) -> None:
    """Same keys get the new value, other keys stay; a value may be missing or empty."""
    tags = [{"Key": "team", "Value": "b"}, {"Key": "empty", "Value": ""}, {"Key": "bare"}]
    assert app.ok("TagResource", resourceArn=ARN, tags=tags) == {}
    assert tags_of(app) == {"team": "b", "empty": "", "bare": ""}


def test_untag_ignores_unknown_keys(app: Driver) -> None:
    """Keys that are not there need no removing."""
    assert app.ok("UntagResource", resourceArn=ARN, tagKeys=["team", "nil"]) == {}
    assert app.ok("ListTagsForResource", resourceArn=ARN) == {"tags": []}


def test_tag_beyond_fifty(app: Driver) -> None:
    """Fifty tags in all; the refused call changes nothing."""
    tags = [{"Key": f"k{number}", "Value": "x"} for number in range(50)]
    assert app.refused("TagResource", resourceArn=ARN, tags=tags) == "TooManyTagsException"
    assert tags_of(app) == {"team": "a"}
    app.ok("TagResource", resourceArn=ARN, tags=tags[:49])


@pytest.mark.parametrize("key", ["aws:x", "", "a" * 129, "new\nline"])
def test_tag_with_a_bad_key(app: Driver, key: str) -> None:
    """AWS's rules for keys hold."""
    assert app.refused("TagResource", resourceArn=ARN, tags=[{"Key": key, "Value": ""}]) == (
        "InvalidTagParameterException"
    )


@pytest.mark.parametrize(
    "arn",
    [
        "app",
        "",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:registry/app",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/A",
        f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app",
    ],
)
@pytest.mark.parametrize(
    ("operation", "given"),
    [("TagResource", {"tags": []}), ("UntagResource", {"tagKeys": []}), ("ListTagsForResource", {})],
)
def test_tags_of_a_bad_arn(app: Driver, operation: str, given: dict[str, Any], arn: str) -> None:
    """What is no repository of this region is told in ECR's words."""
    answer = app.call(operation, resourceArn=arn, **given)
    assert answer.json == {
        "__type": "InvalidParameterException",
        "message": "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
    }


def test_tags_of_a_missing_repository(app: Driver) -> None:
    """The ARN is fine, but nothing is there."""
    assert app.refused("ListTagsForResource", resourceArn=ARN + "2") == "RepositoryNotFoundException"


def test_tags_of_another_account(app: Driver) -> None:
    """An ARN of another account is judged by policy, and there is none."""
    foreign = ARN.replace(ACCOUNT, OTHER_ACCOUNT)
    assert app.refused("ListTagsForResource", resourceArn=foreign) == "AccessDeniedException"


# --- GetAuthorizationToken -----------------------------------------------------------------------------------


def test_token_stands_for_the_principal(driver: Driver) -> None:
    """The password names the key it was given to, and lives twelve hours."""
    (entry,) = driver.ok("GetAuthorizationToken")["authorizationData"]
    assert entry["expiresAt"] == (NOW + 12 * HOUR) // 1000 / 1000
    assert entry["proxyEndpoint"] == "http://localhost:5050"
    header = f"Basic {entry['authorizationToken']}"
    assert b64decode(entry["authorizationToken"], validate=True).startswith(b"AWS:")
    claims = tokens.read_registry_authorization(driver.context.keyring, header, NOW)
    assert (claims.account_id, claims.access_key_id) == (ACCOUNT, KEY.access_key_id)
    assert claims.region == REGION


def test_token_for_several_registries(driver: Driver) -> None:
    """One entry per registry in the order asked for, other accounts included: policies decide at each use."""
    ids = [OTHER_ACCOUNT, ACCOUNT, OTHER_ACCOUNT]
    entries = driver.ok("GetAuthorizationToken", registryIds=ids)["authorizationData"]
    assert [entry["proxyEndpoint"] for entry in entries] == [
        f"http://{OTHER_ACCOUNT}.dkr.ecr.{REGION}.localhost:5050",
        "http://localhost:5050",
        f"http://{OTHER_ACCOUNT}.dkr.ecr.{REGION}.localhost:5050",
    ]


@pytest.mark.parametrize("ids", [[], ["1"], [ACCOUNT] * 11, ["01234567891é"]])
def test_token_for_malformed_registries(driver: Driver, ids: list[str]) -> None:
    """One to ten ids of twelve digits."""
    assert driver.refused("GetAuthorizationToken", registryIds=ids) == "InvalidParameterException"


@pytest.mark.parametrize(
    ("template", "endpoint"),
    [
        ("{account}.dkr.ecr.{region}.amazonaws.com", f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"),
        ("https://registry.example", "https://registry.example"),
        ("registry.example:80", "http://registry.example:80"),
    ],
)
def test_proxy_endpoint_has_the_scheme_that_works(tmp_path: Path, template: str, endpoint: str) -> None:
    """https where the host or the setting says so."""
    driver = Driver(tmp_path, registry_host=template)
    try:
        (entry,) = driver.ok("GetAuthorizationToken")["authorizationData"]
        assert entry["proxyEndpoint"] == endpoint
    finally:
        driver.close()
