"""The two servers that are measured, each as its makers would run it on one machine."""

import base64
import http.client
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from tests.serving import REGION, Credentials, answers, command, free_port, running, wait_until_ready

WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """What was measured is not what should have been measured."""


@dataclass(frozen=True)
class Server:
    """A running server. ``authorization`` is empty where none is asked for."""

    name: str
    address: str
    process_id: int
    authorization: str
    create_repository: Callable[[str], None]

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def cpu_seconds(self) -> float:
        """Processor time of its whole process tree so far."""
        return sum(_cpu_seconds(process_id) for process_id in _tree(self.process_id))

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.address, timeout=120)
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


Runner = Callable[[Path], AbstractContextManager[Server]]


@contextmanager
def moorage(directory: Path) -> Iterator[Server]:
    """Moorage: authentication on, two web workers, everything else as by default."""
    address = f"127.0.0.1:{free_port()}"
    log, data = directory / "server.log", directory / "data"
    with running(command(data, address, "--workers", str(WORKERS)), log) as process:
        wait_until_ready(lambda: answers(f"http://{address}/readyz"), process, log)
        credentials = Credentials.read(data)

        def create(repository: str) -> None:
            _call(address, credentials, "CreateRepository", {"repositoryName": repository})

        answer = json.loads(_call(address, credentials, "GetAuthorizationToken", {}))
        token = answer["authorizationData"][0]["authorizationToken"]
        if not base64.b64decode(token).startswith(b"AWS:"):
            raise BenchError("the registry password is not for user AWS")
        yield Server("Moorage", address, process.pid, f"Basic {token}", create)


def _call(address: str, credentials: Credentials, operation: str, payload: dict[str, str]) -> bytes:
    """A signed call of the JSON API. Raises ``BenchError`` unless it succeeds."""
    body = json.dumps(payload).encode()
    target = f"AmazonEC2ContainerRegistry_V20150921.{operation}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    signed = AWSRequest("POST", f"http://{address}/", data=body, headers=headers)
    keys = SigningCredentials(credentials.access_key_id, credentials.secret_access_key)
    SigV4Auth(keys, "ecr", REGION).add_auth(signed)
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", "/", body, dict(signed.headers.items()))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"{operation}: {response.status} {answer[:200]!r}")
    return answer


@contextmanager
def distribution(directory: Path) -> Iterator[Server]:
    """The CNCF registry, by ``distribution.yml``."""
    address = f"127.0.0.1:{free_port()}"
    log, data = directory / "server.log", directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "REGISTRY_HTTP_ADDR": address,
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(data),
        "OTEL_TRACES_EXPORTER": "none",
    }
    argv = ["registry", "serve", str(Path(__file__).with_name("distribution.yml"))]
    with running(argv, log, environment) as process:
        wait_until_ready(lambda: answers(f"http://{address}/v2/"), process, log)
        yield Server("distribution", address, process.pid, "", lambda _: None)


def _tree(process_id: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _stat(int(entry.name))):
            parents.setdefault(int(facts[1]), []).append(int(entry.name))
    tree = [process_id]
    for one in tree:
        tree += parents.get(one, [])
    return tree


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
