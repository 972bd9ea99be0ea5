"""What ``moorage version`` and ``moorage --version`` say."""

import pytest
from typer.testing import CliRunner

import moorage
from moorage.cli.main import application


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_shown_by_command_and_by_flag(arguments: list[str]) -> None:
    """Most programs have one or the other."""
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"moorage {moorage.__version__}\n")


def test_without_a_command_the_help_is_shown() -> None:
    """With what the program is for."""
    assert "Amazon ECR to its clients" in CliRunner().invoke(application, []).output
