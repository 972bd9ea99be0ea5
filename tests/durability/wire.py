"""A client of its own: every request is counted while it runs, and "no answer" is told apart from any answer.

Ready-made clients try again by themselves, which would hide exactly what is looked at here.
"""

import base64
import http.client
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from tests.durability.journal import Violation
from tests.serving import REGION, Credentials

ANSWER_SECONDS = 20
_TARGET = "AmazonEC2ContainerRegistry_V20150921"

Body = bytes | Iterable[bytes]


class NoAnswer(Exception):
    """The connection ended before the answer: whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body of the JSON API and of lists."""
        return json.loads(self.body)


@dataclass(slots=True)
class InFlight:
    """How many requests run now, and how many ended without an answer."""

    running: int = 0
    broken: int = 0
    #: Whether the server's parent is dead: what an orphan answers with 500 may have been done or not.
    is_orphaned: bool = False
    #: Whether the database is away: what is answered with 503 may have been done or not.
    is_without_database: bool = False
    #: What was answered so.
    refusals: list[Answer] = field(default_factory=list)
    #: Whether the power is off: nobody would have heard what is answered from now on.
    is_cut: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> None:
        with self._lock:
            self.running += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self.running -= 1
            self.broken += kind is not None and issubclass(kind, NoAnswer)


class Wire:
    """One connection to the server, made again when it broke. Not for two threads at once."""

    def __init__(self, address: str, credentials: Credentials, in_flight: InFlight) -> None:
        self._address = address
        self._signer = SigV4Auth(
            SigningCredentials(credentials.access_key_id, credentials.secret_access_key), "ecr", REGION
        )
        self._in_flight = in_flight
        self._connection = http.client.HTTPConnection(address, timeout=ANSWER_SECONDS)
        self._password = ""

    def close(self) -> None:
        """Begin with a new connection."""
        self._connection.close()

    def log_in(self) -> None:
        """Get a registry password, as a user of ECR would."""
        answer = self.call("GetAuthorizationToken", {})
        self._password = answer.json()["authorizationData"][0]["authorizationToken"]

    def send(
        self, method: str, path: str, body: Body | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A request to ``/v2/``; a body that is no bytes goes out in HTTP chunks. Raises ``NoAnswer``."""
        return self._request(method, path, body, {"Authorization": f"Basic {self._password}"} | (headers or {}))

    def call(self, operation: str, payload: dict[str, Any]) -> Answer:
        """A signed call of the JSON API. Raises ``NoAnswer``."""
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{_TARGET}.{operation}"}
        signed = AWSRequest("POST", f"http://{self._address}/", data=body, headers=headers)
        self._signer.add_auth(signed)
        return self._request("POST", "/", body, dict(signed.headers.items()))

    def _request(self, method: str, path: str, body: Body | None, headers: dict[str, str]) -> Answer:
        self._connect()
        with self._in_flight:
            try:
                self._connection.request(method, path, body, headers)
                response = self._connection.getresponse()
                answer = Answer(response.status, response.headers, response.read())
            except TimeoutError as error:
                self.close()
                raise Violation(f"no answer to {method} {path} within {ANSWER_SECONDS} s") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise NoAnswer(f"{method} {path}: {error!r}") from error
            if self._in_flight.is_cut:
                raise NoAnswer(f"{method} {path}: status {answer.status} after the power went")
            if answer.status >= 500 and self._in_flight.is_orphaned:
                self._in_flight.refusals.append(answer)
                raise NoAnswer(f"{method} {path}: status {answer.status} of an orphan")
            if answer.status == 503 and self._in_flight.is_without_database:
                if answer.headers["Retry-After"] is None:
                    raise Violation(f"{method} {path}: 503 without Retry-After: {answer.body[:300]!r}")
                raise NoAnswer(f"{method} {path}: status 503 without a database")
            return answer

    def _connect(self) -> None:
        """Connect where that is to be done, so that a request that was never sent does not count."""
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except TimeoutError as error:
                raise Violation(f"no connection within {ANSWER_SECONDS} s") from error
            except OSError as error:
                raise NoAnswer(f"no connection: {error!r}") from error


def encode_part(data: bytes) -> str:
    """A layer part as the JSON API carries it."""
    return base64.b64encode(data).decode()
