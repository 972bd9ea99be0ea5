"""Pulls that are answered by what is ready: the same answers, as fresh as any, over real sockets and two workers."""

import http.client
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from moorage.domain.digest import Digest
from tests.serving import REGION, Served, serve

NAME = "team/app"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b'{"architecture":"amd64"}'
PATIENCE = 10
#: What differs between two answers to the same question.
VARYING = {"date", "x-request-id", "x-amzn-requestid"}


def digest_of(content: bytes) -> str:
    """Its sha256 digest."""
    return str(Digest.of(content))


class Client:
    """One connection to a registry, always with the same header lines."""

    def __init__(self, served: Served, token: str) -> None:
        self._connection = http.client.HTTPConnection(served.address, timeout=PATIENCE)
        self._headers = {"Authorization": f"Basic {token}", "User-Agent": "tests"}

    def ask(
        self, method: str, path: str, body: bytes | None = None, **more: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, the headers that do not vary, and the body."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        self._connection.request(method, path, body, self._headers | named)
        response = self._connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders() if name.lower() not in VARYING}
        return response.status, headers, response.read()

    def push(self, tag: str, note: str) -> bytes:
        """Push an image under a tag; returns its manifest."""
        config = digest_of(CONFIG)
        status, headers, _ = self.ask("POST", f"/v2/{NAME}/blobs/uploads/")
        assert status == 202
        assert self.ask("PUT", f"{headers['location']}?digest={config}", CONFIG)[0] == 201
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": config,
                    "size": len(CONFIG),
                },
                "layers": [],
                "annotations": {"note": note},
            }
        ).encode()
        status, _, _ = self.ask("PUT", f"/v2/{NAME}/manifests/{tag}", manifest, Content_Type=MANIFEST)
        assert status == 201
        return manifest

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers, which see one another's commits in the shared index."""
    with serve(tmp_path_factory.mktemp("repeats"), "--workers", "2") as server:
        ecr(server).create_repository(repositoryName=NAME)
        yield server


def ecr(served: Served) -> "boto3.client":
    """The JSON API of a server."""
    keys = served.credentials
    return boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=served.url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )


def token_of(served: Served) -> str:
    """The password of `docker login`, as its header has it."""
    token: str = ecr(served).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return token


@pytest.fixture
def clients(served: Served) -> Iterator[list[Client]]:
    """So many that both workers have some."""
    token = token_of(served)
    made = [Client(served, token) for _ in range(8)]
    yield made
    for client in made:
        client.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("what", ["tag", "digest", "blob"])
def test_a_repeated_pull_is_answered_as_the_first_one(clients: list[Client], method: str, what: str) -> None:
    """The first is parsed; so is one with another header; those in between are not."""
    client = clients[0]
    manifest = client.push("same", "same")
    path = {
        "tag": f"/v2/{NAME}/manifests/same",
        "digest": f"/v2/{NAME}/manifests/{digest_of(manifest)}",
        "blob": f"/v2/{NAME}/blobs/{digest_of(CONFIG)}",
    }[what]
    answers = [client.ask(method, path) for _ in range(4)]
    answers.append(client.ask(method, path, X_Other="1"))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 200
    assert answers[0][2] == (b"" if method == "HEAD" else CONFIG if what == "blob" else manifest)


def test_a_moved_tag_is_seen_by_the_next_request_of_every_connection(clients: list[Client]) -> None:
    """An acknowledged push is seen at once, whichever worker took it."""
    for number in range(20):
        pusher = clients[number % len(clients)]
        manifest = pusher.push("moving", f"{number}")
        for client in clients:
            for _ in range(2):
                assert client.ask("GET", f"/v2/{NAME}/manifests/moving")[2] == manifest


def test_a_deleted_image_is_gone_for_who_just_pulled_it(clients: list[Client]) -> None:
    """On every connection."""
    manifest = clients[0].push("deleted", "deleted")
    path = f"/v2/{NAME}/manifests/{digest_of(manifest)}"
    for client in clients:
        assert [client.ask("GET", path)[0] for _ in range(2)] == [200, 200]
    assert clients[0].ask("DELETE", path)[0] == 202
    assert [client.ask("GET", path)[0] for client in clients] == [404] * len(clients)


def test_a_blob_whose_file_is_gone_is_no_ready_answer(clients: list[Client], served: Served) -> None:
    """Only its row is kept; a push repairs it."""
    client = clients[0]
    client.push("damaged", "damaged")
    path = f"/v2/{NAME}/blobs/{digest_of(CONFIG)}"
    assert [client.ask(method, path)[0] for method in ("GET", "GET", "HEAD", "HEAD")] == [200] * 4
    for file in (served.data_dir / "blobs").rglob(f"{digest_of(CONFIG)[7:]}.*"):
        file.unlink()
    assert [client.ask(method, path)[0] for method in ("GET", "HEAD")] == [404, 404]
    client.push("damaged", "repaired")
    assert client.ask("GET", path)[2] == CONFIG


def test_what_is_asked_with_a_condition_or_a_range_is_answered_by_it(clients: list[Client]) -> None:
    """Between repeated pulls without one."""
    client = clients[0]
    client.push("conditional", "conditional")
    path = f"/v2/{NAME}/blobs/{digest_of(CONFIG)}"
    whole = [client.ask("GET", path) for _ in range(2)]
    etag = whole[0][1]["etag"]
    assert [client.ask("GET", path, If_None_Match=etag)[0] for _ in range(2)] == [304, 304]
    assert [client.ask("GET", path, Range="bytes=1-2")[2] for _ in range(2)] == [CONFIG[1:3]] * 2
    assert client.ask("GET", path) == whole[0]


def test_repeated_requests_for_what_is_not_there_are_refused_each_time(clients: list[Client]) -> None:
    """A refusal is never ready, nor is a path that is no path."""
    client = clients[0]
    client.push("there", "there")
    client.ask("GET", f"/v2/{NAME}/manifests/there")
    for path in (
        f"/v2/{NAME}/manifests/missing",
        "/v2/missing/app/manifests/there",
        "/v2/UPPER/manifests/there",
    ):
        assert [client.ask("GET", path)[0] for _ in range(2)] in ([404, 404], [400, 400])
    assert client.ask("GET", f"/v2/{NAME}/manifests/there")[0] == 200


def test_two_requests_that_come_in_one_piece_are_both_answered(clients: list[Client]) -> None:
    """What is pipelined is parsed."""
    client = clients[0]
    manifest = client.push("twice", "twice")
    path = f"/v2/{NAME}/manifests/twice"
    client.ask("GET", path)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {client._connection.host}:{client._connection.port}\r\n"
        f"Accept-Encoding: identity\r\nAuthorization: {client._headers['Authorization']}\r\n"
        "User-Agent: tests\r\n\r\n"
    ).encode()
    raw = client._connection.sock
    raw.sendall(request + request)
    received = b""
    while received.count(manifest) < 2:
        piece = raw.recv(65536)
        assert piece
        received += piece
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_a_key_that_is_switched_off_opens_nothing_that_was_ready(tmp_path: Path) -> None:
    """From the next request on, on connections that stay open."""
    with serve(tmp_path, "--workers", "2") as own:
        ecr(own).create_repository(repositoryName=NAME)
        client = Client(own, token_of(own))
        client.push("mine", "mine")
        path = f"/v2/{NAME}/manifests/mine"
        assert [client.ask("GET", path)[0] for _ in range(3)] == [200] * 3
        with sqlite3.connect(own.data_dir / "metadata.db", timeout=PATIENCE) as database:
            database.execute("UPDATE access_key SET is_active = 0")
        database.close()
        assert client.ask("GET", path)[0] == 401
        client.close()


def test_repeated_pulls_are_counted_and_logged_as_others(clients: list[Client], served: Served) -> None:
    """Each has a line of its own, with an id of its own."""
    client = clients[0]
    client.push("logged", "logged")
    for _ in range(5):
        client.ask("GET", f"/v2/{NAME}/manifests/logged", User_Agent="counted")
    wanted = 'ecr_http_requests_total{api="v2",code="200",op="get_manifest"}'
    wait_until(lambda: wanted in page(served, "/metrics") and len(lines_of(served, "counted")) == 5)
    lines = lines_of(served, "counted")
    assert len({line["request_id"] for line in lines}) == 5
    assert {(line["status"], line["operation"], line["path"]) for line in lines} == {
        (200, "get_manifest", f"/v2/{NAME}/manifests/logged")
    }


def lines_of(served: Served, user_agent: str) -> list[dict[str, object]]:
    """The log lines of a client."""
    return [json.loads(line) for line in served.log.read_text().splitlines() if f'"{user_agent}"' in line]


def page(served: Served, path: str) -> str:
    """What a GET answers."""
    connection = http.client.HTTPConnection(served.address, timeout=PATIENCE)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def wait_until(holds: Callable[[], bool]) -> None:
    """Lines and counts are written a moment later."""
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_a_connection_that_was_served_by_what_is_ready_ends_with_its_server(tmp_path: Path) -> None:
    """A server that is told to stop does not wait for clients that keep connections."""
    with serve(tmp_path, "--workers", "1") as own:
        ecr(own).create_repository(repositoryName=NAME)
        client = Client(own, token_of(own))
        client.push("kept", "kept")
        assert [client.ask("GET", f"/v2/{NAME}/manifests/kept")[0] for _ in range(3)] == [200] * 3
        own.process.terminate()
        assert own.process.wait(PATIENCE) == 0
        client.close()


PATH = f"/v2/{NAME}/manifests/variants"
LINES = [
    f"GET {PATH} HTTP/1.0",
    f"GET {PATH} HTTP/1.2",
    f"GET  {PATH} HTTP/1.1",
    f"GET {PATH}  HTTP/1.1",
    f"GET {PATH} HTTP/1.1 ",
    f" GET {PATH} HTTP/1.1",
    f"get {PATH} HTTP/1.1",
    f"POST {PATH} HTTP/1.1",
    f"DELETE {PATH}x HTTP/1.1",
    f"OPTIONS {PATH} HTTP/1.1",
    f"GET http://other.test{PATH} HTTP/1.1",
    f"GET {PATH}?ns=docker.io HTTP/1.1",
    f"GET {PATH}#x HTTP/1.1",
    f"GET {PATH}/ HTTP/1.1",
    f"GET /{PATH} HTTP/1.1",
    f"GET {PATH.replace('team/', 'team%2f')} HTTP/1.1",
    f"GET {PATH.replace('variants', '%76ariants')} HTTP/1.1",
    f"GET {PATH.replace('team/app', 'team/app/../app')} HTTP/1.1",
    f"GET {PATH.replace('team/app', 'team//app')} HTTP/1.1",
    f"GET {PATH.replace('variants', 'sha256:0')} HTTP/1.1",
    f"GET {PATH} HTTP/1.1\r\nRange: bytes=0-1",
    f"GET {PATH} HTTP/1.1\r\nHost: second.test",
    f"GET {PATH} HTTP/1.1\r\nAuthorization: Basic QVdTOng=",
    f"GET {PATH} HTTP/1.1\r\nConnection: close",
    f"GET {PATH} HTTP/1.1\r\nContent-Length: 0",
    f"GET {PATH} HTTP/1.1\r\nExpect: 100-continue",
    f"GET {PATH} HTTP/1.1\r\nIf-None-Match: *",
    "GET /v2/ HTTP/1.1",
    "GET /livez HTTP/1.1",
]


@pytest.mark.parametrize("line", LINES)
def test_any_other_request_is_answered_as_on_a_new_connection(clients: list[Client], line: str) -> None:
    """Behind two that were the same, every header line of which it has."""
    clients[0].push("variants", "variants")
    token = clients[0]._headers["Authorization"]
    block = f"\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"
    host, port = clients[0]._connection.host, clients[0]._connection.port
    with (
        socket.create_connection((host, port), PATIENCE) as fresh,
        socket.create_connection((host, port), PATIENCE) as learned,
    ):
        for _ in range(2):
            assert exchange(learned, f"GET {PATH} HTTP/1.1{block}")[0] == b"HTTP/1.1 200 OK"
        assert exchange(learned, line + block) == exchange(fresh, line + block)


def exchange(connection: socket.socket, request: str) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Status line, the headers that do not vary, and what came of the body at once."""
    connection.sendall(request.encode())
    received = connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines)
    return status, {name: value for name, value in headers.items() if name.decode() not in VARYING}, body
