"""A fresh registry for every test, from a database that is migrated once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.metadata.migrate import migrate_sqlite
from tests.oci.driver import Registry


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of this version's schema."""
    path = tmp_path_factory.mktemp("template") / "metadata.db"
    migrate_sqlite(path)
    return path


@pytest.fixture
def registry(tmp_path: Path, template: Path) -> Iterator[Registry]:
    """A registry with the repository ``team/app``."""
    made = Registry(tmp_path, template)
    made.create("team/app")
    yield made
    made.close()


@pytest.fixture
def quota_of_one(tmp_path: Path, template: Path) -> Iterator[Registry]:
    """A registry whose quotas all are one."""
    directory = tmp_path / "quota"
    directory.mkdir()
    ones = dict.fromkeys(("images_per_repository", "tags_per_image", "open_uploads"), 1)
    made = Registry(directory, template, quotas=ones)
    made.create("team/app")
    yield made
    made.close()
