"""An office for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.office import Office
from tests.support.scratch import scratch


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: nothing here is about a disk."""
    with scratch() as directory:
        yield directory


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A server with two repositories."""
    made = Office(tmp_path)
    yield made
    made.driver.close()
