"""Uploads of blobs: whole, streamed or in chunks, and mounts (OCI distribution-spec, "Pushing Blobs")."""

import re
from functools import partial
from typing import Final, NamedTuple

from moorage.domain.digest import ALGORITHMS, Digest
from moorage.domain.errors import ContentRangeInvalid, DigestInvalid, RepositoryNameInvalid
from moorage.domain.names import RepositoryName
from moorage.oci.blobs import blob_created
from moorage.oci.call import Call
from moorage.oci.elements import Elements, in_repository
from moorage.services import layers, uploads
from moorage.services.uploads import StoredLayer
from moorage.web.http import Request, Response, find_parameter

# OCI distribution-spec, "Pushing a blob in chunks": unlike HTTP's own, without a unit and inclusive.
_CONTENT_RANGE: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


class _Part(NamedTuple):
    """What a request says of its body: where it belongs and its length, None where it does not say."""

    first_byte: int | None
    length: int | None


async def post_upload(call: Call) -> Response:
    """Begin an upload; or mount a blob; or take a whole blob at once.

    A mount that cannot be is answered by a fresh upload, whatever the reason, so that nobody learns what other
    repositories hold. Raises ``DigestInvalid``, ``RepositoryNotFound`` and what ``Uploads.receive_whole`` raises.
    """
    parameters = call.request.query()
    _check_algorithm(find_parameter(parameters, "digest-algorithm"))
    wanted = find_parameter(parameters, "mount")
    if wanted is not None:
        digest, source = Digest.parse(wanted), find_parameter(parameters, "from")
        call.note.add(mount=str(digest), mountFrom=source)
        if await _mount(call, digest, source):
            return blob_created(call, digest)
    given = find_parameter(parameters, "digest")
    if given is not None:
        return await _receive_whole(call, Digest.parse(given))
    upload_id = await call.change(
        lambda upload_id: {"uploadId": upload_id}, uploads.start_upload, call.caller, call.registry, call.name
    )
    return _session(call, 202, upload_id, 0)


def _check_algorithm(algorithm: str | None) -> None:
    """The digest of the closing request decides; this only spares a client whose algorithm is not known here."""
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise DigestInvalid(digest=f"{algorithm[:64]}:")


async def _mount(call: Call, digest: Digest, source: str | None) -> bool:
    try:
        holder = None if source is None else RepositoryName.parse(source)
    except RepositoryNameInvalid:
        return False
    mounted = await call.change(
        lambda layer: None if layer is None else in_repository(call, layerDigest=str(digest)),
        layers.mount_layer,
        call.caller,
        call.registry,
        call.name,
        digest,
        holder,
    )
    return mounted is not None and await call.context.downloads.is_sound(mounted)


async def _receive_whole(call: Call, digest: Digest) -> Response:
    call.note.add(layerDigests=[str(digest)])
    await call.refuse_early("ecr:InitiateLayerUpload")
    length = _body_length(call.request)
    await _refuse_bytes(call, length)
    await call.context.uploads.receive_whole(
        call.caller,
        call.registry,
        call.name,
        call.request,
        length=length,
        digest=digest,
        recording=call.recording(partial(_stored, call)),
    )
    return blob_created(call, digest)


async def patch_upload(call: Call) -> Response:
    """Add bytes. Raises ``ContentRangeInvalid`` and what ``Uploads.receive`` raises."""
    part = _read_part(call.request)
    call.note.add(partFirstByte=part.first_byte)
    held = await call.context.uploads.receive(
        call.caller,
        call.registry,
        call.name,
        call.reference,
        call.request,
        first_byte=part.first_byte,
        length=part.length,
        recording=call.recording(partial(_held, call)),
    )
    return _session(call, 202, call.reference, held)


async def put_upload(call: Call) -> Response:
    """Add the last bytes, often none, and make the upload a blob.

    Raises ``DigestInvalid``, ``ContentRangeInvalid`` and what ``Uploads.receive_last`` raises.
    """
    digest = Digest.parse(find_parameter(call.request.query(), "digest") or "")
    part = _read_part(call.request)
    call.note.add(layerDigests=[str(digest)])
    await _refuse_bytes(call, part.length)
    await call.context.uploads.receive_last(
        call.caller,
        call.registry,
        call.name,
        call.reference,
        call.request,
        first_byte=part.first_byte,
        length=part.length,
        digest=digest,
        recording=call.recording(partial(_stored, call)),
    )
    return blob_created(call, digest)


async def _refuse_bytes(call: Call, length: int | None) -> None:
    """Bytes are parts whatever request brings them: refuse whoever may not add any."""
    if length != 0:
        await call.refuse_early("ecr:UploadLayerPart")


async def get_upload(call: Call) -> Response:
    """How far the upload is. Raises ``UploadNotFound``."""
    found = await call.context.database.read(
        uploads.get_upload, call.caller, call.registry, call.name, call.reference
    )
    return _session(call, 204, found.id, found.length)


async def delete_upload(call: Call) -> Response:
    """End the upload and throw its bytes away. Raises ``UploadNotFound``."""
    await call.context.uploads.cancel(
        call.caller,
        call.registry,
        call.name,
        call.reference,
        recording=call.recording(lambda _locations: in_repository(call, uploadId=call.reference)),
    )
    return Response(204)


def _held(call: Call, length: int) -> Elements:
    """For the audit: what an upload has after a part."""
    return in_repository(call, uploadId=call.reference, lastByteReceived=length - 1)


def _stored(call: Call, layer: StoredLayer) -> Elements:
    """For the audit: the layer that an upload became; one that came whole has no upload."""
    return in_repository(call, uploadId=call.reference or None, layerDigest=str(layer.digest))


def _session(call: Call, status: int, upload_id: str, held: int) -> Response:
    """Where the upload goes on and what it holds. Nothing and one byte look alike: ``0-0``, by custom."""
    headers = [
        (b"location", f"/v2/{call.name}/blobs/uploads/{upload_id}".encode()),
        (b"range", b"0-%d" % max(held - 1, 0)),
        (b"docker-upload-uuid", upload_id.encode()),
    ]
    if status != 204:
        headers.append((b"content-length", b"0"))
    return Response(status, headers)


def _read_part(request: Request) -> _Part:
    """Where the body belongs. A range that contradicts the body's length is refused before a byte is read."""
    length = _body_length(request)
    value = request.header(b"content-range")
    if value is None:
        return _Part(None, length)
    matched = _CONTENT_RANGE.fullmatch(value)
    if matched is None:
        raise ContentRangeInvalid(value=value[:64])
    first, last = int(matched[1]), int(matched[2])
    announced = last - first + 1
    if announced < 1 or length not in {None, announced}:
        raise ContentRangeInvalid(value=value)
    return _Part(first, announced)


def _body_length(request: Request) -> int | None:
    """Bytes that the body will have, None when it comes in chunks."""
    length = request.content_length
    return 0 if length is None and not request.has_body else length
