"""The AWS CLI against the JSON API, and the two ways it signs docker in."""

import shlex
from pathlib import Path

import pytest

from tests.clients.command import CommandFailed
from tests.clients.worlds import World
from tests.serving import ACCOUNT

pytestmark = pytest.mark.clients


def test_get_login_password_signs_docker_in(world: World) -> None:
    """The password is accepted for user AWS."""
    assert "Login Succeeded" in world.sign_docker_in().out


def test_get_login_prints_a_command_that_works(world: World) -> None:
    """The older way: a whole docker login command, to be run as it is."""
    line = world.ecr("get-login", "--no-include-email").out
    words = shlex.split(line)
    assert words[:3] == ["docker", "login", "-u"]
    assert "Login Succeeded" in world.run(*words).out


def test_the_registry_is_named_in_the_repository_uri(world: World, repository: str) -> None:
    """The address that describe-repositories gives is the one that clients push to."""
    name = repository.removeprefix(f"{world.registry}/")
    found = world.ecr("describe-repositories", "--repository-names", name).json["repositories"][0]
    assert (found["repositoryUri"], found["registryId"]) == (repository, ACCOUNT)


def test_describe_images_shows_what_docker_pushed(world: World, repository: str, rootfs: Path) -> None:
    """Digest and tag of a pushed image appear in the JSON API."""
    world.sign_docker_in()
    world.run("docker", "import", rootfs, f"{repository}:v1")
    pushed = world.run("docker", "push", f"{repository}:v1").out
    name = repository.removeprefix(f"{world.registry}/")
    image = world.ecr("describe-images", "--repository-name", name).json["imageDetails"][0]
    assert image["imageTags"] == ["v1"]
    assert image["imageDigest"] in pushed


def test_batch_delete_image_removes_it_for_docker(world: World, repository: str, rootfs: Path) -> None:
    """An image deleted through the JSON API is not listed any more."""
    world.sign_docker_in()
    world.run("docker", "import", rootfs, f"{repository}:v1")
    world.run("docker", "push", f"{repository}:v1")
    name = repository.removeprefix(f"{world.registry}/")
    answer = world.ecr("batch-delete-image", "--repository-name", name, "--image-ids", "imageTag=v1").json
    assert answer["failures"] == []
    assert world.ecr("list-images", "--repository-name", name).json["imageIds"] == []


def test_lists_are_whole_when_pages_are_small(world: World) -> None:
    """The CLI puts the pages together by itself."""
    names = [f"clients/paged/{number}" for number in range(3)]
    for name in names:
        world.create(name)
    answer = world.ecr("describe-repositories", "--page-size", "1").json["repositories"]
    assert [one["repositoryName"] for one in answer if "/paged/" in one["repositoryName"]] == names


def test_sts_tells_whose_key_it_is(world: World) -> None:
    """Terraform and the like ask this before all else."""
    flags = world.when_plain("--endpoint-url", world.environment.get("AWS_ENDPOINT_URL_ECR", ""))
    answer = world.run("aws", "--output", "json", *flags, "sts", "get-caller-identity").json
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_what_is_not_built_is_said_in_a_sentence(world: World, repository: str) -> None:
    """A wait for a scan that will not come ends at once."""
    name = repository.removeprefix(f"{world.registry}/")
    with pytest.raises(CommandFailed, match="DescribeImageScanFindings is not built"):
        world.ecr("wait", "image-scan-complete", "--repository-name", name, "--image-id", "imageTag=v1")
