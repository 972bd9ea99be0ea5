"""The audit of what was read and what was refused: an observer of every request, and the buffer behind it.

Changes have their records already, in their own transactions (``services/audit``). The rest is recorded here once it
is answered: a bounded buffer, which a thread empties into the audit log twice a second. So at most a second is lost when a
process dies; a power cut takes what the system had not written out yet as well, because syncing would make the pulls
wait (docs/adr/0012-audit.md). And where the log cannot be written, or not as fast as requests come, records are dropped and counted, and
no request waits or fails. Of refused requests whose callers proved nothing only so many bytes are recorded: they share
their file with the changes, and must not push these out.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from moorage.domain import audit
from moorage.domain.audit import Failure, Note
from moorage.domain.caller import RegistryKey
from moorage.domain.errors import AccessDenied, AuthenticationError, RegistryError
from moorage.transfers.audit_file import AuditFailed, AuditLog
from moorage.web.asgi import Exchange, new_request_id
from moorage.web.shortcut import Recorder

#: Seconds between two writes to the log.
FLUSH_SECONDS: Final = 0.5

#: Most records that wait, and most bytes of those that are composed already; beyond that they are dropped.
MAX_WAITING: Final = 65_536
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024

#: Records that are written at once; of ready answers each has about a kilobyte.
BATCH: Final = 1_024

#: Bytes of records that a process writes at once, and a second, of refused requests whose callers proved nothing: about
#: a thousand requests, then one a second.
UNPROVEN_BYTES: Final = 1024 * 1024
UNPROVEN_BYTES_PER_SECOND: Final = 1024

#: Seconds that a stopping process waits for its last records to be written.
STOP_SECONDS: Final = 5.0

_log = structlog.get_logger()

#: Gives AWS's code and sentence for the refusal of a call, None where AWS has none.
Naming = Callable[[Note, RegistryError], tuple[str, str] | None]


#: Characters of a request id that its process counts; those before are the same for all of its ready answers.
_COUNTED: Final = 12


class Template:
    """A record without its time and its ids: what stands before, between and after them.

    Each event id has a beginning of the template's own and ends as its request's id does, which is counted.
    """

    __slots__ = ("_begin", "_middle", "_second", "before_count", "before_request_id", "end")

    def __init__(self, begin: bytes, middle: bytes, before_event_id: bytes, end: bytes) -> None:
        self._begin = begin
        self._middle = middle
        self._second = -1
        #: With the time of the record that was composed last.
        self.before_request_id = b""
        self.before_count = before_event_id + new_request_id()[:-_COUNTED].encode()
        self.end = end

    def pieces(self, request_id: bytes, now: int) -> tuple[bytes, ...]:
        """A record for a time in microseconds."""
        second = now // 1_000_000
        if second != self._second:
            self._second = second
            self.before_request_id = self._begin + audit.event_time(now).encode() + self._middle
        return self.before_request_id, request_id, self.before_count, request_id[-_COUNTED:], self.end


#: A composed record; or a template with the id of the request and its time in microseconds.
Waiting = bytes | tuple[Template, bytes, int]


class AuditBuffer:
    """Holds records until its thread has written them. Filled by one thread, the event loop's."""

    def __init__(self, log: AuditLog, on_dropped: Callable[[], None]) -> None:
        """``on_dropped`` is told in the filling thread of each record that is lost."""
        self._log = log
        self._on_dropped = on_dropped
        self._waiting: deque[Waiting] = deque()
        # Each is raised by one thread alone.
        self._bytes_put = self._bytes_taken = 0
        self._unwritten = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def start(self) -> None:
        """Begin to write, in the process that fills it, after it was forked."""
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Write what is left; a log that cannot be written is not waited for."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def put(self, line: bytes) -> None:
        """Take a composed record."""
        waiting = self._bytes_put - self._bytes_taken + len(line)
        if waiting > MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING:
            self._on_dropped()
            return
        self._bytes_put += len(line)
        self._waiting.append(line)

    def recorder(self, template: Template) -> Recorder:
        """Who takes records that differ in their times and ids alone; they are composed when they are written."""
        waiting, on_dropped = self._waiting, self._on_dropped

        def put(request_id: bytes, now: int, _nanoseconds: int) -> None:
            if len(waiting) < MAX_WAITING:
                waiting.append((template, request_id, now))
            else:
                on_dropped()

        return put

    def flush(self) -> None:
        """Write what waits, as far as the log takes it; the rest waits on. For one thread at a time."""
        try:
            self._write()
            self._is_failing = False
        except AuditFailed as error:
            if not self._is_failing:
                _log.error("audit_not_written", error=str(error))
            self._is_failing = True

    def _write(self) -> None:
        while self._unwritten or self._waiting:
            # What a failure left comes first, and is written whole.
            self._unwritten = self._unwritten or b"".join(self._take())
            self._log.append(self._unwritten)
            self._unwritten = b""

    def _take(self) -> list[bytes]:
        """Some records, composed, in pieces."""
        pieces: list[bytes] = []
        taken = 0
        for _ in range(min(BATCH, len(self._waiting))):
            item = self._waiting.popleft()
            if isinstance(item, bytes):
                taken += len(item)
                pieces.append(item)
            else:
                template, request_id, now = item
                pieces += template.pieces(request_id, now)
        self._bytes_taken += taken
        return pieces

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush_or_tell()
        self._flush_or_tell()

    def _flush_or_tell(self) -> None:
        try:
            self.flush()
        except Exception:  # noqa: BLE001 - the thread has to go on, whatever it was
            _log.exception("audit_writer_failed")


class _Allowance:
    """Of what is left, some bytes may be written at once; so many are added a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` counts seconds and never goes back."""
        self._clock = clock
        self._left: float = UNPROVEN_BYTES
        self._at = clock()
        #: Records that were left out since the last one that was written.
        self.omitted = 0

    def has_any(self) -> bool:
        """Whether another record may be written; if not it counts as left out."""
        now = self._clock()
        self._left = min(UNPROVEN_BYTES, self._left + (now - self._at) * UNPROVEN_BYTES_PER_SECOND)
        self._at = now
        if self._left > 0:
            return True
        self.omitted += 1
        return False

    def spend(self, size: int) -> None:
        """A record of so many bytes is written, which told how many were left out before."""
        self._left -= size
        self.omitted = 0


class AuditTrail:
    """Observer that records each request of the faces, unless its change is recorded already."""

    def __init__(
        self,
        buffer: AuditBuffer,
        default: RegistryKey,
        reads: str,
        naming: Naming,
        on_dropped: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``default`` is the registry of requests that name none; ``reads`` is the setting ``audit_reads``."""
        self._buffer = buffer
        self._default = default
        self._reads = reads
        self._naming = naming
        self._on_dropped = on_dropped
        self._unproven = _Allowance(clock)

    def started(self, api: str) -> None:
        """What comes of it is not known yet."""

    def finished(self, exchange: Exchange) -> None:
        """Record it, if the setting asks for it."""
        note = exchange.request.note
        if note.is_recorded or exchange.api == "ops" or not self._wants(note):
            return
        try:
            if _is_unproven(exchange, note):
                self._put_unproven(exchange, note)
            else:
                self._buffer.put(self._compose(exchange, note))
        except Exception:  # noqa: BLE001 - the request is answered: all that is left is to count and to say it
            _log.exception("audit_record_failed")
            self._on_dropped()

    def _put_unproven(self, exchange: Exchange, note: Note) -> None:
        if self._unproven.has_any():
            line = self._compose(exchange, note, self._unproven.omitted)
            self._unproven.spend(len(line))
            self._buffer.put(line)

    def _compose(self, exchange: Exchange, note: Note, omitted: int = 0) -> bytes:
        failure = self._failure(exchange, note)
        issued = None if failure else note.issued
        return audit.record(
            note, new_request_id(), self._default, elements=issued, failure=failure, omitted=omitted
        )

    def _wants(self, note: Note) -> bool:
        if self._reads == "all" or not note.is_read_only or note.issued is not None:
            return True
        return self._reads == "denied" and isinstance(note.refusal, (AuthenticationError, AccessDenied))

    def _failure(self, exchange: Exchange, note: Note) -> Failure | None:
        if exchange.status < 400:
            return None
        named = None if note.refusal is None else self._naming(note, note.refusal)
        return Failure(exchange.error_code or f"Http{exchange.status}") if named is None else Failure(*named)

    def prepare(self, exchange: Exchange) -> Recorder:
        """See ``Witness``. What is alike is composed once."""
        note = exchange.request.note
        if not self._wants(note):
            return _record_nothing
        return self._buffer.recorder(_template(note, self._default))


def _is_unproven(exchange: Exchange, note: Note) -> bool:
    """Whether it was refused, and nobody knows whose it was."""
    return exchange.status >= 400 and (note.caller is None or note.caller.is_anonymous)


def _template(note: Note, default: RegistryKey) -> Template:
    event_id = new_request_id()
    line = audit.record(note, event_id, default)
    # No text can hold these: within one every quotation mark is escaped.
    begin, time, rest = line.partition(b'"eventTime":"')
    stamp = audit.event_time(note.facts.received_at).encode()
    middle, request, rest = rest[len(stamp) :].partition(b'"requestID":"')
    before, event, end = rest[len(note.facts.request_id) :].partition(b'"eventID":"')
    return Template(begin + time, middle + request, before + event, end[len(event_id) :])


def _record_nothing(_request_id: bytes, _now: int, _nanoseconds: int) -> None:
    pass
