"""Amazon's credential helper, unchanged: it finds account, region and endpoint in the host name alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.worlds import REGISTRY, World

pytestmark = [pytest.mark.clients, pytest.mark.parametrize("world", ["tls"], indirect=True)]


@pytest.fixture
def helped(world: World, tmp_path: Path) -> World:
    """A user who never signs in: docker's configuration names the helper for this registry."""
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {REGISTRY: "ecr-login"}}))
    settings = {
        "DOCKER_CONFIG": str(tmp_path),
        "REGISTRY_AUTH_FILE": str(tmp_path / "config.json"),
        "AWS_ECR_CACHE_DIR": str(tmp_path / "cache"),
    }
    return replace(world, environment=world.environment | settings)


def test_the_helper_answers_with_a_registry_password(helped: World) -> None:
    """Asked for the registry, it gets a token for user AWS."""
    answer = helped.run("docker-credential-ecr-login", "get", stdin=REGISTRY).json
    assert answer["Username"] == "AWS"
    assert len(answer["Secret"]) > 0


def test_docker_pushes_and_pulls_when_only_the_helper_knows_the_password(
    helped: World, repository: str, rootfs: Path
) -> None:
    """docker asks the helper before it pushes and pulls."""
    image = f"{repository}:v1"
    helped.run("docker", "import", rootfs, image)
    helped.run("docker", "push", image)
    helped.run("docker", "image", "rm", image)
    helped.run("docker", "pull", image)


def test_crane_pushes_when_only_the_helper_knows_the_password(
    helped: World, repository: str, rootfs: Path
) -> None:
    """crane reads the same configuration."""
    helped.run("crane", "append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    assert helped.run("crane", "ls", repository).out.split() == ["v1"]


def test_skopeo_lists_tags_when_only_the_helper_knows_the_password(
    helped: World, repository: str, rootfs: Path
) -> None:
    """skopeo asks the helper that its authentication file names."""
    helped.run("crane", "append", "--new_layer", rootfs, "--new_tag", f"{repository}:v1")
    assert helped.run("skopeo", "list-tags", f"docker://{repository}").json["Tags"] == ["v1"]
