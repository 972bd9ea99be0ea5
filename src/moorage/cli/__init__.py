"""The command line: argument parsing only. Each module of this package is one command or group of them."""

from moorage.cli.main import main

__all__ = ["main"]
