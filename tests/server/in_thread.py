"""The tiny application served in a thread of the test process, with a protocol of the test's own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from moorage.config import Settings
from tests.server import tiny_app

PATIENCE = 10.0


@contextmanager
def served(directory: Path, protocol: type[asyncio.Protocol]) -> Iterator[int]:
    """The port."""
    config = uvicorn.Config(
        tiny_app.build_app(Settings(data_dir=directory, log_level="error")),
        loop="uvloop",
        http=protocol,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE)
