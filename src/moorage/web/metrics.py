"""Counters for Prometheus, one file per process below ``<data>/metrics``, and the ``/metrics`` page.

prometheus-client chooses between its single-process and multi-process mode when it is imported; a worker is forked
later than that, so ``share`` chooses again. In the latter mode custom collectors do not work: none here.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import os
import shutil
import socket
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from moorage.web.asgi import Exchange, plain
from moorage.web.http import Request, Response
from moorage.web.listen import Address, without_port
from moorage.web.shortcut import Recorder

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

#: Most combinations of labels; what comes later is counted under the operation ``other``.
MAX_SERIES = 2_000

PUBLISH_SECONDS = 1.0

#: Beside ``X-Forwarded-…``.
_PROXY_HEADERS = frozenset({b"forwarded", b"via", b"x-real-ip", b"true-client-ip", b"cf-connecting-ip"})

#: What prometheus-client calls the files of one process, by the kinds of metrics above; it adds the process id.
_FILES = ("counter", "histogram", "gauge_livesum")

#: Size of each: room for the histograms of 200 operations, which is more than there are.
_FILE_BYTES = 1024 * 1024

_logger = structlog.get_logger()

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Observer that counts requests; ``authenticated`` is called by whoever checks credentials.

    Counting happens in plain integers, published once in ``PUBLISH_SECONDS``: a memory-mapped counter costs about
    a microsecond each time.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._requests = Counter(
            "ecr_http_requests", "Requests.", ("api", "op", "code"), registry=self.registry
        )
        self._duration = Histogram(
            "ecr_http_request_duration_seconds",
            "Time from the complete header to the last byte handed to the socket.",
            ("api", "op"),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._in_flight = Gauge(
            "ecr_http_requests_in_flight",
            "Requests being served.",
            ("api",),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._bytes_in = Counter(
            "ecr_http_request_bytes", "Body bytes received.", ("api",), registry=self.registry
        )
        self._bytes_out = Counter(
            "ecr_http_response_bytes", "Body bytes sent.", ("api",), registry=self.registry
        )
        self._auth = Counter(
            "ecr_auth_results", "Checks of credentials.", ("result", "reason"), registry=self.registry
        )
        self._throttled = Counter(
            "ecr_throttled",
            "Requests turned away, by what there was too much of.",
            ("api", "reason"),
            registry=self.registry,
        )
        self._audit_dropped = Counter(
            "ecr_audit_dropped",
            "Audit records of reads and refusals that were lost: the audit log did not take them in time.",
            registry=self.registry,
        )
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._by_api: dict[str, _Api] = {}
        self._results: dict[tuple[str, str], int] = {}
        self._unread: dict[str, int] = {}
        self._lost_records = 0
        self._is_scheduled = False

    def started(self, api: str) -> None:
        """One more request is being served."""
        self._of_api(api).in_flight += 1
        if not self._is_scheduled:
            self._schedule()

    def finished(self, exchange: Exchange) -> None:
        """One less, with what came of it."""
        api = self._of_api(exchange.api)
        api.in_flight -= 1
        api.bytes_in += exchange.request.bytes_read
        api.bytes_out += exchange.bytes_sent
        series = self._of_series(exchange.api, exchange.operation, exchange.status)
        series.requests += 1
        if exchange.turned_away:
            self._throttled.labels(exchange.api, exchange.turned_away).inc()
        series.seconds += exchange.seconds
        series.buckets[bisect_left(_BUCKETS, exchange.seconds)] += 1
        if not self._is_scheduled:
            self._schedule()

    def audit_dropped(self) -> None:
        """Count an audit record that was lost."""
        self._lost_records += 1
        if not self._is_scheduled:
            self._schedule()

    def turned_away_unread(self, reason: str) -> None:
        """Count a request that the server turned away before anybody read it."""
        self._unread[reason] = self._unread.get(reason, 0) + 1
        if not self._is_scheduled:
            self._schedule()

    def prepare(self, exchange: Exchange) -> Recorder:
        """See ``Witness``. They bring no body, and are over as soon as they are begun."""
        api = self._of_api(exchange.api)
        series = self._of_series(exchange.api, exchange.operation, exchange.status)
        size = exchange.bytes_sent

        def record(_request_id: bytes, _now: int, nanoseconds: int) -> None:
            api.bytes_out += size
            series.requests += 1
            seconds = nanoseconds / 1e9
            series.seconds += seconds
            series.buckets[bisect_left(_BUCKETS, seconds)] += 1
            if not self._is_scheduled:
                self._schedule()

        return record

    def publish(self) -> None:
        """Bring what was counted since the last time to where all processes are summed up."""
        self._is_scheduled = False
        for api in self._by_api.values():
            api.gauge.set(api.in_flight)
            api.bytes_in_total.inc(api.bytes_in)
            api.bytes_out_total.inc(api.bytes_out)
            api.bytes_in = api.bytes_out = 0
        for series in self._series.values():
            if series.requests:
                series.publish()
        for reason, count in self._unread.items():
            self._throttled.labels("", reason).inc(count)
        self._unread.clear()
        if self._lost_records:
            self._audit_dropped.inc(self._lost_records)
            self._lost_records = 0
        for labels, count in self._results.items():
            self._auth.labels(*labels).inc(count)
        self._results.clear()

    def authenticated(self, result: str, reason: str = "") -> None:
        """Count a check of credentials: ``accepted`` or ``refused``, and the kind of refusal.

        Published with the request that it is part of.
        """
        self._results[result, reason] = self._results.get((result, reason), 0) + 1

    def expose(self) -> bytes:
        """The text that Prometheus reads: of all processes in multi-process mode, else of this one."""
        self.publish()
        directory = os.environ.get(DIRECTORY_VARIABLE)
        if not directory:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _schedule(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_later(PUBLISH_SECONDS, self.publish)

    def _of_api(self, api: str) -> "_Api":
        found = self._by_api.get(api)
        if found is None:
            found = _Api(self._in_flight.labels(api), self._bytes_in.labels(api), self._bytes_out.labels(api))
            self._by_api[api] = found
        return found

    def _of_series(self, api: str, operation: str, status: int) -> "_Series":
        found = self._series.get((api, operation, status))
        if found is None:
            if len(self._series) >= MAX_SERIES and operation != "other":
                return self._of_series(api, "other", status)
            found = _Series(
                self._requests.labels(api, operation, str(status)), self._duration.labels(api, operation)
            )
            self._series[api, operation, status] = found
        return found


@dataclass(slots=True)
class _Api:
    """What is counted for one api, with what is not published yet."""

    gauge: Gauge
    bytes_in_total: Counter
    bytes_out_total: Counter
    in_flight: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(slots=True)
class _Series:
    """What is counted for one combination of labels, with what is not published yet."""

    total: Counter
    duration: Histogram
    requests: int = 0
    seconds: float = 0.0
    #: Requests by the bucket that they fall into, the last one without an end.
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))

    def publish(self) -> None:
        """Add up what was counted. The library can observe one value at a time only, at a price for each."""
        self.total.inc(self.requests)
        self.duration._sum.inc(self.seconds)  # noqa: SLF001
        for bucket, count in zip(self.duration._buckets, self.buckets, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self.requests, self.seconds, self.buckets = 0, 0.0, [0] * len(self.buckets)


class MetricsPage:
    """``/metrics``: for loopback, or for whoever has the token."""

    def __init__(self, metrics: Metrics, token: str) -> None:
        self._metrics = metrics
        self._token = token

    async def get(self, request: Request) -> Response:
        """200 with the text; 401 when a token is asked for, 403 when there is none to ask for."""
        if not (_is_local(request) or self._has_token(request)):
            return self._refuse()
        body = self._metrics.expose()
        headers = [
            (b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        return Response(200, headers, body)

    def _has_token(self, request: Request) -> bool:
        scheme, _, given = (request.header(b"authorization") or "").partition(" ")
        is_bearer = bool(self._token) and scheme.lower() == "bearer"
        return is_bearer and hmac.compare_digest(given.strip().encode(), self._token.encode())

    def _refuse(self) -> Response:
        if not self._token:
            return plain(
                403, "metrics are for this machine only; the setting metrics_token opens them to others\n"
            )
        response = plain(401, "a bearer token is needed\n")
        response.headers.append((b"www-authenticate", b"Bearer"))
        return response


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine itself, and not through a proxy that runs on it.

    A proxy shows itself by one of its headers or by the public name that it passes on as Host.
    """
    if any(name in _PROXY_HEADERS or name.startswith(b"x-forwarded-") for name, _ in request.headers):
        return False
    host = without_port(request.header(b"host") or "localhost").strip("[]").lower()
    if not (Address(host, 0).is_loopback or host.endswith(".localhost")):
        return False
    try:
        return ipaddress.ip_address(request.facts.source_ip).is_loopback
    except ValueError:
        return False


def prepare_directory(data_dir: Path) -> Path:
    """Make a directory of this server's own below ``<data>/metrics``; those of servers that ended here go.

    Servers on one PostgreSQL share the data directory, perhaps from several machines.
    """
    parent, host = data_dir / "metrics", socket.gethostname()
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for former in parent.iterdir():
        name, _, process_id = former.name.rpartition("-")
        if name in {host, ""} and process_id != str(os.getpid()) and not _runs(process_id):
            _remove(former)
    directory = parent / f"{host}-{os.getpid()}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    return directory


def _runs(process_id: str) -> bool:
    return Path("/proc", process_id).exists()


def _remove(former: Path) -> None:
    """Without a word when it cannot be: nothing reads it."""
    shutil.rmtree(former, ignore_errors=True)
    with contextlib.suppress(OSError):
        former.unlink(missing_ok=True)


def share(directory: Path) -> None:
    """In a worker, before it counts anything: count in files that the pages of all workers add up.

    The files are mapped into memory, and a write to a page for which the disk has no room any more would end the
    process. So room is taken before; where there is none, this process counts for itself alone.
    """
    files = [directory / f"{kind}_{os.getpid()}.db" for kind in _FILES]
    try:
        for file in files:
            _allocate(file)
    except OSError as error:
        for file in files:
            file.unlink(missing_ok=True)
        _logger.warning("metrics_not_shared", error=error.strerror)
        return
    os.environ[DIRECTORY_VARIABLE] = str(directory)
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def _allocate(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _FILE_BYTES)
    finally:
        os.close(descriptor)


def forget_process(directory: Path, process_id: int) -> None:
    """Take the gauges of a process that is gone out of the sums."""
    mark_process_dead(process_id, str(directory))  # type: ignore[no-untyped-call]
