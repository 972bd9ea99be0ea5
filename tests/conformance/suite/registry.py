"""The registry under test, as a plain HTTP client sees it: one request, one answer, nothing interpreted.

Connections are kept alive, because a refusal that leaves an unread body behind shows only in the next answer. There
are several, used in turn, because what one process of a registry acknowledged must be known to the others at once.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

SECONDS = 60
REDIRECTS = 3
STREAMED_PIECE = 100
CONNECTIONS = 4

# OCI distribution-spec 1.1, "Error Codes".
ERROR_CODES = frozenset(
    (
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    )
)

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """What is sent. A streamed body goes out in chunked transfer coding, its length unknown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    streamed: bool = False

    @property
    def parts(self) -> SplitResult:
        """The URL, split."""
        return urlsplit(self.url)

    @property
    def target(self) -> str:
        """Path and query, as the request line carries them."""
        return (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")

    @property
    def pieces(self) -> bytes | Iterator[bytes] | None:
        """The body in the form that ``http.client`` sends as wanted: bytes with a length, pieces without."""
        if self.streamed and self.body is not None:
            data = self.body
            return (data[at : at + STREAMED_PIECE] for at in range(0, len(data), STREAMED_PIECE))
        return self.body


@dataclass(frozen=True)
class Answer:
    """What came back, with the request that it answers."""

    request: Request
    status: int
    headers: Mapping[str, Sequence[str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, the empty string where it is missing."""
        return next(iter(self.headers.get(name.lower(), ())), "")

    def listed(self, name: str) -> list[str]:
        """All values of a header that holds a list, whether in one line or in many."""
        return [part.strip() for line in self.headers.get(name.lower(), ()) for part in line.split(",")]

    @property
    def json(self) -> object:
        """The body, read as JSON; ``ValueError`` where it is none."""
        return json.loads(self.body)

    @property
    def error_codes(self) -> list[str]:
        """The codes of an error body; empty where it has another form."""
        try:
            document = self.json
        except ValueError:
            return []
        errors = document.get("errors") if isinstance(document, dict) else None
        found = [entry.get("code") for entry in errors or () if isinstance(entry, dict)]
        return [code for code in found if isinstance(code, str)]

    def __str__(self) -> str:
        """The answer in one line, for the message of a failure."""
        asked = f"{self.request.method} {short(self.request.target)} -> {self.status}"
        return f"{asked} {short(self.body[:300].decode())}" if self.body.isascii() and self.body else asked


@dataclass
class Registry:
    """A registry at a URL, and who asks.

    What its answers break in general is gathered in ``remarks``; ``own_codes`` are the error codes that it is known
    to answer besides those of the specification.
    """

    url: str
    username: str = ""
    password: str = ""
    own_codes: frozenset[str] = frozenset()
    remarks: dict[str, str] = field(default_factory=dict)
    _connections: dict[tuple[str, str, int], HTTPConnection] = field(default_factory=dict)
    _turn: int = 0
    _authorization: str = ""

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        streamed: bool = False,
        parameters: Parameters = (),
    ) -> Answer:
        """Send one request to a path or a Location; a challenge is met and a redirected read is followed.

        Raises ``OSError`` and ``http.client.HTTPException`` where no answer can be had.
        """
        url = with_parameters(urljoin(f"{self.url}/", target), parameters)
        request = Request(method, url, headers or {}, body, streamed)
        answer = self._exchange(request)
        if answer.status == 401 and self.username:
            self._authorization = self._meet(answer)
            answer = self._exchange(request)
        for _ in range(REDIRECTS):
            if method not in ("GET", "HEAD") or answer.status not in (301, 302, 303, 307, 308):
                break
            answer = self._exchange(Request(method, urljoin(url, answer.header("Location")), headers or {}))
        self._remark(answer)
        return answer

    def _exchange(self, request: Request) -> Answer:
        """One request and its answer; a kept connection that the registry has closed meanwhile is replaced."""
        connection = self._connection(request.parts)
        kept = connection.sock is not None
        try:
            return self._round_trip(connection, request)
        except ConnectionError:
            connection.close()
            if not kept:
                raise
        return self._round_trip(connection, request)

    def _round_trip(self, connection: HTTPConnection, request: Request) -> Answer:
        headers = dict(request.headers)
        # Credentials go to the registry alone, wherever it redirects to.
        if self._authorization and request.parts.netloc == urlsplit(self.url).netloc:
            headers["Authorization"] = self._authorization
        try:
            connection.request(request.method, request.target, body=request.pieces, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            # A body may be refused before it is read; the answer is then waiting already.
            return _answer(connection.getresponse(), request)
        return _answer(connection.getresponse(), request)

    def _connection(self, url: SplitResult) -> HTTPConnection:
        self._turn = (self._turn + 1) % CONNECTIONS
        place = (url.scheme, url.netloc, self._turn)
        if place not in self._connections:
            kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
            self._connections[place] = kind(url.netloc, timeout=SECONDS)
        return self._connections[place]

    def _meet(self, refusal: Answer) -> str:
        """The Authorization that a challenge asks for; empty where it asks for something unknown."""
        challenge = refusal.header("WWW-Authenticate")
        basic = "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if not challenge.lower().startswith("bearer"):
            return basic
        facts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = urljoin(refusal.request.url, facts.pop("realm", ""))
        asked = [(name, facts[name]) for name in ("service", "scope") if name in facts]
        url = with_parameters(realm, asked)
        answer = self._round_trip(
            self._connection(urlsplit(url)), Request("GET", url, {"Authorization": basic})
        )
        token = answer.json
        if not isinstance(token, dict):
            return ""
        return f"Bearer {token.get('token') or token.get('access_token')}"

    def _remark(self, answer: Answer) -> None:
        for broken in (*error_body_faults(answer, self.own_codes), *warning_faults(answer)):
            self.remarks.setdefault(broken, str(answer))


def _answer(response: HTTPResponse, request: Request) -> Answer:
    headers: dict[str, list[str]] = {}
    for name, value in response.getheaders():
        headers.setdefault(name.lower(), []).append(value)
    return Answer(request, response.status, headers, response.read())


def short(text: str) -> str:
    """The text with all that is long and random in it cut short."""
    return re.sub(r"([0-9A-Za-z_=-]{8})[0-9A-Za-z_=-]{32,}", r"\1...", text).strip()


def with_parameters(url: str, parameters: Parameters) -> str:
    """The URL with parameters added behind those that it has, which are kept as they are."""
    if not parameters:
        return url
    return url + ("&" if urlsplit(url).query else "?") + urlencode(list(parameters))


def error_body_faults(answer: Answer, own_codes: frozenset[str] = frozenset()) -> Iterator[str]:
    """What is wrong with the JSON body of a refusal (OCI distribution-spec 1.1, "Error Codes")."""
    is_json = answer.header("Content-Type").partition(";")[0].strip().endswith("json")
    if not 400 <= answer.status < 500 or not is_json or not answer.body:
        return
    codes = answer.error_codes
    if not codes:
        yield "an error body in JSON has no list of errors with codes"
    for code in codes:
        if code not in ERROR_CODES | own_codes:
            yield f"error code {code} is not in the specification's list"


def warning_faults(answer: Answer) -> Iterator[str]:
    """What is wrong with Warning headers (OCI distribution-spec 1.1, "Warnings")."""
    warnings = answer.headers.get("warning", ())
    for line in warnings:
        if not re.fullmatch(r'299 - "(?:[^"\\]|\\.)*"', line):
            yield f'a Warning is not of the form 299 - "text": {line[:80]}'
    if sum(map(len, warnings)) > 4096:
        yield "Warning headers are longer than 4096 bytes together"
