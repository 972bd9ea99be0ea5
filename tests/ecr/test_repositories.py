"""CreateRepository, DescribeRepositories, DeleteRepository, PutImageTagMutability."""

from typing import Any

import pytest

from tests.ecr.driver import ACCOUNT, OTHER_ACCOUNT, Driver

FILTERS = [{"filterType": "WILDCARD", "filter": "dev-*"}]


def test_create_answers_with_every_member_by_default(driver: Driver) -> None:
    """A name is enough; the answer says what was chosen for the rest."""
    assert driver.ok("CreateRepository", repositoryName="team/app") == {
        "repository": {
            "repositoryArn": f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/team/app",
            "registryId": ACCOUNT,
            "repositoryName": "team/app",
            "repositoryUri": "localhost:5050/team/app",
            "createdAt": 1481918742.123,
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
    }


def test_create_echoes_mutability_and_filters(driver: Driver) -> None:
    """A setting with exclusion filters comes back with them, now and when described."""
    made = driver.ok(
        "CreateRepository",
        repositoryName="app",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=FILTERS,
        imageScanningConfiguration={"scanOnPush": False},
        encryptionConfiguration={"encryptionType": "AES256"},
    )["repository"]
    assert made["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert made["imageTagMutabilityExclusionFilters"] == FILTERS
    assert driver.ok("DescribeRepositories")["repositories"] == [made]


def test_create_twice_is_refused(driver: Driver) -> None:
    """The second of two equal names is told in ECR's words."""
    driver.create("app")
    answer = driver.call("CreateRepository", repositoryName="app")
    assert answer.json == {
        "__type": "RepositoryAlreadyExistsException",
        "message": f"The repository with name 'app' already exists in the registry with id '{ACCOUNT}'",
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"imageScanningConfiguration": {"scanOnPush": True}}, "scanOnPush"),
        ({"encryptionConfiguration": {"encryptionType": "KMS"}}, "encryptionType KMS"),
        ({"encryptionConfiguration": {"encryptionType": "KMS_DSSE", "kmsKey": "k"}}, "encryptionType KMS_DSSE"),
    ],
)
def test_create_refuses_what_is_not_built_by_name(driver: Driver, given: dict[str, Any], named: str) -> None:
    """A setting without effect is refused with 501 and nothing is made."""
    answer = driver.call("CreateRepository", repositoryName="app", **given)
    assert (answer.status, answer.code) == (501, "NotImplementedException")
    assert named in answer.message
    assert driver.ok("DescribeRepositories") == {"repositories": []}


def test_create_refuses_a_key_for_aes256(driver: Driver) -> None:
    """AES256 has no key of one's own."""
    answer = driver.call(
        "CreateRepository",
        repositoryName="app",
        encryptionConfiguration={"encryptionType": "AES256", "kmsKey": "alias/mine"},
    )
    assert answer.json == {
        "__type": "InvalidParameterException",
        "message": "Invalid encryption configuration: Encryption key should not be set for AES256 encryption.",
    }


@pytest.mark.parametrize("name", ["A", "a//b", "../x", "-a", "a_", "a", "a" * 257, "ä", "a\0b", "a/"])
def test_create_refuses_a_bad_name(driver: Driver, name: str) -> None:
    """Names outside the grammar are told at repositoryName."""
    answer = driver.call("CreateRepository", repositoryName=name)
    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert answer.message.startswith("Invalid parameter at 'repositoryName' failed to satisfy constraint: '")


def test_create_refuses_filters_with_a_plain_setting(driver: Driver) -> None:
    """Filters without a setting that takes them mean a mistake."""
    answer = driver.call("CreateRepository", repositoryName="app", imageTagMutabilityExclusionFilters=FILTERS)
    assert "are not allowed when imageTagMutability is set to MUTABLE" in answer.message


def test_create_takes_resource_tags(driver: Driver) -> None:
    """Tags given at creation are listed afterwards."""
    arn = driver.ok("CreateRepository", repositoryName="app", tags=[{"Key": "team", "Value": "a"}])[
        "repository"
    ]["repositoryArn"]
    assert driver.ok("ListTagsForResource", resourceArn=arn) == {"tags": [{"Key": "team", "Value": "a"}]}


def test_create_refuses_bad_resource_tags(driver: Driver) -> None:
    """Reserved keys and more than 50 tags have errors of their own."""
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    reserved = [{"Key": "aws:x", "Value": ""}]
    assert driver.refused("CreateRepository", repositoryName="app", tags=many) == "TooManyTagsException"
    assert driver.refused("CreateRepository", repositoryName="app", tags=reserved) == (
        "InvalidTagParameterException"
    )


def test_create_in_another_account_is_denied(driver: Driver) -> None:
    """registryId may name another account, and its policy decides; there is none."""
    answer = driver.call("CreateRepository", repositoryName="app", registryId=OTHER_ACCOUNT)
    assert (answer.status, answer.code) == (400, "AccessDeniedException")
    assert "is not authorized to perform: ecr:CreateRepository on resource: arn:aws:ecr:" in answer.message


def test_registries_of_two_regions_are_apart(driver: Driver) -> None:
    """The region of the signature chooses the registry."""
    driver.create("app")
    answer = driver.call("DescribeRepositories", region="eu-west-1")
    assert answer.json == {"repositories": []}
    made = driver.call("CreateRepository", region="eu-west-1", repositoryName="app").json["repository"]
    assert made["repositoryArn"] == f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app"
    assert made["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.eu-west-1.localhost:5050/app"


def test_describe_by_name_keeps_the_order_and_drops_repeats(driver: Driver) -> None:
    """Named repositories come in the order asked for, each once."""
    driver.create("a1", "b2")
    found = driver.ok("DescribeRepositories", repositoryNames=["b2", "a1", "b2"])["repositories"]
    assert [one["repositoryName"] for one in found] == ["b2", "a1"]


def test_describe_fails_for_one_missing_name(driver: Driver) -> None:
    """One missing repository fails the whole call."""
    driver.create("a1")
    answer = driver.call("DescribeRepositories", repositoryNames=["a1", "zz"])
    assert answer.json == {
        "__type": "RepositoryNotFoundException",
        "message": f"The repository with name 'zz' does not exist in the registry with id '{ACCOUNT}'",
    }


@pytest.mark.parametrize("sizes", [[1], [2], [3], [2, 1, 3], [7]])
def test_describe_pages_show_each_repository_once(driver: Driver, sizes: list[int]) -> None:
    """Every repository comes once and in the order of names, whatever sizes the pages have."""
    names = [f"app{number}" for number in range(5)]
    driver.create(*names)
    seen: list[str] = []
    request: dict[str, Any] = {}
    while True:
        page = driver.ok("DescribeRepositories", maxResults=sizes[len(seen) % len(sizes)], **request)
        seen += [one["repositoryName"] for one in page["repositories"]]
        if "nextToken" not in page:
            break
        request = {"nextToken": page["nextToken"]}
    assert seen == names


@pytest.mark.parametrize("size", [0, 1001, -1])
def test_describe_refuses_a_page_size_out_of_range(driver: Driver, size: int) -> None:
    """A page has 1 to 1000 elements."""
    answer = driver.call("DescribeRepositories", maxResults=size)
    assert answer.code == "InvalidParameterException"
    assert "'maxResults' failed to satisfy constraint: 'Member must have value" in answer.message


def test_describe_refuses_names_together_with_paging(driver: Driver) -> None:
    """Explicit names are not paged."""
    driver.create("a1")
    assert driver.refused("DescribeRepositories", repositoryNames=["a1"], maxResults=1) == (
        "InvalidParameterException"
    )
    assert driver.refused("DescribeRepositories", repositoryNames=["a1"], nextToken="x") == (
        "InvalidParameterException"
    )


def test_next_token_of_another_list_is_refused(driver: Driver) -> None:
    """A token is good for the list that gave it, and nothing else."""
    driver.create("a1", "b2")
    token = driver.ok("DescribeRepositories", maxResults=1)["nextToken"]
    expected = "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid next token'"
    for answer in (
        driver.call("ListImages", repositoryName="a1", nextToken=token),
        driver.call("DescribeRepositories", region="eu-west-1", nextToken=token),
        driver.call("DescribeRepositories", nextToken=token[:-2] + "AA"),
        driver.call("DescribeRepositories", nextToken="garbage"),
    ):
        assert (answer.code, answer.message) == ("InvalidParameterException", expected)


def test_next_token_expires_after_a_week(driver: Driver) -> None:
    """A token works for days, not for ever."""
    driver.create("a1", "b2")
    token = driver.ok("DescribeRepositories", maxResults=1)["nextToken"]
    driver.now += 6 * 86_400_000_000
    driver.ok("DescribeRepositories", nextToken=token)
    driver.now += 86_400_000_000
    assert driver.refused("DescribeRepositories", nextToken=token) == "InvalidParameterException"


def test_delete_describes_what_was_deleted(driver: Driver) -> None:
    """The answer is the repository as it was; afterwards it is gone."""
    made = driver.ok("CreateRepository", repositoryName="app")
    assert driver.ok("DeleteRepository", repositoryName="app") == made
    assert driver.refused("DeleteRepository", repositoryName="app") == "RepositoryNotFoundException"


def test_delete_of_a_repository_with_images_needs_force(driver: Driver) -> None:
    """Even untagged images are images."""
    driver.create("app")
    driver.push("app", "one")
    answer = driver.call("DeleteRepository", repositoryName="app")
    assert answer.json == {
        "__type": "RepositoryNotEmptyException",
        "message": f"The repository with name 'app' in registry with id '{ACCOUNT}' cannot be deleted because "
        "it still contains images",
    }
    driver.ok("DeleteRepository", repositoryName="app", force=True)
    assert driver.ok("DescribeRepositories") == {"repositories": []}


def test_a_deleted_repository_comes_back_empty(driver: Driver) -> None:
    """Nothing of the old one is visible in a new one of the same name."""
    driver.create("app")
    driver.push("app", "one", "v1")
    driver.ok("DeleteRepository", repositoryName="app", force=True)
    driver.create("app")
    assert driver.ok("ListImages", repositoryName="app") == {"imageIds": []}


def test_put_tag_mutability_replaces_setting_and_filters(driver: Driver) -> None:
    """The answer echoes what was set; filters go with the setting that needs them."""
    driver.create("app")
    given = {
        "repositoryName": "app",
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": FILTERS,
    }
    assert driver.ok("PutImageTagMutability", **given) == {"registryId": ACCOUNT, **given}
    plain = {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"}
    assert driver.ok("PutImageTagMutability", **plain) == {"registryId": ACCOUNT, **plain}
    (found,) = driver.ok("DescribeRepositories")["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert "imageTagMutabilityExclusionFilters" not in found


def test_put_tag_mutability_refuses_an_unknown_setting(driver: Driver) -> None:
    """The enum is told before the repository is looked for."""
    answer = driver.call("PutImageTagMutability", repositoryName="nowhere", imageTagMutability="SOMETIMES")
    assert answer.message == (
        "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum "
        "value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]'"
    )
