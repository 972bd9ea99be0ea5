"""Lists of the images that name another one as their subject (OCI distribution-spec, "Listing Referrers")."""

from collections.abc import Sequence
from typing import Final

import msgspec

from moorage.domain.digest import Digest
from moorage.domain.media_types import OCI_INDEX
from moorage.oci.call import Call
from moorage.oci.paging import next_link
from moorage.services import image_lists
from moorage.services.image_lists import Referrer
from moorage.web.http import Response, find_parameter

#: A page ends before it has more entries or bytes than this, so that clients can hold it; an entry may be as large
#: as the annotations of a manifest, and one fits always.
MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 4 * 1024 * 1024

#: Entries read in one transaction: annotations are read with them, and nobody may fill the memory with these.
BATCH: Final = 16


class _Entry(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A descriptor as lists of referrers have it."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str
    manifests: list[msgspec.Raw]


class _Collected:
    """Entries of one page, encoded. ``last`` is the digest that it ends with; ``is_full`` when more follow."""

    def __init__(self, after: str) -> None:
        self.entries: list[msgspec.Raw] = []
        self.last = after
        self.is_full = False
        self._size = 0

    def add(self, referrer: Referrer) -> bool:
        """Add an entry if there is room; returns whether there was."""
        encoded = _encode(referrer)
        self._size += len(encoded)
        if self.entries and (len(self.entries) == MAX_ENTRIES or self._size > MAX_BYTES):
            self.is_full = True
        else:
            self.entries.append(msgspec.Raw(encoded))
            self.last = referrer.image.digest
        return not self.is_full


async def get_referrers(call: Call) -> Response:
    """The referrers of a digest as an index, empty where it has none, even if it does not exist itself.

    Raises ``DigestInvalid``, ``RepositoryNotFound``.
    """
    subject = Digest.parse(call.reference)
    parameters = call.request.query()
    types = [value for key, value in parameters if key == "artifactType" and value]
    after = find_parameter(parameters, "last")
    page = await _collect(call, subject, types, "" if after is None else str(Digest.parse(after)))
    body = msgspec.json.encode(_Index(2, OCI_INDEX, page.entries))
    headers = [(b"content-type", OCI_INDEX.encode()), (b"content-length", b"%d" % len(body))]
    if types:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if page.is_full:
        kept = [("artifactType", value) for value in types]
        headers.append(next_link(f"/v2/{call.name}/referrers/{subject}", [*kept, ("last", page.last)]))
    return Response(200, headers, body)


async def _collect(call: Call, subject: Digest, types: Sequence[str], after: str) -> _Collected:
    page = _Collected(after)
    more: str | None = after
    while more is not None:
        found, more = await call.context.database.read(
            image_lists.list_referrers, call.caller, call.registry, call.name, subject, types, more, BATCH
        )
        if not all(page.add(referrer) for referrer in found):
            break
    return page


def _encode(referrer: Referrer) -> bytes:
    image = referrer.image
    entry = _Entry(
        image.media_type, image.digest, image.manifest_size, image.artifact_type, referrer.annotations
    )
    return msgspec.json.encode(entry)
