"""What the tests with real clients share: two worlds, repositories and images made here."""

import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.clients.boto import Boto, boto
from tests.clients.images import Layout, tar
from tests.clients.worlds import World, plain_world, scratch, tls_world

FILES = {"etc/motd": b"moored\n"}


class BySurroundings(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of one surroundings to the same process: nothing is started twice."""

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.partition("[")[2].rstrip("]").split("-")
        return next((name for name in ("plain", "tls") if name in parameters), "boto3")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySurroundings:
    """With ``-n 2`` the surroundings run beside each other."""
    return BySurroundings(config, log)


def pytest_configure() -> None:
    """SIGTERM ends the run as an interrupt does, so that servers and engines are stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session", params=["plain", "tls"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A server and the surroundings of its clients, over plain HTTP and over TLS; kept on disk after a failure."""
    directory = scratch()
    before = request.session.testsfailed
    make = plain_world if request.param == "plain" else tls_world
    with make(directory) as world:
        yield world
    if request.session.testsfailed == before:
        shutil.rmtree(directory)


@pytest.fixture
def repository(world: World, request: pytest.FixtureRequest) -> str:
    """A fresh repository named after the test: the registry, a slash, its name."""
    return world.create(f"clients/{request.node.originalname.replace('_', '-')}")


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An OCI layout with ``single``, an image of two layers, and ``multi``, an index of two architectures."""
    layout = Layout(tmp_path_factory.mktemp("images") / "layout")
    amd64 = layout.image("amd64", FILES, {"bin/tool": b"amd64" * 5000})
    arm64 = layout.image("arm64", FILES, {"bin/tool": b"arm64" * 5000})
    layout.tag("single", amd64)
    layout.tag("multi", layout.index(amd64=amd64, arm64=arm64))
    return layout


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar archive of a root file system, for ``docker import`` and ``crane append``."""
    path = tmp_path_factory.mktemp("rootfs") / "rootfs.tar"
    path.write_bytes(tar(FILES))
    return path


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boto]:
    """A server for boto3, which needs no world: it runs in the tests' own process."""
    with boto(tmp_path_factory.mktemp("boto3")) as clients:
        yield clients


@pytest.fixture(scope="session")
def ecr(python: Boto) -> Any:
    """boto3's client of the default registry."""
    return python.client()


@pytest.fixture
def boto_repository(ecr: Any) -> str:
    """The name of a fresh repository."""
    name = f"boto3/{uuid.uuid4().hex}"
    ecr.create_repository(repositoryName=name)
    return name
