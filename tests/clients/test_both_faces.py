"""One image through two faces: pushed by the JSON API and pulled by docker, and the other way round."""

import hashlib
import random
from pathlib import Path

import msgspec
import pytest

from tests.clients.images import Layout
from tests.clients.worlds import World

pytestmark = pytest.mark.clients

MEBIBYTE = 1024 * 1024
PART = 5 * MEBIBYTE


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An OCI layout with ``large``, an image whose layer does not get smaller by compression."""
    layout = Layout(tmp_path_factory.mktemp("large") / "layout")
    content = random.Random(7).randbytes(PART + MEBIBYTE)
    layout.tag("large", layout.image("amd64", {"srv/content": content}))
    return layout


def test_docker_pulls_a_layer_that_was_uploaded_in_parts(
    world: World, repository: str, large: Layout, tmp_path: Path
) -> None:
    """Layers and manifest come from the AWS CLI alone; docker checks every digest."""
    name = repository.removeprefix(f"{world.registry}/")
    manifest = large.manifest("large")
    for blob in (manifest["config"], *manifest["layers"]):
        _upload(world, name, large.file(blob["digest"]), tmp_path)
    text = f"file://{large.file(large.digest('large'))}"
    answer = world.ecr(
        "put-image", "--repository-name", name, "--image-tag", "v1", "--image-manifest", text
    ).json
    assert answer["image"]["imageId"]["imageDigest"] == large.digest("large")
    world.sign_docker_in()
    world.run("docker", "pull", f"{repository}:v1")
    identity = world.run("docker", "image", "inspect", "--format", "{{.Id}}", f"{repository}:v1").out.strip()
    assert identity == manifest["config"]["digest"]


def _upload(world: World, repository: str, file: Path, directory: Path) -> None:
    """Upload a blob part by part, as the reference of the API shows."""
    named = ("--repository-name", repository)
    upload = world.ecr("initiate-layer-upload", *named).json["uploadId"]
    content, part = file.read_bytes(), directory / "part"
    for first in range(0, len(content), PART):
        part.write_bytes(content[first : first + PART])
        last = min(first + PART, len(content)) - 1
        place = ("--part-first-byte", str(first), "--part-last-byte", str(last))
        sent = world.ecr(
            "upload-layer-part", *named, "--upload-id", upload, *place, "--layer-part-blob", f"fileb://{part}"
        )
        assert sent.json["lastByteReceived"] == last
    digest = f"sha256:{file.name}"
    world.ecr("complete-layer-upload", *named, "--upload-id", upload, "--layer-digests", digest)


def test_curl_downloads_the_layer_that_docker_pushed(
    world: World, repository: str, rootfs: Path, tmp_path: Path
) -> None:
    """The manifest from BatchGetImage names the layer, the URL needs no login, and a range is a part of it."""
    world.sign_docker_in()
    world.run("docker", "import", rootfs, f"{repository}:v1")
    world.run("docker", "push", f"{repository}:v1")
    named = ("--repository-name", repository.removeprefix(f"{world.registry}/"))
    image = world.ecr("batch-get-image", *named, "--image-ids", "imageTag=v1").json["images"][0]
    layer = msgspec.json.decode(image["imageManifest"])["layers"][0]["digest"]
    url = world.ecr("get-download-url-for-layer", *named, "--layer-digest", layer).json["downloadUrl"]
    world.run("curl", "--disable", "--fail", "--silent", "--output", tmp_path / "whole", url)
    world.run("curl", "--disable", "--fail", "--silent", "--range", "10-29", "--output", tmp_path / "part", url)
    whole = (tmp_path / "whole").read_bytes()
    assert f"sha256:{hashlib.sha256(whole).hexdigest()}" == layer
    assert (tmp_path / "part").read_bytes() == whole[10:30]
