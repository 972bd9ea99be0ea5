"""One server for all attacks; each uses repositories of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Served, serve
from tests.threats.wire import Attacker, make_key
from tests.threats.world import World

OTHER_ACCOUNT = "111111111111"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers, so that what is proven holds across processes."""
    directory: Path = tmp_path_factory.mktemp("threats")
    with serve(directory, "--workers", "2") as server:
        yield server


@pytest.fixture(scope="session")
def owner(served: Served) -> Attacker:
    """The root of the default account."""
    return Attacker(served, served.credentials)


@pytest.fixture(scope="session")
def stranger(served: Served) -> Attacker:
    """The root of another account of the same server, at its own registry."""
    key = make_key(served, OTHER_ACCOUNT)
    return Attacker(served, key, f"{OTHER_ACCOUNT}.dkr.ecr.us-east-1.localhost")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module: nothing of what they do leaves a trace."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()
