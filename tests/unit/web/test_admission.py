"""What a process takes on at once, and what it says to the rest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moorage.domain.errors import RegistryError, TooManyRequests, Unavailable
from moorage.web.admission import Load
from moorage.web.asgi import Application, Exchange, Route, plain
from moorage.web.http import CROWD, Message, Request, Response


class Watcher:
    """An observer that remembers why requests were turned away."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def started(self, api: str) -> None:
        pass

    def finished(self, exchange: Exchange) -> None:
        self.reasons.append(exchange.turned_away)


class World:
    """An application that takes ``most`` requests at once, whose handler waits to be let go."""

    def __init__(self, most: int) -> None:
        self.load = Load(most)
        self.go = asyncio.Event()
        self.handled = 0
        self.watcher = Watcher()
        vital = Route("/livez", self._live, "ops", is_vital=True)
        self.application = Application(
            [vital], Route("/", self._wait, "json", refuse=_refuse), [self.watcher], load=self.load
        )

    async def ask(self, path: str = "/", body: asyncio.Event | None = None, **more: Any) -> list[Any]:
        """What is sent; the body comes once the event is set."""
        sent: list[Any] = []

        async def receive() -> Message:
            if body is not None:
                await body.wait()
            return {"type": "http.request", "body": b"x", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-length", b"1")],
            "scheme": "http",
            "client": None,
        }
        await self.application(scope | more, receive, send)
        return sent

    async def _wait(self, request: Request) -> Response:
        self.handled += 1
        if request.path == "/body":
            await request.body(10)
        if request.path == "/stream":
            return Response(200, [(b"content-length", b"2")], self._pieces())
        await self.go.wait()
        return plain(200, "done")

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield b"a"
        await self.go.wait()
        yield b"b"

    async def _live(self, _request: Request) -> Response:
        return plain(200, "ok")


def _refuse(_request: Request, error: RegistryError) -> Response:
    return plain(429 if isinstance(error, TooManyRequests) else 503, type(error).__name__)


async def _begin(*requests: Any) -> list[asyncio.Task[list[Any]]]:
    tasks = [asyncio.create_task(request) for request in requests]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def _end(world: World, tasks: list[asyncio.Task[list[Any]]]) -> list[int]:
    world.go.set()
    return [sent[0]["status"] for sent in await asyncio.gather(*tasks)]


def test_what_is_too_much_is_turned_away_before_any_handler_sees_it() -> None:
    """Those that are being served go on, and when one is done the next is welcome."""

    async def play() -> None:
        world = World(2)
        tasks = await _begin(world.ask(), world.ask(), world.ask())
        assert world.handled == 2
        assert await _end(world, tasks) == [200, 200, 429]
        assert await _end(world, await _begin(world.ask())) == [200]
        assert world.watcher.reasons == ["requests", "", "", ""]
        assert world.load.running == 0

    asyncio.run(play())


def test_health_is_answered_however_much_there_is_to_do() -> None:
    """An orchestrator must not kill a server for being busy."""

    async def play() -> None:
        world = World(1)
        tasks = await _begin(world.ask(), world.ask("/livez"), world.ask("/livez", extensions={CROWD: {}}))
        assert await _end(world, tasks) == [200, 200, 200]

    asyncio.run(play())


def test_who_waits_for_a_slow_sender_leaves_its_place_to_others() -> None:
    """Slow clients must not keep others out; once the body is there the request counts again."""

    async def play() -> None:
        world, body = World(1), asyncio.Event()
        slow = await _begin(world.ask("/body", body), world.ask("/body", body))
        assert await _end(world, await _begin(world.ask())) == [200]
        world.go.clear()
        body.set()
        assert await _end(world, slow) == [200, 200]
        assert world.load.running == 0

    asyncio.run(play())


def test_who_streams_to_a_slow_reader_leaves_its_place_to_others() -> None:
    """A pull may take as long as its reader likes."""

    async def play() -> None:
        world = World(1)
        slow = await _begin(world.ask("/stream"))
        assert world.load.running == 0
        assert await _end(world, [*slow, *await _begin(world.ask())]) == [200, 200]
        assert world.load.running == 0

    asyncio.run(play())


def test_a_connection_too_many_is_told_so_and_ends() -> None:
    """Its request is read, so that the answer can be in the face's words."""

    async def play() -> None:
        world = World(0)
        (task,) = await _begin(world.ask(extensions={CROWD: {}}))
        sent = await task
        assert sent[0]["status"] == 429
        assert (b"connection", b"close") in sent[0]["headers"]
        assert world.handled == 0
        assert world.watcher.reasons == ["connections"]

    asyncio.run(play())


@pytest.mark.parametrize("path", ["/", "/body"])
def test_a_request_that_the_server_gives_up_gets_an_answer(path: str) -> None:
    """At the end of a drain requests are cancelled: their clients hear 503, and nothing of them stays counted."""

    async def play() -> None:
        world = World(0)
        (task,) = await _begin(world.ask(path, asyncio.Event()))
        task.cancel()
        sent = await task
        assert sent[0]["status"] == 503
        assert sent[1]["body"] == Unavailable.__name__.encode()
        assert world.load.running == 0

    asyncio.run(play())
