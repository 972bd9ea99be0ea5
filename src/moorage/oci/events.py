"""What the audit records of calls of the distribution API, in the words of the ECR API (docs/audit.md)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from moorage.domain.arn import RepositoryArn
from moorage.domain.audit import Note
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import RepositoryNameInvalid
from moorage.domain.names import RepositoryName
from moorage.oci.elements import Elements, image_id
from moorage.oci.routes import BLOB, MANIFEST, REFERRERS, UPLOAD, Place, Route

#: Characters of a reference that is none: longer ones are only attempts.
_MAX_REFERENCE: Final = 300


# A pure function of its argument; refusals are not kept.
parse_name: Final = lru_cache(maxsize=4_096)(RepositoryName.parse)


def noted(note: Note, route: Route | None, place: Place | None, registry: RegistryKey) -> Note:
    """Fill in what the request line says; without ``route`` or ``place`` it leads nowhere."""
    note.registry = registry
    if route is None or place is None:
        return note
    note.event = route.event
    note.parameters = {"registryId": registry.registry_id}
    if place.name is None:
        return note
    note.parameters["repositoryName"] = place.name[:_MAX_REFERENCE]
    describe = _REFERENCES.get(place.shape)
    if describe is not None:
        note.parameters |= describe(route.method, place.reference[:_MAX_REFERENCE])
    try:
        name = parse_name(place.name)
    except RepositoryNameInvalid:
        return note
    note.repositories = [RepositoryArn(registry.region, registry.registry_id, name)]
    return note


def _manifest(method: str, reference: str) -> Elements:
    return image_id(reference) if method == "PUT" else {"imageIds": [image_id(reference)]}


def _blob(method: str, digest: str) -> Elements:
    return {"layerDigests": [digest]} if method == "HEAD" else {"layerDigest": digest}


_REFERENCES: Final[Mapping[str, Callable[[str, str], Elements]]] = {
    MANIFEST: _manifest,
    BLOB: _blob,
    UPLOAD: lambda _method, upload_id: {"uploadId": upload_id},
    REFERRERS: lambda _method, digest: {"subjectId": {"imageDigest": digest}},
}
