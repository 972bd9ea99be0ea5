"""boto3: policies of repositories and registries, which decide from the next request on."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.boto import Boto
from tests.clients.pushing import push_image
from tests.serving import ACCOUNT

pytestmark = pytest.mark.clients

OTHER_ACCOUNT = "210987654321"
#: No other test uses the registry of this region.
REGION = "ap-south-1"


def policy(effect: str, action: str, **more: object) -> str:
    """A policy of one statement about another account."""
    statement = {"Effect": effect, "Principal": {"AWS": OTHER_ACCOUNT}, "Action": action} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refusal(client: Any) -> str:
    """The code with which another account is refused the images; empty when it may see them."""
    try:
        client.list_images(registryId=ACCOUNT, repositoryName="policies/app")
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_repositorys_policy_opens_it_to_another_account_until_it_is_deleted(python: Boto) -> None:
    """The text comes back in ECR's layout by each of the three calls."""
    own, other = python.client(region=REGION), python.client(account=OTHER_ACCOUNT, region=REGION)
    own.create_repository(repositoryName="policies/app")
    push_image(own, "policies/app", "v1")
    assert refusal(other) == "AccessDeniedException"
    text = policy("Allow", "ecr:ListImages")
    put = own.set_repository_policy(repositoryName="policies/app", policyText=text)
    assert refusal(other) == ""
    assert '"Effect" : "Allow"' in put["policyText"]
    assert own.get_repository_policy(repositoryName="policies/app")["policyText"] == put["policyText"]

    # What the registry denies no repository opens.
    everything = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"
    denied = own.put_registry_policy(policyText=policy("Deny", "ecr:ListImages", Resource=everything))
    assert refusal(other) == "AccessDeniedException"
    assert own.get_registry_policy()["policyText"] == denied["policyText"]
    assert own.delete_registry_policy()["registryId"] == ACCOUNT
    assert refusal(other) == ""

    deleted = own.delete_repository_policy(repositoryName="policies/app")
    assert deleted["policyText"] == put["policyText"]
    assert refusal(other) == "AccessDeniedException"
    for absent in (own.get_registry_policy, own.delete_registry_policy):
        with pytest.raises(own.exceptions.RegistryPolicyNotFoundException):
            absent()
    with pytest.raises(own.exceptions.RepositoryPolicyNotFoundException):
        own.get_repository_policy(repositoryName="policies/app")
