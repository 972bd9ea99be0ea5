"""The two surroundings in which every client is tried.

``plain``: the server on a loopback port without TLS, as after a first ``moorage serve``.
``tls``: the server behind Amazon's own host names, with a certificate of ``moorage tls init``, in a network of
its own. Clients are given nothing there but that certificate authority, an access key and the region.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.clients.command import Ran, moorage, run, succeeds
from tests.clients.engine import engine
from tests.clients.namespace import ADDRESS, namespace
from tests.serving import ACCOUNT, REGION, Credentials, command, running, serve, wait_until_ready

OTHER_ACCOUNT, OTHER_REGION = "210987654321", "eu-west-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
OTHER_REGISTRY = f"{OTHER_ACCOUNT}.dkr.ecr.{OTHER_REGION}.amazonaws.com"
# Run inside the network: ends with status 0 if the URL answers 200.
_ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"
HOSTS = (
    REGISTRY,
    OTHER_REGISTRY,
    *(
        f"{service}.{region}.amazonaws.com"
        for service in ("api.ecr", "sts")
        for region in (REGION, OTHER_REGION)
    ),
)


@dataclass(frozen=True)
class World:
    """A running server and the surroundings of its clients."""

    name: str
    registry: str
    directory: Path
    environment: dict[str, str]
    prefix: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """The data directory of the server."""
        return self.directory / "data"

    @property
    def plain(self) -> bool:
        """No TLS: clients that do not find that out by themselves have to be told."""
        return self.name == "plain"

    def run(self, *argv: str | Path, stdin: str | bytes = b"") -> Ran:
        """Run a client; ``CommandFailed`` with its output unless it succeeds."""
        return run([*self.prefix, *argv], self.environment, stdin=stdin)

    def when_plain(self, *flags: str) -> tuple[str, ...]:
        """``flags`` over plain HTTP, none over TLS."""
        return flags if self.plain else ()

    def ecr(self, *argv: str) -> Ran:
        """Call an ECR operation with the AWS CLI."""
        return self.run("aws", "--output", "json", "ecr", *argv)

    def password(self) -> str:
        """A registry password, as the AWS CLI gets it."""
        return self.ecr("get-login-password").out.strip()

    def sign_docker_in(self) -> Ran:
        """The way every guide to ECR shows: the password of the AWS CLI, piped into docker login."""
        login = ("docker", "login", "--username", "AWS", "--password-stdin", self.registry)
        return self.run(*login, stdin=self.password())

    def create(self, repository: str) -> str:
        """Create ``repository``; return its name with the registry before it."""
        self.ecr("create-repository", "--repository-name", repository)
        return f"{self.registry}/{repository}"


@contextmanager
def plain_world(directory: Path) -> Iterator[World]:
    """The server on a loopback port."""
    with ExitStack() as stack:
        served = stack.enter_context(serve(directory))
        port = served.address.rsplit(":", 1)[1]
        environment = _environment(directory, served.credentials)
        environment["AWS_ENDPOINT_URL_ECR"] = served.url
        yield _with_engine(stack, World("plain", f"localhost:{port}", directory, environment))


@contextmanager
def tls_world(directory: Path) -> Iterator[World]:
    """The server behind Amazon's host names."""
    with ExitStack() as stack:
        network = stack.enter_context(namespace(directory, HOSTS))
        data, log = directory / "data", directory / "server.log"
        authority = make_certificate(data)
        environment = dict(os.environ) | {
            "MOORAGE_REGISTRY_HOST": "{account}.dkr.ecr.{region}.amazonaws.com",
            "SSL_CERT_FILE": str(authority),
        }
        flags = ["--tls-cert", str(data / "tls/cert.pem"), "--tls-key", str(data / "tls/key.pem")]
        argv = [*network.prefix, *command(data, f"{ADDRESS}:443", *flags)]
        process = stack.enter_context(running(argv, log, environment))
        asking = [*network.prefix, sys.executable, "-c", _ASK, f"https://{REGISTRY}/readyz"]
        wait_until_ready(lambda: succeeds(asking, environment), process, log)
        surroundings = _environment(directory, Credentials.read(data)) | {
            "SSL_CERT_FILE": str(authority),
            "AWS_CA_BUNDLE": str(authority),
        }
        yield _with_engine(stack, World("tls", REGISTRY, directory, surroundings, network.prefix))


def make_certificate(data: Path) -> Path:
    """Let ``moorage tls init`` make an authority and a certificate for Amazon's names; return the authority."""
    names = [flag for host in HOSTS for flag in ("--host", host)]
    run([moorage(), "tls", "init", "--data-dir", data, *names], os.environ)
    return data / "tls/ca.pem"


def scratch() -> Path:
    """A directory with a short name: the path of a socket has about a hundred characters."""
    return Path(tempfile.mkdtemp(prefix="moorage-clients-"))


def _with_engine(stack: ExitStack, world: World) -> World:
    host = stack.enter_context(engine(world.directory / "engine", world.prefix, world.environment))
    return replace(world, environment=world.environment | {"DOCKER_HOST": host})


def _environment(directory: Path, credentials: Credentials) -> dict[str, str]:
    """Nothing of the tester's own settings but the search path; every client keeps its files below ``directory``."""
    home = directory / "home"
    for part in ("docker", "helm", "run"):
        (home / part).mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(home / "run"),
        "DOCKER_CONFIG": str(home / "docker"),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "HELM_REGISTRY_CONFIG": str(home / "helm/registry.json"),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
