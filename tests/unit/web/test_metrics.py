"""Counters and who may read them."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import values

from moorage.domain.caller import RequestFacts
from moorage.web import metrics as module
from moorage.web.asgi import Exchange
from moorage.web.http import Message, Request, Response
from moorage.web.metrics import Metrics, MetricsPage


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def request(source_ip: str = "127.0.0.1", *headers: tuple[bytes, bytes]) -> Request:
    facts = RequestFacts("id", "json", source_ip, is_tls=False, user_agent="", received_at=0)
    scope: dict[str, Any] = {
        "method": "GET",
        "path": "/metrics",
        "query_string": b"",
        "headers": list(headers),
        "scheme": "http",
    }
    return Request(scope, _nothing, facts)


def count(metrics: Metrics, *exchanges: Exchange) -> None:
    async def observe() -> None:
        for exchange in exchanges:
            metrics.started(exchange.api)
            metrics.finished(exchange)

    asyncio.run(observe())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    metrics.publish()
    return metrics.registry.get_sample_value(name, labels)


def read(metrics: Metrics, token: str, asked: Request) -> Response:
    return asyncio.run(MetricsPage(metrics, token).get(asked))


def test_requests_that_were_turned_away_are_counted_by_reason() -> None:
    """Beside their place among all requests."""
    metrics = Metrics()
    count(metrics, Exchange(request(), "v2", 429, turned_away="requests"), Exchange(request(), "v2", 200))
    assert value(metrics, "ecr_throttled_total", api="v2", reason="requests") == 1
    assert value(metrics, "ecr_http_requests_total", api="v2", op="", code="429") == 1


def test_requests_are_counted_by_api_operation_and_status() -> None:
    """One series for each combination."""
    metrics = Metrics()
    exchange = Exchange(request(), "v2", 200, "GetManifest")
    count(metrics, exchange, exchange, Exchange(request(), "v2", 404, "GetManifest"))
    assert value(metrics, "ecr_http_requests_total", api="v2", op="GetManifest", code="200") == 2
    assert value(metrics, "ecr_http_requests_total", api="v2", op="GetManifest", code="404") == 1


def test_bytes_and_time_are_summed() -> None:
    """Both directions, and the duration's sum."""
    metrics = Metrics()
    asked = request()
    asked.bytes_read = 7
    count(metrics, Exchange(asked, "v2", 200, "PutBlob", bytes_sent=5, seconds=0.25))
    assert value(metrics, "ecr_http_request_bytes_total", api="v2") == 7
    assert value(metrics, "ecr_http_response_bytes_total", api="v2") == 5
    assert value(metrics, "ecr_http_request_duration_seconds_sum", api="v2", op="PutBlob") == 0.25


def test_durations_fall_into_buckets_that_hold_all_shorter_ones() -> None:
    """A bound belongs to its own bucket, as Prometheus wants it."""
    metrics = Metrics()
    for seconds in (0.0004, 0.001, 0.2, 1000.0):
        count(metrics, Exchange(request(), "v2", 200, "GetBlob", seconds=seconds))
    name = "ecr_http_request_duration_seconds"
    counts = [
        value(metrics, f"{name}_bucket", api="v2", op="GetBlob", le=le) for le in ("0.001", "0.25", "+Inf")
    ]
    assert counts == [2, 3, 4]
    assert value(metrics, f"{name}_count", api="v2", op="GetBlob") == 4


def test_running_requests_show_in_flight() -> None:
    """Up at the start, down at the end."""
    metrics = Metrics()

    async def begin() -> None:
        metrics.started("v2")
        metrics.started("v2")
        metrics.finished(Exchange(request(), "v2"))

    asyncio.run(begin())
    assert value(metrics, "ecr_http_requests_in_flight", api="v2") == 1


def test_endless_operations_end_up_under_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that a client can choose cannot fill the memory."""
    monkeypatch.setattr(module, "MAX_SERIES", 3)
    metrics = Metrics()
    count(metrics, *(Exchange(request(), "json", 400, f"Made{number}") for number in range(10)))
    assert value(metrics, "ecr_http_requests_total", api="json", op="other", code="400") == 7


def test_checks_of_credentials_are_counted_by_reason() -> None:
    """Refusals tell why."""
    metrics = Metrics()
    metrics.authenticated("refused", "expired")
    metrics.authenticated("refused", "expired")
    assert value(metrics, "ecr_auth_results_total", result="refused", reason="expired") == 2


@pytest.mark.parametrize("source_ip", ["127.0.0.1", "::1"])
def test_this_machine_reads_the_page_without_a_token(source_ip: str) -> None:
    """Loopback is enough."""
    response = read(Metrics(), "", request(source_ip))
    assert response.status == 200
    assert isinstance(response.body, bytes)
    assert b"ecr_http_requests" in response.body


@pytest.mark.incident(31)
@pytest.mark.parametrize(
    ("source_ip", "token", "headers", "status"),
    [
        ("192.0.2.7", "", [], 403),
        ("", "", [], 403),
        ("192.0.2.7", "", [(b"authorization", b"Bearer ")], 403),
        ("192.0.2.7", "s3cret", [], 401),
        ("192.0.2.7", "s3cret", [(b"authorization", b"Bearer other")], 401),
        ("192.0.2.7", "s3cret", [(b"authorization", b"Basic s3cret")], 401),
        ("192.0.2.7", "s3cret", [(b"authorization", b"bearer s3cret")], 200),
        ("127.0.0.1", "", [(b"x-forwarded-for", b"192.0.2.7")], 403),
        ("127.0.0.1", "", [(b"via", b"1.1 proxy")], 403),
    ],
)
def test_others_need_the_token(
    source_ip: str, token: str, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    """Neither another machine nor one behind a local proxy reads the page without it."""
    assert read(Metrics(), token, request(source_ip, *headers)).status == status


@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-host", b"registry.example.com"),
        (b"x-real-ip", b"198.51.100.1"),
        (b"host", b"registry.example.com"),
        (b"host", b"127.0.0.1.example.com:5050"),
        (b"host", b"192.0.2.1"),
    ],
)
def test_a_proxy_on_this_machine_does_not_open_the_page(header: tuple[bytes, bytes]) -> None:
    """Who comes through a proxy comes from loopback, too, and is told apart by what the proxy adds or passes on."""
    answer = asyncio.run(MetricsPage(Metrics(), "").get(request("127.0.0.1", header)))
    assert answer.status == 403


@pytest.mark.parametrize("host", [b"localhost:5050", b"127.0.0.1", b"[::1]:5050", b"1.dkr.ecr.a.localhost"])
def test_every_name_of_loopback_opens_the_page(host: bytes) -> None:
    """A scraper on this machine may use any of them."""
    answer = asyncio.run(MetricsPage(Metrics(), "").get(request("127.0.0.1", (b"host", host))))
    assert answer.status == 200


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test shares, the next one counts for itself again."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv(module.DIRECTORY_VARIABLE, "")


@pytest.mark.usefixtures("unshared")
def test_shared_counters_have_room_on_the_disk_before_they_count(tmp_path: Path) -> None:
    """A mapped page for which a full disk has no room would end the process."""
    module.share(tmp_path)
    metrics = Metrics()
    count(metrics, Exchange(request(), "json", 200, "PutImage"))
    assert b'op="PutImage"' in metrics.expose()
    files = [file.stat() for file in tmp_path.iterdir()]
    assert len(files) == 3
    assert all(facts.st_blocks * 512 >= facts.st_size == 1024 * 1024 for facts in files)


@pytest.mark.usefixtures("unshared")
def test_without_room_a_process_counts_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the sum over all processes, and nothing else."""

    def refuse(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    module.share(tmp_path)
    metrics = Metrics()
    count(metrics, Exchange(request(), "json", 200, "PutImage"))
    assert b'op="PutImage"' in metrics.expose()
    assert list(tmp_path.iterdir()) == []


def test_what_is_prepared_counts_like_any_other() -> None:
    """Requests, bytes and time; none of them is ever in flight."""
    metrics = Metrics()
    exchange = Exchange(request(), "v2", 200, "GetManifest", bytes_sent=7)

    async def observe() -> None:
        record = metrics.prepare(exchange)
        for _ in range(3):
            record(b"id", 1, 500_000_000)

    asyncio.run(observe())
    assert value(metrics, "ecr_http_requests_total", api="v2", op="GetManifest", code="200") == 3
    assert value(metrics, "ecr_http_response_bytes_total", api="v2") == 21
    assert value(metrics, "ecr_http_request_duration_seconds_sum", api="v2", op="GetManifest") == 1.5
    assert value(metrics, "ecr_http_requests_in_flight", api="v2") == 0
