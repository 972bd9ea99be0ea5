"""A small application that the tests of the process and HTTP plumbing serve."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator

from moorage.config import Settings
from moorage.domain.errors import BodyIncomplete
from moorage.web.access_log import AccessLog
from moorage.web.asgi import Application, Route, plain
from moorage.web.health import Health
from moorage.web.http import Request, Response
from moorage.web.metrics import Metrics, MetricsPage

#: What the application saw, for tests that run it in their own process.
SEEN: list[str] = []


async def answer(request: Request) -> Response:
    """Do what the path says."""
    SEEN.append(f"{request.method} {request.path}")
    match request.path:
        case "/pid":
            return plain(200, str(os.getpid()))
        case "/slow":
            await asyncio.sleep(float(request.query_string or b"1"))
            return plain(200, "slept")
        case "/echo":
            return await _echo(request)
        case "/digest":
            return await _digest(request)
        case "/headers":
            return plain(
                200, "\n".join(f"{name.decode()}: {value.decode()}" for name, value in request.headers)
            )
        case "/early":
            return Response(200, [(b"content-length", b"50000")], bytes(50_000))
        case "/refuse":
            return plain(403, "no")
        case "/stream":
            return Response(200, [(b"content-length", str(1 << 30).encode())], _pieces(1 << 30))
        case "/boom":
            raise RuntimeError("a secret detail")
        case _:
            return plain(404, "nothing here")


async def _echo(request: Request) -> Response:
    """The body, ``?delay=`` seconds after it was read."""
    try:
        body = await request.body(10 * 1024 * 1024)
    except BodyIncomplete:
        SEEN.append("incomplete")
        return plain(400, "incomplete")
    if delay := dict(request.query()).get("delay"):
        await asyncio.sleep(float(delay))
    return Response(200, [(b"content-length", str(len(body)).encode())], body)


class _Full(Exception):
    """The sink takes no more."""


async def _digest(request: Request) -> Response:
    """What came of a body, and who read it; ``?pause=`` seconds before each piece, ``?most=`` bytes, then 413."""
    parameters = dict(request.query())
    most = int(parameters.get("most", "1000000000"))
    running = hashlib.sha256()

    def sink(data: bytes | memoryview) -> None:
        if request.bytes_read > most:
            raise _Full
        time.sleep(float(parameters.get("pause", "0")))
        running.update(data)

    await asyncio.sleep(float(parameters.get("delay", "0")))
    reader = "thread"
    try:
        if not await request.take(sink):
            reader = "loop"
            async for piece in request.stream():
                running.update(piece)
    except BodyIncomplete:
        SEEN.append(f"incomplete {request.bytes_read} {running.hexdigest()}")
        return plain(400, "incomplete")
    except _Full:
        return plain(413, "full")
    except asyncio.CancelledError:
        SEEN.append("cancelled")
        raise
    return plain(200, f"{running.hexdigest()} {request.bytes_read} {reader}")


async def _pieces(length: int) -> AsyncIterator[bytes]:
    piece = bytes(256 * 1024)
    try:
        for _ in range(length // len(piece)):
            yield piece
        SEEN.append("stream whole")
    finally:
        SEEN.append("stream closed")


def build_app(settings: Settings) -> Application:
    """The application with health and metrics around it."""
    health = Health({})
    metrics = Metrics()
    routes = [
        Route("/livez", health.live, "ops", is_vital=True),
        Route("/readyz", health.ready, "ops", is_vital=True),
        Route("/metrics", MetricsPage(metrics, settings.metrics_token).get, "ops"),
    ]
    return Application(
        routes,
        Route("/", answer, "json"),
        observers=[metrics, AccessLog(settings.log_level)],
        on_drain=[health.drain],
    )
