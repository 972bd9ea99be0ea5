"""A data directory, and the program run on it as a user types it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from moorage import wiring
from moorage.cli.main import application
from moorage.config import Settings
from moorage.metadata.database import Database
from tests.support.database import fresh_file

AWS_PULL = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"


class Program:
    """``moorage`` on a data directory that a server was started on."""

    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir)
        fresh_file(data_dir)
        wiring.prepare(self.settings)
        #: All that was ever printed.
        self.printed: list[str] = []

    def invoke(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """Run a command, whatever comes of it."""
        place = ("--data-dir", str(self.settings.data_dir))
        result = CliRunner().invoke(application, [*arguments, *place], input=stdin, env=environment)
        self.printed.append(result.output)
        return result

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """What a command that succeeds prints."""
        result = self.invoke(*arguments, stdin=stdin, **environment)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return str(result.stdout)

    def json(self, *arguments: str, stdin: str = "", **environment: str) -> Any:
        """The JSON that a command that succeeds prints."""
        return json.loads(self.run(*arguments, "--output", "json", stdin=stdin, **environment))

    def refusal(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """What a command that is refused says; nothing else is printed."""
        result = self.invoke(*arguments, stdin=stdin, **environment)
        assert (result.exit_code, result.stdout) == (1, "")
        return str(result.stderr)

    def misuse(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """What a command says that was typed wrongly."""
        result = self.invoke(*arguments, stdin=stdin, **environment)
        assert (result.exit_code, result.stdout) == (2, "")
        return str(result.stderr)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database, as a running server has it."""
        with wiring.office(self.settings) as desk:
            yield desk.database
