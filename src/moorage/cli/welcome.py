"""What a user types next, as ``moorage serve`` prints it when it is ready."""

import shlex
from pathlib import Path

from moorage.config import Settings
from moorage.web.hosts import RegistryHosts


def welcome(settings: Settings, credentials: Path | None) -> str:
    """Lines to copy for docker, podman, skopeo and aws.

    ``credentials`` is the file with the root access key, in AWS format; None when this server keeps none.
    """
    hosts = RegistryHosts(settings)
    host, endpoint = hosts.host_of(hosts.default), hosts.proxy_endpoint(hosts.default)
    sections = [
        [f"Moorage serves registry {settings.account_id} ({settings.region}) at {endpoint}"],
        _listening(settings),
        _credentials(settings, credentials),
        _trust(settings, host),
        _clients(settings, host, endpoint),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _listening(settings: Settings) -> list[str]:
    lines = [
        f"  listening on   {', '.join(settings.listen)}",
        f"  data           {settings.data_dir}",
        "  to stop it     Ctrl-C, or SIGTERM",
    ]
    if settings.dev:
        lines.append(
            "  --dev          no credentials are checked; whoever reaches this server may do everything"
        )
    return lines


def _credentials(settings: Settings, credentials: Path | None) -> list[str]:
    region = f"  export AWS_DEFAULT_REGION={settings.region}"
    if settings.dev:
        return ["Any credentials do:", "  export AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev", region]
    if credentials is None:
        create = f"moorage credentials create --account {settings.account_id}"
        return [
            "Use the access key you gave this server, or make another:",
            f"  {create} --data-dir {shlex.quote(str(settings.data_dir.absolute()))}",
            region,
        ]
    return [
        f"The root access key is in {credentials}; let the AWS tools use it:",
        f"  export AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(credentials.absolute()))}",
        region,
    ]


def _trust(settings: Settings, host: str) -> list[str]:
    """How clients come to trust a certificate of ``moorage tls init``."""
    if settings.tls_cert is None:
        return []
    authority = settings.tls_cert.absolute().parent / "ca.pem"
    if not authority.exists():
        return []
    copy, quoted = "sudo install -D -m 644", shlex.quote(str(authority))
    return [
        "Let the clients trust the certificate:",
        f"  export AWS_CA_BUNDLE={quoted}",
        f"  {copy} {quoted} /etc/docker/certs.d/{host}/ca.crt      # docker",
        f"  {copy} {quoted} /etc/containers/certs.d/{host}/ca.crt  # podman, skopeo",
    ]


def _clients(settings: Settings, host: str, endpoint: str) -> list[str]:
    plain = "" if endpoint.startswith("https://") else " --tls-verify=false"
    plain_target = "" if endpoint.startswith("https://") else " --dest-tls-verify=false"
    aws = f"aws --endpoint-url {endpoint} ecr"
    if settings.dev:
        password, create = "echo dev |", []
    else:
        password = f"{aws} get-login-password |"
        create = ["", "Make a repository:", f"  {aws} create-repository --repository-name hello"]
    return [
        "Log in, with one of:",
        f"  {password} docker login --username AWS --password-stdin {host}",
        f"  {password} podman login{plain} --username AWS --password-stdin {host}",
        f"  {password} skopeo login{plain} --username AWS --password-stdin {host}",
        *create,
        "",
        "Push an image, with one of:",
        f"  docker pull alpine && docker tag alpine {host}/hello:1 && docker push {host}/hello:1",
        f"  podman pull docker.io/library/alpine && podman push{plain} alpine {host}/hello:1",
        f"  skopeo copy{plain_target} docker://docker.io/library/alpine docker://{host}/hello:1",
        "",
        "See what is there:",
        f"  {aws} describe-images --repository-name hello",
    ]
