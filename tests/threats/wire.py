"""An attacker's client: bytes on a socket, signed by hand where they are signed, so that anything can be wrong."""

import hashlib
import json
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.serving import Credentials, Served
from tests.support import signing
from tests.support.signing import Scope

PATIENCE = 10.0
PREFIX = "AmazonEC2ContainerRegistry_V20150921"
SIGNED = ("content-type", "host", "x-amz-date", "x-amz-target")

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """The first answer that came back; ``rest`` is what followed it on the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def told(self) -> tuple[int, str]:
        """Status and code, of either face."""
        found = self.json
        return self.status, found["__type"] if "__type" in found else found["errors"][0]["code"]


@dataclass(frozen=True)
class Attacker:
    """Somebody who can reach the server, with an account's key or a stolen half of it."""

    served: Served
    key: Credentials
    host: str = field(default="")

    @property
    def name(self) -> str:
        """The Host that is sent."""
        return self.host or self.served.address

    def connect(self) -> socket.socket:
        """A connection that gives up after a while."""
        address, _, port = self.served.address.rpartition(":")
        return socket.create_connection((address, int(port)), timeout=PATIENCE)

    def send(self, method: str, path: str, headers: Headers | None = None, body: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        lines = [f"{name}: {value}" for name, value in headers or []]
        if not any(name.lower() == "host" for name, _ in headers or []):
            lines.append(f"host: {self.name}")
        if body or method in {"POST", "PUT", "PATCH"}:
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "connection: close", "", ""])
        with self.connect() as connection:
            connection.sendall(head.encode("latin-1") + body)
            return read_answer(connection)

    def sign(
        self, operation: str, body: bytes = b"{}", signed: tuple[str, ...] = SIGNED, **values: str
    ) -> Headers:
        """The headers of a signed call; ``values`` replace those that are signed, underscores for hyphens."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.name,
            "x-amz-date": now,
            "x-amz-target": f"{PREFIX}.{operation}",
        }
        headers |= {name.replace("_", "-"): value for name, value in values.items()}
        scope = Scope(self.key.access_key_id, self.key.secret_access_key, headers["x-amz-date"])
        authorization = signing.header_value(scope, list(headers.items()), signed, body)
        return [*headers.items(), ("authorization", authorization)]

    def call(self, operation: str, **given: Any) -> Answer:
        """A well-signed call of the JSON API."""
        body = json.dumps(given).encode()
        return self.send("POST", "/", self.sign(operation, body), body)

    def token(self) -> str:
        """The value of an ``Authorization`` header for ``/v2/``."""
        return "Basic " + str(
            self.call("GetAuthorizationToken").json["authorizationData"][0]["authorizationToken"]
        )

    def registry(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """A request to ``/v2/`` with a token of its own."""
        named = [("authorization", self.token())]
        named += [(name.replace("_", "-"), value) for name, value in headers.items()]
        return self.send(method, path, named, body)

    def push(self, repository: str, data: bytes) -> str:
        """Push a blob in one request; returns its digest."""
        digest = digest_of(data)
        answer = self.registry("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer
        return digest


def read_answer(connection: socket.socket) -> Answer:
    """What comes until the server ends the connection; status 0 when nothing comes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass  # Whoever sends on after an answer may lose what is left of the connection, not the answer.
    head, _, rest = received.partition(b"\r\n\r\n")
    if not head:
        return Answer(0, {}, b"")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    return Answer(int(status.split()[1]), headers, rest[:length], rest[length:])


def digest_of(data: bytes) -> str:
    """The sha256 digest of these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def make_key(served: Served, account: str) -> Credentials:
    """A root key for a further account, as an operator makes it."""
    moorage = str(Path(sys.executable).parent / "moorage")
    made = subprocess.run(
        [
            moorage,
            "credentials",
            "create",
            "--data-dir",
            served.data_dir,
            "--account",
            account,
            "--output",
            "env",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = dict(word.split("=", 1) for word in made.stdout.split() if "=" in word)
    return Credentials(pairs["AWS_ACCESS_KEY_ID"], pairs["AWS_SECRET_ACCESS_KEY"])
