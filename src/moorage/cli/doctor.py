"""``moorage doctor``: looks at what a server needs and says what to do where it is not so."""

import typer
from rich.console import Console
from rich.markup import escape

from moorage.cli.checks import CHECKS, Finding
from moorage.cli.flags import with_settings
from moorage.config import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("doctor")(with_settings(examine))


def examine(settings: Settings) -> None:
    """Check what a server needs; exit code 1 when something fails."""
    findings = [check(settings) for check in CHECKS]
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        console.print(describe(finding))
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)


def describe(finding: Finding) -> str:
    """A finding as a line of rich markup, with its advice on a second one."""
    colour = _COLOURS[finding.status]
    line = f"[{colour}]{finding.status:4}[/{colour}]  {finding.subject}: {escape(finding.text)}"
    return f"{line}\n      {escape(finding.advice)}" if finding.advice else line
