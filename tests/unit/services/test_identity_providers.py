"""OIDC issuers that an account's roles may trust."""

from pathlib import Path

import pytest

from moorage.config import Quotas
from moorage.domain.errors import EntityAlreadyExists, InvalidRequest, LimitExceeded, NoSuchEntity
from moorage.metadata.database import Database
from moorage.services import identity_providers
from moorage.services.identity_providers import IdentityProvider
from tests.support.callers import ACCOUNT, OTHER_ACCOUNT, enroll
from tests.support.database import START, all_rows, fresh_database

CI = "https://ci.example.com/issuer"

pytestmark = pytest.mark.usefixtures("caller")


def add(database: Database, url: str = CI) -> IdentityProvider:
    """A provider with one audience."""
    return database.write_now(identity_providers.create_provider, ACCOUNT, url, ["sts.amazonaws.com"])


def test_a_provider_is_named_as_aws_names_it(database: Database) -> None:
    """Without the scheme; it is found with or without it."""
    made = add(database)
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example.com/issuer"
    assert made == IdentityProvider(arn, "ci.example.com/issuer", ("sts.amazonaws.com",), START)
    for name in (CI, "ci.example.com/issuer"):
        assert database.read_now(identity_providers.get_provider, ACCOUNT, name) == made


def test_an_account_trusts_an_issuer_once(database: Database) -> None:
    """Another account may trust it as well, for other audiences."""
    add(database)
    with pytest.raises(EntityAlreadyExists):
        add(database)
    enroll(database, OTHER_ACCOUNT)
    other = database.write_now(identity_providers.create_provider, OTHER_ACCOUNT, CI, ["a", "b"])
    assert other.audiences == ("a", "b")
    assert database.read_now(identity_providers.get_provider, ACCOUNT, CI).audiences == ("sts.amazonaws.com",)


@pytest.mark.parametrize(
    ("url", "audiences"),
    [
        ("http://ci.example.com", ["a"]),
        (CI, []),
        (CI, ["a", "a"]),
        (CI, [""]),
        (CI, ["x" * 256]),
        (CI, ["two\nlines"]),
        (CI, [str(number) for number in range(101)]),
    ],
)
def test_what_is_no_provider_is_refused(database: Database, url: str, audiences: list[str]) -> None:
    """Nothing is kept of it."""
    before = all_rows(database)
    with pytest.raises(InvalidRequest):
        database.write_now(identity_providers.create_provider, ACCOUNT, url, audiences)
    assert all_rows(database) == before


def test_providers_are_listed_by_pages(database: Database) -> None:
    """In order of their issuers."""
    for host in ("b", "a", "c"):
        add(database, f"https://{host}.example")
    first = database.read_now(identity_providers.list_providers, ACCOUNT, "", 2)
    rest = database.read_now(identity_providers.list_providers, ACCOUNT, first[-1].issuer, 2)
    assert [one.issuer for one in first + rest] == ["a.example", "b.example", "c.example"]


def test_an_issuer_is_trusted_no_more(database: Database) -> None:
    """It can be trusted anew."""
    add(database)
    database.write_now(identity_providers.delete_provider, ACCOUNT, CI)
    with pytest.raises(NoSuchEntity):
        database.read_now(identity_providers.get_provider, ACCOUNT, CI)
    with pytest.raises(NoSuchEntity):
        database.write_now(identity_providers.delete_provider, ACCOUNT, CI)
    add(database)


def test_an_account_has_so_many_providers(tmp_path: Path) -> None:
    """The refusal names the setting."""
    directory = tmp_path / "limited"
    directory.mkdir()
    database = fresh_database(directory, quotas=Quotas(providers_per_account=1))
    enroll(database)
    add(database)
    with pytest.raises(LimitExceeded, match="providers_per_account"):
        add(database, "https://other.example")
    database.close()
