"""What a user is told to type."""

from pathlib import Path

from moorage.cli.welcome import welcome
from moorage.config import Settings


def test_the_default_server_is_plain_http_on_localhost() -> None:
    """docker trusts localhost as it is; podman and skopeo have to be told."""
    text = welcome(Settings(), Path("moorage-data/credentials"))
    password = "aws --endpoint-url http://localhost:5050 ecr get-login-password"
    assert f"{password} | docker login --username AWS --password-stdin localhost:5050" in text
    assert (
        f"{password} | podman login --tls-verify=false --username AWS --password-stdin localhost:5050" in text
    )
    assert "skopeo copy --dest-tls-verify=false" in text
    assert f"AWS_SHARED_CREDENTIALS_FILE={Path.cwd()}/moorage-data/credentials" in text
    assert "export AWS_DEFAULT_REGION=us-east-1" in text


def test_a_tls_server_needs_trust_instead_of_flags(tmp_path: Path) -> None:
    """https everywhere, and where the authority goes."""
    (tmp_path / "ca.pem").touch()
    settings = Settings(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    text = welcome(settings, tmp_path / "credentials")
    assert "--endpoint-url https://localhost:5050" in text
    assert "tls-verify=false" not in text
    assert f"AWS_CA_BUNDLE={tmp_path}/ca.pem" in text
    assert f"{tmp_path}/ca.pem /etc/docker/certs.d/localhost:5050/ca.crt" in text


def test_a_certificate_of_another_authority_is_not_explained(tmp_path: Path) -> None:
    """Clients trust it already, or their operator knows how."""
    text = welcome(Settings(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"), None)
    assert "certs.d" not in text


def test_a_dev_server_takes_any_password_and_says_so() -> None:
    """No credentials file, no repository to make first."""
    text = welcome(Settings(dev=True), Path("credentials"))
    assert "echo dev | docker login --username AWS --password-stdin localhost:5050" in text
    assert "AWS_ACCESS_KEY_ID=dev" in text
    assert "create-repository" not in text
    assert "no credentials are checked" in text


def test_a_server_with_names_of_its_own_is_told_by_them() -> None:
    """The template's name, not localhost."""
    text = welcome(Settings(registry_host="https://{account}.dkr.ecr.{region}.example.com"), None)
    assert "000000000000.dkr.ecr.us-east-1.example.com/hello:1" in text
    assert "--endpoint-url https://000000000000.dkr.ecr.us-east-1.example.com" in text
    assert "localhost" not in text.split("\n\n", 2)[2]


def test_a_given_key_is_not_looked_for_in_a_file() -> None:
    """Whoever set it knows it; whoever lost the file is told how to make another key."""
    text = welcome(Settings(data_dir=Path("/srv/moorage"), account_id="123456789012"), None)
    assert "AWS_SHARED_CREDENTIALS_FILE" not in text
    assert "moorage credentials create --account 123456789012 --data-dir /srv/moorage" in text


def test_paths_with_spaces_can_be_copied(tmp_path: Path) -> None:
    """A shell reads each of them as one word."""
    directory = tmp_path / "my registry"
    directory.mkdir()
    (directory / "ca.pem").touch()
    settings = Settings(tls_cert=directory / "cert.pem", tls_key=directory / "key.pem")
    text = welcome(settings, directory / "credentials")
    assert f"AWS_SHARED_CREDENTIALS_FILE='{directory}/credentials'" in text
    assert f"AWS_CA_BUNDLE='{directory}/ca.pem'" in text
    assert f"install -D -m 644 '{directory}/ca.pem' /etc/docker" in text


def test_how_to_stop_is_said() -> None:
    """The server stays in the foreground."""
    assert "Ctrl-C" in welcome(Settings(), None)
