"""A fresh server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ecr.driver import Driver
from tests.support.scratch import scratch


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: nothing here is about a disk."""
    with scratch() as directory:
        yield directory


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """A server without repositories."""
    made = Driver(tmp_path)
    yield made
    made.close()
