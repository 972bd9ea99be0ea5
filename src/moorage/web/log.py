"""JSON lines on standard error: one static ``snake_case`` event name and fields a line, never a secret.

Every layer logs through structlog (``structlog.get_logger()``); the access log, which writes a line a
request, goes straight to the ``LineWriter`` below.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import re
import select
import traceback
from collections import deque
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from moorage.domain.json_lines import escaped

#: The request that the running task serves; lines written meanwhile carry it.
current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")

#: Seconds that a line may wait to be written together with others.
GATHER_SECONDS = 0.05

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_SECRET_FIELDS: Final = frozenset(
    {
        "authorization",
        "cookie",
        "password",
        "query_string",
        "secret",
        "secret_access_key",
        "session_token",
        "token",
    }
)
_SIGNED_QUERY: Final = re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE)

EventDict = MutableMapping[str, Any]


class LineWriter:
    """Writes whole lines to a file descriptor; inside an event loop they are gathered for a moment.

    A write never exceeds what a pipe takes in one piece, so lines of several processes do not mix. A reader
    that is gone loses lines; it never stops the server.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._is_scheduled = False

    def write(self, line: bytes) -> None:
        """Take one line of JSON, its newline included."""
        self._lines.append(escaped(line))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write everything that waits. Any thread may call it."""
        self._is_scheduled = False
        batch = b""
        while self._lines:
            try:
                line = self._lines.popleft()
            except IndexError:  # another thread took the last one
                break
            if batch and len(batch) + len(line) > select.PIPE_BUF:
                self._put(batch)
                batch = b""
            batch += line
        if batch:
            self._put(batch)

    def _put(self, batch: bytes) -> None:
        with contextlib.suppress(OSError):
            while batch:
                batch = batch[os.write(self._descriptor, batch) :]


#: The one writer of this process.
writer: Final = LineWriter()


def encode_line(fields: Any) -> bytes:
    """One JSON line with its newline; what JSON does not know is written as its ``str``."""
    return msgspec.json.encode(fields, enc_hook=str) + b"\n"


class _LineLogger:
    """What structlog hands a finished line to."""

    def msg(self, line: bytes) -> None:
        writer.write(line)

    debug = info = msg

    def warning(self, line: bytes) -> None:
        writer.write(line)
        writer.flush()

    error = critical = exception = warning


class _StandardHandler(logging.Handler):
    """Brings the lines of libraries that use ``logging`` into the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: EventDict = {"event": "library_message", "logger": record.name, "message": record.getMessage()}
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            # A request cut off by the end of its process is no fault: a line, not a traceback.
            fields["message"] = "a running request was cut off"
        elif record.exc_info:
            fields["exception"] = "".join(traceback.format_exception(*record.exc_info))
        level = record.levelname.lower()
        line = _render(None, level, _redact(None, level, _add_facts(None, level, fields)))
        _LineLogger().warning(line)


def _add_facts(_logger: Any, level: str, event: EventDict) -> EventDict:
    line: EventDict = {"time": datetime.now(UTC), "level": level, "event": event.pop("event", "")}
    request_id = current_request_id.get()
    if request_id:
        line["request_id"] = request_id
    line.update(event)
    return line


def _redact(_logger: Any, _level: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if name.lower() in _SECRET_FIELDS:
            event[name] = "[redacted]"
        elif isinstance(value, str) and "-" in value:
            event[name] = _SIGNED_QUERY.sub(r"\1[redacted]", value)
    return event


def _render(_logger: Any, _level: str, event: EventDict) -> bytes:
    return encode_line(event)


def configure(level: str) -> None:
    """Send structlog and ``logging`` to standard error as JSON lines from this level on."""
    structlog.configure(
        processors=[_add_facts, structlog.processors.format_exc_info, _redact, _render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_StandardHandler()]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    atexit.register(writer.flush)
