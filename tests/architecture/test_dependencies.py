"""The page about dependencies names exactly what ``pyproject.toml`` asks for."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/dependencies.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = {"hatchling", "editables"}


def names(requirements: list[str]) -> set[str]:
    """The package names of requirements."""
    return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower() for requirement in requirements}


def table(heading: str) -> set[str]:
    """What the first column of the table under ``heading`` names."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")][2:]
    return {name.strip() for cell in cells for name in cell.split(",")}


def locked(file: str) -> set[str]:
    """The package names of a lock file."""
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / file).read_text(), re.MULTILINE))


def test_every_runtime_dependency_has_a_reason() -> None:
    """No dependency without a reason, no reason without a dependency."""
    assert table("To run") == names(PROJECT["dependencies"])


def test_every_development_dependency_has_a_reason() -> None:
    """The same for what only developers install."""
    assert table("To develop") == names(PROJECT["optional-dependencies"]["dev"]) | BUILD


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("requirements.txt", names(PROJECT["dependencies"]) | BUILD),
        ("requirements-dev.txt", names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])),
    ],
)
def test_the_lock_holds_every_dependency(file: str, asked: set[str]) -> None:
    """What is asked for is locked."""
    assert asked <= locked(file)


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_names_no_address(file: str) -> None:
    """A lock holds versions and hashes, so that any index and any mirror serves it."""
    lines = (ROOT / file).read_text().splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []
