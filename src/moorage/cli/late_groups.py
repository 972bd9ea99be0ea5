"""The groups of commands that look after identities are loaded when one is used: a server starts without them."""

from typing import Any, Final

import typer
from typer.core import TyperGroup

NAMES: Final = ("account", "user", "role", "key", "policy", "provider")


class LateGroups(TyperGroup):
    """The program, whose further groups are found in ``identities``. Their types are private to typer."""

    def list_commands(self, context: Any) -> list[str]:
        """All commands, for the help."""
        return [*super().list_commands(context), *NAMES]

    def get_command(self, context: Any, cmd_name: str) -> Any:
        """The command or group of this name, loaded if it was not yet."""
        if cmd_name not in NAMES:
            return super().get_command(context, cmd_name)
        from moorage.cli.identities import GROUPS

        return typer.main.get_command(GROUPS[cmd_name])
