"""The ASGI application against made-up scopes."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from moorage.web.asgi import Application, Exchange, Route, plain
from moorage.web.http import Handler, Message, Request, Response


class Client:
    """Speaks ASGI to an application: sends a body in pieces, collects what comes back."""

    def __init__(self, *body: bytes) -> None:
        self.incoming = [
            {"type": "http.request", "body": piece, "more_body": number < len(body)}
            for number, piece in enumerate(body, 1)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        self.sent: list[Any] = []
        self.leave_after: int | None = None
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        if self.incoming:
            return self.incoming.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.leave_after is not None and len(self.sent) > self.leave_after:
            self.left.set()
        await asyncio.sleep(0)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.exchanges: list[Exchange] = []

    def started(self, api: str) -> None:
        self.begun.append(api)

    def finished(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


def scope(method: str = "GET", path: str = "/", headers: Sequence[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(headers),
        "scheme": "http",
        "client": ("192.0.2.7", 4711),
    }


def application(handler: Handler, *observers: Watcher) -> Application:
    return Application([], Route("/", handler, "json"), observers)


def ask(handler: Handler, client: Client, **about: Any) -> Watcher:
    watcher = Watcher()
    asyncio.run(application(handler, watcher)(scope(**about), client.receive, client.send))
    return watcher


async def hello(request: Request) -> Response:
    return Response(200, [(b"content-length", b"5")], b"hello", operation="Greet")


def test_an_answer_is_sent_with_its_status_headers_and_body() -> None:
    """A bytes body goes out in one message."""
    client = Client()
    ask(hello, client)
    assert (client.status, client.headers, client.body) == (200, {b"content-length": b"5"}, b"hello")
    assert len(client.sent) == 2


def test_a_head_request_gets_the_headers_alone() -> None:
    """The length stays, the body does not."""
    client = Client()
    ask(hello, client, method="HEAD")
    assert (client.headers[b"content-length"], client.body) == (b"5", b"")
    assert client.is_complete


def test_observers_see_what_came_of_a_request() -> None:
    """Status, operation and bytes both ways."""

    async def take(request: Request) -> Response:
        return Response(201, [], await request.body(100), operation="Take", error_code="None")

    watcher = ask(take, Client(b"abc", b"de"), method="POST")
    exchange = watcher.exchanges[0]
    assert watcher.begun == ["json"]
    assert (exchange.status, exchange.operation, exchange.error_code) == (201, "Take", "None")
    assert (exchange.request.bytes_read, exchange.bytes_sent, exchange.is_complete) == (5, 5, True)


def test_an_unforeseen_error_is_answered_by_the_face_and_logged_with_the_request_id() -> None:
    """The client learns nothing of it, the log everything."""

    async def fail(request: Request) -> Response:
        raise KeyError("detail")

    route = Route("/", fail, "json", on_error=lambda request: plain(500, request.facts.request_id))
    client = Client()
    with capture_logs() as lines:
        asyncio.run(Application([], route)(scope(), client.receive, client.send))
    assert client.status == 500
    assert b"detail" not in client.body
    assert [line["event"] for line in lines] == ["request_failed"]
    assert lines[0]["exc_info"] is True


def test_pieces_are_sent_as_they_come() -> None:
    """An iterator's pieces and an end."""

    async def stream(request: Request) -> Response:
        return Response(200, [(b"content-length", b"6")], _pieces([b"abc", b"def"], []))

    client = Client()
    watcher = ask(stream, client)
    assert [message.get("body") for message in client.sent[1:]] == [b"abc", b"def", b""]
    assert watcher.exchanges[0].bytes_sent == 6


@pytest.mark.parametrize("is_stream", [False, True])
def test_who_does_not_read_its_answer_takes_no_place_of_others(*, is_stream: bool) -> None:
    """Some hundreds of such clients would else keep everybody from a worker, for as long as writing may stand still."""
    running: list[int] = []

    class Reluctant(Client):
        async def send(self, message: Message) -> None:
            running.append(served.load.running)
            await super().send(message)

    async def give(_request: Request) -> Response:
        running.append(served.load.running)
        return Response(200, [], _pieces([b"a", b"b"], []) if is_stream else b"ab")

    served, client = application(give), Reluctant()
    asyncio.run(served(scope(), client.receive, client.send))
    assert running[0] == 1
    assert set(running[1:]) == {0}
    assert served.load.running == 0


def test_a_stream_whose_reader_leaves_is_closed_early() -> None:
    """No more pieces are made once the client is gone."""
    closed: list[str] = []

    async def stream(request: Request) -> Response:
        return Response(200, [], _pieces([b"abc"] * 1000, closed))

    client = Client()
    client.leave_after = 5
    watcher = ask(stream, client)
    assert closed == ["closed"]
    assert len(client.sent) < 20
    assert not watcher.exchanges[0].is_complete


def test_a_stream_that_breaks_is_left_incomplete() -> None:
    """The client must not take a part for the whole."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError("disk")

    async def stream(request: Request) -> Response:
        return Response(200, [(b"content-length", b"6")], broken())

    client = Client()
    with capture_logs() as lines:
        watcher = ask(stream, client)
    assert not client.is_complete
    assert not watcher.exchanges[0].is_complete
    assert lines[0]["event"] == "response_broke_off"


def test_a_stream_for_a_head_request_is_closed_unread() -> None:
    """Nothing of it is made, nothing stays open."""
    closed: list[str] = []

    class Pieces:
        def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("read")

        async def __anext__(self) -> bytes:
            raise AssertionError("read")

        async def aclose(self) -> None:
            closed.append("closed")

    async def stream(request: Request) -> Response:
        return Response(200, [], Pieces())

    ask(stream, Client(), method="HEAD")
    assert closed == ["closed"]


@pytest.mark.parametrize(
    ("headers", "ends"),
    [
        ([(b"content-length", b"1000")], False),
        ([(b"content-length", b"1048577")], True),
        ([(b"transfer-encoding", b"chunked")], True),
        ([(b"content-length", b"1000"), (b"expect", b"100-continue")], True),
        ([], False),
    ],
)
def test_an_early_refusal_ends_the_connection_when_much_may_follow(
    headers: list[tuple[bytes, bytes]], ends: bool
) -> None:
    """Little is swallowed, much is not, and what may or may not come cannot be told from a request."""

    async def refuse(request: Request) -> Response:
        return plain(403, "no")

    client = Client(b"a", b"b")
    ask(refuse, client, method="PATCH", headers=headers)
    assert (client.headers.get(b"connection") == b"close") is ends


def test_a_body_read_whole_keeps_the_connection() -> None:
    """However long it was."""

    async def take(request: Request) -> Response:
        await request.body(10)
        return plain(200, "")

    client = Client(b"a")
    ask(take, client, method="PUT", headers=[(b"transfer-encoding", b"chunked")])
    assert b"connection" not in client.headers


def test_routes_go_by_exact_path_then_by_subtree() -> None:
    """``/v2`` takes what lies below it, not what merely begins like it."""
    root, v2, live = (Route(path, hello, path, has_subtree=path == "/v2") for path in ("/", "/v2", "/livez"))
    fallback = Route("*", hello, "fallback")
    routes = Application([root, v2, live], fallback)
    found = [routes.route(path).api for path in ("/", "/v2", "/v2/", "/v2/a/b", "/v2x", "/livez", "/livez/x")]
    assert found == ["/", "/v2", "/v2", "/v2", "fallback", "/livez", "fallback"]


def test_facts_name_the_peer_and_a_random_request_id() -> None:
    """Forwarding headers count for nothing; a user agent is cut and cleaned."""
    headers = [(b"x-forwarded-for", b"127.0.0.1"), (b"user-agent", b"a\x1b[31m" + b"b" * 1000)]
    facts = ask(hello, Client(), headers=headers).exchanges[0].request.facts
    assert facts.source_ip == "192.0.2.7"
    assert facts.user_agent.startswith("a?[31mb")
    assert len(facts.user_agent) == 512
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", facts.request_id
    )


def test_an_ipv4_peer_of_an_ipv6_socket_is_named_as_ipv4() -> None:
    """The same client has one address however it comes in."""
    watcher, about = Watcher(), scope() | {"client": ("::ffff:192.0.2.7", 1)}
    client = Client()
    asyncio.run(application(hello, watcher)(about, client.receive, client.send))
    assert watcher.exchanges[0].request.facts.source_ip == "192.0.2.7"


def test_hooks_run_in_order_and_back() -> None:
    """Start-up forwards, shutdown backwards, one failing shutdown does not stop the others."""
    ran: list[str] = []

    def hook(name: str, *, fails: bool = False) -> Any:
        async def run() -> None:
            ran.append(name)
            if fails:
                raise OSError(name)

        return run

    served = Application(
        [], Route("/", hello, "json"), (), [hook("a"), hook("b")], [hook("c"), hook("d", fails=True)]
    )
    answers = _live(served)
    assert ran == ["a", "b", "d", "c"]
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_failing_start_is_reported() -> None:
    """The server must not serve then."""

    async def fail() -> None:
        raise OSError("no disk")

    assert _live(Application([], Route("/", hello, "json"), startup=[fail])) == ["lifespan.startup.failed"]


def test_begin_drain_tells_its_hooks() -> None:
    """Readiness hears of the stop."""
    told: list[str] = []
    Application([], Route("/", hello, "json"), on_drain=[lambda: told.append("draining")]).begin_drain()
    assert told == ["draining"]


def _live(served: Application) -> list[str]:
    sent: list[str] = []

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(served({"type": "lifespan"}, receive, send))
    return sent


async def _pieces(pieces: list[bytes], closed: list[str]) -> AsyncIterator[bytes]:
    try:
        for piece in pieces:
            yield piece
    finally:
        closed.append("closed")
