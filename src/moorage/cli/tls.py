"""``moorage tls init``: a local certificate authority and a certificate for the registry hosts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.auth.private_files import create_private_file, read_private_file
from moorage.cli.flags import fail, with_settings
from moorage.config import Settings
from moorage.web.hosts import RegistryHosts
from moorage.web.listen import without_port

if TYPE_CHECKING:
    from moorage.cli.certificates import KeyPair

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+")

#: Where Debian and its kin take further authorities from.
SYSTEM_PLACE = "/usr/local/share/ca-certificates/moorage.crt"


def register(application: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Certificates for serving TLS.", no_args_is_help=True)
    group.callback()(_group)
    group.command("init")(with_settings(init, "data_dir", "listen", "account_id", "region", "registry_host"))
    application.add_typer(group, name="tls")


def _group() -> None:
    """Certificates for serving TLS."""


def init(
    settings: Settings,
    host: Annotated[
        list[str] | None, typer.Option(help="A further name or IP address; may be repeated.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the server certificate that is there.")
    ] = False,
) -> None:
    """Make a local certificate authority and a certificate for the registry hosts."""
    from moorage.cli.certificates import make_server  # no other command makes certificates

    directory = settings.data_dir / "tls"
    for name in host or []:
        if not _HOST.fullmatch(name):
            fail(f"host: {name!r} is neither a host name nor an IP address")
    names = certificate_hosts(settings, host or [])
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.mkdir(exist_ok=True, mode=0o700)
        authority = open_authority(directory)
        write_server(directory, make_server(authority, names), replace=force)
    except FileExistsError as error:
        fail(
            f"{error.filename} exists; --force replaces the server certificate and keeps the authority", code=1
        )
    except OSError as error:
        fail(f"{directory} cannot be used: {error.strerror}", code=1)
    except ValueError as error:
        fail(f"tls: {error}", code=1)
    typer.echo(instructions(settings, directory, names))


def certificate_hosts(settings: Settings, further: Sequence[str]) -> list[str]:
    """Every name under which clients reach the registries of this server, each once."""
    hosts = RegistryHosts(settings)
    template = re.sub(r"^https?://", "", settings.registry_host)
    names = ["localhost", "127.0.0.1", "::1", f"*.dkr.ecr.{settings.region}.localhost"]
    names.append(f"{settings.account_id}.dkr.ecr.{settings.region}.localhost")
    names.append(without_port(hosts.host_of(hosts.default)))
    if template.startswith("{account}."):
        names.append(
            without_port("*." + template.removeprefix("{account}.").replace("{region}", settings.region))
        )
    names += [without_port(host) for host in settings.hosts]
    names += further
    return list(dict.fromkeys(names))


def open_authority(directory: Path) -> "KeyPair":
    """The authority of this directory, made if there is none yet. Raises ``OSError``, ``ValueError``."""
    from moorage.cli.certificates import make_authority, read_authority

    certificate, key = directory / "ca.pem", directory / "ca-key.pem"
    if certificate.exists() and key.exists():
        return read_authority(certificate.read_bytes(), read_private_file(key))
    authority = make_authority()
    write_new(key, authority.key_pem())
    write_new(certificate, authority.certificate_pem())
    certificate.chmod(0o644)
    return authority


def write_server(directory: Path, server: "KeyPair", *, replace: bool) -> None:
    """Write ``cert.pem`` and ``key.pem``. Raises ``ValueError`` unless they may be replaced, ``OSError``."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    if replace:
        certificate.unlink(missing_ok=True)
        key.unlink(missing_ok=True)
    write_new(key, server.key_pem())
    write_new(certificate, server.certificate_pem())
    certificate.chmod(0o644)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet. Raises ``ValueError`` when it does, ``OSError``."""
    if not create_private_file(path, content):
        raise ValueError(f"{path} exists; --force replaces the server certificate and keeps the authority")


def instructions(settings: Settings, directory: Path, names: Sequence[str]) -> str:
    """What to type to serve with the certificate, and how clients trust it."""
    hosts = RegistryHosts(settings)
    host = hosts.host_of(hosts.default)
    place = directory.absolute()
    authority = place / "ca.pem"
    return "\n".join(
        [
            f"Wrote ca.pem, ca-key.pem, cert.pem and key.pem to {place}",
            f"for {', '.join(names)}",
            "",
            "Serve with it:",
            f"  moorage serve --data-dir {settings.data_dir} --tls-cert {place}/cert.pem --tls-key {place}/key.pem",
            "",
            "Let the clients trust it:",
            f"  docker          sudo install -D -m 644 {authority} /etc/docker/certs.d/{host}/ca.crt",
            f"  podman, skopeo  sudo install -D -m 644 {authority} /etc/containers/certs.d/{host}/ca.crt",
            f"  aws, boto3      export AWS_CA_BUNDLE={authority}",
            f"  everything      sudo install -m 644 {authority} {SYSTEM_PLACE} && sudo update-ca-certificates",
        ]
    )
