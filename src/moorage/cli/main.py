"""All commands together."""

import typer

from moorage.cli import audit, configuration, credentials, doctor, migrate, serve, tls, version
from moorage.cli.late_groups import LateGroups

application = typer.Typer(
    name="moorage",
    cls=LateGroups,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
serve.register(application)
audit.register(application)
configuration.register(application)
credentials.register(application)
doctor.register(application)
migrate.register(application)
tls.register(application)
version.register(application)
