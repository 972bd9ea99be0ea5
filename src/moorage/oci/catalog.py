"""The list of repositories. The OCI specification dropped it; clients of the Docker registry still ask for it."""

import msgspec

from moorage.oci.call import Call
from moorage.oci.paging import next_link, read_page
from moorage.services import repositories
from moorage.web.http import Response


async def get_catalog(call: Call) -> Response:
    """Names of repositories in bytewise order, page by page. Raises ``PageSizeInvalid``."""
    page = read_page(call.request)
    # Of no entries there is no last one to continue after, so an empty page is cut from one of a single entry.
    found, has_more = await _collect(call, page.after, max(page.size, 1))
    names = found[: page.size]
    body = msgspec.json.encode({"repositories": names})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if names and has_more:
        headers.append(next_link("/v2/_catalog", [("last", names[-1]), ("n", str(page.size))]))
    return Response(200, headers, body)


async def _collect(call: Call, after: str, limit: int) -> tuple[list[str], bool]:
    """A full page as long as there is one: where it ends is told to the client, who may not see every name."""
    names: list[str] = []
    last: str | None = after
    while last is not None and len(names) < limit:
        found = await call.context.database.read(
            repositories.list_repositories, call.caller, call.registry, last, limit - len(names)
        )
        names += [repository.name for repository in found.repositories]
        last = found.last
    return names, last is not None
