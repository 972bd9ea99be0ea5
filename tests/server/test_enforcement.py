"""Policies over real sockets and two workers, where pulls that come again are answered by what is ready."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.boto import Boto
from tests.clients.command import moorage, run
from tests.server.test_repeats import NAME, Client, ecr, token_of
from tests.serving import Credentials, Served, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers."""
    with serve(tmp_path_factory.mktemp("enforcement"), "--workers", "2") as server:
        ecr(server).create_repository(repositoryName=NAME)
        yield server


@pytest.fixture
def clients(served: Served) -> Iterator[list[Client]]:
    """So many that both workers have some; the first has pushed."""
    token = token_of(served)
    made = [Client(served, token) for _ in range(8)]
    made[0].push("kept", "kept")
    yield made
    for client in made:
        client.close()


def put_policy(served: Served, condition: dict[str, Any]) -> None:
    """Deny pulls of the repository to everybody under a condition."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Condition": condition,
    }
    ecr(served).set_repository_policy(
        repositoryName=NAME, policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )


def pulls(clients: list[Client]) -> set[int]:
    """What comes of three pulls on each connection."""
    return {client.ask("GET", f"/v2/{NAME}/manifests/kept")[0] for client in clients for _ in range(3)}


def test_what_the_time_forbids_is_not_answered_by_what_was_ready(served: Served, clients: list[Client]) -> None:
    """Nothing is committed when the time comes; pulls end all the same."""
    end = datetime.now(UTC) + timedelta(seconds=4)
    put_policy(served, {"DateGreaterThanEquals": {"aws:CurrentTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}})
    assert pulls(clients) == {200}
    while datetime.now(UTC) < end:
        time.sleep(0.1)
    assert pulls(clients) == {403}
    ecr(served).delete_repository_policy(repositoryName=NAME)
    assert pulls(clients) == {200}


def test_a_policy_holds_for_what_was_ready(served: Served, clients: list[Client]) -> None:
    """On every connection from the next request on, and no longer than it is there."""
    assert pulls(clients) == {200}
    put_policy(served, {"StringEquals": {"aws:UserAgent": "tests"}})
    assert pulls(clients) == {403}
    ecr(served).delete_repository_policy(repositoryName=NAME)
    assert pulls(clients) == {200}


def test_what_a_client_says_of_itself_is_asked_of_each(served: Served, clients: list[Client]) -> None:
    """A condition on the request's own header lines holds for those that have them."""
    put_policy(served, {"StringLike": {"aws:UserAgent": "bad*"}})
    path = f"/v2/{NAME}/manifests/kept"
    for _ in range(3):
        assert clients[0].ask("GET", path)[0] == 200
        assert clients[0].ask("GET", path, User_Agent="bad/1")[0] == 403
    ecr(served).delete_repository_policy(repositoryName=NAME)


def test_a_key_that_was_made_again_does_not_open_what_was_ready(served: Served, clients: list[Client]) -> None:
    """Neither for its user nor for another one; the connections stay, and their header lines."""
    environment = {"AWS_ACCESS_KEY_ID": "AKIAALICE", "AWS_SECRET_ACCESS_KEY": "a-secret-that-is-long-enough"}

    def do(command: str) -> None:
        run([moorage(), *command.split(), "--data-dir", served.data_dir], environment)

    for name in ("alice", "bob"):
        do(f"user create {name}")
        do(f"policy attach AmazonEC2ContainerRegistryReadOnly --user {name}")
    make = "key create --from-environment --user"
    do(f"{make} alice")
    key = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    data = Boto(served).client_of(key).get_authorization_token()["authorizationData"][0]
    pulling = [Client(served, data["authorizationToken"]) for _ in clients]
    assert pulls(pulling) == {200}
    for name in ("alice", "bob"):
        do("key delete AKIAALICE")
        do(f"{make} {name}")
        assert pulls(pulling) == {401}
    for client in pulling:
        client.close()
