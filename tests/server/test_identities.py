"""Identities are looked after beside a running server, and what is changed holds from the next request on."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.clients.boto import Boto
from tests.clients.command import moorage, run
from tests.serving import Credentials, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boto]:
    """A server of two workers."""
    with serve(tmp_path_factory.mktemp("server"), "--workers", "2") as served:
        yield Boto(served)


def do(server: Boto, *arguments: str) -> None:
    """Run a command beside the server."""
    run([moorage(), *arguments, "--data-dir", server.served.data_dir], {})


def add_user(server: Boto, name: str) -> Credentials:
    """The key of a new user."""
    do(server, "user", "create", name)
    key = server.moorage("key", "create", "--user", name, "--output", "json")["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def identities(server: Boto, key: Credentials) -> set[str]:
    """Who the user is told to be, or the code of the refusal, on several connections: any worker may answer."""
    told = set()
    for _ in range(4):
        sts = server.client_of(key, "sts")
        try:
            told.add(sts.get_caller_identity()["Arn"])
        except ClientError as error:
            told.add(error.response["Error"]["Code"])
        sts.close()
    return told


@pytest.mark.threat(9)
def test_a_key_that_is_switched_off_is_refused_from_the_next_request_on(server: Boto) -> None:
    """By every worker, and accepted again when it is switched on."""
    key, arn = add_user(server, "alice"), "arn:aws:iam::000000000000:user/alice"
    assert identities(server, key) == {arn}
    do(server, "key", "disable", key.access_key_id)
    assert identities(server, key) == {"InvalidClientTokenId"}
    do(server, "key", "enable", key.access_key_id)
    assert identities(server, key) == {arn}
    do(server, "key", "delete", key.access_key_id)
    assert identities(server, key) == {"InvalidClientTokenId"}


def test_an_account_that_is_switched_off_is_refused(server: Boto) -> None:
    """With all its users."""
    key = add_user(server, "bob")
    do(server, "account", "disable", "000000000000")
    try:
        assert identities(server, key) == {"OptInRequired"}
    finally:
        do(server, "account", "enable", "000000000000")
    assert identities(server, key) == {"arn:aws:iam::000000000000:user/bob"}


@pytest.mark.incident(12)
def test_the_server_writes_no_secret_down(server: Boto) -> None:
    """Neither in its log nor in any file of its data."""
    key = add_user(server, "carol")
    assert identities(server, key) == {"arn:aws:iam::000000000000:user/carol"}
    with pytest.raises(ClientError):
        server.client_of(Credentials(key.access_key_id, "a wrong one")).describe_repositories()
    do(server, "user", "show", "carol")
    files = [server.served.log, *(file for file in server.served.data_dir.rglob("*") if file.is_file())]
    assert [file for file in files if key.secret_access_key.encode() in file.read_bytes()] == []
