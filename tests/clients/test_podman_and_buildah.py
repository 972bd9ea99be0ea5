"""podman and buildah: build from nothing, push, pull."""

import uuid
from pathlib import Path

import msgspec
import pytest

from tests.clients.command import Ran
from tests.clients.worlds import World

pytestmark = pytest.mark.clients


class Builder:
    """podman or buildah, with storage of its own and the flags that a world asks for."""

    def __init__(self, world: World, program: str) -> None:
        self.world = world
        self.program = program
        root = world.directory / program
        self.storage = (f"--root={root}/root", f"--runroot={root}/run", "--storage-driver=vfs")

    def run(self, verb: str, *argv: str | Path, stdin: str = "") -> Ran:
        """A verb that stays on this machine."""
        return self.world.run(self.program, *self.storage, verb, *argv, stdin=stdin)

    def reach(self, verb: str, *argv: str, stdin: str = "") -> Ran:
        """A verb that talks to the registry."""
        return self.run(verb, *self.world.when_plain("--tls-verify=false"), *argv, stdin=stdin)


@pytest.fixture(scope="module", params=["podman", "buildah"])
def builder(world: World, request: pytest.FixtureRequest) -> Builder:
    """Each of the two, signed in."""
    builder = Builder(world, request.param)
    builder.reach("login", "--username", "AWS", "--password-stdin", world.registry, stdin=world.password())
    return builder


@pytest.fixture
def repository(world: World, builder: Builder, request: pytest.FixtureRequest) -> str:
    """A fresh repository named after the test and the program."""
    name = request.node.originalname.replace("_", "-")
    return world.create(f"clients/{builder.program}/{name}")


@pytest.fixture
def built(builder: Builder, repository: str, tmp_path: Path) -> str:
    """An image built from scratch with one file."""
    (tmp_path / "motd").write_text(f"{uuid.uuid4()}\n")  # new contents: known layers keep their compression
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY motd /etc/motd\nLABEL made=here\n")
    image = f"{repository}:v1"
    builder.run("build", "--isolation=chroot", "--tag", image, tmp_path)
    return image


def test_a_built_image_is_pulled_after_it_was_pushed(builder: Builder, built: str) -> None:
    """The configuration that comes back is the one that was built."""
    builder.reach("push", built)
    builder.run("rmi", built)
    builder.reach("pull", built)
    text = builder.run("inspect", "--type=image", built).out
    assert '"made": "here"' in text


def test_a_push_writes_the_digest_that_the_registry_serves(
    builder: Builder, built: str, repository: str, tmp_path: Path
) -> None:
    """The digest that push reports can be pulled."""
    builder.reach("push", f"--digestfile={tmp_path}/digest", built)
    builder.reach("pull", f"{repository}@{(tmp_path / 'digest').read_text()}")


def test_zstd_layers_are_pulled_after_they_were_pushed(builder: Builder, built: str) -> None:
    """Layers compressed with zstd come back."""
    builder.reach("push", "--compression-format=zstd", built)
    builder.run("rmi", built)
    builder.reach("pull", built)
    assert "zstd" in _manifest(builder, built)["layers"][0]["mediaType"]


def test_a_manifest_list_is_pushed_with_every_image(builder: Builder, built: str, repository: str) -> None:
    """An index of locally built images arrives with them."""
    listed = f"{repository}:list"
    builder.run("manifest", "create", listed, f"containers-storage:{built}")
    flags = builder.world.when_plain("--tls-verify=false")
    builder.run("manifest", "push", "--all", *flags, listed, f"docker://{listed}")
    assert len(_manifest(builder, listed)["manifests"]) == 1


def _manifest(builder: Builder, image: str) -> dict[str, list[dict[str, str]]]:
    flags = builder.world.when_plain("--tls-verify=false")
    raw = builder.world.run("skopeo", "inspect", *flags, "--raw", f"docker://{image}").out
    return msgspec.json.decode(raw, type=dict)
