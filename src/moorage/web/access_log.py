"""One JSON line a request, without query strings and headers: those may carry secrets."""

import logging
from datetime import UTC, datetime

import msgspec

from moorage.web import log
from moorage.web.asgi import Exchange

MAX_PATH = 1024


class _Line(msgspec.Struct, omit_defaults=True):
    time: datetime
    level: str
    event: str
    request_id: str
    api: str
    method: str
    path: str
    status: int
    operation: str
    error_code: str
    seconds: float
    bytes_in: int
    bytes_out: int
    source_ip: str
    user_agent: str
    is_complete: bool = True


class AccessLog:
    """Observer that writes ``http_request`` lines from level info on; health and metrics only from debug on."""

    def __init__(self, level: str, writer: log.LineWriter = log.writer) -> None:
        self._is_on = log.LEVELS[level] <= logging.INFO
        self._is_debug = log.LEVELS[level] <= logging.DEBUG
        self._write = writer.write
        self._encode = msgspec.json.Encoder().encode

    def started(self, api: str) -> None:
        """Nothing is written before the end."""

    def finished(self, exchange: Exchange) -> None:
        """Write the line, if the level asks for it."""
        if not self._is_on or (exchange.api == "ops" and exchange.status < 400 and not self._is_debug):
            return
        request = exchange.request
        facts = request.facts
        line = _Line(
            time=datetime.now(UTC),
            level="info",
            event="http_request",
            request_id=facts.request_id,
            api=exchange.api,
            method=request.method,
            path=request.path[:MAX_PATH],
            status=exchange.status,
            operation=exchange.operation,
            error_code=exchange.error_code,
            seconds=round(exchange.seconds, 6),
            bytes_in=request.bytes_read,
            bytes_out=exchange.bytes_sent,
            source_ip=facts.source_ip,
            user_agent=facts.user_agent,
            is_complete=exchange.is_complete,
        )
        self._write(self._encode(line) + b"\n")
