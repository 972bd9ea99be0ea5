"""What is recorded without a mark: durable PutImage, start-up, memory at rest, and latency as the registry grows."""

import base64
import http.client
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Scale
from bench.growth import Shelf, grow
from bench.judged import pull_as_user
from bench.policies import decide_pulls
from bench.seeds import MANIFEST, expect, push_blob, put_manifest
from bench.servers import Runner, Server, distribution, moorage, tree
from bench.small import raw_request, replay_once
from moorage.metadata.migrate_postgresql import migrate_postgresql
from tests.postgresql.server import running as running_postgresql

REPOSITORY = "bench/records"
#: Calls to sign for each second of measuring: more than can be answered.
MOST_A_SECOND = 4_000
STARTS = 5
SETTLE_SECONDS = 2
SHELVES = 10
#: Requests of each kind, one after the other on one connection.
LOOKS = 300
SIZES = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Record:
    """One thing that is recorded: lines of text come of it."""

    id: str
    what: str
    take: Callable[[Path, Scale], list[str]]
    #: Whether it starts servers and sends them load, for which programs have to be there.
    needs_programs: bool = True


@contextmanager
def moorage_on_postgresql(directory: Path) -> Iterator[Server]:
    """Moorage on a PostgreSQL server of its own that waits for its disk, all else as it comes out of the box."""
    with running_postgresql("fsync=on", "full_page_writes=on") as postgresql:
        migrate_postgresql(postgresql.url())
        os.environ["MOORAGE_MASTER_KEY"] = base64.b64encode(os.urandom(32)).decode()
        with moorage(directory, None, "--database", postgresql.url()) as server:
            yield server


def put_images(
    clients: int, runner: Callable[[Path], AbstractContextManager[Server]] = moorage
) -> Callable[[Path, Scale], list[str]]:
    """PutImage, each of another image under another tag, signed, committed durably before it is answered."""

    def take(directory: Path, scale: Scale) -> list[str]:
        with runner(directory) as server:
            shelf = Shelf(REPOSITORY, random.randbytes(1024))
            _prepare(server, [shelf])
            payloads = (
                {"repositoryName": REPOSITORY, "imageManifest": shelf.image(n).decode(), "imageTag": f"v{n}"}
                for n in range(MOST_A_SECOND * scale.seconds)
            )
            signed = [server.signed("PutImage", payload) for payload in payloads]
            requests = [raw_request(server, "POST", "/", head, body, is_signed=True) for head, body in signed]
            sample = replay_once(server, requests, clients, scale.seconds)
            kept = server.call("DescribeImages", {"repositoryName": REPOSITORY, "maxResults": 1000})
            expect(len(_list(kept, "imageDetails")) >= min(sample.units, 1000), True, "images that were put")
        cost = sample.server_cpu_per_unit * 1e3
        return [
            f"{sample.rate:,.0f}/s, {cost:.2f} ms of processor time each, client's share {sample.client_share:.0%}"
        ]

    return take


def _list(answer: dict[str, object], name: str) -> list[object]:
    found = answer[name]
    return found if isinstance(found, list) else []


def _prepare(server: Server, shelves: list[Shelf]) -> None:
    connection = server.connect()
    for shelf in shelves:
        server.create_repository(shelf.name)
        push_blob(server, connection, shelf.name, shelf.layer)
    connection.close()


def start_up(directory: Path, _scale: Scale) -> list[str]:
    """From the start of the process to the first good answer, on an empty and on a used data directory."""
    found = []
    for name, runner in (("Moorage", moorage), ("distribution", distribution)):
        fresh = [_start(runner, directory / f"{name}-{number}") for number in range(STARTS)]
        again = [_start(runner, directory / f"{name}-{number}") for number in range(STARTS)]
        found.append(f"{name}: {statistics.median(fresh):.2f} s empty, {statistics.median(again):.2f} s used")
    return found


def _start(runner: Runner, directory: Path) -> float:
    with runner(directory, None) as server:
        return server.start_seconds


def idle_memory(directory: Path, _scale: Scale) -> list[str]:
    """Proportional set size of all processes, two seconds after the start."""
    found = []
    for name, runner in (("Moorage", moorage), ("distribution", distribution)):
        with runner(directory / name, None) as server:
            time.sleep(SETTLE_SECONDS)
            processes = tree(server.process_id)
            total = sum(_proportional_kib(one) for one in processes)
        found.append(f"{name}: {total / 1024:.0f} MiB in {len(processes)} processes")
    return found


def _proportional_kib(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def growth(directory: Path, scale: Scale) -> list[str]:
    """Median and 99th percentile of each kind of request as the registry grows, in milliseconds."""
    shelves = [Shelf.make(number) for number in range(SHELVES)]
    os.environ["MOORAGE_QUOTAS__IMAGES_PER_REPOSITORY"] = "0"
    with moorage(directory) as server:
        _prepare(server, shelves)
    found, present = [f"{'images':>10}  " + "  ".join(f"{name:>16}" for name in _LOOKS)], 0
    for size in SIZES if scale.tags >= 10_000 else SIZES[:3]:
        grow(directory / "data" / "metadata.db", shelves, present, size)
        present = size
        with moorage(directory) as server:
            looks = [_look(server, look, shelves, size) for look in _LOOKS.values()]
        found.append(f"{size:>10,}  " + "  ".join(f"{one:>16}" for one in looks))
    return found


Look = Callable[[Server, http.client.HTTPConnection, Shelf, int], None]


def _look(server: Server, look: Look, shelves: list[Shelf], size: int) -> str:
    connection = server.connect()
    times = []
    for _ in range(LOOKS):
        number = random.randrange(size)
        began = time.perf_counter()
        look(server, connection, shelves[number % len(shelves)], number)
        times.append((time.perf_counter() - began) * 1e3)
    connection.close()
    cuts = statistics.quantiles(times, n=100)
    return f"{statistics.median(times):.2f} / {cuts[98]:.2f}"


def _list_images(server: Server, connection: http.client.HTTPConnection, shelf: Shelf, _number: int) -> None:
    answer = server.call("ListImages", {"repositoryName": shelf.name, "maxResults": 100}, connection)
    expect(len(_list(answer, "imageIds")), 100, "ListImages")


def _describe(server: Server, connection: http.client.HTTPConnection, shelf: Shelf, number: int) -> None:
    payload = {"repositoryName": shelf.name, "imageIds": [{"imageTag": f"v{number}"}]}
    expect(len(_list(server.call("DescribeImages", payload, connection), "imageDetails")), 1, "DescribeImages")


def _list_tags(server: Server, connection: http.client.HTTPConnection, shelf: Shelf, number: int) -> None:
    _get(server, connection, f"/v2/{shelf.name}/tags/list?n=100&last=v{number // 2}")


def _pull(server: Server, connection: http.client.HTTPConnection, shelf: Shelf, number: int) -> None:
    body = _get(server, connection, f"/v2/{shelf.name}/manifests/v{number}")
    if body != shelf.image(number):
        expect(0, 1, "a manifest with other bytes than were stored")


def _get(server: Server, connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers=server.headers | {"Accept": MANIFEST})
    response = connection.getresponse()
    body = response.read()
    expect(response.status, 200, path)
    return body


def _put(server: Server, connection: http.client.HTTPConnection, shelf: Shelf, _number: int) -> None:
    number = random.randrange(10**9, 10**12)
    put_manifest(server, connection, shelf.name, f"p{number}", shelf.image(number))


_LOOKS: dict[str, Look] = {
    "ListImages": _list_images,
    "DescribeImages": _describe,
    "tags/list": _list_tags,
    "pull": _pull,
    "push": _put,
}

RECORDS = [
    Record("put-image", "PutImage, 1 client, durable", put_images(1)),
    Record("put-image-x16", "PutImage, 16 clients, durable", put_images(16)),
    Record(
        "put-image-postgresql", "PutImage, 1 client, durable, PostgreSQL", put_images(1, moorage_on_postgresql)
    ),
    Record(
        "put-image-postgresql-x16",
        "PutImage, 16 clients, durable, PostgreSQL",
        put_images(16, moorage_on_postgresql),
    ),
    Record("start-up", "start-up to the first good answer", start_up),
    Record("idle-memory", "memory at rest, all processes", idle_memory),
    Record(
        "policy-decision",
        "one decision over the policies of a pull, processor time",
        decide_pulls,
        needs_programs=False,
    ),
    Record("judged-get", "manifest GET by one of many users whom policies judge, beside root's", pull_as_user),
    Record("growth", "latency by images in the registry, median / 99th percentile in ms", growth),
]
