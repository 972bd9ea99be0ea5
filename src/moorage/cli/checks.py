"""What ``moorage doctor`` looks at: one function a check, each with one finding, nothing changed.

A check is a plain function from settings to a ``Finding``; add one by writing it and naming it in ``CHECKS``.
"""

import os
import shutil
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from pysqlite3 import dbapi2 as sqlite

from moorage import wiring
from moorage.cli.listeners import find_listeners, place_of
from moorage.cli.neighbours import answers_like_us
from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.metadata.migrate import DatabaseTooNew, NotMigrated
from moorage.metadata.postgresql_refusals import PostgresqlRefused, PostgresqlTooOld
from moorage.metadata.postgresql_session import describe, find_careless
from moorage.metadata.sqlite import OLDEST_SQLITE
from moorage.web import listen
from moorage.web.data_lock import find_holder
from moorage.web.hosts import RegistryHosts

MEBIBYTE = 1024 * 1024

#: Days before the end of a certificate at which doctor begins to warn.
EXPIRY_DAYS = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands; ``advice`` says what to do unless it is ok."""

    status: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    advice: str = ""


Check = Callable[[Settings], Finding]


def check_data_directory(settings: Settings) -> Finding:
    """The data directory, or the place where it will be made, can be written."""
    place = existing_ancestor(settings.data_dir)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        advice = "Give this user write access to it, or choose another place with --data-dir."
        return Finding("fail", "data directory", f"{place} cannot be written", advice)
    if place != settings.data_dir.absolute():
        return Finding("ok", "data directory", f"{settings.data_dir} will be made by the first start")
    if place.stat().st_mode & 0o077:
        advice = f"chmod 700 {place}"
        return Finding(
            "warn", "data directory", f"{place} can be entered by other users of this machine", advice
        )
    return Finding("ok", "data directory", f"{place} can be written")


def check_lock(settings: Settings) -> Finding:
    """Whether a server runs on the data directory."""
    try:
        process_id = find_holder(settings.data_dir)
    except OSError as error:
        return Finding(
            "fail", "data lock", f"it cannot be read: {error.strerror}", "Run doctor as the server's user."
        )
    if process_id is None:
        return Finding("ok", "data lock", "no server runs on the data directory")
    return Finding("ok", "data lock", f"a server runs on the data directory (process {process_id})")


def check_database(settings: Settings) -> Finding:
    """The metadata database can be used: PostgreSQL is reached and migrated, or SQLite is a safe one."""
    return check_postgresql(settings) if settings.database else check_sqlite(settings)


def check_postgresql(settings: Settings) -> Finding:
    """The server is reached, new enough, at this version's schema, and the master key opens its secrets."""
    try:
        wiring.check_schema(settings)
        wiring.check_master_key(settings)
    except NotMigrated as error:
        return Finding("fail", "PostgreSQL", str(error), "Run moorage migrate with the same settings.")
    except PostgresqlRefused as error:
        return Finding("fail", "PostgreSQL", str(error), "See that the server runs and that the URL is right.")
    except (PostgresqlTooOld, DatabaseTooNew, wiring.StartRefused) as error:
        return Finding("fail", "PostgreSQL", str(error), "See docs/running.md, On PostgreSQL.")
    except Unavailable as error:
        return Finding("fail", "PostgreSQL", str(error.facts["what"]), "See the server's log.")
    careless = find_careless(settings.database)
    if careless:
        advice = "An answer then no longer means durable: set it to on in postgresql.conf."
        return Finding("warn", "PostgreSQL", f"{careless} is off", advice)
    return Finding("ok", "PostgreSQL", f"{describe(settings.database)}, at the schema of this version")


def check_sqlite(_settings: Settings) -> Finding:
    """The SQLite in use is free of the bug that can corrupt a database written by several processes."""
    oldest = ".".join(str(part) for part in OLDEST_SQLITE)
    if sqlite.sqlite_version_info < OLDEST_SQLITE:
        advice = f"Install a pysqlite3 that carries SQLite {oldest} or later; the server does not start with this one."
        return Finding("fail", "SQLite", f"{sqlite.sqlite_version} can corrupt the database", advice)
    return Finding("ok", "SQLite", sqlite.sqlite_version)


def check_space(settings: Settings) -> Finding:
    """There is more free space than the reserve below which pushes are refused."""
    place = existing_ancestor(settings.data_dir)
    free, reserve = shutil.disk_usage(place).free, settings.disk_reserve_bytes
    text = f"{free // MEBIBYTE:,} MiB free"
    if free < reserve:
        advice = f"Free some, or lower disk_reserve_bytes ({reserve // MEBIBYTE:,} MiB): pushes are refused below it."
        return Finding("fail", "free space", text, advice)
    if free < 4 * reserve:
        return Finding("warn", "free space", text, f"Pushes are refused below {reserve // MEBIBYTE:,} MiB.")
    return Finding("ok", "free space", text)


def check_registry_host(settings: Settings) -> Finding:
    """The name that the default registry is given out under resolves here."""
    hosts = RegistryHosts(settings)
    name = listen.without_port(hosts.host_of(hosts.default))
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        advice = f"Add it to the DNS or to /etc/hosts of every client (127.0.0.1 {name}), or set registry_host."
        return Finding("fail", "registry host", f"{name} does not resolve", advice)
    if name == "localhost" and _is_reachable(settings):
        advice = "Set registry_host to the name by which other machines reach this one."
        return Finding("warn", "registry host", "other machines are told to push to localhost", advice)
    return Finding("ok", "registry host", f"{name} is {found[0][4][0]}")


def _is_reachable(settings: Settings) -> bool:
    """Whether other machines can reach an address; a malformed one is the business of ``check_ports``."""
    try:
        return any(not listen.parse_address(text).is_loopback for text in settings.listen)
    except listen.ListenError:
        return False


def check_ports(settings: Settings) -> Finding:
    """The addresses to listen on can be bound, or the server that runs on the data directory listens on them."""
    try:
        addresses = [listen.parse_address(text) for text in settings.listen]
        holder = find_holder(settings.data_dir)
        if holder is not None:
            return _check_served(settings, addresses, holder)
        sockets = listen.bind(addresses)
    except listen.AddressTaken as error:
        return _describe_taken(error)
    except listen.ListenError as error:
        advice = f"{error.advice or 'choose other addresses with --listen'}."
        return Finding("fail", "addresses", error.fact, advice[0].upper() + advice[1:])
    except OSError as error:
        return Finding("fail", "addresses", str(error), "Choose other addresses with --listen.")
    for bound in sockets:
        bound.close()
    if len(sockets) < len(addresses):
        return Finding("warn", "addresses", "this machine has no IPv6", "Nothing to do: 127.0.0.1 is served.")
    return Finding("ok", "addresses", f"{', '.join(settings.listen)} can be listened on")


def _describe_taken(error: listen.AddressTaken) -> Finding:
    if answers_like_us(error.address):
        text = f"{error.address} is taken by a program that answers as a Moorage does"
        advice = "Ask with the --data-dir of that server, or choose another port with --listen."
        return Finding("fail", "addresses", text, advice)
    return Finding("fail", "addresses", error.fact, "Stop that one, or choose another port with --listen.")


def _check_served(settings: Settings, addresses: list[listen.Address], holder: int) -> Finding:
    """``holder`` is the process that holds the lock. Raises ``ListenError``, ``OSError``."""
    try:
        served = find_listeners(holder)
    except OSError:
        advice = "Run doctor as the server's user, where the server runs."
        return Finding("warn", "addresses", "where the running server listens cannot be seen", advice)
    others = [address for address in addresses if place_of(address) not in served]
    try:
        for address in others:
            for bound in listen.bind([address]):
                bound.close()
    except listen.AddressTaken as error:
        if not settings.database:
            raise
        advice = "It may be one of the servers that share the data directory; else choose others with --listen."
        return Finding("warn", "addresses", error.fact, advice)
    except listen.ListenError:
        if len(others) == len(addresses):
            raise
        others = []  # This machine has no IPv6: the server does without as well.
    if others:
        advice = "Ask with the settings that the server runs with, or restart it."
        return Finding("warn", "addresses", "a server runs, but does not listen on these", advice)
    return Finding("ok", "addresses", f"in use by the running server (process {holder})")


def check_reach(settings: Settings) -> Finding:
    """What other machines can reach is served over TLS."""
    try:
        addresses = [listen.parse_address(text) for text in settings.listen]
    except listen.ListenError as error:
        return Finding("fail", "reach", str(error), "Correct the setting listen.")
    if all(address.is_loopback for address in addresses):
        return Finding("ok", "reach", "this machine only")
    if settings.tls_cert is None:
        advice = "Serve TLS (moorage tls init makes a certificate), or put a proxy that does in front."
        return Finding("warn", "reach", "other machines reach this server without TLS", advice)
    return Finding("ok", "reach", "other machines, over TLS")


def check_access(settings: Settings) -> Finding:
    """Requests are judged by who sends them."""
    if settings.dev:
        advice = "Leave it to a machine and an hour where nothing matters."
        return Finding(
            "warn",
            "access",
            "dev: no credentials are checked, and whoever reaches this server may do everything",
            advice,
        )
    if settings.anonymous_pull:
        return Finding(
            "ok", "access", "by policies; what these open to everybody is pulled without credentials"
        )
    return Finding("ok", "access", "by policies, to whoever has a key")


def check_tls(settings: Settings) -> Finding:
    """The certificate and its key can be read, belong together and are valid for a while."""
    certificate, key = settings.tls_cert, settings.tls_key
    if certificate is None or key is None:
        return Finding("ok", "TLS", "not served")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        advice = "tls_cert must name a PEM certificate chain, tls_key its unencrypted private key."
        return Finding("fail", "TLS", f"{certificate} and {key}: {error}", advice)
    until = loaded.not_valid_after_utc
    days = (until - datetime.now(UTC)).days
    text = f"{certificate} is valid until {until:%Y-%m-%d}"
    advice = "Renew it, then send SIGHUP to moorage serve."
    if days < 0:
        return Finding("fail", "TLS", f"{certificate} expired on {until:%Y-%m-%d}", advice)
    hosts = RegistryHosts(settings)
    host = listen.without_port(hosts.host_of(hosts.default))
    if not covers(loaded, host):
        advice = f"Make one for it: moorage tls init --force --host {host}"
        return Finding(
            "fail", "TLS", f"{certificate} is not for {host}, as clients will call this server", advice
        )
    return Finding("warn", "TLS", text, advice) if days < EXPIRY_DAYS else Finding("ok", "TLS", text)


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a client that calls the server so accepts the certificate (RFC 9525: a star stands for one label)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if host in (str(address) for address in names.get_values_for_type(x509.IPAddress)):
        return True
    _, _, parent = host.partition(".")
    return bool({host, f"*.{parent}"} & set(names.get_values_for_type(x509.DNSName)))


#: Every check, in the order shown.
CHECKS: tuple[Check, ...] = (
    check_data_directory,
    check_lock,
    check_database,
    check_space,
    check_registry_host,
    check_ports,
    check_reach,
    check_access,
    check_tls,
)


def existing_ancestor(path: Path) -> Path:
    """The path itself if it exists, else the nearest directory above that does."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
