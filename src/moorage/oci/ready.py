"""Pulls that are ready to be answered (``web/shortcut``): GET and HEAD of manifests and of small blobs.

Each answer is found by the use case of the ordinary way, authorization and all, and is the one that
``oci/manifests`` or ``oci/blobs`` gives. A refusal is never ready, nor is anything conditional or partial, nor what a
policy allows by the time of day. Of a blob
only the row is kept: its file is opened each time, so that one that is gone or cut short is noticed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from moorage.domain.audit import Note
from moorage.domain.caller import Caller, RegistryKey, RequestFacts
from moorage.domain.digest import Digest
from moorage.domain.errors import RegistryError
from moorage.domain.names import RepositoryName
from moorage.metadata.images import ImageRow
from moorage.metadata.layers import LayerRow
from moorage.oci import events
from moorage.oci.face import API_VERSION
from moorage.oci.manifests import manifest_headers, read_reference
from moorage.oci.routes import BLOB, MANIFEST, Place, Route, find_route, read_path
from moorage.services import images, layers
from moorage.services.conditions import TimeMatters
from moorage.services.images import ImageContent
from moorage.transfers.downloads import SMALL
from moorage.web.blob_response import blob_headers
from moorage.web.context import Context
from moorage.web.http import Request
from moorage.web.shortcut import Answer

#: Request lines whose path needs no second look: what it says decodes to itself.
_LINE: Final = re.compile(rb"(GET|HEAD) (/v2/[a-z0-9._/-]+/(?:manifests|blobs)/[A-Za-z0-9_.:-]+) HTTP/1\.1")

#: With one of these an answer depends on more than its path.
_CONDITIONS: Final = (b"range", b"if-range", b"if-none-match")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """A caller of one registry, as long as its token is good. Two of them are never equal."""

    caller: Caller
    registry: RegistryKey
    expires_at: int


class ReadyPulls:
    """``Source`` of the distribution API."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.mark = context.database.mark
        self._reused = context.authenticator.reused
        self._note_pull = context.pulls.note_pull
        # Connections of one client share what it was answered.
        self._known = lru_cache(maxsize=1_024)(Asker)

    def asker(self, request: Request) -> Asker | None:
        """See ``Source``."""
        if any(name in _CONDITIONS for name, _ in request.headers):
            return None
        context = self._context
        registry = context.hosts.registry_of(request.header(b"host"))
        try:
            proof = context.authenticator.prove_registry(request, registry.region)
        except RegistryError:
            return None
        # Of a request only what is the same each time may tell askers apart.
        facts = replace(proof.caller.request, request_id="", received_at=0)
        return self._known(replace(proof.caller, request=facts), registry, proof.expires_at)

    def find(self, asker: Asker, facts: RequestFacts, line: bytes) -> Answer | None:
        """See ``Source``."""
        matched = _LINE.fullmatch(line)
        if matched is None:
            return None
        path = matched[2].decode()
        place = read_path(path)
        route = find_route(place.shape, matched[1].decode())
        find = self._FOUND_BY.get(place.shape)
        if route is None or find is None or place.name is None:
            return None
        wanted = _Wanted(
            replace(asker.caller, request=facts, is_lasting=True), asker.registry, place, route, path
        )
        try:
            return find(self, wanted, RepositoryName.parse(place.name))
        except (RegistryError, TimeMatters):
            return None

    def holds(self, answer: Answer) -> bool:
        """See ``Source``. The use case is asked again, authorization and all."""
        pulled: _Pulled = answer.what
        try:
            return pulled.look_again() == pulled.row
        except (RegistryError, TimeMatters):
            return False

    def body(self, answer: Answer) -> bytes | None:
        """See ``Source``."""
        layer: LayerRow = answer.what.row
        if answer.method == "HEAD":
            return b"" if self._context.downloads.is_at_hand(layer) else None
        return self._context.downloads.read_at_hand(layer)

    def answered(self, answer: Answer, at: int) -> None:
        """See ``Source``. A HEAD does not count as a pull, nor does a blob alone."""
        self._reused()
        if answer.operation == "get_manifest":
            self._note_pull(answer.what.row, at)

    def _find_manifest(self, wanted: "_Wanted", name: RepositoryName) -> Answer | None:
        reference = read_reference(wanted.place.reference)

        def look() -> ImageContent:
            read = self._context.database.read_now
            return read(images.get_image, wanted.caller, wanted.registry, name, reference)

        found = look()
        body = b"" if wanted.route.method == "HEAD" else found.content
        if len(body) > SMALL:
            return None
        pulled = _Pulled(found.image, lambda: look().image)
        return wanted.answer(manifest_headers(found.image), body, len(body), pulled)

    def _find_blob(self, wanted: "_Wanted", name: RepositoryName) -> Answer | None:
        digest = Digest.parse(wanted.place.reference)

        def look() -> LayerRow:
            read = self._context.database.read_now
            return read(layers.get_layer, wanted.caller, wanted.registry, name, digest, wanted.route.action)

        layer = look()
        if layer.size > SMALL:
            return None
        size = 0 if wanted.route.method == "HEAD" else layer.size
        return wanted.answer(blob_headers(str(digest), layer.size), None, size, _Pulled(layer, look))

    _FOUND_BY: Final = {MANIFEST: _find_manifest, BLOB: _find_blob}


class _Pulled(NamedTuple):
    """The row that an answer was made of, and how it is read anew; ``look_again`` raises ``RegistryError``."""

    row: ImageRow | LayerRow
    look_again: Callable[[], ImageRow | LayerRow]


class _Wanted(NamedTuple):
    """What a request line asks for, and who asks."""

    caller: Caller
    registry: RegistryKey
    place: Place
    route: Route
    path: str

    def answer(self, headers: Headers, body: bytes | None, size: int, pulled: _Pulled) -> Answer:
        """An answer of 200 with these headers, and what the distribution API adds to them."""
        lines = b"".join(b"%b: %b\r\n" % header for header in [*headers, API_VERSION])
        note = events.noted(Note(self.caller.request), self.route, self.place, self.registry)
        note.caller = self.caller
        return Answer(200, lines, body, size, self.route.operation, self.route.method, self.path, pulled, note)
