"""Helm: charts as OCI artifacts."""

from pathlib import Path

import pytest

from tests.clients.worlds import World

pytestmark = pytest.mark.clients

CHART = "apiVersion: v2\nname: moored\nversion: 1.2.3\ndescription: A chart of one note.\n"


@pytest.fixture(scope="module", autouse=True)
def signed_in(world: World) -> None:
    """helm registry login with a password of the AWS CLI."""
    flags = world.when_plain("--plain-http")
    login = ("helm", "registry", "login", *flags, "--username", "AWS", "--password-stdin", world.registry)
    world.run(*login, stdin=world.password())


@pytest.fixture(scope="module")
def charts(world: World) -> str:
    """Where charts are pushed to: helm adds the name of the chart, and that repository has to exist."""
    world.create("charts/moored")
    return f"oci://{world.registry}/charts"


@pytest.fixture
def package(world: World, tmp_path: Path) -> Path:
    """A packaged chart."""
    chart = tmp_path / "moored"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(CHART)
    (chart / "templates/NOTES.txt").write_text("moored\n")
    world.run("helm", "package", chart, "--destination", tmp_path)
    return tmp_path / "moored-1.2.3.tgz"


def test_helm_pulls_the_chart_it_pushed(world: World, charts: str, package: Path, tmp_path: Path) -> None:
    """A packaged chart comes back byte for byte."""
    flags = world.when_plain("--plain-http")
    world.run("helm", "push", *flags, package, charts)
    (tmp_path / "out").mkdir()
    world.run(
        "helm", "pull", *flags, f"{charts}/moored", "--version", "1.2.3", "--destination", tmp_path / "out"
    )
    assert (tmp_path / "out/moored-1.2.3.tgz").read_bytes() == package.read_bytes()


def test_helm_shows_the_newest_chart_when_no_version_is_given(world: World, charts: str, package: Path) -> None:
    """Without a version, helm lists the tags and takes the highest."""
    flags = world.when_plain("--plain-http")
    world.run("helm", "push", *flags, package, charts)
    assert "version: 1.2.3" in world.run("helm", "show", "chart", *flags, f"{charts}/moored").out
