"""The groups of commands that look after identities, by their names."""

from typing import Final

import typer

from moorage.cli import accounts, keys, policies, providers, roles, users

GROUPS: Final[dict[str, typer.Typer]] = {
    "account": accounts.group(),
    "user": users.group(),
    "role": roles.group(),
    "key": keys.group(),
    "policy": policies.group(),
    "provider": providers.group(),
}
