"""Two accounts in two regions on one server, each under the host name that Amazon would give it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.command import CommandFailed, moorage
from tests.clients.images import tar
from tests.clients.worlds import OTHER_ACCOUNT, OTHER_REGION, OTHER_REGISTRY, World

pytestmark = [pytest.mark.clients, pytest.mark.parametrize("world", ["tls"], indirect=True)]


@pytest.fixture(scope="module")
def other(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A user of the other account, whose key was made beside the running server."""
    create = ("credentials", "create", "--account", OTHER_ACCOUNT, "--output", "json")
    key = world.run(moorage(), *create, "--data-dir", world.data).json
    settings = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": OTHER_REGION,
        "AWS_DEFAULT_REGION": OTHER_REGION,
        "DOCKER_CONFIG": str(tmp_path_factory.mktemp("docker")),
    }
    user = replace(world, registry=OTHER_REGISTRY, environment=world.environment | settings)
    user.sign_docker_in()
    return user


def test_docker_finds_another_image_under_the_same_name(world: World, other: World, tmp_path: Path) -> None:
    """The host name says which registry is meant; each holds what was pushed to it."""
    pushed = {}
    world.sign_docker_in()
    for user in (world, other):
        image = f"{user.create('accounts/same')}:v1"
        (tmp_path / "rootfs.tar").write_bytes(tar({"etc/registry": user.registry.encode()}))
        user.run("docker", "import", tmp_path / "rootfs.tar", image)
        user.run("docker", "push", image)
        described = user.ecr("describe-images", "--repository-name", "accounts/same").json["imageDetails"]
        pushed[user.registry] = [one["imageDigest"] for one in described]
    assert [len(digests) for digests in pushed.values()] == [1, 1]
    assert len({digest for digests in pushed.values() for digest in digests}) == 2


def test_docker_is_refused_when_its_password_is_of_another_account(world: World, other: World) -> None:
    """The password is genuine, so the answer says what is not allowed, and to whom."""
    repository = world.create("accounts/foreign")
    login = ("docker", "login", "--username", "AWS", "--password-stdin", world.registry)
    other.run(*login, stdin=other.password())
    with pytest.raises(
        CommandFailed, match=f"{OTHER_ACCOUNT}:root is not authorized to perform: ecr:BatchGetImage"
    ):
        other.run("docker", "pull", f"{repository}:v1")
