"""The only place that constructs things. Reads from top to bottom: prepare once, then build each process.

What works with PostgreSQL is imported where it is used: its driver takes as long to load as a whole start may last.
"""

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from moorage.auth.credentials import AccessKey, check_access_key, generate_access_key, render_credentials_file
from moorage.auth.private_files import create_private_file, sync_directory
from moorage.auth.sealing import KEY_BYTES, Keyring, MasterKey, SealBroken
from moorage.blobs.base import BlobStore
from moorage.blobs.local import LocalBlobStore
from moorage.config import Settings
from moorage.domain import audit
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import Unavailable
from moorage.domain.names import RegistryId
from moorage.ecr.events import name_refusal
from moorage.ecr.face import JsonApi
from moorage.jobs.audit import EXPORT_SECONDS, AuditExport, forget_exported
from moorage.jobs.schedule import Periodic
from moorage.jobs.uploads import expire_uploads
from moorage.metadata.accounts import SecretRow
from moorage.metadata.database import Database
from moorage.metadata.migrate import check_sqlite, migrate_sqlite, newest_revision
from moorage.metadata.sqlite import SqliteDatabase
from moorage.oci.face import DistributionApi
from moorage.oci.ready import ReadyPulls
from moorage.services import accounts, operators
from moorage.services.audit import Recording
from moorage.transfers.audit_file import AuditFailed, audit_directory, open_audit_log
from moorage.transfers.downloads import Downloads
from moorage.transfers.issuer_keys import IssuerKeys
from moorage.transfers.pulls import PullTimes
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads
from moorage.transfers.uploads import Uploads
from moorage.transfers.web_identities import TokenChecks, WebIdentities
from moorage.web.access_log import AccessLog
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Application, Route
from moorage.web.audit import AuditBuffer, AuditTrail
from moorage.web.authenticate import AuthenticationCounter, Authenticator
from moorage.web.context import Context
from moorage.web.health import Health
from moorage.web.hosts import RegistryHosts
from moorage.web.metrics import Metrics, MetricsPage
from moorage.web.shortcut import Shortcut

#: Version of the data directory's layout.
FORMAT = "1"

#: Seconds that a new process waits for a database that is away.
OPEN_SECONDS = 10.0

_SERVER_KEYS = "tokens"
_log = structlog.get_logger()


MASTER_KEY_NEEDED = (
    "master_key is needed with PostgreSQL, the same on every server: "
    "MOORAGE_MASTER_KEY=$(openssl rand -base64 32), and keep it"
)


class DataDirectoryMissing(Exception):
    """The command needs the data directory of a server that was started at least once."""


class StartRefused(Exception):
    """The server cannot start on this data directory; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process works with, and how to let go of it."""

    context: Context
    store: BlobStore
    threads: BlobThreads
    room: Room
    close: Callable[[], Awaitable[None]]

    async def probe_disk(self) -> None:
        """Write and sync a few bytes where the blobs lie. Raises ``BlobStoreFailed``."""
        await self.threads.run(self.store.probe)


# --- Once, before any worker ---------------------------------------------------------------------------------


def prepare(settings: Settings) -> Path | None:
    """Make the data directory ready: layout, schema, keys. Returns the file with the root credentials, if it is kept.

    Raises ``StartRefused``, ``DatabaseTooNew``, ``NoRoomForBackup``, ``NotMigrated``, ``PostgresqlBusy``,
    ``PostgresqlRefused``, ``PostgresqlTooOld``, ``PrivateFileError``, ``Unavailable``, ``OSError``.
    """
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_format(data_dir)
    _check_audit(settings)
    _check_sqlite(settings)
    if settings.dev:
        _log.warning("dev_accepts_everything", listen=list(settings.listen))
    if settings.database:
        # Another server may run on the old schema: it is migrated when somebody says so.
        check_schema(settings)
    else:
        migrate_sqlite(database_path(settings))
    master_key = load_master_key(settings)
    with _alone(settings):
        database = open_database(settings)
        try:
            _ensure_server_key(database, master_key, settings)
            LocalBlobStore(data_dir)
            _ensure_root_key(database, master_key, settings)
        finally:
            database.close()
    credentials = _credentials_file(settings)
    return credentials if credentials.exists() else None


def migrate(settings: Settings) -> tuple[str | None, str | None]:
    """Bring the database to this version's schema; returns the revision that it was at and the one that it is at.

    Raises what ``migrate_sqlite`` or ``migrate_postgresql`` raises.
    """
    if settings.database:
        from moorage.metadata.migrate_postgresql import migrate_postgresql

        before = migrate_postgresql(settings.database)
    else:
        before = migrate_sqlite(database_path(settings))
    return before, newest_revision()


def check_schema(settings: Settings) -> None:
    """Raises ``NotMigrated``, ``DatabaseTooNew``, and what connecting raises."""
    if settings.database:
        from moorage.metadata.migrate_postgresql import check_postgresql

        check_postgresql(settings.database)
    else:
        check_sqlite(database_path(settings))


def check_master_key(settings: Settings) -> None:
    """Raises ``StartRefused`` when the master key does not open what the database keeps, ``Unavailable``."""
    master_key, database = load_master_key(settings), open_database(settings)
    try:
        _open_keys(database.read_now(accounts.list_server_keys), master_key)
    finally:
        database.close()


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """Of several servers that start at once one prepares at a time. SQLite's has the data directory for itself."""
    if not settings.database:
        return nullcontext()
    from moorage.metadata.migrate_postgresql import preparing

    return preparing(settings.database)


def open_database(settings: Settings) -> Database:
    """The metadata database that the settings name."""
    if settings.database:
        from moorage.metadata.postgresql import PostgresqlDatabase

        return PostgresqlDatabase(settings.database, settings)
    return SqliteDatabase(database_path(settings), settings)


def database_path(settings: Settings) -> Path:
    """Where SQLite keeps the metadata."""
    return settings.data_dir / "metadata.db"


def load_master_key(settings: Settings) -> MasterKey:
    """The key of the settings, else with SQLite that of the data directory, made unless it is there.

    Raises ``StartRefused``, ``PrivateFileError``, ``OSError``.
    """
    if settings.master_key:
        return MasterKey.from_base64(settings.master_key)
    if settings.database:
        raise StartRefused(MASTER_KEY_NEEDED)
    return MasterKey.load_or_create(settings.data_dir / "master.key")


def _credentials_file(settings: Settings) -> Path:
    return settings.data_dir / "credentials"


def _check_format(data_dir: Path) -> None:
    file = data_dir / "format"
    if not file.exists():
        create_private_file(file, f"{FORMAT}\n".encode())
        # Who may not read the directory above did not make ours in it.
        with suppress(PermissionError):
            sync_directory(data_dir.absolute().parent)
    found = file.read_text().strip()
    if found != FORMAT:
        raise StartRefused(f"{data_dir} has layout {found}; this version of Moorage works with layout {FORMAT}")


def _check_audit(settings: Settings) -> None:
    """An audit log that cannot be written when the server starts is a mistake; later it must not be in the way."""
    try:
        open_audit_log(settings).append(b"")
    except AuditFailed as error:
        raise StartRefused(f"the audit log cannot be written: {error}; audit_file names another") from error


def _check_sqlite(settings: Settings) -> None:
    """An empty database beside blobs would make garbage of all of them, and so would another database."""
    database, blobs = database_path(settings), settings.data_dir / "blobs"
    if settings.database and database.exists():
        raise StartRefused(
            f"{settings.data_dir} belongs to the SQLite database {database}: "
            "PostgreSQL needs a data directory of its own"
        )
    if not settings.database and blobs.exists() and not database.exists():
        raise StartRefused(
            f"{database} is gone, but not the blobs it knows of: restore it from a backup, move {blobs} away, "
            "or name the PostgreSQL database that knows of them with --database"
        )


def _ensure_server_key(database: Database, master_key: MasterKey, settings: Settings) -> None:
    keys = database.read_now(accounts.list_server_keys)
    if keys:
        _open_keys(keys, master_key)
        return
    blobs = settings.data_dir / "blobs"
    if settings.database and any(file.is_file() for file in blobs.rglob("*")):
        from moorage.metadata.postgresql_session import describe

        raise StartRefused(
            f"{describe(settings.database)} is empty, but {blobs} has blobs that another database knows of: "
            f"name that one with --database, or move {blobs} away"
        )
    sealed = master_key.seal(os.urandom(KEY_BYTES), _SERVER_KEYS.encode())
    database.write_now(accounts.add_server_key, _SERVER_KEYS, 1, sealed)


def _ensure_root_key(database: Database, master_key: MasterKey, settings: Settings) -> None:
    """The default account's root key: as configured, or made at the first start and kept in a private file."""
    account = RegistryId.parse(settings.account_id)
    if settings.root_access_key_id:
        key = check_access_key(settings.root_access_key_id, settings.root_secret_access_key)
        _keep_configured_key(database, master_key, RegistryKey(account, settings.region), key)
        create_private_file(_credentials_file(settings), render_credentials_file(key).encode())
    elif not database.read_now(accounts.has_any_key):
        key = generate_access_key()
        # The file first: a key whose secret was never written down would keep every later start from making one.
        # For the same reason a file that is there is left over from a start that was broken off.
        _credentials_file(settings).unlink(missing_ok=True)
        create_private_file(_credentials_file(settings), render_credentials_file(key).encode())
        add_root_key(database, master_key, account, key)


def _keep_configured_key(
    database: Database, master_key: MasterKey, registry: RegistryKey, key: AccessKey
) -> None:
    # One that was switched off is left so.
    holder = database.read_now(accounts.find_any_key_holder, key.access_key_id)
    if holder is None:
        _add_configured_key(database, master_key, registry, key)
        return
    kept = master_key.unseal(holder.sealed_secret, key.access_key_id.encode())
    if kept != key.secret_access_key.encode() or holder.account_id != registry.registry_id:
        raise StartRefused(
            f"access key {key.access_key_id} exists already with another secret or account; configure another id"
        )


def _add_configured_key(
    database: Database, master_key: MasterKey, registry: RegistryKey, key: AccessKey
) -> None:
    """Whoever changed the settings gave root another key, as ``moorage credentials create`` does; so it is recorded."""
    note = operators.note("CreateAccessKey", audit.IAM, registry)
    recording: Recording[None] = Recording(note, lambda _: operators.root_key_elements(key.access_key_id))
    sealed = seal_key(master_key, key)
    recording.change_now(
        database,
        operators.create_root_key,
        registry.registry_id,
        key.access_key_id,
        sealed,
        registry.region,
    )


def add_root_key(database: Database, master_key: MasterKey, account: RegistryId, key: AccessKey) -> None:
    """Seal a key and give it to an account's root."""
    database.write_now(accounts.create_root_key, account, key.access_key_id, seal_key(master_key, key))


def seal_key(master_key: MasterKey, key: AccessKey) -> bytes:
    """The secret of a key as it is kept, bound to the key's id."""
    return master_key.seal(key.secret_access_key.encode(), key.access_key_id.encode())


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with that looks after identities."""

    database: Database
    master_key: MasterKey
    region: str


@contextmanager
def office(settings: Settings) -> Iterator[Desk]:
    """The database of a server, running or not, and the master key that opens its secrets.

    Raises ``DataDirectoryMissing``, ``StartRefused`` for a wrong master key, ``NotMigrated``, ``DatabaseTooNew``,
    ``Unavailable``, ``PrivateFileError``, ``OSError``, with PostgreSQL what ``check_schema`` raises.
    """
    if not settings.database and not database_path(settings).exists():
        raise DataDirectoryMissing(
            f"{settings.data_dir} is no data directory yet: start the server once, or name another with --data-dir"
        )
    check_schema(settings)
    master_key, database = load_master_key(settings), open_database(settings)
    try:
        _open_keys(database.read_now(accounts.list_server_keys), master_key)
        yield Desk(database, master_key, settings.region)
    finally:
        database.close()


# --- Each process --------------------------------------------------------------------------------------------


def open_parts(settings: Settings, on_authentication: AuthenticationCounter) -> Parts:
    """Everything below the faces."""
    database = open_database(settings)
    store = LocalBlobStore(settings.data_dir)
    master_key = load_master_key(settings)
    keyring = _open_keyring(database, master_key)
    threads = BlobThreads()
    pulls, room = PullTimes(database), Room(store, threads, settings)
    context = Context(
        settings=settings,
        database=database,
        uploads=Uploads(database, store, threads, room),
        downloads=Downloads(store, threads),
        pulls=pulls,
        authenticator=Authenticator(settings, database, master_key, keyring, on_authentication),
        hosts=RegistryHosts(settings),
        keyring=keyring,
        web_identities=WebIdentities(database, IssuerKeys(settings.oidc_private_origins), load_token_checks),
    )

    async def close() -> None:
        await pulls.stop()
        threads.close()
        database.close()

    return Parts(context, store, threads, room, close)


def load_token_checks() -> TokenChecks:
    """What checks the tokens of web identities; it brings much along, and most servers never see one."""
    import moorage.auth.web_identity as checks

    return checks


def _open_keyring(database: Database, master_key: MasterKey) -> Keyring:
    """The server's own keys. A database that is away is waited for: the server began with one that was there."""
    give_up_at = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            keys = _open_keys(database.read_now(accounts.list_server_keys), master_key)
            return Keyring(keys, max(keys))
        except Unavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


def _open_keys(rows: list[SecretRow], master_key: MasterKey) -> dict[int, bytes]:
    """The server's keys by version. Raises ``StartRefused`` when another master key sealed them."""
    try:
        return {row.version: master_key.unseal(row.sealed_key, row.purpose.encode()) for row in rows}
    except SealBroken:
        raise StartRefused(
            "the master key is not the one that sealed this database's secrets: without that one they cannot be read; "
            "give it as MOORAGE_MASTER_KEY, or restore master.key from a backup"
        ) from None


def build_app(settings: Settings) -> Application:
    """The web application of one worker."""
    metrics = Metrics()
    parts = open_parts(settings, metrics.authenticated)
    context = parts.context

    records = AuditBuffer(open_audit_log(settings), metrics.audit_dropped)
    default = RegistryKey(RegistryId(settings.account_id), settings.region)
    trail = AuditTrail(records, default, settings.audit_reads, name_refusal, metrics.audit_dropped)

    async def start() -> None:
        context.pulls.start()
        records.start()

    json_api, distribution = JsonApi(context), DistributionApi(context)
    health = Health({"database": context.database.probe, "disk": parts.probe_disk, "space": parts.room.check})
    fallback = Route("/", json_api.handle, "json", on_error=json_api.on_error, refuse=json_api.refuse)
    registry = Route(
        "/v2",
        distribution.handle,
        "v2",
        has_subtree=True,
        face="v2",
        on_error=distribution.on_error,
        refuse=distribution.refuse,
    )
    routes = [
        fallback,
        registry,
        Route("/livez", health.live, "ops", is_vital=True),
        Route("/readyz", health.ready, "ops", is_vital=True),
        Route("/metrics", MetricsPage(metrics, settings.metrics_token).get, "ops", is_vital=True),
    ]
    load, turn = Load(settings.requests_per_worker), Turn(settings.queue_seconds)
    observers = (metrics, AccessLog(settings.log_level), trail)
    return Application(
        routes,
        fallback=fallback,
        observers=observers,
        load=load,
        turn=turn,
        shortcut=Shortcut(ReadyPulls(context), registry, load, turn, observers),
        on_unread=[metrics.turned_away_unread],
        startup=[start],
        shutdown=[parts.close, records.stop],
        on_drain=[health.drain],
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """What runs in the background of one server."""

    jobs: list[Periodic]
    close: Callable[[], Awaitable[None]]


def build_worker(settings: Settings) -> Worker:
    """The job worker."""
    database = open_database(settings)
    store, threads = LocalBlobStore(settings.data_dir), BlobThreads()

    async def close() -> None:
        threads.close()
        database.close()

    export = AuditExport(database, open_audit_log(settings), audit_directory(settings) / "export.lock")
    jobs = [
        Periodic("expire_uploads", 60.0, partial(expire_uploads, database, store, threads)),
        Periodic("export_audit", EXPORT_SECONDS, export.export),
        Periodic("forget_exported_audit", 60.0, partial(forget_exported, database)),
    ]
    return Worker(jobs, close)
