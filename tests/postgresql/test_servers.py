"""Two real servers on one PostgreSQL and one disk, and what their clients see when the database goes."""

import base64
import hashlib
import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from moorage import wiring
from moorage.auth.credentials import AccessKey, generate_access_key
from moorage.cli import checks
from moorage.cli.serve import REFUSALS
from moorage.config import Settings
from moorage.domain.names import RegistryId
from tests.postgresql.conftest import migrated
from tests.postgresql.server import Server
from tests.serving import Credentials, Served, serve

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()

#: The promise: an answer within this time, whatever the database does.
ANSWER_SECONDS = 5

PASSWORD = "hush-hush"

OTHER_ACCOUNT = RegistryId("111111111111")


@dataclass(frozen=True)
class Reply:
    """What came back over ``/v2/`` or from a path for operators."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    """A client of one server, which tries nothing twice and waits for no answer for long."""

    served: Served

    @property
    def ecr(self) -> Any:
        """boto3's client."""
        key = Credentials.read(self.served.data_dir)
        return boto3.client(
            "ecr",
            endpoint_url=self.served.url,
            region_name="us-east-1",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=ANSWER_SECONDS),
        )

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.served.address, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def token(self) -> str:
        """The header of a client that is logged in."""
        data = self.ecr.get_authorization_token()["authorizationData"]
        return f"Basic {data[0]['authorizationToken']}"


def environment(url: str, **changes: str) -> dict[str, str]:
    """Everything that a server on PostgreSQL is told by its environment."""
    return os.environ | {"MOORAGE_DATABASE": url, "MOORAGE_MASTER_KEY": MASTER_KEY} | changes


@pytest.fixture(scope="module")
def shared_url(server: Server) -> str:
    """The database of the pair."""
    return migrated(server, "pair")


@pytest.fixture(scope="module")
def pair(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """Clients of two servers that were started at the same moment on an empty database."""
    directory = tmp_path_factory.mktemp("pair")

    def start(stack: ExitStack) -> Served:
        return stack.enter_context(serve(directory, "--workers", "1", environment=environment(shared_url)))

    with ExitStack() as first, ExitStack() as second, ThreadPoolExecutor(2) as threads:
        one, two = threads.map(start, (first, second))
        yield Client(one), Client(two)


def test_two_servers_are_one_registry(pair: tuple[Client, Client], shared_url: str) -> None:
    """One root key, made once; what one acknowledged the other serves at once; an upload may change servers."""
    one, two = pair
    with psycopg.connect(shared_url) as connection:
        assert connection.execute("SELECT id FROM access_key").fetchall() == [
            (one.served.credentials.access_key_id,)
        ]
    authorization = one.token()
    for number in range(20):
        name = f"team/app-{number}"
        one.ecr.create_repository(repositoryName=name)
        assert two.ecr.describe_repositories(repositoryNames=[name])["repositories"]
        begun = two.send("POST", f"/v2/{name}/blobs/uploads/", authorization=authorization)
        location = begun.headers["location"]
        patched = one.send("PATCH", location, b"a" * 1000, authorization=authorization)
        assert patched.status == 202, patched
        content = b"a" * 1000 + b"b" * 1000
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        put = two.send("PUT", f"{location}?digest={digest}", b"b" * 1000, authorization=authorization)
        assert put.status == 201, put
        assert one.send("GET", f"/v2/{name}/blobs/{digest}", authorization=authorization).body == content


@pytest.mark.threat(69)
@pytest.mark.parametrize("trouble", ["stop", "freeze"])
def test_while_the_database_is_away_every_call_says_so(
    pair: tuple[Client, Client], server: Server, trouble: str
) -> None:
    """503 with Retry-After on both faces, within five seconds; alive, not ready; back by itself within ten."""
    client, _ = pair
    name = f"team/before-{trouble}"
    client.ecr.create_repository(repositoryName=name)
    ecr, authorization = client.ecr, client.token()
    end: Callable[[], None] = server.start if trouble == "stop" else server.thaw
    (server.stop if trouble == "stop" else server.freeze)()
    try:
        for _ in range(2):
            with pytest.raises(ClientError) as refusal:
                ecr.create_repository(repositoryName="team/other")
            answer = refusal.value.response
            assert answer["Error"]["Code"] == "ServiceUnavailable"
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "5"
            for method, path in (("GET", f"/v2/{name}/tags/list"), ("POST", f"/v2/{name}/blobs/uploads/")):
                reply = client.send(method, path, authorization=authorization)
                assert (reply.status, reply.headers["retry-after"]) == (503, "5")
                assert b"127.0.0.1" not in reply.body
        assert client.send("GET", "/livez").status == 200
        until_status(client, 503)
    finally:
        end()
    until_status(client, 200)
    assert client.send("GET", f"/v2/{name}/tags/list", authorization=authorization).status == 200
    names = [row["repositoryName"] for row in ecr.describe_repositories()["repositories"]]
    assert name in names
    assert "team/other" not in names
    assert PASSWORD not in client.served.log.read_text()


def until_status(client: Client, status: int) -> None:
    """``/readyz`` says so within ten seconds."""
    for _ in range(100):
        if client.send("GET", "/readyz").status == status:
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"/readyz is not {status} after ten seconds")


def moorage(*arguments: str, url: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    program = str(Path(sys.executable).parent / "moorage")
    return subprocess.run(
        [program, *arguments],
        env=environment(url, **changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(url: str, directory: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """A start that is refused."""
    done = moorage("serve", "--data-dir", str(directory), "--listen", "127.0.0.1:0", url=url, **changes)
    assert PASSWORD not in done.stdout + done.stderr
    assert done.returncode in {1, 2}, done
    return done


def test_a_database_that_was_never_migrated_is_refused(server: Server, url: str, tmp_path: Path) -> None:
    """The sentence names the command, and afterwards the command is enough."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    assert "run moorage migrate" in start(url, tmp_path).stderr
    assert moorage("migrate", "--check", url=url).returncode == 1
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: moorage("migrate", "--data-dir", str(tmp_path), url=url), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0]
    assert sum("empty" in each.stdout for each in done) == 1
    assert moorage("migrate", "--check", url=url).returncode == 0


def settings(url: str, data_dir: Path, **changes: str) -> Settings:
    """Those of a server on this database and directory."""
    given: dict[str, Any] = {"database": url, "master_key": MASTER_KEY, "data_dir": data_dir}
    return Settings(**(given | changes))


def refusal(wanted: Settings) -> str:
    """Why a start is refused."""
    with pytest.raises(REFUSALS) as error:
        wiring.prepare(wanted)
    assert PASSWORD not in str(error.value)
    return str(error.value)


def test_a_newer_database_is_refused(url: str, tmp_path: Path) -> None:
    """By its revision, and left as it is."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        assert "9999" in refusal(settings(url, tmp_path))
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_what_does_not_belong_together_is_refused(url: str, server: Server, tmp_path: Path) -> None:
    """Another master key, another kind of database, no master key, no server, another database's blobs."""
    wiring.prepare(settings(url, tmp_path))
    other_key = base64.b64encode(bytes(32)).decode()
    assert "master key is not the one" in refusal(settings(url, tmp_path, master_key=other_key))
    assert "master_key is needed" in refusal(settings(url, tmp_path, master_key=""))
    assert "with --database" in refusal(settings("", tmp_path))
    assert "connection failed" in refusal(settings(url.replace(str(server.port), "1"), tmp_path))
    (tmp_path / "blobs/sha256/00/0.0").write_bytes(b"")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM secret")
    assert "is empty, but" in refusal(settings(url, tmp_path))


def test_a_directory_of_sqlite_is_refused(url: str, tmp_path: Path) -> None:
    """Its blobs are known to its own database alone."""
    wiring.prepare(settings("", tmp_path))
    assert "needs a data directory of its own" in refusal(settings(url, tmp_path))


def create_root_key(of: Settings, account: RegistryId, key: AccessKey) -> None:
    """Give an account's root a key, as a command does."""
    with wiring.office(of) as desk:
        wiring.add_root_key(desk.database, desk.master_key, account, key)


def test_a_key_is_made_under_the_right_master_key_alone(url: str, tmp_path: Path) -> None:
    """One that nobody could open again is not made."""
    wiring.prepare(settings(url, tmp_path))
    key = generate_access_key()
    with pytest.raises(wiring.StartRefused):
        create_root_key(
            settings(url, tmp_path, master_key=base64.b64encode(bytes(32)).decode()), OTHER_ACCOUNT, key
        )
    create_root_key(settings(url, tmp_path), OTHER_ACCOUNT, key)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT id FROM access_key WHERE id = %s", (key.access_key_id,)).fetchall()
    assert found == [(key.access_key_id,)]


def test_doctor_says_how_the_database_stands(url: str, server: Server, tmp_path: Path) -> None:
    """Reached, migrated, opened by the master key; and that this server would lose commits in a power cut."""
    wanted = settings(url, tmp_path)
    assert (checks.check_database(wanted).status, "fsync is off") == (
        "warn",
        checks.check_database(wanted).text,
    )
    wiring.prepare(wanted)
    other_key = base64.b64encode(bytes(32)).decode()
    assert "master key" in checks.check_database(settings(url, tmp_path, master_key=other_key)).text
    away = checks.check_database(settings(url.replace(str(server.port), "1"), tmp_path))
    assert (away.status, PASSWORD in away.text) == ("fail", False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE alembic_version")
    assert "moorage migrate" in checks.check_database(wanted).advice
