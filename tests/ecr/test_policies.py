"""Policies of repositories and registries: setting, reading, removing them, and what is refused."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from moorage.domain.names import RegistryId
from moorage.services import principals
from tests.ecr.driver import ACCOUNT, OTHER_ACCOUNT, OTHER_KEY, REGION, Driver
from tests.support.database import all_rows

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"


def policy(effect: str = "Allow", principal: object = "*", action: object = "ecr:*", **members: object) -> str:
    """A repository's policy with one statement."""
    statement = {"Effect": effect, "Principal": principal, "Action": action} | members
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def app(driver: Driver) -> Driver:
    """A server with the repository ``app``."""
    driver.create("app")
    return driver


# --- Of a repository -----------------------------------------------------------------------------------------


def test_a_policy_that_was_set_is_answered_until_it_is_deleted(app: Driver) -> None:
    """Replaced by the next one; then there is none."""
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=policy())
    answer = app.ok("SetRepositoryPolicy", repositoryName="app", policyText=policy(action="ecr:ListImages"))
    assert answer["policyText"] == (
        '{\n  "Version" : "2012-10-17",\n  "Statement" : [ {\n    "Effect" : "Allow",\n    "Principal" : "*",\n'
        '    "Action" : "ecr:ListImages"\n  } ]\n}'
    )
    assert app.ok("GetRepositoryPolicy", repositoryName="app") == answer
    assert app.ok("DeleteRepositoryPolicy", repositoryName="app") == answer
    assert all_rows(app.database)["resource_policy"] == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("{", "JSON"),
        (policy(Sid="a", Condition={"NoSuch": {"a": "b"}}), "NoSuch"),
        (policy(Resource="arn:aws:ecr:us-west-2:012345678910:repository/other"), "Resource"),
        (policy(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}), "user/nobody"),
    ],
)
def test_why_a_policy_is_refused_is_in_the_log(app: Driver, given: str, reason: str) -> None:
    """ECR says one sentence to whoever set it; whoever runs the server finds out more."""
    with capture_logs() as lines:
        app.refused("SetRepositoryPolicy", repositoryName="app", policyText=given)
    (line,) = [line for line in lines if line["event"] == "policy_refused"]
    assert reason in line["reason"]
    assert (line["log_level"], line["registry"], line["repository"]) == ("info", ACCOUNT, "app")


def test_why_a_policy_of_a_registry_is_refused_is_in_the_log(driver: Driver) -> None:
    """There is no repository then."""
    with capture_logs() as lines:
        driver.refused("PutRegistryPolicy", policyText=policy())
    (line,) = [line for line in lines if line["event"] == "policy_refused"]
    assert "Resource" in line["reason"]
    assert line["repository"] is None


def test_the_line_of_a_refused_policy_says_whose_request_it_was(app: Driver) -> None:
    """By the id that the answer has, and the action as it was written."""
    with capture_logs() as lines:
        answer = app.call(
            "SetRepositoryPolicy", repositoryName="app", policyText=policy(action="ecr:BatchGetImg")
        )
    (line,) = [line for line in lines if line["event"] == "policy_refused"]
    assert line["request_id"] == answer.headers["x-amzn-requestid"]
    assert line["principal"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert line["reason"] == "there is no action 'ecr:BatchGetImg'"


MISTYPED: dict[str, Any] = {"Condition": {"StringLike": {"ecr:ImageTags": "v*"}}}


@pytest.mark.parametrize(
    ("operation", "given", "name"),
    [
        ("SetRepositoryPolicy", {"repositoryName": "app", "policyText": policy(**MISTYPED)}, "app"),
        ("PutRegistryPolicy", {"policyText": policy(Resource="*", **MISTYPED)}, None),
    ],
)
def test_a_mistyped_condition_key_is_taken_with_a_warning_in_the_log(
    app: Driver, operation: str, given: dict[str, Any], name: str | None
) -> None:
    """AWS takes it as well; it cannot be judged."""
    with capture_logs() as lines:
        app.ok(operation, **given)
    (line,) = [line for line in lines if line["event"] == "policy_names_unknown_condition_key"]
    assert (line["log_level"], line["keys"]) == ("warning", ["ecr:ImageTags"])
    assert (line["registry"], line["repository"]) == (ACCOUNT, name)
    assert line["request_id"]


@pytest.mark.parametrize("operation", ["GetRepositoryPolicy", "DeleteRepositoryPolicy"])
def test_a_repository_without_a_policy(app: Driver, operation: str) -> None:
    """Is told from one that does not exist."""
    answer = app.call(operation, repositoryName="app")
    assert (answer.code, answer.message) == (
        "RepositoryPolicyNotFoundException",
        f"Repository policy does not exist for the repository with name 'app' in the registry with id '{ACCOUNT}'",
    )
    assert app.refused(operation, repositoryName="absent") == "RepositoryNotFoundException"


def test_a_policy_for_a_repository_that_does_not_exist(app: Driver) -> None:
    """Nothing is kept."""
    given = {"repositoryName": "absent", "policyText": policy()}
    assert app.refused("SetRepositoryPolicy", **given) == "RepositoryNotFoundException"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"Version":"2015-09-21","Statement":[]}',
        policy(effect="Maybe"),
        policy(action="ecr:NoSuchAction"),
        policy(action="s3:GetObject"),
        policy(principal="somebody"),
        policy(principal={"AWS": "arn:aws:iam::1:user/a"}),
        policy(Resource=f"{ARN}s"),
        policy(Resource=["*", "arn:aws:s3:::bucket"]),
        policy(Condition={"StringSortOf": {"aws:username": "a"}}),
        json.dumps({"Statement": [{"Effect": "Allow", "Action": "ecr:*"}]}),
    ],
)
def test_whatever_is_wrong_with_a_policy_is_told_in_one_sentence(app: Driver, text: str) -> None:
    """ECR's, which clients match on."""
    answer = app.call("SetRepositoryPolicy", repositoryName="app", policyText=text)
    assert (answer.code, answer.message) == (
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
    )
    assert app.refused("GetRepositoryPolicy", repositoryName="app") == "RepositoryPolicyNotFoundException"


def test_a_policy_that_is_too_long(app: Driver) -> None:
    """10,240 characters are the most."""
    long = policy(Sid="x" * 10_240)
    assert (
        app.refused("SetRepositoryPolicy", repositoryName="app", policyText=long) == "InvalidParameterException"
    )


@pytest.mark.parametrize(
    "members",
    [
        {"Resource": "*"},
        {"Resource": ARN},
        {"Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/*"},
        {"principal": {"AWS": OTHER_ACCOUNT}},
        {"principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}},
        {"principal": {"AWS": "arn:aws:iam::555555555555:role/nobody/knows"}},
        {"principal": {"Service": "codebuild.amazonaws.com"}},
    ],
)
def test_policies_that_are_taken(app: Driver, members: dict[str, Any]) -> None:
    """Also for principals of accounts that this server does not hold."""
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=policy(**members))


def test_a_policy_without_statements_is_taken(app: Driver) -> None:
    """It says nothing."""
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText='{"Statement":[]}')


@pytest.mark.parametrize("end", ["user/nobody", "user/team/alice", "role/alice", "assumed-role/nobody/x"])
def test_a_principal_of_this_server_has_to_exist(app: Driver, end: str) -> None:
    """By its kind and its path too."""
    app.database.write_now(principals.create_user, RegistryId(ACCOUNT), "alice")
    service = "sts" if end.startswith("assumed") else "iam"
    text = policy(principal={"AWS": [f"arn:aws:{service}::{ACCOUNT}:{end}"]})
    answer = app.call("SetRepositoryPolicy", repositoryName="app", policyText=text)
    assert (answer.code, "Principal not found" in answer.message) == ("InvalidParameterException", True)


def test_a_principal_of_this_server_that_exists(app: Driver) -> None:
    """Is taken."""
    app.database.write_now(principals.create_user, RegistryId(ACCOUNT), "alice", "/team/")
    text = policy(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/team/alice"})
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=text)


def test_nobody_locks_themselves_out_by_mistake(app: Driver) -> None:
    """With force one may: then the policy holds for the root as well."""
    lockout = policy(effect="Deny", action="ecr:SetRepositoryPolicy")
    refused = app.call("SetRepositoryPolicy", repositoryName="app", policyText=lockout)
    assert (refused.code, "force" in refused.message) == ("InvalidParameterException", True)
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=lockout, force=True)
    answer = app.call("SetRepositoryPolicy", repositoryName="app", policyText=policy(), force=True)
    assert answer.message == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: ecr:SetRepositoryPolicy on resource: {ARN} "
        "with an explicit deny in a resource-based policy"
    )
    app.ok("DeleteRepositoryPolicy", repositoryName="app")


def test_a_policy_goes_with_its_repository(app: Driver) -> None:
    """The next one of that name begins without."""
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=policy())
    app.ok("DeleteRepository", repositoryName="app")
    app.create("app")
    assert app.refused("GetRepositoryPolicy", repositoryName="app") == "RepositoryPolicyNotFoundException"
    assert all_rows(app.database)["resource_policy"] == []


def test_a_policy_of_a_repository_opens_it_to_another_account(app: Driver) -> None:
    """At once, for what it names, and no longer than it is there."""
    given = {"registryId": ACCOUNT, "repositoryName": "app"}
    app.ok("SetRepositoryPolicy", repositoryName="app", policyText=policy(action="ecr:ListImages"))
    assert app.call("ListImages", key=OTHER_KEY, **given).status == 200
    assert app.call("DescribeImages", key=OTHER_KEY, **given).code == "AccessDeniedException"
    app.ok("DeleteRepositoryPolicy", repositoryName="app")
    assert app.call("ListImages", key=OTHER_KEY, **given).code == "AccessDeniedException"


# --- Of a registry -------------------------------------------------------------------------------------------


def test_a_registry_policy_that_was_put_is_answered_until_it_is_deleted(app: Driver) -> None:
    """In ECR's layout, with the registry's id."""
    answer = app.ok("PutRegistryPolicy", policyText=policy(Resource="*"))
    assert answer == {
        "registryId": ACCOUNT,
        "policyText": '{\n  "Version" : "2012-10-17",\n  "Statement" : [ {\n    "Effect" : "Allow",\n'
        '    "Principal" : "*",\n    "Action" : "ecr:*",\n    "Resource" : "*"\n  } ]\n}',
    }
    assert app.ok("GetRegistryPolicy") == answer
    assert app.ok("DeleteRegistryPolicy") == answer
    for operation in ("GetRegistryPolicy", "DeleteRegistryPolicy"):
        gone = app.call(operation)
        assert (gone.code, gone.message) == (
            "RegistryPolicyNotFoundException",
            f"Registry policy does not exist in the registry with id '{ACCOUNT}'",
        )


@pytest.mark.parametrize(
    "text", ["{", policy(), policy(Resource="nothing"), policy(action="sts:*", Resource="*")]
)
def test_a_registry_policy_that_cannot_be_read(app: Driver, text: str) -> None:
    """Resource is needed here."""
    answer = app.call("PutRegistryPolicy", policyText=text)
    assert (answer.code, answer.message) == (
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'",
    )


def test_a_registry_policy_lets_another_account_make_repositories(app: Driver) -> None:
    """In the registry that it belongs to."""
    given = {"registryId": ACCOUNT, "repositoryName": "theirs/new"}
    assert app.call("CreateRepository", key=OTHER_KEY, **given).code == "AccessDeniedException"
    text = policy(principal={"AWS": OTHER_ACCOUNT}, action="ecr:CreateRepository", Resource="*")
    app.ok("PutRegistryPolicy", policyText=text)
    assert app.call("CreateRepository", key=OTHER_KEY, **given).json["repository"]["registryId"] == ACCOUNT


def test_the_first_scope_leaves_other_actions_alone(app: Driver) -> None:
    """A policy that was put under the second says no more about them, until the scope is the second again."""
    app.ok("PutRegistryPolicy", policyText=policy(effect="Deny", action="ecr:ListImages", Resource="*"))
    assert app.refused("ListImages", repositoryName="app") == "AccessDeniedException"
    app.ok("PutAccountSetting", name="REGISTRY_POLICY_SCOPE", value="V1")
    app.ok("ListImages", repositoryName="app")
    app.ok("PutAccountSetting", name="REGISTRY_POLICY_SCOPE", value="V2")
    assert app.refused("ListImages", repositoryName="app") == "AccessDeniedException"


@pytest.mark.parametrize(
    ("action", "is_taken"),
    [
        ("ecr:CreateRepository", True),
        (["ecr:ReplicateImage", "ecr:BatchImportUpstream*"], True),
        ("ecr:*", False),
        (["ecr:CreateRepository", "ecr:ListImages"], False),
    ],
)
def test_the_first_scope_takes_its_own_actions_alone(app: Driver, action: object, is_taken: bool) -> None:
    """As ECR refuses others."""
    app.ok("PutAccountSetting", name="REGISTRY_POLICY_SCOPE", value="V1")
    answer = app.call("PutRegistryPolicy", policyText=policy(action=action, Resource="*"))
    assert (answer.status == 200) is is_taken
