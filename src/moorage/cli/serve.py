"""``moorage serve``: checks, lock, sockets, preparation, then the supervisor until it is told to stop."""

import contextlib
import os
import socket
import ssl
from functools import partial
from pathlib import Path

import typer

from moorage.auth.credentials import check_access_key
from moorage.auth.private_files import PrivateFileError
from moorage.cli import job_worker
from moorage.cli.flags import fail, with_settings
from moorage.cli.welcome import welcome
from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata.migrate import DatabaseTooNew, NoRoomForBackup, NotMigrated
from moorage.metadata.postgresql_refusals import PostgresqlBusy, PostgresqlRefused, PostgresqlTooOld
from moorage.metadata.sqlite import SqliteTooOld
from moorage.web import listen, log, worker
from moorage.web.data_lock import DataDirectoryBusy, DataLock, find_holder
from moorage.web.listen import Address, AddressTaken, ListenError
from moorage.web.supervisor import Slot, Supervisor
from moorage.wiring import MASTER_KEY_NEEDED, StartRefused, build_app, prepare

MAX_DEFAULT_WORKERS = 4

#: Why preparing may end in a sentence rather than a traceback.
REFUSALS = (
    StartRefused,
    DatabaseTooNew,
    NoRoomForBackup,
    NotMigrated,
    PostgresqlBusy,
    PostgresqlRefused,
    PostgresqlTooOld,
    PrivateFileError,
    SqliteTooOld,
)


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("serve")(with_settings(serve))


def serve(settings: Settings) -> None:
    """Serve the registry until stopped."""
    log.configure(settings.log_level)
    addresses = check(settings)
    sockets = open_sockets(addresses, settings.data_dir)
    lock = take_lock(settings)
    settings = settings.model_copy(update={"listen": listen.bound_addresses(sockets)})
    credentials = prepare_data(settings)
    supervisor = Supervisor(
        settings,
        sockets,
        slots(settings),
        on_ready=lambda: typer.echo(welcome(settings, credentials)),
        inherited=[lock.descriptor],
    )
    code = supervisor.run()
    lock.close()
    raise typer.Exit(code)


def check(settings: Settings) -> list[Address]:
    """What can be refused before anything is touched; returns the addresses to listen on."""
    try:
        addresses = [listen.parse_address(text) for text in settings.listen]
    except ListenError as error:
        fail(str(error))
    reachable = [str(address) for address in addresses if not address.is_loopback]
    if settings.dev and reachable and not settings.dev_beyond_loopback:
        fail(
            f"dev: {', '.join(reachable)} can be reached from other machines, and --dev lets anyone in; "
            "listen on 127.0.0.1, or say --dev-beyond-loopback too"
        )
    if settings.database and not settings.master_key:
        fail(MASTER_KEY_NEEDED)
    if settings.root_access_key_id:
        check_root_key(settings)
    if settings.tls_cert and settings.tls_key:
        check_certificate(settings.tls_cert, settings.tls_key)
    return addresses


def check_root_key(settings: Settings) -> None:
    """End the program unless the configured root key has the form of one."""
    try:
        check_access_key(settings.root_access_key_id, settings.root_secret_access_key)
    except ValueError as error:
        fail(f"root_access_key_id: {error}")


def check_certificate(certificate: Path, key: Path) -> None:
    """End the program unless the two files are a certificate and its key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        fail(f"tls_cert: {certificate} and {key} are not a certificate and its key ({error.reason})")
    except OSError as error:
        fail(f"tls_cert: {certificate} or {key} cannot be read: {error.strerror}")


def take_lock(settings: Settings) -> DataLock:
    """Make the data directory and take its lock, or end the program saying why not.

    Servers on one PostgreSQL database share the directory, each of any others keeps it for itself.
    """
    data_dir = settings.data_dir
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return DataLock(data_dir, is_shared=bool(settings.database))
    except DataDirectoryBusy as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(f"data_dir: {data_dir} cannot be used: {error.strerror}", code=1)


def open_sockets(addresses: list[Address], data_dir: Path) -> list[socket.socket]:
    """Bind every address, or end the program saying why not.

    Comes before anything is written, so that a start on a port that is taken leaves nothing behind. It is most
    often taken by the server that runs on the same data directory already.
    """
    try:
        return listen.bind(addresses)
    except AddressTaken as error:
        with contextlib.suppress(OSError):
            if (process_id := find_holder(data_dir)) is not None:
                fail(str(DataDirectoryBusy(data_dir, process_id)), code=1)
        fail(str(error), code=1)
    except ListenError as error:
        fail(str(error), code=1)


def prepare_data(settings: Settings) -> Path | None:
    """Bring the data directory up to date, or end the program saying why that cannot be."""
    try:
        return prepare(settings)
    except Unavailable as error:
        fail(f"not now: {error.facts['what']}", code=1)
    except (*REFUSALS, OSError) as error:
        fail(str(error), code=1)


def slots(settings: Settings) -> list[Slot]:
    """The child processes of this server."""
    count = settings.workers or min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)
    return [
        Slot("web", partial(worker.run, build_app), count),
        Slot("jobs", job_worker.run, is_listening=False),
    ]
