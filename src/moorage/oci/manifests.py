"""Manifests: pull, push and delete, by tag or digest (OCI distribution-spec, "Pulling manifests" and on)."""

from collections.abc import Callable
from typing import Final

from moorage.domain.digest import Digest
from moorage.domain.errors import InvalidRequest, ManifestDigestMismatch, TooManyTagParameters
from moorage.domain.manifest import MAX_MANIFEST_BYTES, Manifest
from moorage.domain.media_types import without_parameters
from moorage.domain.names import Tag
from moorage.metadata.images import ImageRow
from moorage.oci.call import Call
from moorage.oci.elements import Elements, image_id, in_repository
from moorage.services import image_batches, images
from moorage.services.images import ImageContent
from moorage.web.http import Response
from moorage.web.ranges import is_not_modified

#: Tags that one push by digest may name.
MAX_TAG_PARAMETERS: Final = 100


async def get_manifest(call: Call) -> Response:
    """The bytes as they were pushed; ``Accept`` is not asked, since converting would change the digest.

    Raises ``DigestInvalid``, ``RepositoryNotFound``, ``ImageNotFound``.
    """
    found = await _find(call)
    headers = manifest_headers(found.image)
    if is_not_modified(call.request, f'"{found.image.digest}"'):
        return Response(304, headers)
    call.context.pulls.note_pull(found.image, call.request.facts.received_at)
    return Response(200, headers, found.content)


async def head_manifest(call: Call) -> Response:
    """What ``get_manifest`` would answer, which does not count as a pull."""
    return Response(200, manifest_headers((await _find(call)).image))


async def _find(call: Call) -> ImageContent:
    return await call.context.database.read(
        images.get_image, call.caller, call.registry, call.name, read_reference(call.reference)
    )


def read_reference(reference: str) -> Digest | Tag:
    """What is meant by a reference to something that exists. A tag not of the form names nothing: 404, not 400."""
    return Digest.parse(reference) if ":" in reference else Tag(reference)


def manifest_headers(image: ImageRow) -> list[tuple[bytes, bytes]]:
    """The header lines of an answer to GET or HEAD."""
    digest = image.digest.encode()
    return [
        (b"content-type", image.media_type.encode()),
        (b"content-length", b"%d" % image.manifest_size),
        (b"docker-content-digest", digest),
        (b"etag", b'"%b"' % digest),
    ]


async def put_manifest(call: Call) -> Response:
    """Store a manifest under a tag, or under its digest and the tags that ``tag`` parameters name.

    Raises ``TagInvalid``, ``DigestInvalid``, ``TooManyTagParameters``, ``BodyTooLarge``, ``ManifestInvalid``,
    ``ManifestDigestMismatch`` and what ``images.put_image`` raises.
    """
    digest = Digest.parse(call.reference) if ":" in call.reference else None
    parameters = _tag_parameters(call, digest)
    tags = parameters if digest else [Tag.parse(call.reference)]
    await call.context.database.read(images.check_push, call.caller, call.registry, call.name, tags, digest)
    content = await call.request.body(MAX_MANIFEST_BYTES)
    manifest = Manifest.parse(
        content, _media_type(call), digest_algorithm=digest.algorithm if digest else "sha256"
    )
    if digest is not None and digest != manifest.digest:
        raise ManifestDigestMismatch(given=str(digest), actual=str(manifest.digest))
    text = content.decode(errors="replace")
    call.note.add(imageManifest=text, imageManifestMediaType=manifest.media_type, imageTags=parameters or None)
    await call.change(
        lambda image: {"image": _pushed(call, image, tags, text)},
        images.put_image,
        call.caller,
        call.registry,
        call.name,
        manifest,
        tags,
        is_repeat_refused=False,
    )
    return _created(call, manifest, parameters)


def _pushed(call: Call, image: ImageRow, tags: list[Tag], text: str) -> Elements:
    """For the audit. The ECR API pushes under one tag at a time; what a push has more is in its parameters."""
    image_id = {"imageDigest": image.digest, **({"imageTag": tags[0]} if tags else {})}
    return in_repository(call, imageId=image_id, imageManifest=text)


def _tag_parameters(call: Call, digest: Digest | None) -> list[Tag]:
    names = [value for key, value in call.request.query() if key == "tag"]
    if names and digest is None:
        raise InvalidRequest(text="The tag parameter goes with a push by digest")
    if len(names) > MAX_TAG_PARAMETERS:
        raise TooManyTagParameters(limit=MAX_TAG_PARAMETERS)
    return [Tag.parse(name) for name in names]


def _media_type(call: Call) -> str | None:
    value = call.request.header(b"content-type")
    return None if value is None else without_parameters(value)


def _created(call: Call, manifest: Manifest, tags: list[Tag]) -> Response:
    digest = str(manifest.digest).encode()
    headers = [
        (b"location", b"/v2/%b/manifests/%b" % (call.name.encode(), digest)),
        (b"docker-content-digest", digest),
        (b"content-length", b"0"),
        *((b"oci-tag", tag.encode()) for tag in tags),
    ]
    if manifest.subject is not None:
        headers.append((b"oci-subject", str(manifest.subject.digest).encode()))
    return Response(201, headers)


async def delete_manifest(call: Call) -> Response:
    """Delete an image by its digest, or only a tag.

    Raises ``DigestInvalid``, ``RepositoryNotFound``, ``ImageNotFound``, ``ImageReferencedByIndex``.
    """
    named = read_reference(call.reference)
    if isinstance(named, Digest):
        await call.change(_gone(call), image_batches.delete_image, call.caller, call.registry, call.name, named)
    else:
        await call.change(_gone(call), image_batches.delete_tag, call.caller, call.registry, call.name, named)
    return Response(202, [(b"content-length", b"0")])


def _gone(call: Call) -> Callable[[None], Elements]:
    return lambda _result: {"imageIds": [image_id(call.reference)], "failures": []}
