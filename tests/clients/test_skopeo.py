"""skopeo: images in and out of the registry without an engine."""

import uuid
from pathlib import Path

import msgspec
import pytest

from tests.clients.command import CommandFailed, Ran
from tests.clients.images import Layout
from tests.clients.worlds import World

pytestmark = pytest.mark.clients


class Skopeo:
    """skopeo with the flags that a world asks for."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, verb: str, *argv: str) -> Ran:
        """A verb about one registry."""
        return self.world.run("skopeo", verb, *self.world.when_plain("--tls-verify=false"), *argv)

    def push(self, *argv: str) -> Ran:
        """Copy into the registry."""
        flags = self.world.when_plain("--dest-tls-verify=false")
        return self.world.run("skopeo", "copy", *flags, *argv)

    def pull(self, *argv: str) -> Ran:
        """Copy out of the registry."""
        return self.world.run("skopeo", "copy", *self.world.when_plain("--src-tls-verify=false"), *argv)

    def raw(self, image: str) -> bytes:
        """The bytes of a manifest."""
        return self.run("inspect", "--raw", f"docker://{image}").out.encode()


@pytest.fixture(scope="module")
def skopeo(world: World) -> Skopeo:
    """skopeo, signed in."""
    flags = world.when_plain("--tls-verify=false")
    login = ("skopeo", "login", *flags, "--username", "AWS", "--password-stdin", world.registry)
    world.run(*login, stdin=world.password())
    return Skopeo(world)


def test_skopeo_copies_out_what_it_copied_in(
    skopeo: Skopeo, repository: str, layout: Layout, tmp_path: Path
) -> None:
    """An image goes in and comes out under the same digest."""
    skopeo.push(f"oci:{layout.path}:single", f"docker://{repository}:v1")
    skopeo.pull(f"docker://{repository}:v1", f"oci:{tmp_path}/out:v1")
    index = msgspec.json.decode((tmp_path / "out/index.json").read_bytes())
    assert index["manifests"][0]["digest"] == layout.digest("single")


def test_skopeo_copies_every_architecture_when_told_to(
    skopeo: Skopeo, repository: str, layout: Layout, tmp_path: Path
) -> None:
    """An index keeps its bytes, and each of its images can be had."""
    skopeo.push("--all", f"oci:{layout.path}:multi", f"docker://{repository}:multi")
    assert skopeo.raw(f"{repository}:multi") == layout.read(layout.digest("multi"))
    skopeo.pull("--all", f"docker://{repository}:multi", f"dir:{tmp_path}")
    assert len(list(tmp_path.glob("*.manifest.json"))) == 2


def test_skopeo_inspects_the_image_of_one_architecture(skopeo: Skopeo, repository: str, layout: Layout) -> None:
    """From an index, the image of the architecture asked for is chosen."""
    skopeo.push("--all", f"oci:{layout.path}:multi", f"docker://{repository}:multi")
    arm64 = ("--override-arch", "arm64", "--override-os", "linux")
    flags = skopeo.world.when_plain("--tls-verify=false")
    found = skopeo.world.run("skopeo", *arm64, "inspect", *flags, f"docker://{repository}:multi").json
    assert (found["Architecture"], found["RepoTags"]) == ("arm64", ["multi"])


def test_skopeo_lists_tags_in_order(skopeo: Skopeo, repository: str, layout: Layout) -> None:
    """Tags come sorted, whatever the order of the pushes."""
    for tag in ("v2", "latest", "v10"):
        skopeo.push(f"oci:{layout.path}:single", f"docker://{repository}:{tag}")
    assert skopeo.run("list-tags", f"docker://{repository}").json["Tags"] == ["latest", "v10", "v2"]


def test_skopeo_finds_nothing_after_it_deleted_the_image(
    skopeo: Skopeo, repository: str, layout: Layout
) -> None:
    """Deleting an image takes its tag with it."""
    skopeo.push(f"oci:{layout.path}:single", f"docker://{repository}:v1")
    skopeo.run("delete", f"docker://{repository}:v1")
    with pytest.raises(CommandFailed, match=r"manifest unknown|MANIFEST_UNKNOWN|does not exist"):
        skopeo.raw(f"{repository}:v1")


def test_skopeo_pulls_zstd_layers_it_pushed(skopeo: Skopeo, repository: str, tmp_path: Path) -> None:
    """Layers compressed with zstd keep their media type and come back."""
    source = _uncompressed(skopeo, tmp_path)
    skopeo.push("--dest-compress-format=zstd", f"dir:{source}", f"docker://{repository}:zstd")
    manifest = msgspec.json.decode(skopeo.raw(f"{repository}:zstd"))
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"
    skopeo.pull(f"docker://{repository}:zstd", f"oci:{tmp_path}/out:zstd")


def test_skopeo_copies_from_one_repository_to_another(skopeo: Skopeo, repository: str, layout: Layout) -> None:
    """A copy within the registry mounts the layers and keeps the digest."""
    skopeo.push(f"oci:{layout.path}:single", f"docker://{repository}:v1")
    name = repository.removeprefix(f"{skopeo.world.registry}/")
    other = skopeo.world.create(f"{name}-copied")
    flags = skopeo.world.when_plain("--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo.world.run("skopeo", "copy", *flags, f"docker://{repository}:v1", f"docker://{other}:v1")
    assert skopeo.raw(f"{other}:v1") == layout.read(layout.digest("single"))


def _uncompressed(skopeo: Skopeo, directory: Path) -> Path:
    """An image never seen before, its layer uncompressed: skopeo compresses neither what is compressed nor what
    it remembers to have compressed.
    """
    layout = Layout(directory / "layout")
    layout.tag("fresh", layout.image("amd64", {"etc/id": uuid.uuid4().bytes * 100}))
    target = directory / "uncompressed"
    skopeo.world.run("skopeo", "copy", "--dest-decompress", f"oci:{layout.path}:fresh", f"dir:{target}")
    return target
