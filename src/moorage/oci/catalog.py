"""The list of repositories. The OCI specification dropped it; clients of the Docker registry still ask for it."""

import asyncio
from typing import Final

import msgspec

from moorage.auth import tokens
from moorage.auth.tokens import PageScope
from moorage.oci.call import Call
from moorage.oci.paging import next_link, read_page
from moorage.services import repositories
from moorage.web.http import Response, find_parameter

#: Transactions that one request takes to find what its caller may see. Behind them the page ends short.
MOST_READS: Final = 8


async def get_catalog(call: Call) -> Response:
    """Names of repositories in bytewise order, page by page. Raises ``PageSizeInvalid``, ``PageTokenInvalid``.

    A page may be short, even empty, where many repositories may not be seen; its link leads on behind them.
    """
    page = read_page(call.request)
    token = find_parameter(call.request.query(), "next")
    after = page.after if token is None else _read_token(call, token)
    # Of no entries there is no last one to continue after, so an empty page is cut from one of a single entry.
    found, last = await _collect(call, after, max(page.size, 1))
    names = found[: page.size]
    body = msgspec.json.encode({"repositories": names})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if page.size and last is not None:
        # The last repository that was looked at may be one that the caller may not see: its name is sealed then.
        where = ("last", last) if [last] == names[-1:] else ("next", _issue_token(call, last))
        headers.append(next_link("/v2/_catalog", [where, ("n", str(page.size))]))
    return Response(200, headers, body)


async def _collect(call: Call, after: str, limit: int) -> tuple[list[str], str | None]:
    """Names, a full page of them if they are found soon, and where the list goes on."""
    names: list[str] = []
    last: str | None = after
    for _ in range(MOST_READS):
        found = await call.context.database.read(
            repositories.list_repositories, call.caller, call.registry, last or "", limit - len(names)
        )
        names += [repository.name for repository in found.repositories]
        last = found.last
        if last is None or len(names) == limit:
            break
        # A read may run in place; others get their turn before the next one.
        await asyncio.sleep(0)
    return names, last


def _scope(call: Call) -> PageScope:
    return PageScope("catalog", call.registry.registry_id, call.registry.region)


def _issue_token(call: Call, last: str) -> str:
    now = call.request.facts.received_at
    return tokens.issue_page_token(call.context.keyring, _scope(call), (last,), now)


def _read_token(call: Call, token: str) -> str:
    now = call.request.facts.received_at
    (last,) = tokens.read_page_token(call.context.keyring, _scope(call), token, now)
    return str(last)
