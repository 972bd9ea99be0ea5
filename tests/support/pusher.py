"""A client of ``/v2/`` that pushes one blob, without HTTP."""

from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.domain.errors import UploadNotFound
from moorage.services import layers, uploads
from moorage.services.uploads import StoredLayer
from tests.support.callers import APP, REGISTRY
from tests.support.transfers import Harbour, body

CONTENT = b"0123456789" * 10
DIGEST = Digest.of(CONTENT)


class Client:
    """One client that pushes to ``team/app``."""

    def __init__(self, harbour: Harbour, caller: Caller) -> None:
        self.harbour = harbour
        self.caller = caller
        self.upload_id = harbour.database.write_now(uploads.start_upload, caller, REGISTRY, APP)

    @property
    def offset(self) -> int:
        """Where the upload stands."""
        found = self.harbour.database.read_now(uploads.get_upload, self.caller, REGISTRY, APP, self.upload_id)
        return found.length

    async def patch(
        self, *pieces: bytes, at: int | None = None, length: int | None = None, is_cut: bool = False
    ) -> int:
        """Add to the upload."""
        return await self.harbour.uploads.receive(
            self.caller,
            REGISTRY,
            APP,
            self.upload_id,
            body(*pieces, is_cut=is_cut),
            first_byte=at,
            length=length,
        )

    async def put(
        self,
        *pieces: bytes,
        digest: Digest = DIGEST,
        at: int | None = None,
        length: int | None = None,
        is_cut: bool = False,
    ) -> StoredLayer:
        """Finish the upload."""
        return await self.harbour.uploads.receive_last(
            self.caller,
            REGISTRY,
            APP,
            self.upload_id,
            body(*pieces, is_cut=is_cut),
            first_byte=at,
            length=sum(map(len, pieces)) if length is None else length,
            digest=digest,
        )

    async def post(self, *pieces: bytes, digest: Digest = DIGEST, is_cut: bool = False) -> StoredLayer:
        """The whole blob in one request."""
        return await self.harbour.uploads.receive_whole(
            self.caller, REGISTRY, APP, body(*pieces, is_cut=is_cut), length=None, digest=digest
        )

    def stored(self, digest: Digest = DIGEST) -> bytes:
        """The blob as ``team/app`` has it."""
        row = self.harbour.database.read_now(layers.get_layer, self.caller, REGISTRY, APP, digest)
        reader = self.harbour.store.open(row.location)
        return reader.read_at(0, reader.size)

    def is_finished(self) -> bool:
        """Whether the upload is no more."""
        try:
            return self.offset < 0
        except UploadNotFound:
            return True
