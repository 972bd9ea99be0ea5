"""Layers: which are there, uploading them part by part, and where to download one."""

from typing import Any, Final

from moorage.domain.digest import ALGORITHMS, ANY_DIGEST, Digest
from moorage.domain.names import RepositoryName
from moorage.ecr import answers
from moorage.ecr.dispatch import Call, operation
from moorage.ecr.downloads import download_url
from moorage.services import layers, uploads
from moorage.services.audit import Recording
from moorage.services.layers import LayerAvailability
from moorage.services.uploads import StoredLayer

#: ECR: the size that clients cut their parts to.
PART_SIZE: Final = 10 * 1024 * 1024


@operation("BatchCheckLayerAvailability")
async def batch_check_layer_availability(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Which layers the repository has. A well-formed digest that it does not know is a layer too, UNAVAILABLE."""
    given: list[str] = request["layerDigests"]
    well_formed = [digest for digest in given if ANY_DIGEST.fullmatch(digest)]
    found = await call.context.database.read(
        layers.check_layers,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
        well_formed,
    )
    return {
        "layers": [answers.layer(await _checked(call, one)) for one in found],
        "failures": [answers.layer_failure(digest) for digest in given if not ANY_DIGEST.fullmatch(digest)],
    }


async def _checked(call: Call, availability: LayerAvailability) -> LayerAvailability:
    """A damaged layer is UNAVAILABLE, or no client would push what repairs it."""
    layer = availability.layer
    is_usable = layer is None or await call.context.downloads.is_sound(layer)
    return availability if is_usable else LayerAvailability(availability.digest, None)


@operation("InitiateLayerUpload")
async def initiate_layer_upload(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an upload."""
    return await call.change(
        lambda upload_id: {"uploadId": upload_id, "partSize": PART_SIZE},
        uploads.start_upload,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
    )


@operation("UploadLayerPart")
async def upload_layer_part(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add a part to an upload; it is on disk when this answers."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])

    def answer(received: int) -> dict[str, Any]:
        return {
            "registryId": registry.registry_id,
            "repositoryName": name,
            "uploadId": request["uploadId"],
            "lastByteReceived": received - 1,
        }

    received = await call.context.uploads.add_part(
        call.caller,
        registry,
        name,
        request["uploadId"],
        request["partFirstByte"],
        request["partLastByte"],
        request["layerPartBlob"],
        recording=Recording(call.note, answer),
    )
    return answer(received)


@operation("CompleteLayerUpload")
async def complete_layer_upload(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Make a layer of an upload. ECR: whatever digests are given, the answer names the layer by its sha256."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])

    def answer(stored: StoredLayer) -> dict[str, Any]:
        return {
            "registryId": registry.registry_id,
            "repositoryName": name,
            "uploadId": request["uploadId"],
            "layerDigest": str(stored.digest),
        }

    stored = await call.context.uploads.complete_parts(
        call.caller,
        registry,
        name,
        request["uploadId"],
        _read_digests(request["layerDigests"]),
        # A layer that was there is a refusal, and recorded as such.
        recording=Recording(call.note, lambda stored: None if stored.was_there else answer(stored)),
    )
    return answer(stored)


def _read_digests(given: list[str]) -> list[Digest]:
    """The digests that can be checked. ECR: those of other algorithms say nothing; a near miss is no other one.

    Raises ``DigestInvalid``.
    """
    checkable = (digest for digest in given if digest.partition(":")[0].lower() in ALGORITHMS)
    return [Digest.parse(digest) for digest in dict.fromkeys(checkable)]


@operation("GetDownloadUrlForLayer")
async def get_download_url_for_layer(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A URL that gives out one layer for an hour, to whoever holds it."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])
    digest = Digest.parse(request["layerDigest"])
    layer = await call.context.database.read(layers.get_downloadable_layer, call.caller, registry, name, digest)
    await call.context.downloads.check(layer)
    url = download_url(call.context, call.caller, registry, name, digest)
    return {"downloadUrl": url, "layerDigest": str(digest)}
