"""Requests to ``/v2/``, made from its table of routes: paths, headers, queries and bodies, right and wrong."""

import base64
import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final
from urllib.parse import quote

from moorage.oci import routes
from moorage.oci.routes import ROUTES, Route
from tests.fuzz import values
from tests.fuzz.requests import Answer, Headers, Sent
from tests.fuzz.values import Known

HOSTS: Final = (
    "localhost:5050",
    "000000000000.dkr.ecr.us-east-1.localhost:5050",
    "111111111111.dkr.ecr.us-east-1.amazonaws.com",
    "000000000000.dkr.ecr.eu-west-1.amazonaws.com",
    "evil.example",
    "",
)
METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "x")
KINDS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/json; charset=utf-8",
    "text/html",
    "",
    "a" * 300,
)
RANGES: Final = (
    "bytes=0-", "bytes=0-0", "bytes=1-", "bytes=-1", "bytes=-0", "bytes=9-1", "bytes=99999999999999999999-", "0-5",
    "bytes=0-0,2-2", "bytes= 0-1", "octets=0-1", "bytes=-", "", "bytes=0-99999999999999999999", "bytes=\xb2-\xb3",
)  # fmt: skip
#: What tidies one path into another somewhere else.
PATHS: Final = (
    "%2e%2e",
    "..",
    "%2F",
    "//",
    "%00",
    "%5c",
    "%c0%ae%c0%ae/",
    "..;/",
    "%ff",
    "%",
    "%zz",
    "./",
    "%0d%0a",
)
_PARAMETERS: Final = ("n", "last", "digest", "mount", "from", "artifactType", "tag", "digest-algorithm", "x")


class RegistryRequests:
    """An endless row of requests. The same random numbers and answers make the same requests."""

    def __init__(self, random: Random, known: Known, tokens: Sequence[str]) -> None:
        self._random = random
        self._known = known
        #: Values of ``Authorization``: the first is good here, others are of other accounts or expired.
        self._tokens = tokens

    def make(self) -> Sent:
        """The next request."""
        random = self._random
        route = random.choice(ROUTES)
        method = random.choice(METHODS) if random.random() < 0.08 else route.method
        path = route.shape.replace("<name>", random.choice(values.REPOSITORIES))
        path = path.replace("<digest>", self._digest()).replace(
            "<upload_id>", random.choice(self._known.upload_ids)
        )
        path = path.replace(
            "<reference>", self._digest() if random.random() < 0.5 else random.choice(values.TAGS)
        )
        if random.random() < 0.15:
            path = self._spoil_path(path)
        body = self._body(route)
        query = self._query(route, body)
        headers = self._headers(route, body)
        if random.random() < 0.1:
            headers = self._spoil_headers(headers)
        target = f"{path}?{query}" if query else path
        is_cut = bool(body) and random.random() < 0.02
        return Sent(method, target.encode("ascii", "replace"), headers, values.cut_up(random, body), is_cut)

    def learn(self, sent: Sent, answer: Answer) -> None:
        """Remember what an answer tells, for later requests."""
        upload_id = answer.header(b"docker-upload-uuid")
        if upload_id:
            self._known.upload_ids.append(upload_id.decode())
            held = (answer.header(b"range") or b"0-0").rpartition(b"-")[2]
            self._known.lengths[upload_id.decode()] = int(held) + 1 if held != b"0" else 0
        digest = answer.header(b"docker-content-digest")
        if answer.status == 201 and digest:
            self._known.digests.append(digest.decode())
            if b"/blobs/" in sent.target and sent.body:
                self._known.blobs.append(sent.body)

    # --- Parts -----------------------------------------------------------------------------------------------

    def _digest(self) -> str:
        random = self._random
        if random.random() < 0.1:
            return quote(random.choice(values.HOSTILE_TEXTS).encode("utf-8", "replace"), safe=":")
        if random.random() < 0.4:
            return values.digest_of(random.choice(self._known.blobs))
        return random.choice(self._known.digests)

    def _spoil_path(self, path: str) -> str:
        random = self._random
        at = random.randrange(1, len(path) + 1)
        match random.randrange(4):
            case 0:
                return path[:at] + random.choice(PATHS) + path[at:]
            case 1:
                return path[:at]
            case 2:
                return path + random.choice(("/", "/..", "/manifests/x", "/blobs/uploads/", "/tags/list"))
            case _:
                text = random.choice(values.HOSTILE_TEXTS).encode("utf-8", "replace")
                return path[:at] + quote(text) + path[at:]

    def _body(self, route: Route) -> bytes:
        random = self._random
        if route.shape == routes.MANIFEST and route.method == "PUT":
            return self._manifest()
        if route.shape in {routes.UPLOADS, routes.UPLOAD} and route.method in {"POST", "PUT", "PATCH"}:
            size = random.choice((0, 0, 1, 2, 50, 1_000))
            return random.choice((random.randbytes(size), random.choice(self._known.blobs)))
        return b"x" if random.random() < 0.02 else b""

    def _manifest(self) -> bytes:
        random = self._random
        made: Any = values.manifest(random, self._known)
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            made = values.spoil(random, made)
        body = values.dump(made)
        return values.spoil_bytes(random, body) if random.random() < 0.1 else body

    def _query(self, route: Route, body: bytes) -> str:
        random = self._random
        parameters: list[tuple[str, str]] = []
        if route.shape == routes.UPLOAD and route.method == "PUT":
            parameters.append(("digest", values.digest_of(body) if random.random() < 0.7 else self._digest()))
        elif route.shape == routes.UPLOADS and random.random() < 0.7:
            kind = random.choice(("digest", "mount"))
            parameters.append((kind, values.digest_of(body) if kind == "digest" else self._digest()))
            parameters += [("from", random.choice(values.REPOSITORIES))] if random.random() < 0.5 else []
        elif route.shape in {routes.TAGS, routes.CATALOG} and random.random() < 0.7:
            number = random.choice(
                ("1", "2", "0", "-1", "abc", "1000000000000", "9" * 30, "\u0661", "+1", " 1", "")
            )
            parameters.append(("n", number))
        if random.random() < 0.15:
            text = random.choice((*values.HOSTILE_TEXTS, *values.TAGS, *values.REPOSITORIES))
            parameters.append((random.choice(_PARAMETERS), text))
        query = "&".join(
            f"{name}={quote(value.encode('utf-8', 'replace'), safe=':')}" for name, value in parameters
        )
        if random.random() < 0.04:
            query += random.choice(
                ("&", "&&" * 900, "%", "&n=%ff", "&digest", "=", "&tag=a" * 101, "&digest=x&digest=y")
            )
        return query

    def _headers(self, route: Route, body: bytes) -> Headers:
        random = self._random
        token = self._tokens[0] if random.random() < 0.93 else random.choice(self._tokens)
        host = HOSTS[0] if random.random() < 0.9 else random.choice(HOSTS)
        headers = [(b"host", host.encode()), (b"authorization", token.encode())]
        if body or route.method in {"PUT", "POST", "PATCH"}:
            is_chunked = random.random() < 0.1
            length = str(len(body)).encode()
            headers.append((b"transfer-encoding", b"chunked") if is_chunked else (b"content-length", length))
        if route.shape == routes.MANIFEST and random.random() < 0.8:
            kind = KINDS[0] if random.random() < 0.6 else random.choice(KINDS)
            headers.append((b"content-type", kind.encode()))
        if route.shape == routes.UPLOAD and random.random() < 0.5:
            headers.append((b"content-range", self._content_range(len(body))))
        if random.random() < 0.08:
            headers.append((b"range", random.choice(RANGES).encode("latin-1")))
        if random.random() < 0.05:
            tag = random.choice(("*", f'"{self._digest()}"', 'W/"x"', ",", '"' * 50))
            headers.append(
                (random.choice((b"if-none-match", b"if-range", b"accept")), tag.encode("ascii", "replace"))
            )
        return headers

    def _content_range(self, size: int) -> bytes:
        random = self._random
        first = self._known.lengths.get(random.choice(self._known.upload_ids), 0)
        good = f"{first}-{first + size - 1}"
        wrong = (
            "0-0",
            "5-1",
            "-",
            "bytes 0-1/2",
            "0-999999999999999999",
            "9" * 40 + "-",
            "a-b",
            f"{first}-{first}",
            "",
        )
        return (good if random.random() < 0.6 else random.choice(wrong)).encode()

    def _spoil_headers(self, headers: Headers) -> Headers:
        random = self._random
        at = random.randrange(len(headers))
        name, value = headers[at]
        text = random.choice(values.HOSTILE_TEXTS).encode("latin-1", "replace").translate(None, b"\r\n\0")
        match random.randrange(5):
            case 0:
                return headers[:at] + headers[at + 1 :]
            case 1:
                return [*headers, (name, value)]
            case 2:
                return [*headers[:at], (name, text), *headers[at + 1 :]]
            case 3:
                return [*headers, (b"authorization", b"Basic " + base64.b64encode(text))]
            case _:
                return [*headers, (random.choice((b"user-agent", b"x-forwarded-for", b"expect")), text)]


def told_token(body: bytes) -> str:
    """The ``Authorization`` value in an answer of GetAuthorizationToken."""
    return "Basic " + str(json.loads(body)["authorizationData"][0]["authorizationToken"])
