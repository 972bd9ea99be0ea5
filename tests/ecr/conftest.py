"""A fresh server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ecr.driver import Driver


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """A server without repositories."""
    made = Driver(tmp_path)
    yield made
    made.close()
