"""Answers that are ready: the same request again, while nothing was committed since it was answered.

An ordinary request is parsed, proven, judged and read from the database, and each of these costs more than sending
the answer. Clients repeat themselves: on one connection the header is the same every time but for its first line, and
most pulls are of what was pulled before. So a connection remembers the header that it last read in full, together
with whom it proved (``Asker``); and what such an asker was answered is kept. It is sent again as long as nothing was
committed (``Database.mark``); after a commit the source looks first whether it still holds. Whatever is not just so
goes the ordinary way, which alone refuses, waits and changes things.

Nothing here knows a route: a face that has ready answers gives a ``Source``.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moorage.domain.audit import Note
from moorage.domain.caller import RequestFacts
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Exchange, Route, read_facts, request_ids
from moorage.web.http import CROWD, Request, Scope

#: Most answers that a process keeps, and most bytes of their bodies; beyond that those go that nobody has asked for
#: longest. One takes about 3.6 KiB beside its body, the record of the audit among it: about 150 MiB at most.
MAX_ANSWERS: Final = 32_768
MAX_BODY_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A ready answer: ``head`` are its header lines, without those that every answer has or differs in.

    ``size`` are the bytes of its body that are sent, whether ``body`` has them or ``Source.body`` brings them.
    ``what`` is the source's own, ``note`` what the audit records of each.
    """

    status: int
    head: bytes
    body: bytes | None
    size: int
    operation: str
    method: str
    path: str
    what: Any
    note: Note


class Asker(Protocol):
    """Who is asking, proven by a header."""

    @property
    def expires_at(self) -> int:
        """When the proof is over, in microseconds since the epoch."""


class Source(Protocol):
    """A face with answers that are ready."""

    def mark(self) -> bytes | None:
        """See ``Database.mark``."""

    def asker(self, request: Request) -> Asker | None:
        """Whom this header proves; None for whoever goes the ordinary way. Does not raise."""

    def find(self, asker: Any, facts: RequestFacts, line: bytes) -> Answer | None:
        """The answer to one of its own askers' request line from now on, None for the ordinary way. Does not raise."""

    def holds(self, answer: Answer) -> bool:
        """Whether ``find`` would give the same answer now. Does not raise."""

    def body(self, answer: Answer) -> bytes | None:
        """The body of an answer that was kept without it; None for the ordinary way. Does not raise."""

    def answered(self, answer: Answer, at: int) -> None:
        """An answer goes out, at this time in microseconds."""


class Known(NamedTuple):
    """The header that a connection sent last, without its first line, and what is known by it."""

    block: bytes
    asker: Asker
    facts: RequestFacts


#: Takes note of one more answer: the id of its request, when it came in microseconds, how long it took in nanoseconds.
Recorder = Callable[[bytes, int, int], None]


class Witness(Protocol):
    """An observer that takes note of answers that are alike with less ado than of others."""

    def prepare(self, exchange: Exchange) -> Recorder:
        """Who takes note of exchanges like this one, which differ in their ids and times alone."""


class _Kept(NamedTuple):
    """An answer with all that is needed to send it, and how many commits had been seen when it was found."""

    commits: int
    answer: Answer
    status_line: bytes
    head: bytes
    body: bytes | None
    recorders: tuple[Recorder, ...]


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A request that was not parsed."""

    facts: RequestFacts
    method: str
    path: str
    note: Note
    bytes_read: int = 0


class Shortcut:
    """Sends ready answers. Its methods are called by a connection between two requests, with nothing in line."""

    def __init__(
        self, source: Source, route: Route, load: Load, turn: Turn, witnesses: Sequence[Witness]
    ) -> None:
        self._source = source
        self._route = route
        self._load = load
        self._turn = turn
        self._witnesses = tuple(witnesses)
        self._mark: bytes | None = None
        self._commits = 0
        # In the order in which they were asked for last.
        self._kept: OrderedDict[tuple[Asker, bytes], _Kept] = OrderedDict()
        self._bytes = 0
        self._ids = request_ids()

    def learn(self, data: bytes, scope: Scope) -> Known | None:
        """Remember the header of a request that was read in full, if it is one that could come again.

        ``data`` is all that came and is that one request, a GET or HEAD without a body that leaves the connection
        open; ``scope`` is what was read from it.
        """
        prefix = self._route.path + "/"
        if not scope["path"].startswith(prefix) or CROWD in scope.get("extensions", ()):
            return None
        facts = read_facts(scope, self._route.face)
        asker = self._source.asker(Request(scope, _receive_nothing, facts))
        return None if asker is None else Known(data[data.index(b"\r\n") :], asker, facts)

    def answer(self, known: Known, data: bytes, default_head: bytes) -> bytes | None:
        """The whole answer to a request that differs from the known one in its first line alone; None if not ready."""
        # Taken apart at once: a named tuple's fields cost more each than all of them together.
        block, asker, _ = known
        if not data.endswith(block):
            return None
        begun = time.perf_counter_ns()
        now = time.time_ns() // 1000
        mark = self._source.mark()
        if mark is None or now >= asker.expires_at:
            return None
        if self._load.running >= self._load.most or self._turn.is_over():
            return None
        if mark != self._mark:
            self._mark = mark
            self._commits += 1
        line = data[: -len(block)]
        kept = self._look_up(asker, line) or self._find(known, line)
        if kept is None:
            return None
        _, answer, status_line, head, body, recorders = kept
        if body is None:
            body = self._source.body(answer)
            if body is None:
                return None
        self._source.answered(answer, now)
        request_id = next(self._ids)
        spent = time.perf_counter_ns() - begun
        for record in recorders:
            record(request_id, now, spent)
        return b"%b%b%b%b\r\n\r\n%b" % (status_line, default_head, head, request_id, body)

    def _look_up(self, asker: Asker, line: bytes) -> _Kept | None:
        """What is kept for this line, if it holds."""
        key = (asker, line)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.commits != self._commits:
            if not self._source.holds(kept.answer):
                self._drop(key)
                return None
            kept = self._kept[key] = kept._replace(commits=self._commits)
        self._kept.move_to_end(key)
        return kept

    def _find(self, known: Known, line: bytes) -> _Kept | None:
        # More than one line is another header, or another request before this one.
        answer = None if b"\n" in line else self._source.find(known.asker, known.facts, line)
        if answer is None:
            return None
        kept = self._kept[known.asker, line] = self._complete(answer, known.facts)
        self._bytes += len(answer.body or b"")
        while len(self._kept) > MAX_ANSWERS or self._bytes > MAX_BODY_BYTES:
            self._drop(next(iter(self._kept)))
        return kept

    def _drop(self, key: tuple[Asker, bytes]) -> None:
        self._bytes -= len(self._kept.pop(key).answer.body or b"")

    def _complete(self, answer: Answer, facts: RequestFacts) -> _Kept:
        exchange = Exchange(
            _Repeated(facts, answer.method, answer.path, answer.note),
            self._route.api,
            answer.status,
            answer.operation,
            bytes_sent=answer.size,
            is_complete=True,
        )
        recorders = tuple(witness.prepare(exchange) for witness in self._witnesses)
        head = answer.head + b"x-request-id: "
        return _Kept(self._commits, answer, STATUS_LINE[answer.status], head, answer.body, recorders)


async def _receive_nothing() -> Any:
    return {"type": "http.disconnect"}
