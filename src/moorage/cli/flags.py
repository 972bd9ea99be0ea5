"""The flags that every command on a server's settings takes, and how wrong settings are told."""

import inspect
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pydantic
import pydantic_settings
import typer
from typer.core import TyperCommand

from moorage import config
from moorage.config import Settings

#: Exit code for settings or arguments that cannot be.
WRONG_USAGE = 2


def _flag(help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, show_default=False)


#: Parameter name, which is that of the setting, to its type on the command line.
_FLAGS: dict[str, Any] = {
    "data_dir": Annotated[Path | None, _flag("Directory of the database, the blobs and the keys.")],
    "listen": Annotated[list[str] | None, _flag("Address to listen on, host:port; may be repeated.")],
    "account_id": Annotated[str | None, _flag("Account of the default registry, twelve digits.")],
    "region": Annotated[str | None, _flag("Region of the default registry.")],
    "registry_host": Annotated[
        str | None, _flag("Template of registry host names, with {account} and {region}.")
    ],
    "workers": Annotated[int | None, _flag("Web worker processes; 0 means as many as cores, at most 4.")],
    "database": Annotated[str | None, _flag("URL of the metadata database.")],
    "storage": Annotated[str | None, _flag("URL of the blob store.")],
    "tls_cert": Annotated[Path | None, _flag("PEM file with the certificate chain.")],
    "tls_key": Annotated[Path | None, _flag("PEM file with the certificate's private key.")],
    "dev": Annotated[
        bool | None,
        _flag("Accept any credentials, create repositories on push; loopback only.", "--dev/--no-dev"),
    ],
    "dev_beyond_loopback": Annotated[
        bool | None,
        _flag(
            "Let --dev listen on addresses that others can reach.",
            "--dev-beyond-loopback/--no-dev-beyond-loopback",
        ),
    ],
    "log_level": Annotated[str | None, _flag("Least severe log level written.")],
}


class PlainUsage(TyperCommand):
    """A command whose usage says NAME where typer says {NAME}. The types of its context are private to typer."""

    def collect_usage_pieces(self, context: Any) -> list[str]:
        """What follows the command's name in the usage."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(context)]


def with_settings(command: Callable[..., None], *names: str) -> Callable[..., None]:
    """Give a command the flags of these settings, of all without any, and ``--config``.

    The command's first parameter gets the ``Settings``. Wrong settings end the program with a line each and exit
    code 2; a variable of the environment that is no setting is told of.
    """
    kinds = {name: _FLAGS[name] for name in names or _FLAGS}
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    file = inspect.Parameter(
        "config_file",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Path | None, _flag("TOML file with settings.", "--config")],
    )
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in kinds.items()
    ]

    def run(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in kinds}
        settings = load(given, arguments.pop("config_file"))
        command(settings, **arguments)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + [file, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = command.__doc__
    return run


def load(flags: dict[str, Any], file: Path | None) -> Settings:
    """The settings, or the end of the program with a sentence per wrong one."""
    for name, nearest in config.unknown_variables(os.environ):
        hint = f"; did you mean {nearest}?" if nearest else ""
        typer.echo(f"warning: the environment variable {name} is no setting and is ignored{hint}", err=True)
    try:
        return config.load({name: value for name, value in flags.items() if value not in (None, [])}, file)
    except pydantic.ValidationError as error:
        fail(*(describe(problem) for problem in error.errors()))
    except pydantic_settings.SettingsError as error:
        fail(f"environment: {error}")
    except tomllib.TOMLDecodeError as error:
        fail(f"{file} is not TOML: {error}")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")


#: What a setting must be, where the pattern that it has to match says it badly.
_FORMS = {
    "account_id": "twelve digits are needed",
    "region": "a region such as eu-central-1 is needed",
    "log_level": "debug, info, warning or error is needed",
    "audit_reads": "all, denied or off is needed",
}


def describe(problem: Any) -> str:
    """One wrong setting in one line, never with its value: that may be a secret."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    if problem["type"] == "string_pattern_mismatch" and name in _FORMS:
        return f"{name}: {_FORMS[name]}"
    text = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {text}" if name else text


def fail(*lines: str, code: int = WRONG_USAGE) -> NoReturn:
    """Say what is wrong and end the program."""
    for line in lines:
        typer.echo(f"moorage: {line}", err=True)
    raise typer.Exit(code)
