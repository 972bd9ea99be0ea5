"""The servers that are measured, each as its makers would run it on one machine."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from tests.serving import (
    REGION,
    START_SECONDS,
    Credentials,
    answers,
    command,
    free_port,
    running,
    tail,
    wait_until_ready,
)

WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")
# The certificate is a fresh one of nobody's authority; what is measured does not depend on trust.
_TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TRUSTING.check_hostname = False
_TRUSTING.verify_mode = ssl.CERT_NONE
_TARGET = "AmazonEC2ContainerRegistry_V20150921"


class BenchError(Exception):
    """What was measured is not what should have been measured."""


@dataclass(frozen=True)
class Certificate:
    """PEM files that both sides serve TLS with."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Server:
    """A running server. ``authorization`` is empty where none is asked for, ``keys`` where nothing is signed."""

    name: str
    address: str
    process_id: int
    data: Path
    is_tls: bool = False
    authorization: str = ""
    keys: Credentials | None = None
    #: From the start of the process to its first good answer.
    start_seconds: float = 0.0

    @property
    def url(self) -> str:
        """Scheme and address."""
        return f"{'https' if self.is_tls else 'http'}://{self.address}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request to ``/v2/`` carries."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def cpu_seconds(self) -> float:
        """Processor time of its whole process tree so far."""
        return sum(_cpu_seconds(process_id) for process_id in tree(self.process_id))

    def connect(self) -> http.client.HTTPConnection:
        """A connection for several requests; whoever asked for it closes it."""
        if self.is_tls:
            return http.client.HTTPSConnection(self.address, timeout=120, context=_TRUSTING)
        return http.client.HTTPConnection(self.address, timeout=120)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def create_repository(self, name: str) -> None:
        """Make a repository where that is needed."""
        if self.keys:
            self.call("CreateRepository", {"repositoryName": name})

    def signed(self, operation: str, payload: object) -> tuple[dict[str, str], bytes]:
        """Headers and body of a call of the JSON API, good for fifteen minutes."""
        if self.keys is None:
            raise BenchError(f"{self.name} takes no signed calls")
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{_TARGET}.{operation}"}
        request = AWSRequest("POST", f"{self.url}/", data=body, headers=headers)
        keys = SigningCredentials(self.keys.access_key_id, self.keys.secret_access_key)
        SigV4Auth(keys, "ecr", REGION).add_auth(request)
        return {"Host": self.address, **dict(request.headers.items())}, body

    def call(
        self, operation: str, payload: object, connection: http.client.HTTPConnection | None = None
    ) -> dict[str, object]:
        """A signed call of the JSON API. Raises ``BenchError`` unless it succeeds."""
        headers, body = self.signed(operation, payload)
        used = connection or self.connect()
        try:
            used.request("POST", "/", body, headers)
            response = used.getresponse()
            answer = response.read()
        finally:
            if connection is None:
                used.close()
        if response.status != 200:
            raise BenchError(f"{self.name}: {operation}: {response.status} {answer[:200]!r}")
        found: dict[str, object] = json.loads(answer)
        return found


Runner = Callable[[Path, Certificate | None], AbstractContextManager[Server]]


@contextmanager
def moorage(directory: Path, certificate: Certificate | None = None, *flags: str) -> Iterator[Server]:
    """Moorage: authentication on, two web workers, everything else as by default."""
    address, log, data = f"127.0.0.1:{free_port()}", directory / "server.log", directory / "data"
    tls = ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)] if certificate else []
    with running(command(data, address, "--workers", str(WORKERS), *tls, *flags), log) as process:
        bare = Server("Moorage", address, process.pid, data, certificate is not None)
        seconds = _await_answer(bare, "/readyz", process, log)
        known = replace(bare, keys=Credentials.read(data), start_seconds=seconds)
        yield replace(known, authorization=f"Basic {_token(known.call('GetAuthorizationToken', {}))}")


def as_seen_with(server: Server, key: Credentials) -> Server:
    """The server as the holder of this key sees it, logged in."""
    known = replace(server, keys=key, authorization="")
    return replace(known, authorization=f"Basic {_token(known.call('GetAuthorizationToken', {}))}")


def _token(answer: dict[str, object]) -> str:
    listed = answer["authorizationData"]
    token = listed[0]["authorizationToken"] if isinstance(listed, list) else ""
    if not base64.b64decode(token).startswith(b"AWS:"):
        raise BenchError("the registry password is not for user AWS")
    return str(token)


@contextmanager
def distribution(directory: Path, certificate: Certificate | None = None) -> Iterator[Server]:
    """The CNCF registry, by ``distribution.yml``."""
    address, log, data = f"127.0.0.1:{free_port()}", directory / "server.log", directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "REGISTRY_HTTP_ADDR": address,
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(data),
        "OTEL_TRACES_EXPORTER": "none",
    }
    if certificate:
        environment |= {
            "REGISTRY_HTTP_TLS_CERTIFICATE": str(certificate.chain),
            "REGISTRY_HTTP_TLS_KEY": str(certificate.key),
        }
    argv = ["registry", "serve", str(Path(__file__).with_name("distribution.yml"))]
    with running(argv, log, environment) as process:
        server = Server("distribution", address, process.pid, data, certificate is not None)
        yield replace(server, start_seconds=_await_answer(server, "/v2/", process, log))


@contextmanager
def moto(directory: Path, _certificate: Certificate | None = None) -> Iterator[Server]:
    """``moto_server``: everything in memory, signatures unchecked, as it is by default."""
    address, log = f"127.0.0.1:{free_port()}", directory / "server.log"
    host, _, port = address.rpartition(":")
    with running(["moto_server", "-H", host, "-p", port], log) as process:
        wait_until_ready(lambda: answers(f"http://{address}/moto-api/data.json"), process, log)
        yield Server("moto", address, process.pid, directory, keys=Credentials("bench", "bench"))


def _await_answer(server: Server, path: str, process: subprocess.Popen[bytes], log: Path) -> float:
    """Seconds until a GET of this path is answered with 200. Raises ``BenchError`` when the process ends first."""
    began = time.perf_counter()
    while not _is_answering(server, path):
        if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
            raise BenchError(f"{server.name} did not start\n{tail(log)}")
        time.sleep(0.005)
    return time.perf_counter() - began


def _is_answering(server: Server, path: str) -> bool:
    """Whether a GET of this path is answered with 200."""
    try:
        return server.request("GET", path)[0] == 200
    except OSError:
        return False


def tree(process_id: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _stat(int(entry.name))):
            parents.setdefault(int(facts[1]), []).append(int(entry.name))
    found = [process_id]
    for one in found:
        found += parents.get(one, [])
    return found


def _cpu_seconds(process_id: int) -> float:
    """User and system time of a process and of its children that ended."""
    facts = _stat(process_id)
    return sum(int(ticks) for ticks in facts[11:15]) / _TICKS if facts else 0.0


def _stat(process_id: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` after the name: state, parent, and so on; empty when it is gone."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
