"""Cases 23, 26, 39, 65 and 71, and rows 12, 23 and 31: what is too much, too slow, or written where others read."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.threats.wire import PREFIX, Attacker, read_answer

LARGE = json.dumps({"repositoryName": "x", "uploadId": "x", "layerPartBlob": "", "pad": "a" * 100_000}).encode()
STOLEN = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=0"


@contextmanager
def slow_senders(attacker: Attacker, count: int, *headers: str) -> Iterator[list[socket.socket]]:
    """Connections that announce the largest body there is and send one byte of it."""
    head = [
        f"host: {attacker.name}",
        f"x-amz-target: {PREFIX}.UploadLayerPart",
        *headers,
        "content-length: 31000000",
    ]
    with ExitStack() as connections:
        opened = [connections.enter_context(attacker.connect()) for _ in range(count)]
        for each in opened:
            each.sendall("\r\n".join(["POST / HTTP/1.1", *head, "", "{"]).encode())
        yield opened


@pytest.mark.threat(39)
def test_39_slow_senders_without_a_key_hold_nobody_up(owner: Attacker) -> None:
    """Room for large bodies is not given to those who cannot turn out to be anybody; they hear so at once."""
    with slow_senders(owner, 16, f"authorization: {STOLEN.format('AKIAUNKNOWNUNKNOWNUN')}") as opened:
        for _ in range(4):
            answer = owner.send("POST", "/", owner.sign("UploadLayerPart", LARGE), LARGE)
            assert answer.told == (400, "InvalidParameterException")
        assert [read_answer(each).status for each in opened] == [400] * 16


@pytest.mark.threat(65)
def test_65_thousands_of_pipelined_requests_are_cut(owner: Attacker) -> None:
    """Who does not wait for answers is not served without end."""
    request = f"GET /livez HTTP/1.1\r\nhost: {owner.name}\r\n\r\n".encode()
    with owner.connect() as connection, pytest.raises(ConnectionError):
        connection.sendall(request * 200_000)


@pytest.mark.threat(26)
def test_26_a_body_of_tiny_values_is_refused(owner: Attacker) -> None:
    """Eight megabytes of empty lists would be hundreds in memory."""
    body = b'{"repositoryNames":[' + b"[]," * 2_000_000 + b"0]}"
    answer = owner.send("POST", "/", owner.sign("DescribeRepositories", body), body)
    assert answer.told == (400, "SerializationException")


@pytest.mark.threat(71)
def test_71_a_planted_link_is_not_followed(owner: Attacker, tmp_path: Path) -> None:
    """Whoever can write to the blobs cannot have the server read other files; a push puts the layer back."""
    owner.call("CreateRepository", repositoryName="planted")
    content = b"as long as a file elsewhere"
    digest = owner.push("planted", content)
    algorithm, _, hexadecimal = digest.partition(":")
    blob = next((owner.served.data_dir / "blobs" / algorithm / hexadecimal[:2]).glob(f"{hexadecimal}.*"))
    outside = tmp_path / "outside"
    outside.write_bytes(content.upper())
    blob.unlink()
    blob.symlink_to(outside)
    answer = owner.registry("GET", f"/v2/planted/blobs/{digest}")
    assert answer.status == 404
    assert outside.read_bytes() not in answer.body
    assert "no regular file" in owner.served.log.read_text()
    assert owner.registry("HEAD", f"/v2/planted/blobs/{digest}").status == 404
    owner.push("planted", content)
    assert owner.registry("GET", f"/v2/planted/blobs/{digest}").body == content
    assert outside.read_bytes() == content.upper()


@pytest.mark.threat(67)
@pytest.mark.incident(31)
@pytest.mark.parametrize(
    "header", [("x-real-ip", "198.51.100.1"), ("x-forwarded-proto", "https"), ("host", "registry.example.com")]
)
def test_row_31_a_proxy_does_not_open_the_metrics(owner: Attacker, header: tuple[str, str]) -> None:
    """What comes through a proxy on this machine is not from this machine."""
    assert owner.send("GET", "/metrics").status == 200
    assert owner.send("GET", "/metrics", [header]).status == 403


@pytest.mark.incident(12, 23)
def test_row_23_a_log_line_stays_one_line_of_text_without_secrets(owner: Attacker) -> None:
    """Neither paths nor agents write controls into the log, and no token, key or signature gets there."""
    token = owner.token()
    for path in (
        "/v2/%0d%0a%7B%22event%22/tags/list",
        "/v2/%1b%5B2J/tags/list",
        "/v2/%E2%80%A8%C2%9B2J/tags/list",
    ):
        owner.send("GET", path, [("authorization", token), ("user-agent", "\x9b2J\xe9\x1b[31m")])
    owner.send("GET", f"/downloads/x?token={token[6:]}&X-Amz-Signature=abcdef0123456789")
    signed = owner.sign("NoSuch\x1bOperation")
    owner.send("POST", "/", signed, b"{}")
    owner.send("GET", f"/v2/{os.urandom(8).hex()}/tags/list", [("authorization", token)])
    written = owner.served.log.read_text()
    lines = [line for line in written.split("\n") if line.startswith("{")]
    assert lines
    assert all(line.isprintable() and json.loads(line) for line in lines)
    master_key = (owner.served.data_dir / "master.key").read_text().strip()
    signature = signed[-1][1].rpartition("=")[2]
    page = owner.send("GET", "/metrics").body.decode()
    for secret in (token[6:], owner.key.secret_access_key, master_key, signature, "abcdef0123456789"):
        assert secret not in written
        assert secret not in page
