"""Blobs that a repository has (OCI distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from moorage.domain.digest import Digest
from moorage.oci.call import Call
from moorage.oci.elements import in_repository
from moorage.services import layers
from moorage.web.blob_response import blob_response
from moorage.web.http import Response


async def get_blob(call: Call) -> Response:
    """The blob or a range of it. Raises ``DigestInvalid``, ``RepositoryNotFound``, ``LayerNotFound``."""
    return await _answer(call, "ecr:GetDownloadUrlForLayer")


async def head_blob(call: Call) -> Response:
    """Whether the blob is there, and its size: what a push asks first."""
    return await _answer(call, "ecr:BatchCheckLayerAvailability")


async def _answer(call: Call, action: str) -> Response:
    digest = Digest.parse(call.reference)
    layer = await call.context.database.read(
        layers.get_layer, call.caller, call.registry, call.name, digest, action
    )
    return await blob_response(call.request, call.context.downloads, layer, str(digest))


async def delete_blob(call: Call) -> Response:
    """Take the blob out of the repository. Raises ``LayerInUse`` while an image there needs it."""
    digest = Digest.parse(call.reference)
    await call.change(
        lambda _result: in_repository(call, layerDigest=str(digest)),
        layers.delete_layer,
        call.caller,
        call.registry,
        call.name,
        digest,
    )
    return Response(202, [(b"content-length", b"0")])


def blob_created(call: Call, digest: Digest) -> Response:
    """The answer when the repository has got a blob: by an upload or by a mount."""
    location = f"/v2/{call.name}/blobs/{digest}"
    headers = [
        (b"location", location.encode()),
        (b"docker-content-digest", str(digest).encode()),
        (b"content-length", b"0"),
    ]
    return Response(201, headers)
