"""The program on a data directory of its own for each test."""

from pathlib import Path

import pytest

from tests.unit.cli.identities import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A server's data directory, with the root of the default account."""
    return Program(tmp_path)
