"""The audit log of a running server: every call once, whatever it was answered by, and across kills and rotations."""

import base64
import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.durability.victim import Kill, Seconds, Victim
from tests.serving import REGION, Credentials, Served, free_port, serve

NAME = "team/app"
CONFIG = b"{}"
DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2},
        "layers": [],
    }
).encode()
PATIENCE = 20


def records(path: Path) -> list[dict[str, Any]]:
    """Everything in the file and in those that it follows."""
    files = sorted(path.parent.glob(f"{path.name}*"), key=lambda one: one.stat().st_mtime_ns)
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines() if line[:1] == b"{"]


def await_records(path: Path, ids: set[str]) -> list[dict[str, Any]]:
    """The records of these requests, as soon as all are there."""
    give_up_at = time.monotonic() + PATIENCE
    while True:
        found = [record for record in records(path) if record.get("requestID") in ids]
        missing = ids - {record["requestID"] for record in found}
        if not missing or time.monotonic() > give_up_at:
            assert not missing, f"{len(missing)} of {len(ids)} requests have no record"
            return found
        time.sleep(0.1)


class Client:
    """One connection to ``/v2/`` that remembers the id of each request that was answered."""

    #: Every connection that was made, to be ended with its test.
    made: ClassVar[list[http.client.HTTPConnection]] = []

    def __init__(self, address: str, authorization: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        self.made.append(self._connection)
        self._headers = {"Authorization": authorization, "User-Agent": "tests"}
        self.ids: list[str] = []

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str]]:
        """Status and headers."""
        headers = self._headers | ({"Content-Type": MANIFEST_TYPE} if "manifests" in path else {})
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        response.read()
        self.ids.append(response.headers["x-request-id"])
        return response.status, {name.lower(): value for name, value in response.getheaders()}

    def push(self, tag: str) -> None:
        """An upload, a blob and a manifest."""
        status, headers = self.ask("POST", f"/v2/{NAME}/blobs/uploads/")
        assert status == 202
        assert self.ask("PUT", f"{headers['location']}?digest={DIGEST}", CONFIG)[0] == 201
        assert self.ask("PUT", f"/v2/{NAME}/manifests/{tag}", MANIFEST)[0] == 201


def ecr(address: str, credentials: Credentials, secret: str = "") -> "boto3.client":
    """The JSON API of a server."""
    return boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=f"http://{address}",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=secret or credentials.secret_access_key,
    )


def log_in(address: str, credentials: Credentials) -> str:
    """What ``docker login`` sends from then on."""
    answer = ecr(address, credentials).get_authorization_token()
    return f"Basic {answer['authorizationData'][0]['authorizationToken']}"


def log_of(served: Served) -> Path:
    """Its audit log."""
    return served.data_dir / "audit/audit.log"


@pytest.fixture(autouse=True)
def _connections() -> Iterator[None]:
    yield
    for connection in Client.made:
        connection.close()
    Client.made.clear()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers."""
    with serve(tmp_path_factory.mktemp("audit"), "--workers", "2") as server:
        ecr(server.address, server.credentials).create_repository(repositoryName=NAME)
        yield server


def test_every_call_of_v2_has_one_record_also_those_that_were_ready(served: Served) -> None:
    """On several connections to both workers: pushes, the same pulls again and again, and what is missing."""
    authorization = log_in(served.address, served.credentials)
    clients = [Client(served.address, authorization) for _ in range(4)]
    clients[0].push("1.0")
    for client in clients:
        for _ in range(30):
            assert client.ask("GET", f"/v2/{NAME}/manifests/1.0")[0] == 200
            assert client.ask("HEAD", f"/v2/{NAME}/blobs/{DIGEST}")[0] == 200
        assert client.ask("GET", f"/v2/{NAME}/manifests/missing")[0] == 404
    ids = {each for client in clients for each in client.ids}
    found = await_records(log_of(served), ids)
    assert len(ids) == len(found) == 4 * 61 + 3
    assert len({record["eventID"] for record in found}) == len(found)
    assert Counter(record["eventName"] for record in found) == {
        "BatchGetImage": 4 * 31,
        "BatchCheckLayerAvailability": 4 * 30,
        "InitiateLayerUpload": 1,
        "CompleteLayerUpload": 1,
        "PutImage": 1,
    }
    assert {record["userAgent"] for record in found} == {"tests"}
    assert {record["userIdentity"]["type"] for record in found} == {"Root"}


def test_calls_of_the_json_api_and_their_refusals_have_records(served: Served) -> None:
    """A wrong secret among them."""
    good = ecr(served.address, served.credentials)
    ids = {good.describe_repositories()["ResponseMetadata"]["RequestId"]}
    for client in (good, ecr(served.address, served.credentials, "x" * 40)):
        with pytest.raises(ClientError) as refused:
            client.create_repository(repositoryName=NAME)
        ids.add(refused.value.response["ResponseMetadata"]["RequestId"])
    found = {record.get("errorCode"): record for record in await_records(log_of(served), ids)}
    assert set(found) == {None, "RepositoryAlreadyExistsException", "InvalidSignatureException"}
    assert found["InvalidSignatureException"]["userIdentity"]["type"] == "Unknown"


def test_refused_tokens_of_v2_have_records(served: Served) -> None:
    """None, one that is none, and a password that is wrong."""
    password = base64.b64encode(b"AWS:hunter2").decode()
    clients = [Client(served.address, given) for given in ("", "Bearer hunter2", f"Basic {password}")]
    for client in clients:
        assert client.ask("GET", "/v2/")[0] == 401
    found = await_records(log_of(served), {each for client in clients for each in client.ids})
    assert len(found) == 3
    assert {record["eventName"] for record in found} == {"CheckAuthorizationToken"}
    assert "hunter2" not in log_of(served).read_text()
    assert password not in log_of(served).read_text()


def tail(served: Served, *arguments: str) -> list[str]:
    """What ``moorage audit tail`` shows."""
    program = str(Path(sys.executable).parent / "moorage")
    shown = subprocess.run(
        [program, "audit", "tail", "--data-dir", str(served.data_dir), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.splitlines()


def test_the_command_shows_who_did_what_to_a_repository(served: Served) -> None:
    """As records, or a line to read each."""
    client = Client(served.address, log_in(served.address, served.credentials))
    client.push("shown")
    await_records(log_of(served), set(client.ids))
    wanted = ("--repository", NAME, "--principal", served.credentials.access_key_id, "--lines", "500")
    shown = [json.loads(line) for line in tail(served, *wanted, "--output", "json")]
    assert set(client.ids) <= {record["requestID"] for record in shown}
    lines = tail(served, "--repository", NAME, "--lines", "500")
    assert any("  PutImage  arn:aws:iam::000000000000:root  team/app  127.0.0.1  ok" in line for line in lines)
    assert tail(served, "--repository", "team/nothing") == []


def test_a_rotation_under_load_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Both workers and the job worker write to the file meanwhile."""
    environment = {"MOORAGE_AUDIT_FILE_BYTES": "65536", "MOORAGE_AUDIT_FILES_KEPT": "900"}
    with serve(tmp_path, "--workers", "2", environment=_environment(environment)) as served:
        ecr(served.address, served.credentials).create_repository(repositoryName=NAME)
        authorization = log_in(served.address, served.credentials)
        clients = [Client(served.address, authorization) for _ in range(4)]

        directory = log_of(served).parent

        def load(client: Client) -> None:
            # How many it takes depends on how fast all this is: records are written in batches.
            number = 0
            while len(list(directory.glob("audit.log.*"))) < 6 and number < 200:
                number += 1
                client.push(f"tag-{number}")
                for _ in range(50):
                    assert client.ask("GET", f"/v2/{NAME}/manifests/tag-{number}")[0] == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(load, clients))
        ids = {each for client in clients for each in client.ids}
        found = await_records(log_of(served), ids)
        assert len(found) == len(ids)
        assert len(list(directory.glob("audit.log.*"))) >= 6


def test_standard_output_takes_the_place_of_the_file(tmp_path: Path) -> None:
    """For whoever collects what containers print."""
    with serve(tmp_path, environment=_environment({"MOORAGE_AUDIT_FILE": "-"})) as served:
        ecr(served.address, served.credentials).create_repository(repositoryName=NAME)
        client = Client(served.address, log_in(served.address, served.credentials))
        client.push("1.0")
        assert client.ask("GET", f"/v2/{NAME}/manifests/1.0")[0] == 200
        found = await_records(served.log, set(client.ids))
        assert len([record for record in found if "eventID" in record]) == 4
        assert not log_of(served).exists()


def test_a_log_without_room_fails_no_request(tmp_path: Path) -> None:
    """Changes wait in the database; reads wait in memory, as many as there is room for."""
    with serve(tmp_path, environment=_environment({"MOORAGE_AUDIT_FILE": "/dev/full"})) as served:
        ecr(served.address, served.credentials).create_repository(repositoryName=NAME)
        client = Client(served.address, log_in(served.address, served.credentials))
        client.push("1.0")
        time.sleep(1.5)
        assert client.ask("GET", f"/v2/{NAME}/manifests/1.0")[0] == 200
        client.push("2.0")
        _await(lambda: {"audit_not_written", "audit_export_failed"} <= _events(served.log))


def test_every_acknowledged_change_has_its_record_after_kills(tmp_path: Path) -> None:
    """kill -9 of all processes while several clients push; the next start exports what is not in the file yet."""
    address = f"127.0.0.1:{free_port()}"
    victim = Victim(tmp_path / "data", tmp_path / "server.log", address, Seconds(), restart_seconds=PATIENCE)
    log, chance, acknowledged = tmp_path / "data/audit/audit.log", random.Random(7), set[str]()
    try:
        victim.start()
        ecr(address, victim.credentials).create_repository(repositoryName=NAME)
        authorization = log_in(address, victim.credentials)
        for number in range(4):
            clients = [Client(address, authorization) for _ in range(3)]
            with ThreadPoolExecutor(len(clients)) as pool:
                pushing = [pool.submit(_push_until_cut, client, f"{number}") for client in clients]
                time.sleep(chance.uniform(0.4, 1.5))
                victim.kill(Kill.EVERYTHING, chance)
                for one in pushing:
                    one.result()
            acknowledged |= {each for client in clients for each in client.ids}
            victim.await_end()
            victim.start()
        assert len(acknowledged) > 50
        found = await_records(log, acknowledged)
        assert {record["requestID"] for record in found} == acknowledged
        # What was exported by a process that was killed before it could say so is there twice, under one id.
        assert len({record["eventID"] for record in found}) == len(acknowledged)
    finally:
        victim.end()


def _push_until_cut(client: Client, tag: str) -> None:
    try:
        while True:
            client.push(tag)
    except (OSError, http.client.HTTPException):
        return


def _environment(more: dict[str, str]) -> dict[str, str]:
    return os.environ | more


def _events(log: Path) -> set[str]:
    lines = [line for line in log.read_bytes().splitlines() if line[:1] == b"{"]
    return {json.loads(line).get("event", "") for line in lines}


def _await(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
