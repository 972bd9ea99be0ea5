"""One server that fails on order for all tests of a process, and disks where they can be had."""

import os
from collections.abc import Iterator

import pytest

from tests.durability.power import EXCUSE, NOT_RUN, check, may_mount
from tests.faults.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server, ended whatever happens."""
    made = World(tmp_path_factory.mktemp("faults"))
    yield made
    made.end()


@pytest.fixture(scope="session")
def loop_mounts() -> None:
    """Disks can be made here. Raises ``LoopMountsForbidden``."""
    check()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs disks where an environment variable says that this machine cannot."""
    needy = [item for item in items if "loop_mounts" in getattr(item, "fixturenames", ())]
    if needy and is_excused():
        config.hook.pytest_deselected(items=needy)
        items[:] = [item for item in items if item not in needy]


def is_excused() -> bool:
    """Whether disks are not to be had, and that is no failure."""
    if os.environ.get(EXCUSE) != "1":
        return False
    return not may_mount()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last word, after everything else, also where other processes ran the tests."""
    if is_excused():
        terminalreporter.section(f"disks: {NOT_RUN}")
