"""Lists of repositories show those that a caller may see, and tell nothing of the others."""

import asyncio
from urllib.parse import unquote

import msgspec
import pytest

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.errors import AccessDenied, PageTokenInvalid
from moorage.metadata import repositories as rows
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.repositories import list_repositories as list_rows
from moorage.metadata.transaction import Transaction
from moorage.oci import catalog as catalogs
from moorage.oci.call import Call
from moorage.oci.catalog import get_catalog
from moorage.services import repositories
from moorage.web.http import Request, Response
from tests.access.office import APP, LIB, REGISTRY, Office
from tests.access.people import allow, arn, deny


def seen(office: Office, caller: Caller, after: str = "", limit: int = 100) -> tuple[list[str], str | None]:
    """Names on a page of the JSON API, and where the next one begins."""
    page = office.database.read_now(repositories.list_repositories, caller, REGISTRY, after, limit)
    return [row.name for row in page.repositories], page.last


def catalog_call(office: Office, caller: Caller, query: str) -> Call:
    """A request for a page of the distribution API."""
    scope = {
        "method": "GET",
        "scheme": "http",
        "path": "/v2/_catalog",
        "raw_path": b"/v2/_catalog",
        "query_string": query.encode(),
        "headers": [],
    }
    request = Request(scope, None, office.facts("v2"))  # type: ignore[arg-type]
    return Call(office.driver.context, request, caller, REGISTRY, APP, "")


def names_of(response: Response) -> list[str]:
    """What a page shows."""
    assert isinstance(response.body, bytes)
    return list(msgspec.json.decode(response.body)["repositories"])


def catalog(office: Office, caller: Caller, query: str = "") -> tuple[list[str], str]:
    """Names on a page of the distribution API, and its link to the next one."""
    response = asyncio.run(get_catalog(catalog_call(office, caller, query)))
    return names_of(response), dict(response.headers).get(b"link", b"").decode()


DESCRIBE = "ecr:DescribeRepositories"


def test_who_may_see_all_sees_all(office: Office) -> None:
    """A root, and a user who may."""
    for caller in (office.root(), office.hire("alice", allow(DESCRIBE))):
        assert seen(office, caller) == ([APP, LIB], None)
        assert catalog(office, caller) == ([APP, LIB], "")


def test_who_may_see_some_sees_those(office: Office) -> None:
    """By an identity policy, less what is denied."""
    for name, statements in (
        ("alice", (allow(DESCRIBE, Resource=arn("lib/*")),)),
        ("bob", (allow(DESCRIBE), deny(DESCRIBE, Resource=arn("app/*")))),
    ):
        caller = office.hire(name, *statements)
        assert seen(office, caller) == ([LIB], None)
        assert catalog(office, caller) == ([LIB], "")


def test_who_may_see_one_by_its_own_policy_sees_it(office: Office) -> None:
    """Also from another account."""
    office.put_repository_policy(LIB, {"Effect": "Allow", "Principal": "*", "Action": DESCRIBE})
    for caller in (office.stranger(), office.hire("alice")):
        assert seen(office, caller) == ([LIB], None)


def test_who_may_see_none_is_told_so(office: Office) -> None:
    """By ECR's name for all of them."""
    with pytest.raises(AccessDenied) as refusal:
        seen(office, office.hire("alice", allow("ecr:ListImages")))
    assert refusal.value.facts["resource"] == arn("*")


def test_who_may_see_what_does_not_exist_yet_sees_an_empty_list(office: Office) -> None:
    """Nothing is wrong with asking."""
    caller = office.hire("alice", allow(DESCRIBE), deny(DESCRIBE, Resource=[arn("app/*"), arn("lib/*")]))
    assert seen(office, caller) == ([], None)


def test_pages_leave_out_what_may_not_be_seen(office: Office) -> None:
    """Each is full as long as there is enough, and no link names a repository that is not shown."""
    office.driver.create(*[f"{team}/{number}" for number in range(4) for team in ("app", "zoo")])
    caller = office.hire("alice", allow(DESCRIBE, Resource=[arn("app/?"), arn("zoo/?")]))
    assert seen(office, caller, limit=3)[0] == ["app/0", "app/1", "app/2"]
    names: list[str] = []
    after, link = "", "more"
    while link:
        page, link = catalog(office, caller, f"n=3&last={after}")
        assert not {APP, LIB} & {*page}
        assert "web" not in link
        assert "base" not in link
        names += page
        after = page[-1] if page else after
    assert names == [f"{team}/{number}" for team in ("app", "zoo") for number in range(4)]


def test_a_page_ends_where_too_many_were_looked_at(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one request has a bounded cost; the list goes on behind it."""
    monkeypatch.setattr(repositories, "MOST_LOOKED_AT", 1)
    monkeypatch.setattr(repositories, "LEAST_READ", 1)
    office.driver.create("zoo/one")
    caller = office.hire("alice", allow(DESCRIBE, Resource=arn("zoo/*")))
    found, last = seen(office, caller, limit=1)
    assert (found, last is None) == ([], False)
    assert catalog(office, caller, "n=1")[0] == ["zoo/one"]


def test_a_small_page_costs_one_statement(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of whoever may see the last repository alone."""
    office.driver.create(*[f"app/{number}" for number in range(9)], "zoo/one")
    caller = office.hire("alice", allow(DESCRIBE, Resource=arn("zoo/*")))
    read: list[str] = []

    def listing(tx: Transaction, key: RegistryKey, after: str, limit: int) -> list[RepositoryRow]:
        read.append(after)
        return list_rows(tx, key, after, limit)

    monkeypatch.setattr(rows, "list_repositories", listing)
    assert catalog(office, caller, "n=1")[0] == ["zoo/one"]
    assert seen(office, caller, limit=1)[0] == ["zoo/one"]
    assert read == ["", ""]


def test_a_page_of_the_catalog_ends_after_some_reads(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short or empty, with a link that goes on behind what was looked at and does not tell its name."""
    for name in ("MOST_LOOKED_AT", "LEAST_READ"):
        monkeypatch.setattr(repositories, name, 1)
    monkeypatch.setattr(catalogs, "MOST_READS", 2)
    office.driver.create(*[f"bar/{number}" for number in range(9)], "zoo/one", "zoo/two")
    caller = office.hire("alice", allow(DESCRIBE, Resource=arn("zoo/*")))
    pages: list[list[str]] = []
    query = "n=1"
    while query:
        page, link = catalog(office, caller, query)
        assert [team for team in ("app/", "bar/", "lib/") if team in unquote(link)] == []
        pages.append(page)
        query = link.partition("?")[2].partition(">")[0]
    assert pages[0] == []
    assert [name for page in pages for name in page] == ["zoo/one", "zoo/two"]


def test_who_reads_a_long_catalog_lets_others_in_between(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each read, though reads run in place."""
    for name in ("MOST_LOOKED_AT", "LEAST_READ"):
        monkeypatch.setattr(repositories, name, 1)
    office.driver.create(*[f"bar/{number}" for number in range(9)], "zoo/one")
    caller = office.hire("alice", allow(DESCRIBE, Resource=arn("zoo/*")))
    turns = 0

    async def read_beside_another() -> list[str]:
        nonlocal turns
        reading = asyncio.create_task(get_catalog(catalog_call(office, caller, "n=1")))
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        return names_of(await reading)

    assert asyncio.run(read_beside_another()) == ["zoo/one"]
    assert turns >= 5


@pytest.mark.parametrize("token", ["", "x", "AAAA"])
def test_a_place_in_the_catalog_that_was_not_given_out_is_refused(office: Office, token: str) -> None:
    """It is sealed."""
    with pytest.raises(PageTokenInvalid):
        catalog(office, office.root(), f"next={token}")


def test_named_repositories_have_to_be_allowed_each(office: Office) -> None:
    """One that is not refuses the call."""
    caller = office.hire("alice", allow(DESCRIBE, Resource=arn("lib/*")))
    office.database.read_now(repositories.describe_repositories, caller, REGISTRY, [LIB])
    with pytest.raises(AccessDenied):
        office.database.read_now(repositories.describe_repositories, caller, REGISTRY, [LIB, APP])
