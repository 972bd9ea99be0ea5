"""Lists of tags (OCI distribution-spec, "Listing Tags")."""

import msgspec

from moorage.oci.call import Call
from moorage.oci.paging import next_link, read_page
from moorage.services import image_lists
from moorage.web.http import Response


async def get_tags(call: Call) -> Response:
    """Tags in bytewise order, page by page. Raises ``PageSizeInvalid``, ``RepositoryNotFound``."""
    page = read_page(call.request)
    tags, has_more = await call.context.database.read(
        image_lists.list_tags, call.caller, call.registry, call.name, page.after, page.size
    )
    body = msgspec.json.encode({"name": str(call.name), "tags": tags})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if has_more:
        headers.append(next_link(f"/v2/{call.name}/tags/list", [("last", tags[-1]), ("n", str(page.size))]))
    return Response(200, headers, body)
