"""``moorage doctor``: looks at what a server needs and says what to do where it is not so."""

import typer

from moorage.cli.flags import with_settings
from moorage.config import Settings


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("doctor")(with_settings(examine))


def examine(settings: Settings) -> None:
    """Check what a server needs; exit code 1 when something fails."""
    # What it looks with, and how it shows what it found, no other command needs.
    from moorage.cli.checks import CHECKS
    from moorage.cli.findings import show

    findings = [check(settings) for check in CHECKS]
    show(findings)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)
