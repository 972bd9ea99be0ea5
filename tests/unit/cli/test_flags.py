"""Flags become settings, and wrong settings become one line each."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from moorage.cli import configuration, flags
from moorage.config import Settings


@pytest.fixture
def program() -> typer.Typer:
    """A program with one command that shows its settings."""
    application = typer.Typer()
    configuration.register(application)
    return application


def run(program: typer.Typer, *arguments: str, **environment: str) -> dict[str, object]:
    result = CliRunner().invoke(program, arguments, env=environment)
    assert result.exit_code == 0, result.output
    shown: dict[str, object] = json.loads(result.stdout)
    return shown


def refusal(program: typer.Typer, *arguments: str) -> list[str]:
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 2
    return result.stderr.splitlines()


def test_a_flag_beats_the_environment_which_beats_the_file(program: typer.Typer, tmp_path: Path) -> None:
    """The nearer to the user, the stronger."""
    file = tmp_path / "moorage.toml"
    file.write_text('region = "eu-west-1"\naccount_id = "111111111111"\nworkers = 1\n')
    shown = run(
        program,
        *("--config", str(file), "--region", "eu-west-3"),
        MOORAGE_REGION="eu-west-2",
        MOORAGE_ACCOUNT_ID="222222222222",
    )
    assert (shown["region"], shown["account_id"], shown["workers"]) == ("eu-west-3", "222222222222", 1)


def test_listen_may_be_repeated(program: typer.Typer) -> None:
    """Each adds an address."""
    shown = run(program, "--listen", "127.0.0.1:1", "--listen", "[::1]:1")
    assert shown["listen"] == ["127.0.0.1:1", "[::1]:1"]


def test_secrets_are_not_shown(program: typer.Typer) -> None:
    """Only that they are set."""
    shown = run(program, MOORAGE_METRICS_TOKEN="hush")
    assert shown["metrics_token"] == configuration.HIDDEN
    assert shown["root_secret_access_key"] == ""


def test_the_schema_names_every_setting(program: typer.Typer) -> None:
    """With the same names as the settings themselves."""
    schema = run(program, "--schema")
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--database", "postgresql://u:hush@h/d"], "moorage: database: postgresql:// is not built yet"),
        (["--storage", "s3://hush"], "moorage: storage: s3:// is not built yet"),
        (["--account-id", "12"], "moorage: account_id: "),
        (["--tls-cert", "a"], "moorage: tls_cert and tls_key go together"),
        (["--config", "/nowhere/moorage.toml"], "moorage: /nowhere/moorage.toml cannot be read"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(program: typer.Typer, arguments: list[str], sentence: str) -> None:
    """No traceback, no value that may be a secret, exit code 2."""
    lines = refusal(program, *arguments)
    assert len(lines) == 1
    assert lines[0].startswith(sentence)
    assert "hush" not in lines[0]


def test_every_wrong_setting_gets_its_own_line(program: typer.Typer) -> None:
    """The user corrects all of them at once."""
    assert len(refusal(program, "--account-id", "12", "--region", "x")) == 2


def test_a_file_that_is_not_toml_is_named(program: typer.Typer, tmp_path: Path) -> None:
    """With what the parser said."""
    file = tmp_path / "moorage.toml"
    file.write_text("region = ")
    assert "is not TOML" in refusal(program, "--config", str(file))[0]


def test_every_flag_is_a_setting() -> None:
    """A flag that sets nothing would be a lie."""
    assert set(flags._FLAGS) <= set(Settings.model_fields)
