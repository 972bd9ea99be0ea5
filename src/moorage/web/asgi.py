"""The ASGI application: finds the face of a path, hands it a complete request, sends what it answers.

It knows neither routes below a face nor permissions. Whatever a handler did not foresee is logged under the
request's id and answered by the face's own ``on_error``, without a word of it on the wire.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import TYPE_CHECKING, Protocol

import structlog

from moorage.domain.audit import Note
from moorage.domain.caller import Face, RequestFacts
from moorage.domain.errors import RegistryError, TooManyRequests, Unavailable
from moorage.web import log
from moorage.web.admission import Load, Turn
from moorage.web.http import CROWD, Handler, Receive, Request, Response, Scope, Send
from moorage.web.messages import RETRY_AFTER

if TYPE_CHECKING:
    from moorage.web.shortcut import Shortcut

Hook = Callable[[], Awaitable[None]]

#: Bytes of an unread body that are swallowed to keep a connection; with more to come it is closed.
MAX_DISCARDED_BYTES = 1024 * 1024

MAX_USER_AGENT = 512

_logger = structlog.get_logger()


def plain_error(_request: Request) -> Response:
    """The answer to an unforeseen error outside the two faces."""
    return plain(500, "internal error\n")


def plain_refusal(_request: Request, _error: RegistryError) -> Response:
    """The answer outside the two faces when a stopping server gave a request up. Nothing else is refused there: what
    has no face is vital.
    """
    response = plain(503, "not now\n")
    response.headers.append(RETRY_AFTER)
    return response


def plain(status: int, text: str) -> Response:
    """A short answer in plain text that no cache may keep."""
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    return Response(status, headers, body)


@dataclass(frozen=True, slots=True)
class Route:
    """A path, with everything below it when ``has_subtree``, and who answers there.

    ``api`` is the label in metrics and access log; ``face`` is what ``authorize`` may judge by. What ``is_vital`` is
    answered whatever else there is to do; of the rest ``refuse`` turns away what is too much.
    """

    path: str
    handler: Handler
    api: str
    has_subtree: bool = False
    face: Face = "json"
    on_error: Callable[[Request], Response] = plain_error
    refuse: Callable[[Request, RegistryError], Response] = plain_refusal
    is_vital: bool = False


class Asked(Protocol):
    """What observers want to know of a request."""

    @property
    def facts(self) -> RequestFacts:
        """Who sent it, and when."""

    @property
    def method(self) -> str:
        """As it was sent."""

    @property
    def path(self) -> str:
        """Percent-decoded once."""

    @property
    def bytes_read(self) -> int:
        """Of its body."""

    @property
    def note(self) -> Note:
        """What the audit records of it."""


@dataclass(slots=True)
class Exchange:
    """One request with its outcome, as observers see it when all is sent.

    ``is_complete`` is False when the client went away or the body broke off.
    """

    request: Asked
    api: str
    status: int = 500
    operation: str = ""
    error_code: str = ""
    bytes_sent: int = 0
    seconds: float = 0.0
    is_complete: bool = False
    #: What was full when the request was turned away; empty when it was taken on.
    turned_away: str = ""


class Observer(Protocol):
    """Whoever wants to know of every request: metrics, access log. Must be quick and must not raise."""

    def started(self, api: str) -> None:
        """A request for this api begins."""

    def finished(self, exchange: Exchange) -> None:
        """It is over, whatever came of it."""


class Application:
    """What an ASGI server runs.

    ``startup`` hooks run in order before the first request, ``shutdown`` hooks in reverse after the last one,
    ``on_drain`` as soon as the process is told to stop, while requests still run.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        fallback: Route,
        observers: Sequence[Observer] = (),
        startup: Sequence[Hook] = (),
        shutdown: Sequence[Hook] = (),
        on_drain: Sequence[Callable[[], None]] = (),
        load: Load | None = None,
        turn: Turn | None = None,
        on_unread: Sequence[Callable[[str], None]] = (),
        shortcut: "Shortcut | None" = None,
    ) -> None:
        #: For connections that send the same again.
        self.shortcut = shortcut
        self._exact = {route.path: route for route in routes}
        self._subtrees = [(route.path.rstrip("/") + "/", route) for route in routes if route.has_subtree]
        self.fallback = fallback
        self._observers = tuple(observers)
        self._startup = tuple(startup)
        self._shutdown = tuple(reversed(shutdown))
        self._on_drain = tuple(on_drain)
        self.load = load or Load()
        self.turn = turn or Turn()
        self._on_unread = tuple(on_unread)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3. Raises ``ValueError`` for anything but HTTP and lifespan."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"{scope['type']} is not served")

    def begin_drain(self) -> None:
        """Tell whoever wants to know that the process stops once running requests are done."""
        for hook in self._on_drain:
            hook()

    def turned_away_unread(self, reason: str = "waiting") -> None:
        """Tell whoever counts that a request was turned away before anybody read it, and what there was too much of."""
        for hook in self._on_unread:
            hook(reason)

    def route(self, path: str) -> Route:
        """Who answers this path."""
        found = self._exact.get(path)
        if found is not None:
            return found
        for prefix, route in self._subtrees:
            if path.startswith(prefix):
                return route
        return self.fallback

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            for hook in self._startup:
                await hook()
        except Exception as error:  # the server has to hear of it, whatever it is
            _logger.exception("startup_failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for hook in self._shutdown:
            try:
                await hook()
            except Exception:  # the other hooks have to run
                _logger.exception("shutdown_hook_failed")
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.route(scope["path"])
        load = self.load
        request = Request(scope, receive, read_facts(scope, route.face), load)
        log.current_request_id.set(request.facts.request_id)
        exchange = Exchange(request, route.api)
        begun = time.perf_counter_ns()
        for observer in self._observers:
            observer.started(route.api)
        load.running += 1
        try:
            if not route.is_vital:
                exchange.turned_away = self._excess(scope)
            if exchange.turned_away:
                response = route.refuse(request, TooManyRequests())
            else:
                response = await _answer(route, request)
            exchange.status = response.status
            exchange.operation = response.operation
            exchange.error_code = response.error_code
            await _send(exchange, request, response, receive, send, is_last=_is_crowded(scope))
        finally:
            load.running -= 1
            exchange.seconds = (time.perf_counter_ns() - begun) / 1e9
            for observer in self._observers:
                observer.finished(exchange)

    def _excess(self, scope: Scope) -> str:
        """What there is too much of to take a request on; empty when it is taken on."""
        if _is_crowded(scope):
            return "connections"
        if self.load.running > self.load.most:
            return "requests"
        return "waiting" if self.turn.is_over() else ""


def read_facts(scope: Scope, face: Face) -> RequestFacts:
    """What is known of the request whoever sends it. The peer is the socket's: no forwarding header is trusted."""
    client = scope.get("client")
    user_agent = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            user_agent = value
            break
    return RequestFacts(
        request_id=new_request_id(),
        face=face,
        source_ip=client[0].removeprefix("::ffff:") if client else "",
        is_tls=scope["scheme"] == "https",
        user_agent=_clean(user_agent[:MAX_USER_AGENT].decode("latin-1")),
        received_at=time.time_ns() // 1000,
    )


def new_request_id() -> str:
    """A random UUID (version 4), made without the cost of ``uuid.UUID``."""
    text = os.urandom(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def request_ids() -> Iterator[bytes]:
    """Ids of the same form, cheaper by the dozen: the beginning is random, the rest is counted.

    They tell requests apart and are no secret. Each process asks for some of its own, after it was forked.
    """
    beginning = new_request_id()[:24].encode()
    return map(b"%b%012x".__mod__, zip(repeat(beginning), count(int.from_bytes(os.urandom(5))), strict=False))


def _clean(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


async def _answer(route: Route, request: Request) -> Response:
    try:
        return await route.handler(request)
    except asyncio.CancelledError:
        # Only a server that has no time left gives requests up: the client may try again elsewhere, or later.
        _logger.warning("request_given_up", api=route.api, method=request.method, path=request.path)
        return route.refuse(request, Unavailable(what="the server stops"))
    except Exception:  # the last line: the text goes to the log, the client gets the face's 500
        _logger.exception("request_failed", api=route.api, method=request.method, path=request.path)
        return route.on_error(request)


async def _send(
    exchange: Exchange, request: Request, response: Response, receive: Receive, send: Send, *, is_last: bool
) -> None:
    body = response.body
    headers = response.headers
    if is_last or (not request.is_body_read and _leaves_too_much(request)):
        headers = [*headers, (b"connection", b"close")]
    if request.method == "HEAD":
        await _close(body)
        body = b""
    # A client that does not read keeps its own request waiting, and nobody else's place.
    with request.load.excused():
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
            exchange.bytes_sent = len(body)
            exchange.is_complete = True
        else:
            await _send_pieces(exchange, body, receive, send)


def _is_crowded(scope: Scope) -> bool:
    return "extensions" in scope and CROWD in scope["extensions"]


def _leaves_too_much(request: Request) -> bool:
    """Whether so much of the body may still come that ending the connection is cheaper than reading on.

    A client that waits for ``100 Continue`` may send its body or not: nobody could tell where the next request
    begins.
    """
    if request.method in {"GET", "HEAD"} or not request.has_body:
        return False
    length = request.content_length
    is_long = length is None or length - request.bytes_read > MAX_DISCARDED_BYTES
    return is_long or request.header(b"expect") is not None


async def _send_pieces(exchange: Exchange, body: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send an iterator's pieces until it ends, breaks or the client is gone; it is closed in any case.

    After a break the response is left incomplete, upon which the server ends the connection: the client must not
    take what it got for the whole.
    """
    departure: asyncio.Task[None] | None = None
    try:
        async for piece in body:
            if departure is None and exchange.bytes_sent:
                departure = asyncio.create_task(_await_departure(receive))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            exchange.bytes_sent += len(piece)
            if departure is not None and departure.done():
                return
        await send({"type": "http.response.body", "body": b""})
        exchange.is_complete = True
    except Exception:  # the status is sent: all that is left is to break off and to say why
        _logger.exception("response_broke_off", path=exchange.request.path)
    finally:
        if departure is not None:
            departure.cancel()
        await _close(body)


async def _await_departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _close(body: bytes | AsyncIterator[bytes]) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
