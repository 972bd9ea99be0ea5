"""A registry with something of everything in it, so that what a refused request may not touch is there."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import uvloop

from moorage.metadata.sqlite import connect
from tests.fuzz import oracles
from tests.fuzz.application import Fuzzed
from tests.fuzz.json_api import HOST, JsonRequests
from tests.fuzz.requests import Answer, Sent
from tests.fuzz.values import Known, digest_of

Result = TypeVar("Result")

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG, LAYER = b"{}", b"a layer of some bytes"
NAME, STILL = "team/app", "team/still"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
BAD_DIGESTS = ("sha256:" + "a" * 63, "sha256:" + "A" * 64, "SHA256:" + "a" * 64, "md5:" + "a" * 32)


class World:
    """A server in this process with an image in a mutable and in an immutable repository, and an upload of 10 bytes."""

    def __init__(self, directory: Path) -> None:
        self._server = Fuzzed(directory)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.run(self._server.__aenter__())
        self.calls = JsonRequests(Random(0), Known(), self._server.key)
        self.token, self.other_token, *_ = self.run(self._server.tokens())
        self.manifest = manifest_of()
        for name, mutability in ((NAME, "MUTABLE"), (STILL, "IMMUTABLE")):
            self.call("CreateRepository", repositoryName=name, imageTagMutability=mutability)
            for blob in (CONFIG, LAYER):
                self.registry("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(blob)}", blob)
            assert self.registry("PUT", f"/v2/{name}/manifests/v1", self.manifest).status == 201
        self.location = self.start_upload(b"0123456789")
        self.upload_id = self.location.rpartition("/")[2]

    def close(self) -> None:
        """End the server; what it keeps fits together to the last."""
        found = list(self._server.traces.contradictions())
        self.run(self._server.__aexit__(None, None, None))
        self._runner.close()
        assert found == []

    def run(self, running: Coroutine[Any, Any, Result]) -> Result:
        """What comes of anything asynchronous."""
        return self._runner.run(running)

    def send(self, sent: Sent) -> Answer:
        """One request."""
        return self.run(self._server.send(sent))

    # --- Honest requests -------------------------------------------------------------------------------------

    def call(self, operation: str, **given: object) -> Answer:
        """A well-signed call that must succeed."""
        answer = self.send(self.calls.signed(operation, json.dumps(given).encode()))
        assert answer.status == 200, answer.body
        return answer

    def registry(self, method: str, path: str, body: bytes = b"") -> Answer:
        """A request to ``/v2/`` that must succeed."""
        answer = self.send(self.ask(method, path, body))
        assert answer.status < 300, answer.body
        return answer

    def start_upload(self, held: bytes) -> str:
        """Begin an upload that holds these bytes; returns its path."""
        found = self.registry("POST", f"/v2/{NAME}/blobs/uploads/").header(b"location")
        assert found is not None
        self.registry("PATCH", found.decode(), held)
        return found.decode()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Sent:
        """A request to ``/v2/``; ``headers`` replace those that are sent anyway, empty ones are left out."""
        named = {
            "host": HOST,
            "authorization": self.token,
            "content-type": MANIFEST if "/manifests/" in path else "application/octet-stream",
            "content-length": str(len(body)),
        }
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = [(name.encode(), value.encode("latin-1")) for name, value in named.items() if value]
        return Sent(method, path.encode(), sent, (body,))

    # --- What there is ---------------------------------------------------------------------------------------

    def everything(self) -> dict[str, Any]:
        """Every row of every table and every file with its bytes.

        The epoch of an upload is left out: it says who wrote last, and so does the time beside it.
        """
        data_dir = self._server.settings.data_dir
        database = connect(data_dir / "metadata.db")
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, Any] = {}
        for name in names:
            cursor = database.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in cursor.description]
            left_out = {"epoch", "updated_at"} if name == "upload" else set()
            found[name] = sorted(
                repr([value for column, value in zip(columns, row, strict=True) if column not in left_out])
                for row in cursor
            )
        database.close()
        for folder in ("blobs", "uploads"):
            for file in (data_dir / folder).rglob("*"):
                if file.is_file():
                    found[str(file.relative_to(data_dir))] = file.read_bytes()
        return found


Make = Callable[[World], Sent]


def manifest_of(**members: object) -> bytes:
    """A manifest over what the repositories have; ``members`` replace its own."""
    made: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG),
        "layers": [descriptor(LAYER)],
    }
    return json.dumps(made | members).encode()


def descriptor(data: bytes, **members: object) -> dict[str, object]:
    """A descriptor of these bytes; ``members`` replace its own."""
    return {"mediaType": "application/octet-stream", "digest": digest_of(data), "size": len(data)} | members


def told(answer: Answer) -> tuple[int, str]:
    """Status and code, of either face; the sentence of ECR's challenge stands for itself."""
    if answer.body == b"Not Authorized\n":
        return answer.status, "Not Authorized"
    found = msgspec.json.decode(answer.body)
    return answer.status, found["__type"] if "__type" in found else found["errors"][0]["code"]


def refused(world: World, sent: Sent) -> Answer:
    """The refusal of a request that leaves no trace, but for its line in the log."""
    before = world.everything()
    answer = world.send(sent)
    after = world.everything()
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()
    assert list(oracles.faults(sent, answer)) == []
    assert b'"event":"http_request"' in answer.log
    assert b'"status":%d' % answer.status in answer.log
    return answer
