"""How ``moorage doctor`` shows what it found."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from moorage.cli.checks import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def show(findings: Iterable[Finding]) -> None:
    """Print findings, in colour on a terminal."""
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        console.print(describe(finding))


def describe(finding: Finding) -> str:
    """A finding as a line of rich markup, with its advice on a second one."""
    colour = _COLOURS[finding.status]
    line = f"[{colour}]{finding.status:4}[/{colour}]  {finding.subject}: {escape(finding.text)}"
    return f"{line}\n      {escape(finding.advice)}" if finding.advice else line
