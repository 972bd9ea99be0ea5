"""A local authority and the certificates it signs."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from cryptography import x509
from typer.testing import CliRunner

from moorage.cli import tls
from moorage.cli.certificates import make_authority, make_server, read_authority
from moorage.config import Settings


@pytest.fixture
def program() -> typer.Typer:
    """A program with the tls group."""
    application = typer.Typer()
    tls.register(application)
    return application


def test_a_server_certificate_is_signed_by_the_authority() -> None:
    """And only the authority may sign others."""
    authority = make_authority()
    server = make_server(authority, ["localhost"])
    server.certificate.verify_directly_issued_by(authority.certificate)
    assert authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_names_and_addresses_are_kept_apart() -> None:
    """An IP address as a DNS name would match nothing."""
    server = make_server(make_authority(), ["localhost", "127.0.0.1", "::1", "*.example.com"])
    names = server.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "*.example.com"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_certificate_is_valid_at_once_and_for_no_longer_than_clients_accept() -> None:
    """Backdated a little, 825 days in all."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    certificate = make_server(make_authority(now), ["localhost"], now).certificate
    assert certificate.not_valid_before_utc < now
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 825


def test_an_authority_is_read_back_whole() -> None:
    """So that a later certificate is trusted like the first."""
    made = make_authority()
    assert read_authority(made.certificate_pem(), made.key_pem()).certificate == made.certificate


def test_an_authority_with_another_key_is_refused() -> None:
    """What it signed would verify nowhere."""
    with pytest.raises(ValueError, match="not that of the certificate"):
        read_authority(make_authority().certificate_pem(), make_authority().key_pem())


def test_the_hosts_of_every_registry_are_covered() -> None:
    """localhost, the ECR-shaped names, the template's, those of hosts and the ones asked for."""
    settings = Settings(
        registry_host="{account}.dkr.ecr.{region}.example.com:5050",
        hosts={"reg.example:443": "1" * 12 + "/us-east-1"},
    )
    assert tls.certificate_hosts(settings, ["extra", "localhost"]) == [
        "localhost",
        "127.0.0.1",
        "::1",
        "*.dkr.ecr.us-east-1.localhost",
        "000000000000.dkr.ecr.us-east-1.localhost",
        "000000000000.dkr.ecr.us-east-1.example.com",
        "*.dkr.ecr.us-east-1.example.com",
        "reg.example",
        "extra",
    ]


def test_init_writes_private_keys_for_their_owner_alone(program: typer.Typer, tmp_path: Path) -> None:
    """The certificates are for all to read."""
    result = CliRunner().invoke(program, ["tls", "init", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.pem": 0o644, "ca-key.pem": 0o600, "cert.pem": 0o644, "key.pem": 0o600}
    assert "AWS_CA_BUNDLE" in result.stdout


def test_init_again_keeps_what_is_there(program: typer.Typer, tmp_path: Path) -> None:
    """A certificate in use is not replaced by accident."""
    arguments = ["tls", "init", "--data-dir", str(tmp_path)]
    CliRunner().invoke(program, arguments)
    before = (tmp_path / "tls" / "cert.pem").read_bytes()
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert (tmp_path / "tls" / "cert.pem").read_bytes() == before


def test_init_with_force_keeps_the_authority(program: typer.Typer, tmp_path: Path) -> None:
    """Clients that trust it need no change."""
    arguments = ["tls", "init", "--data-dir", str(tmp_path)]
    CliRunner().invoke(program, arguments)
    authority, before = ((tmp_path / "tls" / name).read_bytes() for name in ("ca.pem", "cert.pem"))
    result = CliRunner().invoke(program, [*arguments, "--force"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "tls" / "ca.pem").read_bytes() == authority
    assert (tmp_path / "tls" / "cert.pem").read_bytes() != before


@pytest.mark.parametrize("host", ["https://x:5", "a b", "", "-x"])
def test_init_takes_host_names_and_addresses_only(program: typer.Typer, tmp_path: Path, host: str) -> None:
    """A certificate for anything else would be for nothing."""
    result = CliRunner().invoke(program, ["tls", "init", "--data-dir", str(tmp_path), "--host", host])
    assert result.exit_code == 2
    assert "neither a host name nor an IP address" in result.stderr
    assert not (tmp_path / "tls").exists()
