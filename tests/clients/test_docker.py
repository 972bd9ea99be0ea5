"""The Docker engine and its command line."""

import asyncio
import base64
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from moorage.auth.tokens import REGISTRY_TOKEN_LIFETIME, RegistryTokenClaims, issue_registry_token
from moorage.config import Settings
from moorage.wiring import open_parts
from tests.clients.command import CommandFailed
from tests.clients.images import Layout, tar
from tests.clients.worlds import World
from tests.serving import ACCOUNT, REGION, Credentials

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", autouse=True)
def signed_in(world: World) -> None:
    """Before all tests of this file."""
    world.sign_docker_in()


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
    world.sign_docker_in()


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
    sentence = f"The repository with name 'clients/absent' does not exist in the registry with id '{ACCOUNT}'"
    with pytest.raises(CommandFailed, match=sentence):
        world.run("docker", "push", image)
    with pytest.raises(CommandFailed, match=sentence):
        world.run("docker", "pull", image)


def test_docker_pull_fails_when_the_tag_does_not_exist(world: World, repository: str) -> None:
    """The repository is there, the image is not."""
    with pytest.raises(CommandFailed, match="manifest unknown: Requested image not found"):
        world.run("docker", "pull", f"{repository}:absent")


def test_docker_push_fails_when_the_tag_is_immutable(world: World, pushed: str, tmp_path: Path) -> None:
    """The sentence of ECR reaches whoever pushed."""
    name = pushed.removeprefix(f"{world.registry}/").removesuffix(":v1")
    immutable = ("--image-tag-mutability", "IMMUTABLE")
    world.ecr("put-image-tag-mutability", "--repository-name", name, *immutable)
    (tmp_path / "other.tar").write_bytes(tar({"etc/motd": b"another\n"}))
    world.run("docker", "import", tmp_path / "other.tar", pushed)
    with pytest.raises(
        CommandFailed, match=r"The image tag 'v1' already exists .* because the tag is immutable"
    ):
        world.run("docker", "push", pushed)


def test_docker_says_what_to_do_when_the_password_has_expired(
    world: World, pushed: str, tmp_path: Path
) -> None:
    """A password of yesterday is not just wrong: docker shows ECR's advice."""
    basic = base64.b64encode(f"AWS:{_expired_password(world.data)}".encode()).decode()
    (tmp_path / "config.json").write_bytes(msgspec.json.encode({"auths": {world.registry: {"auth": basic}}}))
    late = replace(world, environment=world.environment | {"DOCKER_CONFIG": str(tmp_path)})
    for verb in ("pull", "push"):
        with pytest.raises(CommandFailed, match=r"token has expired\. Reauthenticate and try again"):
            late.run("docker", verb, pushed)


def _expired_password(data: Path) -> str:
    """A password that the server itself gave out, as far as it can tell: one second too long ago."""
    ends = time.time_ns() // 1000 - 1_000_000
    principal, key = f"arn:aws:iam::{ACCOUNT}:root", Credentials.read(data).access_key_id
    claims = RegistryTokenClaims(
        ACCOUNT, principal, key, REGION, ends - REGISTRY_TOKEN_LIFETIME, ends, ACCOUNT, 0
    )

    async def issue() -> str:
        parts = open_parts(Settings(data_dir=data), lambda _result, _reason: None)
        password = issue_registry_token(parts.context.keyring, claims)
        await parts.close()
        return password

    return asyncio.run(issue())


def test_docker_pulls_the_platform_it_is_told_to_out_of_an_index(
    world: World, repository: str, layout: Layout
) -> None:
    """skopeo pushed two architectures under one tag."""
    flags = ("--dest-creds", f"AWS:{world.password()}", *world.when_plain("--dest-tls-verify=false"))
    image = f"{repository}:multi"
    world.run("skopeo", "copy", "--all", *flags, f"oci:{layout.path}:multi", f"docker://{image}")
    for architecture in ("amd64", "arm64"):
        world.run("docker", "pull", "--platform", f"linux/{architecture}", image)
        found = world.run("docker", "image", "inspect", "--format", "{{.Architecture}}", image).out.strip()
        assert found == architecture
