"""Log lines: whole, in JSON, without secrets."""

import asyncio
import json
import logging
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from moorage.domain.caller import RequestFacts
from moorage.web import log
from moorage.web.access_log import AccessLog
from moorage.web.asgi import Exchange
from moorage.web.http import Message, Request


class Lines:
    """A file that a writer writes to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.writer = log.LineWriter(self._descriptor)

    def read(self) -> list[dict[str, Any]]:
        self.writer.flush()
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def text(self) -> str:
        self.writer.flush()
        return self._path.read_text()

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The process's log in a file, structlog's configuration put back afterwards."""
    written = Lines(tmp_path / "log")
    monkeypatch.setattr(log, "writer", written.writer)
    before, handlers = structlog.get_config(), logging.getLogger().handlers
    log.configure("info")
    yield written
    structlog.configure(**before)
    logging.getLogger().handlers = handlers
    written.close()


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def exchange(api: str, path: str, status: int = 200) -> Exchange:
    facts = RequestFacts("the-id", "v2", "192.0.2.7", is_tls=False, user_agent="docker", received_at=0)
    scope = {
        "method": "GET",
        "path": path,
        "query_string": b"X-Amz-Signature=abc",
        "headers": [(b"authorization", b"Basic c2VjcmV0")],
        "scheme": "http",
    }
    return Exchange(Request(scope, _nothing, facts), api, status, "GetManifest", bytes_sent=5, is_complete=True)


def test_an_event_becomes_one_json_line(lines: Lines) -> None:
    """Time, level, event and fields, and line ends within a field stay within it."""
    structlog.get_logger().info("image_pushed", repository_name="a\nb\x1b")
    line = lines.read()[0]
    assert (line["event"], line["level"], line["repository_name"]) == ("image_pushed", "info", "a\nb\x1b")
    assert line["time"].endswith("Z")


def test_lines_below_the_level_are_left_out(lines: Lines) -> None:
    """Debug is silent at info."""
    structlog.get_logger().debug("detail")
    assert lines.read() == []


def test_a_line_carries_the_request_it_belongs_to(lines: Lines) -> None:
    """Whoever logs need not pass the id on."""
    token = log.current_request_id.set("the-id")
    structlog.get_logger().info("image_pushed")
    log.current_request_id.reset(token)
    assert lines.read()[0]["request_id"] == "the-id"


def test_an_exception_is_written_with_its_traceback(lines: Lines) -> None:
    """In the same single line."""
    try:
        int("many")
    except ValueError:
        structlog.get_logger().exception("request_failed")
    assert "ValueError: invalid literal" in lines.read()[0]["exception"]


@pytest.mark.incident(12, 23)
@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": "hush"},
        {"Token": "hush"},
        {"url": "http://a/?X-Amz-Credential=a&X-Amz-Signature=hush&b=c"},
        {"url": "http://a/?x-amz-security-token=hush"},
    ],
)
def test_secrets_are_redacted(lines: Lines, fields: dict[str, str]) -> None:
    """By the name of the field, and in signed addresses."""
    structlog.get_logger().info("outbound_call", **fields)
    assert "hush" not in str(lines.read())


def test_the_access_log_has_neither_headers_nor_query(lines: Lines) -> None:
    """What may hold a secret is not written at all."""
    AccessLog("info", lines.writer).finished(exchange("v2", "/v2/a/manifests/b"))
    line = lines.read()[0]
    assert (line["event"], line["status"], line["request_id"]) == ("http_request", 200, "the-id")
    assert line["path"] == "/v2/a/manifests/b"
    assert "c2VjcmV0" not in str(line)
    assert "Signature" not in str(line)


@pytest.mark.parametrize(
    "path",
    ["/v2/a/manifests/b", '/v2/"seconds":0.0,/x', '/v2/"request_id":"the-id/%s%b', "/v2/\u00fc\u202e"],
)
def test_a_line_that_was_prepared_reads_like_any_other(lines: Lines, path: str) -> None:
    """But for its time, its id and how long it took, whatever the path holds."""
    log_ = AccessLog("info", lines.writer)
    log_.finished(exchange("v2", path))
    log_.prepare(exchange("v2", path))(b"another-id", 1_700_000_000_000_007, 1_500_000)
    written, prepared = lines.read()
    assert prepared.pop("time") == "2023-11-14T22:13:20.000007Z"
    assert (prepared.pop("request_id"), prepared.pop("seconds")) == ("another-id", 0.0015)
    for name in ("time", "request_id", "seconds"):
        del written[name]
    assert prepared == written


def test_no_line_is_prepared_where_none_is_written(lines: Lines) -> None:
    """The level decides for these, too."""
    AccessLog("warning", lines.writer).prepare(exchange("v2", "/v2/"))(b"id", 1, 1)
    assert lines.read() == []


@pytest.mark.parametrize(
    ("level", "api", "status", "count"),
    [
        ("info", "v2", 200, 1),
        ("warning", "v2", 200, 0),
        ("info", "ops", 200, 0),
        ("info", "ops", 503, 1),
        ("debug", "ops", 200, 1),
    ],
)
def test_the_level_decides_which_requests_are_written(
    lines: Lines, level: str, api: str, status: int, count: int
) -> None:
    """Requests from info on, health checks that pass only from debug on."""
    AccessLog(level, lines.writer).finished(exchange(api, "/livez", status))
    assert len(lines.read()) == count


def test_lines_within_a_loop_are_gathered_and_none_is_lost(lines: Lines) -> None:
    """Many lines make few writes, each of whole lines and no longer than a pipe takes at once."""
    written: list[bytes] = []

    class Recorded(log.LineWriter):
        def _put(self, batch: bytes) -> None:
            written.append(batch)

    writer = Recorded()

    async def write() -> None:
        for number in range(1000):
            writer.write(b"%04d %s\n" % (number, b"a" * 100))

    asyncio.run(write())
    writer.flush()
    assert b"".join(written).count(b"\n") == 1000
    assert len(written) < 50
    assert all(len(batch) <= select.PIPE_BUF and batch.endswith(b"\n") for batch in written)


def test_a_reader_that_is_gone_loses_lines_and_nothing_else() -> None:
    """The server goes on without its log."""
    reader, descriptor = os.pipe()
    os.close(reader)
    log.LineWriter(descriptor).write(b"line\n")
    os.close(descriptor)


@pytest.mark.incident(23)
@pytest.mark.parametrize(
    "sent", ["\x9b2J", "\u2028{}", "\u202egnp.exe", "\x7f", "\x85", "\ue000", "\U000e0001"]
)
def test_what_terminals_and_line_readers_obey_is_escaped(lines: Lines, sent: str) -> None:
    """A path cannot clear a screen, begin a line of its own or turn the text around."""
    AccessLog("info", lines.writer).finished(exchange("v2", f"/v2/\u00fc{sent}"))
    structlog.get_logger().info("request_failed", path=sent)
    lines.writer.flush()
    written = lines.text()
    assert written.count("\n") == len(written.splitlines()) == 2
    assert all(letter.isprintable() or letter == "\n" for letter in written)
    assert "\u00fc" in written
    assert [lines.read()[0]["path"], lines.read()[1]["path"]] == [f"/v2/\u00fc{sent}", sent]


def test_a_request_that_is_cut_off_is_no_traceback(lines: Lines) -> None:
    """A hurried stop ends many of them; none is a fault."""
    cut_off = asyncio.CancelledError()
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=cut_off)
    (line,) = lines.read()
    assert line["message"] == "a running request was cut off"
    assert "exception" not in line
