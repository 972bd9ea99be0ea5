"""Imports only go down: the contracts in ``pyproject.toml`` hold."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.source import ROOT, modules


def lint(directory: Path, configuration: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as CI does."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--config", configuration, "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_only_go_down() -> None:
    """No module imports from a layer above it or beside it, and rules and domain stay pure."""
    result = lint(ROOT, ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout


def test_an_import_that_goes_up_is_found(tmp_path: Path) -> None:
    """The linter really looks: with the layers upside down it complains."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    turned = tmp_path / ".importlinter"
    listed = "\n    ".join(reversed(layers))
    turned.write_text(
        "[importlinter]\nroot_package = moorage\n"
        f"[importlinter:contract:turned]\nname = turned\ntype = layers\nlayers =\n    {listed}\n"
    )
    assert lint(ROOT, turned).returncode != 0


def test_every_package_has_a_layer() -> None:
    """A new package cannot stand outside the contract."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {
        layer.strip()
        for line in project["tool"]["importlinter"]["contracts"][0]["layers"]
        for layer in line.split("|")
    }
    files = [module.name.removeprefix("src/moorage/").split("/")[0] for module in modules("src/moorage")]
    packages = {f"moorage.{name.removesuffix('.py')}" for name in files} - {
        "moorage.__init__",
        "moorage.__main__",
    }
    assert packages == named
