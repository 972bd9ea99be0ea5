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


def test_listen_in_the_environment_has_commas(program: typer.Typer) -> None:
    """As everywhere else where one variable holds several addresses."""
    shown = run(program, MOORAGE_LISTEN="127.0.0.1:1,[::1]:1")
    assert shown["listen"] == ["127.0.0.1:1", "[::1]:1"]


def test_hosts_in_the_environment_are_json(program: typer.Typer) -> None:
    """Each names the registry that it stands for."""
    hosts = {"registry.example": "123456789012/eu-west-1"}
    assert run(program, MOORAGE_HOSTS=json.dumps(hosts))["hosts"] == hosts


def test_quotas_are_set_one_by_one(program: typer.Typer, tmp_path: Path) -> None:
    """One in the environment leaves those of the file as they are."""
    file = tmp_path / "moorage.toml"
    file.write_text("[quotas]\nrepositories = 5\nlayer_parts = 6\n")
    quotas = run(program, "--config", str(file), MOORAGE_QUOTAS__LAYER_PARTS="7")["quotas"]
    assert isinstance(quotas, dict)
    assert (quotas["repositories"], quotas["layer_parts"], quotas["tags_per_image"]) == (5, 7, 1000)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MOORAGE_HOSTS", "hush", 'moorage: environment: error parsing value for field "hosts"'),
        ("MOORAGE_HOSTS", '{"a.example": "hush"}', "moorage: hosts.a.example: "),
        ("MOORAGE_LISTEN", "", "moorage: listen: at least one address is needed"),
    ],
)
def test_a_wrong_variable_is_told_in_one_line(
    program: typer.Typer, name: str, value: str, sentence: str
) -> None:
    """No traceback and no value of it."""
    result = CliRunner().invoke(program, [], env={name: value})
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(sentence)
    assert "hush" not in line


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
        (["--database", "u:hush@h/d"], "moorage: database: postgresql://… is needed, or nothing for SQLite"),
        (["--storage", "hush"], "moorage: storage: another blob store is not built yet"),
        (["--storage", "s3://hush"], "moorage: storage: s3:// is not built yet"),
        (["--account-id", "12"], "moorage: account_id: twelve digits are needed"),
        (["--region", "x"], "moorage: region: a region such as eu-central-1 is needed"),
        (["--registry-host", "{foo}"], "moorage: registry_host: a host name, with {account} and {region}"),
        (["--listen", "nowhere"], "moorage: listen: 'nowhere' is not of the form host:port"),
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


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MOORAGE_LISTN", "; did you mean MOORAGE_LISTEN?"),
        ("moorage_data_directory", "; did you mean MOORAGE_DATA_DIR?"),
        ("MOORAGE_COLOUR_OF_THE_BOAT", ""),
    ],
)
def test_a_mistyped_variable_is_told_of(program: typer.Typer, name: str, hint: str) -> None:
    """Otherwise the server would run with a default that nobody wanted, and nobody would know."""
    result = CliRunner().invoke(program, [], env={name: "1"})
    assert result.exit_code == 0
    assert f"warning: the environment variable {name} is no setting and is ignored{hint}\n" in result.stderr


@pytest.mark.parametrize("name", ["MOORAGE_SERVICE_HOST", "MOORAGE_PORT_5050_TCP_ADDR", "MOORAGE_REGION"])
def test_variables_of_kubernetes_and_settings_are_not_told_of(program: typer.Typer, name: str) -> None:
    """A pod beside a service called moorage has the former in its environment."""
    assert name not in CliRunner().invoke(program, [], env={name: "eu-west-1"}).stderr


def test_a_command_may_take_the_flags_of_some_settings_only() -> None:
    """What a command does not look at would only mislead in its help."""
    application = typer.Typer()
    application.command("one")(flags.with_settings(lambda settings: None, "region"))
    text = CliRunner().invoke(application, ["--help"], env={"COLUMNS": "200"}).output
    assert "--region" in text
    assert "--workers" not in text
