"""What is measured side by side: each figure by its id, with the mark that it has to reach."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from bench import small
from bench.big import get_big_blobs, patch_big_blobs, put_big_blobs
from bench.calls import describe_images
from bench.pushes import push_image
from bench.samples import Sample
from bench.seeds import BigFile, Seeded
from bench.servers import Runner, Server, distribution, moorage, moto

GIBIBYTE = 1024**3
MEBIBYTE = 1024**2

PEERS: dict[str, Runner] = {"distribution": distribution, "moto": moto}
OURS = "Moorage"
SERVERS: dict[str, Runner] = {OURS: moorage, **PEERS}


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    seconds: int
    repositories: int
    tags: int
    size: int = GIBIBYTE


QUICK = Scale(rounds=3, seconds=2, repositories=50, tags=1_000)
FULL = Scale(rounds=7, seconds=8, repositories=50, tags=10_000)


class Content(Enum):
    """What a server must hold before a figure is taken. On an empty one each figure begins anew."""

    NOTHING = auto()
    IMAGES = auto()
    BIG = auto()
    CALLS = auto()


class Unit(Enum):
    """What of the work one unit is."""

    REQUEST = auto()
    BYTE = auto()
    PUSH = auto()


@dataclass(frozen=True)
class Mark:
    """What is asked for. ``rate`` is ours over theirs at least, ``cpu`` (per unit of work) ours over theirs at most."""

    rate: float
    cpu: float | None = None


@dataclass(frozen=True)
class Place:
    """Where a figure is taken: the server, what it holds, what is there to push, and a directory for scratch."""

    server: Server
    seeded: Seeded
    scale: Scale
    files: list[BigFile]
    scratch: Path


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    id: str
    work: str
    unit: Unit
    mark: Mark | None
    content: Content
    take: Callable[[Place], Sample]
    peer: str = "distribution"
    is_tls: bool = False


def _small(
    identity: str, work: str, mark: Mark | None, take: Callable[[Server, Seeded, int, int], Sample]
) -> Figure:
    return Figure(
        identity,
        f"{work}, 16 connections",
        Unit.REQUEST,
        mark,
        Content.IMAGES,
        lambda place: take(place.server, place.seeded, 16, place.scale.seconds),
    )


def _get_big(identity: str, at_once: int, mark: Mark, *, is_tls: bool = False) -> Figure:
    return Figure(
        identity,
        f"blob GET 1 GiB{' over TLS' if is_tls else ''}, {at_once} at once",
        Unit.BYTE,
        mark,
        Content.BIG,
        lambda place: get_big_blobs(place.server, place.seeded, at_once, place.scale.size),
        is_tls=is_tls,
    )


def _upload(
    identity: str, work: str, at_once: int, mark: Mark | None, take: Callable[[Server, list[BigFile]], Sample]
) -> Figure:
    return Figure(
        identity,
        f"upload 1 GiB, durable, {work}, {at_once} at once",
        Unit.BYTE,
        mark,
        Content.NOTHING,
        lambda place: take(place.server, place.files[:at_once]),
        is_tls="TLS" in work,
    )


def _push(identity: str, work: str, layers: int, size: int) -> Figure:
    return Figure(
        identity,
        f"skopeo push of {work}",
        Unit.PUSH,
        Mark(rate=1 / 0.75),
        Content.NOTHING,
        lambda place: push_image(place.server, place.scratch / "layout", layers, size),
    )


FIGURES = [
    _small("manifest-get", "manifest GET by tag", Mark(8), small.get_manifests),
    _small("manifest-head", "manifest HEAD by tag", Mark(8), small.head_manifests),
    _small("manifest-get-hot", "manifest GET, always the same", None, small.get_one_manifest),
    _small("blob-get-1k", "blob GET 1 KiB", Mark(8), small.get_small_blobs),
    _small("blob-get-1k-hot", "blob GET 1 KiB, always the same", None, small.get_one_small_blob),
    _get_big("blob-get-1g", 1, Mark(1.0, 1.0)),
    _get_big("blob-get-1g-x4", 4, Mark(1.0, 1.0)),
    _upload("upload-put", "PUT", 1, Mark(1.4, 0.7), put_big_blobs),
    _upload("upload-put-x4", "PUT", 4, Mark(1.4, 0.7), put_big_blobs),
    _upload("upload-patch", "PATCH in chunks", 1, Mark(1.4, 0.7), patch_big_blobs),
    _upload("upload-patch-x4", "PATCH in chunks", 4, Mark(1.4, 0.7), patch_big_blobs),
    _get_big("tls-get-1g", 1, Mark(1.0), is_tls=True),
    _upload("tls-put", "PUT over TLS", 1, Mark(1.2), put_big_blobs),
    _upload("tls-patch", "PATCH in chunks over TLS", 1, None, patch_big_blobs),
    _push("skopeo-20x5m", "20 layers of 5 MB", 20, 5_000_000),
    _push("skopeo-200x50k", "200 layers of 50 KB", 200, 50_000),
    Figure(
        "describe-images",
        "signed DescribeImages of 10 images, 16 connections",
        Unit.REQUEST,
        Mark(20),
        Content.CALLS,
        lambda place: describe_images(place.server, place.seeded, 16, place.scale.seconds),
        peer="moto",
    ),
]
