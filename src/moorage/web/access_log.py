"""One JSON line a request, without query strings and headers: those may carry secrets."""

import logging
from datetime import UTC, datetime

import msgspec

from moorage.web import log
from moorage.web.asgi import Exchange
from moorage.web.shortcut import Recorder

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
        self._stamp = _Stamp().at
        self._encode = msgspec.json.Encoder().encode

    def started(self, api: str) -> None:
        """Nothing is written before the end."""

    def finished(self, exchange: Exchange) -> None:
        """Write the line, if the level asks for it."""
        if not self._is_on or (exchange.api == "ops" and exchange.status < 400 and not self._is_debug):
            return
        self._write(self._encode(_line(exchange, datetime.now(UTC))) + b"\n")

    def prepare(self, exchange: Exchange) -> Recorder:
        """See ``Witness``. The line is encoded once; only what differs is put into it each time."""
        if not self._is_on:
            return _write_nothing
        encoded = self._encode(_line(exchange, datetime.now(UTC)))
        # No text can hold these: within one every quotation mark is escaped.
        _, _, rest = encoded.partition(b'"request_id":"%b' % exchange.request.facts.request_id.encode())
        between, _, end = rest.partition(b'"seconds":0.0,')
        between, end = between + b'"seconds":', b"," + end + b"\n"
        write, stamp = self._write, self._stamp

        def record(request_id: bytes, now: int, nanoseconds: int) -> None:
            write(
                b'{"time":"%b","level":"info","event":"http_request","request_id":"%b%b%.6f%b'
                % (stamp(now), request_id, between, nanoseconds / 1e9, end)
            )

        return record


class _Stamp:
    """Times as the log has them; the part down to the second is kept."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def at(self, now: int) -> bytes:
        """ISO 8601 of a time in microseconds, UTC."""
        second, micro = divmod(now, 1_000_000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%06dZ" % (self._text, micro)


def _write_nothing(_request_id: bytes, _now: int, _nanoseconds: int) -> None:
    pass


def _line(exchange: Exchange, time: datetime) -> _Line:
    request = exchange.request
    facts = request.facts
    return _Line(
        time=time,
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
