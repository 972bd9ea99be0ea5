"""Every route of ``/v2/`` as data, and how a path is read: from the right, because names have slashes.

A path is read as it was sent, not decoded. No name, tag or digest ever needs percent-encoding, so an encoded slash
or dot stays what it is, an illegal letter in a name, and cannot turn one path into another.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from moorage.domain.errors import RouteUnknown
from moorage.oci.base import get_base
from moorage.oci.blobs import delete_blob, get_blob, head_blob
from moorage.oci.call import Handler
from moorage.oci.catalog import get_catalog
from moorage.oci.manifests import delete_manifest, get_manifest, head_manifest, put_manifest
from moorage.oci.referrers import get_referrers
from moorage.oci.tags import get_tags
from moorage.oci.uploads import delete_upload, get_upload, patch_upload, post_upload, put_upload

BASE: Final = "/v2/"
CATALOG: Final = "/v2/_catalog"
MANIFEST: Final = "/v2/<name>/manifests/<reference>"
BLOB: Final = "/v2/<name>/blobs/<digest>"
UPLOADS: Final = "/v2/<name>/blobs/uploads/"
UPLOAD: Final = "/v2/<name>/blobs/uploads/<upload_id>"
TAGS: Final = "/v2/<name>/tags/list"
REFERRERS: Final = "/v2/<name>/referrers/<digest>"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: what answers a method on a shape of path.

    ``action`` is what the caller must be allowed to do, empty where a good token is all it takes. ``event`` is what
    the audit calls it: AWS's name where there is one (docs/audit.md).
    """

    method: str
    shape: str
    handler: Handler
    action: str
    event: str

    @property
    def operation(self) -> str:
        """The handler's name, for logs and metrics."""
        return self.handler.__name__

    @property
    def is_pull(self) -> bool:
        """Whether it may be open to everybody, where a repository's policy says so."""
        return self.method in {"GET", "HEAD"} and self.shape in {MANIFEST, BLOB, TAGS, REFERRERS}


ROUTES: Final = (
    Route("GET", BASE, get_base, "", "CheckAuthorizationToken"),
    Route("HEAD", BASE, get_base, "", "CheckAuthorizationToken"),
    Route("GET", CATALOG, get_catalog, "ecr:DescribeRepositories", "DescribeRepositories"),
    Route("HEAD", CATALOG, get_catalog, "ecr:DescribeRepositories", "DescribeRepositories"),
    Route("GET", MANIFEST, get_manifest, "ecr:BatchGetImage", "BatchGetImage"),
    Route("HEAD", MANIFEST, head_manifest, "ecr:BatchGetImage", "BatchGetImage"),
    Route("PUT", MANIFEST, put_manifest, "ecr:PutImage", "PutImage"),
    Route("DELETE", MANIFEST, delete_manifest, "ecr:BatchDeleteImage", "BatchDeleteImage"),
    Route("GET", BLOB, get_blob, "ecr:GetDownloadUrlForLayer", "GetDownloadUrlForLayer"),
    Route("HEAD", BLOB, head_blob, "ecr:BatchCheckLayerAvailability", "BatchCheckLayerAvailability"),
    Route("DELETE", BLOB, delete_blob, "ecr:BatchDeleteImage", "BatchDeleteImage"),
    Route("POST", UPLOADS, post_upload, "ecr:InitiateLayerUpload", "InitiateLayerUpload"),
    Route("GET", UPLOAD, get_upload, "ecr:UploadLayerPart", "GetLayerUpload"),
    Route("HEAD", UPLOAD, get_upload, "ecr:UploadLayerPart", "GetLayerUpload"),
    Route("PATCH", UPLOAD, patch_upload, "ecr:UploadLayerPart", "UploadLayerPart"),
    Route("PUT", UPLOAD, put_upload, "ecr:CompleteLayerUpload", "CompleteLayerUpload"),
    Route("DELETE", UPLOAD, delete_upload, "ecr:UploadLayerPart", "AbortLayerUpload"),
    Route("GET", TAGS, get_tags, "ecr:ListImages", "ListImages"),
    Route("HEAD", TAGS, get_tags, "ecr:ListImages", "ListImages"),
    Route("GET", REFERRERS, get_referrers, "ecr:BatchGetImage", "ListImageReferrers"),
    Route("HEAD", REFERRERS, get_referrers, "ecr:BatchGetImage", "ListImageReferrers"),
)

_METHODS: Final[dict[str, dict[str, Route]]] = {}
for _route in ROUTES:
    _METHODS.setdefault(_route.shape, {})[_route.method] = _route


class Place(NamedTuple):
    """What a path means. ``name`` is None where the path has none, and unchecked otherwise."""

    shape: str
    name: str | None
    reference: str


def read_path(path: str) -> Place:
    """Read a path as it was sent, without its query. Raises ``RouteUnknown``."""
    head, _, last = path.rpartition("/")
    head, _, noun = head.rpartition("/")
    if noun == "manifests":
        shape = MANIFEST
    elif noun == "blobs":
        shape = BLOB
    elif noun == "uploads" and head.endswith("/blobs"):
        head = head.removesuffix("/blobs")
        shape = UPLOAD if last else UPLOADS
    elif noun == "tags" and last == "list":
        shape = TAGS
    elif noun == "referrers":
        shape = REFERRERS
    else:
        return _read_nameless(path)
    if not head.startswith("/v2/"):
        raise RouteUnknown
    # Careful clients encode the colon of a digest.
    reference = last.replace("%3A", ":").replace("%3a", ":") if "%" in last else last
    return Place(shape, head[4:], reference)


def _read_nameless(path: str) -> Place:
    if path in {"/v2/", "/v2"}:
        return Place(BASE, None, "")
    if path == CATALOG:
        return Place(CATALOG, None, "")
    raise RouteUnknown


def find_route(shape: str, method: str) -> Route | None:
    """The row for a method on a shape, or None."""
    return _METHODS[shape].get(method)


def allowed_methods(shape: str) -> str:
    """The methods that a shape takes, as an ``Allow`` header lists them."""
    return ", ".join(_METHODS[shape])
