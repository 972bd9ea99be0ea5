"""A web worker: one process that serves the inherited sockets until it or its supervisor is told to stop."""

import asyncio
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from moorage.config import Settings
from moorage.web import log
from moorage.web.accepting import Acceptor
from moorage.web.asgi import Application
from moorage.web.crowd import CrowdedProtocol, bounded
from moorage.web.descriptors import most_connections, raise_limit
from moorage.web.orders import Orders
from moorage.web.shares import Counted
from moorage.web.unread import Unread

IDLE_SECONDS = 75

#: Seconds that an orphaned or hurried worker has before it ends itself.
HURRY_SECONDS = 5.0

_logger = structlog.get_logger()


class WorkerServer(uvicorn.Server):
    """uvicorn's server that tells the application of a drain, reports when it serves, and reloads certificates.

    The first SIGTERM or SIGINT drains, the second one ends quickly; both end with exit code 0. SIGHUP reloads the
    certificate for new connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        application: Application,
        on_ready: Callable[[], None],
        accept_seconds: float,
        connections: Counted,
    ) -> None:
        """``accept_seconds`` are how long a connection may wait to be accepted, 0 for ever."""
        super().__init__(config)
        self._connections = connections
        self.server_state.connections = connections  # type: ignore[assignment] # uvicorn's is a set of its own classes
        self._application = application
        self._on_ready = on_ready
        self._accept_seconds = accept_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so. Accepting is ours; uvicorn's own closes it with its servers, of which it has no other."""
        await super().startup(sockets=[])
        if self.started:
            acceptor = Acceptor(
                sockets or [],
                self._make_protocol,
                self.config.ssl,
                self._accept_seconds,
                self._application.turned_away_unread,
                self._connections.is_ahead,
            )
            self._connections.begin()
            self.servers.append(acceptor)  # type: ignore[arg-type] # it is closed and waited for like asyncio's
            self._on_ready()

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals for the time of serving. Unlike uvicorn's, the process does not end by one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        signal.signal(signal.SIGHUP, self._reload_certificate)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Drain; when asked again, hurry."""
        if self.should_exit:
            self.hurry()
            return
        self.should_exit = True
        self._connections.end()
        self._application.begin_drain()

    def hurry(self) -> None:
        """End now. Requests that run are broken off; what was acknowledged is safe."""
        self.should_exit = True
        self.force_exit = True
        threading.Thread(target=_end_soon, name="end-soon", daemon=True).start()

    def abandon(self) -> None:
        """The supervisor is gone (called from a thread): a worker must not outlive it."""
        _logger.error("supervisor_gone")
        self.hurry()

    def _reload_certificate(self, _number: int, _frame: FrameType | None) -> None:
        if self.config.ssl is not None:
            reload_certificate(self.config.ssl, self.config.ssl_certfile, self.config.ssl_keyfile)


def reload_certificate(
    context: ssl.SSLContext, certificate: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None
) -> bool:
    """Give new connections the certificate that is in the files now; unreadable ones leave the old in place."""
    try:
        # A scratch context first: a key that does not fit must not leave the live one half changed.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(certificate), str(key))
        context.load_cert_chain(str(certificate), str(key))
    except (OSError, ssl.SSLError):
        _logger.exception("certificate_not_reloaded", file=str(certificate))
        return False
    _logger.info("certificate_reloaded", file=str(certificate))
    return True


def run(build: Callable[[Settings], Application], mine: Orders) -> None:
    """The whole life of a web worker: application, serving, end."""
    settings = mine.settings
    log.configure(settings.log_level)
    application = build(settings)
    connections = most_connections(settings.connections_per_worker, raise_limit())
    unread = Unread(
        application.load,
        application.turn,
        application.route,
        application.fallback,
        application.turned_away_unread,
    )
    protocol = bounded(connections, shortcut=application.shortcut, unread=unread)
    config = _server_config(settings, application, protocol)
    # Of the time that anybody waits, one half before the door, the other half behind it.
    counted = Counted(mine.shares, mine.number)
    server = WorkerServer(config, application, mine.ready, settings.queue_seconds / 2, counted)
    mine.watch_parent(server.abandon)
    server.run(sockets=list(mine.sockets))
    log.writer.flush()


def _server_config(
    settings: Settings, application: Application, protocol: type[CrowdedProtocol]
) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        ssl_certfile=_path(settings.tls_cert),
        ssl_keyfile=_path(settings.tls_key),
    )


def _path(file: Path | None) -> str | None:
    return str(file) if file else None


def _end_soon() -> None:
    time.sleep(HURRY_SECONDS)
    log.writer.flush()
    os._exit(1)
