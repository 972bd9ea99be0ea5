"""The Docker engine and its command line."""

import hashlib
from pathlib import Path

import pytest

from tests.clients.command import CommandFailed
from tests.clients.worlds import World

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", autouse=True)
def signed_in(world: World) -> None:
    """The way every guide to ECR shows: the password of the AWS CLI, piped into docker login."""
    world.run(
        "docker", "login", "--username", "AWS", "--password-stdin", world.registry, stdin=world.password()
    )


@pytest.fixture
def pushed(world: World, repository: str, rootfs: Path) -> str:
    """An image that docker imported, tagged and pushed."""
    image = f"{repository}:v1"
    world.run("docker", "import", rootfs, image)
    world.run("docker", "push", image)
    return image


def test_docker_login_fails_when_the_password_is_wrong(world: World) -> None:
    """A wrong password is refused at login, not at the first push."""
    login = ("docker", "login", "--username", "AWS", "--password-stdin", world.registry)
    with pytest.raises(CommandFailed, match=r"(?i)unauthorized|not authorized|authorization"):
        world.run(*login, stdin="wrong")
    world.run(*login, stdin=world.password())


def test_docker_pulls_what_it_pushed(world: World, pushed: str) -> None:
    """An image comes back under the same id after its local copy is removed."""
    identity = world.run("docker", "image", "inspect", "--format", "{{.Id}}", pushed).out
    world.run("docker", "image", "rm", pushed)
    world.run("docker", "pull", pushed)
    assert world.run("docker", "image", "inspect", "--format", "{{.Id}}", pushed).out == identity


def test_docker_pulls_by_digest_when_given_the_one_it_pushed(world: World, pushed: str) -> None:
    """The digest that push reports names the same image."""
    name = world.run("docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", pushed).out.strip()
    world.run("docker", "image", "rm", pushed)
    assert name.split("@")[1] in world.run("docker", "pull", name).out


def test_docker_push_says_what_exists_when_repeated(world: World, pushed: str, repository: str) -> None:
    """A second push of the same layers under another tag uploads nothing."""
    world.run("docker", "tag", pushed, f"{repository}:v2")
    assert "Layer already exists" in world.run("docker", "push", f"{repository}:v2").out


def test_docker_push_fails_when_the_repository_does_not_exist(world: World, rootfs: Path) -> None:
    """ECR creates no repository on push, and says which one is missing."""
    image = f"{world.registry}/clients/absent:v1"
    world.run("docker", "import", rootfs, image)
    with pytest.raises(CommandFailed, match="clients/absent"):
        world.run("docker", "push", image)


def test_docker_manifest_lists_what_it_was_made_of(world: World, pushed: str, repository: str) -> None:
    """A manifest list made and pushed by docker is read back with its platform."""
    insecure = world.when_plain("--insecure")
    world.run("docker", "manifest", "create", *insecure, f"{repository}:list", pushed)
    world.run("docker", "manifest", "annotate", "--arch", "arm64", f"{repository}:list", pushed)
    digest = world.run("docker", "manifest", "push", *insecure, f"{repository}:list").out.strip()
    found = world.run("docker", "manifest", "inspect", *insecure, f"{repository}@{digest}").json
    assert found["manifests"][0]["platform"]["architecture"] == "arm64"


def test_docker_pushes_every_layer_when_there_are_many(world: World, repository: str, tmp_path: Path) -> None:
    """A few megabytes in one layer arrive whole: the chunked bodies of docker push."""
    content = b"".join(hashlib.sha256(bytes([n])).digest() * 4096 for n in range(64))
    (tmp_path / "large").write_bytes(content)
    world.run("tar", "-C", tmp_path, "-cf", tmp_path / "large.tar", "large")
    image = f"{repository}:large"
    world.run("docker", "import", tmp_path / "large.tar", image)
    identity = world.run("docker", "image", "inspect", "--format", "{{.Id}}", image).out
    world.run("docker", "push", image)
    world.run("docker", "image", "rm", image)
    world.run("docker", "pull", image)
    assert world.run("docker", "image", "inspect", "--format", "{{.Id}}", image).out == identity
