"""A registry in this process, spoken to in requests: no socket, blobs in memory, a database of its own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from moorage.auth import tokens
from moorage.auth.sealing import Keyring, MasterKey
from moorage.blobs.memory import MemoryBlobStore
from moorage.config import Settings
from moorage.domain.caller import Caller, RegistryKey, RequestFacts
from moorage.domain.digest import Digest
from moorage.domain.media_types import OCI_INDEX, OCI_MANIFEST
from moorage.domain.names import RegistryId, RepositoryName
from moorage.metadata.sqlite import microseconds
from moorage.oci.face import DistributionApi
from moorage.rules.tag_mutability import TagMutability
from moorage.services import accounts, repositories
from moorage.transfers.downloads import Downloads
from moorage.transfers.issuer_keys import IssuerKeys
from moorage.transfers.pulls import PullTimes
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads
from moorage.transfers.uploads import Uploads
from moorage.transfers.web_identities import WebIdentities
from moorage.web.asgi import read_facts
from moorage.web.authenticate import Authenticator
from moorage.web.context import Context
from moorage.web.hosts import RegistryHosts
from moorage.web.http import Message, Request, Response
from moorage.wiring import load_token_checks
from tests.support.callers import proven
from tests.support.database import open_fresh

ACCOUNT = "000000000000"
OTHER_ACCOUNT = "111111111111"
REGION = "us-east-1"
HOST = "localhost:5050"
HOUR = 3_600_000_000

EMPTY_CONFIG = b"{}"


@dataclass(frozen=True)
class Reply:
    """What came back. Header names are lower case; a header that came twice has its values joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes
    operation: str = ""
    error_code: str = ""

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of a refusal in the OCI envelope."""
        (error,) = self.json["errors"]
        return self.status, error["code"], error["message"]

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and error code."""
        return self.status, self.error_code


@dataclass
class Body:
    """A request's body in the pieces it arrives in; ``is_cut`` when the client goes away after them.

    ``was_read`` tells whether anybody asked for it.
    """

    pieces: Sequence[bytes]
    is_cut: bool = False
    was_read: bool = False
    _sent: int = field(default=0, init=False)

    async def receive(self) -> Message:
        """The next ASGI message."""
        self.was_read = True
        number, self._sent = self._sent, self._sent + 1
        if number >= len(self.pieces):
            if self.is_cut:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}
        has_more = self.is_cut or number + 1 < len(self.pieces)
        return {"type": "http.request", "body": self.pieces[number], "more_body": has_more}


def manifest_of(
    *layers: bytes, config: bytes = EMPTY_CONFIG, subject: str | None = None, **members: object
) -> bytes:
    """An OCI image manifest over these blobs. ``subject`` is a digest."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
    }
    if subject is not None:
        document["subject"] = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 2}
    return msgspec.json.encode(document | members)


def index_of(*manifests: bytes, **members: object) -> bytes:
    """An OCI index over these manifests."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(manifest, OCI_MANIFEST) for manifest in manifests],
    }
    return msgspec.json.encode(document | members)


def descriptor(content: bytes, media_type: str) -> dict[str, object]:
    """A descriptor of these bytes."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}


def sha256(content: bytes) -> str:
    """The digest of these bytes, as text."""
    return str(Digest.of(content))


def sha512(content: bytes) -> str:
    """The other digest of these bytes, as text."""
    return str(Digest.of(content, "sha512"))


class Registry:
    """A registry with a root key in two accounts, and a client of it."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.settings = Settings(data_dir=directory, **settings)
        self.database = open_fresh(self.settings)
        self.store = MemoryBlobStore()
        self.keyring = Keyring({1: b"k" * 32}, 1)
        self._threads = BlobThreads(2)
        self.context = Context(
            settings=self.settings,
            database=self.database,
            uploads=Uploads(
                self.database, self.store, self._threads, Room(self.store, self._threads, self.settings)
            ),
            downloads=Downloads(self.store, self._threads),
            pulls=PullTimes(self.database),
            authenticator=Authenticator(self.settings, self.database, MasterKey(b"m" * 32), self.keyring),
            hosts=RegistryHosts(self.settings),
            keyring=self.keyring,
            web_identities=WebIdentities(self.database, IssuerKeys(()), load_token_checks),
        )
        self.api = DistributionApi(self.context)
        for account in (ACCOUNT, OTHER_ACCOUNT):
            self.database.write_now(accounts.create_root_key, RegistryId(account), f"AKIA{account}", b"sealed")

    def close(self) -> None:
        """Let go of everything."""
        self._threads.close()
        self.database.close()

    # --- What is there ---------------------------------------------------------------------------------------

    @property
    def key(self) -> RegistryKey:
        """The default registry."""
        return RegistryKey(RegistryId(ACCOUNT), REGION)

    def caller(self, account: str = ACCOUNT) -> Caller:
        """The root of an account."""
        facts = RequestFacts("request", "v2", "127.0.0.1", is_tls=False, user_agent="", received_at=0)
        arn = f"arn:aws:iam::{account}:root"
        return proven(self.database, Caller(RegistryId(account), arn, f"AKIA{account}", REGION, facts))

    def create(
        self, name: str, *, tag_mutability: TagMutability = TagMutability.MUTABLE, account: str = ACCOUNT
    ) -> None:
        """Make a repository."""
        self.database.write_now(
            repositories.create_repository,
            self.caller(account),
            RegistryKey(RegistryId(account), REGION),
            RepositoryName.parse(name),
            tag_mutability=tag_mutability,
        )

    def authorization(self, account: str = ACCOUNT, *, lifetime: int = HOUR, key_id: str = "") -> str:
        """The header of a client that logged in as the root of an account."""
        now = microseconds()
        caller = self.caller(account)
        caller = replace(caller, access_key_id=key_id or caller.access_key_id)
        claims = tokens.RegistryTokenClaims.of(caller, now, now + lifetime)
        password = tokens.issue_registry_token(self.keyring, claims)
        return "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()

    # --- Requests --------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        target: str,
        body: bytes | Body = b"",
        *,
        account: str | None = ACCOUNT,
        host: str = HOST,
        **headers: str,
    ) -> Reply:
        """One request; underscores in header names stand for hyphens. ``account`` None sends no credentials."""
        return asyncio.run(self.exchange(method, target, body, account=account, host=host, **headers))

    async def exchange(
        self,
        method: str,
        target: str,
        body: bytes | Body = b"",
        *,
        account: str | None = ACCOUNT,
        host: str = HOST,
        **headers: str,
    ) -> Reply:
        """``send`` for tests that run several at once."""
        named = {"host": host}
        if account is not None:
            named["authorization"] = self.authorization(account)
        if isinstance(body, bytes):
            if body or method in {"POST", "PUT", "PATCH"}:
                named["content-length"] = str(len(body))
            body = Body([body] if body else [])
        elif "content_length" not in headers:
            named["transfer-encoding"] = "chunked"
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = _request(method, target, named, body)
        return await _reply(await self.api.handle(request), method)

    # --- Shorthands ------------------------------------------------------------------------------------------

    def push_blob(self, name: str, content: bytes) -> str:
        """Push a blob in one request; returns its digest."""
        digest = sha256(content)
        reply = self.send("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content)
        assert reply.status == 201, reply
        return digest

    def push_manifest(self, name: str, content: bytes, reference: str | None = None) -> str:
        """Push a manifest under a reference, its digest when None is given; returns its digest."""
        digest = sha256(content)
        reply = self.send("PUT", f"/v2/{name}/manifests/{reference or digest}", content)
        assert reply.status == 201, reply
        return digest

    def push_image(self, name: str, tag: str | None = None, *layers: bytes, **members: object) -> str:
        """Push an image with its blobs; returns its digest."""
        for blob in (EMPTY_CONFIG, *layers):
            self.push_blob(name, blob)
        return self.push_manifest(name, manifest_of(*layers, **members), tag)  # type: ignore[arg-type]

    def start_upload(self, name: str) -> str:
        """Begin an upload; returns its path."""
        reply = self.send("POST", f"/v2/{name}/blobs/uploads/")
        assert reply.status == 202, reply
        return reply.headers["location"]


def _request(method: str, target: str, headers: dict[str, str], body: Body) -> Request:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 4711),
    }
    return Request(scope, body.receive, read_facts(scope, "v2"))


async def _reply(response: Response, method: str) -> Reply:
    body = response.body
    if not isinstance(body, bytes):
        body = await _gather(body)
    headers: dict[str, str] = {}
    for name, value in response.headers:
        text = value.decode("latin-1")
        key = name.decode()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    if method == "HEAD":
        body = b""
    return Reply(response.status, headers, body, response.operation, response.error_code)


async def _gather(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])
