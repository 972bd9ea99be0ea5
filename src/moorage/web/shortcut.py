"""Answers that are ready: the same request again, while nothing was committed since it was answered.

An ordinary request is parsed, proven, judged and read from the database, and each of these costs more than sending
the answer. Clients repeat themselves: on one connection the header is the same every time but for its first line, and
most pulls are of what was pulled before. So a connection remembers the header that it last read in full, together
with whom it proved (``Asker``); and what such an asker was answered is kept until anything at all is committed
(``Database.mark``). Whatever is not just so goes the ordinary way, which alone refuses, waits and changes things.

Nothing here knows a route: a face that has ready answers gives a ``Source``.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moorage.domain.caller import RequestFacts
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Exchange, Observer, Route, new_request_id, read_facts
from moorage.web.http import CROWD, Request, Scope

#: Most answers that a process keeps, and most bytes of their bodies; beyond that it begins anew.
MAX_ANSWERS: Final = 16_384
MAX_BODY_BYTES: Final = 32 * 1024 * 1024


class Answer(NamedTuple):
    """A ready answer: ``head`` are its header lines, without those that every answer has or differs in.

    ``size`` are the bytes of its body that are sent, whether ``body`` has them or ``Source.body`` brings them.
    ``what`` is the source's own.
    """

    status: int
    head: bytes
    body: bytes | None
    size: int
    operation: str
    method: str
    path: str
    what: Any


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

    def body(self, answer: Answer) -> bytes | None:
        """The body of an answer that was kept without it; None for the ordinary way. Does not raise."""

    def answered(self, answer: Answer, at: int) -> None:
        """An answer goes out, at this time in microseconds."""


class Known(NamedTuple):
    """The header that a connection sent last, without its first line, and what is known by it."""

    block: bytes
    asker: Asker
    facts: RequestFacts


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A request that was not parsed."""

    facts: RequestFacts
    method: str
    path: str
    bytes_read: int = 0


class Shortcut:
    """Sends ready answers. Its methods are called by a connection between two requests, with nothing in line."""

    def __init__(
        self, source: Source, route: Route, load: Load, turn: Turn, observers: Sequence[Observer]
    ) -> None:
        self._source = source
        self._route = route
        self._load = load
        self._turn = turn
        self._observers = tuple(observers)
        self._mark: bytes | None = None
        self._answers: dict[tuple[Asker, bytes], Answer] = {}
        self._bytes = 0

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
        end = data.find(b"\r\n")
        if data[end:] != known.block:
            return None
        begun = time.perf_counter_ns()
        now = time.time_ns() // 1000
        mark = self._source.mark()
        if mark is None or now >= known.asker.expires_at:
            return None
        if self._load.running >= self._load.most or self._turn.is_over():
            return None
        if mark != self._mark:
            self._forget(mark)
        line = data[:end]
        answer = self._answers.get((known.asker, line)) or self._find(known, line)
        if answer is None:
            return None
        body = answer.body
        if body is None:
            body = self._source.body(answer)
            if body is None:
                return None
        facts = _facts_now(known.facts, now)
        self._source.answered(answer, now)
        self._observe(answer, facts, begun)
        return b"%b%b%bx-request-id: %b\r\n\r\n%b" % (
            STATUS_LINE[answer.status],
            default_head,
            answer.head,
            facts.request_id.encode(),
            body,
        )

    def _find(self, known: Known, line: bytes) -> Answer | None:
        answer = self._source.find(known.asker, known.facts, line)
        if answer is None:
            return None
        size = len(answer.body or b"")
        if len(self._answers) >= MAX_ANSWERS or self._bytes + size > MAX_BODY_BYTES:
            self._forget(self._mark)
        self._bytes += size
        self._answers[known.asker, line] = answer
        return answer

    def _forget(self, mark: bytes | None) -> None:
        self._answers.clear()
        self._bytes = 0
        self._mark = mark

    def _observe(self, answer: Answer, facts: RequestFacts, begun: int) -> None:
        api = self._route.api
        exchange = Exchange(
            _Repeated(facts, answer.method, answer.path),
            api,
            answer.status,
            answer.operation,
            bytes_sent=answer.size,
            is_complete=True,
        )
        for observer in self._observers:
            observer.started(api)
        exchange.seconds = (time.perf_counter_ns() - begun) / 1e9
        for observer in self._observers:
            observer.finished(exchange)


def _facts_now(facts: RequestFacts, now: int) -> RequestFacts:
    """The facts of a request that is like another but for its time and id."""
    return RequestFacts(new_request_id(), facts.face, facts.source_ip, facts.is_tls, facts.user_agent, now)


async def _receive_nothing() -> Any:
    return {"type": "http.disconnect"}
