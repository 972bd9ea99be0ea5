"""One server that fails on order for all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.faults.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server, ended whatever happens."""
    made = World(tmp_path_factory.mktemp("faults"))
    yield made
    made.victim.end()
