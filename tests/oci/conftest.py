"""A fresh registry for every test, from a database that is migrated once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oci.driver import Registry
from tests.support.scratch import scratch


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory, but for uploads: how their bytes are written depends on the disk."""
    if request.path.name == "test_uploads.py":
        yield tmp_path_factory.mktemp("registry")
    else:
        with scratch() as directory:
            yield directory


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry with the repository ``team/app``."""
    made = Registry(tmp_path)
    made.create("team/app")
    yield made
    made.close()


@pytest.fixture
def quota_of_one(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose quotas all are one."""
    directory = tmp_path / "quota"
    directory.mkdir()
    ones = dict.fromkeys(("images_per_repository", "tags_per_image", "open_uploads"), 1)
    made = Registry(directory, quotas=ones)
    made.create("team/app")
    yield made
    made.close()
