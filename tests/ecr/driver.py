"""The JSON API in this process: a fresh server over a fresh database and memory, clients that sign like botocore."""

import asyncio
import itertools
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from moorage.auth.sealing import Keyring, MasterKey
from moorage.blobs.locations import new_blob
from moorage.blobs.memory import MemoryBlobStore
from moorage.config import Settings
from moorage.domain.caller import RegistryKey, RequestFacts
from moorage.domain.digest import Digest
from moorage.domain.errors import RegistryError
from moorage.domain.names import RegistryId
from moorage.ecr.contract import EXCEPTIONS, OPERATIONS, SHAPES, TARGET_PREFIX
from moorage.ecr.face import JsonApi
from moorage.ecr.shapes import Operation
from moorage.ecr.validation import validate
from moorage.metadata import images, layers, repositories, tags
from moorage.metadata.images import ImageRow
from moorage.metadata.transaction import Transaction
from moorage.services import accounts
from moorage.transfers.downloads import Downloads
from moorage.transfers.issuer_keys import IssuerKeys
from moorage.transfers.pulls import PullTimes
from moorage.transfers.room import Room
from moorage.transfers.threads import BlobThreads
from moorage.transfers.uploads import Uploads
from moorage.transfers.web_identities import WebIdentities
from moorage.web.authenticate import Authenticator
from moorage.web.context import Context
from moorage.web.hosts import RegistryHosts
from moorage.web.http import Message, Request, Response
from moorage.wiring import load_token_checks
from tests.support.database import open_fresh

Result = TypeVar("Result")

ACCOUNT = "012345678910"
OTHER_ACCOUNT = "999999999999"
REGION = "us-west-2"
REGISTRY = RegistryKey(RegistryId(ACCOUNT), REGION)
HOST = "registry.test:5050"
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
#: 2016-12-16 20:05:42.123456 UTC.
NOW = 1_481_918_742_123_456

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

#: Errors that every operation may answer with and none declares.
UNDECLARED = (
    "AccessDeniedException",
    "NotImplementedException",
    "SerializationException",
    "UnrecognizedClientException",
)


@dataclass(frozen=True)
class Key:
    """An access key of an account's root, or of a session with its token."""

    access_key_id: str
    secret: str
    session_token: str | None = None


KEY = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
OTHER_KEY = Key("AKIDOTHER", "another/SecretThatIsLongEnoughForAKey0000")


@dataclass(frozen=True)
class Answer:
    """A response, its body read to the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    operation: str
    error_code: str

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def code(self) -> str:
        """The error's ``__type``."""
        return str(self.json["__type"])

    @property
    def message(self) -> str:
        """The error's text."""
        return str(self.json["message"])


@dataclass
class Sent:
    """A request as it arrives at the application."""

    method: str = "POST"
    target: str = "/"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def without_header(self, name: bytes) -> "Sent":
        """The same without one header."""
        return Sent(self.method, self.target, [pair for pair in self.headers if pair[0] != name], self.body)


class Driver:
    """One server and its clients. ``now`` is the time of everything, in microseconds."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.now = NOW
        self.settings = Settings(data_dir=directory, account_id=ACCOUNT, region=REGION, **settings)
        self.database = open_fresh(self.settings, clock=lambda: self.now)
        self.store = MemoryBlobStore()
        self.threads = BlobThreads(2)
        master_key, keyring = MasterKey(bytes(32)), Keyring({1: bytes(32)}, 1)
        self.context = Context(
            settings=self.settings,
            database=self.database,
            uploads=Uploads(
                self.database, self.store, self.threads, Room(self.store, self.threads, self.settings)
            ),
            downloads=Downloads(self.store, self.threads),
            pulls=PullTimes(self.database),
            authenticator=Authenticator(self.settings, self.database, master_key, keyring),
            hosts=RegistryHosts(self.settings),
            keyring=keyring,
            web_identities=WebIdentities(
                self.database, IssuerKeys(self.settings.oidc_private_origins), load_token_checks
            ),
        )
        for account, key in ((ACCOUNT, KEY), (OTHER_ACCOUNT, OTHER_KEY)):
            sealed = master_key.seal(key.secret.encode(), key.access_key_id.encode())
            self.database.write_now(accounts.create_root_key, RegistryId(account), key.access_key_id, sealed)
        self.api = JsonApi(self.context)
        self._runner = asyncio.Runner()
        self._ids = itertools.count(1)

    def close(self) -> None:
        """Stop its threads."""
        self._runner.close()
        self.threads.close()
        self.database.close()

    # --- Sending ---------------------------------------------------------------------------------------------

    def send(self, sent: Sent) -> Answer:
        """Give one request to the API."""
        return self._runner.run(self._send(sent))

    def run(self, awaitable: Coroutine[Any, Any, Result]) -> Result:
        """What comes of anything asynchronous."""
        return self._runner.run(awaitable)

    def send_together(self, *sent: Sent) -> list[Answer]:
        """Give several requests at once."""

        async def gather() -> list[Answer]:
            return await asyncio.gather(*map(self._send, sent))

        return self._runner.run(gather())

    def turn_away(self, sent: Sent, error: RegistryError) -> Answer:
        """What the API says to a request that the server does not take on."""
        return self._runner.run(_read(self.api.refuse(self._request(sent), error)))

    async def _send(self, sent: Sent) -> Answer:
        return await _read(await self.api.handle(self._request(sent)))

    def _request(self, sent: Sent) -> Request:
        parts = urlsplit(sent.target)
        facts = RequestFacts(
            f"00000000-0000-4000-8000-{next(self._ids):012}", "json", "127.0.0.1", False, "test", self.now
        )
        scope = {
            "method": sent.method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": sent.headers,
            "scheme": "http",
        }
        messages = iter([{"type": "http.request", "body": sent.body}])

        async def receive() -> Message:
            return next(messages)

        return Request(scope, receive, facts)

    def sign(
        self,
        operation: str | None,
        body: bytes = b"{}",
        *,
        key: Key = KEY,
        region: str = REGION,
        service: str = "ecr",
        target: str = "/",
        headers: Mapping[str, str] | None = None,
    ) -> Sent:
        """A POST signed in its headers."""
        given = {"Content-Type": "application/x-amz-json-1.1"}
        if "Transfer-Encoding" not in (headers or {}):
            given["Content-Length"] = str(len(body))
        if operation is not None:
            given["X-Amz-Target"] = operation if "." in operation else f"{TARGET_PREFIX}.{operation}"
        request = AWSRequest("POST", f"http://{HOST}{target}", given | dict(headers or {}), body)
        return self._signed(request, SigV4Auth(_credentials(key), service, region), body)

    def presign(
        self,
        operation: str | None,
        parameters: list[tuple[str, str]] | None = None,
        *,
        method: str = "POST",
        expires: int = 3600,
        service: str = "ecr",
        key: Key = KEY,
    ) -> Sent:
        """A call signed in its query, as ``generate_presigned_url`` makes it."""
        headers = {"Content-Type": "application/x-amz-json-1.1"} if operation else {}
        if operation is not None:
            headers["X-Amz-Target"] = f"{TARGET_PREFIX}.{operation}"
        repeated: dict[str, list[str]] = {}
        for name, value in parameters or []:
            repeated.setdefault(name, []).append(value)
        # botocore moves what it finds here into the query.
        request = AWSRequest(method, f"http://{HOST}/", headers, repeated)
        return self._signed(request, SigV4QueryAuth(_credentials(key), service, REGION, expires), b"")

    def _signed(self, request: AWSRequest, signer: SigV4Auth, body: bytes) -> Sent:
        moment = datetime.fromtimestamp(self.now // SECOND, UTC)
        with patch("botocore.auth.get_current_datetime", return_value=moment):
            signer.add_auth(request)
        parts = urlsplit(request.url)
        headers = [(b"host", HOST.encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        return Sent(request.method, f"/?{parts.query}" if parts.query else "/", headers, body)

    def call(self, operation: str, /, *, key: Key = KEY, region: str = REGION, **given: Any) -> Answer:
        """A call with this input, whatever comes of it, held against the contract."""
        answer = self.send(self.sign(operation, json.dumps(given).encode(), key=key, region=region))
        check_answer(operation, answer)
        return answer

    def ok(self, operation: str, /, **given: Any) -> dict[str, Any]:
        """The output of a call that must succeed."""
        answer = self.call(operation, **given)
        assert answer.status == 200, answer.body
        return answer.json

    def refused(self, operation: str, /, **given: Any) -> str:
        """The error code of a call that must be refused with status 400."""
        answer = self.call(operation, **given)
        assert answer.status == 400, answer.body
        return answer.code

    # --- State -----------------------------------------------------------------------------------------------

    def create(self, *names: str) -> None:
        """Make repositories."""
        for name in names:
            self.ok("CreateRepository", repositoryName=name)

    def upload(self, repository: str, data: bytes) -> str:
        """Make a layer of these bytes, in one part; returns its digest."""
        upload_id = self.ok("InitiateLayerUpload", repositoryName=repository)["uploadId"]
        self.ok(
            "UploadLayerPart",
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=0,
            partLastByte=len(data) - 1,
            layerPartBlob=b64encode(data).decode(),
        )
        digest = f"sha256:{sha256(data).hexdigest()}"
        self.ok("CompleteLayerUpload", repositoryName=repository, uploadId=upload_id, layerDigests=[digest])
        return digest

    def image(self, repository: str, seed: str, **members: Any) -> str:
        """The text of an OCI manifest with a config and a layer of its own, which are uploaded."""
        config, layer = f"config of {seed}".encode(), f"layer of {seed}".encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
        self.upload(repository, config)
        self.upload(repository, layer)
        return json.dumps(manifest | members)

    def push(self, repository: str, seed: str, *tags: str, **members: Any) -> str:
        """Push an image made of ``seed`` under these tags, or none; returns its digest."""
        text = self.image(repository, seed, **members)
        for tag in tags or (None,):
            named = {} if tag is None else {"imageTag": tag}
            self.ok("PutImage", repositoryName=repository, imageManifest=text, **named)
        return digest_of(text)

    def place_layer(self, repository: str, digest: str, size: int, media_type: str | None = None) -> None:
        """Let a repository have a layer of some bytes of this number: for samples that name a digest."""
        location = new_blob(Digest.parse(digest))
        self.store.keep(location, bytes(size))
        self.database.write_now(_place_layer, repository, digest, size, location, media_type)

    def place_image(
        self, repository: str, digest: str, *tags: str, content: bytes = b"{}", size: int = 0
    ) -> None:
        """Let a repository have an image of this digest: for samples that name one."""
        self.database.write_now(_place_image, repository, digest, content, size)
        for tag in tags:
            self.database.write_now(_place_tag, repository, digest, tag)


def check_answer(operation: str, answer: Answer) -> None:
    """An output has members of the contract only, each of its type; an error is one that the operation declares."""
    declared = OPERATIONS[operation]
    assert answer.operation == operation
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert len(answer.headers["x-amzn-requestid"]) == 36
    if answer.status == 200:
        # An empty list is a truthful answer, also where a request must not send one.
        given = {name: value for name, value in answer.json.items() if value != []}
        assert validate(Operation(operation, declared.output, "", ()), given) == given
        assert answer.json.keys() <= SHAPES[declared.output].members.keys()
        assert not answer.error_code
        return
    members = {"__type", *EXCEPTIONS.get(answer.code, ("message",))}
    assert answer.code in {*declared.errors, *UNDECLARED}, answer.body
    assert {"__type", "message"} <= answer.json.keys() <= members
    assert answer.error_code == answer.code


def _place_layer(
    tx: Transaction, repository: str, digest: str, size: int, location: str, media_type: str | None
) -> None:
    row = repositories.find_repository(tx, REGISTRY, repository)
    assert row is not None
    layers.ensure_layer(tx, row.id, digest, layers.add_blob(tx, digest, size, location))
    if media_type is not None:
        layers.set_media_type(tx, row.id, digest, media_type)


def _place_image(tx: Transaction, repository: str, digest: str, content: bytes, size: int) -> None:
    row = repositories.find_repository(tx, REGISTRY, repository)
    assert row is not None
    images.add_image(
        tx,
        repository_id=row.id,
        manifest_id=images.ensure_manifest(tx, digest, DOCKER_MANIFEST, content),
        digest=digest,
        media_type=DOCKER_MANIFEST,
        manifest_size=len(content),
        size=size,
        artifact_media_type=None,
        artifact_type=None,
        subject_digest=None,
        blobs=(),
        children=(),
    )
    repositories.change_image_count(tx, row.id, 1)


def _place_tag(tx: Transaction, repository: str, digest: str, tag: str) -> None:
    row = repositories.find_repository(tx, REGISTRY, repository)
    assert row is not None
    image = images.find_by_digest(tx, row.id, digest)
    assert isinstance(image, ImageRow)
    tags.add_tag(tx, row.id, tag, image.id)
    images.change_tag_count(tx, image.id, 1)


def _credentials(key: Key) -> Credentials:
    return Credentials(key.access_key_id, key.secret, key.session_token)


async def _read(response: Response) -> Answer:
    body = response.body
    if isinstance(body, AsyncIterator):
        body = b"".join([piece async for piece in body])
    return Answer(
        response.status,
        {name.decode(): value.decode() for name, value in response.headers},
        body,
        response.operation,
        response.error_code,
    )


def digest_of(data: str | bytes) -> str:
    """The sha256 digest of text or bytes."""
    return f"sha256:{sha256(data.encode() if isinstance(data, str) else data).hexdigest()}"


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    """A descriptor of these bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
