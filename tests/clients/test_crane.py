"""crane, of go-containerregistry."""

from pathlib import Path

import pytest

from tests.clients.command import CommandFailed, Ran
from tests.clients.images import Layout
from tests.clients.worlds import World

pytestmark = pytest.mark.clients


class Crane:
    """crane with the flags that a world asks for."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, *argv: str | Path, stdin: str = "") -> Ran:
        """Any verb."""
        return self.world.run("crane", *argv, *self.world.when_plain("--insecure"), stdin=stdin)

    def digest(self, image: str) -> str:
        """The digest of an image, from a HEAD request."""
        return self.run("digest", image).out.strip()


@pytest.fixture(scope="module")
def crane(world: World) -> Crane:
    """crane, signed in."""
    client = Crane(world)
    client.run("auth", "login", "--username", "AWS", "--password-stdin", world.registry, stdin=world.password())
    return client


def test_crane_reads_the_file_it_appended(crane: Crane, repository: str, rootfs: Path, tmp_path: Path) -> None:
    """A layer appended to nothing is an image whose files can be exported."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    crane.run("export", f"{repository}:v1", tmp_path / "out.tar")
    assert b"moored\n" in (tmp_path / "out.tar").read_bytes()


def test_crane_pushes_a_layout_and_pulls_it_again(
    crane: Crane, repository: str, layout: Layout, rootfs: Path, tmp_path: Path
) -> None:
    """An image saved as an OCI layout and pushed again keeps its digest."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    crane.run("pull", "--format=oci", f"{repository}:v1", tmp_path / "layout")
    crane.run("push", tmp_path / "layout", f"{repository}:v2")
    assert crane.digest(f"{repository}:v2") == crane.digest(f"{repository}:v1")


def test_crane_builds_an_index_of_two_images(crane: Crane, repository: str, rootfs: Path) -> None:
    """An index names the images it was made of."""
    digests = set()
    for tag in ("a", "b"):
        crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:{tag}")
        crane.run("mutate", "--label", f"made={tag}", "--tag", f"{repository}:{tag}", f"{repository}:{tag}")
        digests.add(crane.digest(f"{repository}:{tag}"))
    manifests = [flag for tag in ("a", "b") for flag in ("--manifest", f"{repository}:{tag}")]
    crane.run("index", "append", *manifests, "--tag", f"{repository}:multi")
    found = crane.run("manifest", f"{repository}:multi").json["manifests"]
    assert {entry["digest"] for entry in found} == digests


def test_crane_lists_every_tag_it_set(crane: Crane, repository: str, rootfs: Path) -> None:
    """A tag added to an image is listed next to the first one."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    crane.run("tag", f"{repository}:v1", "latest")
    assert crane.run("ls", repository).out.split() == ["latest", "v1"]


def test_crane_finds_nothing_after_it_deleted_the_image(crane: Crane, repository: str, rootfs: Path) -> None:
    """An image deleted by digest is gone with its tag."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    crane.run("delete", f"{repository}@{crane.digest(f'{repository}:v1')}")
    with pytest.raises(CommandFailed, match=r"404|MANIFEST_UNKNOWN"):
        crane.digest(f"{repository}:v1")


def test_crane_copies_between_repositories(crane: Crane, repository: str, rootfs: Path) -> None:
    """A copy keeps the digest."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    name = repository.removeprefix(f"{crane.world.registry}/")
    other = crane.world.create(f"{name}-copied")
    crane.run("copy", f"{repository}:v1", f"{other}:v1")
    assert crane.digest(f"{other}:v1") == crane.digest(f"{repository}:v1")


def test_crane_validates_what_it_pushed(crane: Crane, repository: str, rootfs: Path) -> None:
    """crane's own check of digests, sizes and contents finds nothing wrong."""
    crane.run("append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    assert "PASS" in crane.run("validate", "--remote", f"{repository}:v1").out
